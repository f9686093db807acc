"""Critics: modules that map rows x (..., n, dx) and y (..., m, dy) to scores T ≈ ln dP/dQ, (..., n, m), in nats.

Any `nn.Module` with that signature is a critic. Ours start at zero unless `zero_start` is False: an untrained critic
says "independent" and does not disturb an anchor beside it. A critic's attribute `pairwise` says what its scores cost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from .arguments import CriticLike, CriticName
from .experts.copula import EllipticalCopula
from .gated import Gated, place


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
        self, dim_x: int, dim_y: int, hidden: int = 64, layers: int = 2, *, zero_start: bool = True
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
        x, y = self.x(x) + self.f(x), self.y(y) + self.g(y)
        return self.rest(silu(x.unsqueeze(-2) + y.unsqueeze(-3))).squeeze(-1)


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

    def __init__(self, anchor: EllipticalCopula, network: nn.Module | None) -> None:
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


class SideBySide(nn.Module):
    """Critics of one architecture, one a member, each trained on rows of its own."""

    def __init__(self, critics: list[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(
        self,
        x: Float[Tensor, "members *batch n dx"],
        y: Float[Tensor, "members *batch m dy"],
        anchor: Float[Tensor, "members *batch n m"] | None = None,
    ) -> Float[Tensor, "members *batch n m"]:
        """Return each member's score matrix of its rows, with the scores of its anchor."""
        scores = torch.stack(
            [self._scores(k, *rows) for k, rows in enumerate(zip(x, y, strict=True))]
        )
        return scores if anchor is None else scores + anchor

    def _scores(self, k: int, x: Tensor, y: Tensor) -> Tensor:
        """Score a single group as a matrix, which any module takes."""
        if len(x) == 1:
            return self.critics[k](x[0], y[0]).unsqueeze(0)
        return self.critics[k](x, y)

    def penalty(self) -> float:
        """Return 0: nothing is penalised."""
        return 0.0

    def matrix(self, values: list[Tensor]) -> Tensor:
        """Return values of the trained parameters' shapes as a matrix, a row a member."""
        rows, start = [], 0
        for k in range(len(self.critics)):
            own = values[start : (start := start + len(self._trained(k)))]
            rows.append(torch.cat([value.flatten() for value in own] or [torch.zeros(0)]))
        return torch.stack(rows)

    def place(self, weights: Tensor) -> None:
        """Make the trained parameters views of a matrix with a row a member."""
        for k, row in enumerate(weights):
            place(self._trained(k), row)

    def buffers_of(self, k: int) -> list[Tensor]:
        """Return the buffers of a member."""
        return list(self.critics[k].buffers())

    def member(self, k: int) -> nn.Module:
        """Return the k-th critic, each of its parameters a tensor of its own."""
        for parameter in self._trained(k):
            parameter.data = parameter.data.clone()
        return self.critics[k]

    def _trained(self, k: int) -> list[nn.Parameter]:
        return [p for p in self.critics[k].parameters() if p.requires_grad]


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


class ByGroup(nn.Module):
    """A critic that takes one group of rows at a time, made to take a batch of them.

    Args:
        critic: takes rows (n, …) and (m, …).
        dims: number of dimensions of a row of x.
    """

    def __init__(self, critic: nn.Module, dims: int = 1) -> None:
        super().__init__()
        self.critic, self.dims = critic, dims

    def forward(
        self, x: Float[Tensor, "*batch n dx"], y: Float[Tensor, "*batch m dy"]
    ) -> Float[Tensor, "*batch n m"]:
        """Return the score matrices T(x_i, y_j), shape (..., n, m), in nats."""
        if x.dim() == 1 + self.dims:
            return self.critic(x, y)
        return torch.stack([self.critic(*group) for group in zip(x, y, strict=True)])


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


def make_critics(
    critic: CriticLike,
    rows: list[tuple[Tensor, Tensor]],
    hidden: int,
    aside: tuple[int, int] = (0, 0),
) -> tuple[Gated | SideBySide, Architecture]:
    """Make float32 critics, one for each member's rows: by name, copies of a module, or what a function makes.

    Args:
        critic: as `MIEstimator` takes it.
        rows: rows x and y of each member.
        hidden: width of the networks.
        aside: number of last columns of x and of y that the gated critic does not see.

    Returns:
        The critics side by side, and how they are trained.

    Raises:
        ValueError: a function that returns no module, or a critic whose scores have another shape than (n, m).
    """
    x, y = rows[0]
    if critic == "gated":
        columns = x.shape[1] - aside[0], y.shape[1] - aside[1]
        network = Gated(*columns, hidden, members=len(rows))
        return network.to(x.device, torch.float32), CRITICS["gated"]
    made = [make_critic(critic, own, hidden) for own in rows]
    row = CRITICS[cast(CriticName, critic)] if isinstance(critic, str) else made[0][1]
    return SideBySide([module for module, _ in made]), row


def make_critic(
    critic: CriticLike,
    rows: tuple[Tensor, Tensor],
    hidden: int,
) -> tuple[nn.Module, Architecture]:
    """Make a float32 critic on the rows' device: by name, a copy of a module, or what a function makes."""
    columns, device = (_size(rows[0]), _size(rows[1])), rows[0].device
    if isinstance(critic, str):
        module = CRITICS[cast(CriticName, critic)].make(*columns, hidden)
    elif isinstance(critic, nn.Module):
        module = copy.deepcopy(critic)
    else:
        module = critic(*columns)
    if not isinstance(module, nn.Module):
        raise ValueError(
            "critic: expected a function (columns of x, columns of y) that returns a torch.nn.Module,"
            f" got one that returns {type(module).__name__}"
        )
    module = module.to(device, torch.float32)
    check_critic(module, rows[0][:4], rows[1][:3])

    row = Architecture(name="own", make=_own, pairwise=scores_each_pair(module))
    batches = all(side.dim() == 2 for side in rows) and _takes_batches(module, *columns, device)
    return module if batches else ByGroup(module, rows[0].dim() - 1), row


def _size(rows: Tensor) -> Any:
    """Return the number of columns, or the shape of a row that has more dimensions."""
    return rows.shape[1] if rows.dim() == 2 else tuple(rows.shape[1:])


def _own(dim_x: int, dim_y: int, hidden: int) -> nn.Module:
    raise NotImplementedError("a critic of the caller's is made by the caller")


@torch.no_grad()
def check_critic(critic: nn.Module, x: Float[Tensor, "n dx"], y: Float[Tensor, "m dy"]) -> None:
    """Score a few rows; x has one row more than y.

    Raises:
        ValueError: a critic that returns another shape than one score for each pair, or cannot score them.
    """
    training = critic.training
    expected = f"scores of shape {(len(x), len(y))} for rows {tuple(x.shape)}, {tuple(y.shape)}"
    try:
        matrix = critic.eval()(x, y)
    except (RuntimeError, TypeError, IndexError) as error:
        raise ValueError(
            f"critic: expected {expected}, got {type(error).__name__}: {error}"
        ) from error
    critic.train(training)
    if not isinstance(matrix, Tensor) or matrix.shape != (len(x), len(y)):
        got = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
        raise ValueError(f"critic: expected {expected}, got {got}")


@torch.no_grad()
def _takes_batches(critic: nn.Module, dim_x: int, dim_y: int, device: torch.device) -> bool:
    """Tell whether a critic scores two groups of rows at once as it scores one after the other."""
    x = torch.linspace(-1, 1, 8 * dim_x, device=device).view(2, 4, dim_x)
    y = torch.linspace(-1, 1, 6 * dim_y, device=device).view(2, 3, dim_y)
    try:
        probe = copy.deepcopy(critic).eval()
        for p in probe.parameters():  # away from a start at zero, where all that is wrong agrees
            p += torch.linspace(-0.5, 0.5, p.numel()).view_as(p).to(p)
        together, one_by_one = probe(x, y), ByGroup(probe)(x, y)
    except Exception:  # whatever a critic raises on rows that it was not made for
        return False
    return together.shape == one_by_one.shape and torch.allclose(together, one_by_one, rtol=1e-3)
