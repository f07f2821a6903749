"""How the documentation is built: `make docs`."""

import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["TQDM_DISABLE"] = "1"  # progress bars would fill what examples print
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import inforeg_sk  # noqa: E402

project = "inforeg_sk"
author = "The inforeg_sk developers"
copyright = author
version = release = inforeg_sk.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "collected_pages",
]
exclude_patterns = ["_build", "**/sg_execution_times.rst", "sg_execution_times.rst"]
templates_path = ["_templates"]
# Names in single backticks are links where the API has them, and code elsewhere.
default_role = "py:obj"

# Blocks that name no language are formulas and what is printed.
highlight_language = "text"
toc_object_entries_show_parents = "hide"

# The API. Pages are made from the `__all__` of each part, see collected_pages.py.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
# numpydoc lists attributes from the docstring; methods are documented one by one below it.
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "generated/gallery",
    # What is run while the pages are built. The others need files, a cluster, or long: they are
    # shown, and tests/test_examples.py runs most of them.
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)_",
    "reset_argv": "gallery.arguments",
    "reset_modules": ("matplotlib", "seaborn", "gallery.short_warnings"),
    "within_subsection_order": "gallery.order",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "plot_gallery": "True",
}

html_theme = "pydata_sphinx_theme"
html_title = f"inforeg_sk {release}"
html_theme_options = {
    "navigation_depth": 2,
    "show_toc_level": 2,
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_static_path = ["_static"]
html_css_files = ["custom.css"]
# Pages without pages below them need no second column of links.
html_sidebars = {"start": [], "faq": []}
html_show_sourcelink = False
html_copy_source = False

# `make linkcheck`: anchors are made by scripts on many pages, and publishers turn robots away.
linkcheck_anchors = False
linkcheck_timeout = 30
linkcheck_retries = 2
linkcheck_ignore = [r"https://doi\.org/.*", r"https://github\.com/.*/edit/.*"]
