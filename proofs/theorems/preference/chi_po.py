"""χPO's optimum: π/π_ref is at most 1 + Δ/β for rewards that differ by Δ, where KL allows e^{Δ/β}."""

from math import exp
from typing import Any

import sympy as sp

from mi_estimators import theory
from mi_estimators.theory import coverage_cap
from proofs.engine import (
    HALF,
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    expect,
    kl,
    oracles,
    positives,
    ratios,
    reals,
    scaled,
    strategies,
    two_laws,
    word,
)

t, beta, x, y = positives("t beta x y")
r, lam = reals("r lambda")
penalty = HALF * (t - 1) ** 2 + t * sp.log(t)
slope = word("f'(t)", sp.diff(penalty, t), "f'(t)")
(P, Q) = two_laws(3)
T = ratios(P, Q)

low = 1 / (1 + x)  # the least π/π_ref, at most 1
high = low * (1 + y)  # the largest
largest = word("t₊", high, "t_+")
spread = word("Δ", beta * (high - low + sp.log(high / low)), r"\Delta")
kl_spread = word("Δ", beta * sp.log(high / low), r"\Delta")


def optimum(p, spread, beta):
    """π/π_ref of the better of two responses, π_ref(better) = p, rewards (Δ, 0): the objective maximised."""
    from scipy.optimize import minimize_scalar

    def loss(share):
        law, reference = (share, 1 - share), (p, 1 - p)
        chi2 = sum((a - b) ** 2 / b for a, b in zip(law, reference, strict=True))
        return beta * (chi2 / 2 + oracles.kl(law, reference)) - spread * share

    best: Any = minimize_scalar(
        loss, bounds=(1e-12, 1 - 1e-12), method="bounded", options={"xatol": 1e-13}
    )
    return float(best.x) / p


def by_lambert(p, spread, beta):
    """π/π_ref = W(e^{(r − λ)/β}) with E_ref π/π_ref = 1, λ by bisection."""
    from scipy.optimize import brentq
    from scipy.special import lambertw

    def ratio(reward, level):
        return float(lambertw(exp((reward - level) / beta)).real)

    def excess(level):
        return p * ratio(spread, level) + (1 - p) * ratio(0.0, level) - 1

    return ratio(spread, brentq(excess, -beta * 2, spread + beta * 2, xtol=1e-13))


CASES = {
    "p": strategies.rates(0.5),
    "spread": strategies.rates(4),
    "beta": strategies.temperatures(),
}
THEOREM = Theorem(
    slug="chi_po",
    title="with KL + ½χ² the optimum has π/π_ref = W(e^{(r − λ)/β}) ≤ 1 + Δ/β; with KL alone e^{Δ/β} is possible",
    purpose="""To compare how far losses let a policy leave its data: linear in the reward for χPO, exponential
    for RLHF.""",
    setting="""A finite set, π_ref > 0, rewards r whose largest and least differ by Δ, t = π/π_ref, and the policy that
    maximises E_π r − β E_ref f(t), with f(t) = ½(t − 1)² + t ln t: KL + ½χ². W is Lambert's function, W e^W = x.""",
    formula=r"""t + \ln t = \frac{r - \lambda}{\beta}, \qquad \frac{\pi}{\pi_{\mathrm{ref}}} \le 1 + \frac{\max r -
    \min r}{\beta}""",
    assumptions=("a finite set, π_ref > 0; the population optimum, exact",),
    parts=(
        Part(
            "a",
            (
                "E_ref f(t) is KL(π‖π_ref) + ½χ², f is strictly convex, and at the optimum f'(t) = (r − λ)/β with ",
                Identity("the slope of f", slope, t + sp.log(t)),
                ": t = W(e^{(r − λ)/β}), and no response is lost.",
            ),
            checks=(
                Identity(
                    "E_ref f, 3 responses",
                    expect(Q, [penalty.subs(t, s) for s in T]),
                    kl(P, Q) + HALF * sum((p - q) ** 2 / q for p, q in zip(P, Q, strict=True)),
                ),
                Sign("f'' > 0", sp.diff(penalty, t, 2), ">"),
                Identity(
                    "W e^W = e^{(r − λ)/β} at W = t",
                    sp.log(t * sp.exp(t)),
                    (r - lam) / beta,
                    at={r: lam + beta * (t + sp.log(t))},
                ),
                Shipped(
                    "the cap of mi.theory.coverage_cap is 1 + Δ/β",
                    {"spread": strategies.rates(9), "beta": strategies.temperatures()},
                    lambda spread, beta: theory.coverage_cap(spread, beta, "chi2_kl"),
                    lambda spread, beta: (beta + spread) / beta,
                ),
            ),
            by_hand=(
                "Lagrange: f' → −∞ at 0 keeps every t positive, and a strictly concave goal has one maximiser",
            ),
        ),
        Part(
            "b",
            """The largest t, t₊, is at most 1 + Δ/β. With KL alone it is at most e^{Δ/β}, and comes as near as one
            likes where the better response is rare. MIO's cap (1 − α)^{−1/β} does not depend on the rewards at all,
            where it holds (mio_population_optimum).""",
            formula=(
                Sign("χPO's cap", coverage_cap(spread, beta, "chi2_kl") - largest, ">"),
                Sign("KL's cap", coverage_cap(kl_spread, beta) - largest, ">"),
            ),
            checks=(
                Identity(
                    "Δ/β is the difference of t + ln t",
                    spread.meaning / beta,
                    (high + sp.log(high)) - (low + sp.log(low)),
                ),
                Identity(
                    "KL: a rare better response, t = e^{Δ/β}/(1 − p + p e^{Δ/β})",
                    sp.exp(r) / (1 - x + x * sp.exp(r)),
                    sp.exp(r),
                    at={x: 0},
                ),
                Holds(
                    "the maximiser, by search, is below the shipped cap",
                    CASES,
                    lambda p, spread, beta: (
                        optimum(p, spread, beta)
                        <= theory.coverage_cap(spread, beta, "chi2_kl") + 1e-6
                    ),
                ),
            ),
            by_hand=(Sum("the least t is at most 1, as its mean under π_ref is 1"),),
        ),
    ),
    proof="""Stationarity: r − βf'(t) = λ. At the largest and the least t, t₊ − t₋ + ln(t₊/t₋) = Δ/β, so t₊ ≤ t₋
    + Δ/β ≤ 1 + Δ/β. With KL ln(t₊/t₋) = Δ/β, so t₊ = t₋ e^{Δ/β}.""",
    example=Example(
        "π/π_ref of the better of two responses, by search and by Lambert's function",
        optimum,
        by_lambert,
        {"p": 0.1, "spread": 2.0, "beta": 0.5},
        tolerance=1e-5,
    ),
    false_neighbours=(
        Sign("KL keeps the cap 1 + Δ/β too", 1 + kl_spread / beta - high, ">="),
        Sign("χ²'s share alone: t is at most Δ/β", spread / beta - high, ">="),
        Identity("f' is t − 1 + ln t", sp.diff(penalty, t), t - 1 + sp.log(t)),
    ),
    mutants=(
        scaled("theory.coverage_cap"),
        Mutant(
            "theory.coverage_cap", "KL's", lambda f: lambda spread, beta, penalty: f(spread, beta)
        ),
    ),
    uses=("gibbs_dv_duality", "mio_population_optimum"),
    about=("theory.coverage_cap",),
    reference="Huang et al. 2025 (arXiv 2407.13399), χPO; the comparison of the caps: this project.",
)
