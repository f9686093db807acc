"""Mean number of steps from ε to ½ of a sampled gradient on two responses, by its renewal equation."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from ..models.sampling import hits_that_move

_CELL = 0.02  # of the log-odds, at most; and at most half of the smallest rise


def rises(
    objective: str, p: np.ndarray, hits: np.ndarray, samples: int, learning_rate: float
) -> np.ndarray:
    """Return how far a step with `hits` correct answers of n moves the log-odds u = θ_w − θ_l, shape (p, hits).

    Both logits move, oppositely. rlhf: 2ηk(n − k)/(n(n − 1)), the same at every p; dv: 2η(1 − p); js: 2η(1 − p)
    (k/n) ln(1 + 1/p). None is negative: no sampled step of these takes probability from the correct answer.

    >>> hits = np.array([1, 2, 4])  # all correct: a group-relative gradient is 0
    >>> [round(float(rise), 6) for rise in rises("rlhf", np.array([0.5]), hits, 4, learning_rate=0.6)[0]]
    [0.3, 0.4, 0.0]
    """
    if objective == "rlhf":
        return np.broadcast_to(
            2 * learning_rate * hits * (samples - hits) / (samples * (samples - 1)),
            (len(p), len(hits)),
        )

    weight = {"dv": np.ones_like(hits, dtype=float), "js": hits / samples}[objective]
    scale = 1.0 if objective == "dv" else np.log1p(1 / p)
    return (2 * learning_rate * (1 - p) * scale)[:, None] * weight


def escape_steps(objective: str, eps: float, samples: int, learning_rate: float) -> float:
    """Return E[steps from p = ε to p ≥ ½]: S(u) = (1 + Σ_k P(k) S(u + rise_k))/(1 − P(no signal)), S = 0 at u ≥ 0.

    Solved downwards from ½ on a grid of the log-odds, S linear between its points. As ε → 0 group-relative RLHF needs
    1/(nε) · 1/(1 − e^{−2η/n}) steps: the waits for one success after the other, each of which multiplies p by e^{2η/n}.

    >>> round(escape_steps("rlhf", 1e-6, 8, learning_rate=16.0) * 8e-6, 3), float(round(1 / (1 - np.exp(-4)), 3))
    (1.019, 1.019)
    """
    hits = np.array(hits_that_move(objective, samples))
    start = np.log(eps) - np.log1p(-eps)
    least = rises(objective, np.array([eps, 0.5]), hits, samples, learning_rate).min()
    grid = np.linspace(
        start,
        0,
        2 + int(np.ceil(-start / min(_CELL, least / 2))),
    )

    p = 1 / (1 + np.exp(-grid))
    chance = binom.pmf(hits, samples, p[:, None])
    place = (grid[:, None] + rises(objective, p, hits, samples, learning_rate) - start) / (
        grid[1] - grid[0]
    )
    inside = place < len(grid) - 1
    below = np.where(inside, place, len(grid) - 2).astype(int)
    share = np.where(inside, place - below, 1.0)

    signal, steps = chance.sum(-1), np.zeros(len(grid))
    for k in range(len(grid) - 2, -1, -1):
        ahead = (1 - share[k]) * steps[below[k]] + share[k] * steps[below[k] + 1]
        steps[k] = (1 + (chance[k] * np.where(inside[k], ahead, 0)).sum()) / signal[k]

    return float(steps[0])
