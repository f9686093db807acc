"""Gradient statistics during training, from the gradients that training computes anyway."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .. import _validate
from .gradients import GradientStatistics, summary


class GradientMonitor:
    """Running estimate of the minibatch gradient's mean, covariance trace, SNR and noise scale while a critic trains.

    Call it once a step, after the backward pass and before gradients are clipped or the optimiser steps; it fits
    `optimizer.register_step_pre_hook(monitor)`. It reads `.grad` on a random subset of coordinates, fixed at the start,
    and keeps there an exponential moving average of ĝ_t and one of the squared successive differences:

        E ĝ ≈ m_t = Σ_s a_s ĝ_s, a_s ∝ decay^(t − s);    tr Cov ĝ ≈ ½ · average of ‖ĝ_t − ĝ_{t−1}‖²,

    both times p/k for the k of p coordinates that are read. The result rests on 1/Σ a_s² minibatches, at most
    (1 + decay)/(1 − decay), and ‖m_t‖² is corrected for as many, as in `GradientStatistics`.

    Bias: for independent minibatches at fixed parameters, none beyond that. While training moves E ĝ by δ a step, m_t
    lags by decay/(1 − decay) steps of it, and the trace is too large by ‖δ‖²/2 only (a moving variance about m_t would
    exceed by ‖δ‖² decay/(1 − decay)²). Gradients that swing from step to step at a high learning rate count as noise.

    Args:
        parameters: the critic's parameters; those that need no gradient are left out, a missing `.grad` counts as 0.
        batch_size: rows of a minibatch (of all processes, where gradients are averaged over processes), ≥ 1.
        decay: of the averages, in (0, 1]; 1 weighs all steps alike.
        coordinates: how many coordinates to read, at most; where there are more, chosen uniformly.
        generator: source of the choice; None means torch's global one.

    Raises:
        ValueError: no parameter, or a count or decay out of range.

    Reference: McCandlish et al. 2018 (arXiv 1812.06162), appendix A; successive differences: von Neumann 1941.

    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> monitor = GradientMonitor([weight], batch_size=8, decay=1.0)
    >>> for slope in (1.0, 3.0, 1.0, 3.0):
    ...     weight.grad = torch.tensor([slope])
    ...     monitor()
    >>> found = monitor.statistics()
    >>> found.mean_norm, found.trace_covariance, found.batches
    (2.0, 2.0, 4)
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        batch_size: int,
        decay: float = 0.99,
        coordinates: int = 4096,
        generator: torch.Generator | None = None,
    ) -> None:
        self.batch_size = _validate.count("batch_size", batch_size)
        self.decay = _validate.number("decay", decay, low=0, high=1, closed="]")
        read = [p for p in parameters if p.requires_grad]
        total = sum(p.numel() for p in read)
        if total == 0:
            raise ValueError("parameters: expected at least one that requires a gradient, got none")
        if total <= _validate.count("coordinates", coordinates):
            chosen = torch.arange(total)
        else:
            chosen = torch.randint(total, (coordinates,), generator=generator).unique()
        self._scale = total / len(chosen)
        self._read: list[tuple[nn.Parameter, Tensor]] = []
        start = 0
        for parameter in read:
            own = chosen[(chosen >= start) & (chosen < start + parameter.numel())] - start
            if len(own):
                self._read.append((parameter, own.to(parameter.device)))
            start += parameter.numel()
        self._steps, self._weight, self._square = 0, 0.0, 0.0
        self._last: Tensor | None = None
        self._mean: Tensor | None = None
        self._trace: Tensor | None = None

    @torch.no_grad()
    def __call__(self, *_: object) -> None:
        """Record the gradients that the parameters hold now."""
        device = self._read[0][0].device
        parts = [
            p.new_zeros(len(at)) if p.grad is None else p.grad.take(at) for p, at in self._read
        ]
        gradient = torch.cat([part.to(device) for part in parts]).to(
            torch.promote_types(parts[0].dtype, torch.float32)
        )
        self._steps += 1
        self._weight, self._square = self.decay * self._weight + 1, self.decay**2 * self._square + 1
        if self._mean is None or self._last is None:
            self._mean = gradient.clone()
        else:
            self._mean.lerp_(gradient, 1 / self._weight)
            half = torch.linalg.vector_norm(gradient - self._last).square() / 2
            if self._trace is None:
                self._trace = half
            else:  # one difference fewer than gradients
                self._trace.lerp_(half, 1 / (self._weight - self.decay ** (self._steps - 1)))
        self._last = gradient

    def statistics(self) -> GradientStatistics:
        """Return the statistics of the minibatch gradient as of the last steps.

        Raises:
            ValueError: fewer than two gradients recorded, or one of them not finite.
        """
        if self._mean is None or self._trace is None:
            raise ValueError(f"monitor: expected at least 2 recorded gradients, got {self._steps}")
        norm, trace = float(self._mean.norm()) * self._scale**0.5, float(self._trace) * self._scale
        if not (math.isfinite(norm) and math.isfinite(trace)):
            raise ValueError("monitor: expected finite gradients, got NaN or infinity")
        return summary(norm, trace, self.batch_size, self._weight**2 / self._square)
