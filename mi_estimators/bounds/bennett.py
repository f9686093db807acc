"""Bennett's acceptance ratio: DV's normaliser from both samples, with bounded weights."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from .. import _validate
from .._validate import checked
from .expectation import expectation, log_expectation_exp, on_support


def _check(
    joint: Tensor,
    product: Tensor,
    log_p: Tensor | None = None,
    log_q: Tensor | None = None,
    log_odds: float | None = None,
) -> None:
    _validate.joint_and_product(joint, product, log_p, log_q)
    if log_odds is not None:
        _validate.number("log_odds", log_odds)


@checked(_check)
def bridge(
    joint: Float[Tensor, "*batch n"],
    product: Float[Tensor, "*batch m"],
    log_p: Float[Tensor, "*#batch n"] | None = None,
    log_q: Float[Tensor, "*#batch m"] | None = None,
    log_odds: float | None = None,
) -> Tensor:
    """Return E_P T − c, where c estimates ln E_Q eᵀ by Bennett's acceptance ratio, in nats: not a bound.

    With odds ν, c is the root of E_P σ(−u) = ν E_Q σ(u), u = T − c − ln ν. At this shift the logistic regression of P
    against Q, with ν negatives to a positive, is best. So `bridge` is `plug_in` at the best shift of the logistic loss,
    as `dv` is `nwj` at its own best shift.

    The value is exact for every ν where T = ln dP/dQ plus any constant. For other critics it errs in either direction,
    because it takes P's samples for samples of Q_T ∝ eᵀ dQ. It tends to `dv` as ν → ∞ and to E_P T + ln E_P e^{−T} as ν
    → 0. It averages the bounded σ where `dv` averages eᵀ, and at ν = m/n, where P = Q_T, it has the least variance of
    all weightings. It has no ceiling. Use it for a well-trained critic whose negatives have too small an effective
    sample size for `dv`, and say that it is not a bound.

    Args:
        joint, product, log_p, log_q: as for `dv`.
        log_odds: ln ν; None means ln m/n of the shapes. Give it for an exact law, whose tables have no sample sizes.

    Returns:
        Shape (...), differentiable in the scores and the log-weights.

    Raises:
        ValueError: as for `dv`, or log_odds that are not a finite number.

    Theorem: bridge_identity.
    Reference: Bennett 1976, J. Comput. Phys. 22; Meng & Wong 1996, Statistica Sinica 6; as a logistic regression:
        Shirts, Bair, Hooker & Pande 2003, Phys. Rev. Lett. 91, 140601.

    >>> from mi_estimators import laws
    >>> law = laws.Finite(torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64).log())
    >>> round(law.mutual_information, 6), round(float(law.exact(bridge, law.log_ratio_matrix + 7)), 6)
    (0.192745, 0.192745)
    """
    if log_odds is None:
        log_odds = math.log(product.shape[-1] / joint.shape[-1])
    dtype = torch.promote_types(joint.dtype, product.dtype)
    joint, product = on_support(joint, log_p).double(), on_support(product, log_q).double()

    with torch.no_grad():
        shift = _bridge_shift(joint, product, log_p, log_q, log_odds)
    # One Newton step from the root, its slope a number: the value stays and the derivative is the implicit one.
    excess, slope = _bridge_equation(shift, joint, product, log_p, log_q, log_odds)

    return (expectation(joint - shift.unsqueeze(-1), log_p) + excess / slope).to(dtype)


def _bridge_equation(
    shift: Tensor,
    joint: Tensor,
    product: Tensor,
    log_p: Tensor | None,
    log_q: Tensor | None,
    log_odds: float,
) -> tuple[Tensor, Tensor]:
    """Return ln ν E_Q σ(u) − ln E_P σ(−u), which decreases in the shift, and its slope, in [−2, 0)."""
    threshold = shift.unsqueeze(-1) + log_odds
    accepted, accepted_slope = _log_mean_sigmoid(product - threshold, log_q)
    missed, missed_slope = _log_mean_sigmoid(threshold - joint, log_p)
    # Flat where every positive lies far below every negative: there any shift between them is a root to rounding.
    slope = (accepted_slope + missed_slope).clamp(min=torch.finfo(shift.dtype).eps)

    return log_odds + accepted - missed, -slope


def _log_mean_sigmoid(u: Tensor, log_weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return ln E σ(u) and its derivative 1 − E σ(u)²/E σ(u) along a common shift of u, as a constant."""
    log_sigmoid = logsigmoid(u)
    largest = on_support(log_sigmoid.detach(), log_weights, -math.inf).amax(-1, keepdim=True)
    shares = (log_sigmoid - largest).exp_()  # one exponential for both means
    weighted = (
        shares / u.shape[-1]
        if log_weights is None
        else on_support(shares, log_weights) * log_weights.exp()
    )

    first, second = weighted.sum(-1), torch.linalg.vecdot(weighted.detach(), shares.detach())
    largest = largest.squeeze(-1)
    return largest + first.log(), 1 - largest.exp() * second / first.detach()


def _bridge_shift(
    joint: Tensor, product: Tensor, log_p: Tensor | None, log_q: Tensor | None, log_odds: float
) -> Tensor:
    """Return the root by Newton's method from DV's ln E_Q eᵀ, bisecting where a step leaves the bracket or grows."""
    # At the least score of all the excess is ≥ 0, at the largest ≤ 0.
    low = torch.minimum(
        *(on_support(t, w, math.inf).amin(-1) for t, w in ((joint, log_p), (product, log_q)))
    )
    high = torch.maximum(
        *(on_support(t, w, -math.inf).amax(-1) for t, w in ((joint, log_p), (product, log_q)))
    )

    shift, length = log_expectation_exp(product, log_q).clamp(low, high), high - low
    for _ in range(100):
        excess, slope = _bridge_equation(shift, joint, product, log_p, log_q, log_odds)
        low, high = torch.where(excess > 0, shift, low), torch.where(excess > 0, high, shift)
        newton = shift - excess / slope
        inside = (newton >= low) & (newton <= high) & ((newton - shift).abs() <= length / 2)
        moved = torch.where(inside, newton, (low + high) / 2)
        length, shift = (moved - shift).abs(), moved
        if _settled(length <= 1e-6 * (1 + shift.abs())):  # the next error is its square
            break

    return shift


def _settled(condition: Tensor) -> bool:
    """Tell whether every entry holds; inside torch.func.vmap, where values cannot be read, never."""
    try:
        return bool(condition.all())
    except RuntimeError as error:
        if "vmap" in str(error):
            return False
        raise
