"""Critics: modules that map rows x (..., n, dx) and y (..., m, dy) to scores T ≈ ln dP/dQ, (..., n, m), in nats.

Any `nn.Module` with that signature is a critic. With `zero_start` a network's last layer starts at zero: untrained it
says "independent", and does not disturb an anchor beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu


def mlp(
    n_in: int, n_out: int, hidden: int, layers: int, activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Return a network with `layers` hidden layers of width `hidden`."""
    widths = [n_in, *[hidden] * layers]
    blocks = [module for a, b in pairwise(widths) for module in (nn.Linear(a, b), activation())]
    return nn.Sequential(*blocks, nn.Linear(widths[-1], n_out))


class Separable(nn.Module):
    """The separable critic T(x, y) = f(x)·g(y): all n·m scores for n + m network evaluations.

    Use it where a batch has many negatives (InfoNCE) or rows are wide.

    Args:
        dim_x, dim_y: number of columns of x and y.
        hidden, layers: width and number of hidden layers of both networks.
        embedding: dimension of f(x) and g(y).
        zero_start: start with all scores zero.

    Reference: van den Oord et al. 2018; Poole et al. 2019, section 4.
    """

    def __init__(
        self,
        dim_x: int,
        dim_y: int,
        hidden: int = 128,
        layers: int = 2,
        embedding: int = 32,
        *,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.f = mlp(dim_x, embedding, hidden, layers)
        self.g = mlp(dim_y, embedding, hidden, layers)
        if zero_start:
            _zero(self.g[-1])

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), in nats."""
        return self.f(x) @ self.g(y).mT


class Bilinear(nn.Module):
    """The bilinear critic T(x, y) = xᵀWy + a·x + b·y + c; it sees linear association only.

    Reference: van den Oord et al. 2018, eq. 3.
    """

    def __init__(self, dim_x: int, dim_y: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim_x, dim_y))
        self.a, self.b = nn.Linear(dim_x, 1), nn.Linear(dim_y, 1, bias=False)
        _zero(self.a)
        _zero(self.b)

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), in nats."""
        return x @ self.weight @ y.mT + self.a(x) + self.b(y).mT


class Concatenated(nn.Module):
    """The concatenated critic T(x, y) = MLP([x, y]): the most flexible, at one evaluation a pair.

    The first layer is linear in x and in y, so it is evaluated n + m times only.

    Args: as for `Separable`.

    Reference: Belghazi et al. 2018; Poole et al. 2019, section 4.
    """

    def __init__(
        self,
        dim_x: int,
        dim_y: int,
        hidden: int = 128,
        layers: int = 2,
        *,
        zero_start: bool = False,
    ) -> None:
        super().__init__()
        self.x, self.y = nn.Linear(dim_x, hidden), nn.Linear(dim_y, hidden, bias=False)
        self.rest = mlp(hidden, 1, hidden, layers - 1)
        if zero_start:
            _zero(self.rest[-1])

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), in nats."""
        first = torch.relu(self.x(x).unsqueeze(-2) + self.y(y).unsqueeze(-3))
        return self.rest(first).squeeze(-1)


class Encoded(nn.Module):
    """The critic T(x, y) = h(f(x) + g(y)): `Concatenated` with networks in place of its first layer's linear maps.

    What bends x alone, or y alone, is undone once a row, not once a pair: n + m evaluations of f and g. They are smooth
    networks beside a linear map, so that linear association needs no bending.

    Args:
        dim_x, dim_y: number of columns of x and y.
        hidden: width of all networks.
        layers: number of hidden layers of f and of g; h has one.
        zero_start: start with all scores zero.
    """

    def __init__(
        self, dim_x: int, dim_y: int, hidden: int = 64, layers: int = 2, *, zero_start: bool = False
    ) -> None:
        super().__init__()
        self.x, self.y = nn.Linear(dim_x, hidden), nn.Linear(dim_y, hidden, bias=False)
        self.f, self.g = (mlp(dim, hidden, hidden, layers, nn.SiLU) for dim in (dim_x, dim_y))
        self.rest = mlp(hidden, 1, hidden, 1, nn.SiLU)
        if zero_start:
            _zero(self.rest[-1])

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), in nats."""
        x, y = self.x(x) + self.f(x), self.y(y) + self.g(y)
        return self.rest(silu(x.unsqueeze(-2) + y.unsqueeze(-3))).squeeze(-1)


class Sum(nn.Module):
    """The sum of critics, as of an anchor and what is learned beside it.

    >>> critic = Sum(Bilinear(2, 3), Concatenated(2, 3))  # "hybrid"
    >>> critic(torch.ones(4, 2), torch.ones(5, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(self, *critics: nn.Module) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), in nats."""
        return torch.stack([critic(x, y) for critic in self.critics]).sum(0)


class Calibrated(nn.Module):
    """T ↦ min(scale·T, cap): takes the overconfidence off a trained critic.

    The ratio of any statistic's laws under P and Q is bounded by what held-out rows show, and DV's normaliser is ruined
    by a few negatives whose score is too high; `scale` and `cap` are chosen on validation rows.
    """

    def __init__(self, critic: nn.Module, scale: float, cap: float) -> None:
        super().__init__()
        self.critic, self.scale, self.cap = critic, scale, cap

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), in nats."""
        return (self.scale * self.critic(x, y)).clamp(max=self.cap)


def _zero(layer: nn.Module) -> None:
    """Zero a linear layer, so that its output is zero until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def concatenated(dim_x: int, dim_y: int, hidden: int) -> Concatenated:
    """Return a concatenated critic that starts at zero."""
    return Concatenated(dim_x, dim_y, hidden, zero_start=True)


CRITICS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "separable": lambda dim_x, dim_y, hidden: Separable(dim_x, dim_y, hidden, zero_start=True),
    "bilinear": lambda dim_x, dim_y, _: Bilinear(dim_x, dim_y),
    "concatenated": concatenated,
    "encoded": lambda dim_x, dim_y, hidden: Encoded(dim_x, dim_y, hidden, zero_start=True),
    "hybrid": lambda dim_x, dim_y, hidden: Sum(
        Bilinear(dim_x, dim_y), concatenated(dim_x, dim_y, hidden)
    ),
}
"""Critics that start at zero, by name: (columns of x, columns of y, width) → module."""
