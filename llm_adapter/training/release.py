"""Step each weight in the backward pass, as soon as its gradient is whole, and free the gradient.

The gradients of all weights then never exist at once. The arithmetic is that of the optimiser within: it has one
instance a weight. A norm over all gradients is not known when the first weight moves, so there is no clipping, and a
step is one backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Released(torch.optim.Optimizer):
    """An optimiser whose steps happen in the backward pass; `step` and `zero_grad` have nothing left to do.

    Args:
        params: weights or groups of them, as every optimiser takes.
        inner: class of the optimiser within, such as `torch.optim.AdamW`.
        **options: of the optimiser within; `lr` among them.

    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = Released([weight], inner=torch.optim.SGD, lr=0.5)
    >>> (2 * weight).sum().backward()
    >>> weight.item(), weight.grad
    (0.0, None)
    """

    def __init__(
        self, params: Iterable[Any], inner: Callable[..., torch.optim.Optimizer], **options: Any
    ) -> None:
        super().__init__(params, options)
        self._inner: dict[Tensor, tuple[int, torch.optim.Optimizer]] = {}
        for place, group in enumerate(self.param_groups):
            settings = {name: value for name, value in group.items() if name != "params"}
            for weight in group["params"]:
                self._inner[weight] = place, inner([{"params": [weight], **settings}], **options)
                weight.register_post_accumulate_grad_hook(self._release)

    def _release(self, weight: Tensor) -> None:
        """Take the step of one weight, with the rates that the schedule has set and the states that are saved."""
        place, optimizer = self._inner[weight]
        optimizer.state = self.state
        for name, value in self.param_groups[place].items():
            if name == "params":
                continue
            own = optimizer.param_groups[0].get(name)
            if isinstance(own, Tensor):
                own.fill_(float(value))
            else:
                optimizer.param_groups[0][name] = value

        optimizer.step()
        weight.grad = None

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Do nothing: the backward pass took the step."""
        return closure() if closure else None

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Do nothing: there are no gradients left."""
