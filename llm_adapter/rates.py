"""Rates of success from c right responses of n a prompt: pass@k, its intervals, and sampled starvation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959963984540054  # two-sided 95 %


def pass_at_k(right: int, samples: int, k: int) -> float:
    """Return 1 − C(n − c, k)/C(n, k): unbiased for 1 − (1 − p)^k, the chance that one of k responses is right.

    Integers throughout, so exact to rounding. Reference: Chen et al. 2021, arXiv 2107.03374, eq. (1).

    >>> pass_at_k(1, 4, 2)
    0.5
    """
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def wilson(right: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of right answers among independent questions.

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    share, z = right / total, Z**2 / total
    centre, half = (share + z / 2) / (1 + z), math.sqrt(z * share * (1 - share) + z * z / 4) / (1 + z)
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap(values: Sequence[float], seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """Return the bootstrap's 95 % percentile interval of the mean over prompts, whose samples stay together."""
    values = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), size=draws) / len(values)
    low, high = np.quantile(weights @ values, [0.025, 0.975])
    return float(low), float(high)


def starvation(right: Sequence[int], samples: int) -> list[dict[str, float]]:
    """Return, for m = 1, 2, 4, … ≤ n responses a prompt, how often none of them is right.

    `measured` is the mean over prompts of C(n − c, m)/C(n, m), unbiased for the mean of (1 − ε)^m; `theory` is
    (1 − ε̄)^m at the mean rate ε̄, which by Jensen's inequality is the least that prompts of this mean rate can show: the
    excess is what the prompts differ. `steps` = 1/(1 − measured): group draws of m until one shows a right response,
    for a prompt chosen anew each time (null if none ever did).

    Theorem: missed_mass
    """
    mean = sum(right) / (len(right) * samples)
    rows = []
    for m in [2**power for power in range(samples.bit_length()) if 2**power < samples] + [samples]:
        measured = 1 - sum(pass_at_k(c, samples, m) for c in right) / len(right)
        rows.append(
            {
                "samples": m,
                "measured": measured,
                "theory": (1 - mean) ** m,
                "steps": 1 / (1 - measured) if measured < 1 else None,
            }
        )
    return rows
