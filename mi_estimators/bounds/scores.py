"""Joint and product scores from a critic: the whole matrix of a batch, or a chosen few partners for every row.

A critic is a callable (x (n, …), y (m, …)) → scores (n, m). It may also have a method `pairs(x, y)` → (n,) that scores
row by row; `pair_scores` uses it where it is there. Which y a row of x meets as a negative is a table of indices
(k, n): `rolled` and `deranged` take the partners from the rows themselves, `resampled` from a second sample.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.func import vmap

from .. import _validate

Critic = Callable[[Tensor, Tensor], Tensor]
"""(x (n, …), y (m, …)) → scores (n, m), in nats; an optional method `pairs(x, y)` → (n,) scores row by row."""


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


def derangement(n: int, generator: torch.Generator | None = None) -> Int[Tensor, " n"]:
    """Draw a permutation of 0 … n − 1 without fixed points, all of them equally likely.

    A plain permutation keeps one positive among its "negatives" on average; a derangement keeps none. Permutations are
    drawn until one has no fixed point: e tries on average, for every n.

    Args:
        n: length, ≥ 2.
        generator: source of randomness; None means torch's global one.

    Returns:
        Shape (n,), int64.

    Raises:
        ValueError: n < 2, for which there is none.

    >>> derangement(2).tolist()
    [1, 0]
    """
    rows = torch.arange(_validate.count("n", n, low=2))
    while True:
        order = torch.randperm(n, generator=generator)
        if not bool((order == rows).any()):
            return order


def deranged(n: int, k: int, generator: torch.Generator | None = None) -> Int[Tensor, "k n"]:
    """Draw k independent derangements as a table of partners: row i of x meets y[table[:, i]].

    A pair may come twice in different rows of the table; `rolled` repeats none.

    Args, Returns, Raises: as for `derangement`; k ≥ 1 tables, shape (k, n).
    """
    return torch.stack([derangement(n, generator) for _ in range(_validate.count("k", k))])


def rolled(n: int, k: int, generator: torch.Generator | None = None) -> Int[Tensor, "k n"]:
    """Draw k distinct cyclic shifts as a table of partners: row i of x meets y_{i+s mod n}, s ≠ 0.

    No pair comes twice, and k = n − 1 gives each of the n(n − 1) product pairs once. For independent rows each entry is
    a draw from Q. Entries share rows, so that their mean is unbiased but varies more than that of as many independent
    pairs. Rows in a meaningful order (a time series) want `deranged`, or a shuffle first.

    Args:
        n: number of rows, ≥ 2.
        k: number of shifts, 1 … n − 1.
        generator: source of randomness; None means torch's global one.

    Returns:
        Shape (k, n), int64.

    Raises:
        ValueError: n < 2, or k outside 1 … n − 1.

    >>> rolled(3, 2).sort(0).values.tolist()  # everyone but oneself
    [[1, 0, 0], [2, 2, 1]]
    """
    _validate.count("n", n, low=2)
    shifts = torch.randperm(n - 1, generator=generator)[: _validate.count("k", k, high=n - 1)] + 1
    return (torch.arange(n) + shifts[:, None]) % n


def resampled(
    n: int, k: int, size: int, generator: torch.Generator | None = None
) -> Int[Tensor, "k n"]:
    """Draw partners from a second, independent sample y′ of `size` rows, without replacement within a row of the table.

    Each row of the table makes n *independent* pairs from Q, as `rolled` and `deranged` cannot, whose pairs share rows.

    Args:
        n: number of rows of x, ≥ 1.
        k: number of partners of a row, ≥ 1.
        size: number of rows of y′, ≥ n.
        generator: source of randomness; None means torch's global one.

    Returns:
        Shape (k, n), int64, indices into y′.

    Raises:
        ValueError: a count below 1, or size < n.

    >>> resampled(2, 1, 2).sort(1).values.tolist()
    [[0, 1]]
    """
    n, size = _validate.count("n", n), _validate.count("size", size, low=n)
    return torch.stack(
        [torch.randperm(size, generator=generator)[:n] for _ in range(_validate.count("k", k))]
    )


def pair_scores(
    critic: Critic, x: Shaped[Tensor, "n ..."], y: Shaped[Tensor, "n ..."]
) -> Float[Tensor, " n"]:
    """Score pairs row by row: T(x_i, y_i), in nats.

    Args:
        critic: as in this module's head. Without a method `pairs` it is mapped over single rows (torch.func.vmap): n
            evaluations of its networks, as with the method, but its forward must be traceable by vmap.
        x, y: paired rows, shapes (n, …).

    Returns:
        Shape (n,), differentiable in whatever the critic's scores are.

    Raises:
        ValueError: rows that do not pair, or `pairs` returning another shape than (n,).

    >>> pair_scores(lambda x, y: x @ y.mT, torch.eye(2), torch.tensor([[3.0, 1.0], [1.0, 4.0]])).tolist()
    [3.0, 4.0]
    """
    paired_rows(x, y, low=1)
    by_row = getattr(critic, "pairs", None)
    if by_row is None:

        def score(a: Tensor, b: Tensor) -> Tensor:
            return critic(a[None], b[None])[0, 0]

        return vmap(score, randomness="different")(x, y)
    scores = by_row(x, y)
    if scores.shape != (len(x),):
        raise ValueError(
            f"critic: expected pairs(x, y) of shape ({len(x)},), got {tuple(scores.shape)}"
        )
    return scores


def product_scores(
    critic: Critic,
    x: Shaped[Tensor, "n ..."],
    y: Shaped[Tensor, "m ..."],
    partners: Int[Tensor, "k n"],
) -> Float[Tensor, "k n"]:
    """Score each row of x with its partners: T(x_i, y[partners[s, i]]), in nats; k·n evaluations of the critic.

    A critic whose whole matrix costs n + m network evaluations (`Separable`) is better asked for that matrix.

    Args:
        critic: as for `pair_scores`.
        x: rows, shape (n, …).
        y: the rows that `partners` points into, shape (m, …): x's own ones, or a second sample.
        partners: table of indices, shape (k, n), as from `rolled`, `deranged` or `resampled`.

    Returns:
        Shape (k, n); flatten it for the `product` of a bound, transpose it for the negatives of each row.

    Raises:
        ValueError: partners of another shape, or outside y.

    >>> x = torch.eye(3)
    >>> product_scores(lambda x, y: x @ y.mT, x, x, rolled(3, 2)).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if partners.dim() != 2 or partners.shape[1] != len(x):
        raise ValueError(f"partners: expected shape (k, {len(x)}), got {tuple(partners.shape)}")
    if not bool(((partners >= 0) & (partners < len(y))).all()):
        raise ValueError(f"partners: expected indices in [0, {len(y)}), got one outside")
    k = len(partners)
    return pair_scores(
        critic, x.expand(k, *x.shape).flatten(0, 1), y[partners.flatten()]
    ).unflatten(0, (k, -1))


def paired_rows(x: Tensor, y: Tensor, low: int) -> int:
    """Return the number of rows of x if y has as many, and at least `low`."""
    if len(x) != len(y) or len(x) < low:
        raise ValueError(f"x, y: expected at least {low} paired row(s), got {len(x)} and {len(y)}")
    return len(x)
