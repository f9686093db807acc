"""Gaussian laws with any joint covariance."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import check_pair


def cholesky(name: str, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return a copy in float64 and its lower Cholesky factor, if the matrix is symmetric and positive definite."""
    if (
        _validate.scores(name, matrix, dims=2).dim() != 2
        or matrix.shape[0] != matrix.shape[1]
        or len(matrix) < 2
    ):
        raise ValueError(
            f"{name}: expected a square matrix of 2 rows or more, got shape {tuple(matrix.shape)}"
        )

    matrix = matrix.detach().to(torch.float64, copy=True)
    if not torch.allclose(matrix, matrix.mT, rtol=1e-6, atol=0):
        raise ValueError(f"{name}: expected a symmetric matrix, got one that is not")

    factor, failed = torch.linalg.cholesky_ex(matrix)
    if failed or not _validate.all_true(factor.diagonal() ** 2 > 1e-11 * matrix.diagonal()):
        raise ValueError(
            f"{name}: expected a positive definite matrix, got one that is singular or indefinite"
        )

    return matrix, factor


class MultivariateGaussian:
    """Centred normal (X, Y) with any joint covariance: X is its first `dim_x` entries, Y the others.

    One Cholesky factor L (float64) gives the sampler, (x, y) = L·noise; its lower right block L_yy is the law of y
    given x. With M the factor of Y's own covariance, I(X; Y) = ½ ln(det Σ_x det Σ_y / det Σ) = ln det M − ln det L_yy.

    Args:
        covariance: shape (d, d), symmetric and positive definite.
        dim_x: number of entries of x, from 1 to d − 1.

    Attributes:
        covariance, dim_x, dim_y: as given, in float64, and d − dim_x.

    Raises:
        ValueError: not a symmetric matrix, dim_x outside its range, not positive definite, or an entry whose variance
            given the entries before it is below 1e−11 of its own (rounding would swallow the information).

    Reference: Czyż et al. 2023 (arXiv 2306.11078), section 2.

    >>> law = MultivariateGaussian(torch.tensor([[4.0, 1.2], [1.2, 1.0]]), dim_x=1)  # correlation 0.6
    >>> round(law.mutual_information, 6)
    0.223144
    """

    def __init__(self, covariance: Float[Tensor, "d d"], dim_x: int) -> None:
        self.covariance, factor = cholesky("covariance", covariance)
        dim = len(factor)
        self.dim_x = _validate.count("dim_x", dim_x, high=dim - 1)
        self.dim_y = dim - self.dim_x
        self._factor = factor
        inverse = torch.linalg.solve_triangular(
            factor, torch.eye(dim, dtype=torch.float64), upper=False
        )
        self._whiten_x = inverse[:dim_x, :dim_x]
        self._residual_x, self._residual_y = inverse[dim_x:, :dim_x], inverse[dim_x:, dim_x:]
        factor_y = torch.linalg.cholesky(self.covariance[dim_x:, dim_x:])
        self._whiten_y = torch.linalg.inv(factor_y)
        self.mutual_information = float(
            (factor_y.diagonal() / factor.diagonal()[dim_x:]).log().sum()
        )

    @classmethod
    def dense(cls, dim_x: int, dim_y: int, correlation: float) -> MultivariateGaussian:
        """Return the law of unit variances in which every two entries have the same correlation, in (−1/(d − 1), 1).

        >>> round(MultivariateGaussian.dense(1, 1, 0.6).mutual_information, 6)
        0.223144
        """
        dim = _validate.count("dim_x", dim_x) + _validate.count("dim_y", dim_y)
        _validate.number("correlation", correlation, low=-1 / (dim - 1), high=1)
        one = torch.ones(dim, dim, dtype=torch.float64)

        return cls(
            correlation * one + (1 - correlation) * torch.eye(dim, dtype=torch.float64), dim_x
        )

    @classmethod
    def sparse(cls, dim_x: int, dim_y: int, pairs: int, correlation: float) -> MultivariateGaussian:
        """Return the law of unit variances in which (x_k, y_k), k < `pairs`, are correlated and the others independent.

        A signal of strength s in unit noise, on both sides, gives the correlation s²/(1 + s²).

        >>> round(MultivariateGaussian.sparse(5, 5, pairs=2, correlation=0.8).mutual_information, 6)  # −ln(1 − 0.8²)
        1.021651
        """
        dim = _validate.count("dim_x", dim_x) + _validate.count("dim_y", dim_y)
        _validate.number("correlation", correlation, low=-1, high=1)
        k = torch.arange(_validate.count("pairs", pairs, low=0, high=min(dim_x, dim_y)))
        covariance = torch.eye(dim, dtype=torch.float64)
        covariance[k, dim_x + k] = covariance[dim_x + k, k] = correlation

        return cls(covariance, dim_x)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y), in the default dtype."""
        noise = torch.randn(_validate.count("n", n), self.dim_x + self.dim_y, generator=generator)
        x, y = (noise @ self._factor.to(noise).mT).split([self.dim_x, self.dim_y], -1)
        return x, y

    def squared_norms(
        self, x: Float[Tensor, "*#batch dx"], y: Float[Tensor, "*#batch dy"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the squared Mahalanobis norms of x, of y, and of y given x, each of the batch's shape, in float64."""
        x, y = x.double(), y.double()
        residual = y @ self._residual_y.mT + x @ self._residual_x.mT
        return tuple(
            (v**2).sum(-1) for v in (x @ self._whiten_x.mT, y @ self._whiten_y.mT, residual)
        )

    def log_ratio(
        self, x: Float[Tensor, "*#batch dx"], y: Float[Tensor, "*#batch dy"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) = I + ½(‖y‖² − ‖y given x‖²) in nats, shape (...), in whitened norms.

        Args:
            x, y: shapes (..., dim_x) and (..., dim_y), whose batches broadcast.

        Raises:
            ValueError: entries that are not finite, or other shapes.

        >>> law = MultivariateGaussian.dense(1, 1, 0.6)
        >>> round(float(law.log_ratio(torch.zeros(1), torch.zeros(1))), 6)  # −½ ln(1 − ρ²)
        0.223144
        """
        dtype = check_pair(x, y, self.dim_x, self.dim_y)
        _, of_y, of_y_given_x = self.squared_norms(x, y)
        return (self.mutual_information + (of_y - of_y_given_x) / 2).to(dtype)
