"""Compare arms on curves: z of the chosen response where z of the rejected one has fallen as far, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import torch
from scipy.stats import t as student

from llm_adapter.data.collate import collate
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.loss.logprobs import choose_log_probs, sum_responses
from llm_adapter.models import CausalLM
from mi_estimators.theory import turning_point


class Turn(NamedTuple):
    """The top of z_w: its step, its height, the margin z_w − z_l there, and how far z_w falls from it, in nats."""

    step: int
    top: float
    margin: float
    fall: float


def turn(steps: Sequence[int], chosen: Sequence[float], rejected: Sequence[float]) -> Turn:
    """Return where z_w is largest.

    >>> turn([0, 5, 10], [0.0, 2.0, -1.0], [0.0, -3.0, -9.0])
    Turn(step=5, top=2.0, margin=5.0, fall=3.0)
    """
    place = max(range(len(chosen)), key=lambda k: chosen[k])
    top = chosen[place]
    return Turn(steps[place], top, top - rejected[place], top - min(chosen[place:]))


def at_depth(chosen: Sequence[float], rejected: Sequence[float], depth: float) -> float | None:
    """Return z_w where z_l has first fallen by `depth`, None if it never has; straight lines between evaluations.

    >>> at_depth([0.0, 2.0, -1.0], [0.0, -3.0, -9.0], 6.0), at_depth([0.0], [0.0], 1.0) is None
    (0.5, True)
    """
    for k in range(1, len(rejected)):
        if rejected[k] <= -depth < rejected[k - 1]:
            share = (rejected[k - 1] + depth) / (rejected[k - 1] - rejected[k])
            return chosen[k - 1] + share * (chosen[k] - chosen[k - 1])
    return None


def paired(differences: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of differences within seeds and Student's 95 % interval; an infinite one of a single seed.

    >>> paired([1.0])
    (1.0, -inf, inf)
    """
    mean, count = fmean(differences), len(differences)
    if count < 2:
        return mean, -math.inf, math.inf
    half = float(student.ppf(0.975, count - 1)) * stdev(differences) / math.sqrt(count)
    return mean, mean - half, mean + half


def predicted_turn(
    model: CausalLM, example: TokenizedExample, samples: Sequence[list[int]]
) -> tuple[float, float]:
    """Return T1's s* and the margin D s* at which ln π(chosen) turns, from the model's own kernel at the start.

    The theorem's features are frozen; here they are the gradients of ln π at the start. The law is π_ref of the pair,
    and the rest of its mass on the samples in equal parts.

    Args:
        model: the start.
        example: its first rejected response is taken.
        samples: token ids of responses to its prompt that the model sampled.

    Theorem: late_decline.
    """

    def slopes(response: list[int]) -> tuple[float, tuple[torch.Tensor, ...]]:
        """Return ln π of a response and its gradient."""
        batch = collate([TokenizedExample(0, example.prompt, (response, response))])
        log_probs = choose_log_probs(model, batch)(model, batch)
        value = sum_responses(log_probs, batch["lengths"])[0]
        return value.item(), torch.autograd.grad(value, list(model.parameters()))

    def along(gradient: Sequence[torch.Tensor]) -> float:
        """Return the slope along the direction in which the pair is taught."""
        parts = zip(gradient, direction, strict=True)
        return sum(float((part * way).sum()) for part, way in parts)

    (chosen, one), (rejected, two) = (slopes(response) for response in example.completions[:2])
    direction = [first - second for first, second in zip(one, two, strict=True)]
    h = [along(one), along(two)]
    del one, two  # as large as the model, each
    h += [along(slopes(response)[1]) for response in samples]
    pair = [math.exp(value) for value in (chosen, rejected)]
    remainder = max(1 - sum(pair), 1e-12) / len(samples)
    law = [max(p, 1e-300) for p in pair] + [remainder] * len(samples)
    star = turning_point(law, h)

    return star, star * (h[0] - h[1])
