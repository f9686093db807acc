"""How results look: colours, figures as SVG, tables, pages, and files of JSON lines.

Every room draws with it. matplotlib is imported when a figure is drawn, and never configured for the caller.
"""

from .files import strict, versions, whole_file, write_json
from .page import Page
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
    "label",
    "number",
    "png",
    "strict",
    "svg",
    "theme",
    "versions",
    "whole_file",
    "write_json",
]
