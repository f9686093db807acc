"""What makes two labels one: an equal value, whatever its type; and which entries are no value at all."""

from __future__ import annotations

import re
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, cast

import numpy as np

NUMBERS = "biuf"  # kinds of numpy types that are numbers as they stand
_MOST = 1000  # different labels at most, since each becomes a column
_CODES = 20  # texts of digits at most that are labels beyond doubt

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
_SPELT = re.compile(r"[+-]?(\d*,\d+|\d{1,3}([., ']\d{3})+([.,]\d+)?)", re.ASCII)


class Category(str):
    """A label whose column says that it is one, though it may be a number."""


def is_missing(entry: Any) -> bool:
    """Tell whether an entry stands for no value: None, NaN, NaT, or pandas' NA."""
    try:
        return entry is None or bool(entry != entry)
    except (ValueError, RuntimeError):  # an array or a tensor, which is many values
        return False
    except (TypeError, ArithmeticError):  # pandas' NA has no truth value, a signalling NaN no order
        return True


def refuse_missing(name: str, column: np.ndarray) -> None:
    """Refuse a column with entries that stand for no value.

    Raises:
        ValueError: such entries; the message counts them.
    """
    is_object = column.dtype.kind == "O"
    missing = sum(map(is_missing, column)) if is_object else int(np.sum(column != column))
    if missing:
        raise ValueError(
            f"{name}: expected no missing entries, got {missing}; remove these rows from x and y"
        )


def label_texts(column: np.ndarray) -> np.ndarray:
    """Return each entry as text that is the same for equal values.

    Numbers go by value, so that −0.0 is 0, and 1.0 is 1 and True. Dates go by time, whatever their unit. Text goes by
    its letters. A number and the text that writes it shortest, 1 and "1", are one label.

    >>> label_texts(np.array([-0.0, 0.0, 1.0, 1.5])).tolist()
    ['0', '0', '1', '1.5']
    >>> label_texts(np.array([True, 1.0, "1.0", b"b"], object)).tolist()
    ['1', '1', '1.0', 'b']
    """
    if column.dtype.kind in NUMBERS + "mM":
        values, places = np.unique(column, return_inverse=True)
        if column.dtype.kind in "mM":
            return _times(values)[places]
        return np.array([_text(value) for value in values.tolist()], str)[places]
    if column.dtype.kind in "OS":
        return np.array([_text(entry) for entry in column], str)

    return column.astype(str)


def kinds_of(name: str, column: np.ndarray) -> np.ndarray:
    """Return the labels of a column in order.

    Raises:
        ValueError: too many of them.
    """
    kinds = np.unique(label_texts(column))
    if len(kinds) > _MOST:
        raise ValueError(
            f"{name}: expected at most {_MOST} different labels, got {len(kinds)}; merge rare ones, or pass numbers as"
            " numbers, not as text"
        )

    return kinds


def is_number(text: str) -> bool:
    """Tell whether text is a number in plain digits, with a decimal point; 1_2, which Python reads as 12, is none."""
    return _NUMBER.fullmatch(text.strip()) is not None


def text_of_numbers(texts: np.ndarray) -> tuple[int, int | None] | None:
    """Return how many texts look like numbers and where the first stands that is none; None if no more than half do.

    Numbers with a decimal comma look like numbers, and are none.

    >>> text_of_numbers(np.array(["0.5", "<0.1", "0.7"]))
    (2, 1)
    """
    values, places, counts = np.unique(texts, return_index=True, return_counts=True)
    plain = np.array([is_number(value) for value in values.tolist()])
    spelt = np.array([_SPELT.fullmatch(value.strip()) is not None for value in values.tolist()])
    count = int(counts[plain | spelt].sum())
    if 2 * count <= len(texts) or (plain.all() and len(values) <= _CODES):
        return None

    return count, None if plain.all() else int(places[~plain].min())


def label_places(column: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each label among the kinds, and the labels that are not among them.

    A fraction that was stored in float32 is the label that it was rounded from, and the other way round, where that is
    one label alone.

    >>> places, unknown = label_places(np.float32([0.1, 0.5, 7.0]), kinds_of("x", np.array([0.1, 0.5])))
    >>> places.tolist(), unknown.tolist()
    ([0, 1, 1], ['7'])
    """
    values, entries = np.unique(label_texts(column), return_inverse=True)
    places = np.searchsorted(kinds, values).clip(max=len(kinds) - 1)

    unknown = np.flatnonzero(kinds[places] != values)
    if len(unknown):
        exact, rounded = _floats(values[unknown])
        wide, narrow = _floats(kinds)
        # If neither is a number of float32, float64 tells them apart.
        same = (rounded[:, None] == narrow) & ((exact == rounded)[:, None] | (wide == narrow))
        single = same.sum(1) == 1
        places[unknown[single]] = same[single].argmax(1)
        unknown = unknown[~single]

    return places[entries], values[unknown]


def _floats(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return fractions that `label_texts` wrote, and their roundings to float32; NaN for any other text."""

    def fraction(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            return np.nan
        return number if repr(number) == text and np.isfinite(number) else np.nan

    exact = np.array([fraction(text) for text in texts.tolist()])
    with np.errstate(over="ignore"):
        return exact, exact.astype(np.float32).astype(float)


def _text(entry: Any) -> str:
    if isinstance(entry, bytes):
        return entry.decode(errors="surrogateescape")  # one to one
    if not isinstance(entry, Real | Decimal | np.bool_):
        return str(entry)

    value = cast(Any, entry)
    if isinstance(entry, Integral | np.bool_):
        return str(int(value))
    number = float(value)
    return str(int(value)) if np.isfinite(number) and value == int(value) else repr(number)


def _times(values: np.ndarray) -> np.ndarray:
    """Return moments as text in the coarsest unit that holds them, and time spans as moments since 1970."""
    if values.dtype.kind == "M":
        return np.datetime_as_string(values, unit="auto")

    unit, _ = np.datetime_data(values.dtype)
    if unit == "generic":
        return values.astype(np.int64).astype(str)
    epoch = np.zeros((), f"M8[{unit}]")
    return np.char.add("+", np.datetime_as_string(epoch + values, unit="auto"))
