"""Numbers as float64 without a loss: which columns vary beyond their own rounding, and what is subtracted first."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Bool

# Units in the last place: a column within so many is one number, rounded in several ways
_ROUNDINGS = 8
_SUMMED = 2.0**-44  # of a column's size: as much as long sums in float64 may be off by
_NARROW = 2.0**-30  # of a column's size: where it varies by less, an offset is subtracted
_FAINT = 1e-12  # of a column's size: where it varies by less, that may still be rounding
_EXACT = 2**53  # beyond, float64 leaves out whole numbers

_SECOND = 10**9
_NANOSECONDS = {
    "Y": 31_556_952 * _SECOND,  # time spans, by the mean year
    "M": 2_629_746 * _SECOND,
    "W": 604_800 * _SECOND,
    "D": 86_400 * _SECOND,
    "h": 3600 * _SECOND,
    "m": 60 * _SECOND,
    "s": _SECOND,
    "ms": 10**6,
    "us": 1000,
}
_TO_A_NANOSECOND = {"ps": 10**3, "fs": 10**6, "as": 10**9}

Origin = int | float
"""What is subtracted from a column, exactly, before it is float64: mostly 0."""


class Extents(NamedTuple):
    """How far columns of numbers reach.

    Attributes:
        varies: whether they hold more than one number.
        rounded: whether their entries differ, but by rounding alone.
        faint: whether they vary by so little of their size that it may be rounding.
        origins: what is subtracted from each.
    """

    varies: Bool[np.ndarray, " d"]
    rounded: Bool[np.ndarray, " d"]
    faint: Bool[np.ndarray, " d"]
    origins: tuple[Origin, ...]


def numbers(name: str, column: np.ndarray, origin: Origin = 0) -> np.ndarray:
    """Return numbers, or nanoseconds of dates and time spans, as float64, less an origin.

    >>> numbers("x", np.array([2**60, 2**60 + 1]), 2**60).tolist()
    [0.0, 1.0]
    >>> numbers("x", np.array(["9999-12-31"], "M8[D]")).tolist()
    [2.534022144e+20]

    Raises:
        ValueError: entries that are no finite numbers.
    """
    scale, parts = 1, 1
    if column.dtype.kind in "mM":
        column, scale, parts = _ticks(name, column)

    try:
        values = _less(column, origin, scale, parts)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected real numbers, got dtype {column.dtype}") from None
    except OverflowError:
        raise ValueError(
            f"{name}: expected numbers below 1.8e308, got a larger one; pass its logarithm"
        ) from None

    if not np.isfinite(values).all():
        raise ValueError(
            f"{name}: expected finite entries, got NaN or infinity; remove these rows from x and y"
        )

    return values


def extents_of(name: str, column: np.ndarray) -> Extents:
    """Return how far one column reaches, of numbers, dates, time spans or objects that are numbers."""
    if column.dtype.kind in "mM":
        ticks, scale, parts = _ticks(name, column)
        reach = extents(ticks.min(keepdims=True), ticks.max(keepdims=True))
        (origin,) = reach.origins
        return reach._replace(origins=(int(origin) * scale // parts,))

    if column.dtype.kind != "O" or not all(isinstance(entry, Integral) for entry in column):
        finite = numbers(name, column)
        values = column if column.dtype.kind != "O" else finite
        return extents(values.min(keepdims=True), values.max(keepdims=True))

    numbers(name, column)  # none is too large
    low, high = int(min(column)), int(max(column))
    far = low if max(abs(low), abs(high)) > _EXACT else 0
    one, none = np.array([low != high]), np.zeros(1, bool)
    return Extents(one, none, none, (far,))


def extents(low: np.ndarray, high: np.ndarray) -> Extents:
    """Return how far columns reach, given their least and largest entries in the type in which they are stored.

    What differs by no more than a few roundings of that type, or of a long sum, is one number. Whole numbers have no
    rounding.

    >>> extents(np.array([1e13, 1.0]), np.array([1e13 + 1, 1 + 1e-15])).varies.tolist()
    [True, False]
    """
    whole = low.dtype.kind in "biu"
    with np.errstate(over="ignore"):
        wide_low, wide_high = low.astype(np.float64), high.astype(np.float64)
        size = np.maximum(np.abs(wide_low), np.abs(wide_high))

        if whole:  # the difference of any two of 64 bits, without a sign
            apart = (high.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64)
            rounding = np.zeros_like(size)
        else:
            apart = wide_high - wide_low
            stored = size.astype(low.dtype) if low.dtype.itemsize < 8 else size
            rounding = np.spacing(stored).astype(np.float64)
            rounding = np.maximum(_ROUNDINGS * rounding, _SUMMED * size)

    varies = apart > rounding
    moved = varies & ((apart < _NARROW * size) | (whole & (size > _EXACT)))
    origins: list[Origin] = [0] * len(low)
    for k in np.flatnonzero(moved):
        origins[k] = int(low[k]) if whole else float(wide_low[k])

    rounded, faint = (apart > 0) & ~varies, varies & (rounding > 0) & (apart < _FAINT * size)
    return Extents(varies, rounded, faint, tuple(origins))


def _less(column: np.ndarray, origin: Origin, scale: int, parts: int) -> np.ndarray:
    """Return whole or other numbers of `scale` / `parts` units each as float64 units, less an origin."""
    unit = scale / parts
    if not origin:
        values = column.astype(np.float64)
        return values if unit == 1 else values * unit

    if column.dtype.kind == "O":
        exact = [int(v) - origin if isinstance(v, Integral) else float(v) - origin for v in column]
        return np.array(exact, np.float64)
    if column.dtype.kind not in "iu":
        return column.astype(np.float64) - origin

    start, left = divmod(cast(int, origin) * parts, scale)
    far = (column.astype(np.float64) - float(start)) * unit - left / parts
    bits = np.array(start % 2**64, np.uint64)  # differences that fit in 63 bits are exact
    near = (column.astype(np.uint64) - bits).view(np.int64).astype(np.float64) * unit - left / parts
    return np.where(np.abs(far) < 2.0**62 * unit, near, far)


def _ticks(name: str, column: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return dates or time spans as whole numbers of their own unit, which is a ratio of nanoseconds."""
    if np.isnat(column).any():
        raise ValueError(
            f"{name}: expected no missing entries, got NaT; remove these rows from x and y"
        )

    unit, count = np.datetime_data(column.dtype)
    if column.dtype.kind == "M" and unit in "YM":  # of no even length
        column, unit, count = column.astype("M8[D]"), "D", 1

    ticks = column.astype(np.int64)
    return ticks, count * _NANOSECONDS.get(unit, 1), _TO_A_NANOSECOND.get(unit, 1)
