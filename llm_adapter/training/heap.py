"""Give freed memory back to the system: glibc keeps it, scattered over a heap that grows with every step on a CPU."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any


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
