"""An order of rows that depends on the rows alone, so that an estimate is a function of their set."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_RANKED = 64  # columns: beyond, the values themselves are hashed, which ranks would only slow
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def canonical_order(
    x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"], labels: Int[Tensor, " n"]
) -> Int[Tensor, " n"]:
    """Return a permutation of the rows that sorts them by a hash of (x, y, the other rows of the group).

    Rows that are equal in all three stand in any order: nothing can tell them apart. An increasing map of a column
    changes nothing where there are few columns, since ranks are hashed.

    Args:
        x, y: paired rows, shapes (n, dx) and (n, dy).
        labels: each row's group as a number, shape (n,); which number does not matter.

    >>> x = torch.tensor([[3.0], [1.0], [2.0]], dtype=torch.float64)
    >>> own, mixed = torch.arange(3), torch.tensor([2, 0, 1])
    >>> first, second = x[canonical_order(x, x, own)], x[mixed][canonical_order(x[mixed], x[mixed], own)]
    >>> torch.equal(first, second)
    True
    """
    columns = torch.cat([x, y], 1).numpy()
    keys = (
        [_ranks(column) for column in columns.T] if columns.shape[1] <= _RANKED else list(columns.T)
    )
    rows = _hashes(keys)

    # A group is known by its rows: the sum of their hashes does not depend on their order.
    groups = np.zeros(int(labels.max()) + 1, np.uint64)
    np.add.at(groups, labels.numpy(), rows)
    own = _mixed(groups)[labels.numpy()]
    return torch.from_numpy(np.lexsort((rows, own)))


def codes_of(rows: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
    """Return a number for each row, the same for equal rows, from 0.

    >>> codes_of(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])).unique().tolist()
    [0, 1]
    """
    hashes = _hashes(list(rows.numpy().T))
    return torch.from_numpy(np.unique(hashes, return_inverse=True)[1])


def _ranks(column: np.ndarray) -> np.ndarray:
    """Return how many distinct values are below each entry."""
    return np.unique(column, return_inverse=True)[1]


def _hashes(columns: list[np.ndarray]) -> np.ndarray:
    """Return a 64-bit hash of each row, column by column in integers: the same wherever the row stands."""
    hashes = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        entries = column + 0.0  # −0 is 0
        hashes = _mixed(hashes ^ np.ascontiguousarray(entries, np.float64).view(np.uint64))
    return hashes


def _mixed(words: np.ndarray) -> np.ndarray:
    """Return the words scrambled, one to one (splitmix64)."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * _MIX[0]
        words = (words ^ (words >> np.uint64(27))) * _MIX[1]
    return words ^ (words >> np.uint64(31))
