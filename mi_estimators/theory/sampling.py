"""What a minibatch costs a bound: effective sample size, variance, and bias. Information in nats, variance in nats².

χ² is χ²(P‖Q) = E_Q (r − 1)², r = dP/dQ.
"""

from __future__ import annotations

from .arithmetic import Number, at_least, expm1, log, positive, probability, sqrt


def ess_fraction(chi2: Number) -> Number:
    """Return 1/(1 + χ²), the population value of ESS/M at the optimal critic; at most e^{−I}, I in nats.

    Args:
        chi2: χ²(P‖Q) ≥ 0; a number, array, tensor or symbol.

    Returns:
        A share in (0, 1], shape of `chi2`.

    Raises:
        ValueError: chi2 < 0.

    Theorem: ess_law.

    >>> ess_fraction(0.5625)  # Gaussian pairs with ρ = 0.6: e^{−2I}
    0.64
    """
    return 1 / (1 + at_least("chi2", chi2, 0))


def nwj_value_variance(
    log_ratio_variance: Number, chi2: Number, positives: Number = 1, negatives: Number = 1
) -> Number:
    """Return Var_P(ln r)/N + χ²/M, the variance of the NWJ value at the optimal critic, in nats².

    Args:
        log_ratio_variance: Var_P(ln r) ≥ 0, in nats²; a number, array, tensor or symbol.
        chi2: χ²(P‖Q) ≥ 0.
        positives, negatives: N and M, independent draws.

    Returns:
        Nats², shape of `chi2`; for N = M = 1 it is N·Var of any N = M.

    Raises:
        ValueError: a negative moment, or a number of draws below 1.

    Theorem: nwj_variance.

    >>> nwj_value_variance(0.36, 0.5625)  # Gaussian pairs with ρ = 0.6
    0.9225
    """
    at_least("log_ratio_variance", log_ratio_variance, 0)
    at_least("chi2", chi2, 0)
    at_least("positives", positives, 1)
    at_least("negatives", negatives, 1)
    return log_ratio_variance / positives + chi2 / negatives


def least_negative_variance(nats: Number) -> Number:
    """Return e^I − 1, the least that M·Var of the negatives' part of NWJ can be at the optimal critic, in nats².

    Args:
        nats: I = KL(P‖Q) ≥ 0; a number, array, tensor or symbol.

    Returns:
        Nats², shape of `nats`; attained where dP/dQ is constant on P.

    Raises:
        ValueError: nats < 0.

    Theorem: song_ermon_variance.

    >>> least_negative_variance(0.0)
    0.0
    """
    return expm1(at_least("nats", nats, 0))


def dv_bias(relative_variance: Number, negatives: Number) -> Number:
    """Return v/(2M), the leading term of plug-in DV's upward bias on M independent negatives, in nats.

    Args:
        relative_variance: v = Var_Q(eᵀ)/(E_Q eᵀ)² ≥ 0; χ² at the optimal critic; a number, array, tensor or symbol.
        negatives: M ≥ 1.

    Returns:
        Nats, shape of `relative_variance`.

    Raises:
        ValueError: relative_variance < 0 or negatives < 1.

    Theorem: dv_minibatch_bias.

    >>> dv_bias(1.0, 2)
    0.25
    """
    return at_least("relative_variance", relative_variance, 0) / (
        2 * at_least("negatives", negatives, 1)
    )


def dv_bias_factor(ratio: Number) -> Number:
    """Return 2(x − 1 − ln x)/(x − 1)², whose mean over x = Ẑ/Z is plug-in DV's bias over its leading term `dv_bias`.

    The mean has weights proportional to (x − 1)². With rare heavy negatives the factor is far below 1: the leading term
    is then too large.

    Args:
        ratio: x > 0 other than 1, where the factor tends to 1; a number, array, tensor or symbol.

    Returns:
        A positive factor, shape of `ratio`.

    Raises:
        ValueError: ratio ≤ 0.

    Theorem: dv_bias_ratio.

    >>> round(dv_bias_factor(2.0), 6)  # 2(1 − ln 2)
    0.613706
    """
    positive("ratio", ratio)
    return 2 * (ratio - 1 - log(ratio)) / (ratio - 1) ** 2


def hoeffding_margin(width: Number, draws: Number, risk: Number) -> Number:
    """Return B√(ln(1/δ)/(2n)), which a mean of n independent terms exceeds its expectation by with probability ≤ δ.

    A JS term of scores clipped to ±B has the width B. With N positives and M independent negatives, n = 1/(1/N + 1/M);
    with all pairs of rows as negatives the width is 2B and n the number of pairs that share no row.

    Args:
        width: range B of one term, in nats; a number, array, tensor or symbol.
        draws: n > 0.
        risk: δ in (0, 1).

    Returns:
        Nats, shape of `width`.

    Raises:
        ValueError: width < 0, draws ≤ 0, or risk outside (0, 1).

    Theorem: js_certificate_finite.
    Reference: Hoeffding 1963, theorem 2 and section 5.

    >>> round(hoeffding_margin(2.0, 50, 0.05), 6)
    0.346164
    """
    at_least("width", width, 0)
    return width * sqrt(-log(probability("risk", risk)) / (2 * positive("draws", draws)))
