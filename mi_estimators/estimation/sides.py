"""One side of the pairs, x or y: turn arrays, tensors, lists, Series and tables into rows of float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_FEWEST = 64
_NARROW = 1e-12  # of a column's size: a spread below it is rounding
_LABELS = 1000  # different labels at most, since each becomes a column
_FEW_TO_A_KIND = 5  # rows to a value, on average, from which whole numbers may be class labels
_SHOWN = 5

Rows = Any
"""An array, a tensor, a list, a Series or a table of columns."""


@dataclass(frozen=True)
class Side:
    """How one side was read when it was fitted, so that fresh rows are read in the same way.

    Attributes:
        name: "x" or "y", for messages.
        shape: of one input row, such as (d,) or (channels, height, width).
        kinds: for each input column, its labels in order; None for a column of numbers.
        kept: the columns that vary, counted after each label has become a column of 0 and 1.
        discrete: whether the whole side is one label.
        joined: whether each row is one label because the user asked for it.
        notes: what a user should know about the reading, one sentence each.
    """

    name: str
    shape: tuple[int, ...]
    kinds: tuple[np.ndarray | None, ...]
    kept: Int[Tensor, " kept"]
    discrete: bool
    joined: bool = False
    notes: tuple[str, ...] = field(default=())

    def read(self, value: Rows) -> Float[Tensor, "n d"]:
        """Return fresh rows as float64 columns.

        Raises:
            ValueError: columns or labels that `fit` has not seen, or entries that are not numbers.
        """
        columns, shape = _columns(self.name, value)
        if shape != self.shape:
            raise ValueError(
                f"{self.name}: expected rows of shape {self.shape} as in fit, got {shape}"
            )
        if self.joined:
            columns = [_joined(columns)]
        return _encoded(self.name, columns, self.kinds)[:, self.kept]


def fit_side(
    name: str, value: Rows, *, discrete: bool = False
) -> tuple[Side, Float[Tensor, "n d"]]:
    """Read a side for the first time.

    Numbers, booleans, dates and time spans are read as numbers. Strings, categories and other objects are labels: each
    different label becomes a column of 0 and 1. Constant columns carry no information and are left out, with a note.

    Args:
        name: "x" or "y", for messages.
        value: n rows: an array or tensor of shape (n,) or (n, …), a list of rows, a Series or a table.
        discrete: whether each whole row is a label, whatever its entries are.

    Raises:
        ValueError: fewer than 64 rows, entries that are missing or not finite, or nothing that varies.

    >>> side, rows = fit_side("x", ["red", "green"] * 32)
    >>> rows[:2].tolist(), side.read(["green"]).tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0]])
    """
    columns, shape = _columns(name, value)
    if len(columns[0]) < _FEWEST:
        raise ValueError(f"{name}: expected at least {_FEWEST} rows, got {len(columns[0])}")
    if discrete:
        columns = [_joined(columns)]

    kinds = tuple(_kinds(name, column) for column in columns)
    rows = _encoded(name, columns, kinds)
    varies = varying(rows)
    if not bool(varies.any()):
        raise ValueError(f"{name}: expected a column that varies, got {len(varies)} constant")

    notes = [
        *_constant_note(name, varies),
        *([] if discrete else _code_note(name, columns, kinds)),
    ]
    is_label = discrete or (len(columns) == 1 and kinds[0] is not None)
    kept = varies.nonzero().flatten()
    side = Side(name, shape, kinds, kept, is_label, discrete, tuple(notes))
    return side, rows[:, kept]


def check_pairs(x: Rows, y: Rows) -> None:
    """Refuse two tables whose indices differ: their rows may not belong together.

    Raises:
        ValueError: indices that differ.
    """
    first, second = (getattr(value, "index", None) for value in (x, y))
    if not (hasattr(first, "equals") and hasattr(second, "equals")):
        return
    if len(x) == len(y) and not cast(Any, first).equals(second):
        raise ValueError(
            "y: expected the index of x, got a different one; align the two tables, or pass y.to_numpy() if row k of y "
            "belongs to row k of x"
        )


def _columns(name: str, value: Rows) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Return the columns of a value as they came, and the shape of one row."""
    if isinstance(value, Tensor):
        return _of_array(name, _of_tensor(name, value))
    if hasattr(value, "columns") and hasattr(value, "to_numpy"):
        columns = [_of_series(value[column]) for column in value.columns]
        if not columns:
            raise ValueError(f"{name}: expected at least one column, got a table without columns")
        return columns, (len(columns),)
    if hasattr(value, "to_numpy"):
        return [_of_series(value)], (1,)
    if isinstance(value, np.ma.MaskedArray):
        masked = int(np.ma.getmaskarray(value).sum())
        if masked:
            raise ValueError(
                f"{name}: expected no missing entries, got {masked} masked; remove these rows from x and y"
            )
        value = value.data
    if hasattr(value, "toarray"):
        raise ValueError(
            f"{name}: expected a dense array, got {type(value).__name__}; pass its toarray()"
        )
    if not isinstance(value, np.ndarray | Sequence) or isinstance(value, str | bytes):
        raise ValueError(
            f"{name}: expected rows as an array, tensor, list or table, got {type(value).__name__}"
        )
    return _of_array(name, _as_array(name, value))


def _of_tensor(name: str, value: Tensor) -> np.ndarray:
    if value.layout != torch.strided:
        raise ValueError(f"{name}: expected a dense tensor, got layout {value.layout}")
    if value.is_complex():
        raise ValueError(f"{name}: expected real numbers, got dtype {value.dtype}")
    exact = value.dtype if not value.is_floating_point() else torch.float64
    return value.detach().to("cpu", exact).numpy()


def _as_array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected rows of equal length, got different lengths") from None
    if array.dtype.kind == "U" and any(
        isinstance(entry, Real) for entry in np.ravel(np.array(value, object))
    ):
        array = np.array(value, object)  # numpy makes text of numbers beside labels
    return array


def _of_array(name: str, array: np.ndarray) -> tuple[list[np.ndarray], tuple[int, ...]]:
    if array.ndim == 0 or 0 in array.shape[1:]:
        raise ValueError(f"{name}: expected shape (n,) or (n, d), got {array.shape}")
    if array.dtype.kind == "c":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    shape = array.shape[1:] or (1,)
    return list(array.reshape(len(array), math.prod(shape)).T), shape


def _of_series(series: Any) -> np.ndarray:
    """Return a column of a table; categories stay labels, also where they are numbers."""
    values = series.to_numpy()
    is_category = hasattr(getattr(series, "dtype", None), "categories")
    return values.astype(object).astype(str) if is_category else values


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    """Return each row as one label."""
    if len(columns) == 1:
        return columns[0].astype(str)
    parts = [column.astype(str) for column in columns]
    return np.array(
        ["\x1f".join(row) for row in zip(*parts, strict=True)]
    )  # a separator that no label has


def _kinds(name: str, column: np.ndarray) -> np.ndarray | None:
    """Return the labels of a column in order, None for one of numbers."""
    if column.dtype.kind in "biufmM":
        return None
    if column.dtype.kind == "O":
        missing = sum(entry is None or entry != entry for entry in column)
        if missing:
            raise ValueError(
                f"{name}: expected no missing entries, got {missing}; remove these rows from x and y"
            )
        if all(isinstance(entry, Real) for entry in column):
            return None
    kinds = np.unique(column.astype(str))
    if len(kinds) > _LABELS:
        raise ValueError(
            f"{name}: expected at most {_LABELS} different labels, got {len(kinds)}; merge rare ones"
        )
    return kinds


def _encoded(
    name: str, columns: list[np.ndarray], kinds: Sequence[np.ndarray | None]
) -> Float[Tensor, "n d"]:
    parts = [
        _numbers(name, column) if labels is None else _indicators(name, column, labels)
        for column, labels in zip(columns, kinds, strict=True)
    ]
    return torch.from_numpy(np.concatenate(parts, 1))


def _numbers(name: str, column: np.ndarray) -> np.ndarray:
    if column.dtype.kind in "mM":
        if np.isnat(column).any():
            raise ValueError(f"{name}: expected no missing entries, got NaT")
        column = column.astype(f"{column.dtype.kind}8[ns]").astype(np.int64)
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected real numbers, got dtype {column.dtype}") from None
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"{name}: expected finite entries, got NaN or infinity; remove these rows from x and y"
        )
    return numbers[:, None]


def _indicators(name: str, column: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return a column of 0 and 1 for each kind."""
    labels = column.astype(str)
    places = np.searchsorted(kinds, labels).clip(max=len(kinds) - 1)
    unknown = np.unique(labels[kinds[places] != labels])
    if len(unknown):
        raise ValueError(f"{name}: expected labels seen in fit, got {_list(unknown)}")
    return np.eye(len(kinds))[places]


def varying(rows: Float[Tensor, "n d"]) -> Tensor:
    """Tell which columns vary beyond rounding."""
    size = rows.abs().amax(0)
    scaled = rows / size.where(size > 0, 1)  # so that no square overflows
    return (rows != rows[:1]).any(0) & (scaled.std(0) >= _NARROW)


def _constant_note(name: str, varies: Tensor) -> list[str]:
    constant = (~varies).nonzero().flatten().tolist()
    if not constant:
        return []
    return [
        f"{name}: column(s) {_list(constant)} do not vary; they carry no information and were left out"
    ]


def _code_note(
    name: str, columns: list[np.ndarray], kinds: Sequence[np.ndarray | None]
) -> list[str]:
    """Note a column of whole numbers that may be class labels but was read as numbers."""
    for k, (column, labels) in enumerate(zip(columns, kinds, strict=True)):
        if labels is not None or column.dtype.kind not in "iuf" or len(columns) > _SHOWN:
            continue
        values = np.unique(column)
        whole = bool((values == np.round(values.astype(np.float64))).all())
        if whole and 3 <= len(values) <= len(column) / _FEW_TO_A_KIND:
            return [
                f"{name}: the {len(values)} whole numbers of column {k} were read as numbers, in their order; pass "
                f'discrete="{name}" if they are class labels'
            ]
    return []


def _list(values: Sequence[Any] | np.ndarray) -> str:
    shown = ", ".join(map(str, values[:_SHOWN]))
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"
