"""The plug-in estimate where the rows of both sides repeat, so that a table of counts is full."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int
from torch import Tensor

from ...diagnostics.repeats import entropy
from ..neighbours import Neighbours

_ALONE = 0.003  # of the rows may be alone in their cell: as many rows again fall into cells not seen (Good & Turing)


def information_of_counts(
    x: Int[Tensor, " n"],
    y: Int[Tensor, " n"],
) -> Neighbours | None:
    """Return H(X) + H(Y) − H(X, Y) of codes, each with its first-order bias taken off; None if cells are not full.

    The bias that is left is of second order in cells to rows, and downwards in each entropy.

    Args:
        x, y: the code of each row, from 0, shape (n,).

    Reference: Miller 1955; Paninski 2003.

    >>> codes = torch.arange(1000) % 4
    >>> round(information_of_counts(codes, codes).value - math.log(4), 4)  # (4 − 1)/2000
    0.0015
    """
    n, kinds = len(x), int(y.max()) + 1
    _, both = (x * kinds + y).unique(return_inverse=True)
    if int((torch.bincount(both) == 1).sum()) > _ALONE * n:
        return None

    of_x, of_y, of_both = (entropy(codes)[0] for codes in (x, y, both))
    value = of_x + of_y - of_both

    def log_count(codes: Tensor) -> Tensor:
        return torch.bincount(codes).double().log()[codes]

    log_x, log_y, log_both = map(log_count, (x, y, both))
    local = log_both + math.log(n) - log_x - log_y

    return Neighbours(value, float(local.std()) / math.sqrt(n), 0.0)
