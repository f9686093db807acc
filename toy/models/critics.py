"""Replicas of a library critic that are trained together: one module, with stacked parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap


class Replicas:
    """Independent initialisations of one critic, drawn from a seed.

    Attributes:
        module: one critic; its own parameters are not used.
        parameters: one tensor (count, …) for each parameter, as `training.descend` takes them.
    """

    def __init__(
        self,
        make: Callable[[], nn.Module],
        count: int,
        seed: int,
    ) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            critics = [make() for _ in range(count)]
        state, _ = stack_module_state(critics)
        self.module, self.names = critics[0], list(state)
        self.parameters = [state[name].detach() for name in self.names]

    def scores(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Return the score matrices (count, n, m) of x (count, n, dx) and y (count, m, dy)."""
        call = vmap(lambda own, x, y: functional_call(self.module, own, (x, y)))
        return call(dict(zip(self.names, parameters, strict=True)), x, y)

    def one(self, parameters: list[Tensor], index: int) -> nn.Module:
        """Return the module with the parameters of one replica."""
        state = {name: p[index].detach() for name, p in zip(self.names, parameters, strict=True)}
        self.module.load_state_dict(state)
        return self.module
