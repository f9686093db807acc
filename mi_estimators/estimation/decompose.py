"""Decompositions of matrices that have no bad cases: what does not converge is tried with more digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_APART = 1e-9  # of a matrix: what separates equal eigenvalues in the last resort


def decomposed(
    decompose: Callable[..., Any],
    matrix: Float[Tensor, "n m"],
    **options: Any,
) -> list[Tensor]:
    """Return the parts of a decomposition such as `torch.linalg.eigh`.

    LAPACK's fast algorithms may fail where many eigenvalues are equal, as with one row a label. Then the matrix is
    decomposed in float64, and if that fails, too, with eigenvalues set apart.

    Raises:
        ValueError: a matrix that cannot be decomposed.
    """
    for tried in _tries(matrix):
        try:
            return [part.to(matrix.dtype) for part in decompose(tried, **options)]
        except torch.linalg.LinAlgError:  # pyright: ignore[reportPrivateImportUsage]
            continue

    raise ValueError(
        f"x, y: expected columns whose {min(matrix.shape)} directions can be told apart, got ones that cannot; leave"
        " out copies of columns, or merge rare labels"
    )


def _tries(matrix: Tensor) -> Iterator[Tensor]:
    yield matrix
    wide = matrix.double()
    yield wide

    steps = torch.linspace(0, 1, min(matrix.shape), dtype=wide.dtype, device=wide.device)
    apart = torch.zeros_like(wide)
    apart.diagonal().copy_(_APART * wide.abs().max() * steps)
    yield wide + apart
