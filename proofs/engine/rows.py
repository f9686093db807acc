"""The table of proof rows: what each f-divergence bound is, and what it bounds. A new bound adds one row here.

The theorems log_ratio_optimality and score_weights prove every row and compare it with the library's; the tests of the
library take its divergence from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from . import oracles
from .oracles import Vector
from .vocabulary import Scalar, reals, softplus

t, log_ratio = reals("t ell")
"""The critic's score at an atom, and ln r there."""

r, ln2 = sp.exp(log_ratio), sp.log(2)


def share(reward: sp.Expr, penalty: sp.Expr, at: Scalar = t) -> sp.Expr:
    """Return r·reward(T) − penalty(T) at the score `at`: one atom's share in the value, per unit of Q-mass."""
    return r * reward.subs(t, at) - penalty.subs(t, at)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A bound E_P reward(T) − E_Q penalty(T), with the divergence that it reads at T = ln r, r = dP/dQ.

    Attributes:
        reward, penalty: expressions in `t`.
        integrand: d(r) of the divergence E_Q d(r), an expression in `log_ratio`.
        divergence: the published divergence of two laws, by brute force.
    """

    reward: sp.Expr
    penalty: sp.Expr
    integrand: sp.Expr
    divergence: Callable[[Vector, Vector], float]

    def share(self, at: Scalar = t) -> sp.Expr:
        """Return the share of one atom in the value at the score `at`, per unit of Q-mass."""
        return share(self.reward, self.penalty, at)

    @property
    def slope(self) -> sp.Expr:
        """The derivative of the reward."""
        return sp.diff(self.reward, t)


ROWS = {
    "nwj": Row(
        reward=1 + t,
        penalty=sp.exp(t),
        integrand=r * log_ratio,
        divergence=oracles.kl,
    ),
    "js": Row(
        reward=ln2 - softplus(-t),
        penalty=softplus(t) - ln2,
        integrand=r * sp.log(2 * r / (1 + r)) + sp.log(2 / (1 + r)),
        divergence=lambda p, q: 2 * oracles.jsd(p, q),
    ),
    "reverse_kl": Row(
        reward=1 - sp.exp(-t),
        penalty=t,
        integrand=r - 1 - log_ratio,
        divergence=lambda p, q: oracles.kl(q, p),
    ),
    "chi2": Row(
        reward=2 * (sp.exp(t) - 1),
        penalty=sp.exp(2 * t) - 1,
        integrand=(r - 1) ** 2,
        divergence=oracles.chi2,
    ),
    "hellinger2": Row(
        reward=1 - sp.exp(-t / 2),
        penalty=sp.exp(t / 2) - 1,
        integrand=(sp.exp(log_ratio / 2) - 1) ** 2,
        divergence=oracles.hellinger2,
    ),
}
"""Name of the library's row (`FDivergence.name`) → its proof row."""
