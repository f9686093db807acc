"""Freed memory on a CPU: glibc gives large blocks back at once and keeps small ones, scattered over a growing heap.

A page that was given back costs time when it is wanted again, since the system fills it with zeros. One that is kept
between others makes the heap larger than what is in it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from torch import Tensor, nn

from ..loss.head import config_of

OFTEN = 2**26  # bytes of gradients between two returns, each of which costs a walk over the heap

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST = 2**25  # bytes: glibc takes no higher threshold for a mapping of a block's own


@lru_cache
def _glibc(name: str) -> Any:
    """Return a function of glibc, or None under another C library."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), name, None)


def keep_freed() -> None:
    """Keep freed memory in this process until `give_back`, where the C library can."""
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def is_long(positions: int, config: Any) -> bool:
    """Return whether a pass over so many positions makes more for its backward pass than the gradients take.

    A layer has 12 weights for each pair of hidden units, and makes about 30 numbers for each position and hidden unit.
    """
    return 30 * positions > 12 * config.get_text_config().hidden_size


def give_back() -> None:
    """Return the pages of freed memory to the system, where the C library can."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


class Heap:
    """Give freed memory back as gradients are released, or keep it for the next step, of weights on a CPU.

    A long pass gives it back before its backward pass, when memory is at its peak, and once more at the middle weight:
    forward where gradients are released, else backward.
    """

    def __init__(self, model: nn.Module, release_gradients: bool) -> None:
        self.release_gradients, self._asked, self._long = release_gradients, False, False
        trained = [(module, weight) for module in model.modules() for weight in _trained(module)]
        module, weight = trained[len(trained) // 2]
        self._on_cpu = weight.device.type == "cpu"

        if release_gradients:  # else the backward pass frees little, and a return costs time
            give_back_in_backward(model)
            module.register_forward_pre_hook(self._give_back)
        elif self._on_cpu:
            keep_freed()
            weight.register_post_accumulate_grad_hook(self._give_back)

    def begin(self, tokens: Tensor, model: Any) -> bool:
        """Prepare for the forward pass of a model over so many tokens; return whether it is a long one on a CPU."""
        self._long = self._asked = self._on_cpu and is_long(tokens.numel(), config_of(model))
        return self._long

    def turn(self, first: bool) -> None:
        """Prepare for the backward pass, the first one or another."""
        if self._long or (self._on_cpu and (first or self.release_gradients)):
            give_back()

    def _give_back(self, *_: Any) -> None:
        if self._asked:
            self._asked = False
            give_back()


def _trained(module: nn.Module) -> Iterator[nn.Parameter]:
    """Yield a module's own weights that are trained."""
    return (weight for weight in module.parameters(recurse=False) if weight.requires_grad)


def give_back_in_backward(model: nn.Module) -> None:
    """Return freed memory as the backward pass goes on, where the weights are on a CPU."""
    finished = 0

    def count(weight: Tensor) -> None:
        nonlocal finished
        finished += weight.nbytes
        if finished >= OFTEN:
            finished = 0
            give_back()

    for weight in model.parameters():
        if weight.requires_grad and weight.device.type == "cpu":
            weight.register_post_accumulate_grad_hook(count)
