"""Rounds of preference training, each on pairs from the policy that the last one ended at: knockouts and best-of-n."""

from __future__ import annotations

from .arithmetic import Number, at_least, log, log1p, probability, within


def best_of_kl(draws: Number) -> Number:
    """Return ln n − 1 + 1/n, the most that KL(best-of-n‖sampler) can be, in nats.

    MIO's optimum from pairs of the reference is best-of-two, after t rounds best-of-2^t.

    Args:
        draws: n ≥ 1; a number, array, tensor or symbol.

    Returns:
        Nats, shape of `draws`; attained where no two draws are ever equal.

    Raises:
        ValueError: draws < 1.

    Theorem: rounds_are_a_knockout, k_negatives_calibrated.

    >>> round(best_of_kl(2), 6)  # ln 2 − ½
    0.193147
    """
    return log(at_least("draws", draws, 1)) - 1 + 1 / draws


def rounds_to_half(eps: Number, candidates: Number = 2) -> Number:
    """Return ln(ln 2/−ln(1 − ε))/ln K, rounds after which the best response, of mass ε, has mass ½; round it up.

    Each round keeps the best of K draws: the mass of all others, 1 − ε, is raised to the power K.

    Args:
        eps: ε in (0, 1); a number, array, tensor or symbol.
        candidates: K > 1, the chosen response among them.

    Returns:
        Rounds, shape of `eps`; negative where ε > ½.

    Raises:
        ValueError: eps outside (0, 1) or candidates ≤ 1.

    Theorem: rounds_are_a_knockout.

    >>> round(rounds_to_half(1e-6), 3)  # 20 rounds
    19.403
    """
    doublings = log(log(2 + 0 * eps) / -log1p(-probability("eps", eps)))
    return doublings / log(within("candidates", candidates, low=1))
