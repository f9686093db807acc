"""One side of the pairs, x or y: turn arrays, tensors, lists, Series and tables into rows of float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .labels import Category, kinds_of, label_places, label_texts, refuse_missing, text_of_numbers
from .numeric import Extents, Origin, extents, extents_of, numbers
from .order import parts_of
from .tables import Rows, Table, guarded, open_table, typed

_FEWEST = 64  # rows
_FEW_TO_A_KIND = 5  # rows to a value, on average, from which whole numbers may be class labels
_SHOWN = 5  # entries that a message names


@dataclass(frozen=True)
class Side:
    """How one side was read when it was fitted, so that fresh rows are read in the same way.

    Attributes:
        name: "x" or "y", for messages.
        shape: of one input row, such as (d,) or (channels, height, width).
        kinds: for each input column, its labels in order; None for a column of numbers.
        origins: for each input column, what is subtracted from its numbers, exactly, before they are float64.
        kept: the columns that vary, counted after each label has become a column of 0 and 1.
        discrete: whether the whole side is one label.
        joined: whether each row is one label because the user asked for it.
        identifies: whether most rows have a label that no other row has.
        notes: what a user should know about the reading, one sentence each.
    """

    name: str
    shape: tuple[int, ...]
    kinds: tuple[np.ndarray | None, ...]
    origins: tuple[Origin, ...]
    kept: Int[Tensor, " kept"]
    discrete: bool
    joined: bool = False
    identifies: bool = False
    notes: tuple[str, ...] = field(default=())

    def read(self, value: Rows) -> Float[Tensor, "n d"]:
        """Return fresh rows as float64 columns.

        Raises:
            ValueError: columns or labels that `fit` has not seen, or entries that are not numbers.
        """
        return self.encode(self.open(value))

    def open(self, value: Rows) -> Table:
        """Return fresh rows as they came.

        Raises:
            ValueError: other columns than those of `fit`.
        """
        table = open_table(self.name, value)
        if table.shape != self.shape:
            raise ValueError(
                f"{self.name}: expected rows of shape {self.shape} as in fit, got {table.shape}"
            )

        return table.joined(self.name) if self.joined else table

    def encode(self, table: Table) -> Float[Tensor, "n d"]:
        """Return the rows of a table as float64 columns.

        Raises:
            ValueError: labels that `fit` has not seen, or entries that are not finite numbers.
        """
        with guarded(self.name):
            rows = torch.from_numpy(self._encoded(table))
        return rows if len(self.kept) == rows.shape[1] else rows[:, self.kept]

    def keys(self, table: Table) -> Float[np.ndarray, "n columns"]:
        """Return a number for each entry of a table, one column for each that varies: labels by their place."""
        widths = [1 if labels is None else len(labels) for labels in self.kinds]
        source = np.repeat(np.arange(len(widths)), widths)[self.kept.numpy()]
        if isinstance(table.columns, np.ndarray):
            return self._matrix(table.columns)[:, source]

        def key(k: int) -> np.ndarray:
            column, labels = table.columns[k], self.kinds[k]
            if labels is None:
                return numbers(self.name, column, self.origins[k])
            return _places(self.name, column, labels).astype(np.float64)

        return np.stack([key(k) for k in np.unique(source)], 1)

    def _encoded(self, table: Table) -> Float[np.ndarray, "n d"]:
        if isinstance(table.columns, np.ndarray):
            return np.ascontiguousarray(self._matrix(table.columns))

        parts = [
            numbers(self.name, column, origin)[:, None]
            if labels is None
            else np.eye(len(labels))[_places(self.name, column, labels)]
            for column, labels, origin in zip(table.columns, self.kinds, self.origins, strict=True)
        ]

        return np.concatenate(parts, 1)

    def _matrix(self, matrix: np.ndarray) -> Float[np.ndarray, "n d"]:
        values = numbers(self.name, matrix)
        for k in np.flatnonzero(self.origins):
            values[:, k] = numbers(self.name, matrix[:, k], self.origins[k])
        return values


def fit_side(
    name: str, value: Rows, *, discrete: bool = False
) -> tuple[Side, Float[Tensor, "n d"]]:
    """Read a side for the first time, all of its rows; as `survey`.

    >>> side, rows = fit_side("x", ["red", "green"] * 32)
    >>> rows[:2].tolist(), side.read(["green"]).tolist()
    ([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0]])
    """
    side, table = survey(name, value, discrete=discrete)
    return side, side.encode(table)


def survey(
    name: str,
    value: Rows,
    *,
    discrete: bool = False,
) -> tuple[Side, Table]:
    """Look through a side for the first time, some rows at a time.

    Numbers, booleans, dates and time spans of any library are read as numbers. Strings, categories and other objects
    are labels: each different label becomes a column of 0 and 1. Constant columns carry no information and are left
    out, with a note.

    Args:
        name: "x" or "y", for messages.
        value: n rows: an array or tensor of shape (n,) or (n, …), a list of rows, a Series or a table.
        discrete: whether each whole row is a label, whatever its entries are.

    Raises:
        ValueError: fewer than 64 rows, entries that are missing or not finite, or nothing that varies.
    """
    table = open_table(name, value)
    shape, width = table.shape, table.width
    if len(table) < _FEWEST:
        raise ValueError(f"{name}: expected at least {_FEWEST} rows, got {len(table)}")
    if discrete:
        table = table.joined(name)

    with guarded(name):
        kinds = tuple(_kinds(name, column) for column in typed(table))
        extents = _extents(name, table, kinds)
    if not extents.varies.any():
        advice = "; they differ by rounding alone: subtract an offset before they are stored"
        raise ValueError(
            f"{name}: expected a column that varies, got {len(extents.varies)} constant"
            f"{advice * bool(extents.rounded.any())}"
        )

    coded = [] if discrete or width > _SHOWN else _code_note(name, list(table), kinds)
    spelt = [] if discrete else _number_notes(name, table, kinds)
    is_label = discrete or (width == 1 and kinds[0] is not None)
    kept = torch.from_numpy(np.flatnonzero(extents.varies))
    lone = _lone_rows(name, table, kinds)
    notes = (*_extent_notes(name, extents), *coded, *spelt, *_lone_note(name, lone, len(table)))
    identifies = 2 * lone > len(table)
    origins = extents.origins
    return Side(name, shape, kinds, origins, kept, is_label, discrete, identifies, notes), table


def beside(
    first: tuple[Side, Table],
    second: tuple[Side, Table],
) -> tuple[Side, Table]:
    """Return two sides as one, for rows that have been read once."""
    (side, table), (other, more) = first, second
    width = sum(1 if labels is None else len(labels) for labels in side.kinds)
    joint = Side(
        name=f"{side.name}, {other.name}",
        shape=(len(side.kinds) + len(other.kinds),),
        kinds=(*side.kinds, *other.kinds),
        origins=(*side.origins, *other.origins),
        kept=torch.cat([side.kept, other.kept + width]),
        discrete=False,
        notes=(*side.notes, *other.notes),
    )

    return joint, Table([*table, *more], joint.shape)


def _kinds(name: str, column: np.ndarray) -> np.ndarray | None:
    """Return the labels of a column in order, None for one of numbers."""
    if column.dtype.kind in "biufmM":
        return None
    if column.dtype.kind == "O":
        refuse_missing(name, column)
        if all(isinstance(entry, Real | Decimal) for entry in column):
            return None

    return kinds_of(name, column)


def _places(name: str, column: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return the place of each label among the kinds."""
    places, unknown = label_places(column, kinds)
    if len(unknown):
        raise ValueError(f"{name}: expected labels seen in fit, got {_list(unknown)}")
    return places


def _extents(
    name: str,
    table: Table,
    kinds: Sequence[np.ndarray | None],
) -> Extents:
    """Return how far encoded columns reach, looking at some rows of a matrix at a time; one origin an input column."""
    if isinstance(table.columns, np.ndarray):
        matrix = table.columns
        low, high = matrix[0], matrix[0]
        for rows in parts_of(len(table), table.width):
            numbers(name, matrix[rows])  # all are finite
            low = np.minimum(low, matrix[rows].min(0))
            high = np.maximum(high, matrix[rows].max(0))
        return extents(low, high)

    parts: list[Extents] = []
    for column, labels in zip(table.columns, kinds, strict=True):
        if labels is None:
            parts.append(extents_of(name, column))
        else:
            several, none = np.full(len(labels), len(labels) > 1), np.zeros(len(labels), bool)
            parts.append(Extents(several, none, none, (0,)))

    return Extents(
        varies=np.concatenate([part.varies for part in parts]),
        rounded=np.concatenate([part.rounded for part in parts]),
        faint=np.concatenate([part.faint for part in parts]),
        origins=tuple(origin for part in parts for origin in part.origins),
    )


def varying(rows: Float[Tensor, "n d"]) -> Tensor:
    """Tell which columns vary beyond rounding."""
    low, high = rows.aminmax(dim=0)
    return torch.from_numpy(extents(low.numpy(), high.numpy()).varies)


def _extent_notes(name: str, extents: Extents) -> list[str]:
    """Note columns that were left out because they do not vary, or that vary by very little."""
    texts = {
        "do not vary; they carry no information and were left out": ~extents.varies
        & ~extents.rounded,
        "vary by the rounding of their type alone and were left out; if it is more than that, subtract an offset"
        " before they are stored": extents.rounded,
        "vary by less than 10⁻¹² of their size; leave them out if that is rounding": extents.faint,
    }

    return [
        f"{name}: column(s) {_list(np.flatnonzero(chosen))} {text}"
        for text, chosen in texts.items()
        if chosen.any()
    ]


def _code_note(
    name: str, columns: list[np.ndarray], kinds: Sequence[np.ndarray | None]
) -> list[str]:
    """Note a column of whole numbers that may be class labels but was read as numbers."""
    for k, (column, labels) in enumerate(zip(columns, kinds, strict=True)):
        if labels is not None or column.dtype.kind not in "iuf":
            continue

        values = np.unique(column)
        rounded = np.round(values.astype(np.float64))
        whole = bool((values == rounded).all())
        if whole and 3 <= len(values) <= len(column) / _FEW_TO_A_KIND:
            return [
                f"{name}: the {len(values)} whole numbers of column {k} were read as numbers, in their order; pass "
                f'discrete="{name}" if they are class labels'
            ]

    return []


def _number_notes(name: str, table: Table, kinds: Sequence[np.ndarray | None]) -> list[str]:
    """Note columns of text that are mostly numbers but were read as labels."""
    notes: list[str] = []
    declare = f', or discrete="{name}" if they are labels' if table.width == 1 else ""
    for k, (column, labels) in enumerate(zip(table, kinds, strict=True)):
        if labels is None or isinstance(column[0], Category):
            continue

        texts = label_texts(column)
        spelt = text_of_numbers(texts)
        if spelt is not None:
            count, stray = spelt
            row = (
                "" if stray is None else f"; {str(texts[stray])!r} in row {stray} (from 0) is none"
            )
            notes.append(
                f"{name}: column {k} was read as labels, though {count} of its {len(texts)} entries look like numbers"
                f"{row}; pass numbers{declare}"
            )

    return notes


def _lone_rows(name: str, table: Table, kinds: Sequence[np.ndarray | None]) -> int:
    """Return the number of rows whose labels, taken together, no other row has; 0 where they cannot be most rows."""
    combinations = math.prod(0 if labels is None else len(labels) for labels in kinds)
    if 2 * combinations <= len(table):
        return 0

    (labels,) = table.joined(name)
    return int((np.unique(labels, return_counts=True)[1] == 1).sum())


def _lone_note(name: str, lone: int, rows: int) -> list[str]:
    if lone <= rows // 2:
        return []
    return [
        f"{name}: {lone} of {rows} rows have a label that no other row has. What it tells cannot be tested on other"
        " rows; leave identifiers out, or merge rare labels"
    ]


def _list(values: Sequence[Any] | np.ndarray) -> str:
    shown = ", ".join(map(str, values[:_SHOWN]))
    return shown if len(values) <= _SHOWN else f"{shown} and {len(values) - _SHOWN} more"
