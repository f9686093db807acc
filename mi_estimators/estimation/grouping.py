"""Groups of rows that depend on one another: kept within a fold, counted as one draw."""

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
    """Return each row's group as a number from 0; its own where there are none.

    Raises:
        ValueError: labels that are not one for each row, or missing; a block that is no positive whole number.

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
        raise ValueError("groups: expected a label for each row, got missing ones")
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
        f"groups: expected labels or the length of blocks, got {type(groups).__name__}"
    )


def rows_of_groups(labels: Int[Tensor, " n"], chosen: Tensor) -> Tensor:
    """Return the rows of the chosen groups: in the order of the groups where each row is one, else far apart."""
    if len(labels) == int(labels.max()) + 1:
        return labels.argsort()[chosen]
    rows = torch.isin(labels, chosen).nonzero().flatten()
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(len(rows)))]
