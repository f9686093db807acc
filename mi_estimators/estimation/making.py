"""Making critics: by name, copies of a module, or what a function makes; several side by side, trained at once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .arguments import CriticLike, OwnCritic
from .critics import CRITICS, Architecture, CriticName, scores_each_pair
from .gated import Gated, place


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
        rows = zip(x, y, strict=True)
        scores = torch.stack([self._scores(k, *pair) for k, pair in enumerate(rows)])
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
            flat = [value.flatten() for value in own]
            rows.append(torch.cat(flat or [torch.zeros(0)]))
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
    return SideBySide([module for module, _ in made]), made[0][1]


def make_critic(
    critic: CriticLike,
    rows: tuple[Tensor, Tensor],
    hidden: int,
) -> tuple[nn.Module, Architecture]:
    """Make a float32 critic on the rows' device: by name, a copy of a module, or what a function makes."""
    x, y = rows
    columns = _size(x), _size(y)
    row = CRITICS[cast(CriticName, critic)] if isinstance(critic, str) else _own(critic)
    module = row.make(*columns, hidden)
    if not isinstance(module, nn.Module):
        raise ValueError(
            "critic: expected a function (columns of x, columns of y) that returns a torch.nn.Module,"
            f" got one that returns {type(module).__name__}"
        )

    module = module.to(x.device, torch.float32)
    check_critic(module, x[:4], y[:3])
    if not isinstance(critic, str):
        row = replace(row, pairwise=scores_each_pair(module))

    flat = x.dim() == y.dim() == 2
    if not (flat and _takes_batches(module, *columns, x.device)):
        module = ByGroup(module, x.dim() - 1)
    return module, row


def _size(rows: Tensor) -> Any:
    """Return the number of columns, or the shape of a row that has more dimensions."""
    size = tuple(rows.shape[1:])
    return size[0] if len(size) == 1 else size


def _own(critic: OwnCritic) -> Architecture:
    """Return how a critic of the caller's is made: a copy of a module, or what a function makes."""

    def make(dim_x: Any, dim_y: Any, hidden: int) -> nn.Module:
        return copy.deepcopy(critic) if isinstance(critic, nn.Module) else critic(dim_x, dim_y)

    return Architecture(name="own", make=make, pairwise=True)


@torch.no_grad()
def check_critic(
    critic: nn.Module,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "m dy"],
) -> None:
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
    got = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
    if got != (len(x), len(y)):
        raise ValueError(f"critic: expected {expected}, got {got}")


@torch.no_grad()
def _takes_batches(
    critic: nn.Module,
    dim_x: int,
    dim_y: int,
    device: torch.device,
) -> bool:
    """Tell whether a critic scores two groups of rows at once as it scores one after the other."""
    x = torch.linspace(-1, 1, 8 * dim_x, device=device).view(2, 4, dim_x)
    y = torch.linspace(-1, 1, 6 * dim_y, device=device).view(2, 3, dim_y)
    try:
        probe = copy.deepcopy(critic).eval()
        for p in probe.parameters():  # away from a start at zero, where all that is wrong agrees
            offsets = torch.linspace(-0.5, 0.5, p.numel())
            p += offsets.view_as(p).to(p)
        together, one_by_one = probe(x, y), ByGroup(probe)(x, y)
    except Exception:  # whatever a critic raises on rows that it was not made for
        return False

    return together.shape == one_by_one.shape and torch.allclose(together, one_by_one, rtol=1e-3)
