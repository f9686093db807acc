"""Noise of the bounds while a small critic learns: all of them read at one and the same critic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import vmap

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.bounds.variational import infonce_rows
from mi_estimators.diagnostics.gradients import matrix_objective
from mi_estimators.laws import Gaussian

from ..models.critics import Replicas
from ..models.gaussian import features
from ..models.training import descend
from ..models.two_level import BOUNDS


@dataclass(frozen=True)
class TrainedNoise:
    """Critics θ·φ, φ as in `gaussian.features`, trained by JS from θ = 0 on a Gaussian law; all bounds read them.

    Attributes:
        nats, dim: the law, whose log-ratio is one of the critics.
        replicas, batch, learning_rate: of plain gradient ascent, fresh rows at every step.
        checkpoints: steps at which `probes` fresh minibatches of the same size are read.
        mix: α of "relative".
    """

    nats: float = 2.0
    dim: int = 5
    replicas: int = 3
    batch: int = 64
    learning_rate: float = 0.5
    checkpoints: tuple[int, ...] = (0, 10, 30, 100, 300, 1000, 3000)
    probes: int = 64
    mix: float = 0.9


class Quadratic(nn.Module):
    """The critic θ·φ(x, y), which holds the log-ratio of every law of independent Gaussian pairs of one correlation."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the score matrix T(x_i, y_j), in nats."""
        return features(*torch.broadcast_tensors(x.unsqueeze(-2), y.unsqueeze(-3))) @ self.theta


def sample_value(bound: str, joint: Tensor, product: Tensor, mix: float) -> Tensor:
    """Return the value (...) of a bound on scores (..., n) and (..., m); each positive of InfoNCE meets all m."""
    if bound == "infonce":
        return infonce_rows(joint, product.unsqueeze(-2).expand(*joint.shape, -1)).mean(-1)
    if bound == "relative":
        return mi.bounds.relative(mi.dv, mix)(
            *(mi.bounds.log_ratio_to_relative(scores, mix) for scores in (joint, product))
        )
    return (mi.smile if bound == "smile" else mi.BOUNDS[bound])(joint, product)


_NAMES = ("value", "variance", "snr", "effective", "ess")


def trained_noise(spec: TrainedNoise, seed: int) -> tuple[dict, dict]:
    """Train by JS; at each checkpoint read all bounds' value, noise and negatives; medians over the replicas."""
    generator = torch.Generator().manual_seed(seed)
    law = Gaussian.with_information(spec.nats, spec.dim)
    replicas = Replicas(Quadratic, spec.replicas, seed)
    current: list[list[Tensor]] = [[]]
    measured: dict[str, dict[str, list]] = {
        name: {bound: [] for bound in BOUNDS} for name in _NAMES
    }

    def loss(parameters: list[Tensor]) -> tuple[Tensor, None]:
        current[0] = parameters
        rows = law.sample(spec.replicas * spec.batch, generator)
        x, y = (part.unflatten(0, (spec.replicas, -1)) for part in rows)
        return -mi.js(*mi.joint_and_product(replicas.scores(parameters, x, y))), None

    def observe(step: int, losses: Tensor, details: None) -> None:
        if step not in spec.checkpoints:
            return

        x, y = law.sample(spec.probes * spec.batch, generator)
        reads = [_read(replicas.one(current[0], k), x, y, spec) for k in range(spec.replicas)]
        for bound in BOUNDS:
            medians = torch.tensor([read[bound] for read in reads]).median(0).values
            for name, median in zip(_NAMES, medians.tolist(), strict=True):
                measured[name][bound].append(median)

    descend(loss, replicas.parameters, max(spec.checkpoints), spec.learning_rate, observe)

    return measured, {
        "nats": spec.nats,
        "js": 2 * math.log(2),
        "nwj_variance": theory.nwj_in_batch_variance(law.rho, law.dim, spec.batch),
        "ess": theory.ess_fraction(theory.gaussian_chi2(spec.nats)),
    }


def _read(
    critic: nn.Module, x: Tensor, y: Tensor, spec: TrainedNoise
) -> dict[str, tuple[float, ...]]:
    """Return each bound's value, its variance, SNR, effective negatives and ESS, over minibatches of one critic."""

    def mixed(joint: Tensor, product: Tensor) -> Tensor:
        return sample_value("relative", joint, product, spec.mix)

    named = [bound for bound in BOUNDS if bound != "relative"]
    table = mi.diagnostics.gradient_table(critic, x, y, named, batch_size=spec.batch)
    statistics: dict[str, mi.diagnostics.GradientStatistics] = {row.bound: row for row in table}
    statistics["relative"] = mi.diagnostics.gradient_statistics(
        mixed, critic, x, y, batch_size=spec.batch
    )

    objectives = mi.BOUNDS | {"infonce": mi.infonce, "smile": mi.smile, "relative": mixed}

    reads = {}
    with torch.no_grad():
        scores = vmap(critic)(*(part.unflatten(0, (-1, spec.batch)) for part in (x, y)))
        size = mi.effective_sample_size(mi.joint_and_product(scores)[1]).mean()
        share = float(size / (spec.batch * (spec.batch - 1)))
        for bound, row in statistics.items():
            values = vmap(matrix_objective(objectives[bound]))(scores)
            effective = getattr(row, "effective_negatives", math.nan)
            reads[bound] = (float(values.mean()), float(values.var()), row.snr, effective, share)

    return reads
