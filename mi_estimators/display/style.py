"""Colours that colour-blind readers tell apart, the names of methods as text, and the theme of all figures."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from ..extras import need

INK = "#24292f"
"""Text and axes. `svg` turns it into the ink of the page around the figure."""

GREY = "#8c959f"
"""Between the inks of light and dark pages."""

# After Okabe & Ito 2008; the blue is lighter, for dark pages.
BLUE, RED, GREEN = "#1f87c9", "#d55e00", "#009e73"
PINK, ORANGE, SKY = "#cc79a7", "#e69f00", "#56b4e9"

PALETTE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, "#8c6bb1", "#666666")
"""Colours in the order in which they are handed out."""

COLOURS = {
    "dpo": BLUE,
    "dv": BLUE,
    "drawn_dv": BLUE,
    "mio": PINK,
    "js": PINK,
    "drawn_js": PINK,
    "alpha_mio": PINK,
    "bce": PINK,
    "rlhf": RED,
    "dpop": RED,
    "relative": RED,
    "sft": GREEN,
    "dpo_sft": GREEN,
    "cal_dpo": GREEN,
    "infonce": GREEN,
    "nwj": ORANGE,
    "kto": ORANGE,
    "ipo": SKY,
    "mine": SKY,
    "smile": GREY,
}
"""Colours that a method keeps from figure to figure; `colours` gives all others one of the palette."""

NAMES = {
    "infonce": "InfoNCE",
    "relative": "α-relative",
    "drawn_dv": "DV, drawn",
    "drawn_js": "JS, drawn",
    "alpha_mio": "α-MIO",
    **{
        name: name.upper()
        for name in (
            *("dv", "nwj", "js", "mine", "smile"),
            *("rlhf", "dpo", "mio", "bce"),
        )
    },
}
"""Methods as text, where it is more than the key without its underscores; losses to compare with add their own."""


def label(name: str) -> str:
    """Return the text that stands for a method in figures and tables.

    >>> label("dv"), label("le_cam")
    ('DV', 'Le cam')
    """
    return NAMES.get(name) or name.replace("_", " ").capitalize()


def colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each of the methods of one figure: its own, or one of the palette that no other has.

    >>> colours(["le_cam", "dv"]) == {"le_cam": RED, "dv": BLUE}
    True
    """
    names = list(names)
    own = {COLOURS.get(name) for name in names}
    free = cycle([tint for tint in PALETTE if tint not in own] or PALETTE)
    return {name: COLOURS.get(name) or next(free) for name in names}


def colour(name: str) -> str:
    """Return the colour of a method that is drawn alone, or that has its own.

    >>> colour("dv") == colour("le_cam") == BLUE
    True
    """
    return colours([name])[name]


_THEME: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "mi-estimators",  # the same figure is the same file
    "svg.fonttype": "none",  # text that can be read aloud, searched and copied
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}


@contextmanager
def theme(**changes: Any) -> Generator[None, None, None]:
    """Draw in the theme of all figures; the caller's style and backend are as before afterwards.

    Args:
        changes: further matplotlib settings, dots as underscores: `font_size=9`.
    """
    need("plot")
    from matplotlib import style

    settings = {name.replace("_", ".", 1): value for name, value in changes.items()}
    with style.context(_THEME | settings, after_reset=True):
        yield
