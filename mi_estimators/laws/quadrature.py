"""Deterministic numerics in float64: the trapezoidal rule under a normal weight, and roots of increasing functions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def normal_rule(step: float, reach: float = 9.5) -> tuple[Tensor, Tensor]:
    """Return nodes z, shape (m,), and log-weights ln w with Σ w f(z) ≈ E f(Z), Z standard normal, in float64.

    The trapezoidal rule converges like e^{−2πa/step} for f analytic in the strip |Im z| < a; P(|Z| > 9.5) is 2e−21.

    Reference: Trefethen and Weideman 2014, theorem 5.1.

    >>> z, log_weights = normal_rule(0.05)
    >>> round(float((log_weights.exp() * z**4).sum()), 12)  # E Z⁴
    3.0
    """
    m = math.ceil(reach / step)
    z = torch.arange(-m, m + 1, dtype=torch.float64) * step
    return z, -(z**2) / 2 + math.log(step / math.sqrt(2 * math.pi))


def solve_increasing(
    function: Callable[[Tensor], Tensor],
    slope: Callable[[Tensor], Tensor],
    target: Tensor,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    """Return t in [low, high] with function(t) = target, entry by entry; arguments in float64.

    20 bisections, then two Newton steps with the derivative `slope` > 0, none longer than what bisection left; the
    second carries the gradient to the target.

    >>> two = torch.tensor([2.0], dtype=torch.float64)
    >>> round(float(solve_increasing(torch.square, lambda t: 2 * t, two, 0 * two, two)), 12)
    1.414213562373
    """
    with torch.no_grad():
        for _ in range(20):
            middle = (low + high) / 2
            below = function(middle) < target
            low, high = middle.where(below, low), high.where(below, middle)
        t, width = (low + high) / 2, high - low
        t = t - ((function(t) - target) / slope(t)).clamp(-width, width)
        value, rate = function(t), slope(t)

    return t - ((value - target) / rate).clamp(-width, width)
