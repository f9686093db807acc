"""Held-out values over more pairs than memory holds: rows are scored in blocks, and each leaves a few numbers behind.

What a row leaves behind is exact, because of what the bounds are: those of the table of f-divergences and InfoNCE are
means over rows; Donsker–Varadhan cannot tell a row's negatives from one negative with their log-mean-exp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from .. import _validate
from .divergences import DIVERGENCES
from .expectation import log_mean_exp, mean
from .scores import Critic, paired_rows
from .variational import Bound, dv, infonce_rows

_SCORES = 2**22  # scores of one block, at most: what bounds the memory


@dataclass(frozen=True)
class StreamedValues:
    """Bounds of one critic on one sample, over all its positives and their negatives.

    Attributes:
        values: bound → value, in nats.
        effective_sample_size: 1/Σ w² over all negatives, w ∝ eᵀ.
        rows: number of positives.
        negatives: number of negatives of each row.
    """

    values: dict[str, float]
    effective_sample_size: float
    rows: int
    negatives: int


def score_blocks(
    critic: Critic,
    x: Shaped[Tensor, "n ..."],
    y: Shaped[Tensor, "n ..."],
    *,
    negatives: int | None = None,
    block: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Score the rows block by block: row i with its own y_i, and with the `negatives` rows after it, cyclically.

    With all n − 1 negatives that is every product pair once. With k of them a block of b rows meets b + k rows of y, so
    that the networks of a separable critic run 2 + k/b times a row, and (b + k)/k scores are computed for one used.
    Rows must be in no meaningful order: neighbours are taken for independent.

    Args:
        critic: callable (x, y) → (n, m).
        x, y: paired rows, shapes (n, …), n ≥ 2.
        negatives: 1 … n − 1; None means all n − 1.
        block: rows of a block; None means as many as negatives, at least 64, at most what makes 2²² scores.

    Yields:
        (joint (b,), product (b, negatives)): the scores of consecutive rows, in nats.

    Raises:
        ValueError: rows that do not pair, fewer than two, or a count out of range.
    """
    n = paired_rows(x, y, low=2)
    k = n - 1 if negatives is None else _validate.count("negatives", negatives, high=n - 1)
    if block is None:
        block = max(1, min(max(k, 64), _SCORES // (k + 64)))
    for start in range(0, n, _validate.count("block", block)):
        rows = torch.arange(start, min(start + block, n), device=x.device)
        own = rows - start
        columns = (start + torch.arange(len(rows) + k, device=y.device)) % n
        scores = critic(x[rows], y[columns])
        band = scores.gather(
            1, own[:, None] + torch.arange(k + 1, device=own.device)
        )  # row r, columns r … r + k
        yield band[:, 0], band[:, 1:]


def _rows_of(bound: Bound) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the value of a bound on each row: one positive against its negatives."""
    return lambda joint, product: bound(joint.unsqueeze(-1), product)


# bound: (what a row leaves behind, the value from the positives and what all rows left)
_STREAMED: dict[
    str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]
] = {
    "dv": (lambda _, product: log_mean_exp(product), dv),
    "infonce": (infonce_rows, lambda _, rows: mean(rows)),
    **{name: (_rows_of(row), lambda _, rows: mean(rows)) for name, row in DIVERGENCES.items()},
}


@torch.no_grad()
def streamed_values(
    critic: Critic,
    x: Shaped[Tensor, "n ..."],
    y: Shaped[Tensor, "n ..."],
    bounds: Sequence[str] = ("dv", "nwj", "js", "infonce"),
    *,
    negatives: int | None = None,
    block: int | None = None,
    generator: torch.Generator | None = None,
) -> StreamedValues:
    """Evaluate bounds of a critic over all n·(n − 1) product pairs, or k·n of them, in memory that grows as n alone.

    The values are those of the whole score matrix: no average over blocks is taken, and the normaliser of "dv" is one.
    Scores are read in float64.

    Args:
        critic: callable (x, y) → (n, m), in nats.
        x, y: paired rows, shapes (n, …), n ≥ 2.
        bounds: of "dv", "infonce" and the rows of `DIVERGENCES`; "infonce" has negatives + 1 candidates.
        negatives: negatives of each row, 1 … n − 1, drawn by shuffling the rows once; None means all n − 1, whose time
            grows as n².
        block: as for `score_blocks`.
        generator: source of the shuffle; None means torch's global one. All n − 1 negatives need no shuffle.

    Returns:
        `StreamedValues`.

    Raises:
        ValueError: an unknown bound, non-finite scores, or as for `score_blocks`.

    Theorem: dv_representation, infonce_ceiling.

    >>> found = streamed_values(lambda x, y: 100 * x @ y.mT, torch.eye(8), torch.eye(8), ["infonce"], block=3)
    >>> round(found.values["infonce"], 4), round(found.effective_sample_size, 6)  # ln 8, and all negatives alike
    (2.0794, 56.0)
    """
    for name in bounds:
        _validate.choice("bounds", name, _STREAMED)
    n = paired_rows(x, y, low=2)
    if negatives is not None:
        order = torch.randperm(n, generator=generator)
        x, y = x[order], y[order]
    left: dict[str, list[Tensor]] = {name: [] for name in bounds}
    positives, first, second, k = [], [], [], n - 1
    for joint, product in score_blocks(critic, x, y, negatives=negatives, block=block):
        joint, product = joint.double(), _validate.scores("product", product.double())
        k = product.shape[-1]
        positives.append(joint)
        first.append(log_mean_exp(product))
        second.append(log_mean_exp(2 * product))
        for name in bounds:
            left[name].append(_STREAMED[name][0](joint, product))
    joint = _validate.scores("joint", torch.cat(positives))
    values = {name: float(_STREAMED[name][1](joint, torch.cat(left[name]))) for name in bounds}
    log_fraction = 2 * log_mean_exp(torch.cat(first)) - log_mean_exp(torch.cat(second))
    return StreamedValues(values, math.exp(float(log_fraction) + math.log(n) + math.log(k)), n, k)
