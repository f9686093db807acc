"""The ascent of critics side by side: one optimiser, averaged weights, and an eye on the gradient."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ..diagnostics.monitor import GradientMonitor
from .gated import Gated
from .making import SideBySide

_AVERAGED = 0.98  # decay of the average of the weights, a step

State = tuple[Tensor, list[Tensor]]
"""A member's weights, and its buffers."""


class Ascent:
    """AdamW on a matrix with a row of parameters a member; it averages the weights and watches the gradients."""

    def __init__(
        self,
        network: Gated | SideBySide,
        members: int,
        steps: int,
        batch_size: int,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        # The parameters become views of one matrix: one update for all of them.
        self.network = network
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        values = [parameter.detach() for parameter in self.parameters]
        self.weights = nn.Parameter(network.matrix(values))
        network.place(self.weights.data)
        self.average = self.weights.detach().clone()
        self.steps = 0

        share = max(0.1, min(1.0, 2 / (steps + 1)))
        self.warm_up = share * steps

        self.monitors = [GradientMonitor(batch_size) for _ in range(members)]
        self.optimizer = torch.optim.AdamW(
            [self.weights], learning_rate, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            learning_rate,
            total_steps=steps + 1,
            pct_start=share,
        )

    @property
    def idle(self) -> bool:
        """Whether there is nothing to train."""
        return self.weights.numel() == 0

    def step(self, objective: Tensor) -> None:
        """Ascend the objective by one step."""
        gradients = torch.autograd.grad(
            objective.neg(), self.parameters, allow_unused=True, materialize_grads=True
        )
        self.weights.grad = self.network.matrix(list(gradients))

        for monitor, gradient in zip(self.monitors, self.weights.grad, strict=True):
            monitor(gradient)
        self.optimizer.step()
        self.schedule.step()

        self.steps += 1
        recent = max(1 - _AVERAGED, 9 / (10 + self.steps))  # all steps alike at first
        self.average.lerp_(self.weights.data, recent)

    @contextmanager
    def averaged(self) -> Generator[None, None, None]:
        """Put the averaged weights into the network for a while."""
        live = self.weights.data.clone()
        self.weights.data.copy_(self.average)
        yield
        self.weights.data.copy_(live)

    def state(self, k: int) -> State:
        """Return a copy of a member's averaged weights, and of its buffers."""
        buffers = [buffer.clone() for buffer in self.network.buffers_of(k)]
        return self.average[k].clone(), buffers

    def restore(self, k: int, state: State) -> None:
        """Put back what `state` returned."""
        weights, buffers = state
        self.weights.data[k] = weights
        for buffer, kept in zip(self.network.buffers_of(k), buffers, strict=True):
            buffer.copy_(kept)

    def noise(self, k: int) -> dict[str, float]:
        """Return signal-to-noise ratio and noise scale of the gradient, once there were two finite ones."""
        if self.monitors[k].steps < 2:
            return {}
        gradient = self.monitors[k].statistics()
        if not math.isfinite(gradient.trace_covariance):
            return {}
        return {"gradient_snr": gradient.snr, "noise_scale": gradient.noise_scale}
