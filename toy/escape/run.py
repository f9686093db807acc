"""Escape times: how long p(correct) takes from ε to ½, by exact flow and by sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mi_estimators import theory

from ..models.flows import ascent, grid, integrate
from ..models.policies import OBJECTIVES, arms, log_odds, mio_flow
from ..models.sampling import DRAWN, draw_every, draw_next, hits_that_move
from ..models.statistics import quartiles
from ..models.training import descend
from ..models.two_level import log_shares
from . import renewal
from .who_samples import WhoSamples, who_samples


@dataclass(frozen=True)
class EscapeFlow:
    """Escape times by exact gradient flow in the logits of two arms, one per (beta, eps).

    Attributes:
        objective: a key of `policies.OBJECTIVES`.
        eps: p(correct) of the base policy.
        betas: inverse temperatures; (1.0,) where the objective has none.
        mix: α of the mixed marginal, for "mio"; None: the α that theory recommends for each ε, 1 − α = ε^β.
    """

    objective: str
    eps: tuple[float, ...]
    betas: tuple[float, ...] = (1.0,)
    mix: float | None = 0.5


@dataclass(frozen=True)
class MioLift:
    """How far MIO's exact flow lifts p(correct), with `arms` responses of which all but two are unseen."""

    arms: int
    eps: tuple[float, ...]
    betas: tuple[float, ...]
    mix: float = 0.5


@dataclass(frozen=True)
class EscapeSampled:
    """Escape times of gradients that the policy's own answers carry.

    Attributes:
        objective: a key of `sampling.DRAWN`: "rlhf" with the group's mean reward as baseline, or a bound.
        eps: p(correct) of the base policy.
        samples: n answers a step.
        learning_rate, replicas: of plain ascent, all ε and replicas side by side.
        every_step: take every step. If not, steps without a signal, whose gradient is exactly 0, are counted and not
            taken: their number is drawn at once, from its geometric law.
    """

    eps: tuple[float, ...]
    samples: int
    objective: str = "rlhf"
    learning_rate: float = 0.5
    replicas: int = 64
    every_step: bool = False


_EPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)

FULL = (
    EscapeFlow("rlhf", _EPS),
    EscapeFlow("sft", _EPS),
    EscapeFlow("dpo", _EPS, betas=(0.1, 0.5, 1.0)),
    EscapeFlow("mio", _EPS, betas=(0.2, 1.0, 2.0)),
    EscapeFlow("mio", _EPS, betas=(0.2, 1.0), mix=0.9),
    EscapeFlow("mio", _EPS, betas=(0.2, 1.0), mix=None),
    EscapeFlow("drawn_dv", _EPS),
    EscapeFlow("drawn_js", _EPS),
    *(EscapeSampled(_EPS, n, learning_rate=rate) for n in (8, 64) for rate in (0.5, 2.0 * n)),
    *(EscapeSampled(_EPS[:3], n, every_step=True) for n in (8, 64)),
    *(EscapeSampled(_EPS, 64, bound) for bound in ("dv", "js")),
    WhoSamples(_EPS),
    MioLift(2, (0.3, 0.1, *_EPS[1:]), betas=(0.2, 1.0, 2.0)),
    MioLift(5, (0.3, 0.1, *_EPS[1:]), betas=(0.2, 1.0, 2.0)),
)
QUICK = (
    EscapeFlow("rlhf", _EPS[:4]),
    EscapeFlow("sft", _EPS[:4]),
    EscapeFlow("dpo", _EPS[:4], betas=(0.1, 1.0)),
    EscapeFlow("mio", _EPS[:4], betas=(0.2, 2.0)),
    EscapeFlow("mio", _EPS[:4], betas=(1.0,), mix=None),
    EscapeFlow("drawn_dv", _EPS[:4]),
    EscapeFlow("drawn_js", _EPS[:4]),
    EscapeSampled(_EPS[:4], 8, replicas=8),
    EscapeSampled(_EPS[:4], 8, learning_rate=16.0, replicas=8),
    EscapeSampled(_EPS[:2], 8, replicas=8, every_step=True),
    *(EscapeSampled(_EPS[:4], 64, bound, replicas=8) for bound in ("dv", "js")),
    WhoSamples(_EPS[:4], groups=256),
    MioLift(2, _EPS[:3], betas=(1.0,)),
    MioLift(5, _EPS[:3], betas=(1.0,)),
)

TIMES: dict[str, Callable[[float, float, float | None], float]] = {
    "rlhf": lambda eps, beta, mix: theory.escape_time_rlhf(eps),
    "sft": lambda eps, beta, mix: theory.escape_time_sft(eps),
    "dpo": lambda eps, beta, mix: theory.escape_time_dpo(eps, beta),
    "mio": lambda eps, beta, mix: theory.escape_time_mio(
        eps, beta, theory.freeing_mix(eps, beta) if mix is None else mix
    ),
    "drawn_dv": lambda eps, beta, mix: theory.escape_time_sft(eps),
    "drawn_js": lambda eps, beta, mix: theory.escape_time_drawn_js(eps),
}
"""Theory's escape time (eps, beta, mix) → units of learning rate × step; infinite for never."""


def _table(values: Tensor, spec: EscapeFlow | MioLift) -> list[list[float]]:
    return values.reshape(len(spec.betas), -1).tolist()


def escape_flow(spec: EscapeFlow, seed: int) -> tuple[dict, dict]:
    """Integrate the flow of the library's own loss from every ε; infinite time where it has come to rest below ½."""
    beta, eps = grid(spec.betas, spec.eps)
    if spec.mix is None:  # an α for each system
        systems = zip(beta.split(1), eps.split(1), strict=True)
        times = torch.cat([_times(spec, b, e, theory.freeing_mix(e, b).item()) for b, e in systems])
    else:
        times = _times(spec, beta, eps, spec.mix)

    time = TIMES[spec.objective]
    closed = [[time(e, b, spec.mix) for e in spec.eps] for b in spec.betas]
    return {"time": _table(times, spec)}, {"time": closed}


def _times(spec: EscapeFlow, beta: Tensor, eps: Tensor, mix: float) -> Tensor:
    base = arms(eps)
    # The JS family comes to rest at a rate of about β²(1 − α); everything else escapes, some of it late.
    horizon = 200 / (beta**2 * (1 - mix)) if spec.objective == "mio" else 1e12
    flow = integrate(
        ascent(OBJECTIVES[spec.objective](base, beta, mix)),
        base,
        horizon,
        log_odds,
    )

    return flow.time.where(flow.arrived, torch.inf)


def mio_lift(spec: MioLift, seed: int) -> tuple[dict, dict]:
    """Follow MIO's flow to its end: the final p(correct)/ε and the highest one on the way."""
    beta, eps = grid(spec.betas, spec.eps)
    end, highest = mio_flow(arms(eps, spec.arms), beta, spec.mix, 200 / beta**2)
    measured = {
        "lift": _table(end / eps, spec),
        "highest_lift": _table(highest / eps, spec),
    }
    at_rest = theory.mio_rest if spec.arms == 2 else theory.mio_ceiling
    lifts = [[at_rest(e, b, spec.mix) / e for e in spec.eps] for b in spec.betas]

    return measured, {"lift": lifts}


def escape_sampled(spec: EscapeSampled, seed: int) -> tuple[dict, dict]:
    """Ascend sampled gradients from every ε and replica at once, until all have passed ½; theory: mean steps."""
    generator = torch.Generator().manual_seed(seed)
    eps = torch.tensor(spec.eps, dtype=torch.float64).repeat_interleave(spec.replicas)
    moving = hits_that_move(spec.objective, spec.samples)
    taken = torch.zeros_like(eps)
    escaped, first = (torch.full_like(eps, torch.inf) for _ in range(2))  # steps until then

    def loss(parameters: list[Tensor]) -> tuple[Tensor, Tensor]:
        log_policy = parameters[0].log_softmax(-1)
        live = log_policy[:, 0].detach() < -math.log(2)
        escaped.clamp_(max=taken.where(~live, torch.inf))

        p = log_policy[:, 0].detach().exp().where(live, 0.5)
        if spec.every_step:
            steps, hits = torch.ones_like(p), draw_every(p, spec.samples, generator)
        else:
            steps, hits = draw_next(p, spec.samples, moving, generator)

        taken.add_(steps.where(live, 0.0))
        first.clamp_(max=taken.where(live & (hits > 0), torch.inf))

        moves = live & (hits >= moving.start)
        shares = log_shares(hits.where(moves, 1.0), spec.samples)
        surrogate = DRAWN[spec.objective](log_policy, shares, spec.samples)
        return -(surrogate * moves), live.any()

    descend(
        loss,
        [arms(eps)],
        10**9,
        spec.learning_rate,
        lambda step, losses, live: not live,
    )

    steps = escaped.view(-1, spec.replicas)
    signals = first.view(-1, spec.replicas)
    measured = {
        "steps": steps.tolist(),
        "steps_mean": steps.mean(1).tolist(),
        "steps_stderr": (steps.std(1) / spec.replicas**0.5).tolist(),
        "time_quartiles": (spec.learning_rate * quartiles(steps)).tolist(),
        "first_signal": signals.mean(1).tolist(),
        "first_signal_stderr": (signals.std(1) / spec.replicas**0.5).tolist(),
    }

    return measured, {
        "steps_mean": [
            renewal.escape_steps(spec.objective, e, spec.samples, spec.learning_rate)
            for e in spec.eps
        ],
        "first_signal": [theory.steps_to_first_signal(e, spec.samples) for e in spec.eps],
    }


RUNS = {
    EscapeFlow: escape_flow,
    MioLift: mio_lift,
    EscapeSampled: escape_sampled,
    WhoSamples: who_samples,
}
