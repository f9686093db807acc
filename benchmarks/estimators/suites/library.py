"""Rows for the laws of `mi_estimators.laws.TASKS`, the forty of 'Beyond Normal' among them, and a few of their kind."""

from __future__ import annotations

import math

from mi_estimators.laws import (
    TASKS as LAWS,
)
from mi_estimators.laws import (
    AdditiveNoise,
    Gaussian,
    Law,
    MultivariateGaussian,
    ProductLaw,
    StudentT,
    Transformed,
)

from .grid import Precise, turned
from .task import Task

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
"""The tasks that are run unless others are asked for, and how tables call them."""

BEYOND_NORMAL = list(LAWS)[:40]
"""The forty of 'Beyond Normal', which come first."""

_MIXING = ("spiral", "swiss_roll", "embedding")  # maps that mix columns


def copula_of(law: Law) -> str | None:
    """Return the copula that fits the law after increasing maps of its columns, or None."""
    if isinstance(law, Transformed):
        mixed = {law.map_x.name, law.map_y.name} & set(_MIXING)
        return None if mixed else copula_of(law.law)
    if isinstance(law, Gaussian | MultivariateGaussian | Precise):
        return "gaussian"
    return "student" if isinstance(law, StudentT) else None


def task_of(name: str, rows: int = 5000) -> Task:
    """Return the row of a law of the library."""
    law = LAWS[name]
    return Task(name, law, copula_of(law), rows=rows)


def _near_copy(dim: int, noise: float) -> Precise:
    rho = math.sqrt(1 - noise**2)
    return Precise(MultivariateGaussian.sparse(dim, dim, pairs=dim, correlation=rho))


MORE = (
    Task("1v1-additive-0.5-few-rows", AdditiveNoise(0.5), rows=1000),
    Task(
        "uneven-turned-8-nats",
        Precise(MultivariateGaussian(turned((4.9, 3.1), seed=8), 2)),
        "gaussian",
    ),
    Task("near-copy-5-5", _near_copy(5, 1e-5), "gaussian", rows=2000),
    Task("multinormal-160-80nats", Gaussian.with_information(80.0, 160), "gaussian"),
    Task(
        "additive-beside-student",
        ProductLaw((AdditiveNoise(0.25), StudentT.identity(1, 1, degrees_of_freedom=1))),
    ),
)
"""Laws of the same kinds that the library's table lacks."""

TASKS = (*(task_of(name) for name in LAWS), *MORE)
