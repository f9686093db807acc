"""How heavy the upper tail of importance weights is."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate


def pareto_k(scores: Float[Tensor, " m"]) -> float:
    """Return the Pareto shape k̂ of the upper tail of the weights eᵀ: where it exceeds 0.7, do not trust their mean.

    A generalised Pareto law is fitted to the largest min(m/5, 3√m) weights. Moments of order below 1/k are finite, so
    DV's normaliser E_Q eᵀ has a finite variance where k < ½.

    Args:
        scores: T of negatives, shape (m,), in nats.

    Returns:
        k̂. It is −∞ where the largest weights agree to a millionth, as under a cap, so that there is no tail. It is ∞
        where fewer than five weights stand above the rest, too few to fit. Where they span more than 500 nats it is
        Hill's estimate.

    Raises:
        ValueError: non-finite scores, or fewer than 25 of them.

    Reference: Vehtari, Simpson, Gelman, Yao & Gabry 2024, JMLR 25(72); the fit: Zhang & Stephens 2009.

    >>> quantiles = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    >>> round(pareto_k(-0.6 * quantiles.log()), 2)  # weights u^{−0.6}: exactly Pareto with k = 0.6
    0.59
    """
    if _validate.scores("scores", scores).dim() != 1 or len(scores) < 25:
        raise ValueError(
            f"scores: expected shape (m,) with m at least 25, got {tuple(scores.shape)}"
        )

    count = int(min(len(scores) / 5, 3 * math.sqrt(len(scores))))
    top = scores.double().topk(count + 1).values.flip(0)
    gaps = top[1:] - top[0]
    if not bool(gaps[-1] > 1e-6):
        return -math.inf

    gaps = gaps[gaps > 0]
    n = len(gaps)
    if n < 5:
        return math.inf
    if bool(gaps[-1] > 500):
        # Hill: the excesses would overflow, and k is far above 1 in any case.
        return float(gaps.mean())

    excess = gaps.expm1()
    # Zhang & Stephens: a posterior mean of θ over a grid, with a weak prior scaled by the lower quartile.
    grid = torch.arange(1, 31 + int(math.sqrt(n)), dtype=torch.float64, device=scores.device)
    quartile = excess[max(0, int(n / 4 + 0.5) - 1)]
    theta = 1 / excess[-1] + (1 - ((29 + int(math.sqrt(n)) + 1.0) / (grid - 0.5)).sqrt()) / (
        3 * quartile
    )
    shape = torch.log1p(-theta.unsqueeze(-1) * excess).mean(-1)
    likelihood = n * (torch.log(-theta / shape) - shape - 1)
    weights = likelihood.nan_to_num(-math.inf).softmax(0)
    theta_hat = (weights * theta).sum()
    k = float(torch.log1p(-theta_hat * excess).mean())

    return (k * n + 5) / (n + 10)  # shrunk a little towards one half, as in PSIS
