"""Bounds as functions of scores: values in nats, no state.

`joint` holds the scores T(x, y) of pairs from P and `product` those of pairs from Q, with T ≈ ln dP/dQ. The last
dimension is reduced. With `log_p` and `log_q` it holds the atoms of an exact law instead of samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .._validate import checked, unchecked
from .divergences import DIVERGENCES
from .expectation import expectation, log_expectation_exp, on_support


@checked(_validate.joint_and_product)
def dv(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return the Donsker–Varadhan (MINE) bound E_P T − ln E_Q eᵀ of KL(P‖Q), in nats.

    It is tight at T = ln dP/dQ plus any constant. The gap is KL(P‖Q_T), with dQ_T ∝ eᵀ dQ. On M sampled negatives the
    value is biased up by about Var_Q(eᵀ) / (2M (E_Q eᵀ)²).

    Args:
        joint: scores of pairs from P, shape (..., n), in nats.
        product: scores of pairs from Q, shape (..., m), in nats.
        log_p, log_q: log-probabilities of the atoms, shapes (..., n) and (..., m); None means equally likely samples.

    Returns:
        Shape (...).

    Raises:
        ValueError: non-finite scores, an empty batch, or log-weights that do not fit or do not sum to 1.

    Theorem: dv_representation, dv_minibatch_bias.
    Reference: Donsker & Varadhan 1983; Belghazi et al. 2018 (arXiv 1801.04062), theorem 1.

    >>> import torch; from mi_estimators import laws
    >>> law = laws.Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> round(law.mutual_information, 6), round(float(law.exact(dv, law.log_ratio_matrix + 7)), 6)  # tight, any shift
    (0.192745, 0.192745)
    """
    # The value does not change under T + c; centring keeps float32 exact where scores are large and differences small.
    centre = on_support(product.detach(), log_q, -math.inf).amax(-1, keepdim=True)
    return expectation(joint - centre, log_p) - log_expectation_exp(product - centre, log_q)


_dv = unchecked(dv)


def anchored_dv(anchor: float = 1.0) -> Bound:
    """Return the anchored DV bound V_b of KL(P‖Q), in nats: (joint, product, log_p, log_q) → value, shape (...).

        V_b(T) = E_P T − (1 + b) ln[(b + E_Q eᵀ)/(1 + b)].

    V_0 is `dv` and V_∞ is `nwj`; the value falls as b rises. For b > 0 it is tight at T = ln dP/dQ alone: the anchor
    fixes the constant that DV leaves free, at a smaller price in variance than NWJ's. It is the limit of an InfoNCE
    whose candidates carry an anchor of weight b each.

    Args:
        anchor: b, finite and > 0.

    Returns:
        The bound, with the arguments of `dv`.

    Raises:
        ValueError: an anchor out of range; from the bound, as for `dv`.

    Theorem: infonce_anchor.
    Reference: the limit K → ∞ of InfoNCE with an anchor (Ryu et al. 2026, arXiv 2510.25983).

    >>> import torch; from mi_estimators import laws
    >>> law = laws.Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> round(float(law.exact(anchored_dv(), law.log_ratio_matrix)), 6)  # tight
    0.192745
    >>> round(float(law.exact(anchored_dv(), law.log_ratio_matrix + 7)), 3)  # and not shifted
    -5.423
    """
    b = _validate.number("anchor", anchor, low=0)

    @checked(_validate.joint_and_product)
    def bound(
        joint: Float[Tensor, "*batch n"],
        product: Float[Tensor, "*batch m"],
        log_p: Float[Tensor, "*#batch n"] | None = None,
        log_q: Float[Tensor, "*#batch m"] | None = None,
    ) -> Tensor:
        normaliser = log_expectation_exp(product, log_q)
        own = torch.full_like(normaliser, math.log(b))
        excess = torch.logaddexp(own, normaliser) - math.log1p(b)
        return expectation(joint, log_p) - (1 + b) * excess

    return bound


@checked(_validate.joint_and_product)
def nwj(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return the NWJ bound 1 + E_P T − E_Q eᵀ of KL(P‖Q), in nats.

    It is tight only at T = ln dP/dQ, never above `dv` of the same scores, and unbiased on samples. The published form
    E_P T' − e⁻¹ E_Q e^{T'} is the same at T' = T + 1. At the optimum, with N positives and M negatives drawn
    independently, the variance is Var_P(ln r)/N + χ²/M, where r = dP/dQ and χ² ≥ eᴵ − 1 (e^{2I} − 1 for Gaussians).

    TUBA (Poole et al. 2019) is this bound after subtracting ln a(x) from all scores. It holds for every baseline
    a(x) > 0 that does not depend on the score it divides; the best baseline is E_Q e^{T(x, ·)}. FLO (Guo et al. 2022)
    is TUBA at ln a = T(x, y) + u(x, y), where y is the positive of the row.

    Args, Returns, Raises: as for `dv`.

    Theorem: log_ratio_optimality, nwj_gap.
    Reference: Nguyen, Wainwright & Jordan 2010, lemma 1; Poole et al. 2019 (arXiv 1905.06922), section 2.2.

    >>> import torch
    >>> float(nwj(torch.zeros(3), torch.zeros(5)))
    0.0
    """
    return DIVERGENCES["nwj"].unchecked(joint, product, log_p, log_q)


@checked(_validate.joint_and_product)
def js(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return the Jensen–Shannon (logistic) bound 2 ln 2 − E_P sp(−T) − E_Q sp(T) of 2·JSD(P, Q), in nats.

    Here sp(t) = ln(1 + eᵗ). The bound is tight only at T = ln dP/dQ, and its weights on ∇T lie in (0, 1). Its value
    says little about the mutual information: 2·JSD ≤ 2 ln 2, and 2·JSD ≤ ln 2 · I. So train the critic with `js`, and
    report `nwj`, `dv` or `bounds.jsd_certificate` of the same scores.

    Args, Returns, Raises: as for `dv`.

    Theorem: js_value_and_gap, js_gradient_bounded.
    Reference: Goodfellow et al. 2014 (arXiv 1406.2661), theorem 1; Hjelm et al. 2019 (arXiv 1808.06670), eq. 4.

    >>> import torch; from mi_estimators import laws
    >>> law = laws.Finite(torch.eye(2, dtype=torch.float64).mul(0.999998).add(1e-6).div(2).log())
    >>> round(float(law.exact(js, law.log_ratio_matrix)), 4)  # 2·JSD of a nearly deterministic fair bit
    0.4315
    """
    return DIVERGENCES["js"].unchecked(joint, product, log_p, log_q)


def _check_matrix(scores: Tensor, log_weights: Tensor | None = None) -> None:
    _validate.floating("scores", scores, dims=2)
    if scores.shape[-1] != scores.shape[-2]:
        raise ValueError(
            f"scores: expected square matrices in the last two dimensions, got {tuple(scores.shape)}"
        )

    _validate.log_weights("log_weights", log_weights, scores.diagonal(dim1=-2, dim2=-1))
    _validate.scores("scores", scores, dims=2, log_weights=pairs_of(log_weights))


def pairs_of(log_weights: Tensor | None) -> Tensor | None:
    """Return the log-weight of each pair of rows, shape (..., n, n)."""
    return None if log_weights is None else log_weights.unsqueeze(-1) + log_weights.unsqueeze(-2)


@checked(_check_matrix)
def infonce(
    scores: Float[Tensor, "*batch k k"], log_weights: Float[Tensor, "*#batch k"] | None = None
) -> Tensor:
    """Return the InfoNCE bound of I: the mean over rows of T_ii − ln (1/K) Σ_j e^{T_ij}, in nats.

    Each row is the Donsker–Varadhan bound of one positive against K candidates, itself included. The value never
    exceeds ln K, and its expectation over K independent pairs never exceeds I. Adding a constant to a row does not
    change it.

    Args:
        scores: T(x_i, y_j) with the positives on the diagonal, shape (..., K, K), in nats.
        log_weights: log-probabilities of the rows, both as positives and as candidates, shape (..., K).

    Returns:
        Shape (...).

    Raises:
        ValueError: a matrix that is not square, non-finite scores, or log-weights that do not fit or do not sum to 1.

    Theorem: infonce_ceiling, k_negatives_is_infonce.
    Reference: van den Oord et al. 2018 (arXiv 1807.03748), appendix A.1; Poole et al. 2019 (arXiv 1905.06922),
        section 2.3.

    >>> import torch
    >>> round(float(infonce(100 * torch.eye(8))), 4)  # the ceiling ln 8
    2.0794
    """
    scores = on_support(scores, pairs_of(log_weights))
    positives = scores.diagonal(dim1=-2, dim2=-1)
    candidates = None if log_weights is None else log_weights.unsqueeze(-2)
    return expectation(_dv(positives.unsqueeze(-1), scores, log_q=candidates), log_weights)


def infonce_rows(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch n k"],
    log_candidates: Float[Tensor, "*#batch n c"] | None = None,
) -> Float[Tensor, "*batch n"]:
    """Return the InfoNCE value of each row, unchecked: one positive against itself and its k negatives, c = k + 1."""
    positive = joint.unsqueeze(-1)
    return _dv(positive, torch.cat([positive, product], -1), log_q=log_candidates)


def _check_smile(
    joint: Tensor,
    product: Tensor,
    clip: float = 5.0,
    log_p: Tensor | None = None,
    log_q: Tensor | None = None,
) -> None:
    _validate.number("clip", clip, low=0, closed="]")
    _validate.joint_and_product(joint, product, log_p, log_q)


@checked(_check_smile)
def smile(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    clip: float = 5.0,
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return SMILE, E_P T − ln E_Q clip(eᵀ, e^{−τ}, e^{τ}), in nats: a low-variance read-out, not a bound.

    For finite τ the value can exceed the mutual information. As τ grows it tends to `dv`. Train the critic with `js`.

    Args:
        joint, product, log_p, log_q: as for `dv`.
        clip: τ > 0, in nats; infinity gives `dv`.

    Returns:
        Shape (...).

    Raises:
        ValueError: as for `dv`, or clip ≤ 0.

    Theorem: smile_is_not_a_bound.
    Reference: Song & Ermon 2020 (arXiv 1910.06222), eq. 17.

    >>> import torch
    >>> float(smile(torch.full((2,), 9.0), torch.full((2,), 9.0), clip=5.0))  # P = Q, yet 4 nats: not a bound
    4.0
    """
    return expectation(joint, log_p) - log_expectation_exp(product.clamp(-clip, clip), log_q)


Bound = Callable[..., Tensor]
"""(joint (..., n), product (..., m), log_p, log_q) → value (...), in nats."""

BOUNDS: dict[str, Bound] = {"dv": dv, **DIVERGENCES}
"""Bounds of the form (joint, product, log_p, log_q) → value. `infonce` takes a matrix, and `smile` is not a bound."""
