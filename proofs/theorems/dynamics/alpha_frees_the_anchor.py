"""A larger α frees a rare correct answer from MIO's ceiling; what that costs of the no-collapse interval."""

from math import log

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import chosen_term, freeing_mix, mio_target
from proofs.engine import (
    HALF,
    Certified,
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    numerics,
    oracles,
    positives,
    reals,
    scaled,
    softplus,
    strategies,
)

eps, beta, rho, n, K, t = positives("epsilon beta rho n K t")  # ρ = 1 − α; n = 1/ρ
(u,) = reals("u")
start = 2 * sp.log(2)
k = sp.Rational(4, 3) * sp.log(sp.Rational(4, 3))
half = (0, "1/2")


def excess(u, rho):
    """F(u, ρ) = sp(−u) + ρ sp(u) − 2 ln 2."""
    return chosen_term(u, 1 - rho) - start


def end(rho, eps):
    """(1 − α)^{−1/β} ε."""
    return mio_target(eps, beta, 1 - rho)


def lower(c, slope=k):
    """F along u = −ln 3 + kρ + cρ²."""
    return excess(-sp.log(3) + slope * rho + sp.Rational(c) * rho**2, rho)


def upper(c):
    """4ⁿ F at ρu = 2 ln 2 − c·4⁻ⁿ, n = 1/ρ."""
    return (1 + 1 / n) * sp.log(1 + 4**-n * sp.exp(c * n * 4**-n)) * 4**n - c


def holds(share):
    """Whether mi.no_collapse_interval is within (c) and (d), ρ = share/2."""
    rest = share / 2
    low, high = mi.no_collapse_interval(1 - rest)
    base = -log(3) + 4 / 3 * log(4 / 3) * rest
    miss = 2 * log(2) - rest * high
    within = base + 0.14 * rest**2 < low < base + 0.22 * rest**2
    return within and (rest < 0.05 or 4 ** (-1 / rest) < miss < 2 * 4 ** (-1 / rest))


def widens(first, second):
    """Whether the shipped interval of the larger α contains that of the smaller one."""
    inner, outer = (mi.no_collapse_interval(mix) for mix in sorted((first, second)))
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def lower_root(share):
    """u₋ at ρ = 1 − α: the negative root of sp(−u) + ρ sp(u) = 2 ln 2, by bisection."""

    def above(reward):
        return oracles.js((1, 0), (share, 1 - share), (reward, -99.0))

    return numerics.root(above, -2.0, 0.0)


THEOREM = Theorem(
    slug="alpha_frees_the_anchor",
    tier="certified",
    title="1 − α ≤ ε^β frees the chosen response, at less than 0.245 of the no-collapse bound on βz_w",
    purpose="To choose the mix α for a rare correct answer.",
    setting="""Softmax table, one pair, flow of L_α from any π with full support; ε = π_ref,w, ρ = 1 − α in (0, 1),
    β > 0.""",
    formula=r"""1 - \alpha \le \varepsilon^{\beta} \Rightarrow \pi_w \to 1, \qquad -\ln 3 + \tfrac43 \ln\tfrac43\,(1
    - \alpha) < u_- < 0 < u_+ < \frac{2 \ln 2}{1 - \alpha}""",
    assumptions=(
        "(a) tabular softmax, exact flow, one pair: mio_tabular_limit",
        """(b) to (d) are about the interval of mio_no_collapse, which holds for the mean over a training set, any
        model""",
        "the ends of the interval are guarantees, not forecasts: how far a reward moves is another question",
    ),
    parts=(
        Part(
            "a",
            """If ρ ≤ ε^β, then π_w → 1; at ρ = ε^β the anchor is exactly π_w = 1. If ρ > ε^β, β > ½ and there is
            a third response, π_w → ρ^{−1/β} ε < 1 (MIO, ρ = ½: 2^{1/β} ε).""",
            checks=(
                Identity("ρ = ε^β: the end is 1", mio_target(eps, beta, freeing_mix(eps, beta)), 1),
                Identity(
                    "MIO, ρ = ½: the end",
                    mio_target(eps, beta, t),
                    2 ** (1 / beta) * eps,
                    at={t: HALF},
                ),
                Sign("ρ < ε^β: beyond 1", end(eps**beta / (1 + t), eps) - 1, ">"),
                Sign("ρ > ε^β: below 1", end(eps**beta * (1 + t), eps) - 1, "<"),
                Shipped(
                    "mi.preference_anchor at α = 1 − ε^β is β ln 1/ε",
                    {"eps": strategies.rates(), "beta": strategies.mixes()},
                    lambda eps, beta: mi.preference_anchor(1 - eps**beta),
                    lambda eps, beta: -beta * log(eps),
                    tolerance=1e-8,
                ),
            ),
        ),
        Part(
            "b",
            """Let [u₋, u₊] be the no-collapse interval at ρ: it widens strictly as α grows, and ρu₊ increases
            with α to 2 ln 2.""",
            checks=(
                Sign("∂F/∂ρ = sp(u) > 0", sp.diff(excess(u, rho), rho), ">"),
                Sign(
                    "F_u < 0 below the anchor −ln ρ",
                    sp.diff(excess(u, rho), u).subs(u, -sp.log(rho) - t),
                    "<",
                ),
                Sign(
                    "F_u > 0 above the anchor −ln ρ",
                    sp.diff(excess(u, rho), u).subs(u, -sp.log(rho) + t),
                    ">",
                ),
                Sign(
                    "∂F/∂ρ > 0 at fixed ρu = t",
                    sp.diff(t + (1 + rho) * softplus(-t / rho), rho),
                    ">",
                ),
                Identity(
                    "F at u = t/ρ, whose slope in ρ is taken",
                    excess(t / rho, rho) + start,
                    t + (1 + rho) * softplus(-t / rho),
                ),
                Holds(
                    "mi.no_collapse_interval widens with α",
                    {"first": strategies.mixes(), "second": strategies.mixes()},
                    widens,
                ),
            ),
            by_hand=(
                """from the sign of F at u < anchor (u > anchor) to the side of u₋ (u₊): F is convex in u, < 0 at
                the anchor""",
                "(b) ρu₊ → 2 ln 2: 2 ln 2 − ρu₊ = (1 + ρ) sp(−u₊), and u₊ exceeds the anchor −ln ρ → ∞",
            ),
        ),
        Part(
            "c",
            """For all ρ, u₋ > −ln 3 + kρ, k = (4/3) ln(4/3) = 0.3836; for ρ in (0, ½], −ln 3 + kρ + 0.14ρ² < u₋ <
            −ln 3 + kρ + 0.22ρ².""",
            checks=(
                *[
                    claim
                    for c in ("0", "0.14", "0.22")
                    for claim in (
                        Identity(f"c = {c}: F = 0 at ρ = 0", lower(c).subs(rho, 0), 0),
                        Identity(f"c = {c}: slope 0", sp.diff(lower(c), rho).subs(rho, 0), 0),
                    )
                ],
                Sign(
                    "c = 0: strictly convex, for any k = K > 0",
                    sp.diff(lower("0", K), rho, 2),
                    ">",
                ),
                Sign("−ln 3 + kρ < 0 for ρ = 1 already", k - sp.log(3), "<"),
                Certified(
                    "c = 0.14: F is convex", sp.diff(lower("0.14"), rho, 2), ">", {rho: half}
                ),
                Certified(
                    "c = 0.22: F is concave at first",
                    sp.diff(lower("0.22"), rho, 2),
                    "<",
                    {rho: (0, "1/20")},
                ),
                Certified(
                    "c = 0.22: F < 0 beyond the concave stretch",
                    lower("0.22"),
                    "<",
                    {rho: ("1/20", "1/2")},
                ),
                Holds(
                    "mi.no_collapse_interval is within the bounds of (c) and (d)",
                    {"share": strategies.mixes()},
                    holds,
                ),
            ),
            by_hand=(
                """from the sign of F at u < anchor (u > anchor) to the side of u₋ (u₊): F is convex in u, < 0 at
                the anchor""",
                "(c) a function that is 0 with slope 0 at ρ = 0 has the sign of its second derivative",
            ),
        ),
        Part(
            "d",
            """For 1/ρ in [2, 20], 4^{−1/ρ} < 2 ln 2 − ρu₊ < 2 · 4^{−1/ρ}. So the cure costs at the lower end less
            than u₋(½) + ln 3 < 0.245 of βz_w, whatever ε and β are (so many nats of z_w over β), while u₊ grows like
            2 ln 2 · ε^{−β}.""",
            checks=(
                *[
                    Identity(
                        f"4ⁿ F, c = {c}",
                        4**n * excess(n * (start - c * 4**-n), 1 / n),
                        upper(c),
                    )
                    for c in (1, 2)
                ],
                Certified("F > 0 at c = 1", upper(1), ">", {n: (2, 20)}),
                Certified("F < 0 at c = 2", upper(2), "<", {n: (2, 20)}),
                Certified("u₋(½) < −0.854", excess(sp.Rational("-0.854"), HALF), "<"),
                Sign(
                    "ln 3 − 0.854 < 0.245",
                    sp.log(3) - sp.Rational("0.854"),
                    "<",
                    than=sp.Rational("0.245"),
                ),
            ),
            by_hand=(
                """from the sign of F at u < anchor (u > anchor) to the side of u₋ (u₊): F is convex in u, < 0 at
                the anchor""",
            ),
        ),
    ),
    proof="""(a) ρ^{−1/β} ε ≥ 1 iff ρ ≤ ε^β. (b) On F = 0, du/dρ = −sp(u)/F_u, and F_u has the sign of u − anchor, −
    at u₋ and + at u₊. At fixed s = ρu, ∂F/∂ρ > 0, and F increases with s beyond the anchor: so ρu₊ falls as ρ grows.
    (c) F along u = −ln 3 + kρ is 0 with slope 0 at ρ = 0 and strictly convex, so positive: that u is left of u₋ (it
    is below 0 for ρ < 1). With 0.14ρ² added F is still 0 with slope 0 at ρ = 0 and convex on the box, so positive;
    with 0.22ρ² it is concave up to ρ = 1/20, and negative from there to ½, which puts u between the roots. (d) Both u
    are positive, so the sign of F tells on which side of u₊ they are. u₋ decreases with α from u₋(½) < −0.854 and
    stays above −ln 3.""",
    example=Example(
        "the lower end u₋ of the no-collapse interval at ρ = 1 − α = 0.1, beside −ln 3 + kρ",
        lower_root,
        lambda share: -log(3) + 4 / 3 * log(4 / 3) * share,
        {"share": 0.1},
        relation="≥",
    ),
    false_neighbours=(
        Sign("(a) ρ = ε suffices at every β", end(eps, eps) - 1, ">="),
        Certified(
            "u₋ stays above −0.8546 for larger α",
            excess(sp.Rational("-0.8546"), rho),
            ">",
            {rho: half},
        ),
        Certified("(c) c = 0.14 is an upper bound", lower("0.14"), "<", {rho: ("1/10", "1/2")}),
        Certified("(d) c = 1 is an upper bound", upper(1), "<", {n: (2, 10)}),
    ),
    mutants=(
        scaled("preference_anchor", -1),
        Mutant(
            "no_collapse_interval", "wide", lambda f: lambda mix: [1.01 * end for end in f(mix)]
        ),
    ),
    uses=("mio_tabular_limit", "mio_no_collapse", "mio_anchor"),
    about=("no_collapse_interval", "preference_anchor", "theory.freeing_mix"),
    reference="This project.",
)
