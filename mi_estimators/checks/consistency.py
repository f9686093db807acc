"""Self-consistency: an estimator tested on the user's own rows, without the true value.

Some laws of mutual information can be checked without the true value. It is 0 when the rows of y are shuffled; a
function of y adds nothing beside y; two independent copies have twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from ..bounds.scores import derangement
from ..estimation.estimate import MIEstimate
from ..estimation.estimator import MIEstimator
from ..estimation.grouping import Groups, aligned_groups, group_labels
from ..estimation.pairs import paired_rows
from ..estimation.sides import fit_side
from ..estimation.tables import Rows
from ..estimation.transforms import middle_ranks

_LEVEL = 3.0  # standard errors
_ROUNDING = 1e-6  # nats

Coarsen = Callable[[Tensor], Rows]
"""A function of the rows y (n, d) in float64, row by row → (n,) or (n, d′)."""


@dataclass(frozen=True)
class Check:
    """One law of mutual information, checked.

    Attributes:
        law: what is checked.
        value: nats for `independence`, a ratio otherwise.
        expected: what the law says.
        stderr: standard error of `value` given the trained critics.
        relation: "=", or "≤" where the law is an inequality.
        tolerance: deviation that always passes, in units of `expected` (nats where it is 0).
    """

    law: str
    value: float
    expected: float
    stderr: float
    relation: str = "="
    tolerance: float = 0.05

    @property
    def z(self) -> float:
        """The deviation in standard errors; ±inf where there is one and the standard error is 0."""
        apart = self.value - self.expected
        return (
            apart / self.stderr
            if self.stderr > 0
            else math.copysign(math.inf, apart)
            if apart
            else 0.0
        )

    @property
    def ok(self) -> bool:
        """Whether the deviation is within 3 standard errors or the tolerance."""
        apart = self.value - self.expected
        slack = max(_LEVEL * self.stderr, self.tolerance * (self.expected or 1.0))
        return apart <= slack and (self.relation == "≤" or apart >= -slack)


@dataclass(frozen=True)
class SelfConsistency:
    """The checks of `self_consistency`; prints as a table.

    Attributes:
        estimate: of I(X; Y) on all rows, the denominator of the ratios.
        checks: one for each law.
    """

    estimate: MIEstimate
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all checks are."""
        return all(check.ok for check in self.checks)

    def __str__(self) -> str:
        lines = [
            f"{self.estimate.estimator.name}: {self.estimate.nats:.3f} ± {self.estimate.stderr:.3f} nats,"
            f" verdict: {self.estimate.verdict}",
            f"{'law':<31}{'value':>9}{'expected':>10}{'stderr':>9}{'z':>8}  ok",
        ]

        for c in self.checks:
            expected = f"{c.relation} {c.expected:.0f}"
            numbers = f"{c.value:>9.3f}{expected:>10}{c.stderr:>9.3f}{c.z:>+8.1f}"
            lines.append(f"{c.law:<31}{numbers}  {'yes' if c.ok else 'no'}")

        return "\n".join(lines)


def independence(
    x: Rows,
    y: Rows,
    estimator: MIEstimator | None = None,
    *,
    seed: int = 0,
    groups: Groups = None,
) -> Check:
    """Check that I(X; Y shuffled) = 0: estimate the information, in nats, of rows that are paired at random.

    Args:
        x, y: paired rows, as for `estimate_mi`; n ≥ 64.
        estimator: settings of the critics; it is cloned, not changed. None means `MIEstimator()`. A critic of your own
            must be a function, not a module, because the other checks change the number of columns.
        seed: fixes the shuffle.
        groups: rows that depend on one another, as for `estimate_mi`. Whole groups change partners, those of similar
            size cut to a common length; the pairs of two groups are one group.

    Returns:
        The check of the estimate against 0.

    Raises:
        ValueError: as for `MIEstimator.fit`, or an estimator of another type.

    Reference: Song & Ermon 2020, section 3, property 1.

    >>> from mi_estimators import laws
    >>> x, y = laws.Gaussian(0.9).sample(400, torch.Generator().manual_seed(0))
    >>> independence(x, y, MIEstimator(steps=50, folds=2)).ok
    True
    """
    x, y, labels = paired_rows(x, y, groups, discrete=_discrete(estimator))
    generator = seeded(seed)
    rows = [
        (block, block[derangement(len(block), generator)])
        for block in aligned_groups(labels, generator, len(x))
    ]
    first, second, pairs = _paired_groups(rows)
    own = None if groups is None else pairs
    shuffled = fit_clone(estimator, x[first], y[second], own).estimate_

    return Check("I(X; Y shuffled)", shuffled.nats, 0.0, shuffled.stderr)


def _paired_groups(blocks: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows of groups that stand side by side, of the first and of the second, and the number of the pair."""
    first = torch.cat([one.flatten() for one, _ in blocks])
    second = torch.cat([other.flatten() for _, other in blocks])
    lengths = torch.cat([torch.full((len(one),), one.shape[1]) for one, _ in blocks])
    return first, second, torch.arange(len(lengths)).repeat_interleave(lengths)


def self_consistency(
    x: Rows,
    y: Rows,
    estimator: MIEstimator | None = None,
    seed: int = 0,
    *,
    coarsen: Coarsen | None = None,
    groups: Groups = None,
) -> SelfConsistency:
    """Check an estimator against four laws of mutual information on these rows, by five fits.

    | law | how |
    |---|---|
    | I(X; Y shuffled) = 0 | the rows of y are paired at random (`independence`) |
    | I(X; [Y, h(Y)]) = I(X; Y) | a function h(y) beside y adds nothing |
    | I(X; h(Y)) ≤ I(X; Y) | h(y) alone holds no more than y |
    | I([X, X′]; [Y, Y′]) = 2 I(X; Y) | two halves of the rows, side by side, are independent copies |

    The last three are ratios to I(X; Y). The standard error of a ratio ignores the covariance of numerator and
    denominator. This covariance is mostly positive, so the standard error is too large rather than too small.

    Passing is necessary, not sufficient: an estimator that is wrong by a constant factor passes. A lower bound that
    saturates (`infonce` at ln K) fails only the last law.

    Args:
        x, y, estimator, seed: as for `independence`; n ≥ 128. The seed also fixes the halves.
        coarsen: the function h of the rows y (n, d), row by row. None drops the last half of y's columns; a single
            column is replaced by the quarter of the sample (0 to 3) that each entry's mid-rank falls into.
        groups: as for `independence`. The two independent copies are two halves of the groups.

    Returns:
        A `SelfConsistency`; print it for the table.

    Raises:
        ValueError: as for `independence`; fewer than 128 rows; h(y) of another number of rows or without a column that
            varies; or an estimate of I(X; Y) within 2 standard errors of 0, where a ratio has no meaning.

    Reference: Song & Ermon 2020, section 3.
    """
    x, y, _ = rows_for_halves(x, y, estimator, groups)
    whole = fit_clone(estimator, x, y, groups).estimate_
    ratios = (
        *data_processing(x, y, estimator, whole, coarsen, groups),
        additivity(x, y, estimator, whole, seed, groups),
    )
    alone = independence(x, y, estimator, seed=seed, groups=groups)

    return SelfConsistency(whole, (alone, *ratios))


def data_processing(
    x: Tensor,
    y: Tensor,
    estimator: MIEstimator | None,
    whole: MIEstimate,
    coarsen: Coarsen | None,
    groups: Groups = None,
) -> tuple[Check, Check]:
    """Check I(X; [Y, h(Y)]) and I(X; h(Y)) against the estimate of I(X; Y) on the same rows."""
    _check_denominator(whole)
    coarse = fit_side("coarsen", _coarser(y) if coarsen is None else coarsen(y.clone()))[1]
    if len(coarse) != len(y):
        raise ValueError(f"coarsen: expected as many rows as y ({len(y)}), got {len(coarse)}")

    both = fit_clone(estimator, x, torch.cat([y, coarse], 1), groups).estimate_
    alone = fit_clone(estimator, x, coarse, groups).estimate_
    return (
        _ratio("I(X; [Y, h(Y)]) / I(X; Y)", both, whole, 1.0),
        _ratio("I(X; h(Y)) / I(X; Y)", alone, whole, 1.0, "≤"),
    )


def additivity(
    x: Tensor,
    y: Tensor,
    estimator: MIEstimator | None,
    whole: MIEstimate,
    seed: int,
    groups: Groups = None,
) -> Check:
    """Check I([X, X′]; [Y, Y′]) of two halves side by side against the estimate of I(X; Y) on all rows."""
    _check_denominator(whole)
    generator, labels = seeded(seed), group_labels(groups, len(x))

    halves = []
    for block in aligned_groups(labels, generator, len(x)):
        half = len(block) // 2
        order = torch.randperm(len(block), generator=generator)[: 2 * half]
        halves.append(tuple(block[order].tensor_split(2)))

    first, second, pairs = _paired_groups(halves)

    twice_x, twice_y = (torch.cat([values[first], values[second]], 1) for values in (x, y))
    own = None if groups is None else pairs
    double = fit_clone(estimator, twice_x, twice_y, own).estimate_

    return _ratio("I([X, X′]; [Y, Y′]) / I(X; Y)", double, whole, 2.0)


def _check_denominator(whole: MIEstimate) -> None:
    if whole.nats <= max(2 * whole.stderr, _ROUNDING):
        raise ValueError(
            "x, y: expected an estimate of I(X; Y) more than 2 standard errors above 0, since the checks divide by it,"
            f" got {whole.nats:.3g} ± {whole.stderr:.3g} nats; `checks.independence` does not divide"
        )


def _ratio(
    law: str, above: MIEstimate, below: MIEstimate, expected: float, relation: str = "="
) -> Check:
    """Return the ratio of two estimates, its standard error by the delta method without their covariance."""
    value = above.nats / below.nats
    return Check(
        law, value, expected, math.hypot(above.stderr, value * below.stderr) / below.nats, relation
    )


def _coarser(y: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
    """Return the first half of the columns, or of a single column the quarter that each entry's mid-rank is in."""
    if y.shape[1] > 1:
        return y[:, : (y.shape[1] + 1) // 2]
    column = y[:, 0].contiguous()

    # Never constant: the extremes are half the ranks apart.
    return (4 * middle_ranks(column.sort().values, column)).floor().unsqueeze(1)


def rows_for_halves(
    x: Rows,
    y: Rows,
    estimator: MIEstimator | None,
    groups: Groups,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return paired rows, enough of them to fit an estimator to one half, and each row's group."""
    x, y, labels = paired_rows(x, y, groups, discrete=_discrete(estimator))
    if len(x) < 128:
        raise ValueError(f"x, y: expected at least 128 rows to cut in halves, got {len(x)}")
    return x, y, labels


def _discrete(estimator: MIEstimator | None) -> str | None:
    """Return which sides are labels: they are read once, since a half may lack some."""
    return getattr(estimator, "discrete", None)


def seeded(seed: int) -> torch.Generator:
    """Return a generator of randomness from an integer in [0, 2³²)."""
    return torch.Generator().manual_seed(_validate.count("seed", seed, low=0, high=2**32 - 1))


def fit_clone(
    estimator: MIEstimator | None, x: Tensor, y: Tensor, groups: Groups = None
) -> MIEstimator:
    """Fit a clone, so that the estimator given stays as it is."""
    if estimator is None:
        return MIEstimator().fit(x, y, groups)
    if not isinstance(estimator, MIEstimator):
        raise ValueError(f"estimator: expected an MIEstimator, got {type(estimator).__name__}")
    params: dict[str, Any] = {**estimator.get_params(), "discrete": None}

    return type(estimator)(**params).fit(x, y, groups)
