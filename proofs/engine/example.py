"""A theorem with numbers: what a computation from the definitions gives, beside the closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Example:
    """A number of a theorem, for the parameters of its reader.

    Attributes:
        of: what the number is, in words.
        computed: from the definitions: a simulation, an enumeration, or brute force.
        theory: the closed form of the theorem; it takes the same named parameters.
        at: the parameters' smallest interesting values, in their order.
        tolerance: the largest relative difference that the computation leaves.

    >>> Example("twice x", lambda x: x + x, lambda x: 2 * x, {"x": 1.0}).value(x=3.0)
    (6.0, 6.0)
    """

    of: str
    computed: Callable[..., float]
    theory: Callable[..., float]
    at: Mapping[str, Any]
    tolerance: float = 1e-6

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
        """Whether both numbers agree at the example's values."""
        computed, theory = self.numbers
        return abs(computed - theory) <= self.tolerance * (1 + abs(theory))
