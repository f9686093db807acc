"""Tested claims: a property that Hypothesis tries to refute, with the number of examples that it survived.

Derandomised and without an example database, so every run draws the same examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from .theorem import Outcome

_SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),  # type: ignore  # Hypothesis annotates its iterator with the metaclass
    phases=[Phase.generate, Phase.shrink],
)


class Falsified(Exception):
    """The property does not hold for the drawn values."""


def show(value: Any) -> str:
    """Return a drawn value in words, its numbers to six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(show, value))})"
    return repr(value)


@dataclass(frozen=True)
class Tested:
    """The claim that `holds(**values)` for all values of the strategies. Tier: tested."""

    name: str
    given: Mapping[str, SearchStrategy]
    holds: Callable[..., bool]
    examples: int = 50
    cross_check: bool = False
    tier: ClassVar[str] = "tested"

    @property
    def shown(self) -> tuple[()]:
        """Nothing: what it claims is a function, which only its name puts into words."""
        return ()

    def decide(self) -> Outcome:
        """Search for values that refute the claim and shrink them."""
        tried: dict[str, Any] = {}
        number = 0

        @settings(_SETTINGS, max_examples=self.examples)
        @given(**self.given)
        def attempt(**values: Any) -> None:
            nonlocal number
            number += 1
            tried.clear()
            tried.update(values)
            if not self.holds(**values):
                raise Falsified

        try:
            attempt()
        except Falsified:  # Hypothesis ends on the smallest example that it found
            witness = ", ".join(f"{name} = {show(value)}" for name, value in tried.items())
            return Outcome("refuted", "the search found it", witness)

        return Outcome("survived", f"{number} examples")
