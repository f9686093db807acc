"""What laws of the suites share: an information computed once, a law they are made from, sides of one width."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from mi_estimators.laws import Law

Rng = torch.Generator | None
"""What draws; None is torch's own generator."""

Rows = tuple[Tensor, Tensor]
"""x of shape (n, dim_x) and y of shape (n, dim_y)."""


class Computed:
    """A law whose `information` takes a while."""

    def information(self) -> float:
        """Compute I(X; Y), in nats."""
        raise NotImplementedError

    @cached_property
    def _information(self) -> float:
        return self.information()

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats, computed once."""
        return self._information


class Derived:
    """A law made from another, whose columns and information it keeps unless it says otherwise."""

    law: Law

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return self.law.dim_x

    @property
    def dim_y(self) -> int:
        """Number of columns of y."""
        return self.law.dim_y

    @property
    def mutual_information(self) -> float:
        """I(X; Y), that of the law, in nats."""
        return self.law.mutual_information


class EqualSides:
    """A law with as many columns of x as of y."""

    dim: int

    @property
    def dim_x(self) -> int:
        """Number of columns of x."""
        return self.dim

    @property
    def dim_y(self) -> int:
        """Number of columns of y."""
        return self.dim
