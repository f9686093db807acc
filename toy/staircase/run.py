"""The staircase: every estimator on 20 pairs of normals as their information climbs, and what an ideal critic reads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

import mi_estimators as mi
from mi_estimators import laws, theory
from mi_estimators.estimation import EstimatorName
from mi_estimators.estimation.critics import Separable
from mi_estimators.estimation.table import READOUTS, Estimator

from ..models.critics import Replicas
from ..models.training import descend


def _turn(y: Tensor, back: bool = False) -> Tensor:
    """Return y times a fixed random rotation of its columns."""
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(*[y.shape[-1]] * 2, generator=generator, dtype=torch.float64)
    matrix = torch.linalg.qr(normal).Q.to(y.dtype)
    return y @ (matrix.T if back else matrix)


MAPS: dict[str, laws.InjectiveMap] = {
    "none": laws.IDENTITY,
    "asinh": laws.ASINH,
    "rotated": laws.InjectiveMap("rotated", _turn, lambda y: _turn(y, back=True)),
    "cubic": laws.CUBIC,
    "rotated cubic": laws.InjectiveMap(
        "rotated cubic",
        lambda y: _turn(laws.CUBIC.forward(y)),
        lambda y: laws.CUBIC.inverse(_turn(y, back=True)),
    ),
}
"""Injective maps of y, which leave the information as it is: of every coordinate, by a rotation, or both."""


@dataclass(frozen=True)
class Staircase:
    """A critic for each objective, map and replica, trained on while the information climbs; fresh batches each step.

    Attributes:
        nats, dim: the laws, one level after the other.
        maps: keys of `MAPS`.
        replicas: independent critics and batches under every map; replica r has the same rows under all maps.
        batch: rows of a step, all other pairs its negatives; every number is read from one batch, before its step.
        steps: of a level.
        every: steps between two readings.
        late: share of a level's steps, its last ones, whose readings make bias, variance and mean squared error.
        hidden, embedding, learning_rate: of the separable critics and of Adam.
    """

    nats: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0)
    dim: int = 20
    maps: tuple[str, ...] = tuple(MAPS)
    replicas: int = 3
    batch: int = 64
    steps: int = 800
    every: int = 10
    late: float = 0.4
    hidden: int = 64
    embedding: int = 32
    learning_rate: float = 1e-3


FULL = (Staircase(),)
QUICK = (
    Staircase(
        nats=(2.0, 6.0),
        dim=4,
        maps=("none", "rotated cubic"),
        replicas=2,
        steps=40,
        every=5,
        hidden=16,
        embedding=8,
    ),
)


def objectives() -> list[list[Estimator]]:
    """Return the rows of `mi.ESTIMATORS` by what they ascend: those of one list are read from the same critic."""
    groups: dict[int, list[Estimator]] = {}
    for row in mi.ESTIMATORS.values():
        groups.setdefault(id(row.objective), []).append(row)
    return list(groups.values())


class _Rows:
    """The batches of all levels, the same for every objective."""

    def __init__(self, spec: Staircase, seed: int) -> None:
        self.spec, self.generator = spec, torch.Generator().manual_seed(seed)
        self.laws = [laws.Gaussian.with_information(nats, spec.dim) for nats in spec.nats]
        self.step = 0

    def draw(self) -> tuple[laws.Gaussian, Tensor, Tensor]:
        """Return the level's law and plain rows (replicas, batch, dim)."""
        law = self.laws[min(self.step // self.spec.steps, len(self.laws) - 1)]
        self.step += 1
        rows = law.sample(self.spec.replicas * self.spec.batch, self.generator)
        x, y = (part.unflatten(0, (self.spec.replicas, -1)) for part in rows)
        return law, x, y


def _split(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positives (..., n) and the n − 1 negatives of each (..., n, n − 1)."""
    joint, product = mi.joint_and_product(scores)
    return joint, product.unflatten(-1, (joint.shape[-1], -1))


def _train(
    group: list[Estimator], spec: Staircase, seed: int
) -> tuple[dict[str, Tensor], list[list[int | None]]]:
    """Climb with one objective; return each row's readings [map, replica, reading], and where a critic broke."""
    rows, shape = _Rows(spec, seed), (len(spec.maps), spec.replicas)
    count = math.prod(shape)
    critics = Replicas(
        lambda: Separable(spec.dim, spec.dim, spec.hidden, 2, spec.embedding, zero_start=False),
        count,
        seed,
    )

    ascend = group[0].objective
    state: list[Tensor | None] = [None]
    broken: list[int | None] = [None] * count
    readings: dict[str, list[float]] = {row.name: [] for row in group}

    def loss(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
        _, x, y = rows.draw()
        mapped = torch.cat([MAPS[name].forward(y) for name in spec.maps])
        scores = critics.scores(
            parameters,
            x.repeat(len(spec.maps), 1, 1),
            mapped,
        )

        for k, finite in enumerate(scores.detach().isfinite().flatten(1).all(-1).tolist()):
            if not finite and broken[k] is None:
                broken[k] = rows.step - 1

        whole = torch.tensor([step is None for step in broken])[:, None, None]
        # A broken critic learns nothing more.
        joint, product = _split(torch.where(whole, scores, 0.0))

        if state[0] is None:
            value, new = vmap(lambda a, b: _filled(*ascend(a, b, None)))(joint, product)
        else:
            value, new = vmap(ascend)(joint, product, state[0])

        state[0] = None if bool(new.isnan().all()) else new
        return -value, scores.detach()

    def observe(step: int, losses: Tensor, scores: Tensor) -> None:
        if step % spec.every:
            return
        for k, (joint, product) in enumerate(zip(*_split(scores.double()), strict=True)):
            for row in group:
                value = math.nan if broken[k] is not None else float(row.reported(joint, product))
                readings[row.name].append(value)

    steps = spec.steps * len(spec.nats) - 1
    descend(loss, critics.parameters, steps, spec.learning_rate, observe, adam=True)
    tables = {
        name: torch.tensor(values, dtype=torch.float64).reshape(-1, *shape).permute(1, 2, 0)
        for name, values in readings.items()
    }

    return tables, [broken[k : k + spec.replicas] for k in range(0, count, spec.replicas)]


def _filled(value: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return a tensor where there is no state: vmap gives back tensors only."""
    return value, torch.full_like(value.detach(), math.nan) if state is None else state


def _control(spec: Staircase, seed: int) -> dict[str, Tensor]:
    """Return what ln dP/dQ reads from the same batches [replica, reading]; pulled back from a map it is the same."""
    rows = _Rows(spec, seed)
    readings: dict[str, list[float]] = {name: [] for name in READOUTS}

    for step in range(spec.steps * len(spec.nats)):
        law, x, y = rows.draw()
        if step % spec.every == 0:
            scores = law.log_ratio(x.double().unsqueeze(-2), y.double().unsqueeze(-3))
            for joint, product in zip(*_split(scores), strict=True):
                for name, readout in READOUTS.items():
                    readings[name].append(float(readout(joint, product)))

    return {
        name: torch.tensor(values, dtype=torch.float64).reshape(-1, spec.replicas).T
        for name, values in readings.items()
    }


def _summary(readings: Tensor, spec: Staircase) -> list[list[float]]:
    """Return (bias, variance, mean squared error, standard error of the bias) at every level, over late readings.

    Args:
        readings: shape (replicas, readings); the standard error is that of the replicas' means.
    """
    table = readings.reshape(spec.replicas, len(spec.nats), -1)
    late = table[..., int((1 - spec.late) * table.shape[-1]) :]
    errors = late - torch.tensor(spec.nats, dtype=torch.float64)[:, None]
    pooled = errors.transpose(0, 1).flatten(1)
    between = torch.full_like(pooled[:, 0], torch.nan)
    if spec.replicas > 1:
        between = errors.mean(-1).std(0) / spec.replicas**0.5

    moments = [pooled.mean(-1), pooled.var(-1), pooled.square().mean(-1), between]
    return torch.stack(moments, -1).tolist()


def _rounded(readings: Tensor) -> list[list[float]]:
    return [
        [round(value, 3) if math.isfinite(value) else value for value in line]
        for line in readings.tolist()
    ]


def readout_of(row: EstimatorName) -> str:
    """Return the key of `READOUTS` that a row of `mi.ESTIMATORS` reports."""
    reported = mi.ESTIMATORS[row].reported
    return next(name for name, readout in READOUTS.items() if readout is reported)


def staircase(spec: Staircase, seed: int) -> tuple[dict, dict]:
    """Climb with every objective, and read all rows and the control."""
    measured: dict[str, dict] = {"readings": {}, "summary": {}, "broken": {}}
    for group in objectives():
        readings, broken = _train(group, spec, seed)
        for name, table in readings.items():
            maps = dict(zip(spec.maps, table, strict=True))
            measured["readings"][name] = {key: _rounded(lines) for key, lines in maps.items()}
            measured["summary"][name] = {key: _summary(lines, spec) for key, lines in maps.items()}
            measured["broken"][name] = broken

    control = _control(spec, seed)
    exact = [laws.Gaussian.with_information(nats, spec.dim) for nats in spec.nats]

    return measured | {
        "control": {name: _rounded(values) for name, values in control.items()},
        "control_summary": {name: _summary(values, spec) for name, values in control.items()},
    }, {
        "ceiling": theory.infonce_ceiling(spec.batch),
        "nwj_variance": [
            theory.nwj_in_batch_variance(law.rho, law.dim, spec.batch) for law in exact
        ],
        "plug_in_variance": [law.log_ratio_variance / spec.batch for law in exact],
    }


RUNS = {Staircase: staircase}
