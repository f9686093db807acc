"""Read-outs of a trained critic T ≈ ln dP/dQ, most often one trained with `js`.

Each is a function of (joint, product, log_p, log_q) like a bound, but none is ascended. The first line of each says
whether it is a bound.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .._validate import checked
from ..theory.sampling import hoeffding_margin
from .divergences import softplus
from .expectation import expectation, log_expectation_exp, on_support


def _check_joint(
    joint: Tensor,
    product: Tensor | None = None,
    log_p: Tensor | None = None,
    log_q: Tensor | None = None,
) -> None:
    _validate.log_weights("log_p", log_p, _validate.floating("joint", joint))
    _validate.scores("joint", joint, log_weights=log_p)


@checked(_check_joint)
def plug_in(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"] | None = None,
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return E_P T, which takes the critic at its word, in nats: not a bound.

    Its error is that of the critic, E_P[T − ln dP/dQ]. It exceeds `dv` by ln E_Q eᵀ, and it is a lower bound where
    E_Q eᵀ ≤ 1. It has no ceiling, and it averages no exponential: its variance is Var_P(T)/n. Compare it with `dv`:
    where the two differ, the critic is not a log-ratio.

    Args:
        joint: scores of pairs from P, shape (..., n), in nats.
        product, log_q: not used; they are taken so that this read-out can stand in the place of a bound.
        log_p: log-probabilities of the atoms, shape (..., n); None means equally likely samples.

    Returns:
        Shape (...).

    Raises:
        ValueError: non-finite scores, an empty batch, or log-weights that do not fit or do not sum to 1.

    Reference: the direct density-ratio estimate of mutual information, Suzuki et al. 2008.

    >>> float(plug_in(torch.tensor([1.0, 2.0])))
    1.5
    """
    return expectation(joint, log_p)


@checked(_validate.joint_and_product)
def club(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return CLUB, E_P T − E_Q T, in nats: an upper bound of I for a good critic, no bound for a poor one.

    At T = ln p(y given x), or ln dP/dQ plus any function of x plus any of y, it is I + KL(Q‖P), the Jeffreys
    divergence. This upper bound is tight only at independence and loose where information is high (infinite where P
    lacks mass that Q has). With a fitted conditional, T = ln q(y given x), it remains an upper bound as long as
    KL(P‖q p(x)) ≤ KL(Q‖q p(x)).

    It is unbiased on samples and has no ceiling. Use it to penalise information under a known or fitted conditional. It
    is linear in T, so it cannot be ascended.

    Args, Returns, Raises: as for `dv`.

    Theorem: club_upper_bound.
    Reference: Cheng et al. 2020 (arXiv 2006.12013), section 3.

    >>> from mi_estimators import laws
    >>> law = laws.Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> round(law.mutual_information, 6), round(float(law.exact(club, law.log_joint)), 6)
    (0.192745, 0.415888)
    """
    return expectation(joint, log_p) - expectation(product, log_q)


@checked(_validate.joint_and_product)
def jsd_certificate(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return the least KL(P‖Q) that agrees with the value of `js`, in nats: a lower bound of I at the population.

    Among all P, Q with the same Jensen–Shannon divergence, KL is least where dP/dQ ∈ {0, eᵏ}. There it is k, and
        2 ln 2 − 2·JSD = sp(−k) + e^{−k} sp(k).
    The value is this k at the shortfall E_P sp(−T) + E_Q sp(T) of `js`. Where `js` is not positive it says nothing, and
    the value is 0. It is tight where T = ln dP/dQ takes one value on P and −∞ elsewhere.

    It has no ceiling, but it magnifies the noise of a sample by dk/d js = eᵏ/sp(k), and the value on a sample is biased
    up (k is convex in js). Use it to turn a JS-trained critic into nats without averaging an exponential of a score. At
    low information it is nearly `js`/ln 2.

    Why: 2 ln 2 − 2·JSD = E_P c(ln r) with c(k) = sp(−k) + e^{−k} sp(k), and I = E_P ln r. As c is convex and
    decreasing, Jensen gives c(I) ≤ 2 ln 2 − 2·JSD, with equality iff r is constant on P.

    Args, Returns, Raises: as for `dv`.

    Theorem: jsd_certificate.
    Reference: Dorent, Golland & Wells 2025 (arXiv 2510.20644); joint ranges of f-divergences: Harremoës & Vajda 2011,
        IEEE Trans. Inf. Theory 57(6).

    >>> from mi_estimators import laws
    >>> law = laws.Finite(torch.eye(8, dtype=torch.float64).div(8).log())  # y = x, uniform on 8 values
    >>> critic = law.log_ratio_matrix.clamp(min=-1e4)
    >>> round(law.mutual_information, 6), round(float(law.exact(jsd_certificate, critic)), 6)
    (2.079442, 2.079442)
    """
    missed = log_expectation_exp(_log_softplus(-on_support(joint, log_p).double()), log_p)
    accepted = log_expectation_exp(_log_softplus(on_support(product, log_q).double()), log_q)
    value = _least_information(torch.logaddexp(missed, accepted))
    return value.to(torch.promote_types(joint.dtype, product.dtype))


def _least_information(log_shortfall: Tensor) -> Tensor:
    """Return the k at which the curve sp(−k) + e^{−k} sp(k) has this logarithm; 0 where it has none."""
    log_shortfall = log_shortfall.double().clamp(max=_LOG_CEILING)

    # ln of the curve is concave in k with slopes in [−1, −½]: from the right Newton's method descends onto the root.
    k = 2 * (_LOG_CEILING - log_shortfall.detach())
    for _ in range(12):
        k = (k + _newton_step(k, log_shortfall.detach())).clamp(min=0)
    # One more step from the root, where k is a constant: the value stays and the derivative is the implicit one.
    return k + _newton_step(k, log_shortfall)


@checked(_validate.joint_and_product)
def certificate(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return a lower bound of I that holds with probability 0.99 for every law, in nats.

    The scores are clipped to ±B, B = ½ ln n. The margin 2B√(ln(100)/n) is subtracted from their value of `js`, and
    `jsd_certificate` is read there. A JS term of clipped scores has range B. The negatives are pairs of the same n
    rows, a U-statistic, for which Hoeffding's margin is twice that of independent negatives.

    The rows must be independent draws that the critic never saw, in equal groups whose pairs are all negatives. The
    average over K folds holds with probability 1 − K/100 at least.

    Args:
        joint: scores of held-out rows, shape (..., n), in nats.
        product: scores of pairs of these rows, shape (..., m).
        log_p, log_q: as for `dv`; the margin is that of equally likely rows.

    Returns, Raises: as for `dv`.

    Theorem: js_certificate_finite, jsd_certificate.
    Reference: Hoeffding 1963 (sections 2 and 5).

    >>> joint = torch.full((10_000,), 50.0)  # all pairs told apart, in groups of 10 rows
    >>> round(float(certificate(joint, -joint.repeat(9))), 2)
    2.89
    """
    n = joint.shape[-1]
    largest = math.log(n) / 2
    clipped = joint.clamp(-largest, largest), product.clamp(-largest, largest)
    group = max(2, round(product.shape[-1] / n) + 1)
    apart = n / group * (group // 2)  # pairs of rows that share none
    margin = hoeffding_margin(2 * largest, apart, _RISK)
    missed = expectation(softplus(-clipped[0]), log_p) + expectation(softplus(clipped[1]), log_q)

    return _least_information((missed + margin).log())


_RISK = 0.01  # that the certificate exceeds the information
_LOG_CEILING = math.log(2 * math.log(2))


def _newton_step(k: Tensor, log_shortfall: Tensor) -> Tensor:
    own, other = _log_softplus(-k), _log_softplus(k) - k
    return (torch.logaddexp(own, other) - log_shortfall) / torch.sigmoid(other - own)


def _log_softplus(t: Tensor) -> Tensor:
    """Return ln ln(1 + eᵗ), which is t to full precision far on the left."""
    return torch.where(t < -37, t, softplus(t.clamp(min=-37)).log())
