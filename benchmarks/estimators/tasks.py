"""The data files that are drawn from the laws of a suite, and the staircase."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from mi_estimators.laws import Gaussian

from .suites import Task

FRESH_ROWS = 2500  # rows that no fit sees, on which a trained critic is read again
_DIGESTED = 16  # rows, enough to tell one sampler from another

STAIRCASE = tuple(
    Task(f"{nats} nats", Gaussian.with_information(nats, 20), "gaussian")
    for nats in (2, 4, 6, 8, 10)
)
"""20 pairs of correlated normals (Poole et al. 2019)."""


def generator(task: Task, seed: int) -> torch.Generator:
    """Return the generator of a draw: its seed depends on the task's name, too, so that no two share their noise."""
    salt = hashlib.sha256(f"{task.name}/{seed}".encode()).digest()[:6]
    return torch.Generator().manual_seed(int.from_bytes(salt, "big"))


def draw(
    task: Task,
    seed: int,
    rows: int,
) -> dict[str, np.ndarray]:
    """Return `rows` rows for the fit (x, y), as the task arranges them, and FRESH_ROWS more (fresh_x, fresh_y).

    There are no fresh rows where the law has none that the fit has not seen.
    """
    fresh = FRESH_ROWS if task.fresh else 0
    x, y = task.law.sample(rows + fresh, generator(task, seed))
    first_x, first_y = task.arranged(x[:rows], y[:rows])

    return {
        "x": _numbers(first_x),
        "y": _numbers(first_y),
        "fresh_x": _numbers(x[rows:]),
        "fresh_y": _numbers(y[rows:]),
    }


def _numbers(values: Tensor) -> np.ndarray:
    return values.double().numpy() if values.is_floating_point() else values.numpy()


def digest(task: Task, seed: int) -> str:
    """Return twelve hexadecimal digits of a short draw, to two digits each: processors differ in the last ones.

    A row of results is of this law and this sampler if the digest is the same.
    """
    values = task.law.sample(_DIGESTED, generator(task, seed))
    text = " ".join(f"{entry:.2g}" for value in values for entry in _numbers(value).flat)
    return hashlib.sha256(f"{text} {task.truth:.3g}".encode()).hexdigest()[:12]
