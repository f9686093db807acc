"""Escape times: how long p(correct) takes from ε to ½, by exact flow and by sampling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .. import theory
from ..models.flows import ascent, integrate
from ..models.policies import OBJECTIVES, arms
from ..models.sampling import DRAWN, draw_every, draw_next, hits_that_move
from ..models.training import descend
from ..models.two_level import log_shares
from ..specs import EscapeFlow, EscapeSampled, MioLift
from . import renewal

TIMES: dict[str, Callable[[float, float, float | None], float]] = {
    "rlhf": lambda eps, beta, mix: theory.escape_time_rlhf(eps),
    "sft": lambda eps, beta, mix: theory.escape_time_sft(eps),
    "dpo": lambda eps, beta, mix: theory.escape_time_dpo(eps, beta),
    "mio": lambda eps, beta, mix: theory.escape_time_mio(
        eps, beta, recommended(eps, beta) if mix is None else mix
    ),
    "drawn_dv": lambda eps, beta, mix: theory.escape_time_sft(eps),
    "drawn_js": lambda eps, beta, mix: theory.escape_time_drawn_js(eps),
}
"""Theory's escape time (eps, beta, mix) → units of learning rate × step; infinite for never."""


def recommended(eps: float, beta: float) -> float:
    """Return the α with 1 − α = ε^β: the anchor −ln(1 − α)/β is then ln 1/ε (theorem alpha_frees_the_anchor).

    >>> round(recommended(0.01, beta=0.5), 6)
    0.9
    """
    return -math.expm1(beta * math.log(eps))


def _grid(betas: tuple[float, ...], eps: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return all pairs (beta, eps), eps running fastest, as two flat tensors."""
    pairs = torch.cartesian_prod(
        *(torch.tensor(values, dtype=torch.float64) for values in (betas, eps))
    )
    return pairs[:, 0], pairs[:, 1]


def _table(values: Tensor, spec: EscapeFlow | MioLift) -> list[list[float]]:
    return values.reshape(len(spec.betas), len(spec.eps)).tolist()


def log_odds(logits: Tensor) -> Tensor:
    """Return ln p(correct)/(1 − p(correct)), which rises through zero at ½."""
    return logits[:, 0] - logits[:, 1:].logsumexp(-1)


def escape_flow(spec: EscapeFlow, seed: int) -> tuple[dict, dict]:
    """Integrate the flow of the library's own loss from every ε; infinite time where it has come to rest below ½."""
    beta, eps = _grid(spec.betas, spec.eps)
    if spec.mix is None:  # an α for each system
        times = torch.cat(
            [
                _times(spec, b, e, recommended(float(e), float(b)))
                for b, e in zip(beta, eps, strict=True)
            ]
        )
    else:
        times = _times(spec, beta, eps, spec.mix)
    time = TIMES[spec.objective]
    return {"time": _table(times, spec)}, {
        "time": [[time(e, b, spec.mix) for e in spec.eps] for b in spec.betas]
    }


def _times(spec: EscapeFlow, beta: Tensor, eps: Tensor, mix: float) -> Tensor:
    beta, base = beta.reshape(-1), arms(eps.reshape(-1))
    # The JS family comes to rest at a rate of about β²(1 − α); everything else escapes, some of it late.
    horizon = 200 / (beta**2 * (1 - mix)) if spec.objective == "mio" else 1e12
    flow = integrate(ascent(OBJECTIVES[spec.objective](base, beta, mix)), base, horizon, log_odds)
    return flow.time.where(flow.arrived, torch.inf)


def mio_lift(spec: MioLift, seed: int) -> tuple[dict, dict]:
    """Follow MIO's flow to its end: the final p(correct)/ε and the highest one on the way."""
    beta, eps = _grid(spec.betas, spec.eps)
    base = arms(eps, spec.arms)
    highest = eps.clone()

    def observe(time: Tensor, logits: Tensor) -> None:
        torch.maximum(highest, logits.softmax(-1)[:, 0], out=highest)

    flow = integrate(
        ascent(OBJECTIVES["mio"](base, beta, spec.mix)), base, 200 / beta**2, observe=observe
    )
    measured = {
        "lift": _table(flow.state.softmax(-1)[:, 0] / eps, spec),
        "highest_lift": _table(highest / eps, spec),
    }
    end = theory.mio_rest if spec.arms == 2 else theory.mio_ceiling
    return measured, {"lift": [[end(e, b, spec.mix) / e for e in spec.eps] for b in spec.betas]}


def escape_sampled(spec: EscapeSampled, seed: int) -> tuple[dict, dict]:
    """Ascend sampled gradients from every ε and replica at once, until all have passed ½; theory: mean steps."""
    generator = torch.Generator().manual_seed(seed)
    eps = torch.tensor(spec.eps, dtype=torch.float64).repeat_interleave(spec.replicas)
    moving = hits_that_move(spec.objective, spec.samples)
    taken, escaped, first = (
        torch.zeros_like(eps),
        torch.full_like(eps, torch.inf),
        torch.full_like(eps, torch.inf),
    )

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
        surrogate = DRAWN[spec.objective](
            log_policy, log_shares(hits.where(moves, 1.0), spec.samples), spec.samples
        )
        return -(surrogate * moves), live.any()

    descend(loss, [arms(eps)], 10**9, spec.learning_rate, lambda step, losses, live: not live)
    steps, signals = escaped.reshape(-1, spec.replicas), first.reshape(-1, spec.replicas)
    quartiles = steps.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), dim=1).mT
    error = steps.std(1) / spec.replicas**0.5
    measured = {
        "steps": steps.tolist(),
        "steps_mean": steps.mean(1).tolist(),
        "steps_stderr": error.tolist(),
        "time_quartiles": (spec.learning_rate * quartiles).tolist(),
        "first_signal": signals.mean(1).tolist(),
        "first_signal_stderr": (signals.std(1) / spec.replicas**0.5).tolist(),
    }
    mean = [
        renewal.escape_steps(spec.objective, e, spec.samples, spec.learning_rate) for e in spec.eps
    ]
    return measured, {
        "steps_mean": mean,
        "first_signal": [theory.steps_to_first_signal(e, spec.samples) for e in spec.eps],
    }
