"""Choosing an anchor: the elliptical law that does best on validation rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch

from ..bounds.variational import js
from .experts.copula import EllipticalCopula
from .scoring import WORTH, Sides, held_out_scores
from .table import over_rows

_DEGREES_OF_FREEDOM = (16, 8, 4, 2, 1)
_HEAVY_TAILS = 128  # columns, beyond which the scatter of a Student law is not worth its time


@dataclass(frozen=True, kw_only=True)
class Place:
    """Columns that an anchor may read, among all of a side.

    Attributes:
        starts: the first of them, in x and in y.
        columns: their number, in x and in y.
        jointly: whether they may be jointly Gaussian or Student as they are; else they are normal scores.
    """

    starts: tuple[int, int]
    columns: tuple[int, int]
    jointly: bool

    @property
    def cuts(self) -> tuple[slice, slice]:
        """The columns of x and of y."""
        x, y = (slice(a, a + d) for a, d in zip(self.starts, self.columns, strict=True))
        return x, y


@torch.no_grad()
def best_copula(train: Sides, valid: Sides, columns: list[Place]) -> EllipticalCopula:
    """Return the copula that does best on the validation rows; one that is not Gaussian must gain `WORTH` nats there.

    From light to heavy tails the likelihood rises and then falls. The search stops where it falls.

    Args:
        train, valid: rows of x and y.
        columns: where normal scores stand, and where columns that may be jointly Gaussian or Student.
    """
    best, score = None, -math.inf
    for place in columns:
        in_x, in_y = place.cuts
        x, y = train[0][:, in_x], train[1][:, in_y]
        others = valid[0][:, in_x], valid[1][:, in_y]
        last = -math.inf
        for nu in (math.inf, *_DEGREES_OF_FREEDOM):
            anchor = EllipticalCopula(x, y, nu, jointly=place.jointly, places=place.starts)
            value = _score(anchor, others)
            if value < last:
                break
            last = value
            if best is None or value > score:
                best, score = anchor, value + (WORTH / len(valid[0]) if best is None else 0.0)
            if sum(anchor.dims) > _HEAVY_TAILS:
                break
    return cast(EllipticalCopula, best)


def _score(anchor: EllipticalCopula, rows: Sides) -> float:
    features = anchor.features(*rows)
    return float(over_rows(js)(*held_out_scores(anchor.scores, *features)))
