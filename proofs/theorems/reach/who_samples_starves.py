"""Who supplies the correct answer decides which gradient starves, more than which bound it is."""

from functools import partial
from itertools import product

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import chosen_pull, drawn_js_weight, missed_mass, rejected_push
from proofs.engine import (
    TURNED,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    dpo_loss,
    dv,
    gradient,
    instead,
    js,
    js_loss,
    log_ratios,
    logs,
    normalised,
    numerics,
    nwj,
    oracles,
    pair_gradient,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
)

# Sampled: three responses with π = Q, any law P, and a critic that is held at T* = ln P/π while π moves.
P, Q, T = normalised(positives("a1 a2 a3")), positives("q1 q2 q3"), reals("t1 t2 t3")
THETA = reals("theta1 theta2 theta3")
PI = normalised([sp.exp(x) for x in THETA])
BOUNDS = {"DV": dv, "NWJ": nwj, "JS": js}

# Supplied: u = βz_w, v = βz_l, α = a/(1 + a); p = e/(1 + e); s = 1/√p.
u, v = reals("u v")
a, beta, e, t, s = positives("a beta e t s")
alpha, p = a / (1 + a), e / (1 + e)
weight_js = -beta * sp.diff(js_loss(u, v, alpha), u)
weight_dpo = -beta * sp.diff(dpo_loss(u, v), u)


def at_optimum(expr, law):
    """The expression at T* = ln P/π."""
    return expr.subs(dict(zip(T, log_ratios(P, law), strict=True)))


def weight(bound):
    """What −bound's gradient puts on ∇ ln π(y) of the first response: −π_y ∂bound/∂π_y, T held at T*."""
    return at_optimum(-Q[0] * sp.diff(BOUNDS[bound](P, Q, T), Q[0]), Q)


def slope(bound):
    """The same gradient in the logit of the first response."""
    return at_optimum(-sp.diff(BOUNDS[bound](P, PI, T), THETA[0]), PI)


def omega(bound, x, y):
    """The claimed weight of a response with P_y = x and π_y = y."""
    return drawn_js_weight(y, x) if bound == "JS" else x


def claimed_slope(bound):
    """ω_1 − π_1 Σ ω."""
    weights = [omega(bound, x, y) for x, y in zip(P, PI, strict=True)]
    return weights[0] - PI[0] * sum(weights)


def shipped_slope(bound, target, theta):
    """The gradient of −bound in the logits of π, the library's bound at the critic ln P/π held fixed."""

    def loss(logits):
        log_pi = logits.log_softmax(-1)
        critic = logs(target) - log_pi.detach()
        return -getattr(mi, bound)(critic, critic, logs(target), log_pi)

    return gradient(loss, theta).tolist()


def proved_slope(bound, target, theta):
    """ω_y − π_y Σ ω by plain sums."""
    pi = oracles.tilted([1] * 3, theta)
    weights = [
        drawn_js_weight(y, x) if bound == "js" else x for x, y in zip(target, pi, strict=True)
    ]
    return [w - y * sum(weights) for w, y in zip(weights, pi, strict=True)]


def supplied_weights(mix, u, v):
    """What the shipped losses, DPO and JS, put on ∇ ln π(y_w) at β = 1."""
    return [-pair_gradient(u, v, *cell)[0] for cell in (("dv", 0.5), ("js", mix))]


GIVEN = {"target": strategies.laws(3), "theta": strategies.vectors(3, 4)}


def drawn_weight(p):
    """JS's weight on ∇ ln π(y⁺), T* = ln 1/p there and −∞ elsewhere: from the slope in the logit of y⁺."""
    score = oracles.ln(1 / p)

    def value(step):
        policy = oracles.tilted((p, 1 - p), (step, 0.0))
        return oracles.js((1, 0), policy, (score, -999.0))

    return -numerics.slope(value, 0.0) / (1 - p)


THEOREM = Theorem(
    slug="who_samples_starves",
    title="""a rare correct answer that must be drawn is missed under every bound; a supplied one starves none at
    first""",
    purpose="To see when a rare correct answer starves: when the policy must draw it.",
    setting="Softmax policy π with free logits on a finite set; p = π(y⁺), y⁺ the correct response.",
    formula=r"""\omega_{y^+} = 1 \ (\mathrm{DV}),\quad p \ln(1 + 1/p) \ (\mathrm{JS\ drawn}),\qquad \tfrac{\beta}{2}
    \ (\mathrm{DPO}),\quad \tfrac{\alpha\beta}{2} \ (\mathrm{JS\ supplied})""",
    assumptions=(
        "who samples: π in (a), (b), (d); the data in (c)",
        "(a) the critic is optimal and held fixed, the expectation exact; terms with P_y = 0 count 0",
        "(c) z = ln π/π_ref; on ∇ ln π(y_w) alone; y_w's logit rises by (1 − π_w) of it, plus π_w of y_l's",
    ),
    parts=(
        Part(
            "a",
            """Drawn by π: π takes the part of Q in a bound, P is the target law, T* = ln dP/dπ is held fixed
            while π moves. Then −∇bound = Σ_y ω_y ∇ ln π(y), in the logits ω_y − π_y Σ ω, with ω_y = P_y for DV
            and NWJ, and π_y ln(1 + P_y/π_y) for JS. For P on y⁺ alone: ω is 1 for DV and NWJ, whatever p, and p
            ln(1 + 1/p) < √p for JS (1.4·10⁻⁵ at p = 10⁻⁶).""",
            checks=(
                *[Identity(f"ω, {b}", weight(b), omega(b, P[0], Q[0])) for b in BOUNDS],
                *[Identity(f"in the logits, {b}", slope(b), claimed_slope(b)) for b in BOUNDS],
                Identity(
                    "JS, P on y⁺ alone: p sp(ln 1/p)", p * softplus(-sp.log(p)), drawn_js_weight(p)
                ),
                Identity(
                    "the slope of s − ln(1 + s²)",
                    sp.diff(s - sp.log(1 + s**2), s),
                    (1 - s) ** 2 / (1 + s**2),
                ),
                Sign(
                    "JS, P on y⁺ alone: ω is below 1.4·10⁻⁵ at p = 10⁻⁶",
                    drawn_js_weight(s),
                    "<",
                    than=sp.Rational("1.4e-5"),
                    at={s: sp.Rational(1, 10**6)},
                ),
                *[
                    Shipped(
                        f"mi.{b}, π in the part of Q",
                        GIVEN,
                        partial(shipped_slope, b),
                        partial(proved_slope, b),
                    )
                    for b in ("dv", "nwj", "js")
                ],
            ),
            by_hand=(
                Sum("""(a) is checked on three responses; any number: the weights are per response, and only Σ P = 1
                joins them"""),
                "s − ln(1 + s²) > 0 from its slope, which is 0 at s = 1 only",
            ),
            kernel=r"""
                (forall (X : Type) (l : list X) (P t d : X -> R), l <> [] -> law l P ->
                     let p := soft l t in
                     let w := fun y => P y / p y in
                     is_derive (fun s => dv_part l w (soft l (along t d s))) 0 (- along_log l P p d)
                     /\ is_derive (fun s => nwj_part l w (soft l (along t d s))) 0 (- along_log l P p d)
                     /\ is_derive (fun s => js_part l w (soft l (along t d s))) 0 (- along_log l (fun y =>
                       p y * ln (1 + P y / p y)) p d)
                     /\ (forall y, In y l -> P y = 0 -> p y * ln (1 + P y / p y) = 0))
                  /\ (forall p, 0 < p < 1 -> p * ln (1 + 1 / p) < sqrt p)
                  /\ Rabs (1 / 10 ^ 6 * ln (1 + 1 / (1 / 10 ^ 6)) - 14 / 10 ^ 6) < 5 / 10 ^ 7
                """,
        ),
        Part(
            "b",
            """Of n draws none is y⁺ with probability (1 − p)ⁿ; the plug-in gradient then has no term ∇ ln π(y⁺),
            for any bound.""",
            checks=(
                Identity(
                    "three draws, none of them y⁺",
                    sum(
                        sp.prod((1 - p, p)[hit] for hit in hits)
                        for hits in product((0, 1), repeat=3)
                        if not any(hits)
                    ),
                    missed_mass(p, 3),
                ),
            ),
            by_hand=("what is not drawn does not occur in a sum",),
            kernel=r"""
                forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X) (policy : X -> R)
                    (best : X) (n : nat),
                  NoDup l -> law l policy -> In best l ->
                  let hit := existsb (fun y => if dec y best then true else false) in
                  E (tuples n l) (iid policy) (fun s => if hit s then 0 else 1) = (1 - policy best) ^ n
                  /\ (forall (s : list X) (weight : X -> R), hit s = false -> sum s (fun y => weight y * at_
                    dec best y) = 0)
                """,
        ),
        Part(
            "c",
            """Supplied as y_w of a pair: the loss puts βσ(β(z_l − z_w)) (DPO) or β(1 − (2 − α) σ(βz_w)) (JS, mix
            α) on ∇ ln π(y_w): at π = π_ref it is β/2 or αβ/2, whatever p; it is larger for z_w < z_l (DPO) or z_w
            < 0 (JS), and tends to β as z_w → −∞ with z_l fixed.""",
            checks=(
                Identity("supplied, JS", weight_js, beta * chosen_pull(u, alpha)),
                Identity("supplied, DPO", weight_dpo, beta * sigmoid(v - u)),
                Identity("JS at π_ref", weight_js.subs(u, 0), alpha * beta / 2),
                Identity("DPO at π_ref", weight_dpo.subs({u: 0, v: 0}), beta / 2),
                Sign("JS falls in z_w", sp.diff(weight_js, u), "<"),
                Sign("DPO falls in z_w", sp.diff(weight_dpo, u), "<"),
                Sign("JS: more below z_w = 0", weight_js.subs(u, -t) - alpha * beta / 2, ">"),
                Sign("DPO: more below z_l", weight_dpo.subs(u, v - t) - beta / 2, ">"),
                Shipped(
                    "mi.preference_loss at any z",
                    {"mix": strategies.mixes(), "u": strategies.scores(), "v": strategies.scores()},
                    supplied_weights,
                    lambda mix, u, v: [rejected_push(v - u, 1), chosen_pull(u, mix)],
                ),
            ),
            by_hand=("σ(u) → 0 as u → −∞",),
            kernel=r"""
                forall (beta a : R), 0 < beta -> 0 < a <= 1 ->
                  let dpo_pull := fun zw zl => beta * sg (beta * (zl - zw)) in
                  let js_pull := fun zw => beta * (1 - (2 - a) * sg (beta * zw)) in
                  (forall zw zl, is_derive (fun z => - dpo (beta * z) (beta * zl)) zw (dpo_pull zw zl))
                  /\ (forall zw zl, is_derive (fun z => - js_loss a (beta * z) (beta * zl)) zw (js_pull zw))
                  /\ dpo_pull 0 0 = beta / 2 /\ js_pull 0 = a * beta / 2
                  /\ (forall zw zl, zw < zl -> beta / 2 < dpo_pull zw zl) /\ (forall zw, zw < 0 -> a * beta /
                    2 < js_pull zw)
                  /\ (forall zl e, 0 < e -> exists z0, forall zw, zw < z0 -> beta - e < dpo_pull zw zl < beta)
                  /\ (forall e, 0 < e -> exists z0, forall zw, zw < z0 -> beta - e < js_pull zw < beta)
                """,
        ),
        Part(
            "d",
            """DPO at π = π_ref on two draws of π, labelled, and used if just one of them is y⁺: the mean weight
            on ∇ ln π(y⁺) is βp(1 − p).""",
            checks=(
                Identity(
                    "DPO on drawn pairs",
                    sum(
                        p ** (i + j) * (1 - p) ** (2 - i - j) * beta / 2
                        for i, j in product((0, 1), repeat=2)
                        if i != j
                    ),
                    beta * p * (1 - p),
                ),
            ),
            kernel=r"""
                forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X) (policy : X -> R)
                    (best : X) (beta : R),
                  NoDup l -> law l policy -> In best l ->
                  let hit := fun y => if dec y best then true else false in
                  E (list_prod l l) (indep policy policy) (fun c => if xorb (hit (fst c)) (hit (snd c)) then
                    beta * sg (beta * (0 - 0)) else 0)
                    = beta * policy best * (1 - policy best)
                """,
        ),
    ),
    proof="""(a) −∇ of ln E_π eᵀ, E_π eᵀ and E_π sp(T) in π: ω_y = π_y eᵀ/E_π eᵀ, π_y eᵀ and π_y sp(T), and eᵀ =
    P_y/π_y with Σ P_y = 1. With s = 1/√p, s − ln(1 + s²) has the slope (1 − s)²/(1 + s²) ≥ 0 and is 0 at s = 0. (b)
    missed_mass, and a plug-in gradient is a sum over the draws. (c) Both are −β times the loss's derivative and
    decrease in u. (d) Two of the four kinds of pairs have just one y⁺, of probability p(1 − p) each.""",
    example=Example(
        "JS's weight on a right answer of probability 10⁻³ that the policy must draw, where DV's is 1",
        drawn_weight,
        drawn_js_weight,
        {"p": 1e-3},
    ),
    false_neighbours=(
        Identity("drawn, JS: ω = P_y too", weight("JS"), P[0]),
        Identity("drawn, DV: ω = π_y P_y", weight("DV"), Q[0] * P[0]),
        Sign(
            "supplied, JS: at least αβ/2 for z_w > 0 too",
            weight_js.subs(u, t) - alpha * beta / 2,
            ">=",
        ),
        Identity("supplied, JS: β/2 at π_ref, as DPO", weight_js.subs(u, 0), beta / 2),
    ),
    mutants=(
        instead("js", "dv"),
        TURNED,
    ),
    uses=("log_ratio_optimality", "missed_mass", "dpo_is_half_mixed_dv", "mio_is_half_mixed_js"),
    about=("dv", "nwj", "js", "preference_loss", "theory.drawn_js_weight"),
    reference="""This project; π as a generator: Nowozin et al. 2016 (f-GAN, arXiv 1606.00709), section 2.3.""",
)
