"""Hashes of rows: equal rows have equal numbers, wherever they stand."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def row_hashes(columns: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of each row, column by column in integers.

    Args:
        columns: numbers, shape (d, n).

    >>> first, second, third = row_hashes(np.array([[1.0, 2.0, 1.0], [0.0, 0.0, -0.0]]))
    >>> bool(first == third), bool(first == second)
    (True, False)
    """
    hashes = np.zeros(columns.shape[1], np.uint64)
    for column in columns:
        entries = np.ascontiguousarray(column, np.float64) + 0.0  # −0 is 0
        hashes = mixed(hashes ^ entries.view(np.uint64))
    return hashes


def mixed(words: np.ndarray) -> np.ndarray:
    """Return the words scrambled, one to one (splitmix64)."""
    with np.errstate(over="ignore"):
        words = words + np.uint64(0x9E3779B97F4A7C15)
        words = (words ^ (words >> np.uint64(30))) * _MIX[0]
        words = (words ^ (words >> np.uint64(27))) * _MIX[1]
    return words ^ (words >> np.uint64(31))


def codes_of(rows: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
    """Return a number for each row, the same for equal rows, from 0.

    >>> codes_of(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])).unique().tolist()
    [0, 1]
    """
    hashes = row_hashes(rows.numpy().T)
    return torch.from_numpy(np.unique(hashes, return_inverse=True)[1])
