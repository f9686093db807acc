"""Estimators: a named pair of what is ascended and what is reported. Value and gradient are different things.

What has no row, and why:

* TUBA, `nwj` of T − ln a(x), and FLO, a case of it. A second network would learn the baseline that one critic and its
  calibration already give. With a constant baseline it is a shift, and the best shift gives `dv`.
* `interpolated` (I_α). It lies between the rows `nwj` and `infonce`; its α trades the variance of one for the bias of
  the other, and `bridge` avoids both.
* Relative versions of the other bounds. The weights of `js` are bounded anyway, and that of `nwj` differs from
  `relative` by a shift that `bridge` takes off.
* CLUB, which cannot be ascended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from .._validate import unchecked
from ..bounds.bennett import bridge
from ..bounds.divergences import DIVERGENCES
from ..bounds.expectation import expectation
from ..bounds.objectives import logistic, mine
from ..bounds.readouts import certificate, jsd_certificate, plug_in
from ..bounds.relative import log_ratio_to_relative, relative
from ..bounds.variational import Bound, anchored_dv, dv, infonce_rows, smile

Objective = Callable[..., tuple[Tensor, Any]]
"""(joint (n,), product (n, k), state or None) → (what is ascended, the next state)."""


def over_rows(bound: Bound) -> Bound:
    """Turn a bound of (joint, product) into one of k negatives to each positive.

    The result takes joint (n,), product (n, k), log_p (n,), and the log-weights (n, k) of the pairs up to a common
    constant. It does not check them, because it stands in training loops.
    """
    bound = unchecked(bound)

    def value(
        joint: Tensor, product: Tensor, log_p: Tensor | None = None, log_pairs: Tensor | None = None
    ) -> Tensor:
        log_q = None if log_pairs is None else log_pairs.flatten().log_softmax(-1)
        return bound(joint, product.flatten(), log_p=log_p, log_q=log_q)

    return value


def infonce_over_rows(
    joint: Tensor, product: Tensor, log_p: Tensor | None = None, log_pairs: Tensor | None = None
) -> Tensor:
    """Evaluate `infonce` on k negatives to each positive: K = k + 1 candidates.

    The arguments are those of a function that `over_rows` returns: both weights or neither, none of them zero, and
    every row of the sample in as many pairs as any other.

    >>> from mi_estimators import infonce
    >>> from mi_estimators.bounds.scores import joint_and_product
    >>> scores = torch.randn(5, 5, dtype=torch.float64)
    >>> joint, product = joint_and_product(scores)
    >>> torch.testing.assert_close(infonce_over_rows(joint, product.view(5, 4)), infonce(scores))
    """
    if log_p is None or log_pairs is None:
        return expectation(infonce_rows(joint, product))

    # Pair (i, j) weighs w_i w_j times a constant, the positive itself w_i² times it. Where every row is in as many
    # pairs as any other, the mean of ln w_i w_j over pairs is twice that of ln w_i, which tells the constant.
    own = 2 * (log_p - log_p.mean(-1, keepdim=True)) + log_pairs.mean()
    weights = torch.cat([own.unsqueeze(-1), log_pairs], -1).log_softmax(-1)

    return expectation(infonce_rows(joint, product, weights), log_p)


READOUTS: dict[str, Bound] = {
    "dv": over_rows(dv),
    "nwj": over_rows(DIVERGENCES["nwj"]),
    "anchored_dv": over_rows(anchored_dv()),
    "infonce": infonce_over_rows,
    "jsd_certificate": over_rows(jsd_certificate),
    "certificate": over_rows(certificate),
    "bridge": over_rows(bridge),
    "smile": over_rows(smile),
    "plug_in": over_rows(plug_in),
}
"""Every number that is read from the same scores of n positives and k negatives to each."""


def _ascend(value: Bound) -> Objective:
    """Ascend a value that is read from the rows' scores."""

    def objective(
        joint: Tensor,
        product: Tensor,
        state: None = None,
    ) -> tuple[Tensor, None]:
        return value(joint, product), state

    return objective


def _mine(
    joint: Tensor,
    product: Tensor,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Ascend DV along MINE's corrected gradient."""
    return unchecked(mine)(joint, product.flatten(), state)


def _relative(bound: Bound, mix: float) -> Objective:
    """Ascend a bound of the relative ratio, of which a plain critic T ≈ ln r is the unbounded coordinate."""
    mixed, to_relative = unchecked(relative(bound, mix)), unchecked(log_ratio_to_relative)

    def objective(
        joint: Tensor,
        product: Tensor,
        state: None = None,
    ) -> tuple[Tensor, None]:
        product = product.flatten()
        return mixed(to_relative(joint, mix), to_relative(product, mix)), state

    return objective


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A row of `ESTIMATORS`.

    Attributes:
        name: key of the row.
        objective: what is ascended, a function of the scores of n positives and of k negatives to each.
        reported: what is read, in nats, from held-out scores of the same form and log-weights of the pairs.
        kind: "lower" (a population lower bound of I), "upper" or "neither".
        cap: the largest value it can report, as text, or "none".
        bias: in which direction the reported value errs at a fixed critic, as text.
        use: when to use it.
        reference: source.
        averages_exp: whether the reported value rests on an average of eᵀ over the negatives.
        calibrated: whether training makes the critic the log-ratio itself, its constant included.
        negatives: number of negatives to a positive in training, for a critic that scores pair by pair.
    """

    name: EstimatorName
    objective: Objective
    reported: Bound
    kind: str
    cap: str = "none"
    bias: str
    use: str
    reference: str
    averages_exp: bool = False
    calibrated: bool = False
    negatives: int = 7

    def __reduce__(self) -> Any:
        """Pickle a row of the table by its name: its functions are closures."""
        if ESTIMATORS.get(self.name) is self:
            return _row, (self.name,)
        return super().__reduce__()


def _row(name: EstimatorName) -> Estimator:
    return ESTIMATORS[name]


def _js_at_odds(
    joint: Tensor,
    product: Tensor,
    state: None = None,
) -> tuple[Tensor, None]:
    """Ascend `logistic` at the true odds of a sample: 1 to the k negatives of each positive. `js` is at 1 to 1."""
    return unchecked(logistic)(joint, product.flatten(), product.shape[-1]), state


_JS = _js_at_odds
_UP = "up, when the effective sample size of the negatives is small"
_JENSEN = "up, by about Var_Q(eᵀ)/(2M (E_Q eᵀ)²)"

EstimatorName = Literal[
    "js",
    "js_dv",
    "js_nwj",
    "js_plug_in",
    "js_certificate",
    "smile",
    "dv",
    "mine",
    "nwj",
    "anchored_dv",
    "infonce",
    "relative",
]
"""Keys of `ESTIMATORS`, which editors complete and type checkers know."""

ESTIMATORS: dict[EstimatorName, Estimator] = {
    row.name: row
    for row in (
        Estimator(
            name="js",
            objective=_JS,
            reported=READOUTS["bridge"],
            kind="neither",
            bias="in either direction, by the error of the critic; that of dv where there are enough rows for dv",
            use="the default: the steadiest gradient; the value agrees with dv where dv is sound, and is steady beyond",
            reference="Hjelm et al. 2019; Bennett 1976",
            calibrated=True,
        ),
        Estimator(
            name="js_dv",
            objective=_JS,
            reported=READOUTS["dv"],
            kind="lower",
            bias=_UP,
            use="a lower bound up to about 4 nats, from a critic trained with the steadiest gradient",
            reference="Hjelm et al. 2019; Poole et al. 2019",
            averages_exp=True,
            calibrated=True,
        ),
        Estimator(
            name="js_nwj",
            objective=_JS,
            reported=READOUTS["nwj"],
            kind="lower",
            bias="none",
            use="a lower bound that is unbiased on samples, at low information",
            reference="Poole et al. 2019, section 2.4",
            averages_exp=True,
            calibrated=True,
        ),
        Estimator(
            name="js_plug_in",
            objective=_JS,
            reported=READOUTS["plug_in"],
            kind="neither",
            bias="that of the critic",
            use="a smooth number to read beside js_dv: where they differ, the critic is not a log-ratio",
            reference="Suzuki et al. 2008",
            calibrated=True,
        ),
        Estimator(
            name="js_certificate",
            objective=_JS,
            reported=READOUTS["jsd_certificate"],
            kind="lower",
            bias="up (convex in js); 0 where js is not positive",
            use="a lower bound that averages no exponential of a score; loose for Gaussians",
            reference="Harremoës & Vajda 2011",
        ),
        Estimator(
            name="smile",
            objective=_JS,
            reported=READOUTS["smile"],
            kind="neither",
            bias="up, above about 2τ nats",
            use="comparison with published staircases",
            reference="Song & Ermon 2020",
            calibrated=True,
        ),
        Estimator(
            name="dv",
            objective=_ascend(READOUTS["dv"]),
            reported=READOUTS["dv"],
            kind="lower",
            bias=_JENSEN,
            use="low information and large batches; to see the bound that RLHF and DPO ascend",
            reference="Donsker & Varadhan 1983",
            averages_exp=True,
        ),
        Estimator(
            name="mine",
            objective=_mine,
            reported=READOUTS["dv"],
            kind="lower",
            bias=_JENSEN,
            use="as dv, on small batches, where the gradient of plain DV is biased",
            reference="Belghazi et al. 2018",
            averages_exp=True,
        ),
        Estimator(
            name="nwj",
            objective=_ascend(READOUTS["nwj"]),
            reported=READOUTS["nwj"],
            kind="lower",
            bias="none",
            use="low information, where an unbiased lower bound is wanted",
            reference="Nguyen, Wainwright & Jordan 2010",
            averages_exp=True,
            calibrated=True,
        ),
        Estimator(
            name="anchored_dv",
            objective=_ascend(READOUTS["anchored_dv"]),
            reported=READOUTS["anchored_dv"],
            kind="lower",
            bias="up, less than dv",
            use="as nwj, with less variance: between dv and nwj, its critic is the log-ratio itself",
            reference="the limit of InfoNCE with an anchor, K → ∞",
            averages_exp=True,
            calibrated=True,
        ),
        Estimator(
            name="infonce",
            objective=_ascend(READOUTS["infonce"]),
            reported=READOUTS["infonce"],
            kind="lower",
            cap="ln K",
            bias="down, and never above ln K",
            use="a lower bound of low variance, if the information is known to be well below ln K",
            reference="van den Oord et al. 2018",
            negatives=31,
        ),
        Estimator(
            name="relative",
            objective=_relative(dv, 0.99),
            reported=READOUTS["bridge"],
            kind="neither",
            bias="as js",
            use="DV's objective where its variance explodes: against a mixture with P the log-ratio is bounded",
            reference="Yamada et al. 2011",
        ),
    )
}
"""Estimators by name: what is ascended, what is read from held-out scores, and how the two err."""
