"""What the model's own kernel says before training: where `late_decline` lets a pair turn, and how it moves first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from llm_adapter.data.collate import collate
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.logprobs import choose_log_probs, sum_responses
from llm_adapter.models import CausalLM
from mi_estimators.theory import turning_point

from .measures import log_ratios

Weights = Sequence[torch.Tensor]
"""A tensor a parameter: as large as the model."""


def slopes(
    model: CausalLM, example: TokenizedExample, response: Sequence[int]
) -> tuple[float, Weights]:
    """Return ln π of a response to an example's prompt, in nats, and its gradient."""
    ids = list(response)
    batch = collate([TokenizedExample(0, example.prompt, (ids, ids))])
    log_probs = choose_log_probs(model, batch)(model, batch)
    value = sum_responses(log_probs, batch["lengths"])[0]
    return value.item(), torch.autograd.grad(value, list(model.parameters()))


def along(gradient: Weights, direction: Weights) -> float:
    """Return the slope along a direction."""
    parts = zip(gradient, direction, strict=True)
    return sum(float((part * way).sum()) for part, way in parts)


def of_pair(model: CausalLM, example: TokenizedExample) -> list[tuple[float, Weights]]:
    """Return `slopes` of the chosen response and of the first rejected one."""
    return [slopes(model, example, response) for response in example.completions[:2]]


def apart(one: Weights, two: Weights) -> Weights:
    """Return ∇ ln π(w) − ∇ ln π(l): the way in which DPO's first step teaches a pair, whatever β."""
    return [first - second for first, second in zip(one, two, strict=True)]


def taught(model: CausalLM, batch: Sequence[TokenizedExample]) -> Weights:
    """Return the way in which DPO's first step teaches a batch: the sum over its pairs."""
    total = [torch.zeros_like(p) for p in model.parameters()]
    for example in batch:
        (_, one), (_, two) = of_pair(model, example)
        for part, way in zip(total, apart(one, two), strict=True):
            part += way

    return total


def predicted_turn(
    model: CausalLM, example: TokenizedExample, samples: Sequence[list[int]]
) -> tuple[float, float]:
    """Return s* of `late_decline` and the margin D s* at which ln π(chosen) turns, from the kernel at the start.

    The theorem's features are frozen; here they are the gradients of ln π at the start. The law is π_ref of the pair,
    and the rest of its mass on the samples in equal parts.

    Args:
        model: the start.
        example: its first rejected response is taken.
        samples: token ids of responses to its prompt that the model sampled.

    Theorem: late_decline.
    """
    (chosen, one), (rejected, two) = of_pair(model, example)
    direction = apart(one, two)
    h = [along(one, direction), along(two, direction)]
    del one, two  # as large as the model, each
    pair = [math.exp(value) for value in (chosen, rejected)]

    h += [along(slopes(model, example, response)[1], direction) for response in samples]
    remainder = max(1 - sum(pair), 1e-12) / len(samples)
    law = [max(p, 1e-300) for p in pair] + [remainder] * len(samples)
    star = turning_point(law, h)

    return star, star * (h[0] - h[1])


def first_steps(
    model: CausalLM,
    training: Sequence[TokenizedExample],
    held_out: Sequence[TokenizedExample],
    batch: int,
) -> dict[str, dict[str, float]]:
    """Return which way DPO's first step moves held-out pairs, to first order, for three steps.

    `own`: a gradient step on the held-out pair itself, as the theorem has it. `others`: one on all training pairs.
    `adam`: AdamW's first step, which moves each weight by the sign of its batch's gradient; the mean over batches.

    Of each: the share of pairs whose ln π(chosen) rises, and the mean slopes of ln π(chosen) and ln π(rejected), in
    units of the mean slope of the margin, and the share of pairs whose margin grows.
    """
    others = [torch.zeros_like(p) for p in model.parameters()]
    adam = [torch.zeros_like(p) for p in model.parameters()]
    for start in range(0, len(training) - batch + 1, batch):
        total = taught(model, training[start : start + batch])
        for part, sum_of_batches, sum_of_signs in zip(total, others, adam, strict=True):
            sum_of_batches += part
            sum_of_signs += part.sign()

    moved: dict[str, list[tuple[float, float]]] = {"own": [], "others": [], "adam": []}
    for example in held_out:
        (_, one), (_, two) = of_pair(model, example)
        for name, way in (("own", apart(one, two)), ("others", others), ("adam", adam)):
            moved[name].append((along(one, way), along(two, way)))

    return {name: _shares(values) for name, values in moved.items()}


def step_sizes(
    model: CausalLM,
    training: Sequence[TokenizedExample],
    held_out: Sequence[TokenizedExample],
    batch: int,
    rates: Sequence[float],
    batches: int = 4,
) -> dict[str, list[float]]:
    """Return the mean z of chosen and rejected held-out responses after one AdamW step of several sizes, in nats.

    AdamW's first step moves each weight by the rate, along the sign of its batch's gradient. The mean is over as many
    batches. The model is as before afterwards.
    """
    weights = list(model.parameters())
    start = [weight.detach().clone() for weight in weights]
    base = log_ratios(model, None, held_out)
    moved: dict[str, list[tuple[float, float]]] = {f"{rate:g}": [] for rate in rates}

    for place in range(0, batches * batch, batch):
        signs = [part.sign() for part in taught(model, training[place : place + batch])]
        for rate in rates:
            _move(weights, start, signs, rate)
            moved[f"{rate:g}"] += [
                (z, fmean(others)) for z, others in log_ratios(model, base, held_out)
            ]
        _move(weights, start, signs, 0.0)

    return {
        name: [fmean(column) for column in zip(*values, strict=True)]
        for name, values in moved.items()
    }


@torch.no_grad()
def _move(weights: Weights, start: Weights, signs: Weights, rate: float) -> None:
    """Put the weights at a distance from where they were."""
    for weight, before, sign in zip(weights, start, signs, strict=True):
        weight.copy_(before + rate * sign)


def _shares(values: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return the signs and mean slopes of pairs.

    >>> _shares([(1.0, -1.0), (-1.0, -3.0)])
    {'rises': 0.5, 'parts': 1.0, 'chosen': 0.0, 'rejected': -1.0}
    """
    margin = fmean(chosen - rejected for chosen, rejected in values)
    return {
        "rises": fmean(chosen > 0 for chosen, _ in values),
        "parts": fmean(chosen > rejected for chosen, rejected in values),
        "chosen": fmean(chosen for chosen, _ in values) / margin,
        "rejected": fmean(rejected for _, rejected in values) / margin,
    }
