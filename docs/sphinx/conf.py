"""Sphinx settings of the site; `build.py` beside this file stages its pages and calls Sphinx."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import mi_estimators  # noqa: E402

project = "mi-estimators"
author = copyright = "The mi-estimators authors"
version = release = mi_estimators.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
]
nb_execution_mode = "off"  # the notebooks come executed; a test holds them to their sources
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

add_module_names = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

html_theme = "furo"
html_title = "mi-estimators"
html_static_path = [str(HERE / "static"), os.environ.get("SITE_STATIC", str(HERE / "static"))]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = [path] if (path := os.environ.get("SITE_EXTRA")) else []
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch pages, which a browser refuses for files
html_permalinks_icon = "#"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5a8a", "color-brand-content": "#0b5a8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4f2", "color-brand-content": "#7cc4f2"},
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# One file of MathJax, put beside the pages by build.py: nothing is asked of another host.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "local"}}


def setup(app) -> None:
    """Give the headings of the sidebar a level, which the theme leaves out."""
    app.connect("html-page-context", _levels, priority=900)


def _levels(app, page: str, template: str, context: dict, doctree) -> None:
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
