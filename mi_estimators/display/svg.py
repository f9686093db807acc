"""A figure as text or bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from .style import INK

LIGHT, PAPER = "#e6edf3", "#12161c"
"""Ink and paper of dark pages."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def svg(figure: Figure) -> str:
    """Return the figure as one <svg> element, without background, in the ink of the page around it."""
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Type", "Format"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)

    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


def png(figure: Figure) -> bytes:
    """Return the figure as PNG on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def dark_png(figure: Figure) -> bytes:
    """Return the figure as PNG in light ink on dark paper; the figure keeps the light ink."""
    from matplotlib.colors import same_color

    for artist in figure.findobj():
        for name in ("color", "edgecolor", "facecolor", "markeredgecolor"):
            value = getattr(artist, f"get_{name}", lambda: None)()
            if isinstance(value, str | tuple) and same_color(value, INK):
                getattr(artist, f"set_{name}")(LIGHT)

    for axes in figure.axes:
        axes.set_facecolor(PAPER)

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, facecolor=PAPER)
    return buffer.getvalue()
