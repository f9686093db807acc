"""Joint and product scores of a batch, and permutations that pair every row with another one's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import _validate

Critic = Callable[[Tensor, Tensor], Tensor]
"""(x (n, …), y (m, …)) → scores (n, m), in nats."""


def joint_and_product(
    matrix: Float[Tensor, "*batch n n"],
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch m"]]:
    """Split T(x_i, y_j) into the n scores on the diagonal (P) and the m = n(n − 1) off it (Q), row by row.

    Args:
        matrix: scores of all pairs, positives on the diagonal, shape (..., n, n), in nats.

    Returns:
        Views of shapes (..., n) and (..., n(n − 1)).

    Raises:
        ValueError: a matrix that is not square.

    >>> import torch
    >>> joint, product = joint_and_product(torch.arange(9.0).reshape(3, 3))
    >>> joint.tolist(), product.tolist()
    ([0.0, 4.0, 8.0], [1.0, 2.0, 3.0, 5.0, 6.0, 7.0])
    """
    n = matrix.shape[-1]
    if matrix.shape[-2:] != (n, n):
        raise ValueError(
            f"matrix: expected square matrices in the last two dimensions, got {tuple(matrix.shape)}"
        )

    # Dropping the first entry leaves n − 1 runs of n + 1 entries that end on the diagonal: a view, not a gather.
    runs = matrix.flatten(-2)[..., 1:].unflatten(-1, (n - 1, n + 1))
    return matrix.diagonal(dim1=-2, dim2=-1), runs[..., :-1].flatten(-2)


def derangement(
    n: int,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " n"]:
    """Draw a permutation of 0 … n − 1 without fixed points, all of them equally likely.

    A plain permutation keeps one true pair on average; a derangement keeps none. Permutations are drawn until one has
    no fixed point: e tries on average, for every n.

    Args:
        n: length, ≥ 2.
        generator: source of randomness; None means torch's global one.

    Returns:
        Shape (n,), int64.

    Raises:
        ValueError: n < 2.

    >>> derangement(2).tolist()
    [1, 0]
    """
    rows = torch.arange(_validate.count("n", n, low=2))
    while True:
        order = torch.randperm(n, generator=generator)
        if not bool((order == rows).any()):
            return order


def paired_rows(x: Tensor, y: Tensor, low: int) -> int:
    """Return the number of rows of x if y has as many, and at least `low`."""
    if len(x) != len(y) or len(x) < low:
        raise ValueError(f"x, y: expected at least {low} paired row(s), got {len(x)} and {len(y)}")
    return len(x)
