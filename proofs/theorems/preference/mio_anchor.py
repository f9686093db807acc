"""The chosen response has an anchor: the JS family's loss pulls βz_w to −ln(1 − α)."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import (
    chosen_pull,
    chosen_term,
    mio_ceiling,
    mio_target,
    preference_anchor,
    preference_loss_floor,
)
from proofs.engine import (
    AS_DPO,
    HALF,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Theorem,
    compiled,
    js_loss,
    numerics,
    off,
    oracles,
    pair_gradient,
    pair_loss,
    positives,
    reals,
    scaled,
    softplus,
    strategies,
)

a, beta, ref, ref_l, t, y = positives(
    "a beta epsilon delta t y"
)  # α = a/(1 + a) and 1 − α = 1/(1 + a) = rest
u, v = reals("u v")  # βz_w, βz_l
alpha, rest = a / (1 + a), 1 / (1 + a)
anchor, floor = preference_anchor(alpha), preference_loss_floor(alpha)
f_u = chosen_term(u, alpha)

# Tabular: π_w = x, π_l = y, β ln(x/ε) and β ln(y/δ) the two rewards. The critical probability is x* = (1 − α)^{−1/β} ε.
(x,) = positives("x")
tabular = js_loss(beta * sp.log(x / ref), beta * sp.log(y / ref_l), alpha)
critical = mio_target(ref, beta, alpha)
slope = sp.diff(tabular, x)
rising = rest * (x / ref) ** beta - 1  # has the sign of the slope

# Two responses only: π_l = 1 − x. At α = ½, β = 1 and ε = 1/(2(1 + a)) the claimed end 2ε is inside (0, 1).
e2 = 1 / (2 * (1 + a))
two = js_loss(sp.log(x / e2), sp.log((1 - x) / (1 - e2)))
of_mix = {"anchor": compiled(anchor), "floor": compiled(floor)}


def searched(mix):
    """The u at which sp(−u) + (1 − α) sp(u) is least, by search."""

    def loss(reward):
        return 2 * oracles.ln(2) - oracles.js((1, 0), (1 - mix, mix), (reward[0], -99.0))

    return numerics.lowest(loss, [0.0])[1][0]


THEOREM = Theorem(
    slug="mio_anchor",
    title="the chosen reward's anchor −ln(1 − α), the loss floor, and the tabular minimum",
    purpose="To know where MIO holds the chosen response, and the least loss a run can reach.",
    setting="Let L_α(u, v) = f_α(u) + α sp(v), f_α(u) = sp(−u) + (1 − α) sp(u), u = βz_w, v = βz_l, α in (0, 1).",
    formula=r"\arg\min_u \bigl[\mathrm{sp}(-u) + (1 - \alpha)\,\mathrm{sp}(u)\bigr] = -\ln(1 - \alpha)",
    assumptions=(
        "α in (0, 1), β > 0, ε and π_ref,l > 0",
        "(c) at least three responses, so that π_w < 1 and π_l = 0 are possible together; minimisation over laws",
        "(c) says where the minimum is, not that every optimiser or gradient flow reaches it",
    ),
    parts=(
        Part(
            "a",
            "f_α is strictly convex; its only stationary point, the minimum, is u = −ln(1 − α).",
            checks=(
                Minimum("f_α is least at −ln(1 − α)", f_u, u, anchor, floor),
                Identity("the pull is −f_α'", chosen_pull(u, alpha), -sp.diff(f_u, u)),
                Identity("MIO's anchor is ln 2", anchor.subs(a, 1), sp.log(2)),
                Shipped(
                    "mi.preference_anchor is −ln(1 − α)",
                    strategies.MIX,
                    lambda mix: mi.preference_anchor(mix),
                    lambda mix: of_mix["anchor"](a=mix / (1 - mix)),
                ),
                Shipped(
                    "mi.preference_loss is stationary there",
                    strategies.MIX | {"rejected": strategies.scores()},
                    lambda mix, rejected: pair_gradient(
                        mi.preference_anchor(mix), rejected, mix=mix
                    )[0],
                    lambda mix, rejected: 0,
                ),
                Shipped(
                    "mi.preference_loss tends to the floor there as βz_l → −∞",
                    strategies.MIX,
                    lambda mix: pair_loss(mi.preference_anchor(mix), -40.0, mix=mix),
                    lambda mix: of_mix["floor"](a=mix / (1 - mix)),
                ),
            ),
            kernel=r"""
                forall a : R, 0 < a < 1 ->
                  (forall u, is_derive (own a) u ((2 - a) * sg u - 1))
                  /\ (forall u, is_derive (fun u => (2 - a) * sg u - 1) u ((2 - a) * (sg u * (1 - sg u)))
                        /\ 0 < (2 - a) * (sg u * (1 - sg u)))
                  /\ (forall u, (2 - a) * sg u - 1 = 0 <-> u = - ln (1 - a))
                  /\ (forall u, u <> - ln (1 - a) -> own a (- ln (1 - a)) < own a u)
                """,
        ),
        Part(
            "b",
            """inf L_α is f_α(−ln(1 − α)) = (2 − α) ln(2 − α) − (1 − α) ln(1 − α), approached as v → −∞ and not
            attained.""",
            checks=(
                Sign("the rejected term is positive", alpha * softplus(v), ">"),
                Identity("MIO's floor is ln(3√3/2)", floor.subs(a, 1), sp.log(3 * sp.sqrt(3) / 2)),
                Shipped(
                    "mi.preference_loss_floor is the infimum",
                    strategies.MIX,
                    lambda mix: mi.preference_loss_floor(mix),
                    lambda mix: of_mix["floor"](a=mix / (1 - mix)),
                ),
                Holds(
                    "mi.preference_loss never goes below mi.preference_loss_floor",
                    strategies.MIX
                    | {"chosen": strategies.scores(), "rejected": strategies.scores(40)},
                    lambda mix, chosen, rejected: (
                        pair_loss(chosen, rejected, mix=mix)
                        >= mi.preference_loss_floor(mix) - 1e-12
                    ),
                ),
            ),
            by_hand=("sp(v) < eᵛ, as ln(1 + x) < x for x > 0",),
            kernel=r"""
                forall a : R, 0 < a < 1 ->
                  own a (- ln (1 - a)) = (2 - a) * ln (2 - a) - (1 - a) * ln (1 - a)
                  /\ is_inf (fun x => exists u v, x = js_loss a u v) (own a (- ln (1 - a)))
                  /\ (forall u v, own a (- ln (1 - a)) < js_loss a u v)
                  /\ (forall e, 0 < e -> exists V, forall v, v < V -> js_loss a (- ln (1 - a)) v < own a (- ln
                    (1 - a)) + e)
                """,
        ),
        Part(
            "c",
            """One pair with base probabilities ε = π_ref,w and π_ref,l > 0 and at least one third response: over
            the laws π on the responses, L_α as a function of (π_w, π_l) has its only minimum (π_l = 0 admitted as
            a limit) at π_w = min(1, (1 − α)^{−1/β} ε), π_l = 0.""",
            checks=(
                Sign("the rejected term increases with π_l", sp.diff(tabular, y), ">"),
                Identity(
                    "dL/dπ_w is (β/π_w)(…)/(…)", slope, beta / x * rising / (1 + (x / ref) ** beta)
                ),
                Identity("the slope is 0 at x*", slope.subs(x, critical), 0),
                Sign(
                    "the slope is negative at x* e^{−t}, t > 0",
                    rising.subs(x, critical * sp.exp(-t)),
                    "<",
                ),
                Sign(
                    "the slope is positive at x* eᵗ, t > 0",
                    rising.subs(x, critical * sp.exp(t)),
                    ">",
                ),
                *[
                    Identity(
                        f"α = ½, β = {b}, ε = {e}: the minimum is at π_w = {end}",
                        mio_ceiling(sp.Rational(e), sp.Rational(b), HALF),
                        sp.Rational(end),
                    )
                    for b, e, end in (
                        ("1", "1/1000", "0.002"),
                        ("0.5", "1/1000", "0.004"),
                        ("0.1", "1e-6", "0.001024"),
                        ("0.1", "1e-3", "1"),
                    )
                ],
            ),
            by_hand=("the passage from the signs of the slope to the minimum in (c)",),
            kernel=r"""
                forall a beta ew el : R, 0 < a < 1 -> 0 < beta -> 0 < ew <= 1 -> 0 < el ->
                  (forall K x y, (3 <= K)%nat -> 0 <= x -> 0 <= y ->
                     (x + y <= 1 <-> exists p, law (seq 0 K) p /\ p 0%nat = x /\ p 1%nat = y))
                  /\ (let best := Rmin 1 (ceiling a beta ew) in
                      0 < best <= 1
                      /\ forall x y, 0 < x -> 0 <= y -> x + y <= 1 -> (x, y) <> (best, 0) ->
                           table_loss a beta ew el best 0 < table_loss a beta ew el x y)
                """,
        ),
        Part(
            "d",
            "At α = 1, f₁(u) = sp(−u) has no stationary point and the floor is 0.",
            checks=(Sign("α = 1: no stationary point", sp.diff(chosen_term(u, 1), u), "<"),),
            kernel=r"""
                (forall u, own 1 u = sp (- u) /\ is_derive (own 1) u (- sg (- u)) /\ - sg (- u) <> 0)
                  /\ is_inf (fun x => exists u v, x = js_loss 1 u v) 0
                  /\ (forall u v, 0 < js_loss 1 u v)
                """,
        ),
    ),
    proof="""(a) f'(u) = (2 − α) σ(u) − 1 is 0 at eᵘ = 1/(1 − α) and f'' = (2 − α) σ(u) σ(−u) > 0. (b) 0 < sp(v) <
    eᵛ, so the rejected term is positive and tends to 0 as v → −∞. (c) L_α increases with π_l, whatever π_w is, so
    π_l = 0; then dL/dπ_w = (β/π_w) ((1 − α)(π_w/ε)^β − 1)/(1 + (π_w/ε)^β) is negative below x* = (1 − α)^{−1/β} ε
    and positive above: the minimum over π_w ≤ 1 is at x* if x* ≤ 1 and at 1 otherwise.""",
    example=Example(
        "the chosen reward at which MIO's chosen term is least, beside −ln(1 − α)",
        searched,
        mi.preference_anchor,
        {"mix": 0.5},
        tolerance=1e-5,
    ),
    false_neighbours=(
        Identity("the anchor is +ln(1 − α)", sp.diff(f_u, u).subs(u, -anchor), 0),
        Identity("the anchor is ln 2 for every α", sp.diff(f_u, u).subs(u, sp.log(2)), 0),
        Identity("DPO has this anchor too", sp.diff(softplus(v - u), u).subs(u, anchor), 0),
        Identity(
            "with two responses only, the end is still 2ε (α = ½, β = 1)",
            sp.diff(two, x).subs(x, 2 * e2),
            0,
        ),
        Identity("the factor is (1 − α)^{−β}", slope.subs(x, rest ** (-beta) * ref), 0),
    ),
    mutants=(
        scaled("preference_anchor", -1),
        off("preference_loss_floor"),
        AS_DPO,
    ),
    uses=("mio_is_half_mixed_js",),
    about=(
        "preference_anchor",
        "preference_loss_floor",
        "preference_loss",
        "theory.chosen_term",
        "theory.mio_ceiling",
        "theory.mio_target",
    ),
    reference="""This project; the loss: Lv et al. 2025 (arXiv 2506.22578), Chen et al. 2024 (arXiv 2402.05369),
    section 4 (NCA).""",
)
