"""The benchmark's laws, and the files that are drawn from them."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from mi_estimators.laws import TASKS, Gaussian, Law

FRESH_ROWS = 2500  # rows that no fit sees, on which a trained critic is read again
_DIGESTED = 8  # rows of each array, enough to tell one draw from another

TEN = {
    "1v1-normal-0.75": "normal 1×1",
    "1v1-additive-0.1": "additive 0.1",
    "wiggly-normal-0.75": "wiggly",
    "swissroll-normal-0.75": "swiss roll",
    "multinormal-sparse-5-5-2-2.0": "sparse 5×5",
    "multinormal-sparse-25-25-2-2.0": "sparse 25×25",
    "half_cube-multinormal-sparse-5-5-2-2.0": "half-cube 5×5",
    "student-identity-3-3-2": "Student 3×3",
    "asinh-student-identity-2-2-1": "asinh Student 2×2",
    "multinormal-20-5nats": "normal 20×20",
}
"""The tasks that are run unless others of `laws.TASKS` are asked for, and how tables call them."""

STAIRCASE: dict[str, Law] = {
    f"{nats} nats": Gaussian.with_information(nats, 20) for nats in (2, 4, 6, 8, 10)
}
"""20 pairs of correlated normals (Poole et al. 2019)."""

__all__ = ["FRESH_ROWS", "STAIRCASE", "TASKS", "TEN", "Law", "digest", "draw"]


def draw(law: Law, name: str, seed: int, rows: int) -> dict[str, np.ndarray]:
    """Return `rows` rows for the fit (x, y) and FRESH_ROWS more (fresh_x, fresh_y).

    The generator's seed depends on the name too, so that no two tasks share their noise.
    """
    salt = int.from_bytes(hashlib.sha256(f"{name}/{seed}".encode()).digest()[:6], "big")
    drawn = law.sample(rows + FRESH_ROWS, torch.Generator().manual_seed(salt))
    x, y = (value.double().numpy() for value in drawn)
    return {"x": x[:rows], "y": y[:rows], "fresh_x": x[rows:], "fresh_y": y[rows:]}


def digest(arrays: dict[str, np.ndarray]) -> str:
    """Return twelve hexadecimal digits of the first rows to two digits: processors differ in the last ones."""
    text = " ".join(f"{entry:.2g}" for value in arrays.values() for entry in value[:_DIGESTED].flat)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
