"""What a law is: a sampler, a log-ratio and a mutual information, all from one definition."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from .. import _validate


@runtime_checkable
class Law(Protocol):
    """A joint law P of (X, Y) whose log-ratio T = ln dP/dQ to the product Q of its marginals is known, in nats."""

    @property
    def dim_x(self) -> int:
        """Number of columns of x; 0 where x is a tensor of indices without columns."""
        ...

    @property
    def dim_y(self) -> int:
        """Number of columns of y; 0 where y is a tensor of indices without columns."""
        ...

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = E_P ln dP/dQ, in nats."""
        ...

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x of shape (n, dim_x) and y of shape (n, dim_y)."""
        ...

    def log_ratio(self, x: Tensor, y: Tensor, /) -> Tensor:
        """Return ln dP/dQ(x, y) in nats, for shapes (..., dim_x) and (..., dim_y) whose batches broadcast."""
        ...


def check_columns(name: str, value: Tensor, dim: int) -> Tensor:
    """Return `value` if it holds finite numbers in `dim` columns."""
    if _validate.scores(name, value).shape[-1] != dim:
        raise ValueError(f"{name}: expected last dimension {dim}, got shape {tuple(value.shape)}")
    return value


def check_pair(x: Tensor, y: Tensor, dim_x: int, dim_y: int) -> torch.dtype:
    """Check the two arguments of a log-ratio; return the dtype in which to answer."""
    check_columns("x", x, dim_x)
    check_columns("y", y, dim_y)
    _validate.batch_shapes(x=x.shape[:-1], y=y.shape[:-1])
    return torch.promote_types(x.dtype, y.dtype)


def nearest(name: str, value: Tensor, points: Tensor) -> Tensor:
    """Return the index of the row of `points` (k, d) that each row of `value` (..., d) is, up to rounding."""
    distance, index = (value.unsqueeze(-2) - points).abs().amax(-1).min(-1)
    if not _validate.all_true(
        distance <= 64 * torch.finfo(value.dtype).eps * (1 + points.abs().max())
    ):
        raise ValueError(f"{name}: expected values of the {len(points)} atoms, got another value")

    return index


def check_weights(name: str, weights: tuple[float, ...]) -> None:
    """Check a tuple of positive probabilities that sum to 1."""
    if not isinstance(weights, tuple) or not weights:
        raise ValueError(f"{name}: expected a tuple of probabilities, got {weights!r}")
    total = sum(_validate.number(name, weight, low=0, high=1, closed="]") for weight in weights)
    if abs(total - 1) > 1e-9:
        raise ValueError(f"{name}: expected probabilities that sum to 1, got sum {total!r}")


def check_increasing(name: str, values: tuple[float, ...]) -> None:
    """Check a tuple of finite numbers in increasing order."""
    if not isinstance(values, tuple) or not values:
        raise ValueError(f"{name}: expected a tuple of increasing numbers, got {values!r}")
    low = -torch.inf
    for value in values:
        low = _validate.number(name, value, low=low)


def inside_unit_interval(name: str, u: Tensor) -> Tensor:
    """Return u with what rounding has put on or beyond the ends of (0, 1) half a rounding unit inside."""
    eps = torch.finfo(u.dtype).eps
    if not _validate.all_true((u >= -64 * eps) & (u <= 1 + 64 * eps)):
        raise ValueError(f"{name}: expected values in (0, 1), got one outside")
    return u.clamp(eps / 2, 1 - eps / 2)
