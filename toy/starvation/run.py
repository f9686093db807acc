"""Starvation of an estimator on Gaussian laws: effective sample size and gradient variance at the optimal critic."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.laws import Gaussian

from ..models.gaussian import draw, features
from ..models.statistics import quartiles

_CHUNK = 2_000_000  # numbers drawn at a time, to bound the memory


@dataclass(frozen=True)
class EffectiveSampleSize:
    """ESS/M of the optimal critic's weights on M negatives of a Gaussian law."""

    dim: int
    negatives: int
    repeats: int
    nats: tuple[float, ...]


@dataclass(frozen=True)
class GradientVariance:
    """Covariance of minibatch gradients at the optimal critic, N positives and N independent negatives.

    `bounds` are those with a line of theory: "dv", "nwj" and "js".
    """

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
        shares = []
        for start in range(0, spec.repeats, at_once):
            shape = (min(at_once, spec.repeats - start), spec.negatives)
            scores = law.log_ratio(*draw(law, shape, generator, joint=False))
            shares.append(mi.effective_sample_size(scores) / spec.negatives)
        rows.append(quartiles(torch.cat(shares)).tolist())

    limits = [theory.ess_fraction(theory.gaussian_chi2(nats)) for nats in spec.nats]
    return {"fraction_quartiles": rows}, {"fraction": limits}


def gradient_variance(spec: GradientVariance, seed: int) -> tuple[dict, dict]:
    """Measure tr Cov of each bound's gradient in θ at θ = 0, and the variance of the NWJ value, over minibatches."""
    generator = torch.Generator().manual_seed(seed)
    traces: dict[str, list[float]] = {name: [] for name in spec.bounds}
    errors: dict[str, list[float]] = {name: [] for name in spec.bounds}
    values = []

    laws = [Gaussian.with_information(nats, spec.dim) for nats in spec.nats]
    for law in laws:
        shape = (spec.repeats, spec.batch)
        pairs = [draw(law, shape, generator, joint) for joint in (True, False)]
        scores = [law.log_ratio(*pair) for pair in pairs]
        phis = [features(*pair) for pair in pairs]

        for name in spec.bounds:
            sides = zip(mi.score_weights(name, *scores), phis, strict=True)
            gradient = torch.stack([torch.einsum("rn,rnk->rk", w, phi) for w, phi in sides]).sum(0)
            traces[name].append(float(gradient.var(0).sum()))
            groups = torch.stack([group.var(0).sum() for group in gradient.tensor_split(10)])
            errors[name].append(float(groups.std() / 10**0.5))

        values.append(spec.batch * float(mi.nwj(*scores).var()))

    lines = {
        "nwj": theory.nwj_gradient_trace,
        "dv": theory.dv_gradient_trace,
        "js": theory.js_gradient_bound,
    }

    return {"trace": traces, "trace_stderr": errors, "nwj_value_variance": values}, {
        "trace": {
            name: [line(law.rho, law.dim, spec.batch) for law in laws]
            for name, line in lines.items()
        },
        "nwj_value_variance": [
            theory.nwj_value_variance(law.log_ratio_variance, law.chi2) for law in laws
        ],
    }


RUNS = {EffectiveSampleSize: effective_sample_size, GradientVariance: gradient_variance}
