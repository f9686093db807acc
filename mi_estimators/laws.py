"""Exact laws: joint distributions whose log-ratio and mutual information are known, as samplers and as tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from . import _checks
from .expectation import mean


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
        _checks.number("rho", self.rho, low=-1, high=1)
        _checks.count("dim", self.dim)

    @classmethod
    def with_information(cls, nats: float, dim: int = 1) -> Gaussian:
        """Return the law of dimension `dim` with mutual information `nats`, at most 12 a dimension: ρ² = 1 − e^{−2I/d}.

        >>> round(Gaussian.with_information(5.0, dim=20).mutual_information, 12)
        5.0
        """
        _checks.count("dim", dim)
        _checks.number("nats", nats, low=0, high=12 * dim, closed="[]")  # beyond, 1 − ρ² is lost in rounding
        return cls(math.sqrt(-math.expm1(-2 * nats / dim)), dim)

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = −(d/2) ln(1 − ρ²), in nats."""
        return -self.dim / 2 * math.log1p(-(self.rho**2))

    @property
    def chi2(self) -> float:
        """χ²(P‖Q) = (1 − ρ²)^{−d} − 1 = e^{2I} − 1; infinite where it overflows."""
        return math.expm1(2 * self.mutual_information) if self.mutual_information < 354 else math.inf

    @property
    def log_ratio_variance(self) -> float:
        """Var_P(ln dP/dQ) = dρ², in nats²."""
        return self.dim * self.rho**2

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x and y of shape (n, dim), in the default dtype."""
        x = torch.randn(_checks.count("n", n), self.dim, generator=generator)
        noise = torch.randn(n, self.dim, generator=generator)
        return x, self.rho * x + math.sqrt(1 - self.rho**2) * noise

    def log_ratio(self, x: Float[Tensor, "*batch dim"], y: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats, shape (...), for x and y of shapes that broadcast to (..., dim).

        >>> law = Gaussian(0.6)
        >>> round(float(law.log_ratio(torch.zeros(1), torch.zeros(1))), 6)  # −½ ln(1 − ρ²)
        0.223144
        """
        for name, value in (("x", x), ("y", y)):
            if _checks.scores(name, value).shape[-1] != self.dim:
                raise ValueError(f"{name}: expected last dimension {self.dim}, got shape {tuple(value.shape)}")
        _checks.batch_shapes(x=x.shape, y=y.shape)
        rho = abs(self.rho)
        # ρ²(x² + y²) − 2ρxy = ρ(x − y)² − ρ(1 − ρ)(x² + y²): no cancellation at ρ → 1; for ρ < 0 y is mirrored.
        apart = (x - y if self.rho >= 0 else x + y) ** 2
        quadratic = (apart / (1 - rho) - (x**2 + y**2)).sum(-1)
        return self.mutual_information - rho / (2 * (1 + rho)) * quadratic


_INDEX_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class Finite:
    """A joint law on a finite set, from its table of log-probabilities; everything about it is exact.

    Args:
        log_joint: ln p(x, y), shape (nx, ny), with logsumexp 0; −inf where there is no mass.

    Attributes:
        log_joint, log_product: ln p(x, y) and ln p(x)p(y), shape (nx, ny).
        log_ratio_matrix: ln p(x, y)/(p(x)p(y)), shape (nx, ny); −inf where the joint has no mass, 0 off both supports.

    Raises:
        ValueError: not a matrix, or probabilities that do not sum to 1.

    >>> law = Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> round(law.mutual_information, 6)
    0.192745
    """

    def __init__(self, log_joint: Float[Tensor, "nx ny"]) -> None:
        if _checks.floating("log_joint", log_joint, dims=2).dim() != 2:
            raise ValueError(f"log_joint: expected a matrix, got shape {tuple(log_joint.shape)}")
        _checks.log_weights("log_joint", log_joint.flatten(), log_joint.flatten())
        self.log_joint = log_joint
        log_x = torch.logsumexp(log_joint, 1, keepdim=True)
        log_y = torch.logsumexp(log_joint, 0, keepdim=True)
        self.log_product = log_x + log_y
        self.log_ratio_matrix = (log_joint - self.log_product).where(self.log_product > -math.inf, 0)

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = KL(P‖Q), in nats."""
        return float(mean(self.log_ratio_matrix.flatten(), self.log_joint.flatten()))

    @property
    def chi2(self) -> float:
        """χ²(P‖Q) = E_P r − 1."""
        return float(mean(self.log_ratio_matrix.flatten().exp(), self.log_joint.flatten())) - 1

    def sample(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n pairs of indices: x and y of shape (n,), dtype int64."""
        probabilities = self.log_joint.exp().flatten()
        atoms = torch.multinomial(probabilities, _checks.count("n", n), replacement=True, generator=generator)
        return atoms // self.log_joint.shape[1], atoms % self.log_joint.shape[1]

    def log_ratio(self, x: Int[Tensor, "*batch"], y: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats for index tensors of shapes that broadcast."""
        for name, value, size in zip(("x", "y"), (x, y), self.log_joint.shape, strict=True):
            if not isinstance(value, Tensor) or value.dtype not in _INDEX_TYPES:
                got = value.dtype if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"{name}: expected a tensor of integer indices, got {got}")
            if not _checks.all_true((value >= 0) & (value < size)):
                raise ValueError(f"{name}: expected integer indices in [0, {size}), got one outside")
        _checks.batch_shapes(x=x.shape, y=y.shape)
        return self.log_ratio_matrix[x.long(), y.long()]

    def exact(self, bound: Callable[..., Tensor], critic: Float[Tensor, "*batch nx ny"]) -> Float[Tensor, "*batch"]:
        """Evaluate a bound of the library on this law, without sampling.

        Args:
            bound: a function of (joint, product, log_p=, log_q=) such as `mi.dv`.
            critic: T(x, y), shape (..., nx, ny), in nats.

        Returns:
            Shape (...).

        Raises:
            ValueError: a critic of another shape, or scores that are not finite (a cell without joint mass has the
                log-ratio −∞: give such cells a large negative score instead).
        """
        if critic.shape[-2:] != self.log_joint.shape:
            raise ValueError(
                f"critic: expected (..., {self.log_joint.shape[0]}, {self.log_joint.shape[1]}) scores,"
                f" got shape {tuple(critic.shape)}"
            )
        scores = critic.flatten(-2)
        return bound(scores, scores, log_p=self.log_joint.flatten(), log_q=self.log_product.flatten())
