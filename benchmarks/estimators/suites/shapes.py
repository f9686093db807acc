"""Laws that no copula of a few parameters fits: boards, rings, mixtures of signs, stable noise, random networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mi_estimators.laws import Gaussian, InjectiveMap, MultivariateGaussian, Transformed
from mi_estimators.laws.quadrature import normal_rule, solve_increasing

from .bases import Computed, EqualSides, Rng, Rows
from .channels import normal, uniform
from .task import Task


def flip_information(flip: float) -> float:
    """Return ln 2 less the entropy of an error of probability `flip`, in nats."""
    entropy = -sum(p * math.log(p) for p in (flip, 1 - flip) if p)
    return math.log(2) - entropy


def flipped(n: int, flip: float, generator: Rng) -> Tensor:
    """Draw n errors of probability `flip`: 0 or 1, shape (n,)."""
    return (torch.rand(n, generator=generator) < flip).long()


def flip_log_ratio(error: Tensor, flip: float) -> Tensor:
    """Return ln 2(1 − flip) where there is no error and ln 2·flip where there is one."""
    ratios = torch.tensor([2 * (1 - flip), 2 * flip], dtype=torch.float64).log()
    return ratios[error]


@dataclass(frozen=True)
class Checkerboard:
    """Uniform on the white cells of a board of `cells` × `cells` on the unit square, on the black ones with `flip`.

    I(X; Y) = ln 2 − H(flip); `cells` is even.
    """

    cells: int
    flip: float = 0.0

    dim_x = dim_y = 1

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats."""
        return flip_information(self.flip)

    def _colour(self, x: Tensor, y: Tensor) -> Tensor:
        column, row = ((self.cells * v.squeeze(-1)).floor().long() for v in (x, y))
        return (column + row) % 2

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, 1); a cell of the wrong colour moves one cell up, round the edge."""
        x, y = uniform(n, 1, generator), uniform(n, 1, generator)
        wrong = self._colour(x, y) != flipped(n, self.flip, generator)
        moved = (y + 1 / self.cells) % 1
        return x, moved.where(wrong.unsqueeze(-1), y)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        return flip_log_ratio(self._colour(x, y), self.flip)


@dataclass(frozen=True)
class Parity:
    """X holds `bits` fair bits and Y their parity, flipped with probability `flip`: any fewer bits carry nothing."""

    bits: int
    flip: float = 0.0

    dim_y = 1

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return self.bits

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = ln 2 − H(flip), in nats."""
        return flip_information(self.flip)

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, bits) and y of shape (n, 1), in float64."""
        x = torch.randint(2, (n, self.bits), generator=generator)
        y = (x.sum(-1) + flipped(n, self.flip, generator)) % 2
        return x.double(), y.double().unsqueeze(-1)

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        odd = (x.sum(-1) + y.squeeze(-1)).long() % 2
        return flip_log_ratio(odd, self.flip)


@dataclass(frozen=True)
class Ring(Computed):
    """(X, Y) at a uniform angle, at the distance 1 + σN from the origin; I(X; Y) by quadrature over the plane."""

    sigma: float

    dim_x = dim_y = 1

    def _log_joint(self, x: Tensor, y: Tensor) -> Tensor:
        radius = (x**2 + y**2).sqrt()
        constant = math.log(self.sigma * math.sqrt(2 * math.pi) * 2 * math.pi)
        return -(((radius - 1) / self.sigma) ** 2) / 2 - radius.log() - constant

    def _nodes(self) -> tuple[Tensor, float]:
        reach, step = 1 + 8 * self.sigma, self.sigma / 16
        return torch.arange(-reach + step / 3, reach, step, dtype=torch.float64), step

    def _log_marginal(self, x: Tensor) -> Tensor:
        nodes, step = self._nodes()
        return torch.logsumexp(self._log_joint(x.unsqueeze(-1), nodes), -1) + math.log(step)

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        nodes, step = self._nodes()
        joint = self._log_joint(nodes[:, None], nodes)
        marginal = self._log_marginal(nodes)
        ratio = joint - marginal[:, None] - marginal
        return float((joint.exp() * ratio).sum() * step**2)

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, 1), in float64."""
        angle = 2 * math.pi * uniform(n, 1, generator)
        radius = 1 + self.sigma * normal(n, 1, generator)
        return radius * angle.cos(), radius * angle.sin()

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        x, y = x.squeeze(-1), y.squeeze(-1)
        return self._log_joint(x, y) - self._log_marginal(x) - self._log_marginal(y)


@dataclass(frozen=True)
class Regimes(Computed, EqualSides):
    """Y = ±ρX + √(1 − ρ²)·N with one fair sign for all columns: no column is correlated with another.

    With S = Σ x_k y_k, I(X; Y) = −(d/2) ln(1 − ρ²) − ln 2 + E ln(1 + e^{−2ρS/(1 − ρ²)}) given the positive sign. Given
    ‖X‖, S is normal: a quadrature over both.
    """

    rho: float
    dim: int

    @property
    def _slope(self) -> float:
        return self.rho / (1 - self.rho**2)

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        step = 0.005
        radius = torch.arange(
            step / 2,
            9 + math.sqrt(self.dim),
            step,
            dtype=torch.float64,
        )
        log_density = (self.dim - 1) * radius.log() - radius**2 / 2 + math.log(2 * step)
        log_density -= math.lgamma(self.dim / 2) + self.dim / 2 * math.log(2)
        z, log_weights = normal_rule(0.05)

        radius = radius.unsqueeze(-1)
        total = self.rho * radius**2 + math.sqrt(1 - self.rho**2) * radius * z
        doubt = torch.nn.functional.softplus(-2 * self._slope * total)
        weights = (log_density.unsqueeze(-1) + log_weights).exp()
        known = Gaussian(self.rho, self.dim).mutual_information

        return known - math.log(2) + float((weights * doubt).sum())

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, dim), in float64."""
        x = normal(n, self.dim, generator)
        noise = normal(n, self.dim, generator)
        sign = 2.0 * flipped(n, 0.5, generator).unsqueeze(-1) - 1
        return x, self.rho * sign * x + math.sqrt(1 - self.rho**2) * noise

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        law = Gaussian(self.rho, self.dim)
        both = law.log_ratio(x, y), law.log_ratio(x, -y)
        return torch.logaddexp(*both) - math.log(2)


@dataclass(frozen=True)
class Stable:
    """Y = X + γN with X and N symmetric α-stable of scale 1: no variance, and Y has the scale (1 + γ^α)^{1/α}.

    I(X; Y) = h(Y) − h(γN) = ln(1 + γ^{−α})/α. The characteristic function of X is e^{−|t|^α}.

    Reference: Chambers, Mallows and Stuck 1976, for the sampler.
    """

    alpha: float
    gamma: float

    dim_x = dim_y = 1

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats."""
        return math.log1p(self.gamma**-self.alpha) / self.alpha

    def _noise(self, n: int, generator: Rng) -> Tensor:
        angle = math.pi * (uniform(n, 1, generator) - 0.5)
        wait = -(1 - uniform(n, 1, generator)).log()
        ratio = (self.alpha * angle).sin() / angle.cos() ** (1 / self.alpha)
        return ratio * (((1 - self.alpha) * angle).cos() / wait) ** ((1 - self.alpha) / self.alpha)

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, 1), in float64."""
        x = self._noise(n, generator)
        return x, x + self.gamma * self._noise(n, generator)

    def _log_density(self, t: Tensor) -> Tensor:
        """Return the log-density at scale 1: Fourier's integral near 0, three terms of the tail's series beyond 20."""
        step = 2e-3
        u = torch.arange(
            0,
            40 ** (1 / self.alpha),
            step,
            dtype=torch.float64,
        )
        decay = (-(u**self.alpha)).exp() * step / math.pi
        decay[0] /= 2
        near = torch.cat([(part.unsqueeze(-1) * u).cos() @ decay for part in t.split(500)])

        far = torch.zeros_like(t)
        for k in (1, 2, 3):
            scale = math.gamma(1 + k * self.alpha) / (math.pi * math.factorial(k))
            swing = (-1) ** (k + 1) * math.sin(math.pi * k * self.alpha / 2)
            far += scale * swing * t.abs().clamp(min=1) ** (-k * self.alpha - 1)

        return near.where(t.abs() < 20, far).log()

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (n,)."""
        x, y = x.squeeze(-1), y.squeeze(-1)
        wide = (1 + self.gamma**self.alpha) ** (1 / self.alpha)
        of_noise = self._log_density((y - x) / self.gamma) - math.log(self.gamma)
        return of_noise - self._log_density(y / wide) + math.log(wide)


def _bend(t: Tensor, steepness: float) -> Tensor:
    return torch.asinh(2 * (t + steepness * torch.tanh(2 * t)))


def _unbend(s: Tensor, steepness: float) -> Tensor:
    target = s.sinh() / 2
    return solve_increasing(
        lambda t: t + steepness * torch.tanh(2 * t),
        lambda t: 1 + 2 * steepness * (1 - torch.tanh(2 * t) ** 2),
        target,
        target - steepness,
        target + steepness,
    )


def _through(
    x: Tensor,
    turns: tuple[Tensor, ...],
    shifts: tuple[Tensor, ...],
    steepness: float,
) -> Tensor:
    value = x.double()
    for turn, shift in zip(turns, shifts, strict=True):
        value = _bend(value @ turn + shift, steepness)
    return value @ turns[0].mT


def _back(
    y: Tensor,
    turns: tuple[Tensor, ...],
    shifts: tuple[Tensor, ...],
    steepness: float,
) -> Tensor:
    value = y.double() @ turns[0]
    for turn, shift in zip(reversed(turns), reversed(shifts), strict=True):
        value = (_unbend(value, steepness) - shift) @ turn.mT
    return value


def network(seed: int, dim: int, layers: int = 3, steepness: float = 1.5) -> InjectiveMap:
    """Return a random invertible network: layers of a rotation, a shift and the map arsinh(2t + 2s tanh 2t)."""
    generator = torch.Generator().manual_seed(seed)
    turns = tuple(torch.linalg.qr(normal(dim, dim, generator))[0] for _ in range(layers))
    shifts = tuple(0.5 * normal(1, dim, generator)[0] for _ in range(layers))
    settings = {"turns": turns, "shifts": shifts, "steepness": steepness}
    forward, inverse = partial(_through, **settings), partial(_back, **settings)

    return InjectiveMap("network", forward, inverse, dim_in=dim, dim_out=dim)


def networks(
    dim: int, nats: float, pairs: int | None = None, steepness: float = 1.5
) -> Transformed:
    """Return normal rows of `pairs` correlated pairs (all, unless given), each side behind a random network."""
    pairs = dim if pairs is None else pairs
    rho = math.sqrt(-math.expm1(-2 * nats / pairs))
    law = MultivariateGaussian.sparse(dim, dim, pairs=pairs, correlation=rho)
    maps = (network(seed, dim, steepness=steepness) for seed in (1, 2))
    return Transformed(law, *maps)


TASKS = (
    Task("checkerboard-4", Checkerboard(4)),
    Task("checkerboard-8", Checkerboard(8)),
    Task("checkerboard-4-flip-0.1", Checkerboard(4, flip=0.1)),
    Task("parity-3", Parity(3)),
    Task("parity-8", Parity(8)),
    Task("ring-0.1", Ring(0.1)),
    Task("ring-0.15", Ring(0.15)),
    Task("regimes-5-5", Regimes(0.8, 5)),
    Task("regimes-2-2", Regimes(0.9, 2)),
    Task("stable-1.2", Stable(1.2, 0.4)),
    Task("stable-1.7", Stable(1.7, 0.4)),
    Task("networks-2-2", networks(2, 1.0)),
    Task("networks-5-5", networks(5, 2.0)),
    Task("networks-5-5-gentle", networks(5, 2.0, steepness=0.0)),
    Task("networks-20-20-gentle", networks(20, 2.0, steepness=0.0)),
    Task("networks-5-5-few-rows", networks(5, 2.0), rows=500),
    Task("networks-10-10-2-pairs", networks(10, 1.5, pairs=2)),
    Task("networks-20-20", networks(20, 2.0)),
    Task("networks-20-20-many-rows", networks(20, 2.0), rows=50_000),
    Task("networks-50-50", networks(50, 1.0)),
    Task("networks-5-5-independent", networks(5, 0.0)),
)
"""Shapes in the plane, signs, heavy tails and random networks."""
