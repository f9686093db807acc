"""Independent laws side by side: log-ratios and informations add."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import Law, check_pair


@dataclass(frozen=True)
class ProductLaw:
    """Several laws drawn independently, their x stacked and their y stacked: I(X; Y) = Σ I(X_k; Y_k).

    Args:
        laws: at least one law, each with columns (embed a `Finite` law by `Transformed` first).

    Raises:
        ValueError: not a tuple of laws, or a law of indices without columns.

    >>> from mi_estimators.laws import AdditiveNoise, Gaussian
    >>> round(ProductLaw((Gaussian(0.6), AdditiveNoise(0.5))).mutual_information, 6)  # −½ ln 0.64 + ½
    0.723144
    """

    laws: tuple[Law, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.laws, tuple) or not self.laws:
            raise ValueError(f"laws: expected a tuple of laws, got {self.laws!r}")
        for law in self.laws:
            if not getattr(law, "dim_x", 0) or not getattr(law, "dim_y", 0):
                raise ValueError(f"laws: expected laws whose x and y have columns, got {law!r}")

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return sum(law.dim_x for law in self.laws)

    @property
    def dim_y(self) -> int:
        """Number of columns of y."""
        return sum(law.dim_y for law in self.laws)

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = Σ I(X_k; Y_k), in nats."""
        return sum(law.mutual_information for law in self.laws)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y), one law after the other."""
        _validate.count("n", n)
        x, y = zip(*(law.sample(n, generator) for law in self.laws), strict=True)
        return torch.cat(x, -1), torch.cat(y, -1)

    def log_ratio(
        self, x: Float[Tensor, "*#batch dx"], y: Float[Tensor, "*#batch dy"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) = Σ ln dP_k/dQ_k(x_k, y_k) in nats, shape (...).

        Args:
            x, y: shapes (..., dim_x) and (..., dim_y), whose batches broadcast.

        Raises:
            ValueError: other shapes, or what one of the laws refuses.
        """
        check_pair(x, y, self.dim_x, self.dim_y)
        parts_x = x.split([law.dim_x for law in self.laws], -1)
        parts_y = y.split([law.dim_y for law in self.laws], -1)
        terms = (law.log_ratio(a, b) for law, a, b in zip(self.laws, parts_x, parts_y, strict=True))
        return torch.stack(list(terms)).sum(0)
