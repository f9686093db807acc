"""Tables of text, as HTML and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LONG = 72
"""A cell of more characters than this may break into lines."""


@dataclass(frozen=True)
class Table:
    """Headings and cells; numbers are already text.

    >>> print(Table(("bound", "nats"), [("dv", "0.51")]).markdown())
    | bound | nats |
    |---|---|
    | dv | 0.51 |
    """

    head: Sequence[str]
    body: Sequence[Sequence[str]]

    def html(self, title: str = "", *, folded: bool = False) -> str:
        """Return the table as HTML; a folded one shows its title alone until it is opened."""
        head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in self.head)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.body)
        caption = f"<caption>{escape(title)}</caption>" if title and not folded else ""

        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        name = escape(title if title and not folded else "table", quote=True)
        scrolling = f'<div class=scroll tabindex=0 role=region aria-label="{name}">{table}</div>'
        if not folded:
            return scrolling

        return f"<details><summary>{escape(title)}</summary>{scrolling}</details>"

    def markdown(self, left: int | None = None) -> str:
        """Return the table as Markdown; columns beyond the first `left` are aligned to the right."""
        count = len(self.head) if left is None else left
        rule = "|" + "---|" * count + "--:|" * (len(self.head) - count)

        head, *body = (f"| {' | '.join(line)} |" for line in [self.head, *self.body])
        return "\n".join([head, rule, *body])


def _cell(text: str) -> str:
    wide = " class=long" if len(text) > LONG else ""
    return f"<td{wide}>{escape(text)}</td>"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number to `digits` significant digits; "never" for None and infinity.

    >>> number(0.123456), number(1234567.0), number(None)
    ('0.1235', '1.235e+06', 'never')
    """
    if value is None or math.isinf(value):
        return "never"
    plain = 1e-3 <= abs(value) < 10**digits or value == 0
    return f"{value:.{digits}g}" if plain else f"{value:.{digits - 1}e}"
