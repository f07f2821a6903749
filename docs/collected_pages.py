"""Pages that are made before a build: the API, and pages that lie elsewhere in the repository.

All of them go to ``docs/generated``, which is not under version control.
"""

import importlib
import shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GENERATED = HERE / "generated"

# Parts of the package whose `__all__` is public, and what they are called on the page.
PARTS = {
    "inforeg_sk": "Estimators, containers, methods",
    "inforeg_sk.model_selection": "Searches and cross-validation",
    "inforeg_sk.ensemble": "Combined estimators: what they return",
    "inforeg_sk.inspection": "Measures and figures",
    "inforeg_sk.callbacks": "Callbacks",
    "inforeg_sk.features": "From recordings and texts to arrays",
    "inforeg_sk.datasets": "Data sets",
    "inforeg_sk.network": "Encoders and fusions",
    "inforeg_sk.methods": "Parts of methods",
    "inforeg_sk.training": "The training loop",
    "inforeg_sk.testing": "Checks for methods of your own",
    "inforeg_sk.functional": "The maths, as functions",
}

# Modules that are read as a whole.
MODULES = ["inforeg_sk.presets", "inforeg_sk.methods.context"]


def public_names():
    """Names by part, each in the first part that has it; values such as tuples are left out."""
    found, seen = {}, set()
    for part in PARTS:
        module = importlib.import_module(part)
        names = []
        for name in sorted(module.__all__, key=lambda name: (name.islower(), name.lower())):
            value = getattr(module, name)
            if not callable(value) or id(value) in seen:
                continue
            seen.add(id(value))
            names.append(name)
        found[part] = names
    return found


def api_page():
    """The page of the API, with a table for each part."""
    lines = ["API", "===", ""]
    for part, names in public_names().items():
        title = PARTS[part]
        first = (importlib.import_module(part).__doc__ or "").strip().split("\n\n")[0]
        lines += [title, "-" * len(title), "", f"``{part}``: {' '.join(first.split())}", ""]
        lines += [f".. currentmodule:: {part}", ""]
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
