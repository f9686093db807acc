"""Multivariate Student laws: heavy tails, and information even where nothing is correlated."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import check_pair
from .multivariate import MultivariateGaussian, cholesky


class StudentT:
    """Multivariate Student (X, Y): a centred normal divided by one √(χ²_ν/ν) common to all its entries.

    I(X; Y) = I_normal + c(ν) + c(ν + d) − c(ν + d_x) − c(ν + d_y), with c(a) = ln Γ(a/2) − (a/2) ψ(a/2) and
    d = d_x + d_y. I_normal is the information of a normal law whose covariance is the dispersion. If the dispersion is
    the identity, all the information lies in the common scale.

    Args:
        dispersion: shape (d, d), symmetric and positive definite; the covariance is ν/(ν − 2) times it, where ν > 2.
        dim_x: number of entries of x, from 1 to d − 1.
        degrees_of_freedom: ν in [0.5, 1e6], so that samples stay finite in float32 and the formula keeps 8 digits.

    Raises:
        ValueError: a dispersion or dim_x that `MultivariateGaussian` refuses, or degrees_of_freedom outside its range.

    Reference: Arellano-Valle, Contreras-Reyes and Genton 2013, pp. 46–47; Czyż et al. 2023 (arXiv 2306.11078).

    >>> round(StudentT.identity(3, 3, degrees_of_freedom=2).mutual_information, 2)
    0.29
    """

    def __init__(
        self, dispersion: Float[Tensor, "d d"], dim_x: int, degrees_of_freedom: float
    ) -> None:
        cholesky("dispersion", dispersion)
        self._normal = MultivariateGaussian(dispersion, dim_x)
        self.dispersion, self.dim_x, self.dim_y = (
            self._normal.covariance,
            self._normal.dim_x,
            self._normal.dim_y,
        )

        self.degrees_of_freedom = _validate.number(
            "degrees_of_freedom", degrees_of_freedom, low=0.5, high=1e6, closed="[]"
        )

    @classmethod
    def identity(cls, dim_x: int, dim_y: int, degrees_of_freedom: float) -> StudentT:
        """Return the law whose dispersion is the identity: uncorrelated, dependent through the common scale alone."""
        dim = _validate.count("dim_x", dim_x) + _validate.count("dim_y", dim_y)
        return cls(torch.eye(dim, dtype=torch.float64), dim_x, degrees_of_freedom)

    def _signed_degrees(self) -> tuple[tuple[int, float], ...]:
        """Return (sign, ν + dimension) for the four densities of ln p(x, y) + ln p(·) − ln p(x) − ln p(y)."""
        nu = self.degrees_of_freedom
        return (
            (1, nu),
            (1, nu + self.dim_x + self.dim_y),
            (-1, nu + self.dim_x),
            (-1, nu + self.dim_y),
        )

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats, from E ln(1 + ‖z‖²/ν) = ψ((ν + d)/2) − ψ(ν/2) for a Student z of dimension d."""
        correction = 0.0
        for sign, a in self._signed_degrees():
            digamma = float(torch.special.digamma(torch.tensor(a / 2, dtype=torch.float64)))
            correction += sign * (math.lgamma(a / 2) - a / 2 * digamma)
        return self._normal.mutual_information + correction

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y), in the default dtype."""
        x, y = self._normal.sample(n, generator)
        shape = torch.full((n, 1), self.degrees_of_freedom / 2)
        # torch.distributions draws from the same function, without a generator.
        half_chi2 = torch._standard_gamma(shape, generator=generator)  # pyright: ignore[reportPrivateImportUsage, reportPrivateUsage]
        scale = (shape / half_chi2).sqrt()

        return scale * x, scale * y

    def log_ratio(
        self, x: Float[Tensor, "*#batch dx"], y: Float[Tensor, "*#batch dy"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats, shape (...): the difference of the three Student log-densities.

        Args:
            x, y: shapes (..., dim_x) and (..., dim_y), whose batches broadcast.

        Raises:
            ValueError: entries that are not finite, or other shapes.

        >>> law = StudentT.identity(1, 1, degrees_of_freedom=1)
        >>> round(float(law.log_ratio(torch.zeros(1), torch.zeros(1)).exp()), 6)  # (1/2π) / (1/π)² = π/2
        1.570796
        """
        dtype = check_pair(x, y, self.dim_x, self.dim_y)
        nu = self.degrees_of_freedom
        of_x, of_y, of_y_given_x = self._normal.squared_norms(x, y)
        total = self._normal.mutual_information

        for (sign, a), norm in zip(
            self._signed_degrees(), (0 * of_x, of_x + of_y_given_x, of_x, of_y), strict=True
        ):
            total = total + sign * (math.lgamma(a / 2) - a / 2 * torch.log1p(norm / nu))

        return torch.as_tensor(total).to(dtype)
