"""The effective number of DV's negatives: between 1 and M, a fraction 1/(1 + χ²) ≤ e^{−I} at the optimal critic."""

from math import exp

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import ess_fraction, gaussian_chi2, gaussian_information
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    batches,
    expect,
    integers,
    logs,
    normalised,
    oracles,
    positives,
    ratios,
    reals,
    strategies,
    tensor,
)

(b,) = positives("b")  # ρ = (b − 1)/(b + 1), any number in (−1, 1)
u, x, y = reals("u x y")
A, B, S = positives(
    "A B S"
)  # mean of e^T/Z, mean of its square, and S = E_Q (e^T/Z)² = 1 + χ² at T*
(d,) = integers("d")
rho = (b - 1) / (b + 1)
information = gaussian_information(rho)

P, Q, W = (
    normalised(positives("a1 a2 a3")),
    normalised(positives("b1 b2 b3")),
    positives("w1 w2 w3"),
)
R = ratios(P, Q)
squares = sum(w**2 for w in W)
ess = sum(W) ** 2 / squares
(share,) = positives("s")
one_sided = sp.log(1 + share)  # I of P uniform on a part of Q-mass 1/(1 + s): there r = 1 + s


def log_normal(x, y, variance, correlation):
    """The log-density of two normal variables of mean 0 with one variance and this correlation."""
    form = (x**2 - 2 * correlation * x * y + y**2) / (1 - correlation**2)
    return (
        -form / (2 * variance) - sp.log(2 * sp.pi) - sp.log(variance**2 * (1 - correlation**2)) / 2
    )


log_p, log_q = log_normal(x, y, 1, rho), log_normal(x, y, 1, sp.S(0))
wide = log_normal(x, y, (1 + rho**2) / (1 - rho**2), 2 * rho / (1 + rho**2))


def log_ratio(joint):
    """ln p(x, y)/(p(x) p(y)) as a flat list, and the law of the negatives."""
    p, q = oracles.flat(joint), oracles.flat(oracles.independent(joint))
    return [oracles.ln(i / j) for i, j in zip(p, q, strict=True)], q


def mean_fraction(t, q, size):
    """The mean of mi.effective_sample_size(T)/M over all batches of M negatives."""
    atoms, weights = batches(q, size)
    return float(weights @ mi.effective_sample_size(tensor(t)[atoms])) / size


def starvation(joint):
    """mi.starvation_index of the law itself at T*, twice: one of the two critics is shifted."""
    t, q = log_ratio(joint)
    return [float(mi.starvation_index(tensor(t) + shift, logs(q))) for shift in (0, 7)]


def chi2_share(joint):
    """χ²/(1 + χ²)."""
    chi2 = oracles.chi2(oracles.flat(joint), oracles.flat(oracles.independent(joint)))
    return [chi2 / (1 + chi2)] * 2


JOINT = {"joint": strategies.joint_laws(2, 2)}


def overstated(p, q, size):
    """The mean of ESS/M at T = ln dP/dQ over all batches of negatives."""
    return mean_fraction([oracles.ln(a / b) for a, b in zip(p, q, strict=True)], q, size)


THEOREM = Theorem(
    slug="ess_law",
    title="ESS of DV's weights: in [1, M], and a fraction 1/(1 + χ²) ≤ e^{−I} of the negatives at the optimal critic",
    purpose="To see how few negatives carry DV's gradient when the information is large.",
    setting="""Let w be the softmax of the scores of M negatives and ESS = 1/Σ w_j²; the starvation index is 1 −
    ESS/M.""",
    formula=r"""\frac{\mathrm{ESS}}{M} \to \frac{(\mathbb{E}_Q e^{T})^2}{\mathbb{E}_Q e^{2T}} = \frac{1}{1 +
    \chi^2(P\|Q)} \le e^{-I} \text{ at } T = \ln r, \qquad 1 + \chi^2 = (1 - \rho^2)^{-d} = e^{2I}
    \text{ (Gaussian)}""",
    assumptions=(
        "(b) negatives are i.i.d. from Q and the critic is fixed",
        "(c) P ≪ Q, χ²(P‖Q) < ∞ and T = ln dP/dQ + c exactly",
        "(d) the pairs are independent, each with the same ρ",
    ),
    parts=(
        Part(
            "a",
            "1 ≤ ESS ≤ M, with ESS = M iff all scores are equal and, for M ≥ 2, ESS > 1.",
            checks=(
                Identity(
                    "ESS − 1, M = 3",
                    ess - 1,
                    2 * sum(W[i] * W[j] for i, j in ((0, 1), (0, 2), (1, 2))) / squares,
                ),
                Identity(
                    "M − ESS, M = 3",
                    3 - ess,
                    sum((W[i] - W[j]) ** 2 for i, j in ((0, 1), (0, 2), (1, 2))) / squares,
                ),
                Sign("ESS − 1 > 0, M = 3", ess - 1, ">"),
                Shipped(
                    "mi.effective_sample_size is (Σ e^T)²/Σ e^{2T}",
                    {"t": strategies.vectors(5)},
                    lambda t: float(mi.effective_sample_size(tensor(t))),
                    lambda t: sum(map(exp, t)) ** 2 / sum(exp(2 * s) for s in t),
                ),
            ),
            by_hand=(Sum("3 atoms or negatives in the checks, any number by the same sums"),),
        ),
        Part(
            "b",
            """For i.i.d. negatives with E_Q e^{2T} < ∞, ESS/M → (E_Q eᵀ)²/E_Q e^{2T} almost surely as M → ∞, and
            for every M its mean E[ESS/M] is at least that limit: a sample overstates it on average.""",
            checks=(
                Identity(
                    "A²/B − (2A/S − B/S²) is a square over B",
                    A**2 / B - (2 * A / S - B / S**2),
                    (A - B / S) ** 2 / B,
                ),
                Identity(
                    "the mean of 2A/S − B/S² is 1/S",
                    (2 * A / S - B / S**2).subs({A: 1, B: S}),
                    1 / S,
                ),
                Holds(
                    "mi.effective_sample_size has a mean of at least M/(1 + χ²) at T*",
                    JOINT | {"size": strategies.counts(3)},
                    lambda joint, size: (
                        mean_fraction(*log_ratio(joint), size) >= 1 - chi2_share(joint)[0] - 1e-9
                    ),
                ),
            ),
            by_hand=(
                "the strong law of large numbers in (b), and the mean of an inequality in (b) and (c)",
            ),
        ),
        Part(
            "c",
            """At T = ln r + c, r = dP/dQ, χ² = χ²(P‖Q) < ∞, the limit is 1/(1 + χ²), and 1 + χ² = E_P r ≥ e^I
            with I = KL(P‖Q); equality iff r is constant P-almost surely.""",
            checks=(
                Identity("E_Q r² = E_P r", expect(Q, [r**2 for r in R]), expect(P, R)),
                Identity("E_P r = 1 + χ²", expect(P, R), 1 + expect(Q, [(r - 1) ** 2 for r in R])),
                Minimum("e^u − 1 − u at u = ln r − I", sp.exp(u) - 1 - u, u, 0),
                Identity(
                    "the limit at T*, 3 atoms",
                    ess_fraction(expect(Q, [(r - 1) ** 2 for r in R])),
                    expect(Q, R) ** 2 / expect(Q, [r**2 for r in R]),
                ),
                Shipped("mi.starvation_index is χ²/(1 + χ²) at T*", JOINT, starvation, chi2_share),
            ),
            by_hand=(
                Sum("3 atoms or negatives in the checks, any number by the same sums"),
                "for laws that are not on a finite set the sums are integrals, as in Jensen's inequality",
            ),
        ),
        Part(
            "d",
            """For d independent pairs of standard normal variables with correlation ρ in (−1, 1), 1 + χ² = (1 −
            ρ²)^{−d} = e^{2I}.""",
            checks=(
                Identity(
                    "r p is 1/(1 − ρ²) times a normal density",
                    2 * log_p - log_q,
                    wide - sp.log(1 - rho**2),
                ),
                Identity(
                    "ln r = −½ ln(1 − ρ²) − (ρ² (x² + y²) − 2ρxy)/(2(1 − ρ²)), so I = −½ ln(1 − ρ²)",
                    log_p - log_q,
                    information
                    - rho * (rho * (x**2 - 1 + y**2 - 1) - 2 * (x * y - rho)) / (2 * (1 - rho**2)),
                ),
                Identity(
                    "1/(1 − ρ²) = e^{2I}, one pair",
                    1 / (1 - rho**2),
                    gaussian_chi2(information) + 1,
                ),
                Identity(
                    "ln (1 − ρ²)^{−d} = 2I, d pairs",
                    -d * sp.log(1 - rho**2),
                    2 * gaussian_information(rho, d),
                ),
                Identity(
                    "ρ = 0.6, d = 1: 1 + χ² = 1.5625",
                    1 + gaussian_chi2(information).subs(b, 4),
                    sp.Rational("1.5625"),
                ),
                Shipped(
                    "the chi2 of mi.laws.Gaussian and mi.laws.Finite",
                    JOINT | {"b": strategies.temperatures(), "dim": strategies.counts(3)},
                    lambda joint, b, dim: [
                        mi.laws.Gaussian((b - 1) / (b + 1), dim).chi2,
                        mi.laws.Finite(logs(joint)).chi2,
                    ],
                    lambda joint, b, dim: [
                        ((1 + b) ** 2 / (4 * b)) ** dim - 1,
                        1 / (1 - chi2_share(joint)[0]) - 1,
                    ],
                ),
            ),
            by_hand=("a normal density has the integral 1, and E_P x² = E_P y² = 1, E_P xy = ρ",),
        ),
    ),
    proof="""ESS = (Σ e^{T_j})²/Σ e^{2T_j}. (a) Expand the squares: Σ_j Σ_k over the pairs. (b) The law of large
    numbers for both means. With A and B the batch's means of eᵀ/Z and of its square, and S = E B, ESS/M = A²/B ≥
    2A/S − B/S², whose mean is 1/S. (c) E_Q r² = E_P r = 1 + χ². Jensen: r e^{−I} ≥ 1 + ln r − I, whose mean under P
    is 1. (d) For one pair r p = p²/q is 1/(1 − ρ²) times the normal density with variances (1 + ρ²)/(1 − ρ²) and
    correlation 2ρ/(1 + ρ²): complete the square. Its integral is E_P r. Over independent pairs r is a product and I
    a sum.""",
    example=Example(
        "the mean of ESS/M at the optimal critic over batches of four, beside its limit 1/(1 + χ²)",
        overstated,
        lambda p, q, size: ess_fraction(oracles.chi2(p, q)),
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "size": 4},
        relation="≥",
    ),
    false_neighbours=(
        Sign("1 + χ² ≥ e^{2I} for every law", 1 + share - sp.exp(2 * one_sided), ">="),
        Identity("Gaussian: 1 + χ² = e^I", sp.exp(2 * information), sp.exp(information)),
        Identity(
            "the fraction at T* is 1/(1 + KL), 3 atoms",
            expect(P, R),
            1 + expect(P, [sp.log(r) for r in R]),
        ),
        Sign("one negative, M = 1: ESS/M = 1 ≤ 1/(1 + χ²)", 1 / expect(P, R) - 1, ">="),
    ),
    mutants=(
        Mutant("effective_sample_size", "scores halved", lambda f: lambda t: f(t / 2)),
        Mutant("starvation_index", "the law ignored", lambda f: lambda t, log_q=None: f(t)),
    ),
    about=(
        "effective_sample_size",
        "starvation_index",
        "theory.ess_fraction",
        "theory.gaussian_chi2",
        "theory.gaussian_information",
    ),
    reference="""Kong 1992, technical report 348, University of Chicago; Owen, Monte Carlo theory, section 9.3; (c),
    (d) as in Song & Ermon 2020 (arXiv 1910.06222), theorem 2.""",
)
