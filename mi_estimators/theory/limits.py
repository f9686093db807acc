"""What a bound can read at most, and what its value says of the information, in nats."""

from __future__ import annotations

from .arithmetic import Number, at_least, exp, log, log1p, probability, softplus


def infonce_ceiling(candidates: Number) -> Number:
    """Return ln K, which InfoNCE with K candidates never exceeds, in nats.

    Args:
        candidates: K ≥ 1, the positive among them; a number, array, tensor or symbol.

    Returns:
        Nats, shape of `candidates`.

    Raises:
        ValueError: candidates < 1.

    Theorem: infonce_ceiling.

    >>> infonce_ceiling(1)
    0.0
    """
    return log(at_least("candidates", candidates, 1))


def interpolated_ceiling(candidates: Number, alpha: Number) -> Number:
    """Return 1 + ln(K/α), which the interpolated bound I_α with K candidates never exceeds, in nats.

    It is the least such number for 0 < α < 1; at α = 1 the ceiling is ln K.

    Args:
        candidates: K ≥ 1, the positive among them; a number, array, tensor or symbol.
        alpha: α in (0, 1).

    Returns:
        Nats, shape of `candidates`.

    Raises:
        ValueError: candidates < 1 or alpha outside (0, 1).

    Theorem: interpolated_ceiling.

    >>> round(interpolated_ceiling(1, 0.5), 6)  # 1 + ln 2
    1.693147
    """
    return 1 + infonce_ceiling(candidates) - log(probability("alpha", alpha))


def jsd_shortfall(nats: Number) -> Number:
    """Return sp(−k) + e^{−k} sp(k), the most that 2 ln 2 − 2·JSD(P, Q) can be where KL(P‖Q) = k, in nats.

    Attained by dP/dQ in {0, eᵏ}. It falls from 2 ln 2 to 0; `jsd_certificate` inverts it.

    Args:
        nats: k = KL(P‖Q) ≥ 0; a number, array, tensor or symbol.

    Returns:
        Nats, shape of `nats`.

    Raises:
        ValueError: nats < 0.

    Theorem: jsd_certificate.

    >>> round(jsd_shortfall(0.0), 6)  # 2 ln 2
    1.386294
    """
    at_least("nats", nats, 0)
    return softplus(-nats) + exp(-nats) * softplus(nats)


def infonce_shortfall(chi2: Number, candidates: Number) -> Number:
    """Return ln(1 + χ²/K), the most by which InfoNCE's best value stays below KL(P‖Q), in nats, with K candidates.

    Args:
        chi2: χ²(P‖Q) ≥ 0; a number, array, tensor or symbol.
        candidates: K ≥ 1, the positive among them.

    Returns:
        Nats, shape of `chi2`.

    Raises:
        ValueError: chi2 < 0 or candidates < 1.

    Theorem: infonce_is_k_way_jsd.

    >>> round(infonce_shortfall(1.0, 1), 6)  # ln 2
    0.693147
    """
    return log1p(at_least("chi2", chi2, 0) / at_least("candidates", candidates, 1))
