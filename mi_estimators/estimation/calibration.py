"""Rescaling and capping a trained critic on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._validate import unchecked
from ..bounds.bennett import bridge
from ..bounds.objectives import logistic
from .critics import Calibrated
from .scoring import WORTH, Sides, held_out_scores

_CALIBRATION_SCALES = (1.0, 0.9, 0.8)
# of the positives' scores, where they are capped
_CALIBRATION_QUANTILES = (1.0, 0.98, 0.9, 0.75, 0.5)


@torch.no_grad()
def calibrated(critic: nn.Module, valid: Sides) -> Calibrated:
    """Choose the scale and the cap by the logistic likelihood of the validation rows, all their negatives counted.

    Each must gain `WORTH` nats there, since separated rows are as likely at every scale.
    """
    joint, product = held_out_scores(critic, *valid)
    finite = torch.isfinite(joint).all() & torch.isfinite(product).all()
    if not bool(finite):
        return Calibrated(critic, 1.0, math.inf)

    def likelihood(scale: float, quantile: float) -> float:
        cap = float((scale * joint).quantile(quantile))
        return likelihood_at_best_shift(
            (scale * joint).clamp(max=cap), (scale * product).clamp(max=cap)
        )

    worth = WORTH / len(joint)
    quantile = _best(_CALIBRATION_QUANTILES, lambda quantile: likelihood(1.0, quantile), worth)
    scale = _best(_CALIBRATION_SCALES, lambda scale: likelihood(scale, quantile), worth)

    return Calibrated(critic, scale, float((scale * joint).quantile(quantile)))


def _best(
    values: tuple[float, ...],
    score: Callable[[float], float],
    worth: float,
) -> float:
    """Return the value of the highest score; the first one, unless another's is higher by what it is worth."""
    first, *others = [score(value) for value in values]
    scores = [first, *(other - worth for other in others)]
    return values[scores.index(max(scores))]


def likelihood_at_best_shift(joint: Tensor, product: Tensor) -> float:
    """Return `logistic` at the odds of the sample and the best shift of the scores, which `bridge` finds."""
    odds, product = product.numel() / joint.numel(), product.flatten()
    shift = joint.mean() - unchecked(bridge)(joint, product)
    return float(unchecked(logistic)(joint - shift, product - shift, odds))
