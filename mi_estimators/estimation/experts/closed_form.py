"""What every closed-form log-ratio of some columns has in common."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


def columns_at(
    x: Tensor,
    y: Tensor,
    starts: tuple[int, int],
    counts: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return consecutive columns of each side, given the first one and their number."""
    (a, b), (dx, dy) = starts, counts
    return x[..., a : a + dx], y[..., b : b + dy]


class ClosedForm(nn.Module):
    """A log-ratio whose scores of pairs are made of what each row contributes.

    Attributes:
        dims: number of columns of x and of y that it reads.
        places: where they begin, among all that the critic is shown.
        shortfall: expected loss on new rows, in nats.
    """

    dims: tuple[int, int]
    places: tuple[int, int]
    shortfall: float

    def features(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> tuple[Float[Tensor, "*batch n p"], Float[Tensor, "*batch m q"]]:
        """Return what each row contributes to its `scores`, computed once a row."""
        raise NotImplementedError

    def scores(
        self, x: Float[Tensor, "*batch n p"], y: Float[Tensor, "*batch m q"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix of rows' `features`, in nats."""
        raise NotImplementedError

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix in nats."""
        return self.scores(*self.features(x, y))

    def columns(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns that are read, among all that the critic is shown."""
        return columns_at(x, y, self.places, self.dims)
