"""Bounds with a baseline: NWJ of the critic T − ln a(x), where a(x) stands for the unknown normaliser E_Q e^{T(x, ·)}.

A constant a = 1 gives NWJ, and the row's own mean of eᵀ gives InfoNCE. What lies between them trades bias for variance.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .expectation import expectation, on_support
from .scores import joint_and_product


def interpolated(
    scores: Float[Tensor, "*batch n n"],
    alpha: float,
    log_baseline: Float[Tensor, "*#batch n"] | None = None,
    log_weights: Float[Tensor, "*#batch n"] | None = None,
) -> Tensor:
    """Return the bound I_α between NWJ (α = 0) and InfoNCE (α = 1), in nats.

    Let m(x) be the mean of e^{T(x, y_k)} over K candidates and b = ln(α m(x) + (1 − α) a(x)). The bound is `nwj` at
    T − b:
        1 + E[T(x, y) − b] (the positive is one of the candidates) − E[e^{T(x, y') − b}] (all candidates from Q).
    It is a lower bound for every α, and unbiased on samples. It is at most ln K at α = 1, and at most 1 + ln(K/α) at
    smaller α: a smaller α extends the range of InfoNCE and costs variance. (The paper gives ln(K/α). A critic whose
    negatives lie far below the baseline reaches the missing 1.) Use it where I exceeds ln K and NWJ is too noisy.

    An N × N matrix has K = N − 1 candidates a row, since N − 1 negatives are independent of each x; the value averages
    over the negative that is left out. (N candidates for the positive and N − 1 for the penalty would not give a
    bound.) So α = 1 gives InfoNCE with N − 1 candidates, and α = 0 gives `nwj` of T − ln a.

    Args:
        scores: T(x_i, y_j) with the positives on the diagonal, shape (..., N, N), N ≥ 2, in nats.
        alpha: α in [0, 1].
        log_baseline: ln a(x_i), shape (..., N), not computed from the y of this batch; None means 0, for T ≈ ln dP/dQ.
        log_weights: log-probabilities of the rows, both as positives and as candidates, shape (..., N).

    Returns:
        Shape (...); −∞ where α = 0 and eᵀ/a overflows.

    Raises:
        ValueError: a matrix that is not square or has one row, non-finite scores, alpha outside [0, 1], a baseline or
            log-weights that do not fit, or weights with all the mass on one row.

    Theorem: interpolated_ceiling.
    Reference: Poole et al. 2019 (arXiv 1905.06922), section 2.4 (I_α).

    >>> scores = 200 * torch.eye(5, dtype=torch.float64) - 100
    >>> round(float(interpolated(scores, 1.0)), 4), round(float(interpolated(scores, 0.01)), 4)  # ln 4, 1 + ln(4/0.01)
    (1.3863, 6.9915)
    """
    alpha = _validate.number("alpha", alpha, low=0, high=1, closed="[]")
    n = _validate.floating("scores", scores, dims=2).shape[-1]
    if scores.shape[-2] != n or n < 2:
        raise ValueError(
            f"scores: expected square matrices of at least 2 rows, got shape {tuple(scores.shape)}"
        )

    positives = scores.diagonal(dim1=-2, dim2=-1)
    if log_weights is None:
        log_weights = torch.full((n,), -math.log(n), dtype=scores.dtype, device=scores.device)

    _validate.log_weights("log_weights", log_weights, positives)
    log_pairs = log_weights.unsqueeze(-1) + log_weights.unsqueeze(-2)
    _validate.scores("scores", scores, log_weights=log_pairs)
    if not _validate.all_true((log_weights > -math.inf).sum(-1) >= 2):
        raise ValueError("log_weights: expected mass on at least two rows, got one")
    if log_baseline is not None:
        _validate.scores("log_baseline", log_baseline, dims=0)
        _validate.broadcasts("log_baseline", log_baseline, positives.shape)

    # The value does not change when T and ln a move together along a row; centring keeps float32 exact at large scores.
    scores = on_support(scores, log_pairs)
    centre = scores.detach().amax(-1, keepdim=True)
    scores = scores - centre
    log_a = -centre.squeeze(-1) + (0.0 if log_baseline is None else log_baseline)

    log_rest = torch.log1p(-log_weights.exp())  # the mass of the other rows
    log_m = _leave_one_out(scores + log_weights.unsqueeze(-2)) - log_rest.unsqueeze(-2)
    baseline = torch.logaddexp(_log(alpha) + log_m, (_log(1 - alpha) + log_a).unsqueeze(-1))
    log_pairs = joint_and_product(log_pairs)[1].log_softmax(-1)
    reward = joint_and_product(scores.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) - baseline)[1]
    penalty = (log_m - baseline).diagonal(dim1=-2, dim2=-1).exp()

    return (
        1
        + expectation(reward, log_pairs)
        - expectation(penalty, (log_weights + log_rest).log_softmax(-1))
    )


def _log(share: float) -> float:
    return math.log(share) if share > 0 else -math.inf


def _leave_one_out(scores: Tensor) -> Tensor:
    """Return ln Σ_{k ≠ j} e^{T_k} for every j of the last dimension, without cancellation."""
    total = scores.logsumexp(-1, keepdim=True)
    top = torch.zeros_like(scores, dtype=torch.bool).scatter(
        -1, scores.argmax(-1, keepdim=True), True
    )
    others = scores.masked_fill(top, -math.inf).logsumexp(-1, keepdim=True)

    # Every share but the largest is at most one half, so that 1 − share loses nothing.
    share = (scores - total).exp().masked_fill(top, 0.0)
    return torch.where(top, others, total + torch.log1p(-share))
