"""Where MIO's gradient flow ends on a table of logits: at its ceiling, or, for small β, sometimes at 1 beyond it."""

import numpy as np
import sympy as sp
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.theory import chosen_pull, mio_target, rejected_push
from proofs.engine import (
    AS_DPO,
    HALF,
    TURNED,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Tested,
    Theorem,
    Values,
    expression,
    gradient,
    js_loss,
    logs,
    numerics,
    oracles,
    positives,
    reals,
    strategies,
    word,
)

# A = −∂L/∂ ln π_w and B = ∂L/∂ ln π_l; the logits of the pair, of one unseen response and of the rest, E = Σ e^θ.
A, u, *LOGITS = reals("A u theta_w theta_l theta_j")
a, beta, B, E, y, c, t = positives("a beta B E y c t")  # α = a/(1 + a)
alpha, rest = a / (1 + a), 1 / (1 + a)
PI = [sp.exp(x) / (sum(map(sp.exp, LOGITS)) + E) for x in LOGITS]
p_w, p_l, p_j = positives("pi_w pi_l pi_j")
FLOW = (A * (1 - p_w) + B * p_w, -A * p_l - B * (1 - p_l), (B - A) * p_j)  # θ̇
above_half = word("β", HALF + t, r"\beta")
unseen = 1 - p_w - p_l  # the mass of all unseen responses
push = beta * chosen_pull(u, alpha)  # A at βz_w = u

# Three responses by s = π_j/π_w and q = π_l/π_w: d ln s/dt and d ln q/dt, over π_w. The trap, α = ½ and β = ¼: s ≤
# h/10 with q = h⁴, h < ¼; there −A = c ≤ 1/8 and B = b/8 with b ≥ 9h/(10 + 9h).
s, q = positives("s q")
RATIOS: Values = {p_w: 1 / (1 + s + q), p_l: q / (1 + s + q), p_j: s / (1 + s + q), A: -c}
s_rate, q_rate = (expression(((FLOW[i] - FLOW[0]) * (1 + s + q)).subs(RATIOS)) for i in (2, 1))
drift = s_rate - q_rate / 4


def at_edge(expr, h):
    """The value at s = h/10, q = h⁴, −A = 1/8, B = 9h/(10 + 9h)/8."""
    return expr.subs({s: h / 10, q: h**4, c: sp.Rational(1, 8), B: 9 * h / (10 + 9 * h) / 8})


def rates(case, beta, mix):
    """θ̇ by the stated formula, plain sums, and x*."""
    ref, pi = case[0], oracles.tilted([1] * len(case[1]), case[1])
    u, v = (beta * oracles.ln(x / y) for x, y in zip(pi[:2], ref[:2], strict=True))
    up, down = beta * chosen_pull(u, mix), beta * rejected_push(v, mix)
    pair = [up * (1 - pi[0]) + down * pi[0], -up * pi[1] - down * (1 - pi[1])]
    return [*pair, *[(down - up) * x for x in pi[2:]], mio_target(ref[0], beta, mix)]


def shipped_rates(case, beta, mix):
    """θ̇ = −∇ of the shipped loss in the logits, and x* by the shipped anchor."""
    ref, theta = case

    def loss(logits):
        z = beta * (logits.log_softmax(-1) - logs(ref))
        return mi.preference_loss(z[0], z[1], "js", mix)

    return [*(-gradient(loss, theta)).tolist(), np.exp(mi.preference_anchor(mix) / beta) * ref[0]]


def path(ref, beta, steps=2000, size=1.0):
    """π along MIO's flow from π_ref: Runge–Kutta of order 4 in plain floats."""
    ref, theta = np.array(ref), np.log(ref)

    def field(theta):
        pi = np.exp(theta) / np.exp(theta).sum()
        own, other = 1 / (1 + (pi[:2] / ref[:2]) ** -beta)
        up, down = beta * (1 - 1.5 * own), beta * other / 2
        return up * (np.eye(len(pi))[0] - pi) - down * (np.eye(len(pi))[1] - pi)

    for _ in range(steps):
        k1 = field(theta)
        k2 = field(theta + size / 2 * k1)
        k3 = field(theta + size / 2 * k2)
        theta = theta + size / 6 * (k1 + 2 * k2 + 2 * k3 + field(theta + size * k3))
        yield np.exp(theta) / np.exp(theta).sum()


def avoids_trap(ref):
    """Whether the flow at β = ¼ stays out of the trap of (d)."""
    return not any(
        p[1] < p[0] / 256 and p[2] / p[0] <= (p[1] / p[0]) ** 0.25 / 10 for p in path(ref, 0.25)
    )


def stays_below(ref):
    """Whether the flow at β = 1 stays below x* = 2 π_ref,w."""
    return max(p[0] for p in path(ref, 1.0, 200)) <= 2 * ref[0]


FAR, NEAR = st.just((0.02, 0.9799, 0.0001)), st.just((0.2, 0.75, 0.05))  # x* = 0.32 and 0.4
GIVEN = {
    "case": st.integers(3, 5).flatmap(
        lambda n: st.tuples(strategies.laws(n), strategies.vectors(n, 4))
    )
}
GIVEN |= {"beta": strategies.temperatures(), "mix": strategies.mixes()}


def in_the_end(reference, beta, mix):
    """π_w on the flow from π_ref after a time of 10⁶, integrated."""
    base = np.array(reference)
    ones = np.eye(len(base))

    def policy(theta):
        weights = np.exp(theta - theta.max())
        return weights / weights.sum()

    def velocity(theta):
        pi = policy(theta)
        u, v = beta * np.log(pi[:2] / base[:2])
        up, down = beta * chosen_pull(u, mix), beta * rejected_push(v, mix)
        return up * (ones[0] - pi) - down * (ones[1] - pi)

    return policy(numerics.flow(velocity, np.log(base).tolist(), 1e6)[-1])[0]


THEOREM = Theorem(
    slug="mio_tabular_limit",
    title="MIO's flow on a table of logits: the end is the ceiling (1 − α)^{−1/β} π_ref,w, or 1",
    purpose="To predict where MIO's flow leaves the chosen response in a table.",
    setting="""Softmax policy π with a free logit for each of K ≥ 2 responses, one pair y_w ≠ y_l, z = ln π/π_ref,
    π_ref > 0, L = sp(−βz_w) + (1 − α) sp(βz_w) + α sp(βz_l), α in (0, 1), β > 0, gradient flow θ̇ = −∇L from any θ;
    x* = (1 − α)^{−1/β} π_ref,w.""",
    formula=r"""\pi_w \to \min\bigl(1,\, (1-\alpha)^{-1/\beta} \pi_{\mathrm{ref},w}\bigr),\ \pi_l \to 0 \qquad
    \bigl(\beta > \tfrac12 \text{ or } (1-\alpha)^{-1/\beta} \pi_{\mathrm{ref},w} \ge 1\bigr)""",
    assumptions=(
        "tabular softmax, one pair, K ≥ 3 in (b) to (d): at least one response is unseen; K = 2: escape_times, (d)",
        "exact flow in continuous time; about the end only: on the way π_w may be far above x*",
        "(c) leaves β = ½ open; in (d) the flow from π_ref = (0.02, 0.9799, 0.0001) enters the set, by numbers only",
    ),
    parts=(
        Part(
            "a",
            "If x* ≥ 1, then π_w → 1.",
            checks=(
                *[
                    Identity(
                        f"θ̇_{n}",
                        A * sp.diff(sp.log(PI[0]), x) - B * sp.diff(sp.log(PI[1]), x),
                        rate.subs(dict(zip((p_w, p_l, p_j), PI, strict=True))),
                    )
                    for n, x, rate in zip("wlj", LOGITS, FLOW, strict=True)
                ],
                Identity("A is −∂L/∂ ln π_w", push, -beta * sp.diff(js_loss(u, y, alpha), u)),
                Identity(
                    "A by X = (π_w/π_ref,w)^β",
                    push,
                    beta * (1 - rest * sp.exp(u)) / (1 + sp.exp(u)),
                ),
                Identity("Σ θ̇ = 0", FLOW[0] + FLOW[1] + (B - A) * unseen, 0),
                Identity(
                    "no unseen mass: θ̇_w", FLOW[0].subs(p_w, 1 - p_l), A * p_l + B * (1 - p_l)
                ),
                Sign(
                    "no unseen mass: θ̇_w is positive if A ≥ 0 < B, here π_l = 1/(1 + y)",
                    (c + B * y) / (1 + y),
                    ">",
                ),
                Shipped(
                    "θ̇ and x* through the library, 3 to 5 responses",
                    GIVEN,
                    shipped_rates,
                    rates,
                ),
            ),
            by_hand=(
                """θ̇ → 0: ‖θ̇‖² has a finite integral and is uniformly continuous, as L ≤ L(0) keeps π_w away
                from 0 (Barbalat)""",
            ),
        ),
        Part(
            "b",
            "If x* < 1 and a third response exists, then π_l → 0 and π_w → x* or π_w → 1.",
            checks=(
                Identity("unseen mass and A = B: θ̇_w = A", FLOW[0].subs(B, A), A),
                Identity(
                    "d ln π_j²/(π_w π_l)",
                    2 * FLOW[2] - FLOW[0] - FLOW[1],
                    (B - A) * (2 * p_j + unseen),
                ),
            ),
            by_hand=(
                """θ̇ → 0: ‖θ̇‖² has a finite integral and is uniformly continuous, as L ≤ L(0) keeps π_w away
                from 0 (Barbalat)""",
                """(b), (c) the contradictions; π converges: limit points connected, kinds apart, zeros of Aπ_l +
                Bπ_w isolated""",
            ),
        ),
        Part(
            "c",
            "If moreover β > ½, then π_w → x*.",
            checks=(
                Sign("B < αβ(π_l/π_ref,l)^β", alpha * beta * (y / (1 + y) - y), "<"),
                Sign(
                    "π^{2β} < π for β = ½ + t and π < 1",
                    (1 / (1 + y)) ** (2 * above_half),
                    "<",
                    than=1 / (1 + y),
                ),
            ),
            by_hand=(
                """θ̇ → 0: ‖θ̇‖² has a finite integral and is uniformly continuous, as L ≤ L(0) keeps π_w away
                from 0 (Barbalat)""",
                """(b), (c) the contradictions; π converges: limit points connected, kinds apart, zeros of Aπ_l +
                Bπ_w isolated""",
            ),
        ),
        Part(
            "d",
            """At smaller β it may be 1: with three responses, α = ½, β = ¼ the set {π_l/π_w < 1/256, π_j/π_w ≤
            (π_l/π_w)^{1/4}/10}, j the third response, is never left, and in it π_w → 1 even where x* < 1.""",
            checks=(
                Identity(
                    "the most that −A can be",
                    beta * (1 - s),
                    sp.Rational(1, 8),
                    at={s: HALF, beta: sp.Rational(1, 4)},
                ),
                Identity("h⁴ at h = ¼", t**4, sp.Rational(1, 256), at={t: sp.Rational(1, 4)}),
                Identity("d ln s", s_rate, (B + 2 * c) * s + c * q - B),
                Identity("d ln q", q_rate, c * (s + 2 * q) - B * (2 + s)),
                Sign(
                    "q falls: B (2 + s) > 2B",
                    at_edge(c * (s + 2 * q) - 2 * B, 1 / (4 + t)),
                    "<",
                ),
                Identity("d ln s − ¼ d ln q", drift, c * (7 * s + 2 * q) / 4 - B * (2 - 5 * s) / 4),
                Sign(
                    "d ln s − ¼ d ln q is negative: s ≤ 1/40",
                    at_edge(c * (7 * s + 2 * q) / 4 - B * sp.Rational(15, 32), 1 / (4 + t)),
                    "<",
                ),
            ),
            by_hand=(
                """θ̇ → 0: ‖θ̇‖² has a finite integral and is uniformly continuous, as L ≤ L(0) keeps π_w away
                from 0 (Barbalat)""",
                """(d) b ≥ 9h/(10 + 9h): π_w^{1/4} > 9/10, π_ref,l ≤ 1; −A ≤ β(1 − α) = 1/8; the rates rise with
                −A, fall with B""",
            ),
        ),
    ),
    proof="""With A = −∂L/∂ ln π_w = β(1 − (2 − α)σ(βz_w)), which has the sign of x* − π_w, and B = ∂L/∂ ln π_l =
    αβσ(βz_l) > 0: θ̇_w = A(1 − π_w) + Bπ_w, θ̇_l = −Aπ_l − B(1 − π_l), θ̇_j = (B − A)π_j. L falls at the rate
    ‖θ̇‖², so θ̇ → 0, and limit points of π have θ̇ = 0 (B = 0 where π_l = 0). With unseen mass there, A = B, θ̇_w =
    A = 0: π_w = x* < 1, π_l = 0. Without, θ̇_w = Aπ_l + Bπ_w = 0: π_w = 1, or A < 0 < B. (a) A ≥ 0 leaves π_w = 1.
    (b) If π converged to a point with A < 0 < B and no unseen mass, each θ_j would end up rising, so θ_w and θ_l →
    ∞; but Σ θ is constant. (c) If π_w → 1 > x*, then A < 0 in the end, and π_j²/(π_w π_l) rises: its logarithm has
    the rate (B − A)(2π_j + unseen mass). So B ≤ αβ(π_l/π_ref,l)^β is at most a constant times π_j^{2β}, o(π_j) for
    2β > 1, and θ̇_w ≤ Bπ_w + Aπ_j < 0 while θ_j rises: π_j cannot vanish. (d) In the set π_l/π_w falls, and on its
    edge π_j/π_w falls faster than (π_l/π_w)^{1/4}; of the ends in (b) only π_w = 1 is in its closure.""",
    example=Example(
        "the chosen probability at the end of MIO's flow, three responses, beside its ceiling",
        in_the_end,
        lambda reference, beta, mix: min(1.0, mio_target(reference[0], beta, mix)),
        {"reference": (0.1, 0.3, 0.6), "beta": 1.0, "mix": 0.5},
        tolerance=1e-3,
    ),
    false_neighbours=(
        Tested(
            "(c) for every β: from π_ref, β = ¼, it stays out of the trap",
            {"ref": FAR},
            avoids_trap,
            1,
        ),
        Tested("π_w never exceeds x* on the way (β = 1)", {"ref": NEAR}, stays_below, 1),
        Identity("the ratio π_j/π_l is kept", FLOW[2] - FLOW[1], 0),
        Sign(
            "(d) the trap may end at h = 3/5 as well as at ¼",
            at_edge(drift, sp.Rational(3, 5)),
            "<",
        ),
    ),
    mutants=(
        TURNED,
        AS_DPO,
    ),
    uses=("mio_anchor",),
    about=(
        "preference_loss",
        "preference_anchor",
        "theory.chosen_pull",
        "theory.rejected_push",
        "theory.mio_target",
    ),
    reference="This project; the loss: Chen et al. 2024 (arXiv 2402.05369), section 4 (NCA).",
)
