"""Noise of any law around a function of several columns: laws that were written after the estimator, to test it.

The density p(y | x) is known. The law of y alone is its mean over draws of x, and the information is a mean over draws,
too, with a standard error of about 0.001 nats.

A first trial of two thirds of these laws set how far an interval reaches where the steps ended training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mi_estimators.laws import ProductLaw

from .bases import Computed, Rng, Rows
from .channels import normal, uniform
from .task import Task

_ROWS, _DRAWS = 4000, 20_000  # of y, and of x for the law of y
_CHEAP = 400_000  # rows, where the law of y is not needed
_BLOCK = 2**20  # densities at a time
_NEVER = -60.0  # ln of a density that is zero

Draw = Callable[[int, int, Rng], Tensor]


@dataclass(frozen=True)
class Noise:
    """A law of independent entries: how it is drawn, and its log-density in nats."""

    draw: Draw
    log_density: Callable[[Tensor], Tensor]

    def times(self, scale: float) -> Noise:
        """Return the law of `scale` times the noise."""
        return Noise(
            lambda n, dim, generator: scale * self.draw(n, dim, generator),
            lambda values: self.log_density(values / scale) - math.log(scale),
        )


def _laplace(n: int, dim: int, generator: Rng) -> Tensor:
    first, second = (uniform(n, dim, generator).log() for _ in range(2))
    return first - second


def _student_2(n: int, dim: int, generator: Rng) -> Tensor:
    return normal(n, dim, generator) / (-uniform(n, dim, generator).log()).sqrt()


NORMAL = Noise(normal, lambda e: -(e**2) / 2 - math.log(2 * math.pi) / 2)
LAPLACE = Noise(_laplace, lambda e: -e.abs() - math.log(2))
EXPONENTIAL = Noise(
    lambda n, dim, generator: -uniform(n, dim, generator).log(),
    lambda e: torch.where(e >= 0, -e, _NEVER),
)
STUDENT_2 = Noise(_student_2, lambda e: -1.5 * torch.log1p(e**2 / 2) - math.log(8) / 2)
EVEN = Noise(
    lambda n, dim, generator: 2 * uniform(n, dim, generator) - 1,
    lambda e: torch.where(e.abs() <= 1, -math.log(2), _NEVER).double(),
)


@dataclass(frozen=True)
class NoisyFunction(Computed):
    """Y is drawn from a density that depends on X.

    Args:
        conditional: draws y of shape (n, dim_y) from x of shape (n, dim_x) and a generator.
        log_density: ln p(y | x), from shapes (..., dim_x) and (..., dim_y) to (...).
        dim_x, dim_y: number of columns.
        draw: draws x from (n, dim_x, generator).
    """

    conditional: Callable[[Tensor, Rng], Tensor]
    log_density: Callable[[Tensor, Tensor], Tensor]
    dim_x: int
    dim_y: int
    draw: Draw = normal

    @classmethod
    def additive(
        cls,
        function: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        dim_x: int = 1,
        dim_y: int = 1,
        scale: Callable[[Tensor], Tensor] | None = None,
        draw: Draw = normal,
    ) -> NoisyFunction:
        """Return Y = f(X) + s(X)·noise, with s = 1 unless given."""

        def width(x: Tensor) -> Tensor:
            return torch.ones(1, dtype=x.dtype) if scale is None else scale(x)

        def conditional(x: Tensor, generator: Rng) -> Tensor:
            return function(x) + width(x) * noise.draw(len(x), dim_y, generator)

        def log_density(x: Tensor, y: Tensor) -> Tensor:
            deviation = width(x)
            standard = (y - function(x)) / deviation
            return (noise.log_density(standard) - deviation.log()).sum(-1)

        return cls(conditional, log_density, dim_x, dim_y, draw)

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y), in float64."""
        x = self.draw(n, self.dim_x, generator)
        return x, self.conditional(x, generator)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...), with the law of y by a mean over draws of x."""
        batch = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
        rows = y.double().reshape(-1, 1, self.dim_y)
        blocks = rows.split(max(1, _BLOCK // _DRAWS))
        log_means = [
            torch.logsumexp(self.log_density(self._draws, block), 1) - math.log(_DRAWS)
            for block in blocks
        ]
        log_marginal = torch.cat(log_means).reshape(y.shape[:-1])

        return (self.log_density(x.double(), y.double()) - log_marginal).expand(batch)

    @cached_property
    def _draws(self) -> Tensor:
        return self.draw(_DRAWS, self.dim_x, torch.Generator().manual_seed(1))

    def information(self) -> float:
        """Compute I(X; Y), in nats: the mean log-ratio, less what a regression on cheaper means explains of it."""
        x, y = self.sample(_CHEAP, torch.Generator().manual_seed(2))
        cheap = self._cheap(x, y)
        deviations = cheap - cheap.mean(0)
        ratios = self.log_ratio(x[:_ROWS], y[:_ROWS])
        known = torch.cat([torch.ones(_ROWS, 1), deviations[:_ROWS]], 1).double()

        return float(torch.linalg.lstsq(known, ratios[:, None]).solution[0])

    def _cheap(self, x: Tensor, y: Tensor) -> Tensor:
        """Return columns whose mean many rows tell, and which the log-ratio follows."""
        size = y.abs()
        columns = [self.log_density(x, y)[:, None], size, size.log1p(), (-(size**2)).exp()]
        return torch.cat(columns, 1)


def _unchanged(x: Tensor) -> Tensor:
    return x


def _columns(*columns: Tensor) -> Tensor:
    return torch.stack(columns, -1)


def _turned(x: Tensor) -> Tensor:
    """Return the second and third column, turned by twice the first."""
    angle = 2 * x[..., 0]
    u = x[..., 1]
    v = x[..., 2]
    cos, sin = angle.cos(), angle.sin()
    return _columns(cos * u - sin * v, sin * u + cos * v)


def _times_matrix(x: Tensor) -> Tensor:
    """Return the product of the matrix of four columns and the vector of two."""
    a, b, c, d, u, v = x.unbind(-1)
    return _columns(a * u + b * v, c * u + d * v)


def _gate(x: Tensor) -> Tensor:
    open_ = (4 * x[..., 0]).sigmoid()
    return _columns(open_ * x[..., 1] + (1 - open_) * x[..., 2])


def _cubic_and_product(x: Tensor) -> Tensor:
    return _columns(x[..., 0] ** 3 / 3, x[..., 1] * x[..., 2])


def _with_coin(n: int, dim: int, generator: Rng) -> Tensor:
    """Draw normal columns and a last one of zeros and ones."""
    coin = (uniform(n, 1, generator) > 0.5).double()
    return torch.cat([normal(n, dim - 1, generator), coin], 1)


def _branches(side: float) -> NoisyFunction:
    """Return Y = ±|X| + noise, with a fair sign."""

    def conditional(x: Tensor, generator: Rng) -> Tensor:
        positive = uniform(len(x), 1, generator) > 0.5
        sign = 2 * positive.double() - 1
        return sign * x.abs() + side * normal(len(x), 1, generator)

    def log_density(x: Tensor, y: Tensor) -> Tensor:
        noise = NORMAL.times(side).log_density
        both = torch.logaddexp(noise(y - x.abs()), noise(y + x.abs()))
        return both.squeeze(-1) - math.log(2)

    return NoisyFunction(conditional, log_density, 1, 1)


def _counts(rate: Callable[[Tensor], Tensor], dim_x: int) -> NoisyFunction:
    """Return counts of Poisson's law, of rate r(X)."""

    def log_density(x: Tensor, y: Tensor) -> Tensor:
        mean, count = rate(x), y[..., 0]
        return count * mean.log() - mean - torch.lgamma(count + 1)

    def conditional(x: Tensor, generator: Rng) -> Tensor:
        return torch.poisson(rate(x)[:, None], generator=generator)

    return NoisyFunction(conditional, log_density, dim_x, 1)


def _yes_or_no(logit: Callable[[Tensor], Tensor], dim_x: int) -> NoisyFunction:
    """Return a label in {0, 1} whose log-odds are a function of X."""

    def log_density(x: Tensor, y: Tensor) -> Tensor:
        return logsigmoid((2 * y[..., 0] - 1) * logit(x))

    def conditional(x: Tensor, generator: Rng) -> Tensor:
        yes = uniform(len(x), 1, generator) < logit(x).sigmoid()[:, None]
        return yes.double()

    return NoisyFunction(conditional, log_density, dim_x, 1)


def _one_of_four(x: Tensor) -> Tensor:
    u, v = x[..., 0], x[..., 1]
    logits = 2 * _columns(u * v, u - v, v**2 - 1, -u)
    return logits.log_softmax(-1)


def _label(log_shares: Callable[[Tensor], Tensor], dim_x: int) -> NoisyFunction:
    """Return a label, given the logarithms of its shares."""

    def log_density(x: Tensor, y: Tensor) -> Tensor:
        shares, label = log_shares(x), y.long()
        batch = torch.broadcast_shapes(shares.shape[:-1], label.shape[:-1])
        shares, label = shares.expand(*batch, -1), label.expand(*batch, 1)
        return shares.gather(-1, label).squeeze(-1)

    def conditional(x: Tensor, generator: Rng) -> Tensor:
        shares = log_shares(x).exp().cumsum(-1)
        beyond = uniform(len(x), 1, generator) > shares[:, :-1]
        return beyond.sum(1, keepdim=True).double()

    return NoisyFunction(conditional, log_density, dim_x, 1)


_additive = NoisyFunction.additive


def _alike(law: NoisyFunction, copies: int) -> ProductLaw:
    return ProductLaw((law,) * copies)


_LAWS = {
    "laplace-noise": _additive(_unchanged, LAPLACE.times(0.3)),
    "exponential-noise-3": _alike(_additive(_unchanged, EXPONENTIAL.times(0.5)), 3),
    "student-noise-2": _alike(_additive(lambda x: 2 * x, STUDENT_2.times(0.5)), 2),
    "even-noise-2": _alike(_additive(_unchanged, EVEN.times(0.03), draw=uniform), 2),
    "louder-where-large": _additive(_unchanged, NORMAL, scale=lambda x: 0.1 + x.abs()),
    "louder-where-large-3": _alike(
        _additive(_unchanged, NORMAL, scale=lambda x: 0.1 + 0.6 * x.abs()), 3
    ),
    "branches-2": _alike(_branches(0.15), 2),
    "rounded": _additive(lambda x: (2 * x).round() / 2, NORMAL.times(0.1)),
    "chirp": _additive(lambda x: (24 * x**2).sin(), NORMAL.times(0.15), draw=uniform),
    "sine-and-line-of-6": _additive(
        lambda x: (2.5 * x[..., :1]).sin() + x[..., 1:2] / 2, NORMAL.times(0.2), dim_x=6
    ),
    "one-of-30": _additive(lambda x: x[..., 7:8], NORMAL.times(0.5), dim_x=30),
    "abs-1-of-20": _additive(lambda x: x[..., 7:8].abs(), NORMAL.times(0.3), dim_x=20),
    "triple-product": _additive(lambda x: x.prod(-1, keepdim=True), NORMAL.times(0.3), dim_x=3),
    "cubic-and-product": _additive(_cubic_and_product, NORMAL.times(0.4), dim_x=3, dim_y=2),
    "turned-by-a-column": _additive(_turned, NORMAL.times(0.3), dim_x=3, dim_y=2),
    "maximum-of-4": _additive(lambda x: x.amax(-1, keepdim=True), NORMAL.times(0.2), dim_x=4),
    "norm-of-5": _additive(lambda x: x.norm(dim=-1, keepdim=True), NORMAL.times(0.2), dim_x=5),
    "sign-by-a-coin-3": _additive(
        lambda x: (2 * x[..., 3:] - 1) * x[..., :3],
        NORMAL.times(0.5),
        dim_x=4,
        dim_y=3,
        draw=_with_coin,
    ),
    "rate-of-5": _counts(lambda x: (1 + 0.7 * x[..., 0] - 0.5 * x[..., 1]).exp(), 5),
    "log-odds-product-4": _yes_or_no(lambda x: 3 * x[..., 0] * x[..., 1], 4),
    "gated-3": _additive(_gate, NORMAL.times(0.2), dim_x=3),
    "ratio-2": _additive(
        lambda x: x[..., :1] / (0.5 + x[..., 1:].abs()), NORMAL.times(0.2), dim_x=2
    ),
    "angle-of-a-sum": _additive(
        lambda x: _columns((3 * x[..., 0] + x[..., 1]).cos(), (3 * x[..., 0] + x[..., 1]).sin()),
        NORMAL.times(0.2),
        dim_x=2,
        dim_y=2,
    ),
    "sorted-3": _additive(lambda x: x.sort(-1).values, NORMAL.times(0.3), dim_x=3, dim_y=3),
    "matrix-times-vector": _additive(_times_matrix, NORMAL.times(0.5), dim_x=6, dim_y=2),
    "products-of-6": _additive(
        lambda x: x[..., :3].mul(x[..., 3:]).sum(-1, keepdim=True), NORMAL.times(0.5), dim_x=6
    ),
    "square-times-column": _additive(
        lambda x: (x[..., :1] ** 2 - 1) * x[..., 1:2], NORMAL.times(0.3), dim_x=4
    ),
    "volatility-of-3": _additive(
        lambda x: 0 * x[..., :1], NORMAL, dim_x=3, scale=lambda x: x.sum(-1, keepdim=True).exp()
    ),
    "median-of-5": _additive(
        lambda x: x.median(-1, keepdim=True).values, LAPLACE.times(0.1), dim_x=5
    ),
    "one-of-four-classes": _label(_one_of_four, 4),
    "saturated-mix-5": _additive(
        lambda x: (2 * x.cumsum(-1)).tanh(), NORMAL.times(0.3), dim_x=3, dim_y=3
    ),
    "lognormal-rate-2": _counts(lambda x: (1 + x[..., 0] * x[..., 1]).clamp(max=5).exp(), 3),
}

TASKS = tuple(Task(name, law) for name, law in _LAWS.items())
"""Functions of several columns, noise of other laws, counts and labels."""
