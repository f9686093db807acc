"""Exact gradient flow θ̇ = ∇J(θ) of many small systems at once, each with its own adaptive step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Field = Callable[[Tensor], Tensor]

# Dormand & Prince 1980: nodes are not needed (the flow is autonomous); the last row is the fifth-order solution.
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


@dataclass(frozen=True)
class Flow:
    """End of a flow.

    Attributes:
        time: when each system stopped, shape (B,), in units of learning rate × step.
        state: where it stopped, shape (B, K).
        arrived: whether it stopped because `event` reached zero, shape (B,).
    """

    time: Tensor
    state: Tensor
    arrived: Tensor


def grid(
    slow: Sequence[float],
    fast: Sequence[float],
) -> tuple[Tensor, Tensor]:
    """Return all pairs of the two sequences as two flat tensors, float64; the second runs fastest.

    >>> [values.tolist() for values in grid((1, 2), (3, 4))]
    [[1.0, 1.0, 2.0, 2.0], [3.0, 4.0, 3.0, 4.0]]
    """
    pairs = torch.cartesian_prod(
        *(torch.tensor(values, dtype=torch.float64) for values in (slow, fast))
    )
    return pairs[:, 0], pairs[:, 1]


def ascent(objective: Callable[[Tensor], Tensor]) -> Field:
    """Return the field θ ↦ ∇J(θ), by automatic differentiation of an objective (B, K) → (B,)."""

    def field(theta: Tensor) -> Tensor:
        theta = theta.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(theta).sum(), theta)
        return gradient

    return field


def integrate(
    field: Field,
    start: Tensor,
    horizon: float | Tensor,
    event: Callable[[Tensor], Tensor] | None = None,
    *,
    observe: Callable[[Tensor, Tensor], None] | None = None,
    tolerance: float = 1e-5,
    max_steps: int = 5000,
) -> Flow:
    """Follow θ̇ = field(θ) from `start` until `event` rises to zero or the time is `horizon`.

    Dormand–Prince 5(4), with a step size for each system. A step that would cross the event is repeated with a shorter
    one, by the secant rule, until it ends at the event: the arrival time is as exact as the integration.

    Args:
        field: (B, K) → (B, K).
        start: shape (B, K), float64.
        horizon: largest time, > 0: one for all, or shape (B,).
        event: (B, K) → (B,), negative at the start; None means none.
        observe: called with (time, state) after every step; a system that has stopped no longer moves.
        tolerance: local error of each coordinate, absolute and relative.
        max_steps: largest number of steps, including those that are repeated.

    Returns:
        A `Flow`.

    Raises:
        RuntimeError: a system still moves after `max_steps` steps.

    >>> start = torch.ones(1, 1, dtype=torch.float64)  # θ̇ = −θ halves θ in the time ln 2
    >>> flow = integrate(lambda theta: -theta, start, 9.0, lambda theta: 0.5 - theta[:, 0], tolerance=1e-9)
    >>> round(flow.time.item(), 6), flow.arrived.item()
    (0.693147, True)
    """
    event = _never if event is None else event
    state, slope = start.clone(), field(start)
    time = torch.zeros_like(start[:, 0])
    horizon = time + horizon
    step = torch.minimum(1e-3 / slope.abs().amax(-1), horizon)
    arrived = torch.zeros_like(time, dtype=torch.bool)

    for _ in range(max_steps):
        live = ~arrived & (time < horizon)
        if not live.any():
            return Flow(time, state, arrived)

        step = torch.where(live, torch.minimum(step, horizon - time), 0.0)
        slopes = [slope]
        for row in _STAGES:
            move = sum(c * k for c, k in zip(row, slopes, strict=True) if c)
            trial = state + step[:, None] * move
            slopes.append(field(trial))

        error = step[:, None] * sum(c * k for c, k in zip(_ERROR, slopes, strict=True) if c)
        scale = tolerance * (1 + torch.maximum(state.abs(), trial.abs()))
        size = (error / scale).square().mean(-1).sqrt().nan_to_num(nan=1e9)
        before, after = event(state), event(trial)
        crossed = live & (size <= 1) & (after > 1e-12)
        accept = live & (size <= 1) & ~crossed
        landed = accept & (after >= -1e-12)
        state, time = (
            torch.where(accept[:, None], trial, state),
            time + torch.where(accept, step, 0.0),
        )
        slope = torch.where(accept[:, None], slopes[-1], slope)
        arrived = arrived | landed
        if observe is not None:
            observe(time, state)

        growth = (0.9 * size.clamp_min(1e-10) ** -0.2).clamp(0.2, 5.0)
        step = step * growth
        step = torch.where(crossed, step / growth * before / (before - after), step)

    raise RuntimeError(
        f"flow: expected every system to stop within {max_steps} steps, got {int(live.sum())} that did not"
    )


def _never(state: Tensor) -> Tensor:
    return -torch.ones_like(state[:, 0])
