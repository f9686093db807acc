"""Joint laws on a finite set, given by a table of probabilities: all their properties are exact."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import _validate
from ..bounds.expectation import mean

_INDEX_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


class Finite:
    """A joint law on a finite set, given by its table of log-probabilities; all its properties are exact.

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
        if _validate.floating("log_joint", log_joint, dims=2).dim() != 2:
            raise ValueError(f"log_joint: expected a matrix, got shape {tuple(log_joint.shape)}")

        _validate.log_weights("log_joint", log_joint.flatten(), log_joint.flatten())
        self.log_joint = log_joint
        log_x = torch.logsumexp(log_joint, 1, keepdim=True)
        log_y = torch.logsumexp(log_joint, 0, keepdim=True)
        self.log_product = log_x + log_y
        self.log_ratio_matrix = (log_joint - self.log_product).where(
            self.log_product > -math.inf, 0
        )

    dim_x = dim_y = 0  # indices have no columns

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = KL(P‖Q), in nats."""
        return float(mean(self.log_ratio_matrix.flatten(), self.log_joint.flatten()))

    @property
    def chi2(self) -> float:
        """χ²(P‖Q) = E_P r − 1."""
        return float(mean(self.log_ratio_matrix.flatten().exp(), self.log_joint.flatten())) - 1

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs of indices: x and y of shape (n,), dtype int64."""
        probabilities = self.log_joint.exp().flatten()
        atoms = torch.multinomial(
            probabilities, _validate.count("n", n), replacement=True, generator=generator
        )
        return atoms // self.log_joint.shape[1], atoms % self.log_joint.shape[1]

    def log_ratio(
        self, x: Int[Tensor, "*#batch"], y: Int[Tensor, "*#batch"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats for index tensors of shapes that broadcast."""
        for name, value, size in zip(("x", "y"), (x, y), self.log_joint.shape, strict=True):
            if not isinstance(value, Tensor) or value.dtype not in _INDEX_TYPES:
                got = value.dtype if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"{name}: expected a tensor of integer indices, got {got}")
            if not _validate.all_true((value >= 0) & (value < size)):
                raise ValueError(
                    f"{name}: expected integer indices in [0, {size}), got one outside"
                )

        _validate.batch_shapes(x=x.shape, y=y.shape)
        return self.log_ratio_matrix[x.long(), y.long()]

    def exact(
        self, bound: Callable[..., Tensor], critic: Float[Tensor, "*batch nx ny"]
    ) -> Float[Tensor, "*batch"]:
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
        return bound(
            scores, scores, log_p=self.log_joint.flatten(), log_q=self.log_product.flatten()
        )
