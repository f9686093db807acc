"""How long an objective takes from p(correct) = ε to ½ under exact gradient flow of the logits, θ̇ = ∇J.

Two arms unless a function says otherwise: u = θ_w − θ_l is then the log-odds, and moves at u̇ = 2 ∂J/∂θ_w, since the two
logits move oppositely. Time is in units of learning rate × step; L = ln((1 − ε)/ε).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import _validate
from .arithmetic import (
    Number,
    log,
    log1p,
    positive,
    probability,
    reflection,
    sigmoid,
    softplus,
    sqrt,
    within,
)
from .flows import chosen_pull, dpo_time, rejected_push
from .reach import drawn_js_weight, grpo_factor, pass_at_k_slope


def log_odds(p: Number) -> Number:
    """Return ln(p/(1 − p)), the log-odds of a probability, in nats.

    Args:
        p: a probability in (0, 1); a number, array, tensor or symbol.

    Returns:
        Nats, shape of `p`.

    Raises:
        ValueError: p outside (0, 1).

    Theorem: escape_times.

    >>> log_odds(0.5)
    0.0
    """
    probability("p", p)
    return log(p) - log1p(-p)


def escape_time_rlhf(eps: Number) -> Number:
    """Return the escape time of on-policy RLHF (β = 0, binary reward), L + sinh L, about 1/(2ε).

    Args:
        eps: ε in (0, ½); a number, array, tensor or symbol.

    Returns:
        Units of learning rate × step, shape of `eps`.

    Raises:
        ValueError: eps outside (0, ½).

    Theorem: escape_times.

    >>> round(escape_time_rlhf(0.1), 6)
    6.641669
    """
    distance = _distance(eps)
    # sinh L without leaving the probabilities
    return distance + (1 / eps - 1 - eps / (1 - eps)) / 2


def escape_time_dpo(eps: Number, beta: Number, rejected: Number | None = None) -> Number:
    """Return the escape time of DPO: (L + (e^{βL} − 1)/β)/(2β) on two responses, about ε^{−β}/(2β²).

    With mass outside the pair half of the margin goes to the rejected response and is wasted: the time is then about
    ε^{−2β}. It is `dpo_time` at m = 2 ln x, x = (s + √(s² + 4εq))/(2ε), s = 1 − ε − q, q the rejected response's mass.

    Args:
        eps: ε in (0, ½); a number, array, tensor or symbol.
        beta: β > 0.
        rejected: q in (0, 1 − ε], the base probability of the rejected response; None means 1 − ε: two responses.

    Returns:
        Units of learning rate × step, shape of `eps`.

    Raises:
        ValueError: eps outside (0, ½), beta ≤ 0, or rejected outside (0, 1 − ε].

    Theorem: escape_times.

    >>> round(escape_time_dpo(1e-2, beta=0.1), 6), round(escape_time_dpo(1e-2, beta=1.0, rejected=0.5), 3)
    (52.140655, 1253.412)
    """
    margin = _distance(eps)
    if rejected is not None:
        probability("rejected", rejected)
        unseen = within("1 - eps - rejected", 1 - eps - rejected, low=0, high=1, closed="[")
        margin = 2 * log((unseen + sqrt(unseen**2 + 4 * eps * rejected)) / (2 * eps))

    return dpo_time(margin, beta)


def escape_time_sft(eps: Number) -> Number:
    """Return the escape time of maximum likelihood on the chosen response, ½(L + 1 − e^{−L}), about ½ ln(1/ε).

    It is DV's, too, where the policy draws the positives: both put the weight 1 on ∇ ln π(correct).

    Args:
        eps: ε in (0, ½); a number, array, tensor or symbol.

    Returns:
        Units of learning rate × step, shape of `eps`.

    Raises:
        ValueError: eps outside (0, ½).

    Theorem: escape_times.

    >>> round(escape_time_sft(1e-3), 6)
    3.952877
    """
    return (_distance(eps) + 1 - eps / (1 - eps)) / 2


def mio_drift(log_odds: Number, eps: Number, beta: Number, mix: Number = 0.5) -> Number:
    """Return u̇ of the JS family's two-arm flow: 2β[(1 − p)(1 − (2 − α)σ(βz_w)) + pασ(βz_l)].

    It starts at αβ whatever ε: a supplied correct answer is not starved at first.

    Args:
        log_odds: u = ln(p/(1 − p)), in nats; a number, array, tensor or symbol.
        eps: ε in (0, 1), where the flow starts and its reference.
        beta: β > 0.
        mix: α in (0, 1].

    Returns:
        Nats per unit of learning rate × step, shape of `log_odds`.

    Raises:
        ValueError: eps outside (0, 1), beta ≤ 0, or mix outside (0, 1].

    Theorem: escape_times, mio_escapes_two_arms.

    >>> [round(mio_drift(math.log(e / (1 - e)), e, beta=0.2), 6) for e in (0.1, 1e-6)]
    [0.1, 0.1]
    """
    probability("eps", eps)
    positive("beta", beta)
    chosen = beta * (-softplus(-log_odds) - log(eps))
    rejected = beta * (-softplus(log_odds) - log1p(-eps))
    pull = sigmoid(-log_odds) * chosen_pull(chosen, mix)

    return 2 * beta * (pull + sigmoid(log_odds) * rejected_push(rejected, mix))


def mio_rest(eps: float, beta: float, mix: float = 0.5) -> float:
    """Return p(correct) where the JS family's two-arm flow from ε comes to rest: the first zero of `mio_drift`, or 1.

    It lies above (1 − α)^{−1/β} ε, where only the chosen term rests, because the push on the rejected response goes on.
    A grid and bisection: plain numbers only.

    Args:
        eps: ε in (0, ½).
        beta: β > 0.
        mix: α in (0, 1].

    Returns:
        A probability.

    Raises:
        ValueError: eps outside (0, ½), beta ≤ 0, or mix outside (0, 1].

    Theorem: escape_times, mio_escapes_two_arms.

    >>> round(mio_rest(1e-2, beta=1.0), 6), mio_rest(0.2, beta=1.0)
    (0.020313, 1.0)
    """
    eps = _validate.number("eps", eps, low=0, high=0.5)
    beta = _validate.number("beta", beta, low=0)
    mix = _validate.mix(mix)

    # Beyond 36, 1 − p is below the resolution of a double.
    grid = np.arange(-_distance(eps), 36, 0.01)
    stops = np.flatnonzero(mio_drift(grid, eps, beta, mix) <= 0)
    if len(stops) == 0:
        return 1.0

    low, high = float(grid[stops[0] - 1]), float(grid[stops[0]])
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if mio_drift(middle, eps, beta, mix) > 0 else (low, middle)

    return sigmoid(low)


def mio_escapes(eps: float, beta: float, mix: float = 0.5) -> bool:
    """Tell whether the JS family's two-arm flow from ε passes ½; plain numbers only.

    2^{1/β} ε ≥ ½ suffices for MIO but is far from necessary; at β = 1 the flow escapes iff ε > 1 − √3/2 = 0.134.

    Args, Returns, Raises: as for `mio_rest`, whose value is compared with ½.

    Theorem: mio_escapes_two_arms, escape_times.

    >>> mio_escapes(1e-4, beta=0.1), mio_escapes(1e-6, beta=0.1)  # though 2¹⁰·1e-4 = 0.10 < ½
    (True, False)
    """
    return mio_rest(eps, beta, mix) > 0.5


def escape_time_mio(eps: float, beta: float, mix: float = 0.5) -> float:
    """Return the two-arm escape time of the JS family, ∫ du/u̇ by Simpson's rule; plain numbers only.

    Args:
        eps: ε in (0, ½).
        beta: β > 0.
        mix: α in (0, 1].

    Returns:
        Units of learning rate × step; infinite where it never escapes.

    Raises:
        ValueError: eps outside (0, ½), beta ≤ 0, or mix outside (0, 1].

    Theorem: escape_times, mio_escapes_two_arms.

    >>> escape_time_mio(0.133, beta=1.0), escape_time_mio(0.135, beta=1.0) < math.inf  # 1 − √3/2 = 0.1340
    (inf, True)
    """
    if not mio_escapes(eps, beta, mix):
        return math.inf
    return _time(lambda u: mio_drift(u, eps, beta, mix), eps)


def escape_time_drawn_js(eps: float) -> float:
    """Return the escape time of JS's population gradient where the policy draws the positives; plain numbers only.

    ∫ du/(2(1 − p)ω) by Simpson's rule, ω = p ln(1 + 1/p) the weight on ∇ ln π(correct); it grows like 1/(2ε ln(1/ε)).

    Args:
        eps: ε in (0, ½).

    Returns:
        Units of learning rate × step.

    Raises:
        ValueError: eps outside (0, ½).

    Theorem: who_samples_starves.

    >>> round(escape_time_drawn_js(1e-4), 3)
    625.188
    """
    return _time(lambda u: 2 * sigmoid(-u) * drawn_js_weight(sigmoid(u)), eps)


def escape_constant(beta: Number) -> Number:
    """Return C = 2^b π/(2β(1 + β) sin πb), b = β/(1 + β), the limit of t ε^b for MIO with the freeing mix 1 − α = ε^β.

    With two responses α-MIO needs a time of about C ε^{−β/(1+β)} from ε to ½, whereas DPO needs ε^{−β}.

    Args:
        beta: β > 0; a number, array, tensor or symbol.

    Returns:
        A constant, shape of `beta`.

    Raises:
        ValueError: beta ≤ 0.

    Theorem: escape_exponents.

    >>> [round(escape_constant(beta), 6) for beta in (2.0, 1.0, 0.5)]
    [0.479871, 1.110721, 3.046992]
    """
    power = positive("beta", beta) / (1 + beta)
    return 2**power * reflection(power) / (2 * beta * (1 + beta))


def escape_time_grpo(eps: float, samples: int) -> float:
    """Return the mean-field escape time of group-normalised rewards, about 1/(2√(n − 1) ε); plain numbers only.

    ∫ du/(2p(1 − p)f) by Simpson's rule, f the factor `grpo_factor`.

    Args:
        eps: ε in (0, ½).
        samples: n ≥ 2, the size of a group.

    Returns:
        Units of learning rate × step.

    Raises:
        ValueError: eps outside (0, ½), or samples that is not a whole number of at least 2.

    Theorem: grpo_normalised_gradient.

    >>> [round(1e-6 * escape_time_grpo(1e-6, n), 6) for n in (2, 8)]
    [0.500013, 0.188991]
    """

    def speed(u: np.ndarray) -> np.ndarray:
        p, failure = sigmoid(u), sigmoid(-u)
        return 2 * p * failure * grpo_factor(p, samples)

    return _time(speed, eps)


def escape_time_pass_at_k(eps: float, k: int) -> float:
    """Return the escape time of ascent on pass@k, about 1/(2kε); plain numbers only.

    ∫ du/(2p(1 − p)k(1 − p)^{k−1}) by Simpson's rule.

    Args:
        eps: ε in (0, ½).
        k: number of responses, ≥ 1.

    Returns:
        Units of learning rate × step.

    Raises:
        ValueError: eps outside (0, ½) or k < 1.

    Theorem: pass_at_k_gradient.

    >>> [round(1e-6 * escape_time_pass_at_k(1e-6, k), 6) for k in (1, 4, 16)]
    [0.500013, 0.12501, 0.031859]
    """
    return _time(lambda u: 2 * sigmoid(u) * sigmoid(-u) * pass_at_k_slope(sigmoid(u), k), eps)


def escape_time_natural(eps: Number, beta: Number) -> Number:
    """Return the escape time of RLHF's natural-gradient flow, −ln(1 − βL)/β; L without the KL term.

    Finite iff βL < 1, L = ln((1 − ε)/ε): where RLHF's optimum is above ½ at all.

    Args:
        eps: ε in (0, ½); a number, array, tensor or symbol.
        beta: β > 0, with βL < 1.

    Returns:
        Units of learning rate × step, shape of `eps`.

    Raises:
        ValueError: eps outside (0, ½), beta ≤ 0, or βL ≥ 1.

    Theorem: natural_gradient_rlhf.

    >>> round(escape_time_natural(1e-6, beta=0.01), 3)  # L = 13.8: no power of 1/ε
    14.868
    """
    spent = within("beta * L", positive("beta", beta) * _distance(eps), high=1)
    return -log1p(-spent) / beta


def _distance(eps: Number) -> Number:
    """Return L = ln((1 − ε)/ε) > 0, the distance in log-odds from ε to ½."""
    return -log_odds(within("eps", eps, low=0, high=0.5))


def _time(
    speed: Callable[[np.ndarray], np.ndarray],
    eps: float,
) -> float:
    """Return ∫ du/u̇ from ε to ½ by Simpson's rule."""
    grid = np.linspace(-_distance(_validate.number("eps", eps, low=0, high=0.5)), 0, 2001)
    weights = np.where(np.arange(len(grid)) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1
    return float((weights / speed(grid)).sum() * (grid[1] - grid[0]) / 3)
