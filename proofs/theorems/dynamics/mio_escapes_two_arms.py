"""With two responses only, MIO passes an even chance from far rarer answers than 2^{1/β} ε ≥ ½ suggests."""

from math import log

import numpy as np
import sympy as sp
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.theory import mio_drift, mio_escapes
from proofs.engine import (
    AS_DPO,
    HALF,
    NEARLY,
    Certified,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    compiled,
    gradient,
    js_loss,
    numerics,
    positives,
    strategies,
    tensor,
)

p, eps, beta, kappa, e, k, s, y = positives(
    "p epsilon beta kappa e k s y"
)  # ε = e/(1 + e) and p = k/(1 + k) too


def drift(p, eps, beta):
    """G(p) = (1 − p)(2 − X)/(1 + X) + p Y/(1 + Y)."""
    X, Y = (p / eps) ** beta, ((1 - p) / (1 - eps)) ** beta
    return (1 - p) * (2 - X) / (1 + X) + p * Y / (1 + Y)


at: Values = {p: k / (1 + k), eps: e / (1 + e)}  # then d/du = k d/dk
z_w, z_l = (sp.log(ratio.subs(at)) for ratio in (p / eps, (1 - p) / (1 - eps)))
eps_k = kappa * beta * 2 ** (-1 / beta)  # ε by κ; X = 2 e^y with y = β ln(p/(κβ))
concave = sp.Rational(2, 3) * y - (2 * sp.exp(y) - 2) / (1 + 2 * sp.exp(y))
least = p / 2 - 2 * beta / 3 * sp.log(p / (kappa * beta))  # less than G/(1 − p), for β ≤ 1
best = sp.Rational(4, 3) * sp.exp(-1)  # 4/(3e)
X_0 = 2 * (sp.Rational(4, 3) / kappa) ** beta  # X at p = 4β/3
above = (1 - 4 * beta / 3) * (2 - X_0) / (1 + X_0) + 2 * beta / 3  # more than G there, as Y < 1
of_drift = compiled(drift(p, eps, beta))
middle = beta / (1 + beta)  # a p at which the drift is nearly least
at_middle = drift(middle, eps_k, beta)

# β: the bracket of ε*(β) and a p at which the flow from its lower end is stopped
ROWS = {
    "1/10": ("0.000042169", "0.000042170", "0.1047"),
    "1/4": ("0.0058808", "0.0058809", "0.2062"),
    "1/2": ("0.040182", "0.040183", "0.3205"),
    "2": ("0.27075", "0.27076", "1/2"),
}


def row(b, low, high, at):
    """Certify that the flow from `low` is stopped at or before `at`, and that the one from `high` is not."""
    b, low, high, at = map(sp.Rational, (b, low, high, at))
    speed = drift(p, eps, beta)
    stopped, free = {beta: b, eps: low, p: at}, {beta: b, eps: high}
    yield Certified(f"β = {b}: stopped from ε = {float(low):.6g}", speed, "<", at=stopped)
    yield Certified(
        f"β = {b}: not stopped from ε = {float(high):.6g}", speed, ">", {p: (high, HALF)}, at=free
    )


def shipped(p, eps, beta):
    """u̇ = θ̇_w − θ̇_l from the shipped loss, at many p at once."""

    def objective(logits):
        z = beta * (logits.log_softmax(-1) - tensor([eps, 1 - eps]).log())
        return -mi.preference_loss(z[:, 0], z[:, 1], "js")

    slopes = gradient(objective, [[log(x), log(1 - x)] for x in p])
    return (slopes[:, 0] - slopes[:, 1]).numpy()


def proved(p, eps, beta):
    """βG by its formula."""
    return [beta * of_drift(p=x, epsilon=eps, beta=beta) for x in p]


GIVEN = {"p": st.lists(strategies.rates(), min_size=1, max_size=4), "eps": strategies.rates(0.49)}
GIVEN["beta"] = strategies.temperatures()


def threshold(beta):
    """ε*(β): the largest ε at which G has a zero below ½, by bisection in ln ε."""
    grid = np.linspace(0.0, 1.0, 4001)

    def least(log_eps):
        eps = np.exp(log_eps)
        return drift(eps + (0.5 - eps) * grid, eps, beta).min()

    return float(np.exp(numerics.root(least, -3 - np.log(4) / beta, np.log(0.5) - 1e-9)))


THEOREM = Theorem(
    slug="mio_escapes_two_arms",
    tier="certified",
    title="two responses: MIO passes ½ from ε > ε*(β), and ε*(β) < 0.4906 β 2^{−1/β} for β ≤ 1",
    purpose="To know the rarest correct answer that MIO lifts past one half, with two responses.",
    setting="""Two responses, π = (p, 1 − p) a softmax, exact gradient flow of L_MIO from π_ref = (ε, 1 − ε), 0 < ε
    < ½, u = ln p/(1 − p). Then u̇ = βG(p), G(p) = (1 − p)(2 − X)/(1 + X) + pY/(1 + Y), X = (p/ε)^β, Y = ((1 − p)/(1
    − ε))^β.""",
    formula=r"""0.26\,\beta\,2^{-1/\beta} \;<\; \varepsilon^*(\beta) \;\le\; \tfrac{4}{3e}\,\beta\,2^{-1/\beta}
    \;<\; \tfrac12 2^{-1/\beta} \qquad \bigl(\tfrac{1}{10} \le \beta \le 1\bigr)""",
    assumptions=(
        "two responses, logits as parameters, exact gradient in continuous time, π_ref the start; α = ½",
        "passing ½ is all that is claimed: beyond it the flow may be stopped too",
        "with a third response the end is another one: mio_tabular_limit",
    ),
    parts=(
        Part(
            "a",
            """p passes ½ iff G > 0 on [ε, ½], else it tends to the first zero of G; there is an ε*(β) such that
            it passes for ε > ε* and not for ε < ε*.""",
            checks=(
                Identity(
                    "u̇ = βG",
                    -2 * k * sp.diff(js_loss(beta * z_w, beta * z_l), k),
                    beta * drift(p, eps, beta).subs(at),
                ),
                Identity(
                    "the library's u̇",
                    mio_drift(sp.log(k), e / (1 + e), beta, HALF),
                    beta * drift(p, eps, beta).subs(at),
                ),
                Identity("G(ε) = ½", drift(p, p, beta), HALF),
                Shipped("u̇ through mi.preference_loss", GIVEN, shipped, proved),
            ),
            by_hand=(
                "scalar flows: p passes ½ iff the speed is positive on the way; else it tends to the first zero",
            ),
        ),
        Part(
            "b",
            "2^{1/β} ε ≥ ½, the condition on a larger table, suffices.",
            checks=(
                Identity("X = 2 at p = 2^{1/β} ε", ((2 ** (1 / beta) * eps) / eps) ** beta, 2),
                Sign(
                    "X < 2 for p below ½ and 2^{1/β} ε above it",
                    (p / eps) ** beta,
                    "<",
                    than=2,
                    at={p: HALF / (1 + s), eps: HALF * (1 + y) * 2 ** (-1 / beta)},
                ),
            ),
        ),
        Part(
            "c",
            """For β ≤ 1 so does ε ≥ (4/3) β 2^{−1/β}/e, and (4/3)/e = 0.4905… is the best constant: for any
            smaller one the flow is stopped at all small β.""",
            checks=(
                Identity(
                    "X = 2e^y",
                    (p / eps_k) ** beta,
                    2 * sp.exp(beta * sp.log(p / (kappa * beta))),
                ),
                Identity("⅔y − (X − 2)/(1 + X) at y = 0", concave.subs(y, 0), 0),
                Sign("⅔y − (X − 2)/(1 + X) increases with y", sp.diff(concave, y), ">"),
                Sign(
                    "p/(2 − p) > p/2, here p = 1/(1 + s)",
                    (p / (2 - p) - p / 2).subs(p, 1 / (1 + s)),
                    ">",
                ),
                Minimum(
                    "the lower bound of G is least at p = 4β/3",
                    least,
                    p,
                    4 * beta / 3,
                    2 * beta / 3 * (1 - sp.log(4 / (3 * kappa))),
                ),
                Identity(
                    "the bound is 0 for κ = 4/(3e)", least.subs({p: 4 * beta / 3, kappa: best}), 0
                ),
                Sign("4/(3e) is at most 0.4906", sp.Rational("0.4906") - best, ">"),
                Identity("sharp: the value at β = 0", above.subs(beta, 0), 0),
                Identity(
                    "sharp: the slope at β = 0",
                    sp.diff(above, beta).subs(beta, 0),
                    sp.Rational(2, 3) * (1 - sp.log(4 / (3 * kappa))),
                ),
                Sign(
                    "sharp: the slope is negative for κ = 4/(3e^{1 + s})",
                    1 - sp.log(4 / (3 * best * sp.exp(-s))),
                    "<",
                ),
            ),
            by_hand=(
                """(c) (1 − p)^β ≥ 1 − p for β ≤ 1, ε > 0 and p < 1; Y/(1 + Y) increases with Y; p > ε at p = 4β/3
                for small β""",
            ),
        ),
        Part(
            "d",
            "For every β in [1/10, 1], ε*(β) > 0.26 β 2^{−1/β}.",
            checks=(
                Certified(
                    "G < 0 at a point on the way, every β in [1/10, 1]",
                    at_middle,
                    "<",
                    {beta: ("1/10", 1)},
                    at={kappa: sp.Rational("0.26")},
                ),
            ),
        ),
        Part(
            "e",
            """ε*(1/10) is in (4.2169·10⁻⁵, 4.2170·10⁻⁵), ε*(1/4) in (0.0058808, 0.0058809), ε*(1/2) in (0.040182,
            0.040183), ε*(2) in (0.27075, 0.27076); ε*(1) = 1 − √3/2.""",
            checks=(
                Identity(
                    "β = 1: G(½), which is 0 iff (1 − ε)² = 3/4",
                    drift(p, eps, beta),
                    4 * (sp.Rational(3, 4) - (1 - eps) ** 2) / ((1 + 2 * eps) * (3 - 2 * eps)),
                    at={beta: 1, p: HALF, eps: e / (1 + e)},
                ),
                *[claim for b, numbers in ROWS.items() for claim in row(b, *numbers)],
                Holds(
                    "mi.theory.mio_escapes tells the ends of the bracket apart",
                    {"b": strategies.one_of(ROWS)},
                    lambda b: (
                        [mio_escapes(*map(float, map(sp.Rational, (e, b)))) for e in ROWS[b][:2]]
                        == [False, True]
                    ),
                ),
            ),
        ),
    ),
    proof="""u̇ = 2 dJ/du for J = −L_MIO. (a) G(ε) = ½ > 0, and at fixed p, G increases with ε (σ(βz_w) falls and
    σ(βz_l) rises: escape_times), so the ε that pass are an interval up to ½. (b) For p ≤ ½, X ≤ 2; so G ≥ pY/(1 + Y)
    > 0. (c) Put ε = κβ2^{−1/β}: X = 2e^y, y = β ln(p/(κβ)). Where y ≤ 0, G > 0. Where y > 0, (X − 2)/(1 + X) ≤ ⅔y, as
    the difference is 0 at y = 0 and increases; and Y > (1 − p)^β ≥ 1 − p, so Y/(1 + Y) > (1 − p)/(2 − p) > ½(1 − p).
    So G/(1 − p) > p/2 − (2β/3) ln(p/(κβ)), whose least value, at p = 4β/3, is (2β/3)(1 − ln(4/(3κ))) ≥ 0 iff κ ≥
    4/(3e). Sharpness: Y < 1 for p > ε, so at p = 4β/3 G is below a function of β that is 0 at β = 0 and has the slope
    ⅔(1 − ln(4/(3κ))) there, which is negative for κ < 4/(3e). (d) G < 0 at p = β/(1 + β). (e) The signs of G at one
    p, and on [ε, ½].""",
    example=Example(
        "the least start ε*(0.1) from which MIO passes ½, two responses, beside (4/3) β 2^{−1/β}/e",
        threshold,
        lambda beta: 4 / 3 * beta * 2 ** (-1 / beta) * np.exp(-1),
        {"beta": 0.1},
        relation="≤",
    ),
    false_neighbours=(
        Certified(
            "(d) with 0.45 · 2^{−1/β}, close to the table's condition",
            drift(middle, sp.Rational(9, 20) * 2 ** (-1 / beta), beta),
            "<=",
            {beta: ("1/10", 1)},
        ),
        Certified(
            "G(½) decides: from ε = 10⁻⁵ at β = 1/10, where G(½) > 0, it passes",
            drift(p, sp.Rational(1, 10**5), sp.Rational(1, 10)),
            ">",
            {p: ("1/100", HALF)},
        ),
        Certified(
            "(c) with κ = 1/4",
            at_middle.subs(kappa, sp.Rational(1, 4)),
            ">",
            {beta: ("1/10", "1/2")},
        ),
    ),
    mutants=(
        NEARLY,
        AS_DPO,
    ),
    uses=("escape_times", "mio_anchor"),
    about=("preference_loss", "theory.mio_drift", "theory.mio_escapes"),
    reference="This project; the loss: Chen et al. 2024 (arXiv 2402.05369), section 4 (NCA).",
)
