"""Policies: a softmax over a few arms, with exact objectives of its logits, and a small network."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

import mi_estimators as mi

from .flows import ascent, integrate
from .sampling import DRAWN

Objective = Callable[[Tensor], Tensor]


def arms(eps: Tensor, count: int = 2) -> Tensor:
    """Return logits (B, count) of base policies: p(correct) = ε in arm 0, and the other arms share 1 − ε equally.

    Arm 0 is the chosen response, arm 1 the rejected one, the others are unseen; eps has the shape (B,).

    >>> [round(p, 6) for p in arms(torch.tensor([0.1]), 4).softmax(-1)[0].tolist()]
    [0.1, 0.3, 0.3, 0.3]
    """
    log_wrong = torch.log1p(-eps) - math.log(count - 1)
    return torch.stack([eps.log(), *[log_wrong] * (count - 1)], -1)


def log_odds(logits: Tensor) -> Tensor:
    """Return ln p(correct)/(1 − p(correct)), which rises through zero at ½, shape (B,) of logits (B, K)."""
    return logits[:, 0] - logits[:, 1:].logsumexp(-1)


def expected_reward(base: Tensor, beta: Tensor, mix: float) -> Objective:
    """Return J = E_π r, r = 1 on the correct arm and 0 elsewhere: on-policy RLHF without a penalty."""
    reward = torch.zeros_like(base)
    reward[:, 0] = 1

    def objective(logits: Tensor) -> Tensor:
        return mi.mean(reward, logits.log_softmax(-1))

    return objective


def log_likelihood(base: Tensor, beta: Tensor, mix: float) -> Objective:
    """Return J = ln π_w: maximum likelihood on the chosen response."""
    return lambda logits: logits.log_softmax(-1)[:, 0]


def preference(bound: str) -> Callable[[Tensor, Tensor, float], Objective]:
    """Return minus a preference loss of the library on the pair (arm 0, arm 1); the base policy is the reference.

    >>> base, beta = arms(torch.tensor([1e-3])), torch.ones(1)
    >>> [round(preference(bound)(base, beta, 0.5)(base).item(), 6) for bound in ("dv", "js")]  # −ln 2, −2 ln 2
    [-0.693147, -1.386294]
    """

    def make(base: Tensor, beta: Tensor, mix: float) -> Objective:
        reference = base.log_softmax(-1)

        def objective(logits: Tensor) -> Tensor:
            scores = beta[:, None] * (logits.log_softmax(-1) - reference)
            return -mi.preference_loss(scores[:, 0], scores[:, 1], bound=bound, mix=mix)

        return objective

    return make


def drawn(bound: str) -> Callable[[Tensor, Tensor, float], Objective]:
    """Return minus a bound on KL(P‖π), in exact expectation: P is all on arm 0, π takes the part of Q.

    The critic is held at ln dP/dπ. `sampling` has the same objective on n answers that the policy draws.
    """
    return lambda base, beta, mix: (
        lambda logits: DRAWN[bound](logits.log_softmax(-1), logits.detach().log_softmax(-1), 0)
    )


OBJECTIVES: dict[str, Callable[[Tensor, Tensor, float], Objective]] = {
    "rlhf": expected_reward,
    "sft": log_likelihood,
    "dpo": preference("dv"),
    "mio": preference("js"),
    "drawn_dv": drawn("dv"),
    "drawn_js": drawn("js"),
}
"""Objectives that a flow ascends: (base logits (B, K), β (B,), mix) → (logits (B, K) → (B,))."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


def mio_flow(base: Tensor, beta: Tensor, mix: float, horizon: Tensor) -> tuple[Tensor, Tensor]:
    """Follow MIO's flow from base logits (B, K); return the final and the highest p(correct) on the way, (B,)."""
    highest = base.softmax(-1)[:, 0]

    def observe(time: Tensor, logits: Tensor) -> None:
        torch.maximum(highest, logits.softmax(-1)[:, 0], out=highest)

    flow = integrate(ascent(OBJECTIVES["mio"](base, beta, mix)), base, horizon, observe=observe)
    return flow.state.softmax(-1)[:, 0], highest


def network(
    replicas: int,
    widths: tuple[int, ...],
    generator: torch.Generator,
) -> list[Tensor]:
    """Return weights and biases of `replicas` independent multilayer perceptrons, weights N(0, 1/fan-in), biases 0."""
    layers = []
    for fan_in, fan_out in pairwise(widths):
        layers += [torch.randn(replicas, fan_in, fan_out, generator=generator) / math.sqrt(fan_in)]
        layers += [torch.zeros(replicas, 1, fan_out)]
    return layers


def network_logits(parameters: list[Tensor], prompts: Tensor, activation: str) -> Tensor:
    """Return the logits (R, prompts, responses) of every replica on its prompts (R, prompts, dim)."""
    hidden = prompts
    for k in range(0, len(parameters), 2):
        hidden = torch.baddbmm(parameters[k + 1], hidden, parameters[k])
        if k + 2 < len(parameters):
            hidden = ACTIVATIONS[activation](hidden)
    return hidden
