"""Starvation of an estimator on Gaussian laws: effective sample size and gradient variance at the optimal critic."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators.laws import Gaussian

from .. import theory
from ..specs import EffectiveSampleSize, Estimate, GradientVariance

_CHUNK = 2_000_000  # numbers drawn at a time, to bound the memory
_QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


def features(x: Tensor, y: Tensor) -> Tensor:
    """Return φ(x, y) = (1, Σ xy, Σ (x² − 1), Σ (y² − 1)), sums over the pairs divided by √d, shape (..., 4).

    They are ∇_θ of the critics T_θ = ln dP/dQ + θ·φ, which hold every Gaussian pair law of this form.
    """
    parts = [x * y, x**2 - 1, y**2 - 1]
    return torch.stack(
        [torch.ones_like(x[..., 0]), *(p.sum(-1) / x.shape[-1] ** 0.5 for p in parts)], -1
    )


def draw(
    law: Gaussian, shape: tuple[int, ...], generator: torch.Generator, joint: bool
) -> tuple[Tensor, Tensor]:
    """Draw pairs from P (`joint`) or from Q as x and y of shape (*shape, dim), float64."""
    x, y = law.sample(math.prod(shape), generator)
    if not joint:
        y = law.sample(math.prod(shape), generator)[0]
    return x.reshape(*shape, law.dim).double(), y.reshape(*shape, law.dim).double()


def effective_sample_size(spec: EffectiveSampleSize, seed: int) -> tuple[dict, dict]:
    """Measure ESS/M of e^T over M product pairs, T = ln dP/dQ; quartiles over repeats."""
    generator = torch.Generator().manual_seed(seed)
    at_once = max(1, _CHUNK // (spec.negatives * spec.dim))
    rows = []
    for nats in spec.nats:
        law = Gaussian.with_information(nats, spec.dim)
        fractions = []
        for start in range(0, spec.repeats, at_once):
            shape = (min(at_once, spec.repeats - start), spec.negatives)
            scores = law.log_ratio(*draw(law, shape, generator, joint=False))
            fractions.append(mi.effective_sample_size(scores) / spec.negatives)
        rows.append(torch.cat(fractions).quantile(_QUARTILES).tolist())
    return {"fraction_quartiles": rows}, {
        "fraction": [theory.ess_fraction(nats) for nats in spec.nats]
    }


def gradient_variance(spec: GradientVariance, seed: int) -> tuple[dict, dict]:
    """Measure tr Cov of each bound's gradient in θ at θ = 0, and the variance of the NWJ value, over minibatches."""
    generator = torch.Generator().manual_seed(seed)
    traces: dict[str, list[float]] = {name: [] for name in spec.bounds}
    errors: dict[str, list[float]] = {name: [] for name in spec.bounds}
    values = []
    laws = [Gaussian.with_information(nats, spec.dim) for nats in spec.nats]
    for law in laws:
        shape = (spec.repeats, spec.batch)
        (xp, yp), (xq, yq) = (draw(law, shape, generator, joint) for joint in (True, False))
        joint, product = law.log_ratio(xp, yp), law.log_ratio(xq, yq)
        phi_p, phi_q = features(xp, yp), features(xq, yq)
        for name in spec.bounds:
            positive, negative = mi.score_weights(name, joint, product)
            gradient = torch.einsum("rn,rnk->rk", positive, phi_p) + torch.einsum(
                "rn,rnk->rk", negative, phi_q
            )
            traces[name].append(float(gradient.var(0).sum()))
            groups = torch.stack([g.var(0).sum() for g in gradient.tensor_split(10)])
            errors[name].append(float(groups.std() / 10**0.5))
        values.append(spec.batch * float(mi.nwj(joint, product).var()))
    measured = {"trace": traces, "trace_stderr": errors, "nwj_value_variance": values}
    return measured, {
        "trace": {
            "nwj": [theory.nwj_gradient_trace(law, spec.batch) for law in laws],
            "dv": [theory.dv_gradient_trace(law, spec.batch) for law in laws],
            "js": [theory.js_gradient_bound(law, spec.batch) for law in laws],
        },
        "nwj_value_variance": [theory.nwj_value_variance(law) for law in laws],
    }


TRANSFORMS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "none": (lambda x: x, lambda y: y),
    "half-cube, tanh": (lambda x: x * x.abs().sqrt(), torch.tanh),
}
"""Invertible maps of each coordinate of x and of y, which leave the information as it is."""


def estimate(spec: Estimate, seed: int) -> tuple[dict, dict]:
    """Estimate the information of rows of a Gaussian law seen through invertible maps."""
    law = Gaussian.with_information(spec.nats, spec.dim)
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
