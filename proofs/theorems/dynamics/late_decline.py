"""DPO's chosen probability first rises, then falls: when it does, and the time at which it turns."""

import numpy as np
import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import dpo_time
from proofs.engine import (
    AS_MIO,
    HALF_LOSS,
    Example,
    Identity,
    Limit,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    expression,
    gradient,
    logs,
    normalised,
    oracles,
    positives,
    reals,
    sigmoid,
    strategies,
    tensor,
    word,
)

# Three responses w, l, j with π_ref ∝ (a, b, c); h_w = h, h_l = h − D and h_j = k; g and x are gaps.
a, b, c, s, D, g, x, y, beta = positives("a b c s D g x y beta")
h, k, m = reals("h k m")
WEIGHTS, H = (a, b, c), (h, h - D, k)
PI = normalised([w * sp.exp(s * power) for w, power in zip(WEIGHTS, H, strict=True)])
REF = normalised(WEIGHTS)
Z_W, Z_L = (sp.log(p / q) for p, q in zip(PI[:2], REF[:2], strict=True))
mean = sum(p * power for p, power in zip(PI, H, strict=True))
variance = sum(
    PI[i] * PI[j] * (H[i] - H[j]) ** 2 for i in range(3) for j in range(i)
)  # as Σ over pairs

ln_w = word("ln π_s(w)", sp.log(PI[0]), r"\ln \pi_s(w)")
slope = word("d ln π_s(w)/ds", sp.diff(sp.log(PI[0]), s), r"\frac{d \ln \pi_s(w)}{ds}")
bend = word("d² ln π_s(w)/ds²", sp.diff(sp.log(PI[0]), s, 2), r"\frac{d^2 \ln \pi_s(w)}{ds^2}")
h_w, e_h = word("h_w", h), word("E_s h", mean, r"\mathbb{E}_{\pi_s} h")
var_h = word("Var_s h", variance, r"\mathrm{Var}_{\pi_s} h")
z_w, z_l = word("z_w", Z_W), word("z_l", Z_L)

turning = (h - mean).subs(
    {h: 0, k: g}
)  # h_j exceeds h_w by g; only differences of h enter, so h_w = 0
pi_w = PI[0].subs({h: 0, k: g})

# A softmax of two features: ln Z cancels in ∇(z_w − z_l).
THETA = reals("theta1 theta2")
FEATURES = [reals(f"{name}1 {name}2") for name in ("u", "v", "q")]
LOGITS = [sum(f * t for f, t in zip(row, THETA, strict=True)) for row in FEATURES]
SOFTMAX = normalised([w * sp.exp(z) for w, z in zip(WEIGHTS, LOGITS, strict=True)])
feature_margin = sp.log(SOFTMAX[0] / SOFTMAX[1])

EXAMPLE = {h: 1, k: 2, D: 1, a: sp.Rational(3, 10), b: sp.Rational(6, 10), c: sp.Rational(1, 10)}
at_turn = {**EXAMPLE, s: sp.log(6) / 2}
s_turn = word("s*", s, "s^*")
time = word("t*", dpo_time(D * s, beta, D), "t^*")


def flow(reference, alignment, s, beta):
    """DPO's push −∂L/∂θ on one feature h of the responses, at θ = s, from the shipped loss."""
    features = tensor(alignment)

    def loss(theta):
        z = beta * ((logs(reference) + theta * features).log_softmax(-1) - logs(reference))
        return mi.preference_loss(z[0], z[1], bound="dv")

    return -float(gradient(loss, [s]))


def formula(reference, alignment, s, beta):
    """βσ(−βsD) D for D = h_w − h_l, by plain floats."""
    step = alignment[0] - alignment[1]
    return beta * step / (1 + float(sp.exp(beta * s * step)))


def balance(reference, drop, share):
    """E_{π_s} h − h_w at the library's turning point, for h = (0, −drop, gap) with E_ref h < 0 < gap."""
    gap = share * drop * reference[1] / reference[2]
    alignment = (0.0, -drop, gap)
    s = theory.turning_point(reference, alignment)
    return oracles.mean(oracles.tilted(reference, [s * power for power in alignment]), alignment)


def turn(reference, features, beta):
    """The time at which ln π(w) is largest: DPO's flow in θ for one feature a response, integrated."""
    from scipy.integrate import solve_ivp

    weights, values = np.asarray(reference), np.asarray(features)
    alignment = values * (values[0] - values[1])

    def velocity(t, theta):
        margin = theta[0] * (values[0] - values[1])
        return [beta * (values[0] - values[1]) / (1 + np.exp(beta * margin))]

    def slope(t, theta):
        powers = weights * np.exp(theta[0] * values)
        return alignment[0] - powers @ alignment / powers.sum()

    flow = solve_ivp(velocity, (0, 1e6), [0.0], events=slope, rtol=1e-10, atol=1e-12)
    return float(flow.t_events[0][0])


def turn_in_closed_form(reference, features, beta):
    """t* = dpo_time(D s*)."""
    step = features[0] - features[1]
    s = theory.turning_point(reference, [step * value for value in features])
    return theory.dpo_time(step**2 * s, beta, step**2)


rises = Sign("h_w is the largest: the slope is positive for ever", h - mean, ">", at={k: -x, h: 0})
clock = Identity(
    "the turn's time", time, (beta * D * s_turn + sp.exp(beta * D * s_turn) - 1) / (beta**2 * D)
)
THEOREM = Theorem(
    slug="late_decline",
    title="when DPO's chosen probability rises and then falls, on the exact softmax path, and when it turns",
    purpose="To predict when the chosen probability of a DPO run turns and falls.",
    setting="""A policy π_θ(y) ∝ π_ref(y) e^{⟨θ, φ_y⟩} with fixed features on a finite set of responses, π_ref > 0,
    one pair (w, l), δ = φ_w − φ_l not zero, h_y = ⟨φ_y, δ⟩ and D the squared length of δ, so that h_w − h_l = D >
    0; the start is θ = 0. Let π_s ∝ π_ref e^{sh}, the path θ = sδ, and E_s h the mean of h under π_s.""",
    formula=r"""\frac{d}{ds} \ln \pi_s(w) = h_w - \mathbb{E}_{\pi_s} h, \qquad t^* = \frac{\beta D s^* + e^{\beta D s^*}
    - 1}{\beta^2 D}, \quad \mathbb{E}_{\pi_{s^*}} h = h_w""",
    assumptions=(
        "fixed features, one pair; the softmax is exact, nothing is linearised",
        "gradient flow, or gradient descent with any step sizes, from θ = 0",
        "(a) the loss is a decreasing function of z_w − z_l alone: DPO, SLiC, IPO below its target; not MIO",
    ),
    parts=(
        Part(
            "a",
            """Every such loss stays on the path: its gradient in θ is a multiple of δ, since the normaliser cancels
            in z_w − z_l. Loss, β and step sizes change the clock, and not the path.""",
            formula=(Identity("the margin on the path", z_w - z_l, s * D),),
            checks=(
                *[
                    Identity(
                        f"the margin's slope in θ_{i + 1} is that of δ, two features",
                        sp.diff(feature_margin, THETA[i]),
                        FEATURES[0][i] - FEATURES[1][i],
                    )
                    for i in range(2)
                ],
                Shipped(
                    "the push of mi.preference_loss(dv) is βσ(−βsD) δ",
                    {
                        "reference": strategies.laws(3),
                        "alignment": strategies.vectors(3, 2),
                        "s": strategies.rates(2),
                        "beta": strategies.temperatures(),
                    },
                    flow,
                    formula,
                ),
            ),
            by_hand=("a flow, or steps, along multiples of δ from 0 stay on the line through δ",),
        ),
        Part(
            "b",
            """ln π_s(w) is strictly concave in s. If h_w is the largest h it rises for ever; if h_w is at most the
            mean of h under π_ref it falls from the start; between the two it rises, turns at the one s* at which
            the mean of h under π_s is h_w, and falls, its slope tending to h_w less the largest h, and π_s(w) to
            zero.""",
            formula=(
                Identity("the slope", slope, h_w - e_h),
                Identity("the second derivative", bend, -var_h),
            ),
            checks=(
                Sign("the variance is positive: h_w and h_l differ", PI[0] * PI[1] * D**2, ">"),
                rises,
                Limit(
                    "h_j = h_w + g is the largest: the slope tends to −g",
                    turning,
                    s,
                    sp.oo,
                    -g,
                    (g * a + (g + D) * b) / c * sp.exp(-g * s),
                ),
                Limit(
                    "h_j is the largest: π_s(w) tends to 0",
                    pi_w,
                    s,
                    sp.oo,
                    0,
                    a / c * sp.exp(-g * s),
                ),
                Identity("the example turns at ½ ln 6", mean, h, at=at_turn),
                Shipped(
                    "mi.theory.turning_point balances h",
                    {
                        "reference": strategies.laws(3),
                        "drop": strategies.rates(4),
                        "share": strategies.rates(0.9),
                    },
                    balance,
                    lambda reference, drop, share: 0,
                    tolerance=1e-6,
                ),
            ),
            by_hand=(
                Sum("from three responses to any finite number"),
                "a strictly concave function turns at most once, where its slope is 0",
            ),
        ),
        Part(
            "c",
            (
                "DPO's flow reaches the turn at the time ",
                clock,
                """. A loss whose margin ends at a finite target stops at s = target/D, and turns iff s* comes
                before. For φ = (1, 0, 2) on (w, l, j), π_ref = (0.3, 0.6, 0.1) and β = 1: t* = 2.345369 and the
                largest z_w is 0.235852; for β = 0.1 the turn is at 18.331152.""",
            ),
            checks=(
                Identity(
                    "1/ṁ is the slope of the time",
                    sp.diff(dpo_time(m, beta, D), m) * D * beta * sigmoid(-beta * m),
                    1,
                ),
                Identity("the time is 0 at m = 0", dpo_time(m, beta, D), 0, at={m: 0}),
                *[
                    Sign(
                        f"t* {relation} {bound} at β = {b_}",
                        time,
                        relation,
                        sp.Rational(bound),
                        at={**at_turn, beta: sp.Rational(b_)},
                    )
                    for b_, relation, bound in (
                        ("1", ">", "2.3453685"),
                        ("1", "<", "2.3453695"),
                        ("0.1", ">", "18.3311515"),
                        ("0.1", "<", "18.3311525"),
                    )
                ],
                Sign(
                    "the largest z_w is above 0.2358515",
                    z_w,
                    ">",
                    sp.Rational("0.2358515"),
                    at=at_turn,
                ),
                Sign(
                    "the largest z_w is below 0.2358525",
                    z_w,
                    "<",
                    sp.Rational("0.2358525"),
                    at=at_turn,
                ),
            ),
            by_hand=("an increasing margin reaches a value at the time ∫ dm/ṁ",),
        ),
    ),
    proof="""(a) ∇(z_w − z_l) = φ_w − φ_l = δ, as ln Z cancels; a loss ℓ(z_w − z_l) has the gradient ℓ' δ. (b) ln
    Z(s) = ln E_ref e^{sh} has the slope E_s h and the second derivative Var_s h > 0. As s → ∞, π_s gathers where h
    is largest. (c) θ = sδ moves with ṡ = βσ(−βm), so ṁ = Dβσ(−βm): the clock of dpo_time. In a table, where φ_y is
    the unit vector of y, h is 1 at w, −1 at l and 0 elsewhere: h_w is the largest, and dpo_tabular_never_falls is
    the first case of (b).""",
    example=Example(
        "the time at which DPO's chosen log-probability turns",
        turn,
        turn_in_closed_form,
        {"reference": (0.3, 0.6, 0.1), "features": (1.0, 0.0, 2.0), "beta": 1.0},
    ),
    false_neighbours=(
        Sign(
            "what rises at the start rises for ever: E_ref h < h_w is enough",
            turning.subs(c, b * D / (g * (1 + y))),
            ">",
        ),
        Sign("it never matters which response has the largest h", h - mean, ">"),
        Identity(
            "z_w is linear in the margin, as in the lazy regime",
            Z_W,
            s * (h - expression(mean).subs(s, 0)),
        ),
        Identity(
            "the turn's time is the same for every β",
            dpo_time(D * s, beta, D),
            dpo_time(D * s, 1, D),
        ),
    ),
    mutants=(AS_MIO, HALF_LOSS),
    uses=("dpo_is_half_mixed_dv",),
    about=("preference_loss", "theory.dpo_time", "theory.turning_point"),
    reference="""This project; the decline: Razin et al. 2024 (arXiv 2410.08847), section 4; Feng et al. 2024 (arXiv
    2404.04626).""",
)
