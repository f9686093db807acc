"""An exact test of independence by trained critics: one fit, many pairings of rows that the critics never saw."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _validate
from ..estimation.estimator import MIEstimator
from .consistency import Rows, fit_clone, rows_for_halves, seeded

_GROUP = 512  # rows whose score matrix is held at once


@dataclass(frozen=True)
class PermutationTest:
    """The result of `permutation_test`.

    Attributes:
        nats: the estimate of I(X; Y) on the tested rows, from critics trained on the others.
        p_value: uniform on {1, …, permutations + 1} / (permutations + 1) if X and Y are independent.
        statistic: mean of ln σ(T) over the observed pairs of the tested rows.
        null: the same for each random pairing.
    """

    nats: float
    p_value: float
    statistic: float
    null: tuple[float, ...]

    def __str__(self) -> str:
        return f"p = {self.p_value:.3g} against independence ({self.nats:.3f} nats, {len(self.null)} random pairings)"


def permutation_test(
    x: Rows,
    y: Rows,
    estimator: MIEstimator | None = None,
    *,
    permutations: int = 200,
    seed: int = 0,
) -> PermutationTest:
    """Test whether X and Y are independent, by one fit and an exact p-value.

    The critics are trained on one half of the rows and score the other half: T(x_i, y_j) within groups of at most 512
    rows. Each y is put in a random place, so that the scores do not use the pairing. If X and Y are independent, then
    given these scores every pairing within groups is equally likely, whatever the critics are. So the mean of ln σ(T)
    over the observed pairing has a uniform rank among those of random pairings. Ties are ranked at random, so this also
    holds if all scores are equal. The p-value is rank / (permutations + 1), and p ≤ α has probability exactly α for
    each multiple α of 1/(permutations + 1).

    The halves are not swapped to use every row twice, because a sum over two swapped halves has no such law: a chance
    correlation in half 1 trains the critic that reads half 2, and is itself read by the critic trained on half 2, so
    the two errors are dependent. For a critic that is the sign of the correlation, a nominal 5 % becomes 9 %.

    Args:
        x, y: paired rows, shape (n,) or (n, d), numpy arrays or tensors; n ≥ 128. They must be exchangeable (no time
            series).
        estimator: settings of the critics; it is cloned, not changed. None means `MIEstimator()`.
        permutations: number of random pairings, ≥ 1; the smallest p-value is 1 / (permutations + 1).
        seed: fixes the halves and the pairings; the estimator has its own seed.

    Returns:
        A `PermutationTest`.

    Raises:
        ValueError: halves that `MIEstimator.fit` would refuse, scores that are not finite, or an argument out of its
            range; the message names it.

    Reference: Hemerik & Goeman 2018, theorem 2 (random permutations); Lopez-Paz & Oquab 2017 (trained statistics).

    >>> from mi_estimators import laws
    >>> x, y = laws.Gaussian(0.9).sample(400, torch.Generator().manual_seed(0))
    >>> permutation_test(x, y, MIEstimator(steps=50, folds=2), permutations=99).p_value
    0.01
    """
    x, y = rows_for_halves(x, y)
    generator = seeded(seed)
    _validate.count("permutations", permutations)
    train, test = torch.randperm(len(x), generator=generator).tensor_split(2)
    fitted = fit_clone(estimator, x[train], y[train])
    nats = fitted.estimate(x[test], y[test]).nats
    statistic, *null = pairing_statistics(
        fitted.score_matrix, x[test], y[test], permutations, generator
    )
    above, ties = (
        sum(value > statistic for value in null),
        sum(value == statistic for value in null),
    )
    rank = 1 + above + int(torch.randint(ties + 1, (), generator=generator))
    return PermutationTest(nats, rank / (permutations + 1), statistic, tuple(null))


def pairing_statistics(
    score_matrix: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    permutations: int,
    generator: torch.Generator,
) -> list[float]:
    """Return the mean of ln σ(T) over the rows as they are paired, then under each random pairing within groups."""
    totals = torch.zeros(permutations + 1, dtype=torch.float64)
    for group in torch.arange(len(x)).tensor_split(math.ceil(len(x) / _GROUP)):
        size = len(group)
        places = torch.randperm(size, generator=generator)
        scores = score_matrix(
            x[group], y[group[places.argsort()]]
        ).double()  # y_i is column places[i]
        if not bool(torch.isfinite(scores).all()):
            raise ValueError(
                "estimator: expected finite scores of the tested rows, got NaN or infinity"
            )
        random = torch.rand(permutations, size, generator=generator, dtype=torch.float64).argsort(
            -1
        )
        pairings = torch.cat([places[None], random])
        totals += torch.nn.functional.logsigmoid(scores)[torch.arange(size), pairings].sum(-1)
    return (totals / len(x)).tolist()
