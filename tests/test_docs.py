"""README and data cards: valid reStructuredText, and code that runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.rst",
    ROOT / "CHANGES.rst",
    ROOT / "CONTRIBUTING.rst",
    *sorted(page for part in ("benchmarks", "datasets") for page in (ROOT / part).rglob("*.rst")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_valid(page):
    core = pytest.importorskip("docutils.core")
    # Level 2 and above are errors, not printed remarks.
    settings = {"halt_level": 2, "report_level": 5, "syntax_highlight": "none"}
    core.publish_string(page.read_text(encoding="utf-8"), settings_overrides=settings)


def test_readme_code_runs(capsys):
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    assert blocks
    for block in blocks:
        code = "\n".join(line[4:] for line in block.splitlines())
        # One process: the numbers are the same, and workers would start anew each time.
        exec(compile(code.replace("n_jobs=2", "n_jobs=1"), "README.rst", "exec"), {})
    assert "unimodal_weight" in capsys.readouterr().out
