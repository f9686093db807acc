"""The staircase: every estimator on 20 pairs of normals as their information climbs, and what an ideal critic reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import laws
from mi_estimators.estimators import READOUTS, Estimator

from . import theory
from .critics import Replicas
from .train import descend

MAPS: dict[str, laws.InjectiveMap] = {"none": laws.IDENTITY, "cubic": laws.CUBIC, "asinh": laws.ASINH}
"""Increasing maps of every coordinate of y, which leave the information as it is."""


@dataclass(frozen=True)
class Staircase:
    """One critic for each objective and map, trained on while the information climbs; a fresh batch at every step.

    Attributes:
        nats, dim: the laws, one level after the other.
        maps: keys of `MAPS`.
        batch: rows of a step, all other pairs its negatives; every number is read from one batch, before its step.
        steps: of a level.
        every: steps between two readings.
        late: share of a level's steps, its last ones, whose readings make bias, variance and mean squared error.
        hidden, embedding, learning_rate: of the separable critics and of Adam.
    """

    nats: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0)
    dim: int = 20
    maps: tuple[str, ...] = ("none", "cubic", "asinh")
    batch: int = 64
    steps: int = 800
    every: int = 8
    late: float = 0.4
    hidden: int = 64
    embedding: int = 32
    learning_rate: float = 1e-3


FULL = (Staircase(),)
QUICK = (Staircase(nats=(2.0, 6.0), dim=4, maps=("none", "cubic"), steps=40, every=5, hidden=16, embedding=8),)


def objectives() -> list[list[Estimator]]:
    """Return the rows of `mi.ESTIMATORS` by what they ascend: those of one list are read from the same critic."""
    groups: dict[int, list[Estimator]] = {}
    for row in mi.ESTIMATORS.values():
        groups.setdefault(id(row.objective), []).append(row)
    return list(groups.values())


class _Rows:
    """The batches of all levels, the same for every objective: x and y of shape (maps, batch, dim)."""

    def __init__(self, spec: Staircase, seed: int) -> None:
        self.spec, self.generator = spec, torch.Generator().manual_seed(seed)
        self.laws = [laws.Gaussian.with_information(nats, spec.dim) for nats in spec.nats]
        self.step = 0

    def draw(self) -> tuple[laws.Gaussian, Tensor, Tensor]:
        """Return the level's law and plain rows (batch, dim)."""
        law = self.laws[min(self.step // self.spec.steps, len(self.laws) - 1)]
        self.step += 1
        return law, *law.sample(self.spec.batch, self.generator)


def _split(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positives (..., n) and the n − 1 negatives of each (..., n, n − 1)."""
    joint, product = mi.joint_and_product(scores)
    return joint, product.unflatten(-1, (joint.shape[-1], -1))


def _train(group: list[Estimator], spec: Staircase, seed: int) -> tuple[dict[str, list], list[int | None]]:
    """Climb with one objective; return each row's readings [map][reading], and where a map's critic broke."""
    rows = _Rows(spec, seed)
    critics = Replicas(
        lambda: mi.critics.Separable(spec.dim, spec.dim, spec.hidden, 2, spec.embedding), len(spec.maps), seed
    )
    states: list[Tensor | None] = [None] * len(spec.maps)
    broken: list[int | None] = [None] * len(spec.maps)
    readings: dict[str, list[list[float]]] = {row.name: [[] for _ in spec.maps] for row in group}

    def loss(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
        _, x, y = rows.draw()
        scores = critics.scores(
            parameters, x.expand(len(spec.maps), -1, -1), torch.stack([MAPS[name].forward(y) for name in spec.maps])
        )
        losses = []
        for k, (joint, product) in enumerate(zip(*_split(scores), strict=True)):
            if broken[k] is None and not bool(scores[k].isfinite().all()):
                broken[k] = rows.step - 1
            if broken[k] is not None:
                losses.append(scores[k].sum() * 0)
                continue
            value, states[k] = group[0].objective(joint, product, states[k])
            losses.append(-value)
        return torch.stack(losses), scores.detach()

    def observe(step: int, losses: Tensor, scores: Tensor) -> None:
        if step % spec.every:
            return
        for k, (joint, product) in enumerate(zip(*_split(scores.double()), strict=True)):
            for row in group:
                value = math.nan if broken[k] is not None else float(row.reported(joint, product))
                readings[row.name][k].append(value)

    descend(loss, critics.parameters, spec.steps * len(spec.nats) - 1, spec.learning_rate, observe, adam=True)
    return readings, broken


def _control(spec: Staircase, seed: int) -> dict[str, list[float]]:
    """Return what ln dP/dQ reads from the same batches; under a map its scores, pulled back, are the same numbers."""
    rows = _Rows(spec, seed)
    readings: dict[str, list[float]] = {name: [] for name in READOUTS}
    for step in range(spec.steps * len(spec.nats)):
        law, x, y = rows.draw()
        if step % spec.every == 0:
            joint, product = _split(law.log_ratio(x.double().unsqueeze(-2), y.double().unsqueeze(-3)))
            for name, readout in READOUTS.items():
                readings[name].append(float(readout(joint, product)))
    return readings


def _summary(readings: list[float], spec: Staircase) -> list[list[float]]:
    """Return (bias, variance, mean squared error) at every level, over its late readings."""
    table = torch.tensor(readings, dtype=torch.float64).reshape(len(spec.nats), -1)
    late = table[:, int((1 - spec.late) * table.shape[1]) :]
    truth = torch.tensor(spec.nats, dtype=torch.float64)
    errors = (late - truth[:, None]).square().mean(-1)
    return torch.stack([late.mean(-1) - truth, late.var(-1), errors], -1).tolist()


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 4) if math.isfinite(value) else value for value in values]


def readout_of(row: str) -> str:
    """Return the key of `estimators.READOUTS` that a row of `mi.ESTIMATORS` reports."""
    reported = mi.ESTIMATORS[row].reported
    return next(name for name, readout in READOUTS.items() if readout is reported)


def staircase(spec: Staircase, seed: int) -> tuple[dict, dict]:
    """Climb with every objective, and read all rows and the control."""
    measured: dict[str, dict] = {"readings": {}, "summary": {}, "broken": {}}
    for group in objectives():
        readings, broken = _train(group, spec, seed)
        for name, lines in readings.items():
            measured["readings"][name] = {m: _rounded(v) for m, v in zip(spec.maps, lines, strict=True)}
            measured["summary"][name] = {m: _summary(v, spec) for m, v in zip(spec.maps, lines, strict=True)}
            measured["broken"][name] = broken
    control = _control(spec, seed)
    exact = [laws.Gaussian.with_information(nats, spec.dim) for nats in spec.nats]
    return measured | {
        "control": {name: _rounded(values) for name, values in control.items()},
        "control_summary": {name: _summary(values, spec) for name, values in control.items()},
    }, {
        "ceiling": math.log(spec.batch),
        "nwj_variance": [theory.nwj_in_batch_variance(law, spec.batch) for law in exact],
        "plug_in_variance": [law.log_ratio_variance / spec.batch for law in exact],
    }


RUNS = {Staircase: staircase}
