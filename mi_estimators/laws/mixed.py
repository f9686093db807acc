"""Laws of a discrete x and a continuous y: neither a table nor a density of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import check_increasing, check_pair, check_weights, nearest
from .quadrature import normal_rule


@dataclass(frozen=True)
class MixedUniform:
    """X uniform on {0, …, m − 1} and Y uniform on [X, X + 2].

    dP/dQ = m / #{k : k ≤ y ≤ k + 2} where x ≤ y ≤ x + 2, and 0 elsewhere: windows overlap except at the two ends.

    Args:
        m: number of values of x, ≥ 1.

    Raises:
        ValueError: m < 1.

    Reference: Gao, Kannan, Oh and Viswanath 2017 (arXiv 1709.06212), section 5.

    >>> round(MixedUniform(2).mutual_information, 6)  # ½ ln 2
    0.346574
    """

    m: int

    dim_x = dim_y = 1

    def __post_init__(self) -> None:
        _validate.count("m", self.m, high=10_000)

    @property
    def mutual_information(self) -> float:
        """I(X; Y) = ln m − (m − 1)/m · ln 2, in nats."""
        return math.log(self.m) - (self.m - 1) / self.m * math.log(2)

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x and y of shape (n, 1), in the default dtype; x holds whole numbers."""
        window = torch.rand(_validate.count("n", n), 1, generator=generator)
        x = torch.randint(self.m, (n, 1), generator=generator).to(window)
        return x, x + 2 * window

    def log_ratio(
        self, x: Float[Tensor, "*#batch 1"], y: Float[Tensor, "*#batch 1"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats, shape (...); −inf off the support of the joint.

        Args:
            x, y: shape (..., 1), whose batches broadcast.

        Raises:
            ValueError: entries that are not finite, values of x that are none of 0, …, m − 1, or other shapes.

        >>> MixedUniform(2).log_ratio(torch.tensor([0.0]), torch.tensor([[0.5], [1.5], [2.5]])).exp().tolist()
        [2.0, 1.0, 0.0]
        """
        dtype = check_pair(x, y, 1, 1)
        left, y = x.squeeze(-1).to(dtype), y.squeeze(-1).to(dtype)
        if not _validate.all_true((left == left.round()) & (left >= 0) & (left < self.m)):
            raise ValueError(
                f"x: expected whole numbers from 0 to {self.m - 1}, got another number"
            )

        inside = (y >= left) & (y <= left + 2)
        windows = y.floor().clamp(max=self.m - 1) - (y - 2).ceil().clamp(min=0) + 1
        return (math.log(self.m) - windows.where(inside, 1).log()).where(inside, -math.inf)


@dataclass(frozen=True)
class GaussianChannel:
    """X from a finite alphabet of real symbols and Y = X + σN with N standard normal.

    Args:
        alphabet: the symbols, increasing.
        sigma: standard deviation of the noise, > 0.
        probabilities: of the symbols; None means that all are equally likely.

    Raises:
        ValueError: symbols not increasing, sigma not positive, or probabilities that do not fit.

    >>> round(GaussianChannel((-1.0, 1.0), sigma=1.0).mutual_information / math.log(2), 4)  # bits, a fair sign at 0 dB
    0.4859
    """

    alphabet: tuple[float, ...]
    sigma: float
    probabilities: tuple[float, ...] | None = None

    dim_x = dim_y = 1

    def __post_init__(self) -> None:
        check_increasing("alphabet", self.alphabet)
        _validate.number("sigma", self.sigma, low=0)
        if self.probabilities is not None:
            check_weights("probabilities", self.probabilities)
            if len(self.probabilities) != len(self.alphabet):
                raise ValueError(
                    f"probabilities: expected {len(self.alphabet)} numbers, one for each symbol,"
                    f" got {len(self.probabilities)}"
                )

    def _parameters(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return the symbols and their probabilities, each of shape (K,)."""
        uniform = (1 / len(self.alphabet),) * len(self.alphabet)
        return torch.tensor(self.alphabet, dtype=dtype), torch.tensor(
            self.probabilities or uniform, dtype=dtype
        )

    @cached_property
    def _information(self) -> float:
        return self.quadrature()

    @property
    def mutual_information(self) -> float:
        """I(X; Y) ≤ H(X), in nats, by `quadrature` at its default step: precise to 1e−12 (once, when first asked)."""
        return self._information

    def quadrature(self, step: float = 0.01) -> float:
        """Integrate the log-ratio over the noise around each symbol by the trapezoidal rule.

        Args:
            step: distance of the nodes in units of sigma, in (0, 1].

        Raises:
            ValueError: step outside its range.
        """
        z, log_weights = normal_rule(_validate.number("step", step, low=0, high=1, closed="]"))
        symbols, probabilities = self._parameters(torch.float64)
        x, y = symbols[:, None, None], symbols[:, None, None] + self.sigma * z[:, None]
        return float((probabilities * (self.log_ratio(x, y) * log_weights.exp()).sum(-1)).sum())

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x and y of shape (n, 1), in the default dtype."""
        symbols, probabilities = self._parameters(torch.get_default_dtype())
        index = torch.multinomial(
            probabilities, _validate.count("n", n), replacement=True, generator=generator
        )
        x = symbols[index].unsqueeze(-1)

        return x, x + self.sigma * torch.randn(n, 1, generator=generator)

    def log_ratio(
        self, x: Float[Tensor, "*#batch 1"], y: Float[Tensor, "*#batch 1"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) = ln p(y | x) − ln Σ_a p(a) p(y | a) in nats, shape (...).

        Args:
            x, y: shape (..., 1), whose batches broadcast.

        Raises:
            ValueError: entries that are not finite, values of x that are no symbols, or other shapes.
        """
        dtype = check_pair(x, y, 1, 1)
        symbols, probabilities = self._parameters(torch.float64)
        sent = symbols[nearest("x", x, symbols.unsqueeze(-1))].unsqueeze(-1)
        y = y.double()
        # Of each symbol over the one sent.
        likelihood = (2 * y - sent - symbols) * (symbols - sent) / (2 * self.sigma**2)

        return -torch.logsumexp(probabilities.log() + likelihood, -1).to(dtype)
