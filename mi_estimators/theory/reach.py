"""What sampling from a policy reaches: first signals, missed answers, drawn weights, and RLHF's optimum."""

from __future__ import annotations

from math import comb

from .. import _validate
from .arithmetic import Number, at_least, exp, expm1, log1p, positive, probability, sqrt, within


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


def pass_at_k_slope(p: Number, k: Number) -> Number:
    """Return k(1 − p)^{k−1}, the slope of pass@k in the success p of one response.

    Ascent on pass@k is ascent on p with this factor: k at p → 0, 0 at p → 1.

    Args, Returns, Raises: as for `pass_at_k`.

    Theorem: pass_at_k_gradient.

    >>> pass_at_k_slope(0.0, 4), pass_at_k_slope(0.5, 2)
    (4.0, 1.0)
    """
    within("p", p, low=0, high=1, closed="[]")
    return at_least("k", k, 1) * (1 - p) ** (k - 1)


def grpo_factor(eps: Number, samples: int) -> Number:
    """Return E[√(k(n − k))/n]/(ε(1 − ε)), k ~ Bin(n, ε): E ĝ/s over ∇ε, s the deviation of a group's rewards.

    It tends to √(n − 1) for ε → 0 and is below 1/√(ε(1 − ε)); undivided, E ĝ is (1 − 1/n) ∇ε. The deviation is that
    with 1/n; with 1/(n − 1) the factor is √((n − 1)/n) times as large.

    Args:
        eps: ε in (0, 1), the probability of a correct answer; a number, array, tensor or symbol.
        samples: n ≥ 2, the size of a group, one of the plain whole numbers.

    Returns:
        A factor, shape of `eps`.

    Raises:
        ValueError: eps outside (0, 1), or samples that is not a whole number of at least 2.

    Theorem: grpo_normalised_gradient.

    >>> grpo_factor(0.3, 2), round(grpo_factor(1e-5, 8), 5)
    (1.0, 2.64571)
    """
    probability("eps", eps)
    n = _validate.count("samples", samples, low=2)
    return sum(
        comb(n, k) * eps ** (k - 1) * (1 - eps) ** (n - k - 1) * sqrt(k * (n - k) + 0 * eps) / n
        for k in range(1, n)
    )


def coverage_cap(spread: Number, beta: Number, penalty: str = "kl") -> Number:
    """Return the most that π/π_ref can be at the optimum of E_π r − β·penalty, for rewards that differ by Δ at most.

    It is e^{Δ/β} for KL, RLHF's penalty, and 1 + Δ/β for χPO's, KL + ½χ².

    Args:
        spread: Δ = max r − min r ≥ 0; a number, array, tensor or symbol.
        beta: β > 0.
        penalty: "kl" or "chi2_kl".

    Returns:
        A ratio, shape of `spread`.

    Raises:
        ValueError: spread < 0, beta ≤ 0, or another penalty.

    Theorem: chi_po.

    >>> coverage_cap(3.0, 0.5, "chi2_kl"), round(coverage_cap(3.0, 0.5), 1)
    (7.0, 403.4)
    """
    if penalty not in ("kl", "chi2_kl"):
        raise ValueError(f"penalty: expected 'kl' or 'chi2_kl', got {penalty!r}")
    ratio = at_least("spread", spread, 0) / positive("beta", beta)
    return exp(ratio) if penalty == "kl" else 1 + ratio
