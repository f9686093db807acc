"""Rates of success from c right responses among n for each prompt: pass@k, its intervals, and starvation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.959963984540054  # two-sided 95 %
DRAWS = 10_000  # of the bootstrap


def pass_at_k(right: int, samples: int, k: int) -> float:
    """Return 1 − C(n − c, k)/C(n, k), unbiased for 1 − (1 − p)^k, the probability that one of k responses is right.

    Reference: Chen et al. 2021 (arXiv 2107.03374), eq. 1.

    >>> pass_at_k(1, 4, 2)
    0.5
    """
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def wilson(right: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for the share of right answers among independent questions.

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    share, z = right / total, Z**2 / total
    centre = (share + z / 2) / (1 + z)
    half = math.sqrt(z * share * (1 - share) + z * z / 4) / (1 + z)

    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap(values: Sequence[float], sizes: Sequence[float] | None = None) -> tuple[float, float]:
    """Return the bootstrap's 95 % percentile interval of Σ values / Σ sizes over prompts.

    Prompts that all agree give an interval without width, which says nothing about other prompts.

    Args:
        values: a number for each prompt.
        sizes: a size for each prompt; 1 by default, which gives the interval of the mean.

    >>> bootstrap([0.5, 0.5, 0.5]), bootstrap([1, 2], sizes=[2, 4])
    ((0.5, 0.5), (0.5, 0.5))
    """
    above, count = np.asarray(values, dtype=float), len(values)
    below = np.ones_like(above) if sizes is None else np.asarray(sizes, dtype=float)
    draw = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=DRAWS)
    low, high = np.quantile((draw @ above) / (draw @ below), [0.025, 0.975])
    return float(low), float(high)


def powers(most: int) -> list[int]:
    """Return 1, 2, 4, … up to `most`, and `most` itself."""
    return sorted({*(2**power for power in range(most.bit_length())), most})


def curve(right: Sequence[int], samples: int, ks: Sequence[int]) -> dict[int, dict]:
    """Return the mean of pass@k over prompts and its bootstrap interval, for each k.

    Args:
        right: the number of right responses to each prompt.
        samples: n, the number of responses to each prompt.
        ks: values of k, at most n.

    >>> round(curve([2], 4, [2])[2]["mean"], 6)  # 4 responses, 2 right: 5 of their 6 pairs have a right one
    0.833333
    """
    rates = {k: [pass_at_k(count, samples, k) for count in right] for k in ks}
    return {
        k: {"mean": sum(values) / len(values), "interval": bootstrap(values)}
        for k, values in rates.items()
    }


def starvation(right: Sequence[int], samples: int) -> list[dict[str, float]]:
    """Return how often none of m responses to a prompt is right, for m = 1, 2, 4, … ≤ n.

    `measured` is the mean over prompts of C(n − c, m)/C(n, m), unbiased for the mean of (1 − ε)^m. `theory` is
    (1 − ε̄)^m at the mean rate ε̄, a lower bound of that mean by Jensen's inequality: the difference shows how much
    prompts differ. `steps` = 1/(1 − measured) is the mean number of draws of m responses, each to a new prompt, until
    one has a right response (null if none ever did).

    Theorem: missed_mass

    >>> [(row["measured"], row["theory"]) for row in starvation([0, 4], 4)]  # two prompts: never right, always right
    [(0.5, 0.5), (0.5, 0.25), (0.5, 0.0625)]
    """
    mean = sum(right) / (len(right) * samples)
    rows = []
    for m in powers(samples):
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
