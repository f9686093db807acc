"""When a pair's gradients move both responses the right way: the band of pull over push, and where losses end in
it."""

import sympy as sp

from mi_estimators import theory
from mi_estimators.theory import chosen_pull, rejected_push
from proofs.engine import (
    AS_MIO,
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    pair_gradient,
    positives,
    reals,
    strategies,
    word,
)

a, c, d, k, push, beta, g, h, lam, y = positives("a c d k d_l beta g h lambda y")
(u,) = reals("u")
LOWER, UPPER = theory.disentanglement_band(a, c, d)
lower, upper = word("c/a", LOWER, r"\tfrac{c}{a}"), word("d/c", UPPER, r"\tfrac{d}{c}")
rise = push * (k * a - c)  # ż_w
fall = push * (k * c - d)  # ż_l
APART: Values = {d: c**2 / a + g}  # ad > c²

# DPO − λ z_w: the margin rests where βs (a − 2c + d) = λ(c − a), s = σ(−βm), for c > a.
rest = lam * (c - a) / (a - 2 * c + d)
with_sft = 1 + lam / rest
LIFTED: Values = {c: a + h, d: (a + h) ** 2 / a + g}
both = (c + d) / (a + c)  # α = 1: u and −v grow alike


def ends(own, cross, other):
    """The push ratio of MIO's flow with a frozen kernel, from 0, after a long time."""
    from scipy.integrate import solve_ivp

    def pulls(z):
        return float(chosen_pull(z[0], 0.5)), float(rejected_push(z[1], 0.5))

    def flow(time, z):
        up, down = pulls(z)
        return [own * up - cross * down, cross * up - other * down]

    z = solve_ivp(flow, (0, 1e6), [0.0, 0.0], "LSODA", rtol=1e-10, atol=1e-13).y[:, -1]
    up, down = pulls(z)
    return up / down


def ratio(chosen, rejected, bound):
    """Pull over push of a shipped loss."""
    own, other = pair_gradient(chosen, rejected, bound)
    return -own / other


THEOREM = Theorem(
    slug="disentanglement_band",
    title="a pair is disentangled iff pull/push is in [c/a, d/c]; DPO has 1, MIO ends at the lower edge",
    purpose="To judge a preference loss by one number: does it lower the chosen or raise the rejected response?",
    setting="""Any differentiable model, gradient flow, one pair: a, c and d are the squared length of ∇z_w, the
    product of ∇z_w and ∇z_l, and the squared length of ∇z_l at that instant, a, c > 0; the loss pulls with d_w =
    −∂L/∂z_w and pushes with d_l = ∂L/∂z_l, both positive, and k = d_w/d_l.""",
    formula=r"""\dot z_w \ge 0 \iff k \ge \frac{c}{a}, \qquad \dot z_l \le 0 \iff k \le \frac{d}{c}, \qquad \frac{c}{a}
    \le \frac{d}{c}""",
    assumptions=(
        "(a) one pair at one instant: several pairs push each other (two_pair_interference)",
        "(b) a frozen kernel with ad > c², from 0, for long",
    ),
    parts=(
        Part(
            "a",
            (
                """ż_w is d_l (ka − c) and ż_l is d_l (kc − d): z_w does not fall iff k ≥ c/a, and z_l does not
                rise iff k ≤ d/c."""
                "The band is never empty: ",
                Identity("the width of the band", upper - lower, (a * d - c**2) / (a * c)),
                ". A loss of the margin alone has k = 1: it is in the band iff c is at most both a and d.",
            ),
            checks=(
                Identity("z_w rests at the lower edge", rise, 0, at={k: c / a}),
                Identity("z_l rests at the upper edge", fall, 0, at={k: d / c}),
                Sign("above the lower edge z_w rises", rise, ">", at={k: c / a + g}),
                Sign("below the upper edge z_l falls", fall, "<", at={d: c * (k + g)}),
                Sign("the width is positive where ad > c²", UPPER - LOWER, ">", at=APART),
                Shipped(
                    "mi.preference_loss(dv) has the ratio 1",
                    strategies.PAIR,
                    lambda chosen, rejected: ratio(chosen, rejected, "dv"),
                    lambda chosen, rejected: 1.0,
                ),
                Shipped(
                    "mi.theory.disentanglement_band: z_w and z_l rest at its edges",
                    {
                        "own": strategies.rates(4),
                        "cross": strategies.rates(2),
                        "other": strategies.rates(4),
                    },
                    lambda own, cross, other: [
                        own * theory.disentanglement_band(own, cross, other)[0] - cross,
                        cross * theory.disentanglement_band(own, cross, other)[1] - other,
                    ],
                    lambda own, cross, other: [0.0, 0.0],
                ),
            ),
        ),
        Part(
            "b",
            """Where k ends with a frozen kernel: DPO at 1; the JS family with α < 1 at c/a, the lower edge, as
            its chosen reward comes to rest; with α = 1 at (c + d)/(a + c), inside the band; DPO with an SFT term
            −λz_w, λ > 0, for c > a at (d − c)/(c − a), above d/c: there the rejected response rises in the end.
            For (a, c, d) = (1, 3, 10) the edge is 3 and 10/3, α = 1 ends at 3.25 and DPO with SFT at 3.5.""",
            checks=(
                Identity(
                    "α = 1: z_w and −z_l move alike at (c + d)/(a + c)",
                    both * a - c,
                    -(both * c - d),
                ),
                Sign(
                    "α = 1: the ratio in the end is above the lower edge",
                    both - LOWER,
                    ">",
                    at=APART,
                ),
                Sign(
                    "α = 1: the ratio in the end is below the upper edge",
                    UPPER - both,
                    ">",
                    at=APART,
                ),
                Identity(
                    "DPO with SFT: the margin rests",
                    (lam + rest) * (a - c) + rest * (d - c),
                    0,
                    at=LIFTED,
                ),
                Identity(
                    "DPO with SFT: the ratio where the margin rests",
                    with_sft,
                    (d - c) / (c - a),
                    at=LIFTED,
                ),
                Sign(
                    "DPO with SFT: that ratio is above the upper edge",
                    with_sft - UPPER,
                    ">",
                    at=LIFTED,
                ),
                Identity("kernel 1, 3, 10: the lower edge is 3", LOWER, 3, at={a: 1, c: 3, d: 10}),
                Identity(
                    "kernel 1, 3, 10: the upper edge is 10/3",
                    UPPER,
                    sp.Rational(10, 3),
                    at={a: 1, c: 3, d: 10},
                ),
                Identity(
                    "kernel 1, 3, 10: α = 1 ends at 3.25",
                    both,
                    sp.Rational("3.25"),
                    at={a: 1, c: 3, d: 10},
                ),
                Identity(
                    "kernel 1, 3, 10: DPO with SFT ends at 3.5",
                    with_sft,
                    sp.Rational("3.5"),
                    at={a: 1, c: 3, d: 10},
                ),
            ),
            by_hand=(
                "α < 1: lazy_flow_collapse, the chosen reward converges to its anchor, so ż_w → 0",
                "α = 1: both pushes die out exponentially, at one rate in the end; DPO with SFT: the margin converges",
            ),
        ),
    ),
    proof="""ż_w = d_w a − d_l c and ż_l = d_w c − d_l d (chain rule). ad ≥ c² by Cauchy–Schwarz. DPO with SFT:
    d_w = βs + λ and d_l = βs, so ṁ = λ(a − c) + βs(a − 2c + d), which rests at βs = λ(c − a)/(a − 2c + d).""",
    example=Example(
        "MIO's pull over push in the end, beside the lower edge c/a",
        ends,
        lambda own, cross, other: theory.disentanglement_band(own, cross, other)[0],
        {"own": 2.0, "cross": 1.0, "other": 3.0},
        tolerance=1e-3,
    ),
    false_neighbours=(
        Sign("an SFT term puts DPO in the band in the end", UPPER - with_sft, ">=", at=LIFTED),
        Sign("the ratio 1 is always in the band", 1 - LOWER, ">="),
        Identity("the band is a point", UPPER, LOWER),
    ),
    mutants=(
        AS_MIO,
        Mutant(
            "theory.disentanglement_band",
            "the edges change places",
            lambda f: lambda own, cross, other: f(own, cross, other)[::-1],
        ),
    ),
    uses=("lazy_flow_collapse", "dpo_is_half_mixed_dv"),
    about=("preference_loss", "theory.disentanglement_band"),
    reference="""Chen et al. 2026 (arXiv 2604.18239), of which the abstract was available; the ends in (b): this
    project.""",
)
