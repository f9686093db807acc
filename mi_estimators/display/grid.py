"""A square table of numbers as HTML, each cell shaded by its value: for notebooks, without matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .style import BLUE

_RED, _GREEN, _BLUE = (int(BLUE[k : k + 2], 16) for k in (1, 3, 5))
_CELL = "padding:.3rem .6rem;text-align:right;font-variant-numeric:tabular-nums"


def grid_html(
    names: Sequence[str],
    texts: Sequence[Sequence[str]],
    shades: Sequence[Sequence[float]],
    tips: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
) -> str:
    """Return a square table, legible on light and on dark pages.

    Args:
        names: of the k rows and columns.
        texts, shades, tips: k by k: what a cell says, how dark it is, in [0, 1], and what it says under the pointer.
        notes: paragraphs below.
    """
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th style="{_CELL}">{escape(name)}</th>{"".join(map(_cell, *cells))}</tr>'
        for name, *cells in zip(names, texts, shades, tips, strict=True)
    )
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    table = f'<table style="border-collapse:collapse"><tr><th></th>{head}</tr>{body}</table>'

    return f'<div style="overflow-x:auto">{table}{below}</div>'


def _cell(text: str, shade: float, tip: str) -> str:
    tint = f"background:rgba({_RED},{_GREEN},{_BLUE},{0.6 * shade:.2f})"
    return f'<td style="{_CELL};{tint}" title="{escape(tip)}">{escape(text)}</td>'
