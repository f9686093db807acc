"""Marginal transforms: maps of x alone and of y alone, learned on training rows.

Mutual information does not change under an injective map of either variable, and no map of either can raise it (data
processing). So a critic may look at transformed columns, and its held-out value is still about I(X; Y). A transform
only decides how easy the critic's task is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from .sides import Side

_WAVES = 8  # cosines of a single column's rank
_UNIFORM = 2.2  # √n times Kolmogorov's distance, which one uniform column of 10 000 exceeds

Rows = Float[Tensor, "n d"]
"""n rows of d columns."""

Margin = Literal["rank", "standard", "even"]
"""What columns are: normal scores; standardised; or uniform ones through their ends and others standardised."""


def middle_ranks(
    ordered: Float[Tensor, "*batch n"], values: Float[Tensor, "*batch m"]
) -> Float[Tensor, "*batch m"]:
    """Return the positions of values among ordered ones, in (0, 1): the middle of the ranks of equal entries."""
    below = torch.searchsorted(ordered, values, side="left")
    upto = torch.searchsorted(ordered, values, side="right")
    return (below + upto).to(ordered.dtype) / (2 * ordered.shape[-1])


class Identity(nn.Module):
    """Leave the columns as they are."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        single = rows.float()
        overflows = (~torch.isfinite(single)).any(0)
        rounds_off = (single == single[:1]).all(0) & (rows != rows[:1]).any(0)
        lost = overflows | rounds_off
        if bool(lost.any()):
            columns = lost.nonzero().flatten().tolist()
            raise ValueError(
                f"transform: expected columns that float32 can hold, got column(s) {columns} that it cannot; use 'rank'"
            )

    def forward(self, rows: Rows) -> Rows:
        """Return the rows in float32."""
        return rows.float()


class _Scaled(nn.Module):
    """Subtract a mean and divide by a scale, both of rows over their size: no sum or square of these overflows."""

    size: Tensor
    mean: Tensor
    scale: Tensor

    def forward(self, rows: Rows) -> Rows:
        """Return the scaled rows in float32."""
        return ((rows / self.size - self.mean) / self.scale).float()


class Standard(_Scaled):
    """Subtract each column's mean and divide by its standard deviation, both of the rows it is made from.

    A column that is constant there becomes zero everywhere: no critic can have learned from it.
    """

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        size = rows.abs().amax(0)
        self.register_buffer("size", size.where(size > 0, 1))
        rows = rows / self.size
        self.register_buffer("mean", rows.mean(0))
        scale = rows.std(0, correction=0)
        self.register_buffer("scale", scale.where(scale > 0, torch.inf))


class OneScale(_Scaled):
    """Subtract each column's mean, and divide all by one scale: distances keep their meaning, as in pictures."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        size = rows.abs().max()
        self.register_buffer("size", size.where(size > 0, 1))
        rows = rows / self.size
        self.register_buffer("mean", rows.mean(0))
        variance = (rows - self.mean).square().mean()
        self.register_buffer("scale", variance.sqrt().where(variance > 0, 1))


class Rank(nn.Module):
    """Send each column through its empirical distribution function to normal scores, Φ⁻¹ of the mid-rank.

    Between the rows it is made from the map is linear, and beyond them constant. Where it merges values it can only
    lower the information. It removes heavy tails, and any monotone distortion of a column.

    >>> Rank(torch.tensor([[1.0], [1e9], [-3.0]], dtype=torch.float64))(torch.tensor([[1.0], [1e12]]))
    tensor([[0.0000],
            [0.9674]])
    """

    knots: Tensor
    levels: Tensor

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        knots = rows.T.contiguous().sort(-1).values
        self.register_buffer("knots", knots)
        self.register_buffer("levels", torch.special.ndtri(middle_ranks(knots, knots)))

    def forward(self, rows: Rows) -> Rows:
        """Return normal scores in float32."""
        values = rows.T.to(self.knots).contiguous()
        last = self.knots.shape[-1] - 1
        right = torch.searchsorted(self.knots, values).clamp_max(last)
        left = (right - 1).clamp_min(0)

        start, end = (self.knots.gather(-1, place) for place in (left, right))
        width = end / 2 - start / 2  # halves, since a whole width may overflow
        share = (values / 2 - start / 2) / width.where(width > 0, 1)

        # From the right knot on the level is that knot's, even where the width is zero or lost in rounding.
        share = share.clamp(0, 1).where(values < end, 1)
        low, high = (self.levels.gather(-1, place) for place in (left, right))
        return torch.lerp(low, high, share).T.float()


class Robust(nn.Module):
    """Send each column to asinh(1.35 (v − median)/IQR): linear near the median, logarithmic in the tails.

    Where half of a column is one value, the standard deviation serves in place of IQR/1.35.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        ordered, last = rows.double().sort(0).values, len(rows) - 1
        low, middle, high = (ordered[round(q * last)] for q in (0.25, 0.5, 0.75))

        size = rows.abs().amax(0).clamp_min(torch.finfo(torch.float64).tiny)
        spread = (rows / size).std(0) * size  # no square overflows
        width = (high - low) / 1.35
        width = width.where(width > 1e-6 * spread, spread)
        self.register_buffer("centre", middle)
        self.register_buffer("scale", width.where(width > 0, torch.inf))

    def forward(self, rows: Rows) -> Rows:
        """Return the scaled rows in float32."""
        return torch.asinh((rows - self.centre) / self.scale).float()


class Shaped(nn.Module):
    """Put rows back into their own shape, such as that of pictures, at one scale; entries that do not vary are 0.

    Args:
        rows: what the scale is made from.
        side: how the rows were read.
    """

    def __init__(self, rows: Rows, side: Side) -> None:
        super().__init__()
        self.scale, self.shape, self.kept = OneScale(rows), side.shape, side.kept

    def forward(self, rows: Rows) -> Float[Tensor, "n ..."]:
        """Return the scaled rows in float32."""
        values = self.scale(rows)
        entries = values.new_zeros(len(rows), math.prod(self.shape))
        entries[:, self.kept] = values
        return entries.view(-1, *self.shape)


def uniform_columns(rows: Rows) -> Bool[Tensor, " d"]:
    """Tell which columns Kolmogorov's distance cannot tell from uniform ones, whatever their ends.

    >>> rows = torch.linspace(2, 3, 100, dtype=torch.float64)[:, None]
    >>> uniform_columns(torch.cat([rows, (3 * rows).exp()], 1)).tolist()
    [True, False]
    """
    ordered = rows.double().sort(0).values
    low, high = ordered[0], ordered[-1]
    width = (high - low).clamp_min(torch.finfo(torch.float64).tiny)
    levels = (ordered - low) / width

    even = torch.linspace(0, 1, len(rows), dtype=levels.dtype, device=rows.device)
    distance = (levels - even[:, None]).abs().amax(0)
    return distance < _UNIFORM / math.sqrt(len(rows))


class Even(nn.Module):
    """Send uniform columns to normal scores, Φ⁻¹ of their place between their ends, and standardise the others.

    The ends of a uniform column are known to 1/n, its ranks to 1/√n only: too little for 5 nats and more.
    """

    low: Tensor
    width: Tensor
    uniform: Tensor

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.standard = Standard(rows)
        low, high = rows.double().aminmax(dim=0)
        edge = (high - low) / (len(rows) - 1)
        width = high - low + 2 * edge
        self.register_buffer("low", low - edge)
        self.register_buffer("width", width.clamp_min(torch.finfo(low.dtype).tiny))
        self.register_buffer("uniform", uniform_columns(rows))
        self.least = 0.5 / len(rows)

    def forward(self, rows: Rows) -> Rows:
        """Return the columns in float32."""
        levels = (rows.double() - self.low) / self.width
        levels = levels.clamp(self.least, 1 - self.least)
        scores = torch.special.ndtri(levels).float()
        return scores.where(self.uniform, self.standard(rows))


class Both(nn.Module):
    """Put each column's normal scores beside its robustly scaled values: order, and distance.

    Args:
        rows: what the two are made from.
        waves: put cos(πku), k = 1 … 8, of the rank u of the single column beside them.
        even: set the columns of `Even` aside, too.

    Attributes:
        margins: of the blocks of last columns that are for anchors alone, whose outliers a network had better not see.
        aside: number of those columns.
    """

    def __init__(self, rows: Rows, *, waves: bool = False, even: bool = False) -> None:
        super().__init__()
        self.rank, self.robust, self.standard = Rank(rows), Robust(rows), Standard(rows)
        self.even = Even(rows) if even else None
        self.waves = waves
        self.margins: tuple[Margin, ...] = ("standard", "even") if even else ("standard",)
        self.aside = len(self.margins) * rows.shape[1]

    def forward(self, rows: Rows) -> Float[Tensor, "n columns"]:
        """Return normal scores, robustly scaled values, waves and standardised values in float32."""
        scores = self.rank(rows)
        columns = [scores, self.robust(rows)]
        if self.waves:
            frequencies = torch.arange(1, _WAVES + 1, device=rows.device)
            columns.append(torch.cos(torch.pi * torch.special.ndtr(scores) * frequencies))

        columns.append(self.standard(rows))
        if self.even is not None:
            columns.append(self.even(rows))

        return torch.cat(columns, 1)


Transform = nn.Module
"""A map of the rows of a side, learned on training rows."""

TRANSFORMS: dict[str, Callable[[Tensor], Transform]] = {
    "none": Identity,
    "standard": Standard,
    "one_scale": OneScale,
    "rank": Rank,
    "both": Both,
}
"""Marginal transforms by name."""


def columns_aside(transform: nn.Module) -> int:
    """Return how many last columns of transformed rows are for anchors alone."""
    return getattr(transform, "aside", 0)


def margins_aside(transform: nn.Module) -> tuple[Margin, ...]:
    """Return the margins of the blocks of last columns that are for anchors alone."""
    return getattr(transform, "margins", ())
