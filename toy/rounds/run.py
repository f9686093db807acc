"""On-policy rounds of MIO, flipped labels, and the loss as DPO plus a wall plus a pin: all on exact laws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ..models.flows import ascent, integrate


@dataclass(frozen=True)
class Knockout:
    """Rounds on pairs from the current policy, the reference reset to it; a ranking decides each pair.

    Attributes:
        start: π_0, the worst response first.
        rounds: how many.
        time: of each round's flow, long enough to come to rest.
    """

    start: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)
    rounds: int = 4
    time: float = 200.0


@dataclass(frozen=True)
class FlippedLabels:
    """Scores of a chosen and a rejected response that are never the same, labels flipped at each rate.

    Attributes:
        rates: η.
        time: of the flow.
    """

    rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4)
    time: float = 300.0


@dataclass(frozen=True)
class Parts:
    """L_α in the plane of m = u − v and s = (u + v)/2, on a line of constant m.

    Attributes:
        mix: α.
        margins: m.
        reach: the largest |s|.
        points: of each curve.
    """

    mix: float = 0.5
    margins: tuple[float, ...] = (0.0, 4.0, 8.0)
    reach: float = 8.0
    points: int = 81


FULL = (Knockout(), FlippedLabels(), Parts())
QUICK = (Knockout(rounds=1, time=60.0), FlippedLabels(rates=(0.1,), time=60.0), Parts(points=21))


def knockout(spec: Knockout, seed: int) -> tuple[dict, dict]:
    """Train each round to its population optimum; in theory masses F up to a rank become F².

    Theorem: rounds_are_a_knockout.

    >>> measured, expected = knockout(Knockout(rounds=1), seed=0)
    >>> [round(p, 3) for p in expected["policy"][1]]  # best of two
    [0.16, 0.33, 0.32, 0.19]
    """
    policy = torch.tensor(spec.start, dtype=torch.float64)
    start, size = policy, len(spec.start)
    wins = torch.ones(size, size, dtype=torch.float64).tril(-1) + torch.eye(size) / 2
    policies = [policy]

    for _ in range(spec.rounds):
        policy = _optimum(policy, wins, spec.time)
        policies.append(policy)

    masses = start.cumsum(0)
    expected = [masses**2**t for t in range(spec.rounds + 1)]
    laws = [torch.diff(mass, prepend=torch.zeros(1, dtype=torch.float64)) for mass in expected]
    return (
        {"policy": [p.tolist() for p in policies], "nats": [_kl(p, start) for p in policies]},
        {
            "policy": [p.tolist() for p in laws],
            "nats": [_kl(p, start) for p in laws],
            "nats_at_most": [theory.best_of_kl(2**t) for t in range(spec.rounds + 1)],
        },
    )


def _optimum(policy: Tensor, wins: Tensor, time: float) -> Tensor:
    """Return π e^z, z where MIO's flow in free scores ends on all pairs of the policy's own draws; β = 1.

    The flow of a response is divided by its probability, so that rare ones are not late. The scores that it ends at are
    those of a policy, as E_π e^z = 1 there.
    """
    joint = (2 * policy[:, None] * policy * wins).log().flatten()
    size = len(policy)

    def objective(z: Tensor) -> Tensor:
        losses = mi.preference_loss(z.repeat_interleave(size, -1), z.repeat(1, size))
        return -mi.mean(losses, joint.expand_as(losses))

    ascend = ascent(objective)
    start = torch.zeros(1, size, dtype=torch.float64)
    flow = integrate(lambda z: ascend(z) / policy, start, time, tolerance=1e-6)
    ends = policy * flow.state[0].exp()

    return ends / ends.sum()


def _kl(law: Tensor, other: Tensor) -> float:
    return float((torch.xlogy(law, law) - torch.xlogy(law, other)).sum())


def flipped_labels(spec: FlippedLabels, seed: int) -> tuple[dict, dict]:
    """Ascend −MIO of pairs with flipped labels; in theory it rests at ln 2(1 − η) and ln 2η (theorem label_noise).

    >>> measured, expected = flipped_labels(FlippedLabels(rates=(0.1,)), seed=0)
    >>> round(expected["chosen"][0], 6), round(measured["read_off"][0], 4)
    (0.587787, 0.1)
    """
    rates = torch.tensor(spec.rates, dtype=torch.float64)

    def objective(scores: Tensor) -> Tensor:
        right = mi.preference_loss(scores[:, 0], scores[:, 1])
        wrong = mi.preference_loss(scores[:, 1], scores[:, 0])
        return -((1 - rates) * right + rates * wrong)

    start = torch.zeros(len(rates), 2, dtype=torch.float64)
    ends = integrate(ascent(objective), start, spec.time, tolerance=1e-6).state
    return (
        {
            "chosen": ends[:, 0].tolist(),
            "rejected": ends[:, 1].tolist(),
            "read_off": (ends[:, 1].exp() / 2).tolist(),
        },
        {
            "chosen": (2 * (1 - rates)).log().tolist(),
            "rejected": (2 * rates).log().tolist(),
        },
    )


def parts(spec: Parts, seed: int) -> tuple[dict, dict]:
    """Evaluate L_α, and its parts: α·DPO, the wall α ln(1 + cosh s/cosh(m/2)), the pin (mio_is_anchored_dpo)."""
    common = torch.linspace(
        -spec.reach,
        spec.reach,
        spec.points,
        dtype=torch.float64,
    )

    margins = torch.tensor(spec.margins, dtype=torch.float64)[:, None]
    chosen, rejected = common + margins / 2, common - margins / 2
    whole = mi.preference_loss(chosen, rejected, mix=spec.mix)
    dpo = spec.mix * mi.preference_loss(chosen, rejected, "dv")
    wall = spec.mix * (common.cosh() / (margins / 2).cosh()).log1p()
    pin = 2 * (1 - spec.mix) * ((chosen / 2).cosh().log() + math.log(2))

    return (
        {"loss": whole.tolist(), "dpo": dpo.tolist()},
        {"common": common.tolist(), "wall": wall.tolist(), "pin": pin.tolist()},
    )


RUNS = {Knockout: knockout, FlippedLabels: flipped_labels, Parts: parts}
