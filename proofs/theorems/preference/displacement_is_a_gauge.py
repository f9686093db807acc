"""Which f keeps the chosen response from sinking is no property of the loss: f and f + k(t − 1) are one loss."""

import numpy as np
import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    AS_MIO,
    HALF_LOSS,
    Example,
    Identity,
    Limit,
    Minimum,
    Part,
    Shipped,
    Sign,
    Tested,
    Theorem,
    gradient,
    logs,
    oracles,
    positives,
    ratios,
    reals,
    strategies,
    tensor,
    two_laws,
    word,
)

t, x, y, beta, n = positives("t x y beta n")
k, level, r = reals("k lambda r")
(P, Q) = two_laws(3)
T = ratios(P, Q)
f = t * sp.log(t)
gauged = f + k * (t - 1)
best = sp.exp(-1 - k)
least = word("arg min", best, r"\arg\min")


def slope(g):
    """The derivative in t."""
    return sp.diff(g, t)


at_best = word("f'(t) + k", slope(gauged).subs(t, best), "f'(t) + k")


def divergence(g):
    """D_f(P‖Q) = E_Q f(dP/dQ), 3 responses."""
    return sum(q * g.subs(t, s) for q, s in zip(Q, T, strict=True))


def push(ratio_w, ratio_l, pi, kind, beta):
    """d ln π/dt of f-DPO's flow in free logits: f' = ln t + 1 (DPO) or ln t/t (SquaredPO)."""
    own, other = np.log(ratio_w), np.log(ratio_l)
    weight_w = weight_l = 1.0
    if kind == "squared":
        weight_w, weight_l = (1 - own) / ratio_w, (1 - other) / ratio_l
        own, other = own / ratio_w, other / ratio_l

    pull = beta / (1 + np.exp(beta * (own - other)))
    step = -pull * (weight_w - weight_l) * pi
    step[0] += pull * weight_w
    step[1] -= pull * weight_l

    return step - pi @ step


def path(kind, end=1e5, beta=1.0):
    """π_w/π_ref,w along the flow from π_ref = (0.1, 0.1, 0.8): its largest and its last value."""
    from scipy.integrate import solve_ivp

    reference = np.array([0.1, 0.1, 0.8])

    def flow(time, log_pi):
        pi = np.exp(log_pi)
        return push(pi[0] / reference[0], pi[1] / reference[1], pi, kind, beta)

    states = solve_ivp(flow, (0, end), np.log(reference), "LSODA", rtol=1e-9, atol=1e-12).y[0]
    ratio = np.exp(states) / reference[0]
    return float(ratio.max()), float(ratio[-1])


SHOWN = {"squared": (1.1401, 0.7360), "dpo": (9.82, 9.82)}


def as_shown(kind):
    """The largest and the last ratio are those shown."""
    largest, last = path(kind)
    digits = 1e-4 if kind == "squared" else 1e-2
    return abs(largest - SHOWN[kind][0]) < digits and abs(last - SHOWN[kind][1]) < digits


def shipped_push(theta, beta):
    """The library's DPO push in three logits, from π_ref = (0.1, 0.1, 0.8)."""
    reference = logs([0.1, 0.1, 0.8])

    def loss(logits):
        z = beta * (logits.log_softmax(-1) - reference)
        return mi.preference_loss(z[0], z[1], "dv")

    step = tensor(gradient(loss, theta)).neg().numpy()
    pi = np.asarray(oracles.tilted([1] * 3, theta))
    return (step - pi @ step).tolist()


def proved_push(theta, beta):
    """The f-DPO push with f' = ln t + 1."""
    pi = np.asarray(oracles.tilted([1] * 3, theta))
    return push(pi[0] / 0.1, pi[1] / 0.1, pi, "dpo", beta).tolist()


THEOREM = Theorem(
    slug="displacement_is_a_gauge",
    tier="tested",
    title="f and f + k(t − 1) are one f-DPO loss with another arg min: no arg min can tell who is displaced",
    purpose="To check claims of the kind 'this divergence does not displace the chosen response'.",
    setting="""A finite set, π_ref > 0, t = π/π_ref, f' the derivative of f on t > 0, D_f =
    E_ref f(t); f-DPO is the logistic loss of β(f'(t_w) − f'(t_l)): DPO for f = t ln t, SquaredPO for f = ½(ln t)².""",
    formula=r"""D_{f + k(t - 1)} = D_f, \qquad (f + k(t - 1))'(t_w) - (f + k(t - 1))'(t_l) = f'(t_w) - f'(t_l)""",
    assumptions=(
        "policies are normalised: E_ref t = 1",
        "(c) free logits, one pair, gradient flow from π_ref, a third response",
    ),
    parts=(
        Part(
            "a",
            (
                "f + k(t − 1) has the same D_f on laws and the same f-DPO loss for every k, but another arg min: for "
                "t ln t ",
                Identity("the arg min is where f' + k is 0", at_best, 0),
                ", at ",
                Identity("the arg min", least, sp.exp(-1 - k)),
                ". So 'KL displaces because its arg min is below 1' names no property of the loss.",
            ),
            checks=(
                Identity("D_f, 3 responses", divergence(gauged), divergence(f)),
                Identity(
                    "the loss's argument",
                    slope(gauged).subs(t, x) - slope(gauged).subs(t, y),
                    sp.log(x / y),
                ),
                Identity("k = −1 puts the arg min at 1", least, 1, at={k: -1}),
                Minimum("t ln t − t + 1, the gauge with arg min 1", f - t + 1, t, 1),
            ),
        ),
        Part(
            "b",
            """A maximiser of E_π r − βD_f for every reward has full support iff f' tends to −∞ at 0, as for KL
            and not for a quadratic f; then f'(t) = (r − λ)/β everywhere, with one λ. Responses outside all pairs
            leave λ free: the minimisers of f-DPO are a family, and which one is reached is the flow's doing.""",
            checks=(
                Identity(
                    "the stationary t of KL",
                    slope(f).subs(t, sp.exp((r - level) / beta - 1)),
                    (r - level) / beta,
                ),
                Limit("KL: −1/f' tends to 0 as t → 0 along e^{−n}", 1 / n, n, sp.oo, 0, 1 / n),
                Identity("f' at e^{−n} is 1 − n", slope(f).subs(t, sp.exp(-n)), 1 - n),
                Sign("a quadratic f: f' is bounded below by 0", sp.diff(t**2 / 2, t), ">"),
            ),
            by_hand=(
                "Lagrange; where f'(0+) is finite, a reward far below drives its response to t = 0",
            ),
        ),
        Part(
            "c",
            """SquaredPO lowers a chosen response in a table with one pair, where DPO never does
            (dpo_tabular_never_falls): from π_ref = (0.1, 0.1, 0.8) at β = 1, π_w/π_ref rises to 1.1401 and is
            0.7360 at the time 10⁵; DPO's is 9.82.""",
            checks=(
                Tested(
                    "both flows, integrated",
                    {"kind": strategies.st.sampled_from(sorted(SHOWN))},
                    as_shown,
                    examples=4,
                ),
                Identity("SquaredPO's f'", sp.diff(sp.log(t) ** 2 / 2, t), sp.log(t) / t),
                Identity(
                    "SquaredPO's push on z has the factor (1 − ln t)/t",
                    t * sp.diff(sp.log(t) / t, t),
                    (1 - sp.log(t)) / t,
                ),
                Identity(
                    "SquaredPO's f at t = e is ½",
                    sp.log(t) ** 2 / 2,
                    x,
                    at={t: sp.E, x: sp.Rational(1, 2)},
                ),
                Shipped(
                    "mi.preference_loss(dv) pushes as f-DPO with f = t ln t",
                    {"theta": strategies.vectors(3, 2), "beta": strategies.temperatures()},
                    shipped_push,
                    proved_push,
                ),
            ),
            by_hand=("the three numbers are those of one numerical run of each flow",),
        ),
    ),
    proof="""E_ref k(t − 1) = 0 for laws, and the constant k cancels in f'(t_w) − f'(t_l). (c) SquaredPO's push
    on the chosen response has the factor
    (1 − ln t)/t at t_w, that on the rejected one at t_l, which is far larger once the latter has sunk.""",
    example=Example(
        "the change of KL's D_f under the gauge k = 3",
        lambda p: (
            oracles.kl((p, 1 - p), (0.5, 0.5)) + 3 * (0.5 * (2 * p - 1) + 0.5 * (2 * (1 - p) - 1))
        ),
        lambda p: oracles.kl((p, 1 - p), (0.5, 0.5)),
        {"p": 0.8},
    ),
    false_neighbours=(
        Identity("the arg min does not depend on the gauge", best, sp.exp(-1)),
        Identity(
            "any f + k t² is the same loss as well",
            slope(f + k * t**2).subs(t, x) - slope(f + k * t**2).subs(t, y),
            sp.log(x / y),
        ),
        Tested(
            "SquaredPO never lowers the winner",
            {"end": strategies.st.just(1e5)},
            lambda end: path("squared", end)[1] >= 1,
        ),
    ),
    mutants=(AS_MIO, HALF_LOSS),
    uses=("dpo_tabular_never_falls", "dpo_is_half_mixed_dv"),
    about=("preference_loss",),
    reference="""Pipano et al. 2026 (arXiv 2602.06788), of which the abstract was available; the gauge, and with it the
    correction: this project.""",
)
