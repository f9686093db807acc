"""Who carries the gradient: the weight of each sample on ∇T, and the effective number of negatives."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .._validate import unchecked
from ..bounds.expectation import log_expectation_exp, on_support
from ..bounds.variational import BOUNDS, Bound, infonce, infonce_rows, smile

OBJECTIVES: dict[str, Bound] = {**BOUNDS, "smile": smile, "infonce": infonce}
"""Objectives whose gradients can be measured, by name: the bounds, SMILE, and InfoNCE of a score matrix."""


def score_weights(
    bound: str,
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"] | Float[Tensor, "*batch n m"],
) -> tuple[Tensor, Tensor]:
    """Return the weight of each sample's score in the gradient of a bound: ∇bound = Σ_i a_i ∇T_i + Σ_j b_j ∇T_j.

    | bound | positive a_i | negative b_j |
    |---|---|---|
    | dv | 1/n | −softmax(T)_j |
    | nwj | 1/n | −e^{T_j}/m |
    | js | σ(−T_i)/n | −σ(T_j)/m |
    | infonce | (1 − w_ii)/n | −w_ij/n, w_i the softmax of row i over its positive and its m negatives |

    The function differentiates the bound itself; the theorem compares the result with the table.

    Args:
        bound: one of `BOUNDS`, "smile" or "infonce".
        joint: scores of the positives, shape (..., n), in nats.
        product: scores of the negatives, shape (..., m); for "infonce" the negatives of each positive, (..., n, m).

    Returns:
        Weights, of the shapes of joint and product; those of the negatives include their minus sign.

    Raises:
        ValueError: an unknown bound, non-finite scores, empty batches or shapes that do not fit.

    Theorem: score_weights, js_gradient_bounded.
    Reference: Belghazi et al. 2018 (dv), Poole et al. 2019 (nwj, infonce), Hjelm et al. 2019 (js).

    >>> positive, negative = score_weights("dv", torch.zeros(2), torch.tensor([0.0, 0.0, 0.0, 0.0]))
    >>> positive.tolist(), negative.tolist()
    ([0.5, 0.5], [-0.25, -0.25, -0.25, -0.25])
    """
    _validate.choice("bound", bound, OBJECTIVES)
    _validate.scores("joint", joint)
    _validate.scores("product", product)

    if bound == "infonce" and product.shape[:-1] != joint.shape:
        raise ValueError(
            f"product: expected shape {(*joint.shape, 'm')} for infonce, got {tuple(product.shape)}"
        )

    if bound != "infonce" and product.shape[:-1] != joint.shape[:-1]:
        raise ValueError(
            f"product: expected shape {(*joint.shape[:-1], 'm')}, got {tuple(product.shape)}"
        )

    with torch.enable_grad():
        joint, product = joint.detach().requires_grad_(), product.detach().requires_grad_()
        by_row = bound == "infonce"
        value = (
            infonce_rows(joint, product).mean(-1)
            if by_row
            else unchecked(OBJECTIVES[bound])(joint, product)
        )

        if not _validate.all_true(torch.isfinite(value)):
            raise ValueError(
                f"joint, product: expected scores whose {bound} value is finite in {joint.dtype}, got overflow"
            )

        positive_weights, negative_weights = torch.autograd.grad(
            value.sum(), (joint, product), materialize_grads=True
        )

    return positive_weights, negative_weights


def effective_sample_size(scores: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch"]:
    """Return ESS = 1/Σ w_j², w = softmax(scores): how many of the m negatives carry the Donsker–Varadhan gradient.

    At the optimal critic ESS/m → 1/(1 + χ²(P‖Q)) ≤ e^{−I}. A sample without the largest weights overstates ESS. Look
    at ESS itself, not at ESS/m: distrust the value of the bound if ESS is below 50, and discard it below 10.

    Args:
        scores: T of negatives, shape (..., m), in nats.

    Returns:
        Shape (...), in [1, m].

    Raises:
        ValueError: non-finite scores or an empty batch.

    Theorem: ess_law.
    Reference: Kong 1992; Owen, Monte Carlo theory, section 9.3.

    >>> float(effective_sample_size(torch.zeros(8)))
    8.0
    """
    _validate.scores("scores", scores)
    return torch.exp(_log_fraction(scores, None) + math.log(scores.shape[-1])).clamp(
        1, scores.shape[-1]
    )


def starvation_index(
    scores: Float[Tensor, "*batch m"], log_q: Float[Tensor, "*#batch m"] | None = None
) -> Float[Tensor, "*batch"]:
    """Return 1 − ESS/m, the share of negatives that carry none of the Donsker–Varadhan gradient.

    With `log_q` the scores are the atoms of an exact law, and the value is 1 − (E_Q eᵀ)²/E_Q e^{2T}. At T = ln dP/dQ
    (nats) that is χ²/(1 + χ²).

    Args:
        scores: T of negatives, shape (..., m), in nats.
        log_q: log-probabilities of the atoms, shape (..., m); None means equally likely samples.

    Returns:
        Shape (...), in [0, 1).

    Raises:
        ValueError: non-finite scores, an empty batch, or log-weights that do not fit or do not sum to 1.

    Theorem: ess_law.

    >>> float(starvation_index(torch.tensor([200.0, 0.0, 0.0, 0.0])))
    0.75
    """
    _validate.log_weights("log_q", log_q, _validate.floating("scores", scores))
    _validate.scores("scores", scores, log_weights=log_q)
    return -torch.expm1(_log_fraction(scores, log_q).clamp(max=0))


def _log_fraction(scores: Tensor, log_q: Tensor | None) -> Tensor:
    """Return ln (E_Q eᵀ)²/E_Q e^{2T}, at most 0 up to rounding."""
    # Centred, so that the two logarithms do not cancel at large scores.
    scores = scores - on_support(scores.detach(), log_q, -math.inf).amax(-1, keepdim=True)
    return 2 * log_expectation_exp(scores, log_q) - log_expectation_exp(2 * scores, log_q)
