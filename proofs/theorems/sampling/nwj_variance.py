"""The sampling variance of NWJ at its optimal critic: Var_P(ln r)/N + χ²/M, for Gaussians dρ²/N + (e^{2I} − 1)/M."""

from itertools import product
from math import sqrt

import numpy as np
import sympy as sp
import torch

import mi_estimators as mi
from mi_estimators.theory import (
    gaussian_chi2,
    gaussian_information,
    gaussian_log_ratio_variance,
    nwj_value_variance,
)
from proofs.engine import (
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    batches,
    expect,
    instead,
    log_ratios,
    nwj,
    off,
    oracles,
    positives,
    ratios,
    reals,
    strategies,
    tensor,
    two_laws,
)

(b,) = positives("b")
rho, root = (b**2 - 1) / (b**2 + 1), 2 * b / (b**2 + 1)  # any correlation in (−1, 1), and √(1 − ρ²)
x, e = reals("x e")  # independent standard normal variables; y = ρx + √(1 − ρ²) e
y = rho * x + root * e
information = gaussian_information(rho)
log_ratio = information - rho * (rho * (x**2 + y**2) - 2 * x * y) / (2 * (1 - rho**2))
double_factorial = {0: 1, 2: 1, 4: 3}  # E x^k of a standard normal variable; 0 for odd k

P, Q = two_laws(2)
R, LOG_R = ratios(P, Q), log_ratios(P, Q)
S, E = (
    reals("s1 s2"),
    positives("e1 e2"),
)  # the scores of the positives and e^T of the negatives
PAIRS = list(product((0, 1), repeat=2))


def normal_mean(polynomial):
    """E of a polynomial in x and e."""
    terms = sp.Poly(sp.expand(polynomial), x, e).terms()
    return sum(c * double_factorial.get(i, 0) * double_factorial.get(j, 0) for (i, j), c in terms)


def variance(law, values):
    """Var of values under a finite law."""
    return expect(law, [v**2 for v in values]) - expect(law, values) ** 2


# The value of NWJ over all batches of N = M = 2, with the batches' probabilities.
WEIGHTS = [P[i] * P[j] * Q[k] * Q[n] for (i, j), (k, n) in product(PAIRS, PAIRS)]
VALUES = [1 + (S[i] + S[j]) / 2 - (E[k] + E[n]) / 2 for (i, j), (k, n) in product(PAIRS, PAIRS)]


def moments(p, q, t, n, m):
    """The mean and the variance of mi.nwj over all batches of n positives and m negatives."""
    (i, u), (j, w) = batches(p, n), batches(q, m)
    weights = torch.outer(u, w).flatten()
    values = mi.nwj(tensor(t)[i].repeat_interleave(len(j), 0), tensor(t)[j].repeat(len(i), 1))
    mean = weights @ values
    return [float(mean), float(weights @ (values - mean) ** 2)]


def proved(p, q, t, n, m):
    """NWJ(T) and Var_P(T)/n + Var_Q(e^T)/m by plain sums."""
    e = np.exp(t)
    spread = oracles.mean(p, [(s - oracles.mean(p, t)) ** 2 for s in t]) / n
    return [oracles.nwj(p, q, t), spread + oracles.mean(q, (e - oracles.mean(q, e)) ** 2) / m]


def gaussian(rho):
    """E_P ln r, Var_P(ln r) and χ² by Gauss–Hermite quadrature of mi.laws.Gaussian.log_ratio, and as it states
    them."""
    law, (nodes, w) = mi.laws.Gaussian(rho), np.polynomial.hermite_e.hermegauss(64)
    first, second = (tensor(c.ravel()).unsqueeze(-1) for c in np.meshgrid(nodes, nodes))
    weights = tensor(np.outer(w, w).ravel() / w.sum() ** 2)
    t = law.log_ratio(first, rho * first + sqrt(1 - rho**2) * second)
    mean = weights @ t
    stated = [law.mutual_information, law.log_ratio_variance, law.chi2]
    return [float(mean), float(weights @ (t - mean) ** 2), float(weights @ t.exp()) - 1, *stated]


def stated(rho):
    """−½ ln(1 − ρ²), ρ² and ρ²/(1 − ρ²), twice."""
    return [-oracles.ln(1 - rho**2) / 2, rho**2, rho**2 / (1 - rho**2)] * 2


LAW = strategies.law_pairs(2) | {"t": strategies.vectors(2, 3)}


def in_closed_form(rho):
    """dρ² + e^{2I} − 1 for d = 1."""
    chi2 = gaussian_chi2(gaussian_information(rho))
    return nwj_value_variance(gaussian_log_ratio_variance(rho), chi2)


THEOREM = Theorem(
    slug="nwj_variance",
    title="N·Var[NWJ] = Var_P(ln r) + χ²(P‖Q) at the optimal critic, N = M",
    purpose="To know the error bar of an NWJ estimate at its best critic.",
    setting="""Let NWJ_{N,M} = 1 + (1/N) Σ T(positive_i) − (1/M) Σ e^{T(negative_j)}, N i.i.d. positives from P and M
    i.i.d. negatives from Q, independent of them.""",
    formula=r"""N \cdot \mathrm{Var}\bigl[\mathrm{NWJ}_{N,N}(\ln r)\bigr] = \mathrm{Var}_P(\ln r) + \chi^2(P\|Q) =
    d\rho^2 + e^{2I} - 1 \text{ (Gaussian)}""",
    assumptions=(
        "positives and negatives are drawn independently (not the N² − N shared pairs of one batch)",
        "the critic is fixed; (a) Var_P(T) and Var_Q(eᵀ) are finite",
        "(b) P ≪ Q, E_P (ln r)² < ∞ and χ²(P‖Q) < ∞; T = ln r exactly, with no shift",
    ),
    parts=(
        Part(
            "a",
            "Its mean is NWJ(T) and its variance Var_P(T)/N + Var_Q(eᵀ)/M.",
            checks=(
                Identity(
                    "the mean, N = M = 2",
                    expect(WEIGHTS, VALUES),
                    nwj(P, Q, S).subs(dict(zip(map(sp.exp, S), E, strict=True))),
                ),
                Identity(
                    "the variance, N = M = 2",
                    variance(WEIGHTS, VALUES),
                    (variance(P, S) + variance(Q, E)) / 2,
                ),
                Shipped(
                    "mi.nwj has this mean and variance over all batches",
                    LAW | {"n": strategies.counts(3), "m": strategies.counts(3)},
                    moments,
                    proved,
                ),
            ),
            by_hand=(
                "variances of independent terms add, for any N, M and d (checked: N = M = 2)",
            ),
        ),
        Part(
            "b",
            """At T = ln r, r = dP/dQ, the mean is I = KL(P‖Q) and the variance Var_P(ln r)/N + χ²(P‖Q)/M: for N =
            M, N·Var = Var_P(ln r) + χ².""",
            checks=(
                Identity(
                    "the mean at ln r",
                    nwj(P, Q, LOG_R),
                    expect(P, LOG_R),
                ),
                Identity(
                    "the variance at ln r, N = M = 2",
                    variance(WEIGHTS, VALUES).subs(dict(zip((*S, *E), (*LOG_R, *R), strict=True))),
                    nwj_value_variance(
                        variance(P, LOG_R), expect(Q, [(r - 1) ** 2 for r in R]), 2, 2
                    ),
                ),
                Identity("Var_Q(r) = χ²", variance(Q, R), expect(Q, [(r - 1) ** 2 for r in R])),
            ),
            by_hand=("from two atoms to any law: the sums over atoms are integrals",),
        ),
        Part(
            "c",
            """For d independent pairs of standard normal variables with correlation ρ in (−1, 1), Var_P(ln r) =
            dρ² ≤ d and χ² = e^{2I} − 1. Check: ρ = 0.6, d = 1: I = ln(5/4), χ² = 0.5625, Var_P(ln r) = 0.36.""",
            checks=(
                Identity("y is standard", normal_mean(y**2), 1),
                Identity("correlation ρ", normal_mean(x * y), rho),
                Identity("E_P ln r = I", normal_mean(log_ratio - information), 0),
                Identity(
                    "Var_P(ln r) = ρ², one pair",
                    normal_mean((log_ratio - information) ** 2),
                    gaussian_log_ratio_variance(rho),
                ),
                Identity("ρ = 0.6: I = ln(5/4)", information.subs(b, 2), sp.log(sp.Rational(5, 4))),
                Identity("ρ = 0.6: Var_P(ln r) = 0.36", rho**2, sp.Rational("0.36"), at={b: 2}),
                Identity(
                    "ρ = 0.6: e^{2I} − 1 = 0.5625",
                    gaussian_chi2(information).subs(b, 2),
                    sp.Rational("0.5625"),
                ),
                Shipped(
                    "mi.laws.Gaussian has these moments, by quadrature and as stated",
                    {"rho": strategies.one_of(["-0.5", "0.3", "0.6"])},
                    lambda rho: gaussian(float(rho)),
                    lambda rho: stated(float(rho)),
                    examples=3,
                ),
            ),
            by_hand=(
                "variances of independent terms add, for any N, M and d (checked: N = M = 2)",
                """the moments 1 and 3 of a standard normal variable, and that (x, y) is the pair with correlation
                ρ""",
            ),
        ),
    ),
    proof="""(a) Variances of independent terms add. (b) E_Q r = 1, so Var_Q(r) = E_Q (r − 1)² = χ². (c) Write y =
    ρx + √(1 − ρ²) e with e independent of x; ln r is a polynomial in x and e, and E x² = 1, E x⁴ = 3 give its mean
    and variance for one pair. Over independent pairs ln r is a sum, and both are d times as large; for χ² see
    ess_law.""",
    example=Example(
        "N·Var of NWJ at ln r, N positives and N negatives, a Gaussian pair: by quadrature",
        lambda rho: sum(gaussian(rho)[1:3]),
        in_closed_form,
        {"rho": 0.6},
    ),
    false_neighbours=(
        Identity("the positives add nothing", variance(WEIGHTS, VALUES), variance(Q, E) / 2),
        Identity(
            "the variance is not divided by N",
            variance(WEIGHTS, VALUES),
            variance(P, S) + variance(Q, E),
        ),
        Identity("Gaussian: χ² = e^I − 1", 1 / (1 - rho**2), sp.exp(information)),
        Identity(
            "Gaussian: Var_P(ln r) = χ² = ρ²/(1 − ρ²)",
            normal_mean((log_ratio - information) ** 2),
            rho**2 / root**2,
        ),
        Sign("any critic has at least the variance at ln r", variance(Q, E) - variance(Q, R), ">="),
    ),
    mutants=(
        instead("nwj", "dv"),
        off("nwj"),
    ),
    uses=("ess_law",),
    about=(
        "nwj",
        "theory.gaussian_information",
        "theory.gaussian_log_ratio_variance",
        "theory.nwj_value_variance",
    ),
    reference="""Song & Ermon 2020 (arXiv 1910.06222), section 4, theorem 2; Poole et al. 2019 (arXiv 1905.06922).""",
)
