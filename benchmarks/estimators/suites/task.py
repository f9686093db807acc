"""One row of a suite: a law, which says where its information comes from, and how it is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mi_estimators.laws import Law

from .bases import Rng, Rows

Order = Callable[[Tensor, Tensor], Tensor]
"""(x, y) → the indices of the rows in the order in which they are handed over."""


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Task:
    """A law on which estimators are measured.

    Attributes:
        name: as rows and tables print it.
        law: its sampler, its log-ratio and its mutual information.
        copula: "gaussian" or "student" if such a copula fits the law after increasing maps of its columns, else None.
        rows: number of rows of a fit, unless others are asked for.
        discrete: the sides whose entries are labels: "x", "y" or "xy".
        groups: length of the contiguous blocks of rows that belong together.
        expects: the verdicts that are right, whatever the number; empty where the error decides.
        order: how the rows are arranged; as drawn unless given.
        fresh: whether rows can be drawn that no fit has seen.
        present: whether the data that the law draws from are on this machine.
    """

    name: str
    law: Law
    copula: str | None = None
    rows: int = 5000
    discrete: str | None = None
    groups: int | None = None
    expects: tuple[str, ...] = ()
    order: Order | None = None
    fresh: bool = True
    present: Callable[[], bool] = _always

    @property
    def truth(self) -> float:
        """I(X; Y), in nats."""
        return self.law.mutual_information

    @property
    def columns(self) -> tuple[int, int]:
        """Number of columns of x and of y."""
        return self.law.dim_x, self.law.dim_y

    @property
    def options(self) -> dict[str, Any]:
        """What a fit is told about the rows: `discrete` and `groups`, where they are given."""
        named = {"discrete": self.discrete, "groups": self.groups}
        return {name: value for name, value in named.items() if value is not None}

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs and arrange them: x of shape (n, dim_x) and y of shape (n, dim_y)."""
        return self.arranged(*self.law.sample(n, generator))

    def arranged(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows in the order in which they are handed over."""
        if self.order is None:
            return x, y

        index = self.order(x, y)
        return x[index], y[index]
