"""Rescaling and capping a trained critic on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from .._validate import unchecked
from ..bounds.bennett import bridge
from ..bounds.divergences import softplus
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
        return logistic((scale * joint).clamp(max=cap), (scale * product).clamp(max=cap))

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


def logistic(joint: Tensor, product: Tensor) -> float:
    """Return the log-likelihood a positive of telling positives from negatives, at the best shift of the scores.

    It is a proper score at the odds ν of the sample, and `bridge` finds the shift. As ν grows it tends to DV, with
    bounded weights.
    """
    odds = product.numel() / joint.numel()
    shift = joint.mean() - unchecked(bridge)(joint, product.flatten())
    threshold = shift + math.log(odds)
    missed, mistaken = softplus(threshold - joint), softplus(product - threshold)
    return -float(missed.mean() + odds * mistaken.mean())
