"""The grid of six laws × 1 to 10 nats of the package mutinfo (public tables of 2026), two columns a side.

A law of several columns shares its information among pairs of columns at random, and turns normal pairs at random: at
8 nats one pair alone may carry 6. Written from the definitions; the samplers are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mi_estimators.laws import (
    NORMAL_CDF,
    AdditiveNoise,
    Law,
    MultivariateGaussian,
    ProductLaw,
    StudentT,
    Transformed,
)
from mi_estimators.laws.quadrature import solve_increasing

from .bases import Derived, Rng, Rows
from .channels import normal, uniform
from .task import Task

DIM = 2
NATS = tuple(range(1, 11))
_DEGREES = 2


def shares(nats: float, seed: int) -> tuple[float, ...]:
    """Return `nats` cut into a part for each pair of columns, uniformly at random."""
    generator = torch.Generator().manual_seed(seed)
    waits = -uniform(1, DIM, generator)[0].log()
    return tuple((nats * waits / waits.sum()).tolist())


def turned(parts: tuple[float, ...], seed: int) -> Tensor:
    """Return the covariance of pairs that carry these informations, each side turned by a random rotation."""
    generator = torch.Generator().manual_seed(seed)
    dim = len(parts)
    turn_x, turn_y = (torch.linalg.qr(normal(dim, dim, generator))[0] for _ in "xy")
    rho = torch.tensor([-math.expm1(-2 * part) for part in parts], dtype=torch.float64).sqrt()
    cross = turn_x @ rho.diag() @ turn_y.mT
    one = torch.eye(len(parts), dtype=torch.float64)

    upper, lower = torch.cat([one, cross], 1), torch.cat([cross.mT, one], 1)
    return torch.cat([upper, lower])


@dataclass(frozen=True)
class Precise(Derived):
    """A law that samples in the default dtype, sampled in float64: at 10 nats float32 would round the noise."""

    law: MultivariateGaussian

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y), in float64."""
        factor = torch.linalg.cholesky(self.law.covariance)
        rows = normal(n, len(factor), generator) @ factor.mT
        return rows[:, : self.dim_x], rows[:, self.dim_x :]

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...)."""
        return self.law.log_ratio(x, y)


def turned_normal(nats: float, seed: int) -> Precise:
    """Return normal rows whose information is shared unevenly among pairs and turned."""
    return Precise(MultivariateGaussian(turned(shares(nats, seed), seed), DIM))


def turned_student(nats: float, seed: int) -> StudentT:
    """Return Student rows of the same kind; the common scale carries its part."""
    of_scale = StudentT.identity(DIM, DIM, degrees_of_freedom=_DEGREES).mutual_information
    covariance = turned(shares(nats - of_scale, seed), seed)
    return StudentT(covariance, DIM, degrees_of_freedom=_DEGREES)


@dataclass(frozen=True)
class LogGammaExponential:
    """X = ln G with G of the gamma law of shape 1/k and mean 1, and Y = ln E − X with E exponential.

    I(X; Y) = ψ(1/k) + k + ln k.

    Reference: Darbellay and Vajda 2000, for the gamma-exponential law.
    """

    k: float

    dim_x = dim_y = 1

    @classmethod
    def with_information(cls, nats: float) -> LogGammaExponential:
        """Return the law of information `nats`."""

        def information(k: Tensor) -> Tensor:
            return torch.special.digamma(1 / k) + k + k.log()

        def slope(k: Tensor) -> Tensor:
            return 1 + 1 / k - torch.special.polygamma(1, 1 / k) / k**2

        target = torch.tensor([nats], dtype=torch.float64)
        high = 2 * target.exp() + 10
        return cls(float(solve_increasing(information, slope, target, high * 1e-9, high)))

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats."""
        inverse = torch.tensor(1 / self.k, dtype=torch.float64)
        return float(torch.special.digamma(inverse)) + self.k + math.log(self.k)

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, 1), in float64."""
        shape = 1 / self.k
        # Gamma(a) = Gamma(a + 1)·U^{1/a}: in logs a small shape loses no digits.
        larger = torch.full((n, 1), shape + 1, dtype=torch.float64)
        gamma = torch._standard_gamma(larger, generator=generator)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]
        x = gamma.log() + (1 - uniform(n, 1, generator)).log() / shape + math.log(self.k)
        wait = -(1 - uniform(n, 1, generator)).log()

        return x, wait.log() - x

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, shape (...): Y given X is exponential of rate e^X, in logs."""
        x = x.squeeze(-1)
        y = y.squeeze(-1)
        shape = 1 / self.k
        given_x = x + y - (x + y).exp()
        alone = math.log(shape) + shape * math.log(shape) + y
        alone = alone - (shape + 1) * torch.logaddexp(
            y, torch.tensor(math.log(shape), dtype=y.dtype)
        )

        return given_x - alone


@dataclass(frozen=True)
class Quantised:
    """X standard normal and Y the number of its cell: equal cells but the last, so that the entropy is `nats`."""

    nats: float

    dim_x = dim_y = 1

    @cached_property
    def _probabilities(self) -> Tensor:
        count = math.ceil(math.exp(self.nats))
        low, high = 1e-15, 1 / count
        for _ in range(100):
            last = (low + high) / 2
            entropy = -last * math.log(last) - (1 - last) * math.log((1 - last) / (count - 1))
            low, high = (last, high) if entropy < self.nats else (low, last)

        cells = torch.full(
            (count,),
            (1 - high) / (count - 1),
            dtype=torch.float64,
        )
        cells[-1] = high
        return cells

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = H(Y), in nats."""
        return float(torch.special.entr(self._probabilities).sum())

    def _cell(self, x: Tensor) -> Tensor:
        ends = self._probabilities.cumsum(0)[:-1]
        return torch.searchsorted(ends, torch.special.ndtr(x.double()).contiguous())

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x of shape (n, 1), and y of shape (n, 1), in float64."""
        x = normal(n, 1, generator)
        return x, self._cell(x).double()

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return −ln P(Y = y) in nats where y is x's cell, and −∞ elsewhere."""
        cell = y.squeeze(-1).long()
        same = self._cell(x).squeeze(-1) == cell
        return (-self._probabilities[cell].log()).where(same, -math.inf)


def _stacked(laws: Iterable[Law]) -> ProductLaw:
    return ProductLaw(tuple(laws))


class Smoothed(AdditiveNoise):
    """A uniform signal in uniform noise of any width, in float64."""

    def __post_init__(self) -> None:
        """Take any width: the lower limit of the parent is that of float32."""

    @classmethod
    def with_information(cls, nats: float) -> Smoothed:
        """Return the law of information `nats`: ε − ln 2ε on (0, ½], 1/(4ε) beyond."""
        if nats <= 0.5:
            return cls(1 / (4 * nats))

        # In s = −ln ε the information is increasing: e^{−s} + s − ln 2.
        target = torch.tensor([nats], dtype=torch.float64)
        width = solve_increasing(
            lambda s: (-s).exp() + s - math.log(2),
            lambda s: 1 - (-s).exp(),
            target,
            0 * target + math.log(2),
            target + 1,
        )

        return cls(float((-width).exp()))

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n pairs: x and y of shape (n, 1), in float64."""
        x = uniform(n, 1, generator)
        return x, x + self.epsilon * (2 * uniform(n, 1, generator) - 1)


def _tasks() -> tuple[Task, ...]:
    rows = []
    for nats in NATS:
        pieces = shares(nats, 100 + nats)
        normals = turned_normal(nats, nats)
        laws: dict[str, tuple[Law, str | None]] = {
            "normal": (normals, "gaussian"),
            "student": (turned_student(nats, nats), "student"),
            "uniform": (Transformed(normals, NORMAL_CDF, NORMAL_CDF), "gaussian"),
            "log-gamma": (
                _stacked(LogGammaExponential.with_information(part) for part in pieces),
                None,
            ),
            "smoothed": (
                _stacked(Smoothed.with_information(part) for part in pieces),
                None,
            ),
            "quantised": (_stacked([Quantised(nats / DIM)] * DIM), None),
        }

        rows += [
            Task(f"{kind}-{nats}-nats", law, copula, rows=10_000)
            for kind, (law, copula) in laws.items()
        ]

    return tuple(rows)


TASKS = _tasks()
"""Six laws at 1, …, 10 nats."""
