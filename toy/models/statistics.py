"""Numbers that stand for many: quartiles over replicas, and fitted exponents."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def quartiles(values: Tensor) -> Tensor:
    """Return the lower quartile, the median and the upper quartile over the last dimension, shape (..., 3).

    >>> quartiles(torch.arange(5.0)).tolist()
    [1.0, 2.0, 3.0]
    """
    levels = torch.tensor([0.25, 0.5, 0.75], dtype=values.dtype)
    return values.quantile(levels, dim=-1).movedim(0, -1)


def fit_exponent(eps: ArrayLike, times: ArrayLike) -> tuple[float, float]:
    """Return the slope of ln t on ln 1/ε by least squares and the half-width of its 95 % interval; NaN of two points.

    >>> [abs(round(number, 6)) for number in fit_exponent([0.1, 0.01, 0.001], [3e1, 3e2, 3e3])]  # t = 3/ε
    [1.0, 0.0]
    """
    from scipy import stats  # takes a second to import

    slope, _, _, _, error = np.asarray(stats.linregress(-np.log(eps), np.log(times)))
    freedom = np.size(eps) - 2
    half = stats.t.ppf(0.975, freedom) * error if freedom > 0 else math.nan
    return float(slope), float(half)


def interval(slope: float, half: float) -> str:
    """Return a slope and its interval as text."""
    if math.isnan(half):
        return f"{slope:.3f}"
    return f"{slope:.3f} [{slope - half:.3f}, {slope + half:.3f}]"
