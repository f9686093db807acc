"""Laws seen through injective maps of x and of y: their information is the same, their shape is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .law import Law, check_columns


@dataclass(frozen=True)
class InjectiveMap:
    """An injective map with its inverse on its range, acting on the last dimension.

    Args:
        name: what messages call it.
        forward: the map, from (..., d) to (..., d') and in the argument's dtype.
        inverse: its inverse, which refuses by ValueError what lies outside the map's range.
        dim_in: the only number d of columns that it takes (0: indices without columns); None means any from `dim_low`.
        dim_out: the number d' of columns that it gives; None means d' = d.
        dim_low: the least number of columns that it takes.
    """

    name: str
    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    dim_in: int | None = None
    dim_out: int | None = None
    dim_low: int = 1

    def image_dim(self, argument: str, dim: int) -> int:
        """Return the number of columns that `dim` columns become; `argument` is named where they do not fit."""
        if dim < self.dim_low if self.dim_in is None else dim != self.dim_in:
            fits = f"at least {self.dim_low}" if self.dim_in is None else self.dim_in
            raise ValueError(
                f"{argument}: expected a map of {dim} columns, got {self.name}, which takes {fits}"
            )

        return dim if self.dim_out is None else self.dim_out


def _same(value: Tensor) -> Tensor:
    return value


IDENTITY = InjectiveMap("identity", _same, _same, dim_low=0)
"""x ↦ x, of any number of columns, indices without columns included."""


@dataclass(frozen=True)
class Transformed:
    """The law of (f(X), g(Y)), for a law of (X, Y) and injective maps f and g.

    Its information is I(X; Y): f(X) is a function of X, and X one of f(X), so the data-processing inequality holds in
    both directions. Its log-ratio is that of the law, pulled back: T(f⁻¹(x), g⁻¹(y)). The Jacobians of f and g appear
    in the joint and in the product alike and cancel. Where f embeds in more dimensions there are no densities, but
    dP/dQ is a ratio of measures and is pulled back all the same.

    Args:
        law: the law of (X, Y).
        map_x, map_y: injective maps, as in `maps` and `embeddings`; the identity unless given.

    Raises:
        ValueError: a map that does not take the law's number of columns.

    Reference: Kraskov et al. 2004, appendix; Czyż et al. 2023 (arXiv 2306.11078), theorem 2.1.

    >>> from mi_estimators.laws import CUBIC, Gaussian
    >>> law = Transformed(Gaussian(0.6), CUBIC)
    >>> round(law.mutual_information, 6)
    0.223144
    >>> x, y = torch.tensor([8.0]), torch.tensor([1.0])
    >>> bool(law.log_ratio(x, y).isclose(Gaussian(0.6).log_ratio(x ** (1 / 3), y)))
    True
    """

    law: Law
    map_x: InjectiveMap = IDENTITY
    map_y: InjectiveMap = IDENTITY

    def __post_init__(self) -> None:
        if not hasattr(self.law, "log_ratio"):
            raise ValueError(f"law: expected a law, got {type(self.law).__name__}")

        for name, value in (("map_x", self.map_x), ("map_y", self.map_y)):
            if not isinstance(value, InjectiveMap):
                raise ValueError(f"{name}: expected an InjectiveMap, got {type(value).__name__}")
        self.map_x.image_dim("map_x", self.law.dim_x)
        self.map_y.image_dim("map_y", self.law.dim_y)

    @property
    def dim_x(self) -> int:
        """Number of columns of f(x)."""
        return self.map_x.image_dim("map_x", self.law.dim_x)

    @property
    def dim_y(self) -> int:
        """Number of columns of g(y)."""
        return self.map_y.image_dim("map_y", self.law.dim_y)

    @property
    def mutual_information(self) -> float:
        """I(f(X); g(Y)) = I(X; Y), in nats."""
        return self.law.mutual_information

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs of the law and map them: shapes (n, dim_x) and (n, dim_y)."""
        x, y = self.law.sample(n, generator)
        return self.map_x.forward(x), self.map_y.forward(y)

    def log_ratio(self, x: Tensor, y: Tensor) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) of the law at f⁻¹(x) and g⁻¹(y), in nats, shape (...).

        Args:
            x, y: shapes (..., dim_x) and (..., dim_y), whose batches broadcast; indices where a dimension is 0.

        Raises:
            ValueError: other shapes, points outside the range of a map, or what the law refuses.
        """
        columns = (("x", x, self.dim_x), ("y", y, self.dim_y))
        dtypes = [check_columns(*given).dtype for given in columns if given[-1]]
        ratio = self.law.log_ratio(self.map_x.inverse(x), self.map_y.inverse(y))
        return ratio.to(torch.promote_types(dtypes[0], dtypes[-1])) if dtypes else ratio
