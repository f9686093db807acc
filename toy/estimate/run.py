"""One call of `estimate_mi` on a law of known information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators.estimation import EstimatorName

TRANSFORMS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "none": (lambda x: x, lambda y: y),
    "half-cube, tanh": (lambda x: x * x.abs().sqrt(), torch.tanh),
}
"""Invertible maps of each coordinate of x and of y, which leave the information as it is."""


@dataclass(frozen=True)
class Estimate:
    """One call of `estimate_mi` on a law of known information, seen plainly or through invertible maps.

    Attributes:
        nats, dim, rows: the Gaussian law and how many rows of it.
        transform: a key of `TRANSFORMS`.
        estimator, steps: as `estimate_mi` has them; fewer steps than its default, to be done in seconds.
    """

    nats: float
    dim: int
    rows: int
    estimator: EstimatorName = "js"
    transform: str = "none"
    steps: int = 100


FULL = (Estimate(1.0, 2, 2000), Estimate(1.0, 2, 2000, transform="half-cube, tanh"))
QUICK = (Estimate(1.0, 1, 400),)


def estimate(spec: Estimate, seed: int) -> tuple[dict, dict]:
    """Estimate the information of rows of a Gaussian law seen through invertible maps."""
    law = mi.laws.Gaussian.with_information(spec.nats, spec.dim)
    x, y = law.sample(spec.rows, torch.Generator().manual_seed(seed))
    map_x, map_y = TRANSFORMS[spec.transform]
    result = mi.estimate_mi(map_x(x), map_y(y), spec.estimator, seed=seed, steps=spec.steps)
    measured = {
        "nats": result.nats,
        "stderr": result.stderr,
        "interval": list(result.interval),
        "kind": result.estimator.kind,
        "verdict": result.verdict,
        "warnings": list(result.warnings),
    }
    return measured, {"nats": law.mutual_information}


RUNS = {Estimate: estimate}
