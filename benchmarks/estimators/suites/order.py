"""Rows that are not independent draws, and independent draws in an order that looks as if they were not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mi_estimators.laws import Gaussian, Law

from .bases import Derived, EqualSides, Rng, Rows
from .channels import normal
from .labels import channel, codes, one_hot
from .task import Task


@dataclass(frozen=True)
class Autoregressive(EqualSides):
    """Stationary normal series z_t = φ z_{t−1} + √(1 − φ²)·noise, x and y, whose pairs at a time correlate by ρ.

    I(X_t; Y_t) = −(d/2) ln(1 − ρ²): what one row carries.
    """

    phi: float
    rho: float = 0.0
    dim: int = 1

    @property
    def mutual_information(self) -> float:
        """I(X_t; Y_t), in nats."""
        return Gaussian(self.rho, self.dim).mutual_information

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n successive rows: x and y of shape (n, dim), in float64."""
        noise = normal(n, 2 * self.dim, generator)
        series = [noise[0]]
        for step in math.sqrt(1 - self.phi**2) * noise[1:]:
            series.append(self.phi * series[-1] + step)
        u, v = torch.stack(series).split(self.dim, -1)

        return u, self.rho * u + math.sqrt(1 - self.rho**2) * v

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ of one row in nats, shape (...)."""
        return Gaussian(self.rho, self.dim).log_ratio(x, y)


@dataclass(frozen=True)
class Walks(EqualSides):
    """Two independent random walks: no row carries anything about the other side."""

    dim: int = 1

    mutual_information = 0.0

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n successive rows: x and y of shape (n, dim), in float64."""
        x, y = normal(n, 2 * self.dim, generator).cumsum(0).split(self.dim, -1)
        return x, y

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return 0, shape (...): the two sides are independent."""
        return torch.zeros(x.shape[:-1], dtype=torch.float64)


@dataclass(frozen=True)
class Copies(Derived):
    """A few rows of a law, each drawn many times."""

    law: Law
    distinct: int

    def sample(self, n: int, generator: Rng = None) -> Rows:
        """Draw n rows, with repetition, of `distinct` rows of the law."""
        x, y = self.law.sample(self.distinct, generator)
        index = torch.randint(self.distinct, (n,), generator=generator)
        return x[index], y[index]

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ln dP/dQ(x, y) of the law in nats, shape (...)."""
        return self.law.log_ratio(x, y)


def by_x(x: Tensor, y: Tensor) -> Tensor:
    """Return the rows in increasing order of the first column of x."""
    return x[:, 0].argsort(stable=True)


def by_label(x: Tensor, y: Tensor) -> Tensor:
    """Return the rows class by class, y one-hot or a code."""
    return (y.argmax(-1) if y.shape[1] > 1 else y[:, 0]).argsort(stable=True)


_NOISY = channel(10, 0.2, one_hot(10), codes(10))

TASKS = (
    Task("walks", Walks(), rows=2000, expects=("dependent_rows",)),
    Task("walks-3-3", Walks(3), rows=2000, expects=("dependent_rows",)),
    Task("autoregressive-0.99", Autoregressive(0.99), expects=("dependent_rows",)),
    Task("autoregressive-0.95-pair", Autoregressive(0.95, 0.8), expects=("dependent_rows",)),
    Task("autoregressive-0.95-pair-groups", Autoregressive(0.95, 0.8), groups=100),
    Task("autoregressive-0.2-pair", Autoregressive(0.2, 0.8), expects=("ok", "dependent_rows")),
    Task("copies-1-1", Copies(Gaussian(0.0), 200), rows=4000, expects=("repeated_rows",)),
    Task("copies-3-3", Copies(Gaussian(0.0, 3), 200), rows=4000, expects=("repeated_rows",)),
    Task("sorted-by-x", Gaussian(0.8), copula="gaussian", rows=3000, order=by_x),
    Task("sorted-by-x-5-5", Gaussian(0.5, 5), copula="gaussian", order=by_x),
    Task("sorted-by-label", _NOISY, discrete="y", order=by_label),
)
"""Series, walks, copies, sorted rows."""
