"""README, data cards and the pages of docs/: valid reStructuredText, and code that runs."""

import ast
import importlib
import importlib.util
import itertools
import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from skorch.exceptions import NotInitializedError

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Those that are made for a build, and copies, are not looked at.
GUIDE = sorted(
    page
    for page in DOCS.rglob("*.rst")
    if not {"_build", "_templates", "generated"} & set(page.relative_to(DOCS).parts)
    and page.name != "sg_execution_times.rst"
)
PAGES = [
    *(ROOT / f"{name}.rst" for name in ("README", "CHANGES", "CONTRIBUTING", "RELEASING")),
    *sorted(page for part in ("benchmarks", "datasets") for page in (ROOT / part).rglob("*.rst")),
    *GUIDE,
]


def name_of(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def read():
    """Read a page; level 2 and above are errors, not printed remarks."""
    core = pytest.importorskip("docutils.core")
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives, roles

    class TocTree(Directive):
        """Sphinx's table of contents, whose entries `make docs` checks."""

        has_content = True
        option_spec = {"maxdepth": int, "glob": directives.flag}

        def run(self):
            return []

    def link(name, rawtext, text, *rest, **settings):
        return [nodes.literal(rawtext, text)], []

    directives.register_directive("toctree", TocTree)
    for role in ("doc", "func", "class", "ref"):
        roles.register_local_role(role, link)
    settings = {"halt_level": 2, "report_level": 5, "syntax_highlight": "none"}
    return lambda text: core.publish_doctree(text, settings_overrides=settings)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_is_valid(page, read):
    read(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", GUIDE, ids=name_of)
def test_no_row_of_a_table_is_cut_in_two(page, read):
    """A second line in the first column of a simple table would be a row of its own."""
    from docutils import nodes

    for row in read(page.read_text(encoding="utf-8")).findall(nodes.row):
        assert all(entry.astext() for entry in row), row.astext()


def blocks_of(page, language="python"):
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", text)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in blocks]


def without_numbers(text):
    """Its words: numbers depend on the machine, and the page breaks lines."""
    return re.sub(r"[+-]?\d+(\.\d+)?", "#", " ".join(text.split()))


@pytest.mark.slow
def test_readme_prints_what_it_shows(capsys):
    page = ROOT / "README.rst"
    (code,) = blocks_of(page)
    exec(compile(code, "README.rst", "exec"), {})
    printed = capsys.readouterr().out
    (shown,) = blocks_of(page, "text")
    assert without_numbers(printed) == without_numbers(shown)
    given, recommended = (float(line) for line in printed.splitlines()[-2:])
    assert recommended > given + 0.03


def test_readme_fits_one_screen_and_leads_to_what_exists():
    text = (ROOT / "README.rst").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    targets = re.findall(r"<([^>]+)>`_", text) + re.findall(r"image:: (\S+)", text)
    assert len(targets) > 10
    assert [name for name in targets if not (ROOT / name).is_file()] == []
    assert text.index("image::") < text.index("What to expect")
    assert (DOCS / "images" / "diagnosis.png").stat().st_size < 100_000


# What takes long in the code of the pages of docs/, and what they say of other machines. Their
# numbers are not what is checked.
QUICK = {
    "docs/start.rst": {
        "digits.train_indices, ": "digits.train_indices[:200], ",
        '"max_epochs": 60': '"max_epochs": 1',
        "seeds=2": "cv=2, seeds=1",
        'methods=["joint*"]': "methods=()",
        '["best single", "linear on all", "stacked linear", "late fusion"]': '["majority"]',
        '["linear on all", "stacked linear", "late fusion"]': '["majority"], cv=2, methods=()',
        "max_epochs=20": "max_epochs=1",
        "    frame,\n    y,\n": "    frame[:100],\n    y[:100],\n",
    },
    "docs/guide/starving.rst": {
        "digits.train_indices\n": "digits.train_indices[:200]\n",
        "max_epochs=60": "max_epochs=1",
        "max_epochs=10": "max_epochs=1",
        "cv=GroupKFold(3)": "cv=GroupKFold(2)",
        'methods=["joint*"]': "methods=()",
        "seeds=2,\n": "seeds=1, cv=2, methods=(),\n",
        '        "best single",\n        "linear on all",\n        "stacked linear",\n'
        '        "late fusion",\n': "",
    },
    "docs/guide/cluster.rst": {
        '"tcp://scheduler:8786"': "processes=False, dashboard_address=None",
        "n_jobs=2": "n_jobs=1",
    },
}
# Libraries of extras.
NEEDS = {
    "docs/faq.rst": ["pandas"],
    "docs/guide/cluster.rst": ["distributed"],
    "docs/guide/data.rst": ["pandas"],
    "docs/guide/files.rst": ["librosa", "soundfile"],
    "docs/guide/saving.rst": ["safetensors"],
    "docs/guide/starving.rst": ["pandas"],
    "docs/start.rst": ["pandas"],
}
WITH_CODE = [page for page in GUIDE if blocks_of(page)]


def test_pages_that_are_made_shorter_or_need_an_extra_exist():
    assert {*QUICK, *NEEDS} <= {name_of(page) for page in WITH_CODE}


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    for library in NEEDS.get(name_of(page), []):
        pytest.importorskip(library)
    code = "\n\n".join(blocks_of(page))
    for text, shorter in QUICK.get(name_of(page), {}).items():
        assert text in code
        code = code.replace(text, shorter)
    # Classes of a page are pickled by the name of a module, as those of a notebook are.
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, name_of(page), "exec"), vars(module))


def test_the_guide_has_no_code_that_the_tests_do_not_find():
    for page in GUIDE:
        text = page.read_text(encoding="utf-8")
        assert text.count("code-block:: python") == len(blocks_of(page)), name_of(page)


def test_every_page_of_the_guide_is_in_its_table_of_contents():
    listed = (DOCS / "guide" / "index.rst").read_text(encoding="utf-8").split()
    pages = {page.stem for page in (DOCS / "guide").glob("*.rst")} - {"index"}
    assert pages <= set(listed)


# The page of messages


def messages():
    """Titles of docs/faq.rst, without the page's own."""
    lines = (DOCS / "faq.rst").read_text(encoding="utf-8").splitlines()
    return [a for a, b in itertools.pairwise(lines) if b and set(b) == {"-"}]


def provoked():
    """What a user does, by the message that it gives."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
    from sklearn.multiclass import OneVsOneClassifier

    from inforeg_sk import ModalityDict, MultimodalClassifier, diagnose
    from inforeg_sk.features import LogMel
    from inforeg_sk.inspection import ModalityAccuracyDisplay

    rng = np.random.default_rng(0)
    y = np.arange(437) % 3
    X = {name: rng.normal(size=(437, 3)).astype("float32") for name in ("audio", "text", "video")}
    rows = ModalityDict(X)

    def clf(method="joint", **settings):
        return MultimodalClassifier(method, **{"max_epochs": 1, "random_state": 0, **settings})

    fitted = clf().fit(X, y)
    nan = {**X, "text": np.where(np.arange(437)[:, None] == 3, np.nan, X["text"])}
    last = {**X, "image": rng.random((437, 8, 8, 3), dtype="float32")}
    noise = {"audio": X["audio"], "code": X["text"] + 9 * y[:, None].astype("float32")}

    def table():
        pandas = pytest.importorskip("pandas")
        return pandas.DataFrame({"sex": np.where(y, "m", "f"), "age": np.arange(437.0)})

    def old():
        state = fitted.__getstate__()
        clf().__setstate__({**state, "_versions": {"inforeg_sk": "0.0.1"}})

    def without(library, call):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            call()

    return {
        "Found input variables": lambda: GridSearchCV(clf(), {"lr": [0.1]}, cv=3).fit(X, y),
        "Expected 2D array": lambda: OneVsOneClassifier(clf()).fit(X, y),
        "A ModalityDict is": lambda: OneVsOneClassifier(clf()).fit(rows, y),
        "float() argument": lambda: LogisticRegression().fit(X, y),
        "Modality '...' contains NaN": lambda: clf().fit(nan, y),
        "Modality '...' has no values": lambda: diagnose(clf(), nan, y),
        "X misses": lambda: fitted.predict({"audio": X["audio"], "text": X["text"]}),
        "Modality '...' has samples of shape ..., but": lambda: fitted.predict(
            {**X, "text": X["text"][:, :2]}
        ),
        "X is a list": lambda: clf().fit(list(X.values()), y),
        "Modalities have different": lambda: clf().fit({**X, "text": X["text"][:9]}, y),
        "y has ...": lambda: clf().fit(X, y[:9]),
        "modalities: the columns": lambda: clf(modalities={"a": ["age"], "b": ["wieght"]}).fit(
            table(), y
        ),
        "... has no parameter": lambda: clf(max_epoch=3).fit(X, y),
        "... has no parameter '...'; it": lambda: clf(max_iter=3),
        "... has no parameter 'alpha'": lambda: clf(alpha=0),
        "The 'method' parameter": lambda: clf("ogm").fit(X, y),
        "Modality '...' is not numeric": lambda: clf().fit({**X, "visit": table()}, y),
        "Modality '...' has shape": lambda: clf().fit({**X, "w": np.array(["a"] * 437, object)}, y),
        "Modality '...' has shape (": lambda: clf().fit({**X, "age": np.arange(437.0)}, y),
        "The encoder of modality": lambda: clf(encoders={"text": "gru"}).fit(X, y),
        "Modality '...' has samples": lambda: clf().fit(last, y),
        "Unknown label type": lambda: clf().fit(X, rng.normal(size=437)),
        "This ... instance": lambda: clf().predict(X),
        "the model is no better": lambda: clf(lr=1e-9, max_epochs=9).fit(X, y),
        "alone, '...' is": lambda: clf(max_epochs=15, lr=0.01).fit(noise, y),
        "training diverged": lambda: clf(lr=1e30).fit(X, y),
        "This ... was saved": old,
        "... requires": lambda: without(
            "matplotlib.pyplot", lambda: ModalityAccuracyDisplay.from_estimator(fitted, X, y)
        ),
        "... needs ...": lambda: without("librosa", lambda: LogMel().fit_transform(["a.wav"])),
        "diagnose compares": lambda: diagnose(clf(), X["audio"], y),
        "Modality '...' equals": lambda: diagnose(clf(), {**X, "label": y[:, None]}, y),
        "The 'methods' parameter": lambda: diagnose(clf(), X, y, methods=["late fusion"]),
        "The 'rivals' parameter": lambda: diagnose(clf(), X, y, rivals=["late fuse"]),
        "Class ... has 1 sample": lambda: diagnose(clf(), X, np.where(np.arange(437) == 0, 9, y)),
        "The 'groups' parameter": lambda: cross_val_score(clf(), rows, y, cv=GroupKFold(3)),
        "All samples have one": lambda: diagnose(clf(), X, y, groups=np.zeros(437)),
    }


def test_every_message_of_the_page_has_a_case():
    cases = list(provoked())
    assert len(cases) == len(messages())
    assert all(title.startswith(case) for case, title in zip(cases, messages()))


@pytest.mark.parametrize("case", range(len(messages())), ids=lambda i: messages()[i][:30].strip())
def test_a_message_of_the_page_is_what_the_library_says(case):
    title = messages()[case]
    said = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            list(provoked().values())[case]()
        except (TypeError, ValueError, ImportError, NotInitializedError) as error:
            said.append(str(error))
    said += [str(one.message) for one in warned]
    pattern = ".*".join(re.escape(part) for part in title.split("..."))
    assert any(re.search(pattern, " ".join(text.split())) for text in said), said


# What the build is made of


def collected():
    spec = importlib.util.spec_from_file_location("collected_pages", DOCS / "collected_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_has_every_public_name_of_every_room_once():
    import inforeg_sk

    parts = [part for section in collected().public_names().values() for part in section.items()]
    names = [name for _, names in parts for name in names]
    assert len(names) == len(set(names))
    rooms = [p.parent.name for p in (ROOT / "inforeg_sk").glob("*/__init__.py")]
    modules = [importlib.import_module(f"inforeg_sk.{room}") for room in rooms if room != "utils"]
    for module in [inforeg_sk, *modules]:
        public = {name for name in module.__all__ if callable(getattr(module, name))}
        assert public <= set(names), module.__name__


@pytest.mark.parametrize(
    "example",
    [p for p in sorted((ROOT / "examples").rglob("*.py")) if not p.name.startswith("_")],
    ids=name_of,
)
def test_an_example_has_an_underlined_title_for_the_gallery(example):
    title, line = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))).split("\n")[:2]
    assert line == "=" * len(title)
