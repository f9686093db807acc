"""Paired rows for an estimator: read, checked for dependence and copies, and shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..diagnostics.dependence import RowDependence, row_dependence
from ..diagnostics.hashes import codes_of
from ..diagnostics.repeats import entropy, equal_entries, near_copies, repeated_rows
from ..diagnostics.subjects import few_measurements
from .grouping import Groups, group_labels
from .order import canonical_order, hash_rows
from .sides import Side, fit_side, survey
from .tables import Rows, Table, check_aligned


@dataclass(frozen=True)
class Sample:
    """Facts about the rows besides their values.

    Attributes:
        rows: number of rows that were read.
        dependence: what their order shows; None if groups state which rows are independent.
        copies: number of rows that are exact copies of another, as `repeated_rows` counts them.
        cluster: number of rows that lie close together, as `near_copies` counts them; 0 if there is no such cluster.
        subjects: for each side with a measured column of few values, as `few_measurements` finds them, how many.
        equal: number of rows in which a measured number of x stands in y, too, as `equal_entries` counts them.
        entropies: for each side whose values all repeat, its entropy and the standard error, in nats.
        notes: what a user should know about the reading.
    """

    rows: int
    dependence: RowDependence | None
    copies: int
    cluster: int
    subjects: dict[str, int]
    equal: int
    entropies: dict[str, tuple[float, float]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pairs:
    """The paired rows that were read, in an order that depends only on the set of rows and the seed.

    Attributes:
        x, y: shapes (n, dx) and (n, dy), float64.
        labels: the number of each row's group.
        order: the position of each row in the input.
        sample: other facts about the rows.
    """

    x: Float[Tensor, "n dx"]
    y: Float[Tensor, "n dy"]
    labels: Int[Tensor, " n"]
    order: Int[Tensor, " n"]
    sample: Sample


def fit_pairs(
    x: Rows,
    y: Rows,
    groups: Groups,
    *,
    discrete: str | None,
    seed: int,
    max_rows: int | None = None,
) -> tuple[tuple[Side, Side], Pairs]:
    """Look through both sides for the first time, and read at most `max_rows` rows, drawn at random.

    Raises:
        ValueError: as `survey`; sides of different lengths; groups that do not fit.
    """
    check_aligned({"x": x, "y": y, "groups": groups})
    labels = discrete or ""
    side_x, table_x = survey("x", x, discrete="x" in labels)
    side_y, table_y = survey("y", y, discrete="y" in labels)
    sides = side_x, side_y

    return sides, _pairs(sides, (table_x, table_y), groups, seed, max_rows)


def paired_rows(
    x: Rows,
    y: Rows,
    groups: Groups = None,
    *,
    discrete: str | None = None,
) -> tuple[Float[Tensor, "n dx"], Float[Tensor, "n dy"], Int[Tensor, " n"]]:
    """Return both sides as float64 columns and each row's group, in the order given.

    Raises:
        ValueError: as `fit_side`; sides of different lengths or indices; groups that do not fit.
    """
    check_aligned({"x": x, "y": y, "groups": groups})
    rows_x, rows_y = (
        fit_side(name, value, discrete=name in (discrete or ""))[1]
        for name, value in (("x", x), ("y", y))
    )
    _check_lengths(len(rows_x), len(rows_y))

    return rows_x, rows_y, group_labels(groups, len(rows_x))


def read_pairs(
    sides: tuple[Side, Side],
    x: Rows,
    y: Rows,
    groups: Groups,
    seed: int,
    max_rows: int | None = None,
) -> Pairs:
    """Read fresh rows in the same way as those of `fit`.

    Raises:
        ValueError: as `Side.read`, sides of different lengths, or groups that do not fit.
    """
    check_aligned({"x": x, "y": y})
    side_x, side_y = sides
    return _pairs(sides, (side_x.open(x), side_y.open(y)), groups, seed, max_rows)


def paired_fresh_rows(
    sides: tuple[Side, Side], x: Rows, y: Rows
) -> tuple[Float[Tensor, "n dx"], Float[Tensor, "n dy"]]:
    """Return fresh rows as float64 columns, in the order given.

    Raises:
        ValueError: as `Side.read`, or sides of different lengths.
    """
    check_aligned({"x": x, "y": y})
    rows_x, rows_y = sides[0].read(x), sides[1].read(y)
    _check_lengths(len(rows_x), len(rows_y))
    return rows_x, rows_y


def _check_lengths(x: int, y: int) -> None:
    if x != y:
        raise ValueError(f"y: expected as many rows as x ({x}), got {y}")


def _pairs(
    sides: tuple[Side, Side],
    tables: tuple[Table, Table],
    groups: Groups,
    seed: int,
    max_rows: int | None,
) -> Pairs:
    labels, order = draw_rows(sides, tables, groups, seed, max_rows)
    return pairs_of(sides, tables, labels, order, grouped=groups is not None)


def draw_rows(
    sides: Sequence[Side],
    tables: Sequence[Table],
    groups: Groups,
    seed: int,
    max_rows: int | None,
) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """Return each row's group, and which rows are read in which order: a function of the set of rows and the seed.

    Raises:
        ValueError: sides of different lengths, or groups that do not fit.
    """
    n = len(tables[0])
    for side, table in zip(sides, tables, strict=True):
        if len(table) != n:
            raise ValueError(
                f"{side.name}: expected as many rows as {sides[0].name} ({n}), got {len(table)}"
            )

    labels = group_labels(groups, n)

    def keys(rows: slice) -> np.ndarray:
        parts = [side.keys(table[rows]) for side, table in zip(sides, tables, strict=True)]
        return np.concatenate(parts, 1)

    # Copies of a row are neighbours in the canonical order; a seeded shuffle separates them.
    columns = keys(slice(0, 1)).shape[1]
    order = canonical_order(hash_rows(keys, n, columns), labels)
    generator = torch.Generator().manual_seed(seed)
    shuffled = torch.randperm(n, generator=generator)
    return labels, order[shuffled][:max_rows]


def pairs_of(
    sides: tuple[Side, Side],
    tables: tuple[Table, Table],
    labels: Int[Tensor, " n"],
    order: Int[Tensor, " m"],
    *,
    grouped: bool,
) -> Pairs:
    """Read the rows that were drawn; `grouped` if groups state which rows are independent."""
    # The rows are independent enough if a stretch of as many, side by side, is no more than a little dependent.
    n, read = len(labels), len(order)
    middle = slice((n - read) // 2, (n + read) // 2)
    x, y, near_x, near_y = (
        side.encode(table[rows])
        for rows in (order.numpy(), middle)
        for side, table in zip(sides, tables, strict=True)
    )

    notes = [note for side in sides for note in side.notes]
    if len(order) < n:
        notes.append(
            f"{len(order)} of {n} rows, drawn at random, were read; max_rows=None reads all of them"
        )

    sample = Sample(
        rows=len(order),
        dependence=None if grouped else row_dependence(near_x, near_y, len(order) / n),
        **_repeats(x, y, labels[order] if grouped else None),
        equal=equal_entries(x, y),
        entropies=_entropies(x, y),
        notes=tuple(notes),
    )

    return Pairs(x, y, _renumbered(labels[order]), order, sample)


def sample_of(
    x: Tensor,
    y: Tensor,
    labels: Int[Tensor, " n"] | None,
) -> Sample:
    """Return facts about paired rows in the order given; `labels` number their groups, if there are groups."""
    return Sample(
        rows=len(x),
        dependence=row_dependence(x, y) if labels is None else None,
        **_repeats(x, y, labels),
        equal=equal_entries(x, y),
        entropies=_entropies(x, y),
        notes=(),
    )


def _entropies(x: Tensor, y: Tensor) -> dict[str, tuple[float, float]]:
    """Return the entropy of each side whose values all repeat."""
    sides = {"x": repeating_entropy(x), "y": repeating_entropy(y)}
    return {name: value for name, value in sides.items() if value is not None}


def repeating_entropy(rows: Float[Tensor, "n d"]) -> tuple[float, float] | None:
    """Return the entropy of rows whose values all repeat and its standard error, in nats; None of other rows."""
    codes = codes_of(rows)
    return entropy(codes) if int(torch.bincount(codes).min()) > 1 else None


def _repeats(
    x: Tensor,
    y: Tensor,
    labels: Int[Tensor, " n"] | None,
) -> dict[str, Any]:
    """Return how rows repeat; of copies within a group, which stays in one fold, one counts."""
    if labels is None:
        subjects = {"x": few_measurements(x), "y": few_measurements(y)}
        return {
            "copies": repeated_rows(x, y),
            "cluster": near_copies(x, y),
            "subjects": {name: count for name, count in subjects.items() if count},
        }

    labelled = torch.cat([x, y, labels[:, None].double()], 1)
    first = _first(codes_of(labelled))
    return {"copies": repeated_rows(x[first], y[first]), "cluster": 0, "subjects": {}}


def one_of_each_group(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Return the first row of each group: independent rows, for a test that takes them for such."""
    first = _first(pairs.labels)
    return pairs.x[first], pairs.y[first]


def _first(codes: Int[Tensor, " n"]) -> Int[Tensor, " kinds"]:
    """Return where each code from 0 on appears first."""
    kinds = int(codes.max()) + 1
    places = torch.full((kinds,), len(codes))
    return places.scatter_reduce(0, codes, torch.arange(len(codes)), "amin")


def _renumbered(labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the labels numbered by their first appearance, without gaps."""
    return _first(labels).argsort(stable=True).argsort()[labels]
