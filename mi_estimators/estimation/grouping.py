"""Groups of rows that depend on one another: kept within a fold, counted as one draw."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def group_labels(groups: np.ndarray | Tensor | None, n: int) -> Tensor:
    """Return each row's group as a number from 0; its own where there are none."""
    if groups is None:
        return torch.arange(n)
    labels = torch.as_tensor(groups).cpu() if isinstance(groups, np.ndarray | Tensor) else None
    if labels is None or labels.shape != (n,) or labels.is_floating_point() or labels.is_complex():
        got = (
            type(groups).__name__
            if labels is None
            else f"shape {tuple(labels.shape)}, dtype {labels.dtype}"
        )
        raise ValueError(f"groups: expected integer labels of shape ({n},), got {got}")
    return labels.unique(return_inverse=True)[1]


def rows_of_groups(labels: Tensor, chosen: Tensor) -> Tensor:
    """Return the rows of the chosen groups: in the order of the groups where each row is one, else far apart."""
    if len(labels) == int(labels.max()) + 1:
        return labels.argsort()[chosen]
    rows = torch.isin(labels, chosen).nonzero().flatten()
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(len(rows)))]
