"""Independent pairs of standard normal variables with one correlation ρ: information, noise of values and gradients.

`dim` is d, the number of pairs. Information is in nats, variances of values in nats².
"""

from __future__ import annotations

from .arithmetic import Number, at_least, expm1, log1p, sqrt, within


def gaussian_information(rho: Number, dim: Number = 1) -> Number:
    """Return I = −(d/2) ln(1 − ρ²), in nats.

    Args:
        rho: ρ in (−1, 1); a number, array, tensor or symbol.
        dim: d ≥ 1.

    Returns:
        Nats, shape of `rho`.

    Raises:
        ValueError: rho outside (−1, 1) or dim < 1.

    Theorem: ess_law, nwj_variance.

    >>> round(gaussian_information(0.6), 6)
    0.223144
    """
    _check(rho, dim)
    return -dim * log1p(-(rho**2)) / 2


def gaussian_immse(rho: Number, snr: Number) -> Number:
    """Return ½ ln((1 + Γ)/(1 + Γ(1 − ρ²))), what the I-MMSE integral up to Γ reads of a Gaussian pair, in nats.

    It is I(Y; √Γ X + N), and rises to I(X; Y) as Γ → ∞.

    Args:
        rho: ρ in (−1, 1); a number, array, tensor or symbol.
        snr: Γ ≥ 0, where the integral over the signal-to-noise ratio ends.

    Returns:
        Nats, shape of `snr`.

    Raises:
        ValueError: rho outside (−1, 1) or snr < 0.

    Theorem: immse_gap.
    Reference: Guo, Shamai & Verdú 2005.

    >>> gaussian_immse(0.6, 0.0)
    0.0
    """
    _check(rho, 1)
    at_least("snr", snr, 0)
    return (log1p(snr) - log1p(snr * (1 - rho**2))) / 2


def gaussian_chi2(nats: Number) -> Number:
    """Return χ²(P‖Q) = e^{2I} − 1 of Gaussian pairs with information I, in any dimension.

    Args:
        nats: I ≥ 0; a number, array, tensor or symbol.

    Returns:
        χ², shape of `nats`; infinite where it overflows.

    Raises:
        ValueError: nats < 0.

    Theorem: ess_law.

    >>> round(gaussian_chi2(gaussian_information(0.6)), 6)
    0.5625
    """
    return expm1(2 * at_least("nats", nats, 0))


def gaussian_log_ratio_variance(rho: Number, dim: Number = 1) -> Number:
    """Return Var_P(ln dP/dQ) = dρ², in nats².

    Args, Raises: as for `gaussian_information`.

    Returns:
        Nats², shape of `rho`.

    Theorem: nwj_variance.

    >>> gaussian_log_ratio_variance(0.5, dim=4)
    1.0
    """
    _check(rho, dim)
    return dim * rho**2


def nwj_in_batch_variance(rho: Number, dim: Number, batch: Number) -> Number:
    """Return Var of the NWJ value at the optimal critic on one batch, its n(n − 1) other pairs the negatives, in nats².

    It is dρ²/n + (χ² + (1 − ρ⁴)^{−d} − 1)/(n(n − 1)). Since E[r(x, Y)] = 1 for every x and likewise for y, r is
    uncorrelated between pairs that share one row, and between any pair and the positives; only (i, j) and (j, i) are
    correlated, with E r(x_i, y_j) r(x_j, y_i) = Σ λ_k⁴ over the products λ_k of powers of ρ (Mehler) = (1 − ρ⁴)^{−d}.

    Args:
        rho: ρ in (−1, 1); a number, array, tensor or symbol.
        dim: d ≥ 1.
        batch: n ≥ 2.

    Returns:
        Nats², shape of `rho`.

    Raises:
        ValueError: rho outside (−1, 1), dim < 1 or batch < 2.

    Reference: Mehler 1866; nwj_variance is the same for independent negatives.

    >>> round(nwj_in_batch_variance(0.6, dim=1, batch=2), 6)  # 0.36/2 + (0.5625 + 1/0.8704 − 1)/2
    0.535699
    """
    at_least("batch", batch, 2)
    chi2 = gaussian_chi2(gaussian_information(rho, dim))
    mirrored = expm1(-dim * log1p(-(rho**4)))
    return gaussian_log_ratio_variance(rho, dim) / batch + (chi2 + mirrored) / (batch * (batch - 1))


def nwj_gradient_trace(rho: Number, dim: Number, batch: Number) -> Number:
    """Return tr Cov of NWJ's gradient at the optimal critic, (Var_P φ + E_Q r²φ² − (E_P φ)²)/N summed, exact.

    The gradient is that in θ of ln dP/dQ + θ·φ, φ = (1, Σ xy, Σ (x² − 1), Σ (y² − 1)), sums over the pairs divided by
    √d: these critics hold every Gaussian pair law. Under independence r = 1 and Var φ = (0, 1, 2, 2) on both sides.

    Args:
        rho: ρ in (−1, 1); a number, array, tensor or symbol.
        dim: d ≥ 1.
        batch: N positives and N independent negatives.

    Returns:
        Squared nats per unit of θ, shape of `rho`.

    Raises:
        ValueError: rho outside (−1, 1), dim < 1 or batch < 1.

    Theorem: nwj_variance.

    >>> nwj_gradient_trace(0.0, dim=1, batch=10)
    1.0
    """
    mean, square, _, _, heavy = _moments(rho, dim)
    sides = zip(mean, square, heavy, strict=True)
    return sum(s - m**2 + h - m**2 for m, s, h in sides) / at_least("batch", batch, 1)


def dv_gradient_trace(rho: Number, dim: Number, batch: Number) -> Number:
    """Return the large-N limit of tr Cov of DV's gradient, (Var_P φ + E_Q r²(φ − E_P φ)²)/N summed.

    It needs N ≫ e^{2I}, I in nats: with fewer negatives the self-normalised weights are bounded and the variance is
    smaller. Under independence it is NWJ's.

    Args, Returns, Raises: as for `nwj_gradient_trace`.

    Theorem: song_ermon_variance.

    >>> dv_gradient_trace(0.0, dim=1, batch=10)
    1.0
    """
    mean, square, _, tilted, heavy = _moments(rho, dim)
    mass = 1 + gaussian_chi2(gaussian_information(rho, dim))
    sides = zip(mean, square, tilted, heavy, strict=True)
    total = sum(s - m**2 + h - 2 * m * t + mass * m**2 for m, s, t, h in sides)
    return total / at_least("batch", batch, 1)


def js_gradient_bound(rho: Number, dim: Number, batch: Number) -> Number:
    """Return (E_P‖φ‖² + E_Q‖φ‖²)/N, which tr Cov of JS's gradient never exceeds: its weights lie in (0, 1).

    E_P‖φ‖² = 6 + ρ²(1 + d) and E_Q‖φ‖² = 6: no exponential of the nats.

    Args, Returns, Raises: as for `nwj_gradient_trace`.

    Theorem: js_gradient_bounded.

    >>> round(js_gradient_bound(0.6, dim=1, batch=1), 6)
    12.72
    """
    _, square, independent, _, _ = _moments(rho, dim)
    return (sum(square) + sum(independent)) / at_least("batch", batch, 1)


def _moments(rho: Number, dim: Number) -> tuple[list[Number], ...]:
    """Return E_P φ, E_P φ², E_Q φ² and E_Q r²φ, E_Q r²φ² (p²/q is 1 + χ² times a Gaussian)."""
    _check(rho, dim)
    own = 1 - rho**2
    p_mean, p_square = _feature_moments(dim, 1, rho)
    _, q_square = _feature_moments(dim, 1, 0)
    wide_mean, wide_square = _feature_moments(dim, (1 + rho**2) / own, 2 * rho / own)

    mass = 1 + gaussian_chi2(gaussian_information(rho, dim))
    tilted, heavy = ([mass * value for value in values] for values in (wide_mean, wide_square))
    return p_mean, p_square, q_square, tilted, heavy


def _feature_moments(
    dim: Number, scale: Number, cross: Number
) -> tuple[list[Number], list[Number]]:
    """Return E φ and E φ² where each pair is N(0, [[scale, cross], [cross, scale]])."""
    off = sqrt(dim) * (scale - 1)
    mean = [1, sqrt(dim) * cross, off, off]
    square = 3 * scale**2 - 2 * scale + 1
    own = [scale**2 + 2 * cross**2, square, square]
    return mean, [1, *(o + (dim - 1) * m**2 / dim for o, m in zip(own, mean[1:], strict=True))]


def _check(rho: Number, dim: Number) -> None:
    within("rho", rho, low=-1, high=1)
    at_least("dim", dim, 1)
