"""Groups of rows that depend on one another: each stays within one fold and counts as one draw."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

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

    labels = _labels(groups)
    if labels.shape != (n,):
        raise ValueError(f"groups: expected a label for each of {n} rows, got shape {labels.shape}")
    if (labels != labels).any() or (labels == None).any():  # noqa: E711 (entry by entry)
        raise ValueError("groups: expected a label for each row, got missing labels")
    if labels.dtype.kind == "O":
        labels = labels.astype(str)
    return torch.from_numpy(np.unique(labels, return_inverse=True)[1])


def _labels(groups: Groups) -> np.ndarray:
    if isinstance(groups, Tensor):
        return groups.detach().cpu().numpy()
    if hasattr(groups, "to_numpy"):
        return groups.to_numpy()
    if isinstance(groups, np.ndarray | Sequence) and not isinstance(groups, str | bytes):
        return np.asarray(groups)
    raise ValueError(
        f"groups: expected a label for each row or a block length, got {type(groups).__name__}"
    )


def rows_of_groups(labels: Int[Tensor, " n"], chosen: Tensor) -> Tensor:
    """Return the rows of the chosen groups: in the order chosen if each row is its own group, else shuffled."""
    if len(labels) == int(labels.max()) + 1:
        return labels.argsort()[chosen]
    rows = torch.isin(labels, chosen).nonzero().flatten()
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(len(rows)))]
