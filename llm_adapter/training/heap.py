"""Give freed memory back to the system: glibc keeps it, scattered over a heap that grows with every step on a CPU."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any

from torch import Tensor, nn

OFTEN = 2**26  # bytes of gradients between two returns, each of which costs a walk over the heap


@lru_cache
def _trim() -> Any:
    """Return glibc's function, or None under another C library."""
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return the pages of freed memory to the system, where the C library can."""
    trim = _trim()
    if trim is not None:
        trim(0)


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
