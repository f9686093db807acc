"""How results look: colours, figures as SVG, tables, pages, and files of JSON lines.

Every room draws with it. matplotlib is imported when a figure is drawn, and never configured for the caller.
"""

from .files import strict, versions, whole_file, write_json
from .grid import grid_html
from .page import Page
from .panels import estimate_figure, heat_map
from .readings import readings_svg
from .style import COLOURS, GREY, INK, PALETTE, colour, colours, label, theme
from .svg import png, svg
from .table import Table, number

__all__ = [
    "COLOURS",
    "GREY",
    "INK",
    "PALETTE",
    "Page",
    "Table",
    "colour",
    "colours",
    "estimate_figure",
    "grid_html",
    "heat_map",
    "label",
    "number",
    "png",
    "readings_svg",
    "strict",
    "svg",
    "theme",
    "versions",
    "whole_file",
    "write_json",
]
