"""Joint and product scores from a critic's score matrix."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def joint_and_product(
    matrix: Float[Tensor, "*batch n n"],
) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch m"]]:
    """Split T(x_i, y_j) into the n scores on the diagonal (P) and the m = n(n − 1) off it (Q), row by row.

    >>> import torch
    >>> joint, product = joint_and_product(torch.arange(9.0).reshape(3, 3))
    >>> joint.tolist(), product.tolist()
    ([0.0, 4.0, 8.0], [1.0, 2.0, 3.0, 5.0, 6.0, 7.0])
    """
    n = matrix.shape[-1]
    # Dropping the first entry leaves n − 1 runs of n + 1 entries that end on the diagonal: a view, not a gather.
    runs = matrix.flatten(-2)[..., 1:].unflatten(-1, (n - 1, n + 1))
    return matrix.diagonal(dim1=-2, dim2=-1), runs[..., :-1].flatten(-2)
