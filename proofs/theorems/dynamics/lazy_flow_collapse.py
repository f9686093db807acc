"""Frozen features: DPO's chosen response sinks without bound iff c > a; the JS family's returns to its anchor."""

import numpy as np
import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import (
    chosen_pull,
    dpo_margin,
    dpo_time,
    lazy_dpo_reward,
    preference_anchor,
    rejected_push,
)
from proofs.engine import (
    AS_DPO,
    TURNED,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    dpo_loss,
    gradient,
    js_loss,
    numerics,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
    tensor,
)

# a = ‖φ_w‖², c = ⟨φ_w, φ_l⟩ and d = ‖φ_l‖² = c²/a + e, so ad − c² = ae. α = s/(1 + s).
a, e, beta, s, t, h = positives("a e beta s t h")
c, z_w, z_l, m, x, y = reals("c z_w z_l m x y")
d = c**2 / a + e
alpha = s / (1 + s)
D = a - 2 * c + d  # ‖φ_w − φ_l‖²
dpo, js = dpo_loss(beta * z_w, beta * z_l), js_loss(beta * z_w, beta * z_l, alpha)
anchor = preference_anchor(alpha) / beta
reward = lazy_dpo_reward(m, a, c, d)
time = dpo_time(m, beta, D)  # when DPO's margin is m
example: Values = {a: 1, c: 3, e: 1, beta: 1}  # d = 10
after, before = (example | {m: sp.Rational(margin)} for margin in ("13.125", "13.1"))


def flow(loss):
    """ż_w and ż_l: −K∇L."""
    g_w, g_l = sp.diff(loss, z_w), sp.diff(loss, z_l)
    return -g_w * a - g_l * c, -g_w * c - g_l * d


def shipped_flow(bound, own, other, theta, temperature, mix=0.5):
    """ż_w and ż_l of a log-linear model, z = ⟨φ, θ⟩, under the gradient flow of the shipped loss."""
    features = tensor([own, other])

    def loss(theta):
        return mi.preference_loss(*(temperature * (features @ theta)), bound=bound, mix=mix)

    return (-features @ gradient(loss, theta)).tolist()


def proved_flow(bound, own, other, theta, temperature, mix=0.5):
    """−K∇L with the derivatives written out."""
    kernel = [
        [sum(p * q for p, q in zip(f, g, strict=True)) for g in (own, other)] for f in (own, other)
    ]
    u, v = (temperature * sum(p * q for p, q in zip(f, theta, strict=True)) for f in (own, other))

    if bound == "dv":
        g_l = temperature * rejected_push(v - u, 1)
        g_w = -g_l
    else:
        g_w, g_l = -temperature * chosen_pull(u, mix), temperature * rejected_push(v, mix)

    return [-g_w * p - g_l * q for p, q in kernel]


VECTORS = {name: strategies.vectors(3, 2) for name in ("own", "other", "theta")}
GIVEN = {**VECTORS, "temperature": strategies.temperatures()}


def integrated(own, cross, other, beta, time):
    """DPO's z_w after a time, the flow integrated."""

    def velocity(z):
        push = beta / (1 + np.exp(beta * (z[0] - z[1])))
        return [(own - cross) * push, (cross - other) * push]

    return numerics.flow(velocity, [0.0, 0.0], time)[-1, 0]


def in_closed_form(own, cross, other, beta, time):
    """m (a − c)/D at the margin that is reached by then."""
    margin = dpo_margin(time, beta, own - 2 * cross + other)
    return float(lazy_dpo_reward(margin, own, cross, other))


THEOREM = Theorem(
    slug="lazy_flow_collapse",
    title="with a frozen kernel DPO's chosen reward sinks without bound iff c > a; the JS family's comes back",
    purpose="To predict DPO's collapse from the kernel of two responses, in the linearised model.",
    setting="""One pair; the log-ratios z = (z_w, z_l) start at 0 and follow ż = −K∇L(z), K = [[a, c], [c, d]]
    fixed, a, d > 0, ad > c²: a log-linear policy with frozen features, a = ‖φ_w‖², c = ⟨φ_w, φ_l⟩, d = ‖φ_l‖². Let
    D = a − 2c + d > 0.""",
    formula=r"""z_w^{\mathrm{DPO}} = \frac{a - c}{a - 2c + d}\,(z_w - z_l) \to -\infty \iff c > a, \qquad \beta
    z_w^{\mathrm{MIO}} \to \ln 2""",
    assumptions=(
        "the kernel is constant (lazy regime) and positive definite; one pair; continuous time",
        "φ is the feature minus its mean under π, held at its start; in a softmax table this kernel moves",
        "ad = c² is excluded: with φ_w = φ_l every loss leaves z_w = z_l, and MIO's flow stays at 0",
    ),
    parts=(
        Part(
            "a",
            """DPO: the margin m = z_w − z_l increases to ∞, reaching m at the time (βm + e^{βm} − 1)/(β²D), and
            z_w = m (a − c)/D, z_l = m (c − d)/D exactly: z_w → −∞ if c > a, z_w = 0 if c = a, z_w → ∞ if c < a.""",
            checks=(
                Identity("D is a sum of squares", D, (a - c) ** 2 / a + e),
                Sign("D > 0", (a - c) ** 2 / a + e, ">"),
                Identity("DPO: ż_w", flow(dpo)[0], beta * sigmoid(beta * (z_l - z_w)) * (a - c)),
                Identity("DPO: ż_l", flow(dpo)[1], beta * sigmoid(beta * (z_l - z_w)) * (c - d)),
                Identity(
                    "DPO: z_w D − m (a − c) is conserved",
                    flow(dpo)[0] * D,
                    (flow(dpo)[0] - flow(dpo)[1]) * (a - c),
                ),
                Identity("DPO: z_w at the margin m", reward * D, m * (a - c)),
                Identity(
                    "DPO: 1/ṁ is the slope of the time",
                    sp.diff(time, m) * beta * sigmoid(-beta * m) * D,
                    1,
                ),
                Identity("DPO: the time is 0 at m = 0", time.subs(m, 0), 0),
                Sign("DPO: the time increases with the margin", (1 + sp.exp(beta * m)) / beta, ">"),
                *[
                    Shipped(
                        f"ż through mi.preference_loss, {bound}",
                        GIVEN | (strategies.MIX if bound == "js" else {}),
                        lambda bound=bound, **v: shipped_flow(bound, **v),
                        lambda bound=bound, **v: proved_flow(bound, **v),
                    )
                    for bound in ("dv", "js")
                ],
            ),
        ),
        Part(
            "b",
            """JS family, mix α in (0, 1), from any start: βz_w → −ln(1 − α) (MIO: ln 2) and z_l → −∞, whatever c
            is; for α = 1, z_w → ∞.""",
            checks=(
                Identity(
                    "xᵀKx is a sum of squares",
                    a * x**2 + 2 * c * x * y + d * y**2,
                    (a * x + c * y) ** 2 / a + e * y**2,
                ),
                Identity("JS: ∂L/∂z_w is 0 at the anchor", sp.diff(js, z_w).subs(z_w, anchor), 0),
                Sign("JS: ∂L/∂z_w increases", sp.diff(js, z_w, 2), ">"),
                Sign("JS: ∂L/∂z_l > 0", sp.diff(js, z_l), ">"),
                Sign("JS: ∂L/∂z_l increases", sp.diff(js, z_l, 2), ">"),
                Sign("JS, α = 1: ∂L/∂z_w < 0", sp.diff(softplus(-beta * z_w), z_w), "<"),
                Shipped(
                    "mi.preference_anchor is where ∂L/∂z_w of mi.preference_loss is 0: orthogonal features, ż_w = 0",
                    {"temperature": strategies.temperatures(), "mix": strategies.mixes()},
                    lambda temperature, mix: shipped_flow(
                        "js",
                        (1, 0),
                        (0, 1),
                        (mi.preference_anchor(mix) / temperature, 0),
                        temperature,
                        mix,
                    )[0],
                    lambda temperature, mix: 0,
                ),
            ),
            by_hand=(
                "a positive definite form of two variables is at least λ‖·‖², λ > 0; Barbalat's lemma",
                "a monotone function that tends to its zero has its argument tend there",
            ),
        ),
        Part(
            "c",
            "For a, c, d = 1, 3, 10 and β = 1, DPO's z_w is between −5.25 and −5.24 at the time 10⁵.",
            checks=(
                Identity("the kernel of the example has d = 10", d, 10, at=example),
                Identity("z_w = −5.25 at m = 13.125", reward, -sp.Rational("5.25"), at=after),
                Sign("m = 13.125 is reached after 10⁵", time, ">", than=10**5, at=after),
                Identity("z_w = −5.24 at m = 13.1", reward, -sp.Rational("5.24"), at=before),
                Sign("m = 13.1 is reached before 10⁵", time, "<", than=10**5, at=before),
            ),
        ),
    ),
    proof="""D = (a − c)²/a + (ad − c²)/a > 0. (a) DPO's two derivatives are −g and g, g = βσ(−βm) > 0: ż_w = g(a −
    c), ż_l = g(c − d), ṁ = gD, proportional for all time; and 1/ṁ integrates to the time. (b) L falls at the rate
    ∇Lᵀ K ∇L, a positive definite form, and L > 0, so ‖∇L‖² has a finite integral; ∇L and ż are bounded and ∇L is
    Lipschitz in z, so ∇L → 0 (Barbalat). ∂L/∂z_w = β((2 − α)σ(βz_w) − 1) increases with z_w and is 0 at the anchor
    only, so z_w tends to it; ∂L/∂z_l = αβσ(βz_l) → 0 forces z_l → −∞. For α = 1 the first derivative is −βσ(−βz_w),
    so z_w → ∞.""",
    example=Example(
        "DPO's chosen log-ratio after a time of 10⁵, kernel 1, 3, 10",
        integrated,
        in_closed_form,
        {"own": 1.0, "cross": 3.0, "other": 10.0, "beta": 1.0, "time": 1e5},
    ),
    false_neighbours=(
        Sign("DPO: the chosen one sinks as soon as c > 0", flow(dpo)[0].subs(c, h), "<"),
        Identity(
            "DPO: z_w = m (a − c)/(a + d)",
            flow(dpo)[0] * (a + d),
            (flow(dpo)[0] - flow(dpo)[1]) * (a - c),
        ),
        Sign(
            "MIO leaves 0 upward if ad = c² too: a = c = d",
            flow(js)[0].subs({c: a, z_w: 0, z_l: 0}),
            ">",
        ),
        Sign("the JS family's chosen one never falls", flow(js)[0].subs({z_w: 0, z_l: 0}), ">="),
    ),
    mutants=(
        TURNED,
        AS_DPO,
    ),
    uses=("dpo_flat_direction", "mio_anchor"),
    about=(
        "preference_loss",
        "preference_anchor",
        "theory.dpo_time",
        "theory.lazy_dpo_reward",
    ),
    reference="""This project; the decline: Razin et al. 2024 (arXiv 2410.08847), section 4; the frozen kernel: Jacot
    et al. 2018 (arXiv 1806.07572), theorem 2.""",
)
