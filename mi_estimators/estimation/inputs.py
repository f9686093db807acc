"""What `estimate_mi` takes from its caller: rows, a device, the random state, a progress bar."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def rows_of(
    name: str, value: np.ndarray | Tensor | None, *, fresh: bool = False
) -> Float[Tensor, "n d"]:
    """Return samples as float64 rows on the CPU, or say what is wrong with them; fresh rows may be few or constant."""
    if not isinstance(value, np.ndarray | Tensor) or isinstance(value, np.ma.MaskedArray):
        raise ValueError(
            f"{name}: expected a numpy array or a torch tensor, got {type(value).__name__}"
            + ("; pass its to_numpy()" if hasattr(value, "to_numpy") else "")
        )
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iufb":
            raise ValueError(f"{name}: expected real numbers, got dtype {value.dtype}")
        value = torch.from_numpy(
            np.array(value, dtype=np.float64)
        )  # a copy in native order, whatever the strides
    if value.layout != torch.strided:
        raise ValueError(f"{name}: expected a dense tensor, got layout {value.layout}")
    if value.is_complex():
        raise ValueError(f"{name}: expected real numbers, got dtype {value.dtype}")
    rows = value.detach().to("cpu", torch.float64)
    if rows.dim() == 1:
        rows = rows.unsqueeze(1)
    if rows.dim() != 2 or rows.shape[1] == 0:
        raise ValueError(f"{name}: expected shape (n,) or (n, d), got {tuple(rows.shape)}")
    if len(rows) < (1 if fresh else 64):
        raise ValueError(f"{name}: expected at least {1 if fresh else 64} rows, got {len(rows)}")
    if not bool(torch.isfinite(rows).all()):
        raise ValueError(f"{name}: expected finite entries, got NaN or infinity")
    if fresh:
        return rows
    constant = (rows == rows[:1]).all(0).nonzero().flatten().tolist()
    if constant:
        raise ValueError(f"{name}: expected columns that vary, got constant column(s) {constant}")
    scaled = rows / rows.abs().amax(0)  # so that no square overflows
    narrow = (scaled.std(0) < 1e-12).nonzero().flatten().tolist()
    if narrow:
        raise ValueError(
            f"{name}: expected columns that vary beyond rounding, got nearly constant column(s) {narrow}"
        )
    return rows


def paired_rows_of(
    x: np.ndarray | Tensor | None, y: np.ndarray | Tensor | None, *, fresh: bool = False
) -> tuple[Float[Tensor, "n dx"], Float[Tensor, "n dy"]]:
    """Return paired samples as `rows_of` does, or say what is wrong with them."""
    rows = rows_of("x", x, fresh=fresh), rows_of("y", y, fresh=fresh)
    if len(rows[0]) != len(rows[1]):
        raise ValueError(f"y: expected as many rows as x ({len(rows[0])}), got {len(rows[1])}")
    return rows


def torch_device(device: str | torch.device) -> torch.device:
    """Return the device named, or for "auto" a GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, dtype=torch.float64, device=place)
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


def keep_random_state(device: torch.device) -> Any:
    """Keep the global random state, of the GPU too where it is used."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def progress_bar(wanted: bool, total: int) -> Any:
    """Return a progress bar over optimiser steps, or a context without one."""
    if not wanted:
        return nullcontext()
    from tqdm import tqdm

    return tqdm(total=total, unit="step", desc="estimate_mi", leave=False)
