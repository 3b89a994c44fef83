"""Sphinx: pages in Markdown, the API from docstrings. Nothing is fetched while it builds."""

import fastmath_ml

project = "fastmath_ml"
author = "The fastmath_ml developers"
copyright = f"2026, {author}"
release = version = fastmath_ml.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

add_module_names = False
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say more than the annotations do
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}
html_show_sourcelink = False
