"""An exact test of independence by trained critics: one fit, many pairings of rows that the critics never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _validate
from ..estimation.estimator import MIEstimator
from ..estimation.grouping import Groups, aligned_groups, rows_of_groups
from ..estimation.pairs import sample_of
from ..estimation.reasons import reasons_of_rows
from ..estimation.sides import varying
from .consistency import Rows, fit_clone, rows_for_halves, seeded

_SET = 512  # rows, or groups, whose score matrix is held at once


@dataclass(frozen=True)
class PermutationTest:
    """The result of `permutation_test`.

    Attributes:
        nats: the estimate of I(X; Y) on the tested rows, from critics trained on the others.
        p_value: uniform on {1, …, permutations + 1} / (permutations + 1) if X and Y are independent.
        statistic: mean of ln σ(T) over the observed pairs of the tested rows.
        null: the same for each random pairing.
        warnings: what speaks against the p-value: rows that depend on one another, or copies, without groups.
    """

    nats: float
    p_value: float
    statistic: float
    null: tuple[float, ...]
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        result = (
            f"p = {self.p_value:.3g} against independence ({self.nats:.3f} nats,"
            f" {len(self.null)} random pairings)"
        )
        return "\n  ".join([result, *self.warnings])


def permutation_test(
    x: Rows,
    y: Rows,
    estimator: MIEstimator | None = None,
    *,
    permutations: int = 200,
    seed: int = 0,
    groups: Groups = None,
) -> PermutationTest:
    """Test whether X and Y are independent, by one fit and an exact p-value.

    The critics are trained on one half of the rows and score the other half: T(x_i, y_j) within sets of at most 512
    rows. Each y is put in a random place, so that the scores do not use the pairing. If X and Y are independent, then
    given these scores every pairing within sets is equally likely, whatever the critics are. So the mean of ln σ(T)
    over the observed pairing has a uniform rank among those of random pairings. Ties are ranked at random, so this also
    holds if all scores are equal. The p-value is rank / (permutations + 1), and p ≤ α has probability exactly α for
    each multiple α of 1/(permutations + 1).

    With `groups` whole groups change partners: the k-th row of a group meets the k-th row of another. The null
    hypothesis is that the rows of x in a group, taken together, are independent of its rows of y, and that groups are
    independent draws. Within a group anything may depend on anything, as in a time series, and what all groups share at
    the same position (a trend) is no dependence. Groups of equal size stay whole. Others are put beside groups of
    similar size and cut to a common length. Then the p-value is exact if the first rows of a large group are
    distributed as those of a small one. Contiguous blocks of a time series are independent only as far as its memory is
    shorter than a block.

    The halves are not swapped to use every row twice, because a sum over two swapped halves has no such law: a chance
    correlation in half 1 trains the critic that reads half 2, and is itself read by the critic trained on half 2, so
    the two errors are dependent. For a critic that is the sign of the correlation, a nominal 5 % becomes 9 %.

    Args:
        x, y: paired rows, as for `estimate_mi`; n ≥ 128. Without groups they must be exchangeable (no time series).
        estimator: settings of the critics; it is cloned, not changed. None means `MIEstimator()`.
        permutations: number of random pairings, ≥ 1; the smallest p-value is 1 / (permutations + 1).
        seed: fixes the halves and the pairings; the estimator has its own seed.
        groups: rows that depend on one another, as for `estimate_mi`: a label for each row, or a block length. Both
            halves need enough groups for a fit, twelve for each of the estimator's folds in all.

    Returns:
        A `PermutationTest`. Where a side is constant in the rows for training, the critics are zero and p is random.

    Raises:
        ValueError: halves that `MIEstimator.fit` would refuse, scores that are not finite, or an argument out of its
            range; the message names it.

    Reference: Hemerik & Goeman 2018, theorem 2 (random permutations); Lopez-Paz & Oquab 2017 (trained statistics);
        whole groups: Winkler et al. 2015, NeuroImage 123.

    >>> from mi_estimators import laws
    >>> x, y = laws.Gaussian(0.9).sample(400, torch.Generator().manual_seed(0))
    >>> permutation_test(x, y, MIEstimator(steps=50, folds=2), permutations=99).p_value
    0.01
    """
    x, y, labels = rows_for_halves(x, y, estimator, groups)
    generator = seeded(seed)
    _validate.count("permutations", permutations)

    parts = torch.randperm(int(labels.max()) + 1, generator=generator).tensor_split(2)
    train, test = (rows_of_groups(labels, part) for part in parts)
    if groups is not None:
        train, test = train.sort().values, test.sort().values  # pairings go by position in a group

    own = None if groups is None else labels[test]

    if all(bool(varying(side[train]).any()) for side in (x, y)):
        fitted = fit_clone(estimator, x[train], y[train], None if groups is None else labels[train])
        score_matrix, nats = fitted.score_matrix, fitted.estimate(x[test], y[test]).nats
    else:
        score_matrix, nats = _no_scores, 0.0

    statistic, *null = pairing_statistics(
        score_matrix, x[test], y[test], permutations, generator, own
    )
    above, ties = (
        sum(value > statistic for value in null),
        sum(value == statistic for value in null),
    )
    rank = 1 + above + int(torch.randint(ties + 1, (), generator=generator))
    reasons = reasons_of_rows(sample_of(x, y, None if groups is None else labels))

    return PermutationTest(
        nats, rank / (permutations + 1), statistic, tuple(null), tuple(reasons.values())
    )


def _no_scores(x: Tensor, y: Tensor) -> Tensor:
    """Return the scores of a critic that learned nothing."""
    return torch.zeros(len(x), len(y))


def pairing_statistics(
    score_matrix: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    permutations: int,
    generator: torch.Generator,
    labels: Tensor | None = None,
) -> list[float]:
    """Return the mean of ln σ(T) over the rows as they are paired, then under each random pairing of groups."""
    totals, pairs = torch.zeros(permutations + 1, dtype=torch.float64), 0
    labels = torch.arange(len(x)) if labels is None else labels.unique(return_inverse=True)[1]

    for block in aligned_groups(labels, generator, _SET):
        size, length = block.shape
        places = torch.randperm(size, generator=generator)  # group i is column places[i]

        rewards = torch.zeros(size, size, dtype=torch.float64)
        for rows in block.T:
            scores = score_matrix(x[rows], y[rows[places.argsort()]]).double()
            if not bool(torch.isfinite(scores).all()):
                raise ValueError(
                    "estimator: expected finite scores of the tested rows, got NaN or infinity"
                )
            rewards += torch.nn.functional.logsigmoid(scores)

        draws = torch.rand(permutations, size, generator=generator, dtype=torch.float64)
        pairings = torch.cat([places[None], draws.argsort(-1)])
        totals += rewards[torch.arange(size), pairings].sum(-1)
        pairs += size * length

    return (totals / pairs).tolist()
