"""Normal noise around a function of x: one y, whose own law is a mixture of normals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mi_estimators.laws import Law, ProductLaw
from mi_estimators.laws.quadrature import normal_rule

from .bases import Computed, Derived, Rng, Rows
from .task import Task

_BLOCK = 2**23  # terms of a mixture that are held at a time
_HALF_LOG_2PI_E = 0.5 * math.log(2 * math.pi * math.e)

Mixture = tuple[Tensor, Tensor, Tensor]
"""ln weights, means and deviations of normals, each of shape (k,)."""


def normal(n: int, dim: int, generator: Rng) -> Tensor:
    """Draw standard normal rows of shape (n, dim), in float64."""
    return torch.randn(n, dim, generator=generator, dtype=torch.float64)


def uniform(n: int, dim: int, generator: Rng) -> Tensor:
    """Draw rows of shape (n, dim), uniform on (0, 1), in float64."""
    return torch.rand(n, dim, generator=generator, dtype=torch.float64)


def mixture_log_density(y: Tensor, mixture: Mixture) -> Tensor:
    """Return ln Σ_k w_k N(y; m_k, s_k²), shape of y."""
    log_weights, means, deviations = mixture
    blocks = y.reshape(-1).split(max(1, _BLOCK // len(means)))
    parts = []
    for block in blocks:
        squares = ((block[:, None] - means) / deviations) ** 2
        parts.append(torch.logsumexp(log_weights - deviations.log() - squares / 2, 1))

    return torch.cat(parts).reshape(y.shape) - math.log(2 * math.pi) / 2


def mixture_entropy(mixture: Mixture) -> float:
    """Return −∫ p ln p of a mixture of normals, in nats, by the trapezoidal rule.

    The nodes are evenly spaced if all deviations are equal. Otherwise they widen with |y|: the means are near 0 then.
    """
    _, means, deviations = mixture
    least = float(deviations.min())
    reach = float((means.abs() + 9 * deviations).max())
    if float(deviations.max()) == least:
        y = torch.arange(-reach, reach, least / 10, dtype=torch.float64)
        width = torch.full_like(y, least / 10)
    else:
        u = torch.arange(-1.0, 1.0, 2e-4, dtype=torch.float64) * math.asinh(reach / least)
        y = least * u.sinh()
        width = least * u.cosh() * (u[1] - u[0])

    log_density = mixture_log_density(y, mixture)
    return float(-(width * log_density.exp() * log_density).sum())


@dataclass(frozen=True)
class NormalChannel(Computed):
    """Y = m(X) + s(X)·N with N standard normal: ln dP/dQ = ln N(y; m(x), s(x)²) − ln Σ_k w_k N(y; m_k, s_k²).

    I(X; Y) = h(Y) − E ln s(X) − ½ ln 2πe, with h(Y) by quadrature.

    Args:
        mean: m, from x of shape (..., dim_x) to shape (...).
        mixture: makes the law of Y alone.
        deviation: s, of the same shapes, or a number.
        mean_log_deviation: E ln s(X); ln s where s is a number.
        dim_x: number of columns of x.
        draw: draws x from (n, dim_x, generator); standard normal unless given.
    """

    mean: Callable[[Tensor], Tensor]
    mixture: Callable[[], Mixture]
    deviation: float | Callable[[Tensor], Tensor]
    mean_log_deviation: float | None = None
    dim_x: int = 1
    draw: Callable[[int, int, Rng], Tensor] = normal

    dim_y = 1

    def _deviation(self, x: Tensor) -> Tensor:
        if callable(self.deviation):
            return self.deviation(x)
        return torch.full(x.shape[:-1], self.deviation, dtype=torch.float64)

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        of_noise = self.mean_log_deviation
        if of_noise is None:
            nowhere = torch.zeros(1, self.dim_x)
            of_noise = math.log(float(self._deviation(nowhere)))
        return mixture_entropy(self.mixture()) - of_noise - _HALF_LOG_2PI_E

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, 1), in float64."""
        x = self.draw(n, self.dim_x, generator)
        noise = normal(n, 1, generator).squeeze(-1)
        y = self.mean(x) + self._deviation(x) * noise
        return x, y.unsqueeze(-1)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        y, deviation = y.squeeze(-1), self._deviation(x)
        standard = (y - self.mean(x)) / deviation
        of_noise = -(standard**2) / 2 - deviation.log()
        of_y = mixture_log_density(y, self.mixture())
        return of_noise - math.log(2 * math.pi) / 2 - of_y


@dataclass(frozen=True)
class Idle(Derived):
    """A law whose x has more columns, standard normal, that carry nothing."""

    law: Law
    columns: int

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return self.law.dim_x + self.columns

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y)."""
        x, y = self.law.sample(n, generator)
        idle = normal(n, self.columns, generator).to(x)
        return torch.cat([x, idle], -1), y

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) of the law in nats, shape (...)."""
        return self.law.log_ratio(x[..., : self.law.dim_x], y)


def curve(
    function: Callable[[Tensor], Tensor],
    sigma: float,
    step: float = 0.004,
) -> NormalChannel:
    """Return Y = f(X) + σN for a standard normal X."""

    def mixture() -> Mixture:
        x, log_weights = normal_rule(step, reach=6)
        return log_weights, function(x), torch.full_like(x, sigma)

    return NormalChannel(lambda x: function(x.squeeze(-1)), mixture, sigma)


def saw(teeth: int, sigma: float) -> NormalChannel:
    """Return Y = (teeth·Φ(X) mod 1) + σN: the signal is uniform on (0, 1), whatever the number of teeth."""

    def signal(x: Tensor) -> Tensor:
        return (teeth * torch.special.ndtr(x.squeeze(-1))) % 1

    def mixture() -> Mixture:
        means = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
        return torch.full_like(means, -math.log(4000)), means, torch.full_like(means, sigma)

    return NormalChannel(signal, mixture, sigma)


def product(sigma: float) -> NormalChannel:
    """Return Y = X₁X₂ + σN: given X₁, Y is normal with variance X₁² + σ²."""

    def mixture() -> Mixture:
        x, log_weights = normal_rule(0.01, reach=8)
        return log_weights, torch.zeros_like(x), (x**2 + sigma**2).sqrt()

    return NormalChannel(lambda x: x.prod(-1), mixture, sigma, dim_x=2)


def sign(columns: int, sigma: float) -> NormalChannel:
    """Return Y = sign(X₁ ⋯ X_d) + σN: no column alone, nor all but one, carry anything."""

    def mixture() -> Mixture:
        means = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        return torch.full_like(means, -math.log(2)), means, torch.full_like(means, sigma)

    return NormalChannel(
        lambda x: x.prod(-1).sign(),
        mixture,
        sigma,
        dim_x=columns,
    )


def volatility(rate: float) -> NormalChannel:
    """Return Y = e^{rate·X} N: x moves the scale alone, and E ln s(X) = 0."""

    def mixture() -> Mixture:
        x, log_weights = normal_rule(0.01, reach=7)
        return log_weights, torch.zeros_like(x), (rate * x).exp()

    return NormalChannel(
        lambda x: torch.zeros_like(x.squeeze(-1)),
        mixture,
        lambda x: (rate * x.squeeze(-1)).exp(),
        mean_log_deviation=0.0,
    )


def mixed_columns(labels: int, spacing: float, sigma: float) -> NormalChannel:
    """Return Y = spacing·C + Z + σN for X = (C, Z): a label beside a standard normal column."""

    def draw(n: int, dim: int, generator: Rng) -> Tensor:
        label = torch.randint(labels, (n, 1), generator=generator).double()
        return torch.cat([label, normal(n, 1, generator)], -1)

    def mixture() -> Mixture:
        means = spacing * torch.arange(labels, dtype=torch.float64)
        scale = math.sqrt(1 + sigma**2)
        return torch.full_like(means, -math.log(labels)), means, torch.full_like(means, scale)

    return NormalChannel(
        lambda x: spacing * x[..., 0] + x[..., 1],
        mixture,
        sigma,
        dim_x=2,
        draw=draw,
    )


_ABS = curve(torch.abs, 0.3)

_LAWS = {
    "square-0.3": curve(torch.square, 0.3),
    "square-0.3-idle-5": Idle(curve(torch.square, 0.3), 5),
    "abs-0.2": curve(torch.abs, 0.2),
    "abs-2-of-10": Idle(ProductLaw((_ABS, _ABS)), 8),
    "abs-0.2-idle-9": Idle(curve(torch.abs, 0.2), 9),
    "sine-4": curve(lambda x: (4 * x).sin(), 0.3),
    "sine-10": curve(lambda x: (10 * x).sin(), 0.2),
    "cubic-turn-0.3": curve(lambda x: x**3 - 2 * x, 0.3),
    "step-0.5": curve(lambda x: x.sign(), 0.5),
    "saw-4": saw(4, 0.1),
    "saw-16": saw(16, 0.1),
    "saw-16-idle-2": Idle(saw(16, 0.16), 2),
    "product-0.3": product(0.3),
    "product-0.3-idle-8": Idle(product(0.3), 8),
    "sign-of-two": sign(2, 0.3),
    "sign-of-three": sign(3, 0.65),
    "volatility-1": volatility(1.0),
}

TASKS = tuple(Task(name, law) for name, law in _LAWS.items())
"""Curves, products, signs and scales in normal noise."""
