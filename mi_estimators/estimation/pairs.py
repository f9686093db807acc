"""Paired rows for an estimator: read, checked for dependence and copies, and shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..diagnostics.dependence import RowDependence, entropy, repeated_rows, row_dependence
from .grouping import Groups, group_labels
from .order import canonical_order, codes_of
from .sides import Rows, Side, check_pairs, fit_side


@dataclass(frozen=True)
class Sample:
    """Facts about the rows besides their values.

    Attributes:
        rows: their number.
        dependence: what their order shows; None if groups state which rows are independent.
        copies: number of rows that are exact copies of another, as `repeated_rows` counts them.
        entropies: for each side whose values all repeat, its entropy and the standard error, in nats.
        notes: what a user should know about the reading.
    """

    rows: int
    dependence: RowDependence | None
    copies: int
    entropies: dict[str, tuple[float, float]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pairs:
    """Paired rows, in an order that depends only on the set of rows and the seed.

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
    x: Rows, y: Rows, groups: Groups, *, discrete: str | None, seed: int
) -> tuple[tuple[Side, Side], Pairs]:
    """Read both sides for the first time.

    Raises:
        ValueError: as `fit_side`; sides of different lengths; groups that do not fit.
    """
    check_pairs(x, y)
    labels = discrete or ""
    side_x, rows_x = fit_side("x", x, discrete="x" in labels)
    side_y, rows_y = fit_side("y", y, discrete="y" in labels)
    sides = side_x, side_y
    return sides, _pairs(sides, rows_x, rows_y, groups, seed)


def paired_rows(
    x: Rows, y: Rows, discrete: str | None = None
) -> tuple[Float[Tensor, "n dx"], Float[Tensor, "n dy"]]:
    """Return both sides as float64 columns, in the order given.

    Raises:
        ValueError: as `fit_side`, or sides of different lengths.
    """
    check_pairs(x, y)
    rows_x, rows_y = (
        fit_side(name, value, discrete=name in (discrete or ""))[1]
        for name, value in (("x", x), ("y", y))
    )
    if len(rows_x) != len(rows_y):
        raise ValueError(f"y: expected as many rows as x ({len(rows_x)}), got {len(rows_y)}")
    return rows_x, rows_y


def read_pairs(sides: tuple[Side, Side], x: Rows, y: Rows, seed: int) -> Pairs:
    """Read fresh rows in the same way as those of `fit`.

    Raises:
        ValueError: as `Side.read`, or sides of different lengths.
    """
    check_pairs(x, y)
    return _pairs(sides, sides[0].read(x), sides[1].read(y), None, seed)


def _pairs(sides: tuple[Side, Side], x: Tensor, y: Tensor, groups: Groups, seed: int) -> Pairs:
    if len(x) != len(y):
        raise ValueError(f"y: expected as many rows as x ({len(x)}), got {len(y)}")
    labels = group_labels(groups, len(x))

    notes = tuple(note for side in sides for note in side.notes)
    sample = sample_of(x, y, groups is not None, notes)

    # Copies of a row are neighbours in the canonical order; a seeded shuffle separates them.
    order = canonical_order(x, y, labels)
    order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(seed))]
    return Pairs(x[order], y[order], _renumbered(labels[order]), order, sample)


def sample_of(x: Tensor, y: Tensor, grouped: bool, notes: tuple[str, ...] = ()) -> Sample:
    """Return facts about paired rows in the order given; `grouped` if groups state which rows are independent."""
    repeating = {
        name: entropy(codes)
        for name, rows in (("x", x), ("y", y))
        if int(torch.bincount(codes := codes_of(rows)).min()) > 1
    }
    return Sample(
        rows=len(x),
        dependence=None if grouped else row_dependence(x, y),
        copies=repeated_rows(x, y),
        entropies=repeating,
        notes=notes,
    )


def _renumbered(labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the labels numbered by their first appearance."""
    first = torch.full((int(labels.max()) + 1,), len(labels), dtype=torch.long)
    first = first.scatter_reduce(0, labels, torch.arange(len(labels)), "amin")
    return first.argsort().argsort()[labels]
