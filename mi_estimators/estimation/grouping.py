"""Groups of rows that depend on one another: each stays within one fold and counts as one draw."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from .labels import NUMBERS, label_texts, refuse_missing
from .tables import open_table

_STRATUM = 16  # groups at least, where their sizes differ: fewer have few pairings

Groups = Any
"""None, a label for each row (numbers, strings, a Series), or the length of contiguous blocks."""


def group_labels(groups: Groups, n: int) -> Int[Tensor, " n"]:
    """Return each row's group as a number from 0; without groups, every row is its own group.

    Raises:
        ValueError: not one label for each row, a missing label, or a block length below 1.

    >>> group_labels(["a", "b", "a"], 3).tolist(), group_labels(2, 5).tolist()
    ([0, 1, 0], [0, 0, 1, 1, 2])
    """
    if groups is None:
        return torch.arange(n)
    if isinstance(groups, Integral) and not isinstance(groups, bool):
        if groups < 1:
            raise ValueError(f"groups: expected blocks of at least 1 row, got {groups}")
        return torch.arange(n) // int(groups)

    if isinstance(groups, str | bytes) or not hasattr(groups, "__len__"):
        raise ValueError(
            f"groups: expected a label for each row or a block length, got {type(groups).__name__}"
        )

    table = open_table("groups", groups)
    own = (len(table),) if table.width == 1 else (len(table), table.width)
    shape = tuple(getattr(groups, "shape", own))
    if shape != (n,) or table.width > 1:
        raise ValueError(
            f"groups: expected a label for each of {n} rows, got shape {shape}"
            f"{'; write several columns into one' * (table.width > 1)}"
        )

    (labels,) = table
    refuse_missing("groups", labels)
    if labels.dtype.kind not in NUMBERS + "mM":
        labels = label_texts(labels)

    return torch.from_numpy(np.unique(labels, return_inverse=True)[1])


def rows_of_groups(labels: Int[Tensor, " n"], chosen: Tensor) -> Tensor:
    """Return the rows of the chosen groups: in the order chosen if each row is its own group, else shuffled."""
    if len(labels) == int(labels.max()) + 1:
        return labels.argsort()[chosen]

    rows = torch.isin(labels, chosen).nonzero().flatten()
    generator = torch.Generator().manual_seed(len(rows))
    return rows[torch.randperm(len(rows), generator=generator)]


def draws_of(
    codes: Int[Tensor, " n"],
    labels: Int[Tensor, " n"],
) -> Int[Tensor, " kinds"]:
    """Return in how many groups each code occurs.

    >>> draws_of(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 2])).tolist()
    [1, 2]
    """
    pairs = torch.stack([codes, labels], 1).unique(dim=0)
    return torch.bincount(pairs[:, 0], minlength=int(codes.max()) + 1)


def aligned_groups(
    labels: Int[Tensor, " n"], generator: torch.Generator, most: int
) -> list[Int[Tensor, "groups length"]]:
    """Return the rows of groups side by side, so that whole groups can be exchanged.

    Groups are put into strata of similar sizes, at random within a size, and cut to one length a stratum: the length
    that keeps most rows and at least half of the groups. Shorter groups of a stratum are left out. Groups of equal size
    stay whole. What is kept depends on the sizes alone.

    Args:
        labels: each row's group as a number from 0.
        generator: source of randomness.
        most: number of groups that may stand in a stratum.

    >>> blocks = aligned_groups(torch.tensor([0, 0, 1, 1, 2, 2, 3]), torch.Generator().manual_seed(0), 512)
    >>> [(block // 2).sort(0).values.tolist() for block in blocks]  # three groups of two rows; one row is left out
    [[[0, 0], [1, 1], [2, 2]]]
    """
    sizes = torch.bincount(labels)
    rows, starts = labels.argsort(stable=True), sizes.cumsum(0) - sizes
    shuffled = torch.randperm(len(sizes), generator=generator)
    groups = shuffled[sizes[shuffled].argsort(stable=True)]

    blocks = []
    for stratum in _strata(groups, sizes, most):
        lengths = sizes[stratum]
        kept = lengths * torch.arange(len(stratum), 0, -1)
        start = int(kept[: (len(stratum) + 1) // 2].argmax())
        length = torch.arange(int(lengths[start]))
        blocks.append(rows[starts[stratum[start:]].unsqueeze(1) + length])

    return blocks


def _strata(groups: Tensor, sizes: Tensor, most: int) -> list[Tensor]:
    """Cut groups, ordered by size, where the size changes and both parts are large enough."""
    counts = sizes[groups].unique_consecutive(return_counts=True)[1]
    strata, waiting, left = [], 0, len(groups)
    for count in counts.tolist():
        waiting, left = waiting + count, left - count
        if (waiting >= _STRATUM and left >= _STRATUM) or not left:
            strata.append(waiting)
            waiting = 0

    return [
        part
        for stratum in groups.split(strata)
        for part in stratum.tensor_split(-(-len(stratum) // most))
    ]
