"""Gradient statistics during training, from the gradients that training computes anyway."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .gradients import GradientStatistics, summary


class GradientMonitor:
    """Running mean, noise and noise scale of the minibatch gradient while a critic trains.

    Call it once a step with the gradient ĝ_t of all parameters, flat. It keeps two exponential moving averages,

        E ĝ ≈ m_t = Σ_s a_s ĝ_s, a_s ∝ decay^(t − s);    tr Cov ĝ ≈ ½ · average of ‖ĝ_t − ĝ_{t−1}‖².

    The result rests on 1/Σ a_s² minibatches, at most (1 + decay)/(1 − decay), and ‖m_t‖² is corrected for as many. For
    independent minibatches at fixed parameters there is no other bias. While training moves E ĝ by δ a step, m_t lags
    by decay/(1 − decay) steps, and the trace is too large by ‖δ‖²/2.

    Args:
        batch_size: rows of a minibatch, ≥ 1.
        decay: of the averages, in (0, 1]; 1 weighs all steps alike.

    Raises:
        ValueError: a batch size or a decay out of range.

    Reference: McCandlish et al. 2018 (arXiv 1812.06162), appendix A; successive differences: von Neumann 1941.

    >>> monitor = GradientMonitor(batch_size=8, decay=1.0)
    >>> for slope in (1.0, 3.0, 1.0, 3.0):
    ...     monitor(torch.tensor([slope]))
    >>> measured = monitor.statistics()
    >>> measured.mean_norm, measured.trace_covariance, measured.batches
    (2.0, 2.0, 4)
    """

    def __init__(self, batch_size: int, decay: float = 0.98) -> None:
        self.batch_size = _validate.count("batch_size", batch_size)
        self.decay = _validate.number("decay", decay, low=0, high=1, closed="]")
        self.steps, self._weight, self._square = 0, 0.0, 0.0
        self._last = self._mean = self._trace = torch.zeros(0)

    @torch.no_grad()
    def __call__(self, gradient: Float[Tensor, " p"]) -> None:
        """Record the gradient of one step, shape (p,)."""
        self.steps += 1
        self._weight = self.decay * self._weight + 1
        self._square = self.decay**2 * self._square + 1

        if self.steps == 1:
            self._mean, self._trace = torch.zeros_like(gradient), gradient.new_zeros(())
        else:
            half = torch.linalg.vector_norm(gradient - self._last).square() / 2
            differences = self._weight - self.decay ** (self.steps - 1)  # one fewer than gradients
            self._trace.lerp_(half, 1 / differences)

        self._mean.lerp_(gradient, 1 / self._weight)
        self._last = gradient.clone()

    def statistics(self) -> GradientStatistics:
        """Return the statistics of the minibatch gradient as of the last steps.

        Raises:
            ValueError: fewer than two gradients recorded.
        """
        if self.steps < 2:
            raise ValueError(f"monitor: expected at least 2 recorded gradients, got {self.steps}")
        batches = self._weight**2 / self._square
        return summary(float(self._mean.norm()), float(self._trace), self.batch_size, batches)
