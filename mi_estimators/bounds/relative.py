"""Bounds against the α-relative product law Q_α = (1 − α) P + α Q, whose ratio to P cannot exceed 1/(1 − α).

The optimal critic is ln r_α = ln r/((1 − α) r + α). An estimator uses it to reduce its variance. A preference loss is
the same with the chosen response as the only atom of P.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .._validate import checked, unchecked
from .variational import Bound


def relative(bound: Bound, mix: float) -> Bound:
    """Return a bound with Q replaced by Q_α = (1 − α) P + α Q: a function of the same arguments, in nats.

    Its scores are T ≈ ln dP/dQ_α. Give it `log_ratio_to_relative(T, mix)` of a plain critic, which keeps them below
    −ln(1 − α). It is tight at ln r_α, where the second moment E_{Q_α} e^{2T} = E_P r_α is at most 1/(1 − α); that of Q
    is 1 + χ². Kind and bias are those of `bound`.

    KL(P‖Q_α) is at most −ln(1 − α) and at most α I, so a lower bound of it is one of I. Use it where the effective
    sample size of the negatives is too small for NWJ or DV, and read I off with `relative_to_log_ratio`.

    Args:
        bound: a function of (joint, product, log_p, log_q), such as a value of `BOUNDS`.
        mix: α in (0, 1], the share of true negatives; 1 is the bound itself.

    Returns:
        A function of (joint, product, log_p=None, log_q=None), shapes as for `dv`.

    Raises:
        ValueError: mix outside (0, 1]; the returned function raises what `bound` raises.

    Theorem: relative_ratio_ceiling.
    Reference: Yamada et al. 2011 (arXiv 1106.4729), the relative density ratio.

    >>> from mi_estimators import dv, laws
    >>> law = laws.Finite(torch.eye(4, dtype=torch.float64).mul(0.25).log())  # y = x: r is 4 or 0
    >>> critic = log_ratio_to_relative(law.log_ratio_matrix, 0.5).clamp(min=-1e4)
    >>> round(float(law.exact(relative(dv, 0.5), critic)), 6)  # ln 4/(½·4 + ½)
    0.470004
    """
    log_own, log_other = log_shares(_validate.mix(mix))

    @checked(_validate.joint_and_product)
    def value(
        joint: Float[Tensor, "*batch n"],
        product: Float[Tensor, "*batch m"],
        log_p: Float[Tensor, "*#batch n"] | None = None,
        log_q: Float[Tensor, "*#batch m"] | None = None,
    ) -> Tensor:
        scores, log_mixed = mixed_product(
            joint, product, _uniform(joint, log_p) + log_own, _uniform(product, log_q) + log_other
        )
        return unchecked(bound)(joint, scores, log_p=log_p, log_q=log_mixed)

    return value


def log_shares(mix: float) -> tuple[float, float]:
    """Return ln(1 − α) and ln α."""
    return math.log1p(-mix) if mix < 1 else -math.inf, math.log(mix)


def mixed_product(
    joint: Tensor, product: Tensor, log_own: Tensor, log_other: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the atoms of Q_α and their log-weights: P's scores and weights, then Q's."""
    batch = np.broadcast_shapes(
        joint.shape[:-1], product.shape[:-1], log_own.shape[:-1], log_other.shape[:-1]
    )

    def joined(first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first.expand(*batch, -1), second.expand(*batch, -1)], -1)

    return joined(joint, product), joined(log_own, log_other)


def _uniform(scores: Tensor, log_weights: Tensor | None) -> Tensor:
    if log_weights is not None:
        return log_weights
    return torch.full(
        scores.shape[-1:], -math.log(scores.shape[-1]), dtype=scores.dtype, device=scores.device
    )


def _check(scores: Tensor, mix: float) -> None:
    _validate.mix(mix)
    _validate.floating("scores", scores, dims=0)
    if not _validate.all_true(~torch.isnan(scores)):
        raise ValueError("scores: expected values without NaN, got NaN")


@checked(_check)
def log_ratio_to_relative(scores: Float[Tensor, "*batch"], mix: float) -> Float[Tensor, "*batch"]:
    """Turn a log-ratio T = ln r into the bounded ln r_α = T − ln((1 − α) eᵀ + α), in nats.

    It increases in T, is 0 at T = 0 and at most −ln(1 − α). −∞ stays −∞, and +∞ becomes the ceiling.

    Args:
        scores: T ≈ ln dP/dQ, shape (...).
        mix: α in (0, 1]; 1 leaves the scores as they are.

    Returns:
        Shape (...).

    Raises:
        ValueError: NaN or no scores, or mix outside (0, 1].

    Theorem: relative_ratio_ceiling.
    Reference: Yamada et al. 2011 (arXiv 1106.4729), the relative density ratio.

    >>> round(float(log_ratio_to_relative(torch.tensor(1e4), 0.5)), 6)  # ln 2
    0.693147
    """
    log_own, log_other = log_shares(mix)
    return -torch.logaddexp(torch.full_like(scores, log_own), log_other - scores)


def relative_to_log_ratio(scores: Float[Tensor, "*batch"], mix: float) -> Float[Tensor, "*batch"]:
    """Turn ln r_α back into ln r = ln α r_α/(1 − (1 − α) r_α), in nats: the inverse of `log_ratio_to_relative`.

    It is convex in T, so by Jensen I = E_P ln r is at least this function of KL(P‖Q_α). Applied to a lower bound of the
    relative information it gives a lower bound of I, tight where r takes one value on P; applied to an estimate it is
    biased up.

    Args:
        scores: T ≈ ln dP/dQ_α, shape (...), below −ln(1 − α), which no density ratio reaches with ln r finite.
        mix: α in (0, 1]; 1 leaves the scores as they are.

    Returns:
        Shape (...); −∞ stays −∞.

    Raises:
        ValueError: NaN or no scores, mix outside (0, 1], or a score of at least −ln(1 − α).

    Theorem: relative_ratio_ceiling.
    Reference: Yamada et al. 2011 (arXiv 1106.4729), the relative density ratio.

    >>> round(float(relative_to_log_ratio(torch.tensor(1.6, dtype=torch.float64).log(), 0.5).exp()), 6)
    4.0
    """
    _check(scores, mix)
    log_own, log_other = log_shares(mix)
    below = -log_own - scores

    if not _validate.all_true(below > 0):
        raise ValueError(
            f"scores: expected log-ratios below −ln(1 − mix) = {-log_own:g}, got one at or above it"
        )

    return log_other + scores - torch.log(-torch.expm1(-below))
