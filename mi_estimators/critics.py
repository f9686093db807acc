"""Critics: modules whose scores T(x, y) approximate ln dP/dQ, in nats."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


def mlp(n_in: int, n_out: int, hidden: int, layers: int) -> nn.Sequential:
    """Return a ReLU network with `layers` hidden layers of width `hidden`."""
    widths = [n_in, *[hidden] * layers]
    blocks = [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*blocks, nn.Linear(widths[-1], n_out))


class Separable(nn.Module):
    """The separable critic T(x, y) = f(x)·g(y): all n·m scores for n + m network evaluations.

    Args:
        dim_x, dim_y: number of columns of x and y.
        hidden, layers: width and number of hidden layers of both networks.
        embedding: dimension of f(x) and g(y).

    Reference: van den Oord et al. 2018; Poole et al. 2019, section 4.
    """

    def __init__(self, dim_x: int, dim_y: int, hidden: int = 128, layers: int = 2, embedding: int = 32) -> None:
        super().__init__()
        self.f = mlp(dim_x, embedding, hidden, layers)
        self.g = mlp(dim_y, embedding, hidden, layers)

    def forward(self, x: Float[Tensor, "n dx"], y: Float[Tensor, "m dy"]) -> Float[Tensor, "n m"]:
        """Return the score matrix T(x_i, y_j), shape (n, m), in nats."""
        return self.f(x) @ self.g(y).mT
