"""Compare arms on curves: z of the chosen response where z of the rejected one has fallen as far, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from scipy.stats import t as student


class Turn(NamedTuple):
    """The top of z_w: its step, its height, the margin z_w − z_l there, and how far z_w falls from it, in nats."""

    step: int
    top: float
    margin: float
    fall: float


def turn(steps: Sequence[int], chosen: Sequence[float], rejected: Sequence[float]) -> Turn:
    """Return where z_w is largest.

    >>> turn([0, 5, 10], [0.0, 2.0, -1.0], [0.0, -3.0, -9.0])
    Turn(step=5, top=2.0, margin=5.0, fall=3.0)
    """
    place = max(range(len(chosen)), key=lambda k: chosen[k])
    top = chosen[place]
    return Turn(steps[place], top, top - rejected[place], top - min(chosen[place:]))


def at_depth(chosen: Sequence[float], rejected: Sequence[float], depth: float) -> float | None:
    """Return z_w where z_l has first fallen by `depth`, None if it never has; straight lines between evaluations.

    >>> at_depth([0.0, 2.0, -1.0], [0.0, -3.0, -9.0], 6.0), at_depth([0.0], [0.0], 1.0) is None
    (0.5, True)
    """
    for k in range(1, len(rejected)):
        if rejected[k] <= -depth < rejected[k - 1]:
            share = (rejected[k - 1] + depth) / (rejected[k - 1] - rejected[k])
            return chosen[k - 1] + share * (chosen[k] - chosen[k - 1])
    return None


def paired(differences: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of differences within seeds and Student's 95 % interval; an infinite one of a single seed.

    >>> paired([1.0])
    (1.0, -inf, inf)
    """
    mean, count = fmean(differences), len(differences)
    if count < 2:
        return mean, -math.inf, math.inf
    half = float(student.ppf(0.975, count - 1)) * stdev(differences) / math.sqrt(count)
    return mean, mean - half, mean + half
