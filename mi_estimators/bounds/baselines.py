"""Bounds with a baseline: NWJ of the critic T − ln a(x), where a(x) stands for the unknown normaliser E_Q e^{T(x, ·)}.

A constant a = 1 is NWJ, the row's own mean of eᵀ is InfoNCE, and what lies between them trades bias for variance.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .expectation import mean
from .scores import joint_and_product
from .variational import nwj


def tuba(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_baseline: Tensor | tuple[Tensor, Tensor],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return the TUBA bound 1 + E_P[T − ln a(x)] − E_Q[eᵀ/a(x)] of KL(P‖Q), in nats.

    A lower bound for every critic and every baseline a > 0 that does not see the score it divides; `nwj` is ln a = 0.
    Tight at T − ln a = ln dP/dQ, so T may lack any function of x; the best baseline is ln a(x) = ln E_Q e^{T(x, ·)}. No
    ceiling; unbiased on samples, with the variance of `nwj`. Use it to let a second network, or a moving average,
    learn the normaliser that NWJ asks of the critic itself.

    A baseline taken from the same negatives is another thing: ln a = ln (1/m) Σ eᵀ gives `dv`, with its upward bias.
    FLO (Guo et al. 2022), 1 − E_P u − E[e^{−u(x, y) + T(x, y') − T(x, y)}], is this bound at ln a = T(x, y) + u(x, y),
    y the row's positive: it needs no function of its own.

    Args:
        joint, product, log_p, log_q: as for `dv`.
        log_baseline: ln a at the x of each score. One tensor that broadcasts to both batches of scores (a constant, or
            a law's own table), or the pair of them; on a score matrix with one baseline a row, that pair is
            `joint_and_product(log_a.unsqueeze(-1).expand_as(scores))`.

    Returns:
        Shape (...); minus infinity where eᵀ/a overflows.

    Raises:
        ValueError: as for `dv`, or a baseline that is not finite or does not broadcast to its scores.

    Theorem: log_ratio_optimality.
    Reference: Poole et al. 2019 (arXiv 1905.06922), I_TUBA; Guo et al. 2022 (arXiv 2107.01131), FLO.

    >>> from mi_estimators import laws
    >>> law = laws.Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> log_a = torch.tensor([[3.0], [-2.0]], dtype=torch.float64).expand(2, 2)  # a function of x
    >>> scores = (law.log_ratio_matrix + log_a).flatten()
    >>> value = tuba(scores, scores, log_a.flatten(), law.log_joint.flatten(), law.log_product.flatten())
    >>> round(law.mutual_information, 6), round(float(value), 6)
    (0.192745, 0.192745)
    """
    _validate.joint_and_product(joint, product, log_p, log_q)
    joint_baseline, product_baseline = (
        log_baseline if isinstance(log_baseline, tuple) else (log_baseline, log_baseline)
    )
    return nwj(_over(joint, joint_baseline), _over(product, product_baseline), log_p, log_q)


def _over(scores: Tensor, log_baseline: Tensor) -> Tensor:
    """Return T − ln a, or say why the baseline does not fit."""
    _validate.scores("log_baseline", log_baseline, dims=0)
    try:
        fits = np.broadcast_shapes(log_baseline.shape, scores.shape) == scores.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"log_baseline: expected a shape that broadcasts to {tuple(scores.shape)}, got {tuple(log_baseline.shape)}"
        )
    return scores - log_baseline


def interpolated(
    scores: Float[Tensor, "*batch n n"],
    alpha: float,
    log_baseline: Float[Tensor, "*#batch n"] | None = None,
    log_weights: Float[Tensor, "*#batch n"] | None = None,
) -> Tensor:
    """Return the bound I_α between NWJ (α = 0) and InfoNCE (α = 1), in nats.

    With m(x) the mean of e^{T(x, y_k)} over K candidates it is TUBA at the baseline b = ln(α m(x) + (1 − α) a(x)):
        1 + E[T(x, y) − b] (the positive among the candidates) − E[e^{T(x, y') − b}] (all candidates from Q).
    A lower bound for every α, unbiased on samples. At most ln K at α = 1 and 1 + ln(K/α) below: α buys back the range
    that InfoNCE lacks, and pays in variance. (The ceiling ln(K/α) of the paper leaves out the 1, which a critic whose
    negatives lie far below the baseline collects.) Use it where I exceeds ln K and NWJ is too noisy.

    An N × N matrix has K = N − 1 candidates a row: N − 1 negatives are independent of each x, and the value averages
    over the negative that is left out. Keeping N for the positive and N − 1 for the penalty would not be a bound. So
    the value at α = 1 is InfoNCE with N − 1 candidates; at α = 0 it is `tuba` on the matrix.

    Args:
        scores: T(x_i, y_j) with the positives on the diagonal, shape (..., N, N), N ≥ 2, in nats.
        alpha: α in [0, 1].
        log_baseline: ln a(x_i), shape (..., N), not computed from this batch's y; None means 0, for T ≈ ln dP/dQ.
        log_weights: log-probabilities of the rows, as positives and as candidates, shape (..., N).

    Returns:
        Shape (...); minus infinity where α = 0 and eᵀ/a overflows.

    Raises:
        ValueError: a matrix that is not square or has one row, non-finite scores, alpha outside [0, 1], a baseline or
            log-weights that do not fit, or weights with all the mass on one row.

    Theorem: infonce_ceiling (α = 1), log_ratio_optimality (α = 0), interpolated_ceiling.
    Reference: Poole et al. 2019 (arXiv 1905.06922), I_α.

    >>> scores = 200 * torch.eye(5, dtype=torch.float64) - 100
    >>> round(float(interpolated(scores, 1.0)), 4), round(float(interpolated(scores, 0.01)), 4)  # ln 4, 1 + ln(4/0.01)
    (1.3863, 6.9915)
    """
    alpha = _validate.number("alpha", alpha, low=0, high=1, closed="[]")
    n = _validate.scores("scores", scores, dims=2).shape[-1]
    if scores.shape[-2] != n or n < 2:
        raise ValueError(
            f"scores: expected square matrices of at least 2 rows, got shape {tuple(scores.shape)}"
        )
    positives = scores.diagonal(dim1=-2, dim2=-1)
    if log_weights is None:
        log_weights = torch.full((n,), -math.log(n), dtype=scores.dtype, device=scores.device)
    _validate.log_weights("log_weights", log_weights, positives)
    if not _validate.all_true((log_weights > -math.inf).sum(-1) >= 2):
        raise ValueError("log_weights: expected mass on at least two rows, got one")
    # The value does not change when T and ln a move together along a row; centring keeps float32 exact at large scores.
    centre = scores.detach().amax(-1, keepdim=True)
    scores = scores - centre
    log_a = _over(positives, torch.zeros_like(positives) if log_baseline is None else log_baseline)
    log_a = positives - log_a - centre.squeeze(-1)

    log_rest = torch.log1p(-log_weights.exp())  # the mass of the other rows
    log_m = _leave_one_out(scores + log_weights.unsqueeze(-2)) - log_rest.unsqueeze(-2)
    baseline = torch.logaddexp(_log(alpha) + log_m, (_log(1 - alpha) + log_a).unsqueeze(-1))
    log_pairs = joint_and_product(log_weights.unsqueeze(-1) + log_weights.unsqueeze(-2))[
        1
    ].log_softmax(-1)
    reward = joint_and_product(scores.diagonal(dim1=-2, dim2=-1).unsqueeze(-1) - baseline)[1]
    penalty = (log_m - baseline).diagonal(dim1=-2, dim2=-1).exp()
    return 1 + mean(reward, log_pairs) - mean(penalty, (log_weights + log_rest).log_softmax(-1))


def _log(share: float) -> float:
    return math.log(share) if share > 0 else -math.inf


def _leave_one_out(scores: Tensor) -> Tensor:
    """Return ln Σ_{k ≠ j} e^{T_k} for every j of the last dimension, without cancellation."""
    total = scores.logsumexp(-1, keepdim=True)
    top = torch.zeros_like(scores, dtype=torch.bool).scatter(
        -1, scores.argmax(-1, keepdim=True), True
    )
    rest = scores.masked_fill(top, -math.inf).logsumexp(-1, keepdim=True)
    # Every share but the largest is at most one half, so that 1 − share loses nothing.
    share = (scores - total).exp().masked_fill(top, 0.0)
    return torch.where(top, rest, total + torch.log1p(-share))
