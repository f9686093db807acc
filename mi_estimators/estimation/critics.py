"""Critics: modules that map rows x (..., n, dx) and y (..., m, dy) to scores T ≈ ln dP/dQ, (..., n, m), in nats.

Any `nn.Module` with that signature is a critic. Ours start at zero unless `zero_start` is False: an untrained critic
says "independent" and does not disturb an anchor beside it. A critic's attribute `pairwise` says what its scores cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from .anchors import Anchor
from .gated import Gated


def mlp(
    n_in: int,
    n_out: int,
    hidden: int,
    layers: int,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Return a network with `layers` hidden layers of width `hidden`."""
    widths = [n_in, *[hidden] * layers]
    modules: list[nn.Module] = []
    for before, after in pairwise(widths):
        modules += [nn.Linear(before, after), activation()]
    return nn.Sequential(*modules, nn.Linear(widths[-1], n_out))


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

    pairwise = False

    def __init__(
        self,
        dim_x: int,
        dim_y: int,
        hidden: int = 64,
        layers: int = 2,
        embedding: int = 32,
        *,
        zero_start: bool = True,
    ) -> None:
        super().__init__()
        self.f = mlp(dim_x, embedding, hidden, layers)
        self.g = mlp(dim_y, embedding, hidden, layers)
        if zero_start:
            _zero(self.g[-1])

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        return self.f(x) @ self.g(y).mT


class Bilinear(nn.Module):
    """The bilinear critic T(x, y) = xᵀWy + a·x + b·y + c, which sees linear association only; it starts at zero.

    Reference: van den Oord et al. 2018, eq. 3.
    """

    pairwise = False

    def __init__(self, dim_x: int, dim_y: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim_x, dim_y))
        self.a, self.b = nn.Linear(dim_x, 1), nn.Linear(dim_y, 1, bias=False)
        _zero(self.a)
        _zero(self.b)

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        return x @ self.weight @ y.mT + self.a(x) + self.b(y).mT


class Concatenated(nn.Module):
    """The concatenated critic T(x, y) = MLP([x, y]): the most flexible one, at one evaluation a pair.

    The first layer is linear in x and in y, so it is evaluated n + m times only.

    Args: as for `Separable`.

    Reference: Belghazi et al. 2018; Poole et al. 2019, section 4.
    """

    pairwise = True

    def __init__(
        self,
        dim_x: int,
        dim_y: int,
        hidden: int = 64,
        layers: int = 2,
        *,
        zero_start: bool = True,
    ) -> None:
        super().__init__()
        self.x, self.y = nn.Linear(dim_x, hidden), nn.Linear(dim_y, hidden, bias=False)
        self.rest = mlp(hidden, 1, hidden, layers - 1)
        if zero_start:
            _zero(self.rest[-1])

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        first = torch.relu(self.x(x).unsqueeze(-2) + self.y(y).unsqueeze(-3))
        return self.rest(first).squeeze(-1)


class Encoded(nn.Module):
    """The critic T(x, y) = h(f(x) + g(y)): `Concatenated` with networks in place of the linear maps of its first layer.

    The networks f and g undo what bends x alone or y alone, once a row rather than once a pair. They are smooth, and
    stand beside a linear map, so that linear association needs no bending.

    Args:
        dim_x, dim_y: number of columns of x and y.
        hidden: width of all networks.
        layers: number of hidden layers of f and of g; h has one.
        zero_start: start with all scores zero.
    """

    pairwise = True

    def __init__(
        self,
        dim_x: int,
        dim_y: int,
        hidden: int = 64,
        layers: int = 2,
        *,
        zero_start: bool = True,
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
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        of_x = self.x(x) + self.f(x)
        of_y = self.y(y) + self.g(y)
        first = silu(of_x.unsqueeze(-2) + of_y.unsqueeze(-3))
        return self.rest(first).squeeze(-1)


class Sum(nn.Module):
    """The sum of critics, such as an anchor and the network beside it.

    >>> critic = Sum(Bilinear(2, 3), Concatenated(2, 3))  # "hybrid"
    >>> critic(torch.ones(4, 2), torch.ones(5, 3)).shape
    torch.Size([4, 5])
    """

    def __init__(self, *critics: nn.Module) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.pairwise = any(map(scores_each_pair, critics))

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        return torch.stack([critic(x, y) for critic in self.critics]).sum(0)


class Anchored(nn.Module):
    """An anchor, a closed-form log-ratio of the first columns, and the network beside it, which may weigh it.

    Args:
        anchor: a module with `columns(x, y)`, the columns that it reads.
        network: a critic of all columns; None where it never helped.
    """

    def __init__(self, anchor: Anchor, network: nn.Module | None) -> None:
        super().__init__()
        self.anchor, self.network = anchor, network
        self.pairwise = network is not None and scores_each_pair(network)

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        scores = self.anchor(*self.anchor.columns(x, y))
        if self.network is None:
            return scores
        if getattr(self.network, "weighs_anchor", False):
            return self.network(x, y, scores)
        return scores + self.network(x, y)


class Calibrated(nn.Module):
    """T ↦ min(scale·T, cap): rescale and cap an overconfident critic.

    A few negatives with too high a score ruin DV's normaliser. `scale` and `cap` are chosen on validation rows.
    """

    def __init__(self, critic: nn.Module, scale: float, cap: float) -> None:
        super().__init__()
        self.critic, self.scale, self.cap = critic, scale, cap

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrix T(x_i, y_j), shape (..., n, m), in nats."""
        return (self.scale * self.critic(x, y)).clamp(max=self.cap)


def _zero(layer: nn.Module) -> None:
    """Zero a linear layer, so that its output is zero until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def scores_each_pair(critic: object) -> bool:
    """Return a critic's attribute `pairwise`; True where it has none, since the mistake is cheap."""
    return bool(getattr(critic, "pairwise", True))


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A row of `CRITICS`.

    Attributes:
        name: key of the row.
        make: (columns of x, columns of y, width) → a new critic whose scores are zero.
        learning_rate, batch_size: of its training.
        pairwise: whether n·m scores take n·m evaluations of a network, rather than n + m. Such a critic is trained on
            few negatives to a positive, `Estimator.negatives` of them.
    """

    name: str
    make: Callable[[int, int, int], nn.Module]
    pairwise: bool
    learning_rate: float = 3e-3
    batch_size: int = 256


def _bilinear(dim_x: int, dim_y: int, hidden: int) -> Bilinear:
    return Bilinear(dim_x, dim_y)


def _hybrid(dim_x: int, dim_y: int, hidden: int) -> Sum:
    return Sum(Bilinear(dim_x, dim_y), Concatenated(dim_x, dim_y, hidden))


CriticName = Literal["gated", "separable", "bilinear", "concatenated", "encoded", "hybrid"]
"""Keys of `CRITICS`, which editors complete and type checkers know."""

CRITICS: dict[CriticName, Architecture] = {
    cast(CriticName, row.name): row
    for row in (
        Architecture(
            name="gated", make=Gated, pairwise=Gated.pairwise, learning_rate=6e-3, batch_size=128
        ),
        Architecture(name="separable", make=Separable, pairwise=Separable.pairwise),
        Architecture(name="bilinear", make=_bilinear, pairwise=Bilinear.pairwise),
        Architecture(name="concatenated", make=Concatenated, pairwise=Concatenated.pairwise),
        Architecture(name="encoded", make=Encoded, pairwise=Encoded.pairwise),
        Architecture(name="hybrid", make=_hybrid, pairwise=Concatenated.pairwise),
    )
}
"""Critics by name: how each is made, and whether it scores pair by pair."""
