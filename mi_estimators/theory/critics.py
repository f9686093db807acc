"""A critic with two levels, θ on a region A and 0 elsewhere: how fast each bound raises it, and where it ends.

A has the mass p under P and the mass ε under Q; time is in units of learning rate × step of plain gradient flow.
"""

from __future__ import annotations

from math import comb

from .. import _validate
from .arithmetic import Number, at_least, exp, expm1, log, probability, within


def two_level_optimum(mass: Number, rate: Number, bound: str = "dv") -> Number:
    """Return the best score θ on a region, the score elsewhere being 0, in nats.

    It is ln p/ε for JS and NWJ, and ln p(1 − ε)/(ε(1 − p)) for DV.

    Args:
        mass: p, what P gives the region; a number, array, tensor or symbol.
        rate: ε, what Q gives it.
        bound: "dv", "js" or "nwj".

    Returns:
        Nats, shape of `mass`.

    Raises:
        ValueError: p or ε outside (0, 1), or another bound.

    Theorem: critic_time, minibatch_dv_unbounded.

    >>> round(two_level_optimum(0.5, 0.02), 6)
    3.89182
    """
    if bound not in ("dv", "js", "nwj"):
        raise ValueError(f"bound: expected 'dv', 'js' or 'nwj', got {bound!r}")
    probability("mass", mass)
    probability("rate", rate)
    ratio = log(mass / rate)

    return ratio + log((1 - rate) / (1 - mass)) if bound == "dv" else ratio


def critic_time_js(mass: Number, rate: Number, gap: Number) -> Number:
    """Return the time that plain gradient flow of JS takes from θ = 0 to `gap` nats below its optimum ln p/ε.

    It grows like 1/ε: (θ* − c)/p + ((p + ε)/(pε)) ln((1 − ε/p)/(1 − e^{−c})).

    Args:
        mass: p, what P gives the region; a number, array, tensor or symbol.
        rate: ε < p, what Q gives it.
        gap: c in (0, θ*), in nats.

    Returns:
        Units of learning rate × step, shape of `mass`.

    Raises:
        ValueError: p or ε outside (0, 1), or a gap outside (0, θ*).

    Theorem: critic_time.

    >>> round(critic_time_js(0.5, 1e-4, 0.6931471805599453), 3)
    6946.506
    """
    climb = _climb(mass, rate, gap, "js")
    logs = log((1 - rate / mass) / -expm1(-gap))
    return climb / mass + (mass + rate) / (mass * rate) * logs


def critic_time_dv(mass: Number, rate: Number, gap: Number) -> Number:
    """Return the time that plain gradient flow of DV takes from θ = 0 to `gap` nats below its optimum.

    It grows like ln 1/ε: (θ* − c)/p + (1/(p(1 − p))) ln((p − ε)/(p(1 − ε)(1 − e^{−c}))).

    Args, Returns, Raises: as for `critic_time_js`.

    Theorem: critic_time.

    >>> round(critic_time_dv(0.5, 1e-4, 0.6931471805599453), 6)
    19.806375
    """
    climb = _climb(mass, rate, gap, "dv")
    logs = log((mass - rate) / (mass * (1 - rate) * -expm1(-gap)))
    return climb / mass + logs / (mass * (1 - mass))


def critic_time_nwj(mass: Number, rate: Number, gap: Number) -> Number:
    """Return the time that plain gradient flow of NWJ takes from θ = 0 to `gap` nats below its optimum ln p/ε.

    It grows like ln 1/ε: ((θ* − c) + ln((p − ε)/(p(1 − e^{−c}))))/p.

    Args, Returns, Raises: as for `critic_time_js`.

    Theorem: critic_time.

    >>> round(critic_time_nwj(0.5, 1e-4, 0.6931471805599453), 6)
    17.033986
    """
    climb = _climb(mass, rate, gap, "nwj")
    return (climb + log((mass - rate) / (mass * -expm1(-gap)))) / mass


def _climb(mass: Number, rate: Number, gap: Number, bound: str) -> Number:
    """Return θ* − c, the score that is reached."""
    optimum = two_level_optimum(mass, rate, bound)
    return within("optimum - gap", optimum - within("gap", gap, low=0), low=0)


def minibatch_dv_threshold(mass: Number, negatives: Number) -> Number:
    """Return 1 − (1 − p)^{1/M}: below this Q-mass of a region, minibatch DV has no optimum.

    With M independent negatives a batch its expected value grows without bound as the critic is raised on the region.

    Args:
        mass: p, what P gives the region; a number, array, tensor or symbol.
        negatives: M ≥ 1.

    Returns:
        A probability, shape of `mass`.

    Raises:
        ValueError: p outside (0, 1), or M < 1.

    Theorem: minibatch_dv_unbounded.

    >>> round(minibatch_dv_threshold(0.5, 64), 8)
    0.01077199
    """
    probability("mass", mass)
    return -expm1(log(1 - mass) / at_least("negatives", negatives, 1))


def minibatch_dv_slope(score: Number, mass: Number, rate: Number, negatives: int) -> Number:
    """Return the mean slope of minibatch DV in θ, with M independent negatives a batch.

    It is p − E[k e^θ/(M − k + k e^θ)], k ~ Bin(M, ε): it falls from p to p − 1 + (1 − ε)^M as θ rises.

    Args:
        score: θ, in nats; a number, array, tensor or symbol.
        mass: p, what P gives the region.
        rate: ε, what Q gives it.
        negatives: M, one of the plain whole numbers.

    Returns:
        A slope, shape of `score`.

    Raises:
        ValueError: p or ε outside (0, 1), or M that is not a whole number of at least 1.

    Theorem: minibatch_dv_unbounded.

    >>> round(minibatch_dv_slope(4.529014, 0.5, 0.02, 64), 6) + 0.0
    0.0
    """
    probability("mass", mass)
    probability("rate", rate)
    size = _validate.count("negatives", negatives)

    drop = 0
    for hits in range(1, size + 1):
        chance = comb(size, hits) * rate**hits * (1 - rate) ** (size - hits)
        drop = drop + chance * hits / (hits + (size - hits) * exp(-score))

    return mass - drop
