"""Between its start 2 ln 2 and its floor: what the JS family's loss can reach, on which data, and how it sets out."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import preference_loss_floor
from proofs.engine import (
    HALF_LOSS,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    dpo_loss,
    js_loss,
    loss_at,
    mixture,
    numerics,
    off,
    oracles,
    pair_gradient,
    pair_loss,
    population_loss,
    positives,
    reals,
    softplus,
    strategies,
    twice_jsd,
)

a, p, r, beta = positives(
    "a p r beta"
)  # α = a/(1 + a); p and r: the chosen and the rejected law's mass at an atom
t, z_w, z_l = reals("t z_w z_l")
alpha, rest = a / (1 + a), 1 / (1 + a)
floor = preference_loss_floor(alpha)
start = 2 * sp.log(2)

# One response: its share of the mean loss, p sp(−t) + q sp(t) with q = (1 − α) p + α r, and the least value of that.
q = rest * p + alpha * r
share = p * softplus(-t) + q * softplus(t)
least = p * sp.log((p + q) / p) + q * sp.log((p + q) / q)

POINT, HALF_MIX = (1, 0), (rest, alpha)  # one chosen and one rejected response, apart


def loss(temperature):
    """L_α in the log-ratios, at β = temperature."""
    return js_loss(temperature * z_w, temperature * z_l, alpha)


def at_zero(value, *variables):
    """A derivative at z = 0."""
    return sp.diff(value, *variables).subs({z_w: 0, z_l: 0})


dpo = dpo_loss(beta * z_w, beta * z_l)


def excess_at_best(pairs, mix):
    """What the mean shipped loss at the scores ln dP/dQ_α exceeds 2 ln 2 − 2·JSD(P, Q_α) by."""
    chosen, rejected = oracles.marginals(pairs)
    mixed = mixture(chosen, rejected, mix)
    best = [oracles.ln(x / y) for x, y in zip(chosen, mixed, strict=True)]
    return population_loss(pairs, best, mix=mix) - 2 * (oracles.ln(2) - oracles.jsd(chosen, mixed))


MIX = strategies.MIX
PAIRS, ALL = {"pairs": strategies.joint_laws(3, 3, zeros=True)}, strategies.joint_laws(3, 3)


def lowest_loss(chosen, rejected, mix):
    """The least mean loss over scores of a response, by descent."""
    mixed = mixture(chosen, rejected, mix)

    def loss(scores):
        return 2 * oracles.ln(2) - oracles.js(chosen, mixed, scores)

    return numerics.lowest(loss, [0.0] * len(chosen))[0]


def less_information(chosen, rejected, mix):
    """2 ln 2 − 2·JSD(P, Q_α)."""
    return 2 * (oracles.ln(2) - oracles.jsd(chosen, mixture(chosen, rejected, mix)))


THEOREM = Theorem(
    slug="mio_loss_floor",
    title="L_α starts at 2 ln 2, with α times DPO's gradient, and its floor is 2 ln 2 less the JS information",
    purpose="To compare MIO with DPO at the start, and to know the least loss.",
    setting="L_α(u, v) = sp(−u) + (1 − α) sp(u) + α sp(v), α in (0, 1), u = βz_w, v = βz_l.",
    formula=r"""\inf L_\alpha = (2-\alpha)\ln(2-\alpha) - (1-\alpha)\ln(1-\alpha), \qquad \nabla_z
    L_\alpha\big|_{z=0} = \alpha\,\nabla_z L_{\mathrm{DPO}}\big|_{z=0}""",
    assumptions=(
        "α in (0, 1), β > 0, finite scores",
        "(a) one prompt, one score per response, free of each other: a policy's scores are tied by Σ π = 1",
        "(c) training starts at π = π_ref; by the chain rule it holds in the parameters of any model",
    ),
    parts=(
        Part(
            "a",
            """Let P and R be the laws of the chosen and the rejected response on a finite set and T any real
            score of a response. Then inf over T of E L_α is 2 ln 2 − 2·JSD(P, (1 − α) P + α R) ≥ F_α = (2 − α)
            ln(2 − α) − (1 − α) ln(1 − α), with equality iff P and R have no response in common; no finite T
            attains F_α. For any law on finitely many pairs (u, v), E L_α > F_α.""",
            checks=(
                Minimum("the share of a response", share, t, sp.log(p / q), least),
                Identity(
                    "∂/∂r of the least share is α ln(1 + p/q)",
                    sp.diff(least, r),
                    alpha * sp.log(1 + p / q),
                ),
                Sign("α ln(1 + p/q) is positive", alpha * sp.log(1 + p / q), ">"),
                Identity("the least share at r = 0 is p F_α", least.subs(r, 0), p * floor),
                Sign("L_α exceeds its chosen term", alpha * softplus(t), ">"),
                Holds(
                    "mean mi.preference_loss > mi.preference_loss_floor, zero atoms included",
                    PAIRS | MIX | {"scores": strategies.vectors(3)},
                    lambda pairs, scores, mix: (
                        population_loss(pairs, scores, mix=mix) > mi.preference_loss_floor(mix)
                    ),
                ),
                Shipped(
                    "mean mi.preference_loss at ln dP/dQ_α is the infimum of (a)",
                    {"pairs": ALL} | MIX,
                    excess_at_best,
                    lambda **given: 0.0,
                ),
            ),
            by_hand=(Sum("the sum over responses in (a)"),),
            kernel=r"""
                forall (al : R), 0 < al < 1 ->
                  (forall (X : Type) (l : list X) (p r : X -> R), law l p -> law l r ->
                     let value := 2 * ln 2 - 2 * jsd l p (mixed al p r) in
                     is_inf (fun v => exists T, v = mean_loss l al p r T) value
                     /\ floor_at al <= value
                     /\ (value = floor_at al <-> forall y, In y l -> p y = 0 \/ r y = 0)
                     /\ (forall T, floor_at al < mean_loss l al p r T)
                     /\ (forall A T, law (list_prod l l) A -> same l p (fst_law l A) -> same l r (snd_law l A) ->
                           E (list_prod l l) A (fun c => js_loss al (T (fst c)) (T (snd c))) =
                             mean_loss l al p r T))
                  /\ (forall (I : Type) (i : list I) (w u v : I -> R), law i w ->
                        floor_at al < E i w (fun k => js_loss al (u k) (v k)))
                """,
        ),
        Part(
            "b",
            """2 ln 2 − F_α = 2·JSD(δ_w, (1 − α) δ_w + α δ_l), δ the point masses at two different responses: no
            pair of laws has more JS information. F_α decreases strictly from 2 ln 2 (α → 0) to 0 (α → 1); F_½ =
            ln(3√3/2).""",
            checks=(
                Identity("2 ln 2 − F_α = 2 JSD", start - floor, twice_jsd(POINT, HALF_MIX)),
                Sign("F_α decreases", sp.diff(floor, a), "<"),
                Identity("F_0 = 2 ln 2", floor.subs(a, 0), start),
                Identity("MIO: ln(3√3/2)", floor.subs(a, 1), sp.log(3 * sp.sqrt(3) / 2)),
                Shipped(
                    "mi.preference_loss_floor is 2 ln 2 − 2 JSD of point masses",
                    MIX,
                    lambda mix: mi.preference_loss_floor(mix),
                    lambda mix: 2 * oracles.ln(2) - 2 * oracles.jsd((1, 0), (1 - mix, mix)),
                ),
            ),
            by_hand=(
                """the limits of F_α: it is continuous in α on [0, 1], with 0 ln 0 = 0, and 2 ln 2 and 0 are its
                values there""",
            ),
            kernel=r"""
                (forall al, 0 < al < 1 -> 2 * ln 2 - floor_at al = 2 * jsd two chosen (mixed al chosen rejected))
                  /\ (forall a b, 0 < a -> a < b -> b < 1 -> floor_at b < floor_at a)
                  /\ (forall e, 0 < e -> exists d, 0 < d /\ forall a, 0 < a < d -> 2 * ln 2 - e < floor_at a <
                    2 * ln 2)
                  /\ (forall e, 0 < e -> exists d, d < 1 /\ forall a, d < a < 1 -> 0 < floor_at a < e)
                  /\ floor_at (1/2) = ln (3 * sqrt 3 / 2)
                """,
        ),
        Part(
            "c",
            """At z = 0, so at π = π_ref, L_α = 2 ln 2 for every α, and its gradient in (z_w, z_l) is αβ/2 · (−1,
            1): α times DPO's at the same β, and equal to DPO's if L_α has the temperature β/α (MIO at 2β). The
            second derivatives differ even then.""",
            checks=(
                Identity("L_α at z = 0 is 2 ln 2", loss(beta).subs({z_w: 0, z_l: 0}), start),
                *[
                    claim
                    for z in (z_w, z_l)
                    for claim in (
                        Identity(
                            f"∂L_α/∂{z} = α ∂L_DPO/∂{z} at 0",
                            at_zero(loss(beta), z),
                            alpha * at_zero(dpo, z),
                        ),
                        Identity(
                            f"equal at β/α, ∂/∂{z}",
                            at_zero(loss(beta / alpha), z),
                            at_zero(dpo, z),
                        ),
                    )
                ],
                Identity("∂L_DPO/∂z_l at 0", at_zero(dpo, z_l), beta / 2),
                Identity(
                    "L_α has no mixed second derivative",
                    sp.diff(loss(beta / alpha), z_w, z_l),
                    0,
                ),
                Identity(
                    "DPO has a mixed second derivative", at_zero(dpo, z_w, z_l), -(beta**2) / 4
                ),
                Shipped(
                    "mi.preference_loss starts at 2 ln 2",
                    MIX,
                    lambda mix: pair_loss(0.0, 0.0, mix=mix),
                    lambda mix: 2 * oracles.ln(2),
                ),
                Shipped(
                    "the first gradients of mi.preference_loss(js) and mi.preference_loss(dv)",
                    MIX | {"beta": strategies.temperatures()},
                    lambda mix, beta: [
                        beta * slope
                        for cell in (("js", mix), ("dv", 0.5))
                        for slope in pair_gradient(0.0, 0.0, *cell)
                    ],
                    lambda mix, beta: [k * beta / 2 for k in (-mix, mix, -1, 1)],
                ),
            ),
            kernel=r"""
                forall al beta : R, 0 < al < 1 -> 0 < beta ->
                  js_loss al (beta * 0) (beta * 0) = 2 * ln 2
                  /\ is_derive (fun z => js_loss al (beta * z) (beta * 0)) 0 (- (al * beta / 2))
                  /\ is_derive (fun z => js_loss al (beta * 0) (beta * z)) 0 (al * beta / 2)
                  /\ is_derive (fun z => dpo (beta * z) (beta * 0)) 0 (- (beta / 2))
                  /\ is_derive (fun z => dpo (beta * 0) (beta * z)) 0 (beta / 2)
                  /\ is_derive (fun z => js_loss al (beta / al * z) (beta / al * 0)) 0 (- (beta / 2))
                  /\ is_derive (fun z => js_loss al (beta / al * 0) (beta / al * z)) 0 (beta / 2)
                  /\ (forall z, is_derive (fun z => dpo (beta * z) 0) z (- (beta * sg (- (beta * z)))))
                  /\ is_derive (fun z => - (beta * sg (- (beta * z)))) 0 (beta ^ 2 / 4)
                  /\ (forall z, is_derive (fun z => js_loss al (beta / al * z) 0) z (beta / al * ((2 - al) *
                    sg (beta / al * z) - 1)))
                  /\ is_derive (fun z => beta / al * ((2 - al) * sg (beta / al * z) - 1)) 0 ((beta / al) ^ 2 *
                    ((2 - al) / 4))
                  /\ (beta / al) ^ 2 * ((2 - al) / 4) <> beta ^ 2 / 4
                """,
        ),
    ),
    proof="""(a) E L_α is a sum over responses of p sp(−t) + q sp(t), q = (1 − α) p + α r. For p > 0 that is strictly
    convex in t with its minimum at ln(p/q), which increases strictly with r and is p F_α at r = 0; for p = 0 < r it
    is α r sp(t) > 0 with the infimum 0 as t → −∞. Now sum, with Σ p = 1. For any law of (u, v): L_α > sp(−u) + (1 −
    α) sp(u) ≥ F_α (mio_anchor). (b) The definition of JSD, with P = (1, 0) and Q = (1 − α, α). (c) The slopes at 0
    are β((2 − α)/2 − 1) and αβ/2, and DPO's are −β/2 and β/2.""",
    example=Example(
        "MIO's least loss over scores for two laws that overlap, beside 2 ln 2 − 2·JSD(P, Q_α)",
        lowest_loss,
        less_information,
        {"chosen": (0.7, 0.2, 0.1), "rejected": (0.2, 0.3, 0.5), "mix": 0.5},
    ),
    false_neighbours=(
        Identity("the floor is reached where P and R overlap", least, p * floor),
        Identity(
            "the floor is 2 ln 2 − JSD",
            floor,
            start - twice_jsd(POINT, HALF_MIX) / 2,
        ),
        Identity(
            "the start depends on α, as (2 − α) ln 2 does",
            loss(beta).subs({z_w: 0, z_l: 0}),
            (2 - alpha) * start / 2,
        ),
        Identity(
            "the first gradient is half of DPO's for every α",
            at_zero(loss(beta), z_w),
            at_zero(dpo, z_w) / 2,
        ),
        Identity(
            "MIO at 2β is DPO to second order",
            at_zero(loss(beta / alpha), z_w, z_w),
            at_zero(dpo, z_w, z_w),
        ),
    ),
    mutants=(
        off("preference_loss_floor"),
        HALF_LOSS,
        loss_at("MIO for all", mix=0.5),
    ),
    uses=("mio_is_half_mixed_js", "mio_anchor"),
    about=("preference_loss_floor", "preference_loss"),
    reference="This project; the loss: Chen et al. 2024 (arXiv 2402.05369), section 4 (NCA).",
)
