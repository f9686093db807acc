"""Where the JS family's preference loss holds the chosen response: anchor, floor, ceiling, and no-collapse interval.

The loss is L_α = sp(−u) + (1 − α) sp(u) + α sp(v) in the rewards u = βz_w and v = βz_l, z = ln π/π_ref; MIO has
α = ½. `mix` is α, the share of true negatives. Rewards and losses are in nats.
"""

from __future__ import annotations

import math

from .. import _validate
from .arithmetic import (
    Number,
    at_least,
    at_most,
    exp,
    expm1,
    log,
    log1p,
    positive,
    probability,
    share,
    softplus,
    within,
    x_log_x,
)


def chosen_term(reward: Number, mix: Number) -> Number:
    """Return f_α(u) = sp(−u) + (1 − α) sp(u), the chosen response's part of the JS family's loss, in nats.

    It is strictly convex, and least at the anchor −ln(1 − α).

    Args:
        reward: u = βz_w, in nats; a number, array, tensor or symbol.
        mix: α in (0, 1].

    Returns:
        Nats, shape of `reward`.

    Raises:
        ValueError: mix outside (0, 1].

    Theorem: mio_anchor.

    >>> chosen_term(0.0, 0.5) / math.log(2)  # (2 − α) ln 2
    1.5
    """
    share(mix)
    return softplus(-reward) + (1 - mix) * softplus(reward)


def preference_anchor(mix: Number) -> Number:
    """Return −ln(1 − α), the chosen reward βz_w at which the JS family's chosen term is stationary, in nats.

    It is also the ceiling of KL(P‖Q_α), since r_α ≤ 1/(1 − α).

    Args:
        mix: α, the share of true negatives, in (0, 1]; a number, array, tensor or symbol.

    Returns:
        Nats, shape of `mix`; infinite at mix = 1.

    Raises:
        ValueError: mix outside (0, 1].

    Theorem: mio_anchor, lazy_flow_collapse.
    Reference: Chen et al. 2024 (arXiv 2402.05369), NCA; the anchor is of this project.

    >>> round(preference_anchor(0.5), 6)
    0.693147
    """
    return -log1p(-share(mix))


def win_rate_score(win_rate: Number, mix: Number) -> Number:
    """Return ln w/((1 − α) w + α (1 − w)), the score that the JS family's loss learns of a response, in nats.

    w is the response's win rate against the law that both responses of a pair are drawn from: the scores are in the
    order of the win rates, whatever the preferences are. MIO: ln 2w; α = 1: logit w.

    Args:
        win_rate: w in (0, 1); a number, array, tensor or symbol.
        mix: α in (0, 1].

    Returns:
        Nats, shape of `win_rate`.

    Raises:
        ValueError: win_rate outside (0, 1), or mix outside (0, 1].

    Theorem: mio_learns_win_rates.

    >>> win_rate_score(0.5, 0.5)
    0.0
    """
    probability("win_rate", win_rate)
    return log(win_rate / ((1 - share(mix)) * win_rate + mix * (1 - win_rate)))


def no_collapse_share(depth: Number, loss: Number, mix: Number) -> Number:
    """Return the largest share of pairs whose chosen reward βz_w is −x or less, at a mean loss ℓ of the JS family.

    It is (ℓ − F_α)/(f_α(−x) − F_α), F_α the loss floor: above 1 it says nothing.

    Args:
        depth: x ≥ 0, in nats; a number, array, tensor or symbol.
        loss: ℓ, the mean loss over the same pairs, in nats.
        mix: α in (0, 1].

    Returns:
        A share, shape of `depth`.

    Raises:
        ValueError: depth < 0, a loss below the floor, or mix outside (0, 1].

    Theorem: no_collapse_share.

    >>> round(no_collapse_share(5.0, 2 * math.log(2), 0.5), 4)
    0.1064
    """
    at_least("depth", depth, 0)
    floor = preference_loss_floor(mix)
    return within("loss - floor", loss - floor, low=0, closed="[") / (
        chosen_term(-depth, mix) - floor
    )


def preference_loss_floor(mix: Number) -> Number:
    """Return the infimum (2 − α) ln(2 − α) − (1 − α) ln(1 − α) of the JS family's loss, in nats.

    The loss approaches it at βz_w = −ln(1 − α), βz_l → −∞.

    Args:
        mix: α, the share of true negatives, in (0, 1]; a number, array, tensor or symbol.

    Returns:
        Nats, shape of `mix`.

    Raises:
        ValueError: mix outside (0, 1].

    Theorem: mio_anchor, mio_loss_floor.

    >>> round(preference_loss_floor(0.5), 6)  # MIO: ln(3√3/2)
    0.954771
    """
    own = 1 - share(mix)
    return (1 + own) * log1p(own) - x_log_x(own)


def no_collapse_interval(mix: float) -> tuple[float, float]:
    """Return the interval that holds the mean chosen reward βz_w while the mean JS loss is at most its start, 2 ln 2.

    The ends are the two roots of sp(−u) + (1 − α) sp(u) = 2 ln 2, found by bisection: plain numbers only. The upper
    one is infinite at mix = 1. Holds for any architecture and any optimiser (Jensen). DPO has no such interval.

    Args:
        mix: α, the share of true negatives, in (0, 1].

    Returns:
        (lower, upper), in nats.

    Raises:
        ValueError: mix outside (0, 1].

    Theorem: mio_no_collapse, alpha_frees_the_anchor.

    >>> [round(end, 6) for end in no_collapse_interval(0.5)]
    [-0.854527, 2.546215]
    """
    start = 2 * math.log(2)
    own = 1 - _validate.mix(mix)
    if own == 0:
        return -math.log(3), math.inf

    def root(low: float, high: float) -> float:
        sign = 1 if chosen_term(low, mix) > start else -1
        while low < (middle := (low + high) / 2) < high:
            above = sign * (chosen_term(middle, mix) - start) > 0
            low, high = (middle, high) if above else (low, middle)
        return low

    anchor = preference_anchor(mix)
    # The loss exceeds its start at both outer ends: sp(−u) ≥ −u on the left, (1 − α) sp(u) > (1 − α) u on the right.
    return root(-start, anchor), root(anchor, start / own)


def mio_target(eps: Number, beta: Number, mix: Number = 0.5) -> Number:
    """Return (1 − α)^{−1/β} ε, the probability at which the chosen response's reward is at its anchor.

    Args:
        eps: base probability ε = π_ref,w, in (0, 1); a number, array, tensor or symbol.
        beta: β > 0.
        mix: α in (0, 1].

    Returns:
        A probability, more than 1 where the anchor is out of reach; shape of `eps`.

    Raises:
        ValueError: eps outside (0, 1), beta ≤ 0, or mix outside (0, 1].

    Theorem: mio_anchor, mio_tabular_limit.

    >>> round(mio_target(0.125, beta=0.5), 12)  # 2² ε
    0.5
    """
    return exp(_log_target(eps, beta, mix))


def mio_ceiling(eps: Number, beta: Number, mix: Number = 0.5) -> Number:
    """Return min(1, (1 − α)^{−1/β} ε): where the JS family's flow leaves p(correct) when there are unseen responses.

    With at least one arm outside the pair the tabular flow ends here, if β > ½ or this value is 1. At smaller β it
    ends here or at 1: at 1 where little mass is unseen. With two arms only, the push on the rejected response has
    nowhere else to go, and the flow ends higher (`mio_rest`).

    Args:
        eps: base probability ε, in (0, 1); a number, array, tensor or symbol.
        beta: β > 0.
        mix: α in (0, 1].

    Returns:
        A probability, shape of `eps`.

    Raises:
        ValueError: eps outside (0, 1), beta ≤ 0, or mix outside (0, 1].

    Theorem: mio_tabular_limit, mio_anchor.

    >>> round(mio_ceiling(1e-6, beta=0.1), 6)
    0.001024
    """
    return exp(at_most(_log_target(eps, beta, mix), 0))


def freeing_mix(eps: Number, beta: Number) -> Number:
    """Return the α with 1 − α = ε^β, the least that lifts the JS family's ceiling to 1.

    Args:
        eps: base probability ε of the chosen response, in (0, 1); a number, array, tensor or symbol.
        beta: β > 0.

    Returns:
        A share in (0, 1), shape of `eps`; its anchor is β ln(1/ε) nats.

    Raises:
        ValueError: eps outside (0, 1) or beta ≤ 0.

    Theorem: alpha_frees_the_anchor.

    >>> round(freeing_mix(0.01, beta=0.5), 6)
    0.9
    """
    return -expm1(positive("beta", beta) * log(probability("eps", eps)))


def _log_target(eps: Number, beta: Number, mix: Number) -> Number:
    return log(probability("eps", eps)) + preference_anchor(mix) / positive("beta", beta)
