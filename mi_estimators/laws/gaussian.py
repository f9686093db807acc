"""Pairs of normal variables with one correlation: the law for which most properties of estimators are known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate, theory
from .law import check_pair


@dataclass(frozen=True)
class Gaussian:
    """`dim` independent pairs (x_k, y_k) of standard normal variables with correlation `rho`.

    Args:
        rho: correlation of every pair, in (−1, 1).
        dim: number of pairs, ≥ 1.

    Raises:
        ValueError: rho outside (−1, 1) or dim < 1.

    >>> round(Gaussian(0.6, dim=1).mutual_information, 6)
    0.223144
    """

    rho: float
    dim: int = 1

    def __post_init__(self) -> None:
        _validate.number("rho", self.rho, low=-1, high=1)
        _validate.count("dim", self.dim)

    @classmethod
    def with_information(cls, nats: float, dim: int = 1) -> Gaussian:
        """Return the law of dimension `dim` with information `nats`, at most 12 per dimension: ρ² = 1 − e^{−2I/d}.

        >>> round(Gaussian.with_information(5.0, dim=20).mutual_information, 12)
        5.0
        """
        _validate.count("dim", dim)
        # Beyond, 1 − ρ² is lost in rounding.
        _validate.number("nats", nats, low=0, high=12 * dim, closed="[]")
        return cls(math.sqrt(-math.expm1(-2 * nats / dim)), dim)

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return self.dim

    @property
    def dim_y(self) -> int:
        """Number of columns of y."""
        return self.dim

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = −(d/2) ln(1 − ρ²), in nats."""
        return theory.gaussian_information(self.rho, self.dim)

    @property
    def chi2(self) -> float:
        """χ²(P‖Q) = (1 − ρ²)^{−d} − 1 = e^{2I} − 1; infinite where it overflows."""
        return theory.gaussian_chi2(self.mutual_information)

    @property
    def log_ratio_variance(self) -> float:
        """Var_P(ln dP/dQ) = dρ², in nats²."""
        return theory.gaussian_log_ratio_variance(self.rho, self.dim)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x and y of shape (n, dim), in the default dtype."""
        x = torch.randn(_validate.count("n", n), self.dim, generator=generator)
        noise = torch.randn(n, self.dim, generator=generator)
        return x, self.rho * x + math.sqrt(1 - self.rho**2) * noise

    def log_ratio(
        self, x: Float[Tensor, "*#batch dim"], y: Float[Tensor, "*#batch dim"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats, shape (...), for x and y of shapes that broadcast to (..., dim).

        >>> law = Gaussian(0.6)
        >>> round(float(law.log_ratio(torch.zeros(1), torch.zeros(1))), 6)  # −½ ln(1 − ρ²)
        0.223144
        """
        check_pair(x, y, self.dim, self.dim)
        rho = abs(self.rho)
        # ρ²(x² + y²) − 2ρxy = ρ(x − y)² − ρ(1 − ρ)(x² + y²): no cancellation at ρ → 1; for ρ < 0 y is mirrored.
        apart = (x - y if self.rho >= 0 else x + y) ** 2
        quadratic = (apart / (1 - rho) - (x**2 + y**2)).sum(-1)

        return self.mutual_information - rho / (2 * (1 + rho)) * quadratic
