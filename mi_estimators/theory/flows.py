"""How a pair's log-ratios move under a preference loss: pulls, barriers and dips, and DPO's clock.

Rewards are u = βz_w and v = βz_l, z = ln π/π_ref, in nats. A frozen kernel is [[a, c], [c, d]]: the squared norms a and
d of the two responses' centred features, and their product c. Time is in units of learning rate × step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _validate
from .arithmetic import Number, at_least, exp, expm1, log, positive, share, sigmoid, within


def chosen_pull(reward: Number, mix: Number) -> Number:
    """Return 1 − (2 − α) σ(u), the JS family's pull −(1/β) ∂L/∂z_w on the chosen response.

    Positive below the anchor u = −ln(1 − α), negative above; it does not depend on the rejected response.

    Args:
        reward: u = βz_w, in nats; a number, array, tensor or symbol.
        mix: α in (0, 1].

    Returns:
        A weight in (α − 1, 1), shape of `reward`.

    Raises:
        ValueError: mix outside (0, 1].

    Theorem: mio_tabular_limit, matched_gradients.

    >>> chosen_pull(0.0, 0.5)  # α/2
    0.25
    """
    return 1 - (2 - share(mix)) * sigmoid(reward)


def rejected_push(reward: Number, mix: Number) -> Number:
    """Return α σ(v), the JS family's push (1/β) ∂L/∂z_l on the rejected response.

    Args:
        reward: v = βz_l, in nats; a number, array, tensor or symbol.
        mix: α in (0, 1].

    Returns:
        A weight in (0, α), shape of `reward`.

    Raises:
        ValueError: mix outside (0, 1].

    Theorem: mio_tabular_limit, matched_gradients.

    >>> rejected_push(0.0, 0.5)
    0.25
    """
    return share(mix) * sigmoid(reward)


def mio_barrier(ratio: Number, mix: Number = 0.5) -> Number:
    """Return logit((1 − ακ/2)/(2 − α)), a lower bound of βz_w along the JS family's flow, in nats.

    It holds for one pair and kernels that may change, as long as c/a ≤ κ and z_l ≤ 0.

    Args:
        ratio: κ in [1, 2/α); a number, array, tensor or symbol.
        mix: α in (0, 1].

    Returns:
        Nats, shape of `ratio`; at most 0.

    Raises:
        ValueError: ratio outside [1, 2/mix), or mix outside (0, 1].

    Theorem: mio_barrier.

    >>> round(mio_barrier(1.0), 6) + 0.0, round(mio_barrier(2.5), 6)  # logit ½ and logit ¼ = −ln 3
    (0.0, -1.098612)
    """
    within("ratio", ratio, low=1, high=2 / share(mix), closed="[")
    level = (1 - mix * ratio / 2) / (2 - mix)
    return log(level) - log(1 - level)


def mio_deepest_dip(ratio: float) -> float:
    """Return the least βz_w of MIO's flow from 0 under any frozen kernel with c/a = κ, in nats.

    It is the root of (3/2) σ(u) − 1 + (κ/2) σ(κu), found by bisection: plain numbers only. Along the flow βz_l ≤ κβz_w,
    so z_w falls no faster than with equality, which ad − c² → 0 approaches.

    Args:
        ratio: κ = c/a; there is no dip up to κ = 1.

    Returns:
        Nats, at most 0.

    Raises:
        ValueError: ratio that is not a finite number.

    Theorem: lazy_flow_collapse.

    >>> mio_deepest_dip(1.0), round(mio_deepest_dip(3.0), 4)
    (0.0, -0.3573)
    """
    if _validate.number("ratio", ratio) <= 1:
        return 0.0

    low, high = -1.0, 0.0
    while low < (middle := (low + high) / 2) < high:
        up = chosen_pull(middle, 0.5) > ratio * rejected_push(ratio * middle, 0.5)
        low, high = (middle, high) if up else (low, middle)
    return low


def lazy_dpo_reward(margin: Number, own: Number, cross: Number, other: Number) -> Number:
    """Return z_w = m (a − c)/(a − 2c + d), DPO's chosen log-ratio at the margin m = z_w − z_l, in nats.

    Exact for a frozen kernel and a start at 0; it sinks without bound iff c > a.

    Args:
        margin: m, in nats; a number, array, tensor or symbol.
        own, cross, other: a, c and d of the kernel, with a − 2c + d > 0.

    Returns:
        Nats, shape of `margin`.

    Raises:
        ValueError: a − 2c + d ≤ 0.

    Theorem: lazy_flow_collapse.

    >>> lazy_dpo_reward(5.0, own=1, cross=3, other=10)
    -2.0
    """
    kernel = own - 2 * cross + other
    positive("own - 2 cross + other", kernel)
    return margin * (own - cross) / kernel


def dpo_time(margin: Number, beta: Number, kernel: Number = 2) -> Number:
    """Return (βm + e^{βm} − 1)/(β²D), the time at which DPO's margin m = z_w − z_l is reached from 0.

    Args:
        margin: m ≥ 0, in nats; a number, array, tensor or symbol.
        beta: β > 0.
        kernel: D = ‖φ_w − φ_l‖², 2 where the two logits are the parameters.

    Returns:
        Units of learning rate × step, shape of `margin`.

    Raises:
        ValueError: beta ≤ 0 or kernel ≤ 0.

    Theorem: lazy_flow_collapse, late_decline.

    >>> dpo_time(0.0, beta=0.1)
    0.0
    """
    positive("beta", beta)
    positive("kernel", kernel)
    return (beta * margin + expm1(beta * margin)) / (beta**2 * kernel)


def turning_point(
    reference: Sequence[float],
    alignment: Sequence[float],
    chosen: int = 0,
) -> float:
    """Return the s* at which ln π_s(w) is largest on the path π_s ∝ π_ref e^{sh}, by bisection: plain numbers only.

    Its slope in s is h_w − E_{π_s} h. Every loss of the margin alone moves a log-linear policy on this path, with h_y =
    ⟨φ_y, φ_w − φ_l⟩; DPO is there at the time `dpo_time(D * s, beta, D)`, D = h_w − h_l.

    Args:
        reference: π_ref of each response, or weights in proportion to it.
        alignment: h of each response.
        chosen: which response is w.

    Returns:
        s*, in nats to a unit of h; 0 if π(w) falls from the start, and infinity if it rises for ever.

    Raises:
        ValueError: a weight that is not positive, lengths that differ, or no such response.

    Theorem: late_decline.

    >>> round(turning_point([0.3, 0.6, 0.1], [1, 0, 2]), 6)  # ½ ln 6
    0.89588
    """
    weights, h = np.asarray(reference, float), np.asarray(alignment, float)
    if weights.shape != h.shape or weights.ndim != 1 or not 0 <= chosen < len(h):
        raise ValueError(f"alignment: expected one number a response, got shape {h.shape}")

    within("reference", weights, low=0)
    within("alignment", h)
    gaps = h - h[chosen]
    if gaps.max() <= 0:
        return np.inf

    def rises(s: float) -> bool:
        powers = s * gaps - (s * gaps).max()
        return bool((weights * np.exp(powers) * gaps).sum() < 0)

    if not rises(0.0):
        return 0.0

    low, high = 0.0, 1.0
    while rises(high):
        low, high = high, 2 * high

    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if rises(middle) else (low, middle)
    return low


def dpo_margin(time: Number, beta: Number, kernel: Number = 2) -> Number:
    """Return DPO's margin m = z_w − z_l at a time, in nats: the inverse of `dpo_time`.

    Newton's method on βm + e^{βm} = 1 + β²Dt: numbers and numpy arrays only.

    Args:
        time: t ≥ 0, in units of learning rate × step.
        beta: β > 0.
        kernel: D = ‖φ_w − φ_l‖².

    Returns:
        Nats, shape of `time`.

    Raises:
        ValueError: time < 0, beta ≤ 0, kernel ≤ 0, or a product of them that overflows.

    Theorem: lazy_flow_collapse.

    >>> margin = dpo_margin(1e5, beta=1.0, kernel=5)
    >>> round(lazy_dpo_reward(margin, own=1, cross=3, other=10), 3)
    -5.249
    """
    at_least("time", time, 0)
    positive("beta", beta)
    positive("kernel", kernel)
    spent = within("1 + beta**2 kernel time", 1 + beta**2 * kernel * time)
    return _log_omega(spent) / beta


def interference(time: Number, beta: Number, kernel: Number, other: Number) -> Number:
    """Return ρ = (1 + W)/(1 + W'), DPO's push on another pair over that on this one; numbers and numpy arrays only.

    W = e^{βm} and W' = e^{βm'} grow by `dpo_margin` with the kernels D and D' of two orthogonal pairs. A chosen reward
    that this pair lifts by a₁ and the other one lowers by |x| falls while a₁ < |x| ρ.

    Args:
        time: t ≥ 0, in units of learning rate × step.
        beta: β > 0.
        kernel: D of this pair.
        other: D' of the other pair.

    Returns:
        A ratio, shape of `time`: 1 at t = 0, D/D' at the end, and above D/D' in between if D > D'.

    Raises:
        ValueError: as for `dpo_margin`.

    Theorem: two_pair_interference.

    >>> interference(0.0, 1.0, 4.0, 1.0)
    1.0
    """
    powers = (exp(beta * dpo_margin(time, beta, size)) for size in (kernel, other))
    own, crossed = (1 + power for power in powers)
    return own / crossed


def disentanglement_band(own: Number, cross: Number, other: Number) -> tuple[Number, Number]:
    """Return [c/a, d/c], where the ratio of pull to push neither lowers the chosen nor raises the rejected response.

    Below c/a the chosen log-probability falls, above d/c the rejected one rises. DPO's ratio is 1.

    Args:
        own, cross, other: a, c and d of the kernel, with a, c > 0; numbers, arrays, tensors or symbols.

    Returns:
        (lower, upper), never empty, since ad ≥ c².

    Raises:
        ValueError: a ≤ 0 or c ≤ 0.

    Theorem: disentanglement_band.

    >>> disentanglement_band(2.0, 1.0, 3.0)
    (0.5, 3.0)
    """
    return cross / positive("own", own), other / positive("cross", cross)


def log_odds_at(spent: Number) -> Number:
    """Return the u with u + eᵘ = `spent`, by Newton's method: numbers and numpy arrays only.

    It is the logarithm of Wright's omega function: the log-odds, in nats, of maximum likelihood after a time t is
    `log_odds_at(u₀ + e^{u₀} + 2t)` on two responses.

    Args:
        spent: any finite number.

    Returns:
        Nats, shape of `spent`.

    Raises:
        ValueError: a number that is not finite.

    Theorem: escape_times.

    >>> log_odds_at(1.0)
    0.0
    """
    return _log_omega(within("spent", spent))


def _log_omega(total: Number) -> Number:
    total = np.asarray(total, float)
    # u + eᵘ is convex and increasing: from the right Newton's method descends onto the root.
    u = np.where(total >= 1, np.log(np.maximum(total, 1)), total)

    for _ in range(12):
        u = u - (u + exp(u) - total) / (1 + exp(u))
    return u if u.ndim else float(u)
