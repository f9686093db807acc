"""Few columns for many: principal components, and the columns that tell of the other side."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn
from torch.nn.functional import pad

from .inputs import seeded_random_state
from .transforms import Rank, Standard

_PICKED = 64  # columns among very many
_ROWS_TO_A_COLUMN = 20  # rows for each column that is picked
_PRODUCTS, _FEWEST = 10**11, 500  # of all pairs of columns together, and of a pair
_BLOCK = 1024  # columns
_BY_CHANCE = 0.01  # columns that are picked from independent rows
_ZERO = 1e-6  # standard deviation of a column that does not vary
_FAR = 3.0  # standard deviations, beyond which outliers are drawn in


class Components(nn.Module):
    """Project on the principal components, and divide all by one scale. Whitening would lose distances.

    Attributes:
        held: share of the variance that the components hold.
    """

    mean: Tensor
    directions: Tensor

    def __init__(self, rows: Float[Tensor, "n d"], count: int = 16) -> None:
        super().__init__()
        self.register_buffer("mean", rows.mean(0))
        centred = (rows - self.mean).float()

        with seeded_random_state(rows.device, 0):
            _, sizes, directions = torch.svd_lowrank(centred, min(count + 8, *centred.shape))
        missing = max(0, count - len(sizes))  # zeros, where there are fewer rows or columns
        sizes = pad(sizes, (0, missing))[:count]
        directions = pad(directions, (0, missing))[:, :count]
        total = centred.square().sum()
        self.held = float(sizes.square().sum() / total.where(total > 0, 1))
        scale = (sizes.square().mean() / len(rows)).sqrt()
        self.register_buffer("directions", directions / scale.where(scale > 0, 1))

    def forward(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the components in float32."""
        return (rows - self.mean).float() @ self.directions


class Screened(nn.Module):
    """Put normal scores of the columns that tell of the other side before the components of all columns.

    Components hold what varies most. A single column among thousands is lost in them.

    Args:
        rows: of very many columns.
        other: the other side of the same rows.
        count: number of components.
    """

    picked: Tensor
    telling: Tensor

    def __init__(
        self,
        rows: Float[Tensor, "n d"],
        other: Float[Tensor, "n k"],
        count: int,
    ) -> None:
        super().__init__()
        picked, telling = telling_columns(rows, other)
        self.register_buffer("picked", picked)
        self.register_buffer("telling", telling)
        self.rank, self.components = Rank(rows[:, picked]), Components(rows, count)

    def forward(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n columns"]:
        """Return normal scores, 0 where a column tells nothing, and components, in float32."""
        scores = self.rank(rows[:, self.picked]).where(self.telling, 0.0)
        return torch.cat([scores, self.components(rows)], 1)


def telling_columns(
    rows: Float[Tensor, "n d"], other: Float[Tensor, "n k"]
) -> tuple[Integer[Tensor, " c"], Bool[Tensor, " c"]]:
    """Return the columns that are most correlated with the other side, and which of them are so beyond chance.

    Values and their squares are correlated, so y = ±x is seen, too. What only several columns together tell is not.

    >>> x = torch.randn(1000, 300, generator=torch.Generator().manual_seed(0))
    >>> columns, telling = telling_columns(x, x[:, 7:8].abs())
    >>> columns[telling].tolist()
    [7]
    """
    pairs = 4 * rows.shape[1] * other.shape[1]
    enough = max(_FEWEST, _PRODUCTS // pairs)
    left, right = (_with_squares(side[:enough]) for side in (rows, other))
    parts = left.split(_BLOCK, dim=1)  # so that the table of all pairs is never whole
    correlations = torch.cat([(part.T @ right).abs().amax(1) for part in parts])
    correlations = correlations.view(2, -1).amax(0)

    chance = torch.tensor(_BY_CHANCE / pairs, dtype=torch.float64)
    errors = -torch.special.ndtri(chance / 2).item()
    least = errors / math.sqrt(len(left))
    strongest = correlations.topk(min(_PICKED, rows.shape[1]))
    few = torch.arange(len(strongest.values), device=rows.device) < len(rows) // _ROWS_TO_A_COLUMN

    return strongest.indices, few & (strongest.values > least)


def _with_squares(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n columns"]:
    """Return standardised columns and their squares, each with mean 0 and norm 1."""
    columns = Standard(rows)(rows).clamp(-_FAR, _FAR)
    columns = torch.cat([columns, columns.square()], 1)
    columns = columns - columns.mean(0)
    norm, least = columns.norm(dim=0), _ZERO * math.sqrt(len(rows))
    return columns / norm.where(norm > least, torch.inf)
