"""Collapse of every loss over β and learning rate: ten responses, and a small transformer with overlapping pairs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from ..run import Collapse, base_policy, log_policy, preference_pairs
from .kernel import Kernel, Plane, kernel, plane
from .losses import LOSSES, intervals, repeat, train, tuned
from .sequences import Sequences, sequences


@dataclass(frozen=True)
class Responses:
    """Every loss on the network with a softmax over ten responses of `collapse`, over β and learning rates η.

    Attributes:
        losses: keys of `LOSSES`.
        betas, rates: the grid; η multiplies the loss scaled to the first gradient (−½, ½) of a pair in (z_w, z_l).
        replicas, prompts, sft_steps, steps: as `Collapse` has them.
    """

    losses: tuple[str, ...] = tuple(LOSSES)
    betas: tuple[float, ...] = (0.05, 0.2, 1.0)
    rates: tuple[float, ...] = (0.03, 0.1, 0.3)
    replicas: int = 16
    prompts: int = 16
    sft_steps: int = 400
    steps: int = 300


def responses(spec: Responses, seed: int) -> tuple[dict, dict]:
    """Imitate the base law, draw pairs, and descend every loss; gain: rise of mean π_w − π_l over the prompts."""
    generator = torch.Generator().manual_seed(seed)
    base = Collapse(replicas=spec.replicas, prompts=spec.prompts, sft_steps=spec.sft_steps)
    prompts, parameters, log_base = base_policy(base, generator)
    pair = torch.cat(preference_pairs(base, log_base, generator), -1)
    log_pair = log_base.gather(-1, pair)
    before = log_pair.exp().mean(1)

    settings = list(product(spec.betas, spec.rates))
    start = [repeat(p, len(settings)) for p in parameters]
    inputs, reference, index = (repeat(t, len(settings)) for t in (prompts, log_pair, pair))

    def log_ratios(p: list[Tensor]) -> tuple[Tensor, Tensor]:
        z_w, z_l = (log_policy(base, p, inputs).gather(-1, index) - reference).unbind(-1)
        return z_w, z_l

    measured = {}
    for name in spec.losses:
        rows, last = train(name, log_ratios, start, settings, spec.steps)
        z = torch.stack(log_ratios(last), -1)
        masses = (z + reference).exp().mean(1).unflatten(0, (len(settings), -1)).detach()
        for row, after in zip(rows, masses, strict=True):
            row["gain"] = ((after - before) @ torch.tensor([1.0, -1.0])).tolist()
            row |= _medians(after)
        measured[name] = {"settings": rows, "tuned": tuned(rows)}

    return {"start": _medians(before), "losses": measured}, intervals()


def _medians(mass: Tensor) -> dict[str, float]:
    """Return the medians over replicas of the chosen and of the unseen mass, of (R, chosen and rejected)."""
    unseen = 1 - mass.sum(-1)
    return {"chosen": float(mass[:, 0].median()), "unseen": float(unseen.median())}


_KAPPAS = tuple(0.5 * k for k in range(13))
_BETAS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
FULL = (
    Kernel("dv", _KAPPAS, _BETAS),
    *(Kernel("js", _KAPPAS, _BETAS, excess=e) for e in (0.01, 1.0, 10.0)),
    Plane(),
    Responses(),
    Sequences(shared=0),
    Sequences(shared=3),
    Sequences(shared=5),
    Sequences(shared=5, imitated="law"),
)
QUICK = (
    Kernel("dv", _KAPPAS[::3], _BETAS[3:5], horizon=10.0),
    Kernel("js", _KAPPAS[::3], _BETAS[3:5], horizon=10.0),
    Plane(points=7, steps=60),
    Responses(betas=(0.05, 1.0), rates=(0.1, 0.3), replicas=4, prompts=8, sft_steps=60, steps=30),
    *(
        Sequences(
            s,
            betas=(0.05, 1.0),
            rates=(0.01,),
            replicas=4,
            pairs=8,
            evaluated=16,
            sft_steps=20,
            steps=6,
        )
        for s in (0, 5)
    ),
)
RUNS = {
    Kernel: kernel,
    Plane: plane,
    Responses: responses,
    Sequences: sequences,
}
