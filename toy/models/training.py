"""The one training loop: plain gradient descent, or Adam, on many independent replicas at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Details = TypeVar("Details")


def descend(
    loss: Callable[[list[Tensor]], tuple[Tensor, Details]],
    parameters: list[Tensor],
    steps: int,
    learning_rate: float,
    observe: Callable[[int, Tensor, Details], bool | None] | None = None,
    *,
    adam: bool = False,
) -> list[Tensor]:
    """Take steps θ ← θ − η ∇loss. Replicas share no parameter: the gradient of the summed loss moves each by its own.

    Descent is plain on purpose: learning rate × step is then the time of the gradient flow, and two losses with equal
    first gradients take the same first step.

    Args:
        loss: parameters → (loss of each replica, details for `observe`).
        parameters: tensors whose first dimension is the replica.
        steps: number of steps; the loss is also evaluated after the last one.
        learning_rate: η.
        observe: called with (step, losses, details) before each step and after the last; True ends the loop.
        adam: take Adam's steps instead; they work entry by entry, so replicas stay apart.

    Returns:
        The parameters after the last step.
    """
    parameters = [p.detach().clone().requires_grad_() for p in parameters]
    optimizer = torch.optim.Adam(parameters, learning_rate) if adam else None

    for step in range(steps + 1):
        losses, details = loss(parameters)
        if (observe is not None and observe(step, losses.detach(), details)) or step == steps:
            break

        gradients = torch.autograd.grad(losses.sum(), parameters)
        if optimizer is not None:
            for p, gradient in zip(parameters, gradients, strict=True):
                p.grad = gradient
            optimizer.step()
            continue

        with torch.no_grad():
            for p, gradient in zip(parameters, gradients, strict=True):
                p.sub_(gradient, alpha=learning_rate)

    return [p.detach() for p in parameters]
