"""An order of rows that depends on the rows alone, so that an estimate is a function of their set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ..diagnostics.hashes import mixed, row_hashes

_RANKED = 64  # columns, beyond which values are hashed in place of their ranks, which cost more
_ENTRIES = 2**22  # read at a time


def canonical_order(
    hashes: np.ndarray,
    labels: Int[Tensor, " n"],
) -> Int[Tensor, " n"]:
    """Return a permutation that sorts rows by a hash of the other rows of the group, then by their own.

    Rows that are equal in both stand in any order: nothing can tell them apart.

    Args:
        hashes: one for each row, as `hash_rows`.
        labels: each row's group as a number, shape (n,); which number does not matter.

    >>> hashes, own, order = np.array([5, 3, 4], np.uint64), torch.arange(3), np.array([2, 0, 1])
    >>> first, second = canonical_order(hashes, own).numpy(), canonical_order(hashes[order], own).numpy()
    >>> hashes[first].tolist() == hashes[order][second].tolist()
    True
    """
    # A group is known by its rows: the sum of their hashes does not depend on their order.
    groups = np.zeros(int(labels.max()) + 1, np.uint64)
    np.add.at(groups, labels.numpy(), hashes)
    own = mixed(groups)[labels.numpy()]
    return torch.from_numpy(np.lexsort((hashes, own)))


def hash_rows(
    read: Callable[[slice], np.ndarray],
    rows: int,
    columns: int,
) -> np.ndarray:
    """Return a hash of each row, reading some rows at a time.

    An increasing map of a column changes nothing where there are few columns, since ranks are hashed.

    Args:
        read: returns the rows of a slice as float64, shape (m, columns).
        rows, columns: how many there are.
    """
    if columns <= _RANKED and rows * columns <= 4 * _ENTRIES:
        keys = read(slice(0, rows))
        return row_hashes(np.stack([_ranks(column) for column in keys.T]))
    parts = [row_hashes(np.ascontiguousarray(read(part).T)) for part in parts_of(rows, columns)]
    return np.concatenate(parts)


def parts_of(rows: int, columns: int) -> Iterator[slice]:
    """Cut rows into slices that are cheap to read at a time.

    >>> [part.stop for part in parts_of(10**6, 10)]
    [419430, 838860, 1000000]
    """
    size = max(1, _ENTRIES // max(1, columns))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def _ranks(column: np.ndarray) -> np.ndarray:
    """Return how many distinct values are below each entry."""
    return np.unique(column, return_inverse=True)[1]
