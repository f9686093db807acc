"""Starvation of a critic in training: a region of Q-mass ε carries the information, and few negatives fall into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ...models import two_level
from ...models.flows import integrate
from ...models.statistics import quartiles
from ...models.training import descend
from ...models.two_level import TwoLevel

_LATE = 0.2  # share of the steps, the last ones, over which the reported values are averaged


@dataclass(frozen=True)
class CriticStarvation:
    """Training of the critic (T on A, T off A) on `two_level.TwoLevel` laws from T = 0, one objective after the other.

    Attributes:
        objectives: "mine" or of `two_level.BOUNDS`; not "smile", which is read from the critic of "js".
        symbols: K of each law; the region A has the Q-mass ε = 1/K.
        copy: probability that y is x.
        batch: positives, and as many independent negatives, of a step.
        replicas, steps, learning_rate: of plain gradient ascent.
        every: steps between two points of a curve.
        shown: the law, by its K, whose curves are kept.
        mix: α of "relative".
    """

    objectives: tuple[str, ...] = ("dv", "mine", "nwj", "js", "infonce", "relative")
    symbols: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024)
    copy: float = 0.5
    batch: int = 64
    replicas: int = 64
    steps: int = 4000
    learning_rate: float = 0.1
    every: int = 20
    shown: int = 128
    mix: float = 0.9


FULL = (CriticStarvation(),)
QUICK = (CriticStarvation(symbols=(8, 128), replicas=8, steps=200, every=20),)


REPORTED = {
    "dv": "dv",
    "mine": "dv",
    "nwj": "nwj",
    "js": "dv",
    "infonce": "infonce",
    "relative": "dv",
}
"""Objective → the bound of `two_level.BOUNDS` that its critic is read by."""


def mean_gradient(
    name: str, laws: list[TwoLevel], spec: CriticStarvation
) -> Callable[[Tensor], Tensor]:
    """Return T (laws, 2) ↦ the mean of the objective's minibatch gradient over all batches of each law, enumerated.

    For MINE it is the gradient of DV on the law itself, at which its moving average aims.

    >>> law, spec = TwoLevel(2, 0.5), CriticStarvation(batch=4)  # P(A) − Q(A) = 1/4; JS's weights are ½ at T = 0
    >>> start = torch.zeros(1, 2, dtype=torch.float64)
    >>> [round(mean_gradient(name, [law], spec)(start)[0, 0].item(), 6) for name in ("nwj", "js")]
    [0.25, 0.125]
    """
    log_p = torch.stack([law.log_p for law in laws])[:, None]
    log_q = torch.stack([law.log_q for law in laws])[:, None]
    p_chance = q_chance = torch.ones(len(laws), 1, dtype=torch.float64)
    if name != "mine":
        log_q, q_chance = two_level.batches_of([law.region for law in laws], spec.batch)
    if name == "relative":  # all others are linear in P's shares, which their mean stands for
        log_p, p_chance = two_level.batches_of([law.hit for law in laws], spec.batch)

    shape = (len(laws), log_p.shape[1], log_q.shape[1], 2)
    log_p = log_p[:, :, None].expand(shape)
    log_q = log_q[:, None].expand(shape)
    chance = p_chance[:, :, None] * q_chance[:, None]
    bound = "dv" if name == "mine" else name

    def field(critic: Tensor) -> Tensor:
        critic = critic.detach().requires_grad_()
        scores = critic[:, None, None].expand(shape)
        values = two_level.value(bound, scores, scores, log_p, log_q, spec.batch, spec.mix)
        (gradient,) = torch.autograd.grad((values * chance).sum(), critic)
        return gradient

    return field


def critic_starvation(spec: CriticStarvation, seed: int) -> tuple[dict, dict]:
    """Train every objective on every law; beside it, the flow of the exact mean minibatch gradient."""
    laws = [TwoLevel(count, spec.copy) for count in spec.symbols]
    measured: dict[str, dict] = {}
    expected: dict[str, dict] = {}
    for name in spec.objectives:
        generator = torch.Generator().manual_seed(seed)  # the same batches for every objective
        measured[name] = _train(name, laws, spec, generator)
        expected[name] = _flow(name, laws, spec)

    return measured, expected | {
        "nats": [law.mutual_information for law in laws],
        "difference": [float(law.log_ratio[0] - law.log_ratio[1]) for law in laws],
        "missed": [theory.missed_mass(law.region, spec.batch) for law in laws],
        "hit": [law.hit for law in laws],
        "ess": [two_level.mean_ess(law, spec.batch) for law in laws],
        "ess_limit": [theory.ess_fraction(law.chi2) for law in laws],
    }


def _flow(name: str, laws: list[TwoLevel], spec: CriticStarvation) -> dict:
    """Follow the mean gradient's flow for the time of the training; average over batches what it then reports."""
    horizon = spec.steps * spec.learning_rate
    late = (1 - _LATE / 2) * horizon  # the middle of the steps that are averaged
    shown, times, curve = spec.symbols.index(spec.shown), [], []

    def observe(time: Tensor, state: Tensor) -> None:
        times.append(float(time[shown]))
        curve.append(float(laws[shown].gap(state[shown])))

    field = mean_gradient(name, laws, spec)
    start = torch.zeros(len(laws), 2, dtype=torch.float64)
    middle = integrate(field, start, late, observe=observe).state
    end = integrate(field, middle, horizon - late).state

    values = []
    for critic, law in zip(middle, laws, strict=True):
        log_q, chance = two_level.batches(spec.batch, law.region)
        scores, log_p = critic.expand_as(log_q), law.log_p.expand_as(log_q)
        bound = REPORTED[name]
        reported = two_level.value(bound, scores, scores, log_p, log_q, spec.batch, spec.mix)
        values.append(float(chance @ reported))

    return {
        "gap": [float(law.gap(critic)) for critic, law in zip(end, laws, strict=True)],
        "difference": (end[:, 0] - end[:, 1]).tolist(),
        "value": values,
        "inside": [_inside(name, law, spec) for law in laws],
        "time": times,
        "gap_curve": curve,
    }


def _inside(name: str, law: TwoLevel, spec: CriticStarvation) -> float:
    """Return the mean share of the negatives' weight that lies in A, at T = ln dP/dQ, over all batches."""
    log_q, chance = two_level.batches(spec.batch, law.region)
    scores = law.log_ratio.expand_as(log_q).clone().requires_grad_()
    bound, log_p = "dv" if name == "mine" else name, law.log_p.expand_as(log_q)
    value = two_level.value(
        bound,
        scores.detach(),
        scores,
        log_p,
        log_q,
        spec.batch,
        spec.mix,
    )

    weights = torch.autograd.grad(value.sum(), scores)[0].abs()
    return float(chance @ (weights[:, 0] / weights.sum(-1)))


def _train(
    name: str, laws: list[TwoLevel], spec: CriticStarvation, generator: torch.Generator
) -> dict:
    """Ascend one objective on all laws and replicas; return quartiles over replicas."""
    copies = (len(laws), spec.replicas)
    hit, region = (
        torch.tensor([getattr(law, share) for law in laws]).double()[:, None, None]
        for share in ("hit", "region")
    )
    shown = spec.symbols.index(spec.shown)
    late = int((1 - _LATE) * spec.steps)
    curves, ends = [], []
    missed = torch.zeros(len(laws))
    total = torch.zeros(copies, dtype=torch.float64)
    memory: list[Tensor | None] = [None]

    def loss(parameters: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        draws = torch.rand(*copies, 2 * spec.batch, generator=generator, dtype=torch.float64)
        positives, negatives = draws.split(spec.batch, -1)
        log_p = two_level.log_shares((positives < hit).sum(-1), spec.batch).flatten(0, 1)
        log_q = two_level.log_shares((negatives < region).sum(-1), spec.batch).flatten(0, 1)
        # Two copies of the critic, to tell the weights of the two sides.
        joint, product = parameters[0].clone(), parameters[0].clone()

        if name == "mine":
            value, memory[0] = mi.mine(
                joint,
                product,
                memory[0],
                log_p=log_p,
                log_q=log_q,
            )
        else:
            value = two_level.value(name, joint, product, log_p, log_q, spec.batch, spec.mix)

        return -value, (joint, product, log_p, log_q, value)

    def observe(step: int, losses: Tensor, details: tuple[Tensor, ...]) -> None:
        joint, product, log_p, log_q, value = details
        missed.add_(log_q[:, 0].isinf().view(copies).float().mean(-1))
        if step >= late:
            bound = REPORTED[name]
            read = two_level.value(bound, joint, product, log_p, log_q, spec.batch, spec.mix)
            total.add_(read.detach().view(copies))

        if step % spec.every:
            return

        (weights,) = torch.autograd.grad(value.sum(), product, retain_graph=True)
        inside = (weights[:, 0].abs() / weights.abs().sum(-1)).view(copies)
        fraction = (1 - mi.starvation_index(product.detach(), log_q)).view(copies)
        gap = laws[shown].gap(joint.detach().view(*copies, 2)[shown])
        curves.append(torch.stack([gap, inside[shown], fraction[shown]]))
        if step >= late:
            ends.append(torch.stack([inside, fraction]).mean(-1))

    start = torch.zeros(len(laws) * spec.replicas, 2, dtype=torch.float64)
    (end,) = descend(loss, [start], spec.steps, spec.learning_rate, observe)
    end = end.view(*copies, 2)
    gaps = torch.stack([law.gap(critic) for critic, law in zip(end, laws, strict=True)])
    curve = torch.stack(curves)
    inside, fraction = torch.stack(ends).mean(0)

    return {
        "gap": quartiles(gaps).tolist(),
        "difference": quartiles(end[..., 0] - end[..., 1]).tolist(),
        "value": quartiles(total / (spec.steps + 1 - late)).tolist(),
        "missed": (missed / (spec.steps + 1)).tolist(),
        "inside": inside.tolist(),
        "ess": fraction.tolist(),
        "batches": spec.replicas * (spec.steps + 1),
        "step": [spec.every * k for k in range(len(curves))],
        "gap_curve": quartiles(curve[:, 0]).tolist(),
        "inside_curve": curve[:, 1].mean(-1).tolist(),
        "ess_curve": curve[:, 2].mean(-1).tolist(),
    }


RUNS = {CriticStarvation: critic_starvation}
