"""AdamW for bf16 weights, rounded up or down at random, so that a step is right on average however small it is.

The step works on a slice of a weight at a time: no float32 copy of a weight exists, only of a slice. Nothing is
compiled.

Reference: Zamirai et al. 2021 (arXiv 2010.06192), stochastic rounding of the weight update.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Numbers at a time: 1 MiB, which stays in the cache, and 256 MiB
SLICE = {"cpu": 2**18, "cuda": 2**26}
BITS = 16  # of a float32 number that bf16 leaves out


class StochasticAdamW(torch.optim.Optimizer):
    """Step as `torch.optim.AdamW` does, in float32, and round bf16 weights at random, their states to nearest.

    Args:
        params: weights or groups of them, as every optimiser takes.
        lr: learning rate.
        betas: decay of the two moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled, times the learning rate.

    >>> weight = torch.nn.Parameter(torch.ones(1000, dtype=torch.bfloat16))
    >>> weight.grad = torch.ones_like(weight)
    >>> StochasticAdamW([weight], lr=2**-10).step()  # a quarter of the spacing below 1
    >>> sorted(set(weight.tolist()))
    [0.99609375, 1.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step of every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()

        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group)

        return loss

    def _step(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)

        state["step"] += 1

        assert weight.grad is not None  # as `step` looked
        whole = (weight, weight.grad, state["exp_avg"], state["exp_avg_sq"])
        own = [_own(tensor) for tensor in whole]
        if not own[0].numel():  # another process holds all of it
            return

        size = SLICE.get(weight.device.type, SLICE["cuda"])
        rows = max(1, size * len(own[0]) // own[0].numel())
        parts = (tensor.split(rows) for tensor in own)

        for slices in zip(*parts, strict=True):
            _adamw(slices, int(state["step"]), group)


def _adamw(slices: tuple[Tensor, ...], step: int, group: dict[str, Any]) -> None:
    """Step a slice of a weight in place: the weight, its gradient and its two moments."""
    weight, gradient, mean, square = slices
    rate, (first, second) = float(group["lr"]), group["betas"]
    wide, gradient = weight.float(), gradient.float()
    if group["weight_decay"]:
        wide = wide * (1 - rate * group["weight_decay"])

    moment = mean.float().lerp(gradient, 1 - first)
    scale = square.float().mul(second).addcmul_(gradient, gradient, value=1 - second)
    mean.copy_(moment)
    square.copy_(scale)

    root = scale.sqrt_().div_(math.sqrt(1 - second**step)).add_(group["eps"])
    wide = wide.addcdiv(moment, root, value=-rate / (1 - first**step))
    weight.copy_(rounded_at_random(wide) if weight.dtype == torch.bfloat16 else wide)


def rounded_at_random(values: Tensor) -> Tensor:
    """Return float32 values as bf16, each up or down with the probability that makes the mean exact.

    Args:
        values: float32, of any shape; they are overwritten.

    Returns:
        The same shape, bf16.

    >>> _ = torch.manual_seed(0)
    >>> rounded_at_random(torch.full((4096,), 1 + 2**-9)).double().mean().sub(1 + 2**-9).abs().item() < 2e-4
    True
    >>> rounded_at_random(torch.tensor([1.5, -0.25, 0.0, torch.inf])).tolist()  # bf16 numbers stay
    [1.5, -0.25, 0.0, inf]
    """
    words = -(-values.numel() * BITS // 64)
    noise = torch.empty(words, dtype=torch.int64, device=values.device).random_(-(2**63), None)
    bits = values.view(torch.int32)
    bits += noise.view(torch.int16)[: values.numel()].view(values.shape).int() & (2**BITS - 1)
    bits &= -(2**BITS)

    return values.to(torch.bfloat16)


def _own(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that this process holds, of one dimension or more."""
    local = getattr(tensor, "to_local", None)  # of a DTensor
    return torch.atleast_1d((tensor if local is None else local()).detach())
