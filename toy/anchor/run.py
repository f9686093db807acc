"""The anchor: where the JS family's loss leaves the chosen response, for every mix α, and what a larger α costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ..models.flows import ascent, integrate
from ..models.policies import OBJECTIVES, arms, log_odds
from .network import AnchorNetwork, anchor_network


@dataclass(frozen=True)
class AnchorFlow:
    """End of the tabular flow, for every β and every base probability ε of the chosen response.

    Attributes:
        mix: α.
        betas, eps: the grid.
        responses: K; the first is chosen, the second rejected, the others unseen.
        rejected: the rejected response's share of 1 − ε; None shares it equally with the unseen ones.
        time: τ; the flow runs for τ/(β²(1 − α)).
    """

    mix: float
    betas: tuple[float, ...] = (0.15, 0.25, 0.4, 0.7, 1.0, 2.0)
    eps: tuple[float, ...] = tuple(1e-3 * 300 ** (k / 15) for k in range(16))
    responses: int = 10
    rejected: float | None = None
    time: float = 200.0


@dataclass(frozen=True)
class AnchorChoice:
    """MIO against α-MIO with the α of each ε that theory recommends, 1 − α = ε^β, and DPO, on the tabular flow."""

    beta: float
    eps: tuple[float, ...] = (0.1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5)
    responses: int = 10
    time: float = 200.0


_MIXES = (0.25, 0.5, 0.75, 0.9)
FULL: tuple[AnchorFlow | AnchorChoice | AnchorNetwork, ...] = (
    *(AnchorFlow(mix) for mix in _MIXES),
    AnchorFlow(0.5, rejected=0.999),
    *(AnchorChoice(beta) for beta in (0.2, 0.5, 1.0)),
    *(AnchorNetwork(mix) for mix in _MIXES),
)
QUICK: tuple[AnchorFlow | AnchorChoice | AnchorNetwork, ...] = (
    AnchorFlow(0.5, (0.15, 1.0), (1e-3, 1e-2, 0.1), time=50.0),
    AnchorFlow(0.5, (0.25, 1.0), (0.01, 0.1), rejected=0.999, time=50.0),
    AnchorChoice(0.5, (0.1, 3e-2), time=20.0),
    AnchorNetwork(0.5, (1.0,), replicas=4, steps=200),
)


def _base(eps: Tensor, responses: int, rejected: float | None) -> Tensor:
    logits = arms(eps, responses)
    if rejected is not None:
        rest = torch.log1p(-eps)
        logits[:, 1] = rest + math.log(rejected)
        logits[:, 2:] = (rest + math.log1p(-rejected) - math.log(responses - 2))[:, None]
    return logits


def anchor_flow(spec: AnchorFlow, seed: int) -> tuple[dict, dict]:
    """Follow the flow from every (β, ε) at once; return the final and the highest π_w, β by ε."""
    betas, eps = (torch.tensor(values, dtype=torch.float64) for values in (spec.betas, spec.eps))
    beta, start = (grid.flatten() for grid in torch.meshgrid(betas, eps, indexing="ij"))
    base = _base(start, spec.responses, spec.rejected)
    highest = start.clone()

    def observe(time: Tensor, logits: Tensor) -> None:
        torch.maximum(highest, logits.softmax(-1)[:, 0], out=highest)

    field = ascent(OBJECTIVES["mio"](base, beta, spec.mix))
    flow = integrate(field, base, spec.time / (beta**2 * (1 - spec.mix)), observe=observe)
    shape = (len(betas), len(eps))
    measured = {
        "end": flow.state.softmax(-1)[:, 0].reshape(shape).tolist(),
        "highest": highest.reshape(shape).tolist(),
    }
    return measured, {
        "end": [[theory.mio_ceiling(e, b, spec.mix) for e in spec.eps] for b in spec.betas]
    }


def time_to_half(eps: float, beta: float, mix: float, others: int) -> float:
    """Return when π_w = ½ under the chosen term alone: ∫ dz/(A(z) ‖e_w − π‖²), z = ln π_w/ε; infinite for never.

    A = β(1 − (2 − α)σ(βz)) and, with `others` equally likely, ‖e_w − π‖² = (1 − π_w)²(1 + 1/others). For 1 − α = ε^β
    it grows like ε^{−β}/β². With the rejected term, whose push is of A's order by then, ½ comes sooner.
    """
    if theory.mio_ceiling(eps, beta, mix) <= 0.5:
        return math.inf
    z = np.linspace(0, -math.log(2 * eps), 20_001)
    speed = beta * theory.chosen_pull(beta * z, mix)
    spread = (1 - eps * np.exp(z)) ** 2 * (1 + 1 / others)
    return float(np.trapezoid(1 / (speed * spread), z))


def anchor_choice(spec: AnchorChoice, seed: int) -> tuple[dict, dict]:
    """For every ε, follow MIO and α-MIO to the end and, with DPO, to π_w = ½; infinite time if they never pass it."""
    ends: dict[str, list[float]] = {"mio": [], "alpha": []}
    times: dict[str, list[float]] = {"mio": [], "alpha": [], "dpo": []}
    for eps in spec.eps:
        base, beta = (
            arms(torch.tensor([eps], dtype=torch.float64), spec.responses),
            torch.tensor([spec.beta]),
        )
        for name, mix in (("mio", 0.5), ("alpha", 1 - eps**spec.beta), ("dpo", 0.5)):
            field = ascent(OBJECTIVES["dpo" if name == "dpo" else "mio"](base, beta, mix))
            horizon = 1e12 if name == "dpo" else spec.time / (spec.beta**2 * (1 - mix))
            flow = integrate(field, base, horizon, log_odds)
            times[name].append(float(flow.time) if flow.arrived else math.inf)
            if name != "dpo":
                ends[name].append(float(integrate(field, base, horizon).state.softmax(-1)[0, 0]))
    mixes = [1 - eps**spec.beta for eps in spec.eps]
    return {"end": ends, "time": times}, {
        "mix": mixes,
        "interval": [mi.no_collapse_interval(mix) for mix in mixes],
        "end": {
            "mio": [theory.mio_ceiling(e, spec.beta) for e in spec.eps],
            "alpha": [1.0] * len(spec.eps),
        },
        "time": {
            "mio": [time_to_half(e, spec.beta, 0.5, spec.responses - 2) for e in spec.eps],
            "alpha": [
                time_to_half(e, spec.beta, m, spec.responses - 2)
                for e, m in zip(spec.eps, mixes, strict=True)
            ],
            "dpo": [
                theory.escape_time_dpo(e, spec.beta, rejected=(1 - e) / (spec.responses - 1))
                for e in spec.eps
            ],
        },
    }


RUNS: dict[type, Callable[..., tuple[dict, dict]]] = {
    AnchorFlow: anchor_flow,
    AnchorChoice: anchor_choice,
    AnchorNetwork: anchor_network,
}
