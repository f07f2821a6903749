"""What examples get on their command line while the documentation is built."""

import tempfile
import warnings
from pathlib import Path

__all__ = ["arguments", "order", "short_warnings"]

FIRST = [
    "plot_first_steps.py",
    "plot_diagnosis.py",
    "plot_patients.py",
    "plot_recordings.py",
    "plot_nested_search.py",
    "plot_service.py",
    "plot_quickstart.py",
    "tables.py",
]
# Those that save a figure, which must not lie beside them.
WITH_FIGURE = ("plot_quickstart.py", "plot_diagnosis.py")


def order(name):
    """Where an example stands: what a new reader wants first, then by name."""
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def arguments(gallery_conf, script_vars):
    """Arguments of one example, as sphinx-gallery's `reset_argv` asks for them."""
    name = Path(script_vars["src_file"]).name
    if name in WITH_FIGURE:
        return ["--figure", str(Path(tempfile.gettempdir()) / f"inforeg_sk_{name}.png")]
    return []


def short_warnings(gallery_conf, name):
    """Show warnings without the folders of the machine that builds the pages."""
    warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"
