"""Numbers on one axis beside the interval of one of them, as SVG written by hand: for notebooks, without matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from .style import BLUE

_LEFT, _RIGHT, _WIDTH = 120, 70, 620  # room for names and for numbers
_LINE, _TOP, _BOTTOM = 19, 8, 26
_AROUND = 1.5  # widths of the interval that are shown on either side, as long as there is a number


def window(
    values: Mapping[str, float], interval: tuple[float, float], reported: str
) -> tuple[float, float]:
    """Return the ends of an axis that holds the interval, the reported number, and the numbers near them.

    A number far away is left outside, so that the others stay apart.

    >>> low, high = window({"dv": 1.0, "nwj": -1e9}, (0.9, 1.1), "dv")
    >>> 0.5 < low < 0.9 and 1.1 < high < 1.5
    True
    """
    ends = [end for end in (*interval, values[reported]) if math.isfinite(end)] or [0.0]
    low, high = min(ends), max(ends)
    reach = _AROUND * max(high - low, 0.05 * abs(high), 1e-3)

    near = [value for value in values.values() if low - reach <= value <= high + reach]
    low, high = min(ends + near), max(ends + near)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1e-3
    left, right = (1 if math.isfinite(end) else 4 for end in interval)  # room for the word "open"

    return low - left * margin, high + right * margin


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers between two ends.

    >>> ticks(0.43, 0.66), ticks(-1.0, 9.0)
    ([0.45, 0.5, 0.55, 0.6, 0.65], [0.0, 2.0, 4.0, 6.0, 8.0])
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(k * power for k in (1, 2, 5, 10, 20) if (high - low) / (k * power) <= most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def readings_svg(
    values: Mapping[str, float],
    interval: tuple[float, float],
    reported: str,
    colour: str = BLUE,
) -> str:
    """Return a picture of numbers by name, a line each, on a band that is the interval of the reported one.

    An end of the interval that is not finite is an arrow with the word "open"; a number beyond the window is an arrow
    at its edge. Text has the ink of the page around the picture.
    """
    low, high = window(values, interval, reported)
    right, bottom = _WIDTH - _RIGHT, _TOP + _LINE * len(values)

    def place(value: float) -> float:
        share = (min(high, max(low, value)) - low) / (high - low)  # a NaN stands at the left
        return _LEFT + share * (right - _LEFT)

    start, stop = (
        place(e) if math.isfinite(e) else s for e, s in zip(interval, (_LEFT, right), strict=True)
    )
    parts = [_band(start, stop, bottom, interval, colour)]

    for tick in ticks(low, high):
        at = place(tick)
        parts.append(
            f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="currentColor" stroke-opacity=".15"/>'
            f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle" opacity=".7">{tick:g}</text>'
        )

    for k, (name, value) in enumerate(values.items()):
        y = _TOP + _LINE * (k + 0.5)
        mark = _dot if low <= value <= high else _arrow
        tint, weight = (colour, "bold") if name == reported else ("currentColor", "normal")
        parts.append(
            f'<g font-weight="{weight}">'
            f'<text x="{_LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            f"{mark(place(value), y, tint, 1 if value > high else -1)}"
            f'<text x="{_WIDTH}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text></g>'
        )

    ends = " to ".join(_number(end) if math.isfinite(end) else "open" for end in interval)
    label = escape(f"{reported} {_number(values[reported])} nats, interval {ends}")
    height = bottom + _BOTTOM

    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        f' aria-label="{label}" style="display:block;width:100%;max-width:{_WIDTH}px;height:auto;'
        f'font:12px system-ui,sans-serif;fill:currentColor">{"".join(parts)}</svg>'
    )


def _band(
    start: float, stop: float, bottom: float, interval: tuple[float, float], colour: str
) -> str:
    """Return the interval as a band, with an arrow and a word at an open end."""
    parts = [
        f'<path d="M{start:.1f} {_TOP}H{stop:.1f}V{bottom}H{start:.1f}Z" fill="{colour}" fill-opacity=".16"/>'
    ]

    for end, at, side in ((interval[0], start, -1), (interval[1], stop, 1)):
        if math.isfinite(end):
            parts.append(f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="{colour}"/>')
            continue
        anchor = "end" if side > 0 else "start"
        parts.append(
            f"{_arrow(at, bottom - 10, colour, side)}"
            f'<text x="{at - 12 * side:.1f}" y="{bottom - 6}" text-anchor="{anchor}">open</text>'
        )

    return "".join(parts)


def _dot(x: float, y: float, colour: str, side: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'


def _arrow(x: float, y: float, colour: str, side: int) -> str:
    """Return an arrow head whose tip is at (x, y)."""
    back = x - 8 * side
    return f'<path d="M{back:.1f} {y - 5:.1f}L{x:.1f} {y:.1f}L{back:.1f} {y + 5:.1f}Z" fill="{colour}"/>'


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1e6 else f"{value:.2g}"
