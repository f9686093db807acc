"""What is read beside the critics, without training: nearest neighbours, or full tables of counts."""

from __future__ import annotations

from torch import Tensor

from ..diagnostics.digits import have_limits
from .experts.counts import information_of_counts
from .neighbours import Neighbours, nearest_information
from .pairs import Pairs
from .sides import Side


def beside_critics(
    sides: tuple[Side, Side],
    pairs: Pairs,
    codes: list[Tensor],
    label: int | None,
    grouped: bool,
) -> tuple[Neighbours | None, Neighbours | None]:
    """Return what nearest neighbours and full tables of counts read: at most one of the two, and neither with groups.

    Copies within a group would all be neighbours of the same rows of other groups. Where every row has a label of its
    own, no row has a neighbour.
    """
    if grouped:
        return None, None

    repeat = all(2 * int(code.max()) < len(code) for code in codes)
    if repeat and pairs.sample.copies == 0 and not any(map(have_limits, (pairs.x, pairs.y))):
        return None, information_of_counts(*codes)
    if any(side.identifies for side in sides):
        return None, None

    own = None if label is None else codes[label]
    return nearest_information(pairs.x, pairs.y, own, of_x=label == 0), None
