"""Pairs of a Gaussian law, and the features of the critics that hold every such law."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mi_estimators.laws import Gaussian


def features(x: Tensor, y: Tensor) -> Tensor:
    """Return φ(x, y) = (1, Σ xy, Σ (x² − 1), Σ (y² − 1)), sums over the pairs divided by √d, shape (..., 4).

    They are the gradient in θ of the critics T_θ = ln dP/dQ + θ·φ, which hold the log-ratio of every law of this kind.
    """
    parts = [x * y, x**2 - 1, y**2 - 1]
    sums = [part.sum(-1) / x.shape[-1] ** 0.5 for part in parts]
    return torch.stack([torch.ones_like(x[..., 0]), *sums], -1)


def draw(
    law: Gaussian, shape: tuple[int, ...], generator: torch.Generator, joint: bool
) -> tuple[Tensor, Tensor]:
    """Draw pairs from P (`joint`) or from Q as x and y of shape (*shape, dim), float64."""
    x, y = law.sample(math.prod(shape), generator)
    if not joint:
        y = law.sample(math.prod(shape), generator)[0]
    return x.reshape(*shape, law.dim).double(), y.reshape(*shape, law.dim).double()
