"""What `estimate_mi` takes from its caller: rows, a device, the random state, a progress bar."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

_PATIENCE = 3.0  # seconds before a bar appears by itself
_GLOBAL_RANDOM = threading.RLock()


def torch_device(device: str | torch.device) -> torch.device:
    """Return the device named, or for "auto" a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    try:
        place = torch.device(device)
        torch.zeros((), dtype=torch.float64, device=place).item()  # "meta" has no numbers to give
    except (RuntimeError, TypeError, AssertionError):
        message = (
            f"device: expected 'auto' or an available torch device that has float64, got {device!r}"
        )
        raise ValueError(message) from None

    return place


@contextmanager
def default_device_cpu() -> Generator[None, None, None]:
    """Make new tensors on the CPU, whatever `torch.set_default_device` says: rows are kept there, and generators."""
    with nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu"):
        yield


@contextmanager
def seeded_random_state(device: torch.device, seed: int) -> Generator[None, None, None]:
    """Draw from a seeded global random state, one thread at a time, and leave it as it was."""
    devices = [device] if device.type == "cuda" else []
    with _GLOBAL_RANDOM, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def full_precision(device: torch.device) -> Any:
    """Compute in the rows' own precision, whatever `torch.autocast` the caller is in."""
    return torch.autocast(device.type, enabled=False)


def progress_bar(
    wanted: bool | None, total: int, *, unit: str = "step", name: str = "estimate_mi"
) -> Any:
    """Return a progress bar over optimiser steps or other units, or a context without one.

    None shows a bar after a few seconds, and only where a person looks on: in a terminal or a notebook.
    """
    if wanted is False or (wanted is None and not _is_watched()):
        return nullcontext()
    from tqdm import tqdm

    delay = _PATIENCE if wanted is None else 0
    return tqdm(total=total, unit=unit, desc=name, leave=False, delay=delay)


def _is_watched() -> bool:
    """Tell whether standard error is a terminal or a notebook's."""
    if sys.stderr is None:
        return False
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")
