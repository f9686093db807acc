"""What a training loss says of the reward margin: the least mean margin that a mean loss allows."""

import sympy as sp

from mi_estimators.theory import chosen_term, log_odds, preference_anchor
from proofs.engine import (
    HALF,
    HALF_LOSS,
    TURNED,
    Certified,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    compiled,
    js_loss,
    numerics,
    oracles,
    pair_loss,
    positives,
    reals,
    softplus,
    strategies,
)

a, s, X = positives("a s x")  # α = a/(1 + a); X = s/(1 + s) where it must be below 1
u, v, m = reals("u v m")
alpha, inside = a / (1 + a), s / (1 + s)


def point(x, mix=alpha):
    """σ(βz_w) = y, where σ(βz_l) = x and the two slopes are opposite."""
    return (1 - mix * x) / (2 - mix)


def level(x, mix=alpha):
    """ℓ(x): the loss there."""
    y = point(x, mix)
    return -sp.log(y) - (1 - mix) * sp.log(1 - y) - mix * sp.log(1 - x)


def margin(x, mix=alpha):
    """m(x): the margin there."""
    return log_odds(point(x, mix)) - log_odds(x)


u_0, v_0 = sp.log((1 + a + s) / (1 + s + a * s)), sp.log(s)  # logit y and logit x
chosen_gap = chosen_term(u, alpha) - chosen_term(u_0, alpha) + alpha * inside * (u - u_0)
rejected_gap = softplus(v) - softplus(v_0) - inside * (v - v_0)
dpo_gap = softplus(-m) - softplus(-v_0) + (1 - inside) * (m - v_0)
# MIO: the mean loss, x, and the margin's bracket
ROWS = {
    "1.3": ("0.430802", "0.3709", "0.3710"),
    "1.2": ("0.337437", "0.8923", "0.8924"),
    "1.1": ("0.224883", "1.6084", "1.6085"),
    "1.0": ("0.081985", "2.9881", "2.9882"),
}


def row(loss, x, low, high):
    """Certify the bracket of MIO's least margin at a mean loss."""
    unit, loss = sp.Rational(1, 10**6), sp.Rational(loss)
    left, right = sp.Rational(x) - unit, sp.Rational(x) + unit
    yield Certified(
        f"ℓ < {float(loss):.2g} at x = {float(left):.8g}", level(left, HALF) - loss, "<"
    )
    yield Certified(
        f"ℓ > {float(loss):.2g} at x = {float(right):.8g}", level(right, HALF) - loss, ">"
    )
    yield Certified(
        f"ℓ = {float(loss):.2g}: m > {low} on the bracket",
        margin(X, HALF) - sp.Rational(low),
        ">",
        {X: (left, right)},
    )

    yield Certified(
        f"ℓ = {float(loss):.2g}: m < {high} on the bracket",
        margin(X, HALF) - sp.Rational(high),
        "<",
        {X: (left, right)},
    )


def supported(chosen, rejected, mix, x):
    """Whether the mean shipped loss is at least ℓ(x) − αx (mean margin − m(x))."""
    given = {"a": mix / (1 - mix), "x": x}
    mean = sum(c - r for c, r in zip(chosen, rejected, strict=True)) / len(chosen)
    return (
        pair_loss(chosen, rejected, mix=mix)
        >= of_level(**given) - mix * x * (mean - of_margin(**given)) - 1e-9
    )


of_level, of_margin, of_chosen = (
    compiled(level(X)),
    compiled(margin(X)),
    compiled(log_odds(point(X))),
)
of_rejected = compiled(log_odds(X))
GIVEN = {"mix": strategies.mixes(), "x": strategies.mixes()}
BATCH = {"chosen": strategies.vectors(2), "rejected": strategies.vectors(2)}


def least_margin(loss, mix):
    """The least u − v of rewards whose loss is at most ℓ, by search."""

    def room(rewards):
        return loss - 2 * oracles.ln(2) + oracles.js((1, 0), (1 - mix, mix), rewards)

    start = [float(preference_anchor(mix)), -5.0]
    return numerics.lowest(lambda rewards: rewards[0] - rewards[1], start, room)[0]


def on_the_curve(loss, mix):
    """m(x) at ℓ(x) = ℓ."""
    x = numerics.root(lambda x: level(x, mix) - loss, 1e-9, 1 - 1e-9)
    return float(margin(x, mix))


THEOREM = Theorem(
    slug="loss_certifies_margin",
    tier="certified",
    title="a mean loss of L_α below 2 ln 2 certifies a mean margin, by an explicit and sharp curve",
    purpose="To turn a mean loss of MIO into a margin that is certain.",
    setting="""Let (u, v) = (βz_w, βz_l) over any law on finitely many pairs (a training set, any model), L_α(u, v) =
    sp(−u) + (1 − α) sp(u) + α sp(v), α in (0, 1). For x in (0, 1) let y = (1 − αx)/(2 − α), ℓ(x) = −ln y − (1 − α)
    ln(1 − y) − α ln(1 − x) and m(x) = logit y − logit x.""",
    formula=r"""\mathbb{E} L_\alpha \le \ell(x) \;\Longrightarrow\; \mathbb{E}\,\beta(z_w - z_l) \ge
    \operatorname{logit}\tfrac{1 - \alpha x}{2 - \alpha} - \operatorname{logit} x""",
    assumptions=(
        "the mean loss and the mean margin are over the same law",
        "finitely many pairs; for any law with finite means the tangent's mean is an integral, a step by hand",
        "a claim about the mean: single pairs may have a negative margin; nothing bounds the margin from above",
    ),
    parts=(
        Part(
            "a",
            "E L_α ≤ ℓ(x) implies E[u − v] ≥ m(x), and constants u = logit y, v = logit x attain both.",
            checks=(
                Minimum("the chosen term minus its tangent", chosen_gap, u, u_0),
                Minimum("the rejected term minus its tangent", rejected_gap, v, v_0),
                Identity("u₀ = logit y", u_0, log_odds(point(inside))),
                Identity(
                    "ℓ(x) is the loss at (u₀, v₀)",
                    js_loss(u_0, v_0, alpha),
                    level(inside),
                ),
                Shipped(
                    "mi.preference_loss at (u₀, v₀) is ℓ(x)",
                    GIVEN,
                    lambda mix, x: pair_loss(
                        of_chosen(a=mix / (1 - mix), x=x), of_rejected(x=x), mix=mix
                    ),
                    lambda mix, x: of_level(a=mix / (1 - mix), x=x),
                ),
                Holds(
                    "mi.preference_loss over batches keeps the mean margin",
                    BATCH | GIVEN,
                    supported,
                ),
            ),
            by_hand=(Sum("the mean of an inequality (Jensen)"),),
        ),
        Part(
            "b",
            """As x falls from 1 to 0, ℓ falls strictly from ∞ to the floor and m rises strictly from −∞ to ∞; at
            x = ½ they are 2 ln 2 and 0. So while the mean loss is below its start the mean margin is positive,
            and more than (2/α)(2 ln 2 − E L_α).""",
            checks=(
                Sign("ℓ increases with x", sp.diff(level(X), X).subs(X, inside), ">"),
                Sign("m decreases with x", sp.diff(margin(X), X).subs(X, inside), "<"),
                Identity("ℓ(½) = 2 ln 2", level(HALF), 2 * sp.log(2)),
                Identity("m(½) = 0", margin(HALF), 0),
            ),
            by_hand=(
                """(b) the limits at x → 0 and x → 1: logit x → ∓∞, −α ln(1 − x) → ∞, y between (1 − α)/(2 − α)
                and 1/(2 − α)""",
            ),
        ),
        Part(
            "c",
            "DPO: E L ≤ ℓ implies E[u − v] ≥ −ln(e^ℓ − 1), sharp.",
            checks=(
                Minimum("DPO's loss minus its tangent", dpo_gap, m, v_0),
                Identity(
                    "DPO's level: −ln(e^ℓ − 1) at ℓ = sp(−m) is m",
                    -sp.log(sp.exp(softplus(-m)) - 1),
                    m,
                ),
            ),
            by_hand=(Sum("the mean of an inequality (Jensen)"),),
        ),
        Part(
            "d",
            """MIO (α = ½): at a mean loss of 1.3, 1.2, 1.1, 1.0 the least mean margin is in (0.3709, 0.3710),
            (0.8923, 0.8924), (1.6084, 1.6085), (2.9881, 2.9882).""",
            checks=(*[claim for loss, numbers in ROWS.items() for claim in row(loss, *numbers)],),
        ),
    ),
    proof="""(a) At (u₀, v₀) = (logit y, logit x) the slopes are (2 − α)y − 1 = −αx and αx. L_α is the sum of two
    convex functions, each above its tangent: L_α(u, v) ≥ ℓ(x) − αx((u − v) − m(x)). Take the mean. (b) The signs of
    the slopes of ℓ and m; at x = ½, y = ½ and the tangent is 2 ln 2 − (α/2)(u − v), touched at 0 only. (c) The same
    for sp(−m).""",
    example=Example(
        "the least margin at a loss of 1.2, by search, beside m(x) at ℓ(x) = 1.2",
        least_margin,
        on_the_curve,
        {"loss": 1.2, "mix": 0.5},
        tolerance=1e-5,
    ),
    false_neighbours=(
        Identity("y = 1 − x, opposite rewards", level(inside), js_loss(-v_0, v_0, alpha)),
        Sign("a loss above the start still leaves a margin ≥ 0", margin(inside), ">="),
        Certified(
            "MIO, ℓ = 1.2: above 0.9",
            margin(X, HALF) - sp.Rational("0.9"),
            ">",
            {X: ("0.337", "0.338")},
        ),
    ),
    mutants=(
        TURNED,
        HALF_LOSS,
    ),
    uses=("mio_is_half_mixed_js", "mio_loss_floor"),
    about=("preference_loss",),
    reference="""This project, by Jensen's inequality (Acta Math. 30, 1906, 175–193); the loss: Lv et al. 2025 (arXiv
    2506.22578), Chen et al. 2024 (arXiv 2402.05369), section 4 (NCA).""",
)
