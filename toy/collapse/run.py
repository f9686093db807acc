"""Collapse: DPO at β against MIO at 2β where responses share learned features, and the frozen-kernel flow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

import mi_estimators as mi

from ..models.policies import network, network_logits
from ..models.statistics import quartiles
from ..models.training import descend

RESPONSES = 10
LOSSES = {"dpo": ("dv", 1.0), "mio": ("js", 2.0)}
"""Loss: (bound, factor on β). At z = 0 both have the gradient (−β/2, +β/2) in (z_w, z_l)."""
_EVERY = 10  # steps between two points of a curve; extremes and counts use every step


@dataclass(frozen=True)
class Collapse:
    """DPO at β against MIO at 2β on a network with a softmax over 10 responses.

    Attributes:
        betas: β of DPO; MIO runs at 2β, where its first gradient is DPO's.
        policy: "network" or "tabular" (one free logit per prompt and response).
        activation: of the network's two hidden layers.
        pairs: "policy": two responses drawn from the base policy, the preferred one by a fair coin; "exclusive": the
            prompts fall into four groups, each with a chosen and a rejected response that no other group uses.
        prompts, inputs, width, replicas: numbers of prompts, input coordinates, hidden units and independent seeds.
        sft_steps, sft_rate, steps: of plain gradient descent, full batch.
        reward_rate: η·β, the same for all β: the learning rate of the preference phase is reward_rate/β.
    """

    betas: tuple[float, ...] = (0.1, 1.0)
    policy: str = "network"
    activation: str = "tanh"
    pairs: str = "policy"
    prompts: int = 16
    inputs: int = 8
    width: int = 32
    replicas: int = 16
    sft_steps: int = 400
    sft_rate: float = 0.5
    steps: int = 300
    reward_rate: float = 0.1


@dataclass(frozen=True)
class Lazy:
    """The frozen-kernel flow of the pair (z_w, z_l): a = ‖φ̃_w‖², c = ⟨φ̃_w, φ̃_l⟩, d = ‖φ̃_l‖² of centred features."""

    bound: str
    horizon: float
    a: float = 1.0
    c: float = 3.0
    d: float = 10.0
    beta: float = 1.0


FULL = (
    Collapse(),
    Collapse(betas=(0.1,), activation="relu"),
    Collapse(betas=(0.1,), pairs="exclusive"),
    Collapse(betas=(0.1,), policy="tabular"),
    Lazy("dv", horizon=1e5),
    Lazy("js", horizon=1e5),
)
QUICK = (
    Collapse(betas=(0.1,), prompts=8, replicas=4, sft_steps=100, steps=60),
    Lazy("dv", horizon=1e2),
    Lazy("js", horizon=1e1),
)


def base_law(spec: Collapse, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the prompts (R, X, D) and the base law to imitate (R, X, 10).

    Prompts share a random direction, as prompts of one language do. The base law is a random softmax, or, for
    "exclusive" pairs, 0.4 on the chosen and 0.3 on the rejected response.
    """
    shape = (spec.replicas, spec.prompts)
    own = torch.randn(*shape, spec.inputs, generator=generator)
    shared = torch.randn(spec.replicas, 1, spec.inputs, generator=generator)
    prompts = (own + shared) / math.sqrt(spec.inputs)
    law = (2 * torch.randn(*shape, RESPONSES, generator=generator)).softmax(-1)

    if spec.pairs == "exclusive":
        chosen, rejected = _exclusive(spec)
        law = torch.full_like(law, 0.3 / (RESPONSES - 2))
        law = law.scatter(-1, chosen, 0.4).scatter(-1, rejected, 0.3)

    return prompts, law


def _exclusive(spec: Collapse) -> tuple[Tensor, Tensor]:
    group = (
        (torch.arange(spec.prompts) % 4)
        .view(1, -1, 1)
        .expand(
            spec.replicas,
            -1,
            1,
        )
    )

    return group, group + 4


def preference_pairs(
    spec: Collapse, log_base: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the indices (R, X, 1) of the chosen and the rejected response of every prompt."""
    if spec.pairs == "exclusive":
        return _exclusive(spec)
    gumbel = -torch.rand(log_base.shape, generator=generator).log().neg().log()
    pair = (log_base + gumbel).topk(2, -1).indices  # two draws without replacement
    coin = torch.rand(*pair.shape[:-1], 1, generator=generator) < 0.5
    pair = torch.where(coin, pair, pair.flip(-1))
    return pair[..., :1], pair[..., 1:]


def base_policy(
    spec: Collapse,
    generator: torch.Generator,
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return the prompts, and the parameters and ln π of the policy that has imitated the base law."""
    prompts, law = base_law(spec, generator)
    parameters = [law.log()]

    if spec.policy == "network":
        widths = (spec.inputs, spec.width, spec.width, RESPONSES)
        parameters = descend(
            lambda p: (-(law * log_policy(spec, p, prompts)).sum(-1).mean(-1), None),
            network(spec.replicas, widths, generator),
            spec.sft_steps,
            spec.sft_rate,
        )

    return prompts, parameters, log_policy(spec, parameters, prompts)


def log_policy(spec: Collapse, parameters: list[Tensor], prompts: Tensor) -> Tensor:
    """Return ln π (R, X, 10) of every replica."""
    if spec.policy == "tabular":
        return parameters[0].log_softmax(-1)
    return network_logits(parameters, prompts, spec.activation).log_softmax(-1)


def collapse(spec: Collapse, seed: int) -> tuple[dict, dict]:
    """Imitate the base law, draw the pairs, then descend both losses from there; quartiles are over replicas."""
    generator = torch.Generator().manual_seed(seed)
    prompts, parameters, log_base = base_policy(spec, generator)
    pairs = preference_pairs(spec, log_base, generator)

    copies = len(spec.betas)
    beta = torch.tensor(spec.betas).repeat_interleave(spec.replicas)
    task = _Task(spec, beta, *(t.repeat(copies, 1, 1) for t in (prompts, log_base, *pairs)))
    start = [p.repeat(copies, 1, 1) for p in parameters]

    return {name: task.descend(name, start) for name in LOSSES}, {
        "interval": list(mi.no_collapse_interval(0.5)),
        "anchor": mi.preference_anchor(0.5),
        "loss_start": {"dpo": math.log(2), "mio": 2 * math.log(2)},
        "loss_floor": {"dpo": 0.0, "mio": mi.preference_loss_floor(0.5)},
        "outside_interval": 0,
    }


@dataclass
class _Task:
    """The pairs of all replicas and all β, in one leading dimension."""

    spec: Collapse
    beta: Tensor
    prompts: Tensor
    log_base: Tensor
    chosen: Tensor
    rejected: Tensor

    def descend(self, name: str, parameters: list[Tensor]) -> list[dict]:
        """Descend one loss; return, for each β, curves (quartiles over replicas) and the account of every step."""
        bound, factor = LOSSES[name]
        beta, curves = factor * self.beta, []
        low, high = mi.no_collapse_interval(0.5)
        lowest, above_start, outside = (torch.zeros(len(beta)) for _ in range(3))

        def loss(p: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
            log_law = log_policy(self.spec, p, self.prompts)
            ratio = log_law - self.log_base
            z_w, z_l = (ratio.gather(-1, i).squeeze(-1) for i in (self.chosen, self.rejected))
            rewards = (beta[:, None] * z for z in (z_w, z_l))
            losses = mi.preference_loss(*rewards, bound=bound).mean(-1)
            details = tuple(part.detach() for part in (losses, log_law, z_w, z_l))

            # Divided by β of DPO, so that one rate gives every β the same first step of the log-probabilities.
            return losses / self.beta, details

        def observe(step: int, scaled: Tensor, details: tuple[Tensor, ...]) -> None:
            losses, log_law, z_w, z_l = details
            reward = (beta[:, None] * z_w).mean(-1)
            torch.minimum(lowest, z_w.mean(-1), out=lowest)
            started = losses <= 2 * math.log(2) + 1e-6  # the start itself, in single precision
            above_start.add_(~started)
            outside.add_(started & ((reward < low) | (reward > high)))
            if step % _EVERY:
                return

            chosen, rejected = (
                log_law.gather(-1, i).exp().mean((1, 2)) for i in (self.chosen, self.rejected)
            )
            point = {
                "loss": losses,
                "chosen": chosen,
                "rejected": rejected,
                "unseen": 1 - chosen - rejected,
                "z_chosen": z_w.mean(-1),
                "z_rejected": z_l.mean(-1),
                "fallen": (z_w < 0).float().mean(-1),
                "accuracy": (z_w > z_l).float().mean(-1),
            }
            curves.append({key: value.view(-1, self.spec.replicas) for key, value in point.items()})

        descend(loss, parameters, self.spec.steps, self.spec.reward_rate, observe)
        middle = {key: quartiles(torch.stack([p[key] for p in curves])) for key in curves[0]}
        lowest, above_start, outside = (
            part.view(-1, self.spec.replicas) for part in (lowest, above_start, outside)
        )

        return [
            {
                "step": [_EVERY * k for k in range(len(curves))],
                **{key: values[:, b].tolist() for key, values in middle.items()},
                "final_z_chosen": curves[-1]["z_chosen"][b].tolist(),
                "lowest_z_chosen": lowest[b].tolist(),
                "steps_above_start": int(above_start[b].sum()),
                "outside_interval": int(outside[b].sum()),
                "steps_seen": self.spec.replicas * (self.spec.steps + 1),
            }
            for b in range(len(self.spec.betas))
        ]


def lazy(spec: Lazy, seed: int) -> tuple[dict, dict]:
    """Integrate ż = −G ∇L(z), G = [[a, c], [c, d]], from z = 0; ∇L by automatic differentiation of the library's loss.

    The approach to the anchor is stiff (rates 1 and 1/t), hence SciPy's LSODA.
    """
    gram = torch.tensor([[spec.a, spec.c], [spec.c, spec.d]], dtype=torch.float64)

    def field(time: float, z: np.ndarray) -> np.ndarray:
        ratios = torch.from_numpy(z).requires_grad_()
        loss = mi.preference_loss(*(spec.beta * ratios).split(1), bound=spec.bound).sum()
        return -(gram @ torch.autograd.grad(loss, ratios)[0]).numpy()

    path = solve_ivp(
        field,
        (0, spec.horizon),
        np.zeros(2),
        method="LSODA",
        rtol=1e-6,
        atol=1e-9,
    )

    z_w, z_l = path.y.tolist()
    measured = {
        "time": path.t.tolist(),
        "z_chosen": z_w,
        "z_rejected": z_l,
        "final": z_w[-1],
        "lowest": min(z_w),
    }

    if spec.bound == "js":
        return measured, {"final": math.log(2) / spec.beta}

    slope = (spec.a - spec.c) / (spec.a - 2 * spec.c + spec.d)
    return measured, {"final": slope * (z_w[-1] - z_l[-1])}


RUNS = {Collapse: collapse, Lazy: lazy}
