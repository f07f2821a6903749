"""Pages that are made before a build: the API, and pages that lie elsewhere in the repository.

All of them go to ``docs/generated``, which is not under version control.
"""

import importlib
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GENERATED = HERE / "generated"

# Sections of the page, with the rooms of the package whose public names they have. A name that
# the package itself exports is documented there, the others in their room.
SECTIONS = {
    "Estimators": ["classifier", "regressor"],
    "Data": ["data", "compose"],
    "Measures and figures": ["inspection"],
    "Combined estimators": ["ensemble"],
    "Searches and cross-validation": ["model_selection"],
    "Methods": ["methods"],
    "Callbacks": ["callbacks"],
    "From recordings and texts to arrays": ["features"],
    "Data sets": ["datasets"],
    "Encoders and fusions": ["network"],
    "The training loop": ["training", "estimator"],
    "Checks for methods of your own": ["testing"],
    "The maths, as functions": ["functional"],
}
# Modules that are read as a whole.
MODULES = ["inforeg_sk.presets", "inforeg_sk.methods.context"]


def public_names():
    """Names by section and part, each once; values such as tuples and dicts are left out."""
    top = importlib.import_module("inforeg_sk")
    exported = {name: value for name in top.__all__ if callable(value := getattr(top, name))}
    found = {}
    for section, rooms in SECTIONS.items():
        here = [n for n, v in exported.items() if v.__module__.split(".")[1] in rooms]
        found[section] = {"inforeg_sk": sorted(here)} if here else {}
        for room in rooms:
            module = importlib.import_module(f"inforeg_sk.{room}")
            values = {name: getattr(module, name) for name in module.__all__}
            names = [n for n, v in values.items() if callable(v) and n not in exported]
            if names:
                found[section][module.__name__] = sorted(names)
    return found


def api_page():
    """The page of the API, with a table for each part of a section."""
    lines = ["API", "===", ""]
    for title, parts in public_names().items():
        lines += [title, "-" * len(title), ""]
        for part, names in parts.items():
            lines += [f"In ``{part}``:", "", f".. currentmodule:: {part}", ""]
            lines += [".. autosummary::", "   :toctree: .", "", *(f"   {n}" for n in names), ""]
    title = "Modules that are read as a whole"
    lines += [title, "-" * len(title), "", ".. toctree::", "   :maxdepth: 1", ""]
    lines += [f"   module.{name}" for name in MODULES]
    lines += [""]
    return "\n".join(lines)


def module_page(name):
    """The page of a module: its docstring and its members."""
    return f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :members:\n"


def write(path, text):
    """Write a file if it is not the same already, so that only what changed is built again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def collect():
    """Make all pages."""
    write(GENERATED / "api" / "index.rst", api_page())
    for name in MODULES:
        write(GENERATED / "api" / f"module.{name}.rst", module_page(name))
    for page in sorted((ROOT / "benchmarks").glob("*.rst")):
        write(GENERATED / "benchmarks" / page.name, page.read_text(encoding="utf-8"))
    for picture in sorted((ROOT / "benchmarks" / "results").glob("*.png")):
        (GENERATED / "benchmarks" / "results").mkdir(parents=True, exist_ok=True)
        shutil.copy2(picture, GENERATED / "benchmarks" / "results")
    for page in sorted((ROOT / "datasets").glob("*/README.rst")):
        target = GENERATED / "datasets" / f"{page.parent.name}.rst"
        write(target, page.read_text(encoding="utf-8"))
    for name in ("CHANGES", "CONTRIBUTING", "RELEASING"):
        write(GENERATED / f"{name}.rst", (ROOT / f"{name}.rst").read_text(encoding="utf-8"))


def skip_others(app, what, name, obj, skip, options):
    """Leave out what classes inherit from other libraries: those document it themselves."""
    module = getattr(getattr(obj, "fget", None) or obj, "__module__", None)
    if what == "class" and module is not None and not module.startswith("inforeg_sk"):
        return True
    return None


def setup(app):
    # At once, since Sphinx looks for pages before its first event.
    collect()
    app.connect("autodoc-skip-member", skip_others)
    return {"parallel_read_safe": True}
