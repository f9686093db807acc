"""Increasing maps with their inverses, entry by entry: they bend the margins and keep the information."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .. import _validate
from .law import check_increasing, check_weights, inside_unit_interval
from .quadrature import solve_increasing
from .transformed import InjectiveMap


def _power(t: Tensor, exponent: float) -> Tensor:
    return t.sign() * t.abs() ** exponent


def _phi(t: Tensor) -> Tensor:
    """Return Φ(t) with all its digits in the lower tail (torch.special.ndtr has none left at −9)."""
    return torch.special.erfc(-t * math.sqrt(0.5)) / 2


def _normal_cdf(t: Tensor) -> Tensor:
    return inside_unit_interval("normal_cdf", _phi(t))


def _normal_quantile(u: Tensor) -> Tensor:
    return torch.special.ndtri(inside_unit_interval("normal_cdf", u))


ASINH = InjectiveMap("asinh", torch.asinh, torch.sinh)
"""t ↦ arsinh t, which tames tails."""

HALF_CUBE = InjectiveMap(
    "half_cube", partial(_power, exponent=3 / 2), partial(_power, exponent=2 / 3)
)
"""t ↦ sign(t)|t|^{3/2}, which lengthens tails."""

CUBIC = InjectiveMap("cubic", partial(_power, exponent=3), partial(_power, exponent=1 / 3))
"""t ↦ t³, which lengthens tails."""

NORMAL_CDF = InjectiveMap("normal_cdf", _normal_cdf, _normal_quantile)
"""t ↦ Φ(t), under which normal margins become uniform."""


def _wiggle(
    t: Tensor,
    waves: tuple[tuple[float, float, float], ...],
) -> Tensor:
    return t + sum((a * torch.sin(f * t + phase) for a, f, phase in waves), torch.zeros_like(t))


def _wiggle_slope(
    t: Tensor,
    waves: tuple[tuple[float, float, float], ...],
) -> Tensor:
    return 1 + sum((a * f * torch.cos(f * t + phase) for a, f, phase in waves), torch.zeros_like(t))


def _unwiggle(
    s: Tensor,
    waves: tuple[tuple[float, float, float], ...],
) -> Tensor:
    target, reach = s.double(), sum(abs(a) for a, _, _ in waves)
    function, slope = partial(_wiggle, waves=waves), partial(_wiggle_slope, waves=waves)
    return solve_increasing(function, slope, target, target - reach, target + reach).to(s.dtype)


def wiggly(waves: tuple[tuple[float, float, float], ...]) -> InjectiveMap:
    """Return t ↦ t + Σ a sin(f t + φ), entry by entry; increasing because Σ |a f| < 1.

    Args:
        waves: triples (amplitude a, frequency f, phase φ).

    Returns:
        The map with its inverse, for tensors of any shape.

    Raises:
        ValueError: not triples of finite numbers, or Σ |a f| ≥ 1.

    >>> bend = wiggly(((0.5, 1.0, 0.0),))
    >>> round(float(bend.inverse(bend.forward(torch.tensor([0.7])))), 5)
    0.7
    """
    if not isinstance(waves, tuple) or not all(
        isinstance(wave, tuple) and len(wave) == 3 for wave in waves
    ):
        raise ValueError(
            f"waves: expected a tuple of triples (amplitude, frequency, phase), got {waves!r}"
        )

    for number in (number for wave in waves for number in wave):
        _validate.number("waves", number)
    _validate.number(
        "waves (sum of |amplitude · frequency|)", sum(abs(a * f) for a, f, _ in waves), high=1
    )

    return InjectiveMap("wiggly", partial(_wiggle, waves=waves), partial(_unwiggle, waves=waves))


def _mixture_sum(
    x: Tensor,
    weights: tuple[float, ...],
    means: tuple[float, ...],
    part: Callable[[Tensor], Tensor],
) -> Tensor:
    return sum(
        (w * part(x - mean) for w, mean in zip(weights, means, strict=True)), torch.zeros_like(x)
    )


def _to_mixture(
    t: Tensor,
    weights: tuple[float, ...],
    means: tuple[float, ...],
) -> Tensor:
    target = t.double()
    # Each half by its own tail, so that no digit is lost.
    side = torch.where(target < 0, 1.0, -1.0).to(target)

    def tail(x: Tensor) -> Tensor:
        return side * _mixture_sum(x, weights, means, lambda z: _phi(side * z))

    def density(x: Tensor) -> Tensor:
        return (
            _mixture_sum(x, weights, means, lambda z: torch.exp(-(z**2) / 2))
            / math.sqrt(2 * math.pi)
            + 1e-300
        )

    goal = side * _phi(side * target)
    return solve_increasing(tail, density, goal, target + means[0], target + means[-1]).to(t.dtype)


def _from_mixture(
    x: Tensor,
    weights: tuple[float, ...],
    means: tuple[float, ...],
) -> Tensor:
    below, above = (
        _mixture_sum(s * x.double(), weights, tuple(s * m for m in means), _phi) for s in (1, -1)
    )
    quantile = torch.special.ndtri(torch.minimum(below, above))
    return quantile.where(below <= above, -quantile).to(x.dtype)


def mixture_quantile(weights: tuple[float, ...], means: tuple[float, ...]) -> InjectiveMap:
    """Return t ↦ F⁻¹(Φ(t)), entry by entry, F a mixture of unit normals: a standard normal t becomes bimodal.

    Args:
        weights: positive probabilities that sum to 1.
        means: of the components, increasing.

    Returns:
        The map with its inverse, for tensors of any shape.

    Raises:
        ValueError: weights that are no probabilities, means that do not increase, or different lengths.

    >>> two = mixture_quantile((0.5, 0.5), (-3.0, 3.0))
    >>> round(float(two.forward(torch.tensor([0.0], dtype=torch.float64))), 6)  # the median
    0.0
    """
    check_weights("weights", weights)
    check_increasing("means", means)
    if len(weights) != len(means):
        raise ValueError(
            f"means: expected {len(weights)} numbers, one for each weight, got {len(means)}"
        )

    settings = {"weights": weights, "means": means}
    return InjectiveMap(
        "mixture_quantile", partial(_to_mixture, **settings), partial(_from_mixture, **settings)
    )
