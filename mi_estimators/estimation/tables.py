"""One side as it came: arrays, tensors, lists, Series and tables as columns that are not yet converted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from numbers import Real
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .labels import NUMBERS, is_missing, label_texts, refuse_missing

Rows = Any
"""An array, a tensor, a list, a Series, or a table or mapping of columns."""


@dataclass(frozen=True)
class Table:
    """One side as it came, not yet converted: rows that are not read stay where they are, such as in a memory map.

    Attributes:
        columns: numbers of one type, shape (n, d); or a list of columns.
        shape: of one input row.
    """

    columns: np.ndarray | list[np.ndarray]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        if isinstance(self.columns, np.ndarray):
            return len(self.columns)
        return len(self.columns[0])

    @property
    def width(self) -> int:
        """The number of columns."""
        if isinstance(self.columns, np.ndarray):
            return self.columns.shape[1]
        return len(self.columns)

    def __getitem__(self, rows: slice | np.ndarray) -> Table:
        """Return some of the rows."""
        if isinstance(self.columns, np.ndarray):
            return Table(self.columns[rows], self.shape)
        return Table([column[rows] for column in self.columns], self.shape)

    def joined(self, name: str) -> Table:
        """Return the table with one label for each row.

        Raises:
            ValueError: missing entries, which are no labels.
        """
        for column in self:
            refuse_missing(name, column)
        return Table([_joined(list(self))], self.shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over columns."""
        return iter(self.columns.T if isinstance(self.columns, np.ndarray) else self.columns)


def open_table(name: str, value: Rows) -> Table:
    """Return a value as columns.

    Raises:
        ValueError: a value that is no array, tensor, list or table, has missing or complex entries, or has two columns
            of one name.
    """
    if isinstance(value, Tensor):
        return _of_array(name, _of_tensor(name, value))
    if hasattr(value, "columns") and hasattr(value, "to_numpy"):
        refuse_twins(name, value.columns)
        return _of_parts(name, (value[column] for column in value.columns))
    if hasattr(value, "to_pandas") and not hasattr(value, "dtype"):  # Arrow's
        return open_table(name, value.to_pandas())
    if hasattr(value, "to_numpy"):
        column = _of_series(value)
        return Table([column], (1,)) if column.ndim == 1 else _of_array(name, column)
    if isinstance(value, Mapping):
        return _of_parts(name, cast("Mapping[Any, Any]", value).values())
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


def refuse_twins(name: str, columns: Iterable[Any]) -> None:
    """Refuse two columns of one name, since a table returns both of them for it.

    Raises:
        ValueError: such columns; the message names the first.
    """
    twins = [label for label, count in Counter(columns).items() if count > 1]
    if twins:
        raise ValueError(
            f"{name}: expected distinct column names, got {twins[0]!r} twice; rename or drop one"
        )


def _of_parts(name: str, parts: Iterable[Rows]) -> Table:
    """Return parts side by side as one table."""
    columns = [column for part in parts for column in open_table(name, part)]
    if not columns:
        raise ValueError(f"{name}: expected at least one column, got a table without columns")
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(f"{name}: expected columns of one length, got {lengths}")
    return Table(columns, (len(columns),))


def _of_tensor(name: str, value: Tensor) -> np.ndarray:
    if value.layout != torch.strided:
        raise ValueError(f"{name}: expected a dense tensor, got layout {value.layout}")
    if value.is_complex():
        raise ValueError(f"{name}: expected real numbers, got dtype {value.dtype}")
    exact = torch.float32 if value.dtype in (torch.bfloat16, torch.float16) else value.dtype

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


def _of_array(name: str, array: np.ndarray) -> Table:
    if array.ndim == 0 or 0 in array.shape[1:]:
        raise ValueError(f"{name}: expected shape (n,) or (n, d), got {array.shape}")
    if array.dtype.kind == "c":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.dtype.names is not None:  # an array of records
        return _of_parts(name, (array[field] for field in array.dtype.names))

    shape = array.shape[1:] or (1,)
    matrix = array.reshape(len(array), math.prod(shape))
    return Table(matrix if array.dtype.kind in NUMBERS else list(map(_timed, matrix.T)), shape)


def typed(table: Table) -> Iterable[np.ndarray]:
    """Return the columns; of a matrix of numbers, an empty one of its type for each."""
    if isinstance(table.columns, np.ndarray):
        return [table.columns[:0, 0]] * table.width
    return table.columns


def _of_series(series: Any) -> np.ndarray:
    """Return a column of a table; categories stay labels, also where they are numbers."""
    values = series.to_numpy()
    is_category = hasattr(getattr(series, "dtype", None), "categories")
    if not is_category:
        return _timed(values)
    labels = values.astype(object)
    return labels if any(map(is_missing, labels)) else label_texts(labels)


def _timed(column: np.ndarray) -> np.ndarray:
    """Return dates, times of any zone, periods and time spans as numpy's; another column as it is."""
    if column.dtype.kind != "O" or any(map(is_missing, column)):
        return column
    starts = [entry.to_timestamp() if hasattr(entry, "to_timestamp") else entry for entry in column]
    if all(isinstance(entry, timedelta) for entry in starts):
        return np.array(starts, "m8[us]")
    if not all(isinstance(entry, date) for entry in starts):
        return column
    return np.array([_universal(entry) for entry in starts], "M8[us]")


def _universal(moment: date) -> date:
    """Return a moment of any time zone as one of universal time, without a zone."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None)


def _joined(columns: list[np.ndarray]) -> np.ndarray:
    """Return each row as one label."""
    if len(columns) == 1:
        return label_texts(columns[0])
    parts = [label_texts(column) for column in columns]

    # A separator that no label has.
    return np.array(["\x1f".join(row) for row in zip(*parts, strict=True)])
