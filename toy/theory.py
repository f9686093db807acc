"""Closed forms that the experiments are held against. Information in nats; time in units of learning rate × step.

Escape times (theorem escape_times) are for two arms under exact gradient flow of the logits, θ̇ = ∇J, from
p(correct) = ε to ½. There u = θ_w − θ_l moves at u̇ = 2 ∂J/∂θ_w, since the two logits move oppositely: that is
the factor 2 in what follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mi_estimators import _validate, preference_anchor
from mi_estimators.laws import Gaussian


def _log_odds(eps: float) -> float:
    """Return L = ln((1 − ε)/ε) > 0, the distance in log-odds from ε to ½."""
    _validate.number("eps", eps, low=0, high=0.5)
    return math.log1p(-eps) - math.log(eps)


def escape_time_rlhf(eps: float) -> float:
    """Return the escape time of on-policy RLHF (β = 0, binary reward): L + sinh L, about 1/(2ε).

    >>> round(escape_time_rlhf(0.1), 6)
    6.641669
    """
    log_odds = _log_odds(eps)
    return (
        log_odds + (1 / eps - 1 - eps / (1 - eps)) / 2
    )  # sinh L without leaving the probabilities


def escape_time_dpo(eps: float, beta: float) -> float:
    """Return the escape time of DPO: (L + (e^{βL} − 1)/β)/(2β), about ε^{−β}/(2β²).

    >>> round(escape_time_dpo(1e-2, beta=0.1), 6)
    52.140655
    """
    log_odds, beta = _log_odds(eps), _validate.number("beta", beta, low=0)
    return (log_odds + math.expm1(beta * log_odds) / beta) / (2 * beta)


def escape_time_sft(eps: float) -> float:
    """Return the escape time of maximum likelihood on the chosen response: ½(L + 1 − e^{−L}), about ½ ln(1/ε).

    >>> round(escape_time_sft(1e-3), 6)
    3.952877
    """
    return (_log_odds(eps) + 1 - eps / (1 - eps)) / 2


def mio_ceiling(eps: float, beta: float, mix: float = 0.5) -> float:
    """Return min(1, (1 − α)^{−1/β} ε): where the JS family's flow leaves p(correct) when there are unseen responses.

    The end of the tabular flow with at least one arm outside the pair, if β > ½ or it is 1. At smaller β the flow ends
    here or at 1, which it does where little mass is unseen (theorem mio_tabular_limit). With two arms only, the push on
    the rejected response has nowhere else to go, and the flow ends higher (`mio_escapes`).

    >>> round(mio_ceiling(1e-6, beta=0.1), 6)
    0.001024
    """
    _log_odds(eps)
    beta = _validate.number("beta", beta, low=0)
    log_lift = preference_anchor(mix) / beta
    return 1.0 if log_lift + math.log(eps) >= 0 else eps * math.exp(log_lift)


def mio_drift(u: np.ndarray, eps: float, beta: float, mix: float) -> np.ndarray:
    """Return u̇ of the JS family's two-arm flow at log-odds u: 2β[(1 − p)(1 − (2 − α)σ(βz_w)) + pασ(βz_l)], shape of u.

    It starts at αβ whatever ε: a supplied correct answer is not starved at first (theorem who_samples_starves).

    >>> [round(float(mio_drift(np.log(e / (1 - e)), e, beta=0.2, mix=0.5)), 6) for e in (0.1, 1e-6)]
    [0.1, 0.1]
    """
    log_p, log_rest = -np.logaddexp(0, -u), -np.logaddexp(0, u)
    chosen = 1 / (1 + np.exp(-beta * (log_p - math.log(eps))))
    rejected = 1 / (1 + np.exp(-beta * (log_rest - math.log1p(-eps))))
    return 2 * beta * (np.exp(log_rest) * (1 - (2 - mix) * chosen) + np.exp(log_p) * mix * rejected)


def mio_rest(eps: float, beta: float, mix: float = 0.5) -> float:
    """Return p(correct) where the JS family's two-arm flow from ε comes to rest: the first zero of `mio_drift`, or 1.

    It lies above (1 − α)^{−1/β} ε, where only the chosen term rests, because the push on the rejected response goes on.

    >>> round(mio_rest(1e-2, beta=1.0), 6), mio_rest(0.2, beta=1.0)
    (0.020313, 1.0)
    """
    log_odds, beta = _log_odds(eps), _validate.number("beta", beta, low=0)
    mix = _validate.mix(mix)
    grid = np.arange(-log_odds, 36, 0.01)  # beyond 36, 1 − p is below the resolution of a double
    stops = np.flatnonzero(mio_drift(grid, eps, beta, mix) <= 0)
    if len(stops) == 0:
        return 1.0
    low, high = grid[stops[0] - 1], grid[stops[0]]
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if mio_drift(middle, eps, beta, mix) > 0 else (low, middle)
    return float(1 / (1 + np.exp(-low)))


def mio_escapes(eps: float, beta: float, mix: float = 0.5) -> bool:
    """Tell whether the JS family's two-arm flow from ε passes ½.

    2^{1/β} ε ≥ ½ suffices for MIO but is far from necessary; at β = 1 the flow escapes iff ε > 1 − √3/2 = 0.134
    (theorems mio_escapes_two_arms, escape_times).

    >>> mio_escapes(1e-4, beta=0.1), mio_escapes(1e-6, beta=0.1)  # though 2¹⁰·1e-4 = 0.10 < ½
    (True, False)
    """
    return mio_rest(eps, beta, mix) > 0.5


def escape_time_mio(eps: float, beta: float, mix: float = 0.5) -> float:
    """Return the two-arm escape time of the JS family, ∫ du/u̇ by Simpson's rule; infinite where it never escapes.

    >>> escape_time_mio(0.133, beta=1.0), escape_time_mio(0.135, beta=1.0) < math.inf  # 1 − √3/2 = 0.1340
    (inf, True)
    """
    if not mio_escapes(eps, beta, mix):
        return math.inf
    return _time(lambda u: mio_drift(u, eps, beta, mix), eps)


def escape_time_drawn_js(eps: float) -> float:
    """Return the escape time of JS's population gradient where the policy draws the positives: ∫ du/(2(1 − p)ω).

    ω = p ln(1 + 1/p) is its weight on ∇ ln π(correct) (theorem who_samples_starves); it grows like 1/(2ε ln(1/ε)).
    DV's weight is 1, and its time that of `escape_time_sft`.

    >>> round(escape_time_drawn_js(1e-4), 3)
    625.188
    """
    _log_odds(eps)

    def speed(u: np.ndarray) -> np.ndarray:
        p, rest = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u))
        return 2 * rest * p * np.log1p(1 / p)

    return _time(speed, eps)


def _time(speed: Callable[[np.ndarray], np.ndarray], eps: float) -> float:
    """Return ∫ du/u̇ from ε to ½ by Simpson's rule."""
    grid = np.linspace(-_log_odds(eps), 0, 2001)
    weights = np.where(np.arange(len(grid)) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1
    return float((weights / speed(grid)).sum() * (grid[1] - grid[0]) / 3)


def steps_to_first_signal(eps: float, samples: int) -> float:
    """Return 1/(1 − (1 − ε)ⁿ): the expected number of steps until one of n on-policy samples is correct.

    Theorem: group_relative_zero_gradient

    >>> round(steps_to_first_signal(1e-6, 16), 1)
    62500.5
    """
    _log_odds(eps)
    return -1 / math.expm1(_validate.count("samples", samples) * math.log1p(-eps))


def ess_fraction(nats: float) -> float:
    """Return the population value e^{−2I} of ESS/M at the optimal critic of a Gaussian law of I nats, any dimension.

    It is 1/(1 + χ²) (theorem ess_law).

    >>> round(ess_fraction(Gaussian(0.6).mutual_information), 6), 1 / (1 + 0.5625)
    (0.64, 0.64)
    """
    return math.exp(-2 * _validate.number("nats", nats, low=0, closed="["))


def nwj_value_variance(law: Gaussian) -> float:
    """Return N·Var of the NWJ value at the optimal critic with N positives and N negatives: dρ² + e^{2I} − 1, nats².

    Theorem: nwj_variance

    >>> round(nwj_value_variance(Gaussian(0.6)), 6)  # 0.36 + 0.5625
    0.9225
    """
    return law.log_ratio_variance + law.chi2


def nwj_in_batch_variance(law: Gaussian, batch: int) -> float:
    """Return Var of the NWJ value at the optimal critic on one batch, its n(n − 1) other pairs the negatives, exact.

    It is dρ²/n + (χ² + (1 − ρ⁴)^{−d} − 1)/(n(n − 1)). Since E[r(x, Y)] = 1 for every x and likewise for y, r is
    uncorrelated between pairs that share one row, and between any pair and the positives; only (i, j) and (j, i) are
    correlated, with E r(x_i, y_j) r(x_j, y_i) = Σ λ_k⁴ over the products λ_k of powers of ρ (Mehler) = (1 − ρ⁴)^{−d}.

    >>> round(nwj_in_batch_variance(Gaussian(0.6), 2), 6)  # 0.36/2 + (0.5625 + 1/0.8704 − 1)/2
    0.535699
    """
    _validate.count("batch", batch, low=2)
    twice = math.expm1(-law.dim * math.log1p(-(law.rho**4)))
    return law.log_ratio_variance / batch + (law.chi2 + twice) / (batch * (batch - 1))


def _feature_moments(dim: int, scale: float, cross: float) -> tuple[list[float], list[float]]:
    """Return E φ_k and E φ_k² of `gaussian.features` where each pair is N(0, [[scale, cross], [cross, scale]])."""
    square = scale - 1
    means = [1.0, math.sqrt(dim) * cross, math.sqrt(dim) * square, math.sqrt(dim) * square]
    own = [scale**2 + 2 * cross**2, *[3 * scale**2 - 2 * scale + 1] * 2]
    return means, [1.0, *(o + (dim - 1) * m**2 / dim for o, m in zip(own, means[1:], strict=True))]


def _moments(
    law: Gaussian,
) -> tuple[list[float], list[float], list[float], list[float], list[float]]:
    """Return E_P φ, E_P φ², E_Q φ² and E_Q r²φ, E_Q r²φ² (p²/q is (1 + χ²) times a Gaussian)."""
    rho, rest = law.rho, 1 - law.rho**2
    p_mean, p_square = _feature_moments(law.dim, 1.0, rho)
    _, q_square = _feature_moments(law.dim, 1.0, 0.0)
    t_mean, t_square = _feature_moments(law.dim, (1 + rho**2) / rest, 2 * rho / rest)
    mass = 1 + law.chi2
    return p_mean, p_square, q_square, [mass * m for m in t_mean], [mass * s for s in t_square]


def nwj_gradient_trace(law: Gaussian, batch: int) -> float:
    """Return tr Cov of NWJ's gradient at the optimal critic: (Var_P φ + E_Q r²φ² − (E_P φ)²)/N summed, exact.

    The gradient in θ of ln dP/dQ + θ·φ, φ as in `gaussian.features`; `batch` = N positives and N negatives. Under
    independence r = 1 and Var φ = (0, 1, 2, 2) on both sides.

    >>> nwj_gradient_trace(Gaussian(0.0), 10)
    1.0
    """
    mean, square, _, _, heavy = _moments(law)
    return sum(s - m**2 + h - m**2 for m, s, h in zip(mean, square, heavy, strict=True)) / batch


def dv_gradient_trace(law: Gaussian, batch: int) -> float:
    """Return the large-N limit of tr Cov of DV's gradient: (Var_P φ + E_Q r²(φ − E_P φ)²)/N summed.

    Arguments as for `nwj_gradient_trace`, whose value it has under independence. It needs N ≫ e^{2I}: with fewer
    negatives the self-normalised weights are bounded and the variance is smaller.

    >>> dv_gradient_trace(Gaussian(0.0), 10)
    1.0
    """
    mean, square, _, tilted, heavy = _moments(law)
    mass = 1 + law.chi2
    negatives = (h - 2 * m * t + mass * m**2 for m, t, h in zip(mean, tilted, heavy, strict=True))
    return sum(s - m**2 + v for m, s, v in zip(mean, square, negatives, strict=True)) / batch


def js_gradient_bound(law: Gaussian, batch: int) -> float:
    """Return the bound (E_P‖φ‖² + E_Q‖φ‖²)/N on tr Cov of JS's gradient: weights in (0, 1), no exponential.

    Arguments as for `nwj_gradient_trace`. E_P‖φ‖² = 6 + ρ²(1 + d) and E_Q‖φ‖² = 6.

    Theorem: js_gradient_bounded

    >>> round(js_gradient_bound(Gaussian(0.6), 1), 6)
    12.72
    """
    _, p_square, q_square, _, _ = _moments(law)
    return (sum(p_square) + sum(q_square)) / batch
