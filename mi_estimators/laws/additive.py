"""A signal on an interval in uniform noise: a log-ratio with sharp edges, −∞ off the support of the joint."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import check_pair


@dataclass(frozen=True)
class AdditiveNoise:
    """X uniform on (0, 1) and Y = X + N with N uniform on (−ε, ε).

    Y has the density m(y)/(2ε), m(y) the length of (y − ε, y + ε) ∩ (0, 1); therefore dP/dQ = 1/m(y) where |y − x| < ε.

    Args:
        epsilon: half the width of the noise, in [1e−3, 1e3] (beyond, float32 samples no longer show the law).

    Raises:
        ValueError: epsilon outside its range.

    Reference: Czyż et al. 2023 (arXiv 2306.11078), appendix on the additive-noise task.

    >>> round(AdditiveNoise(0.1).mutual_information, 6)  # 0.1 − ln 0.2
    1.709438
    """

    epsilon: float

    def __post_init__(self) -> None:
        _validate.number("epsilon", self.epsilon, low=1e-3, high=1e3, closed="[]")

    dim_x = dim_y = 1

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = ε − ln 2ε for ε ≤ ½, and 1/(4ε) for ε ≥ ½, in nats."""
        return (
            self.epsilon - math.log(2 * self.epsilon)
            if self.epsilon <= 0.5
            else 1 / (4 * self.epsilon)
        )

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x and y of shape (n, 1), in the default dtype."""
        x, noise = torch.rand(2, _validate.count("n", n), 1, generator=generator)
        return x, x + self.epsilon * (2 * noise - 1)

    def log_ratio(
        self, x: Float[Tensor, "*#batch 1"], y: Float[Tensor, "*#batch 1"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) = −ln m(y) in nats, shape (...); −inf off the support of the joint.

        A pair that rounding has put on the edge |y − x| = ε counts as inside.

        Args:
            x, y: shape (..., 1), whose batches broadcast.

        Raises:
            ValueError: entries that are not finite, or other shapes.

        >>> AdditiveNoise(0.5).log_ratio(torch.tensor([0.5]), torch.tensor([[0.5], [1.25]])).exp().tolist()
        [1.0, 0.0]
        """
        dtype = check_pair(x, y, 1, 1)
        x, y = x.squeeze(-1), y.squeeze(-1)
        slack = 4 * torch.finfo(dtype).eps * (1 + self.epsilon)
        overlap = (y + self.epsilon).clamp(max=1) - (y - self.epsilon).clamp(min=0)
        inside = (x >= 0) & (x <= 1) & ((y - x).abs() <= self.epsilon + slack) & (overlap > 0)

        return (-overlap.where(inside, 1).log()).where(inside, -math.inf)
