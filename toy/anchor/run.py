"""The anchor: where the JS family's loss leaves the chosen response, for every mix α, and what a larger α costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ..models.flows import ascent, grid, integrate
from ..models.policies import OBJECTIVES, arms, log_odds, mio_flow
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
FULL = (
    *(AnchorFlow(mix) for mix in _MIXES),
    AnchorFlow(0.5, rejected=0.999),
    *(AnchorChoice(beta) for beta in (0.2, 0.5, 1.0)),
    *(AnchorNetwork(mix) for mix in _MIXES),
)
QUICK = (
    AnchorFlow(0.5, (0.15, 1.0), (1e-3, 1e-2, 0.1), time=50.0),
    AnchorFlow(0.5, (0.25, 1.0), (0.01, 0.1), rejected=0.999, time=50.0),
    AnchorChoice(0.5, (0.1, 3e-2), time=20.0),
    AnchorNetwork(0.5, (1.0,), replicas=4, steps=200),
)


def _base(eps: Tensor, responses: int, rejected: float | None) -> Tensor:
    """Return the logits (B, responses) of the base policies, with the rejected response's share of 1 − ε."""
    logits = arms(eps, responses)
    if rejected is not None:
        log_wrong = torch.log1p(-eps)
        logits[:, 1] = log_wrong + math.log(rejected)
        logits[:, 2:] = (log_wrong + math.log1p(-rejected) - math.log(responses - 2))[:, None]
    return logits


def anchor_flow(spec: AnchorFlow, seed: int) -> tuple[dict, dict]:
    """Follow the flow from every (β, ε) at once; return the final and the highest π_w, β by ε."""
    beta, eps = grid(spec.betas, spec.eps)
    base = _base(eps, spec.responses, spec.rejected)
    end, highest = mio_flow(base, beta, spec.mix, spec.time / (beta**2 * (1 - spec.mix)))
    values = {"end": end, "highest": highest}
    ceilings = [[theory.mio_ceiling(e, b, spec.mix) for e in spec.eps] for b in spec.betas]
    measured = {name: table.reshape(len(spec.betas), -1).tolist() for name, table in values.items()}
    return measured, {"end": ceilings}


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
    mixes = [1 - eps**spec.beta for eps in spec.eps]
    beta = torch.tensor([spec.beta])

    for eps, recommended in zip(spec.eps, mixes, strict=True):
        base = arms(torch.tensor([eps], dtype=torch.float64), spec.responses)
        for name, mix in (("mio", 0.5), ("alpha", recommended), ("dpo", 0.5)):
            field = ascent(OBJECTIVES["dpo" if name == "dpo" else "mio"](base, beta, mix))
            horizon = 1e12 if name == "dpo" else spec.time / (spec.beta**2 * (1 - mix))
            flow = integrate(field, base, horizon, log_odds)
            times[name].append(float(flow.time) if flow.arrived else math.inf)
            if name != "dpo":
                ends[name].append(float(integrate(field, base, horizon).state.softmax(-1)[0, 0]))

    expected: dict[str, list[float]] = {"mio": [], "alpha": [], "dpo": []}
    for eps, recommended in zip(spec.eps, mixes, strict=True):
        for name, mix in (("mio", 0.5), ("alpha", recommended)):
            expected[name].append(time_to_half(eps, spec.beta, mix, spec.responses - 2))
        rejected = (1 - eps) / (spec.responses - 1)
        expected["dpo"].append(theory.escape_time_dpo(eps, spec.beta, rejected))

    return {"end": ends, "time": times}, {
        "mix": mixes,
        "interval": [mi.no_collapse_interval(mix) for mix in mixes],
        "end": {
            "mio": [theory.mio_ceiling(eps, spec.beta) for eps in spec.eps],
            "alpha": [1.0] * len(spec.eps),
        },
        "time": expected,
    }


RUNS = {
    AnchorFlow: anchor_flow,
    AnchorChoice: anchor_choice,
    AnchorNetwork: anchor_network,
}
