"""One call of `estimate_mi` on a law of known information."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators.estimation import EstimatorName


def _gaussian(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    law = mi.laws.Gaussian.with_information(1.0, 2)
    return *law.sample(rows, generator), law.mutual_information


def _spiral(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    law = mi.laws.TASKS["spiral-normal-2-2-0.75"]
    return *law.sample(rows, generator), law.mutual_information


def _walks(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
    steps = torch.randn(2, rows, 1, generator=generator, dtype=torch.float64)
    x, y = steps.cumsum(1)
    return x, y, 0.0


LAWS: dict[str, Callable[[int, torch.Generator], tuple[Tensor, Tensor, float]]] = {
    "Gaussian, 2 + 2 columns": _gaussian,
    "normal columns wound into spirals": _spiral,
    "two independent random walks": _walks,
}
"""Rows, as (n, d) each, and their true information in nats: an easy law, a hard one, and rows that must be refused."""


@dataclass(frozen=True)
class Estimate:
    """One call of `estimate_mi` on rows of known information.

    Attributes:
        law: a key of `LAWS`.
        rows: how many rows of it.
        estimator, steps: as `estimate_mi` has them; fewer steps than its default, to be done in seconds.
    """

    law: str
    rows: int
    estimator: EstimatorName = "js"
    steps: int = 150


FULL = tuple(Estimate(law, 1000) for law in LAWS)
QUICK = (Estimate("Gaussian, 2 + 2 columns", 400, steps=100),)


def estimate(spec: Estimate, seed: int) -> tuple[dict, dict]:
    """Estimate the information of rows, and let the verdict say whether to believe it."""
    x, y, truth = LAWS[spec.law](spec.rows, torch.Generator().manual_seed(seed))
    result = mi.estimate_mi(x, y, spec.estimator, seed=seed, steps=spec.steps)
    measured = {
        "nats": result.nats,
        "stderr": result.stderr,
        "interval": list(result.interval),
        "kind": result.estimator.kind,
        "verdict": result.verdict,
        "warnings": list(result.warnings),
    }

    return measured, {"nats": truth}


RUNS = {Estimate: estimate}
