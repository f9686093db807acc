"""Escape times: how long p(correct) takes from ε to ½, by exact flow and by sampling."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from . import theory
from .flow import ascent, integrate
from .policy import OBJECTIVES, arms
from .specs import EscapeFlow, EscapeSampled, MioLift
from .train import descend

TIMES: dict[str, Callable[[float, float, float], float]] = {
    "rlhf": lambda eps, beta, mix: theory.escape_time_rlhf(eps),
    "sft": lambda eps, beta, mix: theory.escape_time_sft(eps),
    "dpo": lambda eps, beta, mix: theory.escape_time_dpo(eps, beta),
    "mio": theory.escape_time_mio,
}
"""Theory's escape time (eps, beta, mix) → units of learning rate × step; infinite for never."""


def _grid(betas: tuple[float, ...], eps: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return all pairs (beta, eps), eps running fastest, as two flat tensors."""
    beta, start = torch.meshgrid(
        torch.tensor(betas, dtype=torch.float64), torch.tensor(eps, dtype=torch.float64), indexing="ij"
    )
    return beta.flatten(), start.flatten()


def _table(values: Tensor, spec: EscapeFlow | MioLift) -> list[list[float]]:
    return values.reshape(len(spec.betas), len(spec.eps)).tolist()


def log_odds(logits: Tensor) -> Tensor:
    """Return ln p(correct)/(1 − p(correct)), which rises through zero at ½."""
    return logits[:, 0] - logits[:, 1:].logsumexp(-1)


def escape_flow(spec: EscapeFlow, seed: int) -> tuple[dict, dict]:
    """Integrate the flow of the library's own loss from every ε; infinite time where it has come to rest below ½."""
    beta, eps = _grid(spec.betas, spec.eps)
    base = arms(eps)
    field = ascent(OBJECTIVES[spec.objective](base, beta, spec.mix))
    # MIO comes to rest at a rate of about β²; everything else escapes, some of it late.
    horizon = 200 / beta**2 if spec.objective == "mio" else 1e12
    flow = integrate(field, base, horizon, log_odds)
    measured = {"time": _table(flow.time.where(flow.arrived, torch.inf), spec)}
    time = TIMES[spec.objective]
    return measured, {"time": [[time(e, b, spec.mix) for e in spec.eps] for b in spec.betas]}


def mio_lift(spec: MioLift, seed: int) -> tuple[dict, dict]:
    """Follow MIO's flow to its end: the final p(correct)/ε and the highest one on the way."""
    beta, eps = _grid(spec.betas, spec.eps)
    base = arms(eps, spec.arms)
    highest = eps.clone()

    def observe(time: Tensor, logits: Tensor) -> None:
        torch.maximum(highest, logits.softmax(-1)[:, 0], out=highest)

    flow = integrate(ascent(OBJECTIVES["mio"](base, beta, spec.mix)), base, 200 / beta**2, observe=observe)
    measured = {
        "lift": _table(flow.state.softmax(-1)[:, 0] / eps, spec),
        "highest_lift": _table(highest / eps, spec),
    }
    end = theory.mio_rest if spec.arms == 2 else theory.mio_ceiling
    return measured, {"lift": [[end(e, b, spec.mix) / e for e in spec.eps] for b in spec.betas]}


def escape_sampled(spec: EscapeSampled, seed: int) -> tuple[dict, dict]:
    """Run policy gradients from every ε and replica at once, until all have passed ½ or six expected times are over.

    A step draws n answers and ascends Σ (r_i − r̄) ln π(y_i)/(n − 1): the group-relative gradient, made unbiased for ∇J
    (with 1/n it is (1 − 1/n)∇J), not divided by the group's standard deviation.
    """
    generator = torch.Generator().manual_seed(seed)
    eps = torch.tensor(spec.eps, dtype=torch.float64).repeat_interleave(spec.replicas)
    steps = int(6 * max(theory.escape_time_rlhf(e) for e in spec.eps) / spec.learning_rate)
    escaped, signalled = torch.full_like(eps, torch.inf), torch.full_like(eps, torch.inf)

    def loss(parameters: list[Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        log_policy = parameters[0].log_softmax(-1)
        draws = torch.rand(len(eps), spec.samples, generator=generator, dtype=torch.float64)
        correct = draws < log_policy[:, :1].detach().exp()
        reward = correct.double()
        advantage = reward - reward.mean(-1, keepdim=True)
        surrogate = (advantage * torch.where(correct, log_policy[:, :1], log_policy[:, 1:])).sum(-1)
        return -surrogate / (spec.samples - 1), (log_policy[:, 0].detach(), correct.any(-1))

    def observe(step: int, losses: Tensor, seen: tuple[Tensor, Tensor]) -> bool:
        log_p, signal = seen
        escaped.clamp_(max=torch.where(log_p >= -torch.log(torch.tensor(2.0)), step * spec.learning_rate, torch.inf))
        signalled.clamp_(max=torch.where(signal, step + 1.0, torch.inf))  # steps are counted from one
        return bool(escaped.isfinite().all())

    descend(loss, [arms(eps)], steps, spec.learning_rate, observe)
    times, signals = escaped.reshape(-1, spec.replicas), signalled.reshape(-1, spec.replicas)
    quartiles = times.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64), dim=1, interpolation="nearest")
    measured = {
        "time_quartiles": quartiles.mT.tolist(),
        "times": times.tolist(),
        "first_signal": signals.mean(1).tolist(),
        "first_signal_stderr": (signals.std(1) / spec.replicas**0.5).tolist(),
    }
    return measured, {
        "time": [theory.escape_time_rlhf(e) for e in spec.eps],
        "first_signal": [theory.steps_to_first_signal(e, spec.samples) for e in spec.eps],
    }
