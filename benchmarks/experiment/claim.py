"""A claim of llm_adapter/PROTOCOL.md: a number with its interval, how often, by which test, and a verdict."""

from __future__ import annotations

from collections.abc import Sized
from typing import NamedTuple

NONE = "not measured"
STANDS, AGAINST, OPEN = "stands", "counts against it", "not resolved"

RULE, INTERVAL = "none: a threshold decides", "95 % interval, not corrected"
ANSWERS, TEXT = 0.05, 0.05
"""Smallest effects of interest: of pass@1, and of −ln π a token of other text, in nats."""
MARGIN = 1.0
"""The margin z_w − z_l, in nats, at which the first direction of DPO is read."""
QUESTIONS, LEVEL = 5, 0.05
"""The offline questions over which the protocol corrects by Holm's method, and the level of their tests."""


class Claim(NamedTuple):
    """A claim, what was measured of it, from how much, by which test, and whether it stands by the protocol's rule."""

    claim: str
    measured: str
    count: str
    test: str
    verdict: str


def counted(things: Sized, name: str) -> str:
    """Return how many there are, with their name.

    >>> counted([3], "seed"), counted([3, 4], "seed")
    ('1 seed', '2 seeds')
    """
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def missing(claim: str) -> Claim:
    """Return the line of a claim without rows."""
    return Claim(claim, NONE, "–", "–", NONE)


def holm(p_values: dict[str, float], count: int = QUESTIONS) -> dict[str, float]:
    """Return Holm's corrected p-values of some of `count` questions; those without a test count as 1.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03}, count=3)
    {'a': 0.03, 'c': 0.06, 'b': 0.06}
    """
    corrected, largest = {}, 0.0
    for place, (name, p) in enumerate(sorted(p_values.items(), key=lambda entry: entry[1])):
        largest = max(largest, min(1.0, (count - place) * p))
        corrected[name] = largest

    return corrected
