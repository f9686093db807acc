"""Objectives: what is ascended where that is not the reported value, or its gradient is not.

An objective has no hidden state: it takes the old state and returns the new one.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .._validate import checked, unchecked
from .divergences import softplus
from .expectation import expectation, log_expectation_exp, on_support
from .variational import dv


def _check(
    joint: Tensor,
    product: Tensor,
    log_ema: Tensor | None = None,
    decay: float = 0.99,
    log_p: Tensor | None = None,
    log_q: Tensor | None = None,
) -> None:
    _validate.number("decay", decay, low=0, high=1, closed="[")
    _validate.joint_and_product(joint, product, log_p, log_q)
    if log_ema is not None:
        shape = product.shape[:-1] if log_q is None else (product + log_q).shape[:-1]
        if _validate.scores("log_ema", log_ema, dims=0).shape != shape:
            raise ValueError(f"log_ema: expected shape {tuple(shape)}, got {tuple(log_ema.shape)}")


@checked(_check)
def mine(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_ema: Tensor | None = None,
    decay: float = 0.99,
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> tuple[Tensor, Tensor]:
    """Return MINE's objective, in nats, and its new moving average.

    The value is that of `dv`, E_P T − ln E_Q eᵀ. The gradient is E_P ∇T − E_Q[eᵀ ∇T]/Z̄, where Z̄ is the exponential
    moving average of E_Q eᵀ over the batches, this one included.

    The plain gradient of `dv` divides by the mean of the batch and is biased by O(1/M). Dividing by Z̄ leaves a bias of
    O((1 − decay)/M), because this batch is part of Z̄. The weights of the negatives sum to at most 1/(1 − decay). In
    other words the gradient is that of `nwj` at T − ln Z̄, which would be unbiased if Z̄ were the law's own E_Q eᵀ.

    The value is a lower bound of I at the population and biased up on a batch; it has no ceiling. Use it to train a DV
    critic on small batches. While the critic moves fast, Z̄ lags behind; then choose a smaller decay.

    Args:
        joint, product, log_p, log_q: as for `dv`.
        log_ema: ln Z̄ as the previous call returned it, shape (...); None at the first call, which has the gradient of
            `dv`.
        decay: weight of the past, in [0, 1); 0 is plain `dv`.

    Returns:
        The objective and the new log_ema (detached), each of shape (...).

    Raises:
        ValueError: as for `dv`, a decay outside [0, 1), or a log_ema that is not finite or has another shape.

    Theorem: mine_gradient_bias.
    Reference: Belghazi et al. 2018 (arXiv 1801.04062), section 3.2.

    >>> joint, product = torch.zeros(2), torch.tensor([0.0, 0.0])
    >>> _, log_ema = mine(joint, product)
    >>> objective, log_ema = mine(joint + 1, product + 1, log_ema, decay=0.5)  # eᵀ was 1 and is e
    >>> float(objective), round(float(log_ema.exp()), 4)
    (0.0, 1.8591)
    """
    value = unchecked(dv)(joint, product, log_p, log_q)
    log_mean = log_expectation_exp(product, log_q)
    new = log_mean.detach()
    if log_ema is not None:
        log_decay = math.log(decay) if decay > 0 else -math.inf
        new = torch.logaddexp(log_decay + log_ema.detach(), math.log1p(-decay) + new)

    # ∇ of E_Q eᵀ/Z̄ is (batch mean/Z̄) · ∇ ln E_Q eᵀ: the ratio is a number, at most 1/(1 − decay).
    surrogate = expectation(joint, log_p) - (log_mean.detach() - new).exp() * log_mean
    return value.detach() + (surrogate - surrogate.detach()), new


def _check_odds(
    joint: Tensor,
    product: Tensor,
    odds: float,
    log_p: Tensor | None = None,
    log_q: Tensor | None = None,
) -> None:
    _validate.number("odds", odds, low=0, closed="")
    _validate.joint_and_product(joint, product, log_p, log_q)


@checked(_check_odds)
def logistic(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    odds: float,
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
) -> Tensor:
    """Return the log-likelihood, a positive, of telling positives from negatives at odds 1 : k, in nats, 0 at T = 0.

    With sp(t) = ln(1 + eᵗ) it is (1 + k) ln(1 + k) − k ln k − E_P sp(ln k − T) − k E_Q sp(T − ln k).

    It bounds KL(P‖M) + k KL(Q‖M) from below, M = (P + kQ)/(1 + k), and is tight only at T = ln dP/dQ. At k = 1 it is
    `js`, and as k grows it tends to `nwj`. Its weights on ∇T lie in (0, 1) for positives and in (0, k) for negatives.
    Where P is nearly certain odds of one no longer see by how much; the true odds of a sample do. So `js` estimators
    ascend it at the k negatives that each positive has.

    Args:
        joint, product, log_p, log_q: as for `dv`.
        odds: k, above 0: how many negatives a positive has.

    Returns:
        Shape (...).

    Raises:
        ValueError: as for `dv`, or odds that are not above 0.

    Theorem: log_ratio_optimality.
    Reference: Gutmann & Hyvärinen 2012, JMLR 13, section 2.2 (noise-contrastive estimation).

    >>> joint, product = torch.ones(3), -torch.ones(5)
    >>> [round(float(logistic(joint, product, odds)), 3) for odds in (1, 1e3)]  # `js`, and nearly `nwj`
    [0.76, 1.63]
    """
    threshold = math.log(odds)
    blind = (1 + odds) * math.log1p(odds) - odds * threshold
    missed = softplus(threshold - on_support(joint, log_p))
    mistaken = softplus(on_support(product, log_q) - threshold)
    return blind - (expectation(missed, log_p) + odds * expectation(mistaken, log_q))
