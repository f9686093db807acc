"""A theorem with numbers: what a computation from the definitions gives, beside what the theorem says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

WORDS = {
    "=": "by the closed form",
    "≤": "and by the theorem at most",
    "≥": "and by the theorem at least",
    "≈": "and by the theorem, to first order,",
}
"""How a computed number stands to that of the theorem → the words before the latter."""


@dataclass(frozen=True)
class Example:
    """A number of a theorem, for the parameters of its reader.

    Attributes:
        of: what the number is, in words.
        computed: from the definitions: a simulation, an enumeration, or brute force.
        theory: the closed form or the bound of the theorem; it takes the same named parameters.
        at: the parameters' smallest interesting values, in their order.
        relation: how the computed number stands to it: "=", "≤", "≥", or "≈" for a leading term.
        tolerance: the largest relative difference that the computation, or the leading term, leaves.

    >>> Example("twice x", lambda x: x + x, lambda x: 2 * x, {"x": 1.0}).value(x=3.0)
    (6.0, 6.0)
    """

    of: str
    computed: Callable[..., float]
    theory: Callable[..., float]
    at: Mapping[str, Any]
    relation: str = "="
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if self.relation not in WORDS:
            raise ValueError(f"relation: expected one of {', '.join(WORDS)}, got {self.relation!r}")

    def value(self, **parameters: Any) -> tuple[float, float]:
        """Return (computed, theory); parameters that are not given have the example's values.

        Raises:
            ValueError: a parameter that the theorem does not have.
        """
        if unknown := [name for name in parameters if name not in self.at]:
            raise ValueError(f"{unknown[0]}: expected one of {', '.join(self.at)}")
        values = {**self.at, **parameters}
        return float(self.computed(**values)), float(self.theory(**values))

    @cached_property
    def numbers(self) -> tuple[float, float]:
        """Both numbers at the example's values."""
        return self.value()

    @property
    def agrees(self) -> bool:
        """Whether the relation holds at the example's values."""
        computed, theory = self.numbers
        margin = self.tolerance * (1 + abs(theory))
        low = self.relation == "≤" or computed >= theory - margin
        high = self.relation == "≥" or computed <= theory + margin
        return low and high

    @property
    def sentence(self) -> str:
        """Both numbers in words."""
        computed, theory = self.numbers
        return f"{self.of}: computed {computed:.4g}, {WORDS[self.relation]} {theory:.6g}"

    def call(self, slug: str) -> str:
        """How a reader asks for the numbers at other parameters."""
        at = ", ".join(f"{name}={number!r}" for name, number in self.at.items())
        return f'proofs.value("{slug}", {at})'
