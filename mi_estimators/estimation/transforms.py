"""Marginal transforms: maps of x alone and of y alone, learned on training rows.

Mutual information does not change under an injective map of either variable, and no map of either can raise it (data
processing). So a critic may look at transformed columns, and its held-out value is still about I(X; Y). A transform
only decides how easy the critic's task is.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def middle_ranks(
    ordered: Float[Tensor, "*batch n"], values: Float[Tensor, "*batch m"]
) -> Float[Tensor, "*batch m"]:
    """Return the positions of values among ordered ones, in (0, 1): the middle of the ranks of equal entries."""
    below, upto = (torch.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + upto).to(ordered.dtype) / (2 * ordered.shape[-1])


class Identity(nn.Module):
    """Leave the columns as they are."""

    def __init__(self, rows: Float[Tensor, "n d"]) -> None:
        super().__init__()
        single = rows.float()
        lost = (~torch.isfinite(single)).any(0) | (
            (single == single[:1]).all(0) & (rows != rows[:1]).any(0)
        )
        if bool(lost.any()):
            columns = lost.nonzero().flatten().tolist()
            raise ValueError(
                f"transform: expected columns that float32 can hold, got column(s) {columns} that it cannot; use 'rank'"
            )

    def forward(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return the rows in float32."""
        return rows.float()


class Standard(nn.Module):
    """Subtract each column's mean and divide by its standard deviation, both of the rows it is made from.

    A column that is constant there becomes zero everywhere: no critic can have learned from it.
    """

    size: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, rows: Float[Tensor, "n d"]) -> None:
        super().__init__()
        size = rows.abs().amax(0)
        self.register_buffer(
            "size", size.where(size > 0, 1)
        )  # taken off first, so that no sum or square overflows
        rows = rows / self.size
        self.register_buffer("mean", rows.mean(0))
        scale = rows.std(0, correction=0)
        self.register_buffer("scale", scale.where(scale > 0, torch.inf))

    def forward(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return the standardised rows in float32."""
        return ((rows / self.size - self.mean) / self.scale).float()


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

    def __init__(self, rows: Float[Tensor, "n d"]) -> None:
        super().__init__()
        knots = rows.T.contiguous().sort(-1).values
        self.register_buffer("knots", knots)
        self.register_buffer("levels", torch.special.ndtri(middle_ranks(knots, knots)))

    def forward(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return normal scores in float32."""
        values = rows.T.to(self.knots).contiguous()
        right = torch.searchsorted(self.knots, values).clamp_max(self.knots.shape[-1] - 1)
        left = (right - 1).clamp_min(0)
        left_knot, right_knot = self.knots.gather(-1, left), self.knots.gather(-1, right)
        left_level, right_level = self.levels.gather(-1, left), self.levels.gather(-1, right)
        width = right_knot / 2 - left_knot / 2  # halves, since a whole width may overflow
        fraction = ((values / 2 - left_knot / 2) / width.where(width > 0, 1)).clamp(0, 1)
        # At and beyond the right knot its level is meant, also where the width is zero or lost in rounding.
        return torch.lerp(left_level, right_level, fraction.where(values < right_knot, 1)).T.float()


TRANSFORMS: dict[str, type[Identity | Standard | Rank]] = {
    "none": Identity,
    "standard": Standard,
    "rank": Rank,
}
"""Marginal transforms by name."""
