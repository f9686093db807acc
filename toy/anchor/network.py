"""The anchor on a network: the chosen reward under plain descent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import mi_estimators as mi

from ..models.policies import network, network_logits
from ..models.statistics import quartiles
from ..models.training import descend

_EVERY = 20  # steps between two points of a curve; extremes use every step


@dataclass(frozen=True)
class AnchorNetwork:
    """Plain descent of a multilayer perceptron with a softmax over 10 responses, one pair a prompt.

    The base policy is the random network itself. The pair of a prompt is drawn uniformly among its responses.

    Attributes:
        mix: α.
        betas: inverse temperatures, trained side by side.
        prompts, inputs, width, replicas: numbers of prompts, input coordinates, hidden units and independent seeds.
        steps: of plain gradient descent, full batch.
        rate: η β², the same for all β.
    """

    mix: float
    betas: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    prompts: int = 8
    inputs: int = 8
    width: int = 32
    replicas: int = 16
    steps: int = 2000
    rate: float = 0.1


def anchor_network(spec: AnchorNetwork, seed: int) -> tuple[dict, dict]:
    """Descend from the random network for all β and replicas at once; the seed fixes networks, prompts and pairs."""
    generator = torch.Generator().manual_seed(seed)
    shape = (spec.replicas, spec.prompts)
    parameters = network(
        spec.replicas,
        (spec.inputs, spec.width, spec.width, 10),
        generator,
    )

    prompts = torch.randn(*shape, spec.inputs, generator=generator)
    pair = torch.rand(*shape, 10, generator=generator).topk(2, -1).indices

    copies = len(spec.betas)
    prompts, pair, *parameters = (t.repeat(copies, 1, 1) for t in (prompts, pair, *parameters))
    beta = torch.tensor(spec.betas).repeat_interleave(spec.replicas)[:, None]
    log_base = network_logits(parameters, prompts, "tanh").log_softmax(-1).gather(-1, pair)
    low, high = mi.no_collapse_interval(spec.mix)
    lowest, highest = (torch.full((len(beta),), sign * math.inf) for sign in (1, -1))
    curve, outside, final = [], torch.zeros(len(beta)), log_base

    def loss(p: list[Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        z = network_logits(p, prompts, "tanh").log_softmax(-1).gather(-1, pair) - log_base
        losses = mi.preference_loss(beta * z[..., 0], beta * z[..., 1], mix=spec.mix).mean(-1)
        return losses / beta[:, 0] ** 2, (losses.detach(), z.detach())  # one rate suits every β

    def observe(step: int, scaled: Tensor, details: tuple[Tensor, Tensor]) -> None:
        nonlocal final
        losses, final = details
        reward = (beta * final[..., 0]).mean(-1)
        torch.minimum(lowest, reward, out=lowest)
        torch.maximum(highest, reward, out=highest)
        outside.add_((losses <= 2 * math.log(2) + 1e-6) & ((reward < low) | (reward > high)))
        if step % _EVERY == 0:
            curve.append(reward)

    descend(loss, parameters, spec.steps, spec.rate, observe)

    rewards = torch.stack(curve, -1).unflatten(0, (copies, -1))  # (β, replicas, points)
    chosen, log_eps = (z[..., 0].reshape(copies, -1) for z in (final, log_base))
    anchor = mi.preference_anchor(spec.mix)
    limit = torch.minimum(anchor / torch.tensor(spec.betas)[:, None], -log_eps)
    ends = [lowest.view(copies, -1).amin(-1), highest.view(copies, -1).amax(-1)]

    return {
        "step": [_EVERY * k for k in range(len(curve))],
        "reward": quartiles(rewards.mT).tolist(),
        "z_chosen": chosen.tolist(),
        "range": torch.stack(ends, -1).tolist(),
        "outside_interval": int(outside.sum()),
    }, {"anchor": anchor, "interval": [low, high], "z_chosen": limit.tolist()}
