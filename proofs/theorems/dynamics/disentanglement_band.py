"""When a pair's gradients move both responses the right way: the band of pull over push, and where losses end in
it."""

import sympy as sp

import mi_estimators as mi
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
    gradient,
    pair_gradient,
    positives,
    reals,
    sigmoid,
    strategies,
    word,
)

a, c, d, k, push, beta, g, h, lam, y = positives("a c d k d_l beta g h lambda y")
alpha, odds = positives("alpha o")
u, v = reals("u v")  # βz_w and βz_l
LOWER, UPPER = theory.disentanglement_band(a, c, d)
lower, upper = word("c/a", LOWER, r"\tfrac{c}{a}"), word("d/c", UPPER, r"\tfrac{d}{c}")
rise = push * (k * a - c)  # ż_w
fall = push * (k * c - d)  # ż_l
APART: Values = {d: c**2 / a + g}  # ad > c²

# The JS family with a frozen kernel: pull, push, and the speed of their ratio.
PULL, PUSH = beta * (1 - (2 - alpha) * sigmoid(u)), alpha * beta * sigmoid(v)
RATIO = PULL / PUSH
SPEED = beta * (
    sp.diff(RATIO, u) * (a * PULL - c * PUSH) + sp.diff(RATIO, v) * (c * PULL - d * PUSH)
)
toward_lower = RATIO * a - c
toward_upper = RATIO * c - d
both = (c + d) / (a + c)  # α = 1: u and −v grow alike

# DPO − λ z_w: the margin rests where βs (a − 2c + d) = λ(c − a), s = σ(−βm), for c > a and a λ that is not too large.
LENGTH = a - 2 * c + d  # of the difference, squared
rest = lam * (c - a) / LENGTH
with_sft = 1 + lam / rest
LIFTED: Values = {c: a + h, d: (a + h) ** 2 / a + g}
LARGE: Values = LIFTED | {lam: beta * (LENGTH / (c - a)).subs(LIFTED) + y}


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


def ends_with_sft(own, lift, gap, share, beta):
    """The ratio of DPO with SFT after a long time: c = a + lift, ad = c² + a·gap, λ a share of what rests at most."""
    from scipy.integrate import solve_ivp

    cross = own + lift
    other = cross**2 / own + gap
    length = own - 2 * cross + other
    weight = share * beta * length / lift

    def loss(z):
        return mi.preference.dpo_sft(z[0], z[1], beta, weight)

    def flow(time, z):
        slopes = gradient(loss, z.tolist()).numpy()
        return [-own * slopes[0] - cross * slopes[1], -cross * slopes[0] - other * slopes[1]]

    long = 200 / (beta**2 * length)
    z = solve_ivp(flow, (0, long), [0.0, 0.0], "LSODA", rtol=1e-8, atol=1e-10).y[:, -1]
    slopes = gradient(loss, z.tolist()).numpy()
    return -slopes[0] / slopes[1]


def proved_with_sft(own, lift, gap, share, beta):
    """(d − c)/(c − a) where the margin rests, and 1 + λ/β where it falls."""
    cross = own + lift
    other = cross**2 / own + gap
    rests = (other - cross) / lift
    return rests if share < 1 else 1 + share * (own - 2 * cross + other) / lift


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
                rise iff k ≤ d/c. """
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
            """Where k ends with a frozen kernel: DPO at 1; the JS family with α < 1 at c/a, the lower edge; with α =
            1 at (c + d)/(a + c), inside the band. DPO with an SFT term −λz_w, λ > 0, for c > a: at (d − c)/(c − a) if
            λ < β(a − 2c + d)/(c − a), where the margin comes to rest, and at 1 + λ/β if λ is larger, as the margin
            falls for ever. Both are above d/c: the rejected response rises in the end. For (a, c, d) = (1, 3, 10) the
            edges are 3 and 10/3, α = 1 ends at 3.25 and DPO with an SFT term that is not too large at 3.5.""",
            checks=(
                Identity(
                    "the speed of the JS family's ratio: towards c/a, and towards d/c as fast as it pushes",
                    SPEED,
                    -(beta**2) * (2 - alpha) * sp.diff(sigmoid(u), u) * toward_lower
                    - RATIO * beta * (1 - sigmoid(v)) * PUSH * toward_upper,
                ),
                Identity(
                    "α = 1: that speed, over −β k d_l",
                    (SPEED / (-beta * RATIO * PUSH)).subs(alpha, 1),
                    (sigmoid(u) * toward_lower + (1 - sigmoid(v)) * toward_upper).subs(alpha, 1),
                ),
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
                Sign(
                    "DPO with a large SFT term: the margin falls at every s < 1",
                    lam * (a - c) + beta * odds / (1 + odds) * LENGTH,
                    "<",
                    at=LARGE,
                ),
                Sign(
                    "DPO with a large SFT term: 1 + λ/β is above the upper edge",
                    1 + lam / beta - UPPER,
                    ">",
                    at=LARGE,
                ),
                Shipped(
                    "mi.preference.dpo_sft ends there, by integration",
                    {
                        "own": strategies.rates(2),
                        "lift": strategies.rates(2),
                        "gap": strategies.rates(2),
                        "share": strategies.st.sampled_from([0.25, 0.5, 2.0, 4.0]),
                        "beta": strategies.temperatures(),
                    },
                    ends_with_sft,
                    proved_with_sft,
                    tolerance=1e-3,
                    examples=4,
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
                """α < 1: the chosen reward comes to its anchor and d_l to 0 (lazy_flow_collapse), and k is bounded: the
                first term of its speed decides""",
                """α = 1: βz_w → ∞, βz_l → −∞, k is bounded and d_l falls like 1/t, whose integral is ∞: k comes to
                where ka − c + kc − d is 0""",
                "DPO with SFT: a margin that moves on a line comes to its one rest, or falls for ever if it has none",
            ),
        ),
    ),
    proof="""ż_w = d_w a − d_l c and ż_l = d_w c − d_l d (chain rule). ad ≥ c² by Cauchy–Schwarz. DPO with SFT:
    d_w = βs + λ and d_l = βs, so ṁ = λ(a − c) + βs(a − 2c + d), which rests at βs = λ(c − a)/(a − 2c + d) if
    that is below β; else the margin falls, s → 1 and k → 1 + λ/β.""",
    example=Example(
        "MIO's pull over push in the end, beside the lower edge c/a",
        ends,
        lambda own, cross, other: theory.disentanglement_band(own, cross, other)[0],
        {"own": 2.0, "cross": 1.0, "other": 3.0},
        tolerance=1e-3,
    ),
    false_neighbours=(
        Sign("an SFT term puts DPO in the band in the end", UPPER - with_sft, ">=", at=LIFTED),
        Sign("DPO with SFT: the margin rests for every λ", beta - rest, ">", at=LIFTED),
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
    about=("preference_loss", "preference.dpo_sft", "theory.disentanglement_band"),
    reference="""Chen et al. 2026 (arXiv 2604.18239), of which the abstract was available; the ends in (b): this
    project.""",
)
