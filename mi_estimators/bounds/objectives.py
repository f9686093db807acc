"""Objectives: what is ascended where its gradient is not that of the value reported. State goes in and comes out."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from .. import _validate
from .._validate import checked, unchecked
from .expectation import expectation, log_expectation_exp
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
    """Return MINE's objective in nats, with the value of `dv` and the corrected gradient, and the new moving average.

    Value: E_P T − ln E_Q eᵀ. Gradient: E_P ∇T − E_Q[eᵀ ∇T]/Z̄, with Z̄ the exponential moving average of the batches'
    E_Q eᵀ, this batch included. It is the gradient of `nwj` at T − ln Z̄, which would be unbiased
    for the law's own E_Q eᵀ in place of Z̄. The plain gradient of `dv` divides by the batch's mean and is biased by
    O(1/M); with a past average that is right, this one still is by O((1 − decay)/M), as this batch is in Z̄ too. Since
    Z̄ is at least 1 − decay times the batch's mean, the weights of the negatives sum to at most 1/(1 − decay).

    The value bounds I from below at the population and is biased up on a batch; no ceiling. Use it to train a DV critic
    on small batches; while the critic moves fast Z̄ lags behind, and a shorter memory (smaller decay) is the cure.

    Args:
        joint, product, log_p, log_q: as for `dv`.
        log_ema: the moving average's logarithm that the previous call returned, shape (...); None at the first call,
            whose gradient is that of `dv`.
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
