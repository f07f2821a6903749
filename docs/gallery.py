"""What examples get on their command line while the documentation is built."""

import tempfile
from pathlib import Path

__all__ = ["arguments", "order"]

FIRST = ["plot_first_steps.py", "plot_quickstart.py", "tables.py"]


def order(name):
    """Where an example stands: what a new reader wants first, then by name."""
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def arguments(gallery_conf, script_vars):
    """Arguments of one example, as sphinx-gallery's `reset_argv` asks for them.

    The quickstart saves its figure where it is told to, which must not be the one that README.rst
    shows.
    """
    if Path(script_vars["src_file"]).name == "plot_quickstart.py":
        return ["--figure", str(Path(tempfile.gettempdir()) / "inforeg_sk_quickstart.png")]
    return []
