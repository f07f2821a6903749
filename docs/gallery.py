"""What examples get on their command line while the documentation is built."""

import tempfile
from pathlib import Path

__all__ = ["arguments"]


def arguments(gallery_conf, script_vars):
    """Arguments of one example, as sphinx-gallery's `reset_argv` asks for them.

    The quickstart saves its figure where it is told to, which must not be the one that README.rst
    shows.
    """
    if Path(script_vars["src_file"]).name == "plot_quickstart.py":
        return ["--figure", str(Path(tempfile.gettempdir()) / "inforeg_sk_quickstart.png")]
    return []
