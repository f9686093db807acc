"""Choosing an anchor: the closed-form log-ratio that does best on validation rows."""

from __future__ import annotations

import math
from typing import cast

import torch

from ..bounds.variational import js
from .experts.additive import AdditiveModel
from .experts.copula import EllipticalCopula
from .forms import Form, Place
from .scoring import WORTH, Sides, held_out_scores
from .table import over_rows

_DEGREES_OF_FREEDOM = (16, 8, 4, 2, 1)  # of Student laws that are tried after the Gaussian one
_HEAVY_TAILS = 128  # columns, beyond which the scatter of a Student law is not worth its time

Anchor = EllipticalCopula | AdditiveModel
"""A closed-form log-ratio of some columns."""


@torch.no_grad()
def best_anchor(
    train: Sides,
    valid: Sides,
    places: list[Place],
) -> tuple[Anchor, Form]:
    """Return the anchor that does best on the validation rows; any but a Gaussian one must gain `WORTH` nats there.

    From light to heavy tails the likelihood rises and then falls. The search stops where it falls. The law of the noise
    is tried where it fits validation rows better than a Gaussian one.

    Args:
        train, valid: rows of x and y.
        places: where the columns stand.
    """
    best, score = None, -math.inf
    worth = WORTH / len(valid[0])

    def consider(anchor: Anchor, form: Form, place: Place) -> float:
        nonlocal best, score
        value = _score(anchor, place.of(valid))
        if best is None or value > score:
            score = value + (worth if best is None else 0.0)
            best = anchor, form
        return value

    for place in places:
        rows, last = place.of(train), -math.inf
        for nu in (math.inf, *_DEGREES_OF_FREEDOM):
            jointly = place.margin != "rank"
            anchor = EllipticalCopula(*rows, nu, jointly=jointly, places=place.starts)
            value = consider(anchor, Form(margin=place.margin, degrees_of_freedom=nu), place)
            if value < last or sum(anchor.dims) > _HEAVY_TAILS:
                break
            last = value

    for place in places:
        if place.margin == "rank" or sum(place.columns) > _HEAVY_TAILS:
            continue

        for noise in ("y", "x"):
            anchor = AdditiveModel(
                *place.of(train),
                place.of(valid),
                backwards=noise == "x",
                places=place.starts,
            )
            if anchor.applies:
                consider(anchor, Form(margin=place.margin, noise=noise), place)

    return cast(tuple[Anchor, Form], best)


def _score(anchor: Anchor, rows: Sides) -> float:
    features = anchor.features(*rows)
    return float(over_rows(js)(*held_out_scores(anchor.scores, *features)))
