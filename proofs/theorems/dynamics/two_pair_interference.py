"""Two pairs with a frozen kernel: another pair's push can turn a chosen reward that its own pair lifts."""

from typing import Any

import numpy as np
import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import dpo_time
from proofs.engine import (
    AS_MIO,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    gradient,
    positives,
    reals,
    scaled,
    strategies,
    tensor,
    word,
)

D, d, beta, t, W, V, a, x, g, h = positives("D1 D2 beta t W1 W2 a1 x g h")
(m,) = reals("m")
rho = word("ρ", (1 + W) / (1 + V), r"\rho")
speed = {W: beta**2 * D * W / (1 + W), V: beta**2 * d * V / (1 + V)}  # Ẇ of each pair's W = e^{βm}
bend = sum(sp.diff(sp.log(rho.meaning), s) * v for s, v in speed.items())  # d ln ρ/dt
bumps = sp.log(D * W / (1 + W) ** 2) - sp.log(d * V / (1 + V) ** 2)  # its sign is that of the bend
drift = sum(sp.diff(bumps, s) * v for s, v in speed.items())
slope = word("d ln ρ/dt", bend, r"\frac{d \ln \rho}{dt}")
CROSSING: Values = {D: d * V * (1 + W) ** 2 / (W * (1 + V) ** 2)}  # where the bend is 0

# The example: D = (4, 1), β = 1, a₁ = 1, x = −0.6; W₁ at the turn, where 1 + W₁ = (1 + W₂)/0.6.
share = sp.Rational(3, 5)
own = (1 + V) / share - 1
clock = own + sp.log(own) - 1 - 4 * (V + sp.log(V) - 1)  # 4β²t by both pairs: 0 at the turn


def pushes(margins, own, cross):
    """d z_w1/dt of DPO on two pairs, from the shipped loss, with ⟨φ_w1, δ_i⟩ = own, cross."""

    def loss(values):
        return mi.preference_loss(values, values * 0, "dv").sum()

    slopes = gradient(loss, margins)
    return float(-(slopes @ tensor([own, cross])))


def proved_pushes(margins, own, cross):
    """a₁/(1 + W₁) + x/(1 + W₂)."""
    return own / (1 + np.exp(margins[0])) + cross / (1 + np.exp(margins[1]))


def turn(own, cross, kernel, other, beta):
    """The time at which z_w1 is largest: two margins integrated."""
    from scipy.integrate import solve_ivp

    def flow(time, state):
        pull = beta / (1 + np.exp(beta * state))
        return np.array([kernel, other]) * pull

    def slope(time, state):
        pull = beta / (1 + np.exp(beta * np.asarray(state)))
        return own * pull[0] - cross * pull[1]

    solution = solve_ivp(flow, (0, 1e3), [0.0, 0.0], events=slope, rtol=1e-10, atol=1e-12)
    return float(solution.t_events[0][0])


def turn_by_ratio(own, cross, kernel, other, beta):
    """The t at which a₁ = |x| ρ(t), by bisection up to the top of ρ."""
    from scipy.optimize import brentq

    grid = np.geomspace(1e-6, 1e3, 400)
    above = own < cross * theory.interference(grid, beta, kernel, other)
    end = float(grid[int(np.argmax(above))])
    root: Any = brentq(
        lambda time: own - cross * theory.interference(time, beta, kernel, other),
        0,
        end,
        xtol=1e-13,
    )

    return root


def ratio(time, beta, kernel, other):
    """ρ by integration of both margins."""
    from scipy.integrate import solve_ivp

    def flow(_, state):
        return np.array([kernel, other]) * beta / (1 + np.exp(beta * state))

    margins = solve_ivp(flow, (0, time), [0.0, 0.0], rtol=1e-10, atol=1e-12).y[:, -1]
    return float((1 + np.exp(beta * margins[0])) / (1 + np.exp(beta * margins[1])))


FOUR: Values = {D: 4, d: 1, beta: 1, a: 1, x: share}
time_shown = (V + sp.log(V) - 1) / 1
largest = sp.log(own) / 4 - share * sp.log(V)  # z_w1 = m₁/4 − 0.6 m₂


def bracket():
    """The turn's W₂ lies between two rationals, by the sign of the clock, and with it time and height."""
    low, high = sp.Rational("1.4331526"), sp.Rational("1.4331527")
    yield Sign("the clocks below the turn", clock, ">", at={**FOUR, V: low})
    yield Sign("the clocks above the turn", clock, "<", at={**FOUR, V: high})
    yield Sign("t* > 0.7930285", time_shown, ">", sp.Rational("0.7930285"), at={**FOUR, V: low})
    yield Sign("t* < 0.7930295", time_shown, "<", sp.Rational("0.7930295"), at={**FOUR, V: high})
    yield Sign(
        "the largest z_w1 > 0.0632895", largest, ">", sp.Rational("0.0632895"), at={**FOUR, V: low}
    )
    yield Sign(
        "the largest z_w1 < 0.0632905", largest, "<", sp.Rational("0.0632905"), at={**FOUR, V: low}
    )


THEOREM = Theorem(
    slug="two_pair_interference",
    title="two pairs: when another pair's push makes a chosen reward fall, turn, or dip and recover, under DPO",
    purpose="To see how one prompt's pair can sink another's chosen response, and that it may recover.",
    setting="""A frozen kernel, DPO, two pairs whose differences δ₁ and δ₂ are orthogonal, of squared lengths D₁
    > D₂, a start at 0; a₁ = ⟨φ_w1, δ₁⟩ > 0 is what the own pair adds to z_w1 and x = ⟨φ_w1, δ₂⟩ < 0 what the
    other takes. W_i = e^{βm_i}, m_i the margins, and ρ = (1 + W₁)/(1 + W₂).""",
    formula=r"""\dot z_{w1} = \beta \Bigl(\frac{a_1}{1 + W_1} - \frac{|x|}{1 + W_2}\Bigr), \qquad W_i + \ln W_i = 1 +
    \beta^2 D_i t""",
    assumptions=(
        "linearised model: features and kernel are frozen; the two differences are orthogonal",
        "gradient flow on the sum of both losses",
    ),
    parts=(
        Part(
            "a",
            (
                """Each margin runs on its own clock, and z_w1 rises iff a₁ > |x| ρ. The ratio ρ starts at 1 and
                rises, with """,
                Identity(
                    "the slope of ln ρ",
                    slope,
                    beta**2 * (D * W / (1 + W) ** 2 - d * V / (1 + V) ** 2),
                ),
                ", which passes 0 once, downwards: so ρ has one maximum ρ*, and sinks to its limit D₁/D₂ from above.",
            ),
            checks=(
                Identity("W + ln W runs at β²D", (1 + 1 / W) * speed[W], beta**2 * D),
                Identity(
                    "the clock is dpo_time: 1 + β²Dt",
                    beta**2 * D * dpo_time(m, beta, D) + 1,
                    sp.exp(beta * m) + beta * m,
                ),
                Identity("ρ is 1 at the start", rho, 1, at={W: 1, V: 1}),
                Identity(
                    "the slope of ln ρ is positive at the start",
                    bend,
                    beta**2 * (D - d) / 4,
                    at={W: 1, V: 1},
                ),
                Identity(
                    "the drift of the sign at a crossing",
                    drift,
                    beta**2 * d / (1 + V) ** 2 * (V - W) / W,
                    at=CROSSING,
                ),
                Sign(
                    "the drift of the sign is negative, as W₁ > W₂",
                    (beta**2 * d / (1 + V) ** 2 * (V - W) / W).subs(W, V + h),
                    "<",
                ),
                Shipped(
                    "mi.theory.interference is ρ, by integration",
                    {
                        "time": strategies.rates(20),
                        "beta": strategies.temperatures(),
                        "kernel": strategies.rates(4),
                        "other": strategies.rates(2),
                    },
                    lambda time, beta, kernel, other: theory.interference(
                        time, beta, kernel, other
                    ),
                    ratio,
                    tolerance=1e-5,
                    examples=6,
                ),
                Shipped(
                    "mi.preference_loss(dv) pushes z_w1 so",
                    {
                        "margins": strategies.vectors(2, 3),
                        "own": strategies.rates(2),
                        "cross": strategies.scores(2),
                    },
                    pushes,
                    proved_pushes,
                ),
            ),
            by_hand=(
                "W grows like β²Dt − ln t: for large t the sign is negative, so there is a crossing, and ρ → D₁/D₂",
                "orthogonal differences: the margins do not move each other",
            ),
        ),
        Part(
            "b",
            """So z_w1 falls from the start iff a₁ ≤ |x|; turns once and then falls for ever iff |x| < a₁ ≤ |x|
            D₁/D₂; dips and recovers iff |x| D₁/D₂ < a₁ < |x| ρ*; and never falls iff a₁ ≥ |x| ρ*. For D = (4, 1),
            β = 1, a₁ = 1 and |x| = 0.6 it turns at t* = 0.793029 and is 0.063290 at most.""",
            checks=(
                Identity(
                    "the push at the start",
                    beta * (a / (1 + W) - x / (1 + V)),
                    beta * (a - x) / 2,
                    at={W: 1, V: 1},
                ),
                Identity(
                    "the push's sign is that of a₁ − |x| ρ",
                    (a / (1 + W) - x / (1 + V)) * (1 + W),
                    a - x * (1 + W) / (1 + V),
                ),
                Identity(
                    "|x| is 0.6 and D₁/D₂ is 4: the second case, a₁ < 2.4",
                    x * D / d - a,
                    sp.Rational("1.4"),
                    at=FOUR,
                ),
                Identity(
                    "z_w1 = a₁m₁/D₁ + xm₂/D₂",
                    largest,
                    sp.log(own) * a / D - x * sp.log(V) / d,
                    at=FOUR,
                ),
                *bracket(),
            ),
            by_hand=(
                "the clock rises with W₂ near the turn; height at the turn, where its slope is 0",
            ),
        ),
    ),
    proof="""θ = s₁δ₁ + s₂δ₂ with m_i = D_i s_i and ṁ_i = D_iβσ(−βm_i) = D_iβ/(1 + W_i); z_w1 = a₁s₁ + xs₂. At a
    crossing the derivative of ln D₁W₁/(1 + W₁)² − ln D₂W₂/(1 + W₂)² is β²D₂(W₂ − W₁)/((1 + W₂)² W₁) < 0.""",
    example=Example(
        "the time at which the chosen log-ratio turns",
        turn,
        turn_by_ratio,
        {"own": 1.0, "cross": 0.6, "kernel": 4.0, "other": 1.0, "beta": 1.0},
        tolerance=1e-5,
    ),
    false_neighbours=(
        Sign(
            "what its own pair lifts at first never falls: a₁ > |x| is enough",
            (a - x * (1 + W) / (1 + V)).subs(a, x * (1 + g)),
            ">",
        ),
        Sign("ρ rises for ever", bend, ">"),
        Identity("both pairs run on one clock: ρ = 1", rho.meaning, 1),
    ),
    mutants=(AS_MIO, scaled("theory.interference", 1.01)),
    uses=("lazy_flow_collapse", "dpo_is_half_mixed_dv"),
    about=("preference_loss", "theory.interference", "theory.dpo_time"),
    reference="This project.",
)
