"""Starvation of an estimator on Gaussian laws: effective sample size and gradient variance at the optimal critic."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.laws import Gaussian

from ..models.gaussian import draw, features

_CHUNK = 2_000_000  # numbers drawn at a time, to bound the memory
_QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)


@dataclass(frozen=True)
class EffectiveSampleSize:
    """ESS/M of the optimal critic's weights on M negatives of a Gaussian law."""

    dim: int
    negatives: int
    repeats: int
    nats: tuple[float, ...]


@dataclass(frozen=True)
class GradientVariance:
    """Covariance of minibatch gradients at the optimal critic, N positives and N independent negatives."""

    bounds: tuple[str, ...]
    dim: int
    batch: int
    repeats: int
    nats: tuple[float, ...]


_NATS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)

FULL = (
    EffectiveSampleSize(1, 100, 64, _NATS),
    EffectiveSampleSize(1, 10_000, 16, _NATS),
    EffectiveSampleSize(1, 100_000, 8, _NATS),
    EffectiveSampleSize(5, 10_000, 16, _NATS),
    EffectiveSampleSize(20, 10_000, 8, _NATS),
    GradientVariance(("dv", "nwj", "js"), 20, 64, 500, _NATS),
)
QUICK = (
    EffectiveSampleSize(1, 1000, 4, _NATS[:3]),
    GradientVariance(("dv", "nwj", "js"), 2, 32, 50, _NATS[:3]),
)


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
        "fraction": [theory.ess_fraction(theory.gaussian_chi2(nats)) for nats in spec.nats]
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
            "nwj": [theory.nwj_gradient_trace(law.rho, law.dim, spec.batch) for law in laws],
            "dv": [theory.dv_gradient_trace(law.rho, law.dim, spec.batch) for law in laws],
            "js": [theory.js_gradient_bound(law.rho, law.dim, spec.batch) for law in laws],
        },
        "nwj_value_variance": [
            theory.nwj_value_variance(law.log_ratio_variance, law.chi2) for law in laws
        ],
    }


RUNS = {EffectiveSampleSize: effective_sample_size, GradientVariance: gradient_variance}
