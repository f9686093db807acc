"""A figure as text or bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from .style import INK

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
