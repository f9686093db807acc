"""Cross-checks of the library: what ships must equal what was proved. They lower no tier, but can fail a theorem."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import mpmath
import numpy as np
import sympy as sp
import torch
from hypothesis.strategies import SearchStrategy
from numpy.typing import ArrayLike

import mi_estimators as mi

from . import oracles
from .tested import Tested
from .theorem import Outcome


def tensor(values: ArrayLike) -> torch.Tensor:
    """Return a float64 tensor."""
    return torch.as_tensor(values, dtype=torch.float64)


def logs(law: ArrayLike) -> torch.Tensor:
    """Return the log-probabilities of a law, −inf where it has no mass."""
    return tensor(law).log()


def batches(law: Sequence, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all batches of `size` atoms, one a row, and their probabilities if drawn i.i.d. from the law.

    >>> atoms, chance = batches((0.25, 0.75), 2)
    >>> atoms.tolist(), chance.tolist()
    ([[0, 0], [0, 1], [1, 0], [1, 1]], [0.0625, 0.1875, 0.1875, 0.5625])
    """
    atoms = torch.cartesian_prod(*[torch.arange(len(law))] * size).reshape(-1, size)
    return atoms, tensor(law)[atoms].prod(-1)


def pair_batches(
    joint: Sequence[Sequence[float]], t: ArrayLike, rows: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return all batches of independent pairs: score matrices (b, rows, rows), x of each row, and probabilities."""
    table, (atoms, weights) = tensor(t), batches(oracles.flat(joint), rows)
    x, y = atoms // table.shape[1], atoms % table.shape[1]
    return table[x.unsqueeze(-1), y.unsqueeze(-2)], x, weights


def gradient(value: Callable[[torch.Tensor], torch.Tensor], at: ArrayLike) -> torch.Tensor:
    """Return the gradient at a point of a function of one tensor; several values are summed."""
    point = tensor(at).clone().requires_grad_()
    return torch.autograd.grad(value(point).sum(), point)[0]


def on_law(bound: Callable[..., torch.Tensor], p: ArrayLike, q: ArrayLike, t: ArrayLike) -> float:
    """Return a shipped bound of two laws on one finite set, at a critic."""
    return float(bound(tensor(t), tensor(t), logs(p), logs(q)))


def pair_loss(chosen: ArrayLike, rejected: ArrayLike, bound: str = "js", mix: float = 0.5) -> float:
    """Return the mean shipped loss of a pair or a batch of pairs, or of one example with K rejected responses."""
    return float(mi.preference_loss(tensor(chosen), tensor(rejected), bound, mix).mean())


def dv_excess(q: Sequence[float], t: ArrayLike, size: int) -> float:
    """Return the mean of mi.dv over all batches of negatives, minus mi.dv on their law; E_P T is 0 in both."""
    (atoms, weights), positive = batches(q, size), tensor([0.0])
    values = mi.dv(positive.expand(len(atoms), 1), tensor(t)[atoms])
    return float(weights @ values - mi.dv(positive, tensor(t), log_q=logs(q)))


def population_loss(
    pairs: ArrayLike, scores: Sequence[float], bound: str = "js", mix: float = 0.5
) -> float:
    """Return the mean shipped loss over a joint law of (chosen, rejected), each response with a score of its own."""
    size, rewards = len(scores), tensor(scores)
    chosen, rejected = rewards.repeat_interleave(size), rewards.repeat(size)
    losses = mi.preference_loss(chosen, rejected, bound, mix)
    return float(mi.mean(losses, logs(pairs).flatten()))


def pair_gradient(
    chosen: float, rejected: float, bound: str = "js", mix: float = 0.5
) -> tuple[float, float]:
    """Return the shipped loss's derivatives in the two scores of a pair."""

    def loss(scores: torch.Tensor) -> torch.Tensor:
        return mi.preference_loss(scores[0], scores[1], bound, mix)

    own, other = gradient(loss, [chosen, rejected]).tolist()
    return own, other


def compiled(expr: sp.Expr) -> Callable[..., float]:
    """Return a proved expression as a function of its free symbols, by name, evaluated to 40 digits."""
    symbols = sorted(expr.free_symbols, key=str)
    function = sp.lambdify(symbols, expr, "mpmath")

    def value(**values: float) -> float:
        with mpmath.workdps(40):
            return float(function(*(mpmath.mpf(values[str(s)]) for s in symbols)))

    return value


@dataclass(frozen=True)
class Shipped:
    """The claim that the library's value equals the proved one, entry by entry, for all values of the strategies."""

    name: str
    given: Mapping[str, SearchStrategy]
    library: Callable[..., object]
    proved: Callable[..., object]
    tolerance: float = 1e-9
    examples: int = 12
    cross_check: bool = True
    tier: ClassVar[str] = "tested"

    @property
    def shown(self) -> tuple[()]:
        """Nothing: what it claims is a function, which only its name puts into words."""
        return ()

    def decide(self) -> Outcome:
        """Compare on drawn values; |library − proved| ≤ tolerance · (1 + |proved|)."""

        def holds(**values: object) -> bool:
            ours, theirs = (
                np.asarray(value(**values), float) for value in (self.library, self.proved)
            )
            return ours.shape == theirs.shape and np.allclose(
                ours, theirs, rtol=self.tolerance, atol=self.tolerance
            )

        return Tested(self.name, self.given, holds, self.examples).decide()


@dataclass(frozen=True)
class Holds(Tested):
    """The claim that the library has a property, for all values of the strategies."""

    examples: int = 20
    cross_check: bool = True
