"""README and data cards: valid reStructuredText, and code that runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.rst",
    ROOT / "CHANGES.rst",
    ROOT / "CONTRIBUTING.rst",
    *sorted(
        page for part in ("benchmarks", "datasets", "docs") for page in (ROOT / part).rglob("*.rst")
    ),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_valid(page):
    core = pytest.importorskip("docutils.core")
    # Level 2 and above are errors, not printed remarks.
    settings = {"halt_level": 2, "report_level": 5, "syntax_highlight": "none"}
    core.publish_string(page.read_text(encoding="utf-8"), settings_overrides=settings)


# What takes long in the README's code: its 28 fits of the default 100 epochs, and processes, which
# would start anew each time. The numbers are not what is checked.
SHORTER = {
    "n_jobs=2": "n_jobs=1",
    "MultimodalInfoRegClassifier(random_state=0)": (
        "MultimodalInfoRegClassifier(random_state=0, max_epochs=5)"
    ),
}


def test_readme_code_runs(capsys):
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    assert blocks and all(text in "".join(blocks) for text in SHORTER)
    for block in blocks:
        code = "\n".join(line[4:] for line in block.splitlines())
        for text, shorter in SHORTER.items():
            code = code.replace(text, shorter)
        exec(compile(code, "README.rst", "exec"), {})
    assert "unimodal_weight" in capsys.readouterr().out
