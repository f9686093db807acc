"""Mixtures of bivariate normals: several modes, a closed log-ratio, and an information by quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .law import check_pair, check_weights
from .quadrature import normal_rule


@dataclass(frozen=True)
class GaussianMixture:
    """A mixture of K normal laws of one x and one y: the modes and the correlation within each carry information.

    Args:
        weights: K positive probabilities that sum to 1.
        means: K pairs (mean of x, mean of y).
        scales: K pairs (standard deviation of x, of y), positive.
        correlations: K correlations in (−1, 1).

    Raises:
        ValueError: tuples of other lengths, numbers outside their ranges, or components whose widths in some direction
            differ by a factor above 20 (the quadrature would not resolve the narrow one).

    Reference: Czyż et al. 2023 (arXiv 2310.10240), mixtures with known pointwise information.

    >>> far = GaussianMixture((0.5, 0.5), ((-20.0, -20.0), (20.0, 20.0)), ((1.0, 1.0), (1.0, 1.0)), (0.6, 0.6))
    >>> round(far.mutual_information, 6)  # ln 2 from the mode, −½ ln(1 − 0.6²) within it
    0.916291
    """

    weights: tuple[float, ...]
    means: tuple[tuple[float, float], ...]
    scales: tuple[tuple[float, float], ...]
    correlations: tuple[float, ...]

    dim_x = dim_y = 1

    def __post_init__(self) -> None:
        check_weights("weights", self.weights)
        for name in ("means", "scales", "correlations"):
            rows = getattr(self, name)
            if not isinstance(rows, tuple) or len(rows) != len(self.weights):
                raise ValueError(
                    f"{name}: expected a tuple of {len(self.weights)} components, got {rows!r}"
                )

            if name == "correlations":
                for value in rows:
                    _validate.number(name, value, low=-1, high=1)
                continue

            for row in rows:
                if not isinstance(row, tuple) or len(row) != 2:
                    raise ValueError(f"{name}: expected pairs of numbers, got {row!r}")
                for value in row:
                    _validate.number(name, value, low=0 if name == "scales" else -torch.inf)

        if self._narrowest < 1 / 20:
            raise ValueError(
                "scales, correlations: expected widths within a factor of 20 in every direction, got more"
            )

    def _parameters(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """Return ln weights, means of x and y, scales of x and y, correlations: each of shape (K,)."""
        mean_x, mean_y = torch.tensor(self.means, dtype=dtype).unbind(-1)
        scale_x, scale_y = torch.tensor(self.scales, dtype=dtype).unbind(-1)
        rho = torch.tensor(self.correlations, dtype=dtype)
        return torch.tensor(self.weights, dtype=dtype).log(), mean_x, mean_y, scale_x, scale_y, rho

    @cached_property
    def _narrowest(self) -> float:
        """Return the least ratio of the widths of two components in one direction (at most 1)."""
        _, _, _, scale_x, scale_y, rho = self._parameters(torch.float64)
        factor = torch.stack(
            [scale_x, 0 * rho, rho * scale_y, (1 - rho**2).sqrt() * scale_y], -1
        ).unflatten(-1, (2, 2))
        return float(torch.linalg.svdvals(torch.linalg.inv(factor)[:, None] @ factor).min())

    @cached_property
    def _information(self) -> float:
        return self.quadrature(min(0.05, self._narrowest / 3))

    @property
    def mutual_information(self) -> float:
        """I(X; Y), in nats, by `quadrature` with a step that resolves the narrowest component: accurate to 1e−10.

        It is computed once, at the first access, in less than a second for components of similar width.
        """
        return self._information

    def quadrature(self, step: float) -> float:
        """Integrate the log-ratio over each component, in its whitened coordinates, by the trapezoidal rule.

        Args:
            step: distance of the nodes in standard deviations, in (0, 1]; the error falls like e^{−c/step}.

        Raises:
            ValueError: step outside its range.
        """
        z, log_weights = normal_rule(_validate.number("step", step, low=0, high=1, closed="]"))
        log_w, mean_x, mean_y, scale_x, scale_y, rho = self._parameters(torch.float64)

        total = 0.0
        for k in range(len(self.weights)):
            # In blocks, to spare memory.
            for u, log_weights_u in zip(z.split(64), log_weights.split(64), strict=True):
                x = mean_x[k] + scale_x[k] * u[:, None]
                y = mean_y[k] + scale_y[k] * (rho[k] * u[:, None] + (1 - rho[k] ** 2).sqrt() * z)
                weight = (log_w[k] + log_weights_u[:, None] + log_weights).exp()
                total += float((weight * self.log_ratio(x.unsqueeze(-1), y.unsqueeze(-1))).sum())

        return total

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs: x and y of shape (n, 1), in the default dtype."""
        log_w, *normals = self._parameters(torch.get_default_dtype())
        component = torch.multinomial(
            log_w.exp(), _validate.count("n", n), replacement=True, generator=generator
        )
        mean_x, mean_y, scale_x, scale_y, rho = (
            values[component].unsqueeze(-1) for values in normals
        )
        u, v = torch.randn(2, n, 1, generator=generator)

        return mean_x + scale_x * u, mean_y + scale_y * (rho * u + (1 - rho**2).sqrt() * v)

    def log_ratio(
        self, x: Float[Tensor, "*#batch 1"], y: Float[Tensor, "*#batch 1"]
    ) -> Float[Tensor, "*batch"]:
        """Return ln dP/dQ(x, y) in nats, shape (...): the log-density of the mixture minus those of its two marginals.

        Args:
            x, y: shape (..., 1), whose batches broadcast.

        Raises:
            ValueError: entries that are not finite, or other shapes.
        """
        dtype = check_pair(x, y, 1, 1)
        log_w, mean_x, mean_y, scale_x, scale_y, rho = self._parameters(torch.float64)
        u, v = (x.double() - mean_x) / scale_x, (y.double() - mean_y) / scale_y
        of_x = -(u**2) / 2 - scale_x.log()
        of_y = -(v**2) / 2 - scale_y.log()
        of_y_given_x = (
            -((v - rho * u) ** 2) / (2 * (1 - rho**2)) - scale_y.log() - torch.log1p(-(rho**2)) / 2
        )
        joint, *marginals = (
            torch.logsumexp(log_w + part, -1) for part in (of_x + of_y_given_x, of_x, of_y)
        )

        return (joint - marginals[0] - marginals[1]).to(dtype)
