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

from .tested import Tested
from .theorem import Outcome


def tensor(values: ArrayLike) -> torch.Tensor:
    """Return a float64 tensor."""
    return torch.tensor(values, dtype=torch.float64)


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
    examples: int = 16
    cross_check: bool = True
    tier: ClassVar[str] = "tested"

    def decide(self) -> Outcome:
        """Compare on drawn values; |library − proved| ≤ tolerance · (1 + |proved|)."""

        def holds(**values: object) -> bool:
            ours, theirs = (
                np.asarray(self.library(**values), float),
                np.asarray(self.proved(**values), float),
            )
            return ours.shape == theirs.shape and bool(
                np.all(np.abs(ours - theirs) <= self.tolerance * (1 + np.abs(theirs)))
            )

        return Tested(self.name, self.given, holds, self.examples).decide()
