"""Views of the rows: what a critic is shown of each side. Where there are several, validation rows choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from .components import Components, Screened
from .flow import Flow, Flowed, contradiction, fit_flow
from .forms import Form, anchor_misfit
from .grouping import draws_of
from .sides import Side
from .transforms import (
    TRANSFORMS,
    Both,
    Identity,
    OneScale,
    Shaped,
    Transform,
    uniform_columns,
)

_WIDE = 24  # columns of a side, beyond which distances at one scale may say more than columns one by one
_VERY_WIDE = 256  # columns of a side, beyond which no view takes them one by one
_HELD = 0.5  # share of the variance, below which a few components are no view
_MOST_KINDS, _DRAWS_TO_A_KIND = 1000, 8  # of a side that a classifier predicts
_AHEAD = 0.01  # nats by which the view behind flows must lead: its values are flagged
_MANY = 128  # components that stand for very many columns

Make = Callable[[Tensor], Transform]
"""Training rows of a side → its transform."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A view of the rows.

    Attributes:
        name: in words.
        x, y: how each side's transform is made from training rows.
        screened: whether columns of a very wide side are picked by what they tell of the other.
        anchored: whether a copula of the first columns of each side stands beside the network.
        noise: standard deviation of the noise added to training rows, in units of the transformed rows.
        flows: what the rows of x and of y go through first; None for nothing.
        handicap: by how many nats it must be ahead of other views on validation rows.
    """

    name: str
    x: Make
    y: Make
    anchored: bool = False
    noise: float = 0.0
    screened: bool = False
    flows: tuple[Flow | None, Flow | None] = (None, None)
    handicap: float = 0.0

    def misfit(self, x: Tensor, y: Tensor, forms: set[Form]) -> float:
        """Return how far rows contradict anchors' forms, and behind flows that their columns are normal, too."""
        sides, unfinished = [], 0.0
        for side, flow in zip((x, y), self.flows, strict=True):
            sides.append(side if flow is None else flow(side.to(flow.device)).double().cpu())
            if flow is not None:
                unfinished = max(unfinished, contradiction(sides[-1]))

        first, second = sides
        return max(anchor_misfit(first, second, forms), unfinished)

    def maps(self, x: Tensor, y: Tensor) -> tuple[Transform, Transform]:
        """Return the transforms of x and y, made from paired training rows."""
        if not self.screened:
            return self.x(x), self.y(y)

        def screened(side: Tensor, other: Tensor, make: Make) -> Transform:
            if side.shape[1] <= _VERY_WIDE:
                return make(side)
            return Screened(side, other, _MANY)

        return screened(x, y, self.x), screened(y, x, self.y)


def label_of(codes: list[Tensor], groups: Tensor) -> int | None:
    """Return the side that a classifier can predict, 0 for x; None if neither has few kinds.

    Args:
        codes: the kind of each row, in x and in y.
        groups: the number of each row's group: a kind must be seen in several groups.
    """
    kinds = [int(code.max()) + 1 for code in codes]
    side = min((1, 0), key=lambda side: kinds[side])
    draws = int(draws_of(codes[side], groups).sum())
    few = kinds[side] <= min(_MOST_KINDS, draws / _DRAWS_TO_A_KIND)
    return side if few else None


def label_view(x: Tensor, y: Tensor, label: int) -> View:
    """Return the view of a classifier: the label's side as it is, side 0 for x, and the features of the other."""
    makes: list[Make] = [OneScale if side.shape[1] > _WIDE else Both for side in (x, y)]
    makes[label] = Identity
    return View(name="label", x=makes[0], y=makes[1])


def views_of(
    x: Tensor,
    y: Tensor,
    transform: str,
    *,
    anchored: bool,
    several: bool,
    shaped: tuple[Side | None, Side | None],
    flow_steps: int,
) -> list[View]:
    """Return the views to try.

    Args:
        x, y: rows, shapes (n, dx) and (n, dy).
        transform: as `MIEstimator` takes it; "both" allows several views.
        anchored: whether a copula is wanted at all.
        several: whether the critic takes several columns for one; else "both" is "rank".
        shaped: the sides whose rows a critic takes in their own shape; None for a side of columns.
        flow_steps: of the training of a flow, at most.
    """
    if any(shaped):
        makes = [Both if side is None else partial(Shaped, side=side) for side in shaped]
        return [View(name="rows in their own shape", x=makes[0], y=makes[1])]

    if transform != "both" or not several:
        make = TRANSFORMS["rank" if transform == "both" else transform]
        return [View(name=transform, x=make, y=make, anchored=anchored)]

    even = anchored and any(bool(uniform_columns(side).any()) for side in (x, y))
    if x.shape[1] == y.shape[1] == 1:
        waves = partial(Both, waves=True, even=even)
        return [View(name="columns and waves", x=waves, y=waves, anchored=anchored)]

    widest = max(x.shape[1], y.shape[1])
    screened = widest > _VERY_WIDE
    make = Both if screened else partial(Both, even=even)
    columns = View(name="columns", x=make, y=make, anchored=anchored, screened=screened)
    if widest <= _WIDE and anchored:
        return [columns, *_flow_views(x, y, make, flow_steps)]
    if widest <= _WIDE or min(Components(side).held for side in (x, y)) < _HELD:
        return [columns]

    few = View(name="components", x=Components, y=Components)
    noisy = View(name="noisy components", x=Components, y=Components, noise=0.5)
    return [columns, few, noisy]


def _flow_views(x: Tensor, y: Tensor, make: Make, steps: int) -> list[View]:
    """Return the view of the rows behind flows, if one is worth it. A flow is fitted to all rows of its side."""
    flows = fit_flow(x, steps), fit_flow(y, steps)
    if not any(flows):
        return []

    first, second = (
        make if flow is None else partial(Flowed, flow=flow, make=make) for flow in flows
    )
    return [View(name="flow", x=first, y=second, anchored=True, flows=flows, handicap=_AHEAD)]
