"""What sampling from a policy reaches: first signals, missed answers, drawn weights, and RLHF's optimum."""

from __future__ import annotations

from .arithmetic import Number, at_least, exp, expm1, log1p, positive, probability, within


def missed_mass(eps: Number, draws: Number) -> Number:
    """Return (1 − ε)ⁿ, the probability that n independent draws all miss a region of mass ε.

    Args:
        eps: ε in (0, 1); a number, array, tensor or symbol.
        draws: n ≥ 1.

    Returns:
        A probability, shape of `eps`.

    Raises:
        ValueError: eps outside (0, 1) or draws < 1.

    Theorem: missed_mass, who_samples_starves.

    >>> missed_mass(0.5, 3)
    0.125
    """
    probability("eps", eps)
    return (1 - eps) ** at_least("draws", draws, 1)


def zero_gradient_probability(eps: Number, samples: Number) -> Number:
    """Return (1 − ε)ⁿ + εⁿ, the probability that a group-relative gradient is exactly 0 under a binary reward.

    Args:
        eps: ε in (0, 1), the probability of a correct answer; a number, array, tensor or symbol.
        samples: n ≥ 1, the size of the group.

    Returns:
        A probability, shape of `eps`.

    Raises:
        ValueError: eps outside (0, 1) or samples < 1.

    Theorem: group_relative_zero_gradient.

    >>> zero_gradient_probability(0.5, 2)
    0.5
    """
    return missed_mass(eps, samples) + eps**samples


def steps_to_first_signal(eps: Number, samples: Number) -> Number:
    """Return 1/(1 − (1 − ε)ⁿ), the expected number of steps until one of n on-policy samples is correct.

    Args:
        eps: ε in (0, 1), the probability of a correct answer; a number, array, tensor or symbol.
        samples: n ≥ 1, drawn in each step.

    Returns:
        Steps, shape of `eps`; about 1/(nε).

    Raises:
        ValueError: eps outside (0, 1) or samples < 1.

    Theorem: group_relative_zero_gradient.

    >>> round(steps_to_first_signal(1e-6, 16), 1)
    62500.5
    """
    probability("eps", eps)
    return -1 / expm1(at_least("samples", samples, 1) * log1p(-eps))


def drawn_js_weight(p: Number, target: Number = 1) -> Number:
    """Return p ln(1 + P/p), JS's weight on ∇ ln π(y) where the policy draws the responses.

    π takes the part of Q in the bound, and the critic is held at ln dP/dπ. DV's and NWJ's weight is P, whatever p.

    Args:
        p: π(y) in (0, 1); a number, array, tensor or symbol.
        target: P(y) in [0, 1]; 1 is a law on y alone.

    Returns:
        A weight, shape of `p`; below √p at P = 1.

    Raises:
        ValueError: p outside (0, 1) or target outside [0, 1].

    Theorem: who_samples_starves.

    >>> f"{drawn_js_weight(1e-6):.2g}"
    '1.4e-05'
    """
    probability("p", p)
    within("target", target, low=0, high=1, closed="[]")
    return p * log1p(target / p)


def rlhf_success(p: Number, beta: Number) -> Number:
    """Return p e^{1/β}/(1 − p + p e^{1/β}), success under RLHF's optimum π_ref e^{r/β}/Z, for a binary reward.

    The odds of success are multiplied by e^{1/β}; 0 stays 0.

    Args:
        p: success of the base policy, in [0, 1]; a number, array, tensor or symbol.
        beta: β > 0, the weight of KL(π‖π_ref).

    Returns:
        A probability, shape of `p`.

    Raises:
        ValueError: p outside [0, 1] or beta ≤ 0.

    Theorem: rlhf_reach.

    >>> rlhf_success(0.0, beta=1.0), round(rlhf_success(0.5, beta=1.0), 6)  # σ(1)
    (0.0, 0.731059)
    """
    within("p", p, low=0, high=1, closed="[]")
    positive("beta", beta)
    return p / (p + (1 - p) * exp(-1 / beta))


def pass_at_k(p: Number, k: Number) -> Number:
    """Return 1 − (1 − p)^k, the probability that at least one of k independent responses is correct.

    Args:
        p: success of one response, in [0, 1]; a number, array, tensor or symbol.
        k: number of responses, ≥ 1.

    Returns:
        A probability, shape of `p` and `k` broadcast.

    Raises:
        ValueError: p outside [0, 1] or k < 1.

    Theorem: rlhf_reach.

    >>> pass_at_k(0.5, 2), pass_at_k(1.0, 3)
    (0.75, 1.0)
    """
    within("p", p, low=0, high=1, closed="[]")
    at_least("k", k, 1)
    return -expm1(k * log1p(-p))
