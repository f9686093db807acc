"""While the JS family's loss is at most its start, the mean chosen reward stays in a fixed interval."""

from math import log

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import chosen_term
from proofs.engine import (
    AS_DPO,
    HALF,
    Certified,
    Example,
    Holds,
    Identity,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Tested,
    Theorem,
    compiled,
    dpo_loss,
    js_loss,
    numerics,
    oracles,
    pair_loss,
    positives,
    reals,
    softplus,
    strategies,
)

(a,) = positives("a")  # α = a/(1 + a)
u, v, m = reals("u v m")
alpha, start = a / (1 + a), 2 * sp.log(2)


f_u, f_m = chosen_term(u, alpha), chosen_term(m, alpha)
tangent_gap = f_u - f_m - sp.diff(f_m, m) * (u - m)

# α: the decimals of u₋ and u₊ that the theory states
ROOTS = {
    "0.25": ("-0.652991", "1.271780"),
    "0.5": ("-0.854526701159521", "2.54621524878583"),
    "0.75": ("-0.992030", "5.525294"),
    "0.9": ("-1.058704", "13.862933"),
}


def bracket(mix, roots):
    """Certify both roots to half a unit of their last digit: f_α − 2 ln 2 changes its sign there."""
    for root, outward in zip(roots, (-1, 1), strict=True):
        unit = sp.Rational(1, 2 * 10 ** len(root.split(".")[1]))
        for side, relation in ((outward, ">"), (-outward, "<")):
            end, share = sp.Rational(root) + side * unit, sp.Rational(mix)
            yield Certified(
                f"α = {mix}: f {relation} 2 ln 2 at {float(end)}",
                chosen_term(end, share) - start,
                relation,
            )


def sinks_only_above_start(loss, at_start):
    """The claim that a chosen reward in [−20, −1.0987] costs more than the start, for rejected rewards in [−30,
    30]."""
    return loss - at_start, ">", {u: (-20, "-1.0987"), v: (-30, 30)}


def chosen_at(reward, mix):
    """f_α at a number, by the proved expression."""
    return compiled(f_u)(u=reward, a=mix / (1 - mix))


def stay(chosen, rejected, mix, rewards):
    """Whether the mean shipped loss is above 2 ln 2, or these rewards are in the shipped interval."""
    low, high = mi.no_collapse_interval(mix)
    loss = pair_loss(chosen, rejected, mix=mix)
    return loss > 2 * log(2) or all(low <= reward <= high for reward in rewards)


BATCH = {"chosen": strategies.vectors(2, 4), "rejected": strategies.vectors(2)}


def sunk(mix):
    """The least mean of u over two pairs whose mean loss is at most 2 ln 2, by search; v may sink to −30."""

    def room(rewards):
        losses = [
            2 * log(2) - oracles.js((1, 0), (1 - mix, mix), pair)
            for pair in zip(rewards[:2], rewards[2:], strict=True)
        ]
        return 2 * log(2) - sum(losses) / 2

    start = [-0.5, 0.3, -5.0, -5.0]
    return numerics.lowest(lambda rewards: (rewards[0] + rewards[1]) / 2, start, room)[0]


THEOREM = Theorem(
    slug="mio_no_collapse",
    tier="certified",
    title="a mean loss of at most 2 ln 2 keeps the mean chosen reward in [u₋, u₊]",
    purpose="To read a training log: while the mean loss is below its start, the mean chosen reward stays here.",
    setting="""Let L_α(u, v) = f_α(u) + α sp(v), f_α(u) = sp(−u) + (1 − α) sp(u), α in (0, 1), and let (u, v) be
    the chosen and rejected rewards (βz_w, βz_l) over any law on finitely many pairs: a training set, say, at
    any parameters of any model.""",
    formula=r"""\mathbb{E} L_\alpha \le 2\ln 2 \;\Longrightarrow\; u_- < \mathbb{E}\,\beta z_w < u_+, \qquad
    \mathrm{sp}(-u_\pm) + (1-\alpha)\,\mathrm{sp}(u_\pm) = 2 \ln 2""",
    assumptions=(
        "α in (0, 1]; the mean of u and the mean loss are over the same law",
        "finitely many pairs; for any law with finite means the tangent's mean is an integral, a step by hand",
        "the mean loss over that law is at most 2 ln 2 (at the start z = 0 it is equal)",
        "a claim about the mean: single responses may sink further",
    ),
    parts=(
        Part(
            "a",
            "If E L_α(u, v) ≤ 2 ln 2, its value at u = v = 0, then u₋ < E u < u₊, the two roots of f_α = 2 ln 2.",
            checks=(
                Minimum("f_α(u) minus its tangent at m", tangent_gap, u, m),
                Sign("α sp(v) > 0", alpha * softplus(v), ">"),
                Identity(
                    "2 ln 2 − f_α(0) = α ln 2",
                    start - chosen_term(sp.S(0), alpha),
                    alpha * sp.log(2),
                ),
                Sign("α ln 2 > 0", alpha * sp.log(2), ">"),
                Holds(
                    "mi.preference_loss keeps the mean in mi.no_collapse_interval",
                    BATCH | strategies.MIX,
                    lambda chosen, rejected, mix: stay(
                        chosen, rejected, mix, [sum(chosen) / len(chosen)]
                    ),
                ),
            ),
            by_hand=(
                Sum("the mean of the tangent inequality (Jensen) and of sp(v) > 0"),
                """a strictly convex function has one root on each side where it changes its sign (intermediate
                values)""",
            ),
            kernel=r"""
                forall a : R, 0 < a < 1 ->
                  exists lo hi, lo < 0 < hi /\ own a lo = 2 * ln 2 /\ own a hi = 2 * ln 2
                  /\ (forall u, own a u = 2 * ln 2 -> u = lo \/ u = hi)
                  /\ js_loss a 0 0 = 2 * ln 2
                  /\ forall (X : Type) (l : list X) (p u v : X -> R), law l p ->
                       E l p (fun i => js_loss a (u i) (v i)) <= 2 * ln 2 -> lo < E l p u < hi
                """,
        ),
        Part(
            "b",
            "For every α, −ln 3 < u₋ < 0 < u₊ < 2 ln 2/(1 − α); at α = 1 the interval is (−ln 3, ∞).",
            checks=(
                Identity(
                    "f_α(u) − (1 − α) u = (2 − α) sp(−u)",
                    f_u - (1 - alpha) * u,
                    (2 - alpha) * softplus(-u),
                ),
                Sign(
                    "(2 − α) sp(−u) > 0, so f_α > 2 ln 2 at u = 2 ln 2/(1 − α)",
                    (2 - alpha) * softplus(-u),
                    ">",
                ),
                Identity(
                    "f_α(−ln 3) − 2 ln 2 = (1 − α) ln(4/3)",
                    chosen_term(u, alpha) - start,
                    (1 - alpha) * sp.log(sp.Rational(4, 3)),
                    at={u: -sp.log(3)},
                ),
                Sign("(1 − α) ln(4/3) > 0", (1 - alpha) * sp.log(sp.Rational(4, 3)), ">"),
                Identity("α = 1: the lower root is −ln 3", chosen_term(-sp.log(3), 1), start),
                Sign(
                    "α = 1: f₁ decreases, so there is no upper root",
                    sp.diff(chosen_term(u, 1), u),
                    "<",
                ),
                Shipped(
                    "mi.no_collapse_interval ends where f_α = 2 ln 2",
                    strategies.MIX,
                    lambda mix: [chosen_at(end, mix) for end in mi.no_collapse_interval(mix)],
                    lambda mix: [2 * log(2)] * 2,
                    tolerance=1e-12,
                ),
            ),
            by_hand=(
                """a strictly convex function has one root on each side where it changes its sign (intermediate
                values)""",
            ),
            kernel=r"""
                (forall a lo hi : R, 0 < a < 1 -> lo < 0 < hi -> own a lo = 2 * ln 2 -> own a hi = 2 * ln 2 ->
                     - ln 3 < lo /\ hi < 2 * ln 2 / (1 - a))
                  /\ own 1 (- ln 3) = 2 * ln 2
                  /\ (forall u, own 1 u < 2 * ln 2 <-> - ln 3 < u)
                  /\ (forall (X : Type) (l : list X) (p u v : X -> R), law l p ->
                       E l p (fun i => js_loss 1 (u i) (v i)) <= 2 * ln 2 -> - ln 3 < E l p u)
                """,
        ),
        Part(
            "c",
            """To the digits shown: α = ½: [−0.854526701159521, 2.54621524878583]; ¼: [−0.652991, 1.271780]; ¾:
            [−0.992030, 5.525294]; 0.9: [−1.058704, 13.862933].""",
            checks=(
                *[claim for mix, roots in ROOTS.items() for claim in bracket(mix, roots)],
                Certified(
                    "MIO sinks only above its start",
                    *sinks_only_above_start(js_loss(u, v), start),
                    tail="u < −20: f_α decreases below its anchor; any v: sp(v) > 0, as above",
                ),
                Shipped(
                    "mi.no_collapse_interval at α = ½ is the interval shown",
                    {"mix": strategies.one_of(["0.5"])},
                    lambda mix: mi.no_collapse_interval(float(mix)),
                    lambda mix: [float(end) for end in ROOTS[mix]],
                    tolerance=1e-14,
                    examples=1,
                ),
            ),
            kernel=r"""
                let ends := fun a lo hi => lo < 0 < hi /\ own a lo = 2 * ln 2 /\ own a hi = 2 * ln 2 in
                  (forall lo hi, ends (1/2) lo hi -> Rabs (lo - -854526701159521/10^15) < 5/10^16
                                                     /\ Rabs (hi - 254621524878583/10^14) < 5/10^15)
                  /\ (forall lo hi, ends (1/4) lo hi -> Rabs (lo - -652991/10^6) < 5/10^7 /\ Rabs (hi -
                    1271780/10^6) < 5/10^7)
                  /\ (forall lo hi, ends (3/4) lo hi -> Rabs (lo - -992030/10^6) < 5/10^7 /\ Rabs (hi -
                    5525294/10^6) < 5/10^7)
                  /\ (forall lo hi, ends (9/10) lo hi -> Rabs (lo - -1058704/10^6) < 5/10^7 /\ Rabs (hi -
                    13862933/10^6) < 5/10^7)
                """,
        ),
        Part(
            "d",
            "DPO has no such interval.",
            checks=(
                Identity(
                    "DPO's loss is 2 ln 2 − ln 2 wherever both rewards are equal",
                    dpo_loss(u, u),
                    sp.log(2),
                ),
            ),
            kernel=r"""
                dpo 0 0 = ln 2 /\ forall u, exists v, dpo u v = ln 2
                """,
        ),
    ),
    proof="""f_α is strictly convex, so it lies above its tangent at the mean m = E u; the mean of that is Jensen's
    f_α(E u) ≤ E f_α(u) = E L_α − α E sp(v) < 2 ln 2. Now f_α(0) = (2 − α) ln 2 < 2 ln 2, f_α(−ln 3) > 2 ln 2 for α
    < 1, and f_α(u) > (1 − α) u: so f_α < 2 ln 2 exactly between two roots, one on each side of 0, within the ends
    stated.""",
    example=Example(
        "the least mean chosen reward of two pairs at the mean loss 2 ln 2, by search, beside u₋",
        sunk,
        lambda mix: mi.no_collapse_interval(mix)[0],
        {"mix": 0.5},
        relation="≥",
    ),
    false_neighbours=(
        Certified(
            "DPO sinks only above its start", *sinks_only_above_start(dpo_loss(u, v), sp.log(2))
        ),
        Certified(
            "α = ½: the lower root is −0.85",
            chosen_term(sp.Rational("-0.85"), HALF) - start,
            ">",
        ),
        Tested(
            "each chosen reward stays in the interval, not only the mean",
            {"chosen": BATCH["chosen"]},
            lambda chosen: stay(chosen, (-8, -8), 0.5, chosen),
        ),
    ),
    mutants=(
        AS_DPO,
        Mutant(
            "no_collapse_interval", "narrow", lambda f: lambda mix: [0.9999 * end for end in f(mix)]
        ),
        Mutant(
            "no_collapse_interval", "wide", lambda f: lambda mix: [1.0001 * end for end in f(mix)]
        ),
    ),
    uses=("mio_is_half_mixed_js",),
    about=("no_collapse_interval",),
    reference="This project, by Jensen's inequality (Acta Math. 30, 1906, 175–193).",
)
