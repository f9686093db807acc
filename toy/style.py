"""How figures look: colours that colour-blind readers tell apart, and SVG that takes the ink of the page around it."""

from __future__ import annotations

import io
import re

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

INK = "#24292f"
GREY = "#8c959f"  # between light and dark pages
# After Okabe & Ito 2008; the blue is lighter, for dark pages.
BLUE, SKY, GREEN, ORANGE, RED, PINK = (
    "#1f87c9",
    "#56b4e9",
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
)
COLOURS = {
    "rlhf": RED,
    "dpo": BLUE,
    "sft": GREEN,
    "mio": PINK,
    "nwj": ORANGE,
    "dv": BLUE,
    "js": PINK,
    "mine": SKY,
    "infonce": GREEN,
    "smile": GREY,
    "relative": RED,
    "drawn_dv": BLUE,
    "drawn_js": PINK,
}
NAMES = {
    "rlhf": "RLHF",
    "dpo": "DPO",
    "sft": "SFT",
    "mio": "MIO",
    "nwj": "NWJ",
    "dv": "DV",
    "js": "JS",
    "mine": "MINE",
    "infonce": "InfoNCE",
    "smile": "SMILE",
    "relative": "α-relative",
    "drawn_dv": "DV, drawn",
    "drawn_js": "JS, drawn",
}

matplotlib.rcParams.update(
    {
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.labelsize": 10,
        "legend.fontsize": 9,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#8c959f",
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "svg.hashsalt": "toy",
        **dict.fromkeys(
            ["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], INK
        ),
    }
)


def png(figure: Figure) -> bytes:
    """Return the figure as PNG on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """Return the figure as one <svg> element without background, its ink `currentColor`, fit for light and dark."""
    buffer = io.StringIO()
    figure.savefig(
        buffer,
        format="svg",
        transparent=True,
        metadata=dict.fromkeys(["Date", "Creator", "Type", "Format"]),
    )
    text = buffer.getvalue()
    return re.sub(INK, "currentColor", text[text.index("<svg") :])
