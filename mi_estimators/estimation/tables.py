"""One side as it came: arrays, tensors, lists, Series and tables as columns that are not yet converted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from numbers import Real
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .labels import NUMBERS, Category, is_missing, label_texts, refuse_missing

_NESTED = (np.ndarray, Tensor, list, tuple)

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


@contextmanager
def guarded(name: str) -> Generator[None, None, None]:
    """Name the argument in whatever another library says while it converts rows.

    Raises:
        ValueError: in place of any error of the conversion; one that names the argument is left as it is.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith((f"{name}:", f"{name}[")):
            raise
        raise ValueError(
            f"{name}: expected numbers, text, dates or categories that numpy can hold, got an entry that it cannot"
            f" ({type(error).__name__}: {error}); convert the rows first"
        ) from error


def open_table(name: str, value: Rows) -> Table:
    """Return a value as columns.

    Raises:
        ValueError: a value that is no array, tensor, list or table, has missing or complex entries, or has two columns
            of one name.
    """
    with guarded(name):
        if isinstance(value, Tensor):
            return _of_array(name, array_of(name, value))
        if hasattr(value, "columns") and hasattr(value, "to_numpy"):
            refuse_twins(name, value.columns)
            return _of_parts(name, (value[column] for column in value.columns))
        if hasattr(value, "to_pandas") and not hasattr(value, "dtype"):  # Arrow's
            return open_table(name, value.to_pandas())
        if hasattr(value, "to_numpy"):
            column = _unnested(name, _of_series(value))
            return Table([column], (1,)) if column.ndim == 1 else _of_array(name, column)
        if isinstance(value, Mapping):
            parts = cast("Mapping[Any, Any]", value)
            check_aligned({f"{name}[{key!r}]": part for key, part in parts.items()})
            return _of_parts(name, parts.values())

        return _of_array(name, array_of(name, value))


def array_of(name: str, value: Rows) -> np.ndarray:
    """Return an array, a tensor or a list as an array.

    Raises:
        ValueError: anything else, masked entries, or rows of different lengths.
    """
    if isinstance(value, Tensor):
        return _of_tensor(name, value)
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ascontiguousarray(np.ma.getmaskarray(value))
        masked = int(mask.view(bool).sum())  # of each field, where there are fields
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

    return np.asarray(value) if isinstance(value, np.ndarray) else _of_sequence(name, value)


def check_aligned(rows: Mapping[str, Rows]) -> None:
    """Refuse tables whose indices differ: their rows may not belong together.

    Args:
        rows: what goes row by row together, by the names of arguments; a value without an index fits any.

    Raises:
        ValueError: indices that differ; the message names the two.
    """
    first, expected = "", None
    for name, value in rows.items():
        index = _index_of(value)
        if index is None:
            continue
        if expected is None:
            first, expected = name, index
        elif len(index) == len(expected) and not index.equals(expected):
            raise ValueError(
                f"{name}: expected the index of {first}, got a different one; align the two tables, or pass"
                f" {name}.to_numpy() if row k of {name} belongs to row k of {first}"
            )


def _index_of(value: Rows) -> Any:
    """Return the index of a table, that of its first column that has one for a mapping; None if there is none."""
    if isinstance(value, Mapping):
        parts = cast("Mapping[Any, Any]", value).values()
        return next((index for index in map(_index_of, parts) if index is not None), None)

    index = getattr(value, "index", None)
    return index if hasattr(index, "equals") else None


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
    if value.is_meta:
        raise ValueError(f"{name}: expected a tensor with entries, got one on the device meta")

    small = value.is_floating_point() and value.itemsize < 4  # types that numpy may lack
    return value.detach().to("cpu", torch.float32 if small else value.dtype).numpy()


def _of_sequence(name: str, value: Sequence[Any]) -> np.ndarray:
    parts = [
        array_of(name, entry) if isinstance(entry, Tensor | np.ma.MaskedArray) else entry
        for entry in value
    ]
    try:
        array = np.asarray(parts)
    except UnicodeDecodeError:  # bytes beside text
        array = np.array(parts, object)
    except ValueError:
        raise ValueError(f"{name}: expected rows of equal length, got different lengths") from None

    if array.dtype.kind in "US" and any(
        isinstance(entry, Real) for entry in np.ravel(np.array(parts, object))
    ):
        array = np.array(parts, object)  # numpy makes text of numbers beside labels

    return array


def _of_array(name: str, array: np.ndarray) -> Table:
    array = _unnested(name, array.astype(object) if array.dtype.kind == "T" else array)
    if array.ndim == 0 or 0 in array.shape[1:]:
        raise ValueError(f"{name}: expected shape (n,) or (n, d), got {array.shape}")
    if array.dtype.kind == "c":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if array.dtype.names is not None:  # an array of records
        return _of_parts(name, (array[field] for field in array.dtype.names))

    shape = array.shape[1:] or (1,)
    matrix = array.reshape(len(array), math.prod(shape))
    return Table(matrix if array.dtype.kind in NUMBERS else list(map(_timed, matrix.T)), shape)


def _unnested(name: str, array: np.ndarray) -> np.ndarray:
    """Return an array whose cells hold arrays of one shape, such as embeddings, as one array.

    Raises:
        ValueError: cells of different shapes, arrays beside anything else, or mappings.
    """
    if array.dtype.kind != "O":
        return array

    records = [type(cell).__name__ for cell in array.flat if isinstance(cell, Mapping | Set)]
    if records:
        raise ValueError(
            f"{name}: expected a number, text or array in each cell, got {records[0]}; pass a table of columns"
        )
    if not any(isinstance(cell, _NESTED) for cell in array.flat):
        return array

    refuse_missing(name, array.ravel())
    advice = "cut or fill them to one shape, or pass text if they are labels"
    others = {type(cell).__name__ for cell in array.flat if not isinstance(cell, _NESTED)}
    if others:
        raise ValueError(
            f"{name}: expected an array in each cell, got {', '.join(others)} beside arrays; {advice}"
        )

    cells = [array_of(name, cell) for cell in array.flat]
    shapes = sorted({cell.shape for cell in cells})
    if len(shapes) > 1:
        raise ValueError(
            f"{name}: expected cells of one shape, got {shapes[0]} and {shapes[1]}; {advice}"
        )

    return np.stack(cells).reshape(*array.shape, *shapes[0])


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
    if any(map(is_missing, labels)):
        return labels
    return np.array(list(map(Category, label_texts(labels))), object)


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
