"""How deep MIO's chosen reward really dips in the standard lazy example, between two certified curves."""

import sympy as sp

from mi_estimators.theory import chosen_pull, mio_barrier, mio_deepest_dip, rejected_push
from proofs.engine import (
    AS_DPO,
    HALF,
    NEARLY,
    Certified,
    Example,
    Holds,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    js_loss,
    numerics,
    pair_gradient,
    positives,
    reals,
    sigmoid,
    strategies,
)

x, y, p, q, k = positives("x y p q k")  # x = σ(βz_l), y = σ(βz_w), w = ½ − x
u, v, t = reals("u v t")
a, c, d = 1, 3, 10
own, other = 1 - 3 * y / 2, x / 2  # −∂L/∂u and ∂L/∂v
FIELD = (x * (1 - x) * (c * own - d * other), y * (1 - y) * (a * own - c * other))  # (ẋ, ẏ)/β²
mio = js_loss(u, v)

# Two curves y = ½ − φ, φ = Σ k_n tⁿ/10⁶ at w = w₁(1 + t)/2. Found by a fit; only the certified signs matter.
END = sp.Rational("0.2637")  # w₁, nearly the place of the dip
BELOW = (37555, 37668, 96, -924, -1556, 1028, 1739, -5601, -5904, 5949, 5803, -3236, -2849)
ABOVE = (37424, 37543, 104, -911, -1540, 995, 1696, -5493, -5789, 5825, 5683, -3173, -2792)
below, above = (
    sum(k * t**n for n, k in enumerate(ks)) / sp.Integer(10) ** 6 for ks in (BELOW, ABOVE)
)
at_t, BOX = END * (1 + t) / 2, {t: (-1, 1)}


def crossing(curve, field=FIELD):
    """d/dt (y − ½ + φ(½ − x)) on the curve: positive where the flow crosses it upward."""
    on_it = {x: HALF - at_t, y: HALF - curve}
    return field[1].subs(on_it) - 2 / END * sp.diff(curve, t) * field[0].subs(on_it)


DPO = (x * (1 - x) * (c - d) * q, y * (1 - y) * (a - c) * q)  # its field, q = σ(v − u)


def shipped_field(chosen, rejected):
    """(ẋ, ẏ)/β² from the shipped loss."""
    g_w, g_l = pair_gradient(chosen, rejected)
    return -c * g_w - d * g_l, -a * g_w - c * g_l


def proved_field(chosen, rejected):
    """(v̇, u̇)/β² by formula."""
    up, down = chosen_pull(chosen, 0.5), rejected_push(rejected, 0.5)
    return c * up - d * down, a * up - c * down


def dips(size, steps):
    """Whether the least chosen reward on the shipped loss's flow (Runge–Kutta of order 4) is in the bracket."""
    state, least = (0.0, 0.0), 0.0  # (v, u)
    for _ in range(steps):
        slopes = [shipped_field(state[1], state[0])]
        for share in (size / 2, size / 2, size):
            slopes.append(
                shipped_field(state[1] + share * slopes[-1][1], state[0] + share * slopes[-1][0])
            )

        k1, k2, k3, k4 = slopes
        state = tuple(
            s + size / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]) for i, s in enumerate(state)
        )
        least = min(least, state[1])

    return -0.281 < least < -0.28


PAIR = strategies.PAIR


def dip(own, cross, other):
    """The least βz_w on MIO's flow with a frozen kernel, integrated from 0."""

    def velocity(z):
        up, down = chosen_pull(z[0], 0.5), rejected_push(z[1], 0.5)
        return [own * up - cross * down, cross * up - other * down]

    return float(numerics.flow(velocity, [0.0, 0.0], 100.0)[:, 0].min())


THEOREM = Theorem(
    slug="mio_dip",
    tier="certified",
    title="kernel 1, 3, 10: MIO's chosen reward dips to −0.2805 ± 0.0005",
    purpose="To reproduce the standard demonstration: MIO dips and comes back where DPO sinks.",
    setting="""One pair whose log-ratios start at 0 and follow ż = −K∇L_MIO(z) with the constant kernel K = λ[[1,
    3], [3, 10]], λ > 0, at any β > 0 (a log-linear policy, ‖φ_w‖² = λ, ⟨φ_w, φ_l⟩ = 3λ, ‖φ_l‖² = 10λ).""",
    formula=r"""-0.281 \;<\; \min_t \beta z_w(t) \;<\; -0.28, \qquad K = \begin{pmatrix} 1 & 3 \\ 3 & 10
    \end{pmatrix}""",
    assumptions=(
        "constant kernel (lazy regime, centred features), exact gradient in continuous time, one pair, α = ½",
        "about this kernel only: the standard example of the project",
    ),
    parts=(
        Part(
            "a",
            "βz_w falls at first, and is above −0.281 at all times.",
            checks=(
                *[
                    Identity(name, rate.subs({x: sigmoid(v), y: sigmoid(u)}), s * (1 - s) * z_rate)
                    for name, rate, s, z_rate in (
                        ("ẋ", FIELD[0], sigmoid(v), -c * sp.diff(mio, u) - d * sp.diff(mio, v)),
                        ("ẏ", FIELD[1], sigmoid(u), -a * sp.diff(mio, u) - c * sp.diff(mio, v)),
                    )
                ],
                Identity(
                    "both curves start at (½, ½)",
                    below.subs(t, -1) ** 2 + above.subs(t, -1) ** 2,
                    0,
                ),
                Certified("the flow crosses the lower curve upward", crossing(below), ">", BOX),
                Certified(
                    "the lower curve ends below the ray x + y = ⅔",
                    sp.Rational(1, 3) - END - below.subs(t, 1),
                    "<",
                ),
                Sign("x = ½ ≤ y: ẋ < 0", FIELD[0].subs({x: HALF, y: HALF + p / (2 + 2 * p)}), "<"),
                Certified(
                    "the lower curve is above −0.281",
                    HALF - below - sigmoid(sp.Rational("-0.281")),
                    ">",
                    BOX,
                ),
                Shipped("the flow through mi.preference_loss", PAIR, shipped_field, proved_field),
                Holds(
                    "the least chosen reward along the shipped loss's flow is in the bracket",
                    {"size": strategies.one_of(["0.08"]).map(float)},
                    lambda size: dips(size, 60),
                    examples=1,
                ),
            ),
            by_hand=(
                "a flow that crosses the boundary of a region inward everywhere does not leave it",
                """ẋ is negative and continuous on the compact strip, so w₁ is reached; the end, ln 2:
                lazy_flow_collapse""",
            ),
        ),
        Part(
            "b",
            "βz_w is below −0.280 at some time, and tends to ln 2 in the end.",
            checks=(
                Certified("the flow crosses the upper curve downward", crossing(above), "<", BOX),
                Certified(
                    "ẋ < 0 above the lower curve",
                    3 - (HALF - below) * 9 / 2 - 5 * (HALF - at_t),
                    "<",
                    BOX,
                ),
                Certified(
                    "the upper curve ends below −0.280",
                    HALF - above.subs(t, 1) - sigmoid(sp.Rational("-0.28")),
                    "<",
                ),
            ),
            by_hand=(
                "a flow that crosses the boundary of a region inward everywhere does not leave it",
                """ẋ is negative and continuous on the compact strip, so w₁ is reached; the end, ln 2:
                lazy_flow_collapse""",
            ),
        ),
        Part(
            "c",
            """DPO's βz_w falls without bound on this kernel. So the guarantees that hold for every model, −0.8545
            (mio_no_collapse), and for every kernel with c/a ≤ 3, −ln 5 = −1.6094 (mio_barrier), are safe but
            three and more times too deep here.""",
            checks=(
                Identity("mio_barrier at κ̄ = 3", mio_barrier(k, HALF), -sp.log(5), at={k: 3}),
                Sign(
                    "−0.8545 is more than three times as deep as −0.281",
                    sp.Rational("0.8545"),
                    ">",
                    than=3 * sp.Rational("0.281"),
                ),
                Sign("−ln 5 is below −1.6094", sp.log(5) - sp.Rational("1.6094"), ">"),
            ),
        ),
    ),
    proof="""λ and β only change the unit of time. In x = σ(βz_l), y = σ(βz_w) the flow is polynomial: ẋ = x(1 − x)(3
    − 9y/2 − 5x), ẏ = y(1 − y)(1 − 3y/2 − 3x/2), from (½, ½), where both are negative. Let φ₋ and φ₊ be the two
    polynomials and w = ½ − x. On the curve y = ½ − φ₋(w), 0 ≤ w ≤ w₁ = 0.2637, the flow crosses upward; on the ray y
    = ½ − φ₋(w₁), w ≥ w₁ too, as there x + y < ⅔; and where x = ½ ≤ y, ẋ < 0. So the flow never leaves the region
    above curve and ray, and y > σ(−0.281) there. On y = ½ − φ₊(w) it crosses downward, and in the strip between the
    two curves ẋ < 0: so it leaves the strip at w = w₁, below φ₊'s curve, where y < σ(−0.280).""",
    example=Example(
        "the dip of MIO's chosen reward with the kernel 1, 3, 10, beside the deepest with any d at this c/a",
        dip,
        lambda own, cross, other: mio_deepest_dip(cross / own),
        {"own": 1.0, "cross": 3.0, "other": 10.0},
        relation="≥",
    ),
    false_neighbours=(
        Certified(
            "the lower curve is above −0.2805",
            HALF - below - sigmoid(sp.Rational("-0.2805")),
            ">",
            BOX,
        ),
        Certified("the upper curve is a barrier", crossing(above), ">", BOX),
        Certified(
            "the lower curve is a barrier for DPO too", crossing(below, DPO).subs(q, HALF), ">", BOX
        ),
    ),
    mutants=(
        NEARLY,
        AS_DPO,
    ),
    uses=("lazy_flow_collapse", "mio_no_collapse", "mio_barrier"),
    about=("preference_loss",),
    reference="This project; the frozen kernel: Jacot et al. 2018 (arXiv 1806.07572), theorem 2.",
)
