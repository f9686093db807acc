"""MIO is the Jensen–Shannon bound on the half-mixed product law, and term for term pairwise NCA."""

from itertools import product

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    AS_DPO,
    HALF,
    HALF_LOSS,
    TURNED,
    Example,
    Identity,
    Part,
    Shipped,
    Sum,
    Theorem,
    dpo_loss,
    expect,
    js,
    js_loss,
    mixture,
    normalised,
    on_law,
    oracles,
    pair_loss,
    population_loss,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
    word,
)

beta, a = positives("beta a")  # α = a/(1 + a)
z_w, z_l, at = reals("z_w z_l z")
u, v = beta * z_w, beta * z_l
alpha = a / (1 + a)


def gradient_at_zero(value):
    """(∂/∂z_w, ∂/∂z_l) at z = 0."""
    return [sp.diff(value, z).subs({z_w: 0, z_l: 0}) for z in (z_w, z_l)]


dpo, mio = dpo_loss(u, v), js_loss(u, v)
nca_pair = -sp.log(sigmoid(u)) - HALF * sp.log(sigmoid(-u)) - HALF * sp.log(sigmoid(-v))

# Population: any joint law of (chosen, rejected) on 2 responses, with its marginals P and R; T is the reward of each.
CELLS, T = normalised(positives("c11 c12 c21 c22")), reals("t1 t2")
P, R = (CELLS[0] + CELLS[1], CELLS[2] + CELLS[3]), (CELLS[0] + CELLS[2], CELLS[1] + CELLS[3])
mixed = mixture(P, R, alpha)
population = expect(CELLS, [js_loss(*rewards, mix=alpha) for rewards in product(T, repeat=2)])


def shipped_bound(pairs, t, mix):
    """The same by the shipped Jensen–Shannon bound: 2 ln 2 − mi.js of (P, (1 − α) P + α R)."""
    chosen, rejected = oracles.marginals(pairs)
    mixed = mixture(chosen, rejected, mix)
    return 2 * oracles.ln(2) - on_law(mi.js, chosen, mixed, t)


def oracle_population(pairs, t, mix):
    """2 ln 2 minus the Jensen–Shannon value of (P, (1 − α) P + α R)."""
    chosen, rejected = oracles.marginals(pairs)
    mixed = mixture(chosen, rejected, mix)
    return 2 * oracles.ln(2) - oracles.js(chosen, mixed, t)


PAIR = {"chosen": strategies.scores(12), "rejected": strategies.scores(12)}
POPULATION = {"pairs": strategies.joint_laws(3, 3, zeros=True), "t": strategies.vectors(3)}
THEOREM = Theorem(
    slug="mio_is_half_mixed_js",
    title="MIO is JS on half-mixed pairs: 2 ln 2 − JS, and the same as pairwise NCA",
    purpose="To read MIO as an estimator's bound on pairs: start here for the paper's loss.",
    setting="""Let z_w and z_l be the log-ratios ln π/π_ref of the chosen and the rejected response, β > 0 and L_α =
    sp(−βz_w) + (1 − α) sp(βz_w) + α sp(βz_l), α in (0, 1]; MIO is α = ½.""",
    formula=r"""L_{\mathrm{MIO}} = \mathrm{sp}(-\beta z_w) + \tfrac12 \mathrm{sp}(\beta z_w) + \tfrac12
    \mathrm{sp}(\beta z_l) = 2\ln 2 - \mathrm{JS}(T;\, P, \tfrac12(P + R))""",
    assumptions=(
        "z_w and z_l are finite; β > 0",
        "population: one prompt, finitely many responses, T(y) = βz(y) the same function for chosen and rejected",
        "equality: P and R have mass at every response",
    ),
    parts=(
        Part(
            "a",
            """For one pair L_α = 2 ln 2 − JS, the Jensen–Shannon value with critic T = βz, positive z_w, and
            negatives z_w, z_l of weights 1 − α, α.""",
            checks=(
                Identity(
                    "one pair, any α",
                    js_loss(u, v, alpha),
                    2 * sp.log(2) - word("JS", js((1, 0), (1 - alpha, alpha), (u, v))),
                ),
                Identity(
                    "one pair, α = 1", js_loss(u, v, 1), 2 * sp.log(2) - js((1, 0), (0, 1), (u, v))
                ),
            ),
            kernel=r"""
                forall a beta zw zl : R, 0 < a <= 1 -> 0 < beta ->
                  js_loss a (beta * zw) (beta * zl)
                    = 2 * ln 2 - js two chosen (mixed a chosen rejected) (pair_of (beta * zw) (beta * zl))
                """,
        ),
        Part(
            "b",
            """Over any joint law of pairs whose chosen and rejected responses have the marginals P and R, E L_α =
            2 ln 2 − JS(P, Q_α; T) with Q_α = (1 − α) P + α R, so E L_α ≥ 2 ln 2 − 2·JSD(P, Q_α), with equality
            iff T = ln dP/dQ_α.""",
            checks=(
                Identity(
                    "population, any α, any joint law on 2 responses",
                    population,
                    2 * sp.log(2) - js(P, mixed, T),
                ),
                Shipped(
                    "mean preference_loss(js, α) over pairs is 2 ln 2 − JS(P, Q_α; T)",
                    POPULATION | strategies.MIX,
                    lambda pairs, t, mix: population_loss(pairs, t, mix=mix),
                    oracle_population,
                ),
                Shipped(
                    "2 ln 2 − mi.js of P and Q_α is 2 ln 2 − JS(P, Q_α; T)",
                    POPULATION | strategies.MIX,
                    shipped_bound,
                    oracle_population,
                ),
                Shipped(
                    "mean preference_loss(js, 1) over pairs is 2 ln 2 − JS(P, R; T)",
                    POPULATION,
                    lambda pairs, t: population_loss(pairs, t, mix=1.0),
                    lambda pairs, t: oracle_population(pairs, t, 1.0),
                ),
            ),
            by_hand=(
                Sum(
                    "from 2 responses to any finite number: the mean over pairs is a sum over P and a sum over R"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (A : X * X -> R) (T : X -> R) (a : R),
                  law (list_prod l l) A -> 0 < a <= 1 ->
                  let P := fst_law l A in
                  let Q := mixed a P (snd_law l A) in
                  let mean_loss := E (list_prod l l) A (fun c => js_loss a (T (fst c)) (T (snd c))) in
                  mean_loss = 2 * ln 2 - js l P Q T
                  /\ 2 * ln 2 - 2 * jsd l P Q <= mean_loss
                  /\ (full l P -> full l (snd_law l A) ->
                      (mean_loss = 2 * ln 2 - 2 * jsd l P Q <-> forall x, In x l -> T x = ln (P x / Q x)))
                """,
        ),
        Part(
            "c",
            "L_½ is pairwise NCA, −ln σ(βz_w) − ½ ln σ(−βz_w) − ½ ln σ(−βz_l), term for term.",
            checks=(
                Identity("L_½ is the published pairwise NCA", mio, nca_pair),
                Shipped(
                    "preference_loss(js, ½) is the published NCA pair",
                    PAIR,
                    pair_loss,
                    oracles.nca_pair,
                ),
            ),
            kernel=r"""
                forall beta zw zl : R,
                  sp (- (beta * zw)) = - ln (sg (beta * zw))
                  /\ 1/2 * sp (beta * zw) = - (1/2) * ln (sg (- (beta * zw)))
                  /\ 1/2 * sp (beta * zl) = - (1/2) * ln (sg (- (beta * zl)))
                  /\ js_loss (1/2) (beta * zw) (beta * zl)
                     = - ln (sg (beta * zw)) - 1/2 * ln (sg (- (beta * zw))) - 1/2 * ln (sg (- (beta * zl)))
                """,
        ),
        Part(
            "d",
            "At z = 0, L_α = 2 ln 2 for every α, and the gradient of L_½ is half of DPO's.",
            checks=(
                Identity("L_α = 2 ln 2 at z = 0", js_loss(0, 0, alpha), 2 * sp.log(2)),
                *[
                    Identity(f"at z = 0, ∂L_½/∂{z} is half of DPO's", ours, theirs / 2)
                    for z, ours, theirs in zip(
                        (z_w, z_l), gradient_at_zero(mio), gradient_at_zero(dpo), strict=True
                    )
                ],
            ),
            kernel=r"""
                forall beta : R, 0 < beta ->
                  (forall a, js_loss a (beta * 0) (beta * 0) = 2 * ln 2)
                  /\ is_derive (fun z => dpo (beta * z) (beta * 0)) 0 (- beta / 2)
                  /\ is_derive (fun z => dpo (beta * 0) (beta * z)) 0 (beta / 2)
                  /\ is_derive (fun z => js_loss (1/2) (beta * z) (beta * 0)) 0 (1/2 * (- beta / 2))
                  /\ is_derive (fun z => js_loss (1/2) (beta * 0) (beta * z)) 0 (1/2 * (beta / 2))
                """,
        ),
    ),
    proof="""JS(P, Q; T) = 2 ln 2 − E_P sp(−T) − E_Q sp(T); put the point mass at z_w for P and the weights 1 − α, α
    at z_w and z_l for Q. A mean over pairs separates into a mean over P and one over R, since no term has both. The
    inequality and its equality are log_ratio_optimality, row js, for P and Q_α. −ln σ(t) = sp(−t) gives NCA.""",
    example=Example(
        "2 ln 2 less the JS value of one half-mixed pair, beside pairwise NCA's loss",
        lambda chosen, rejected: (
            2 * oracles.ln(2) - oracles.js((1, 0), (0.5, 0.5), (chosen, rejected))
        ),
        oracles.nca_pair,
        {"chosen": 1.0, "rejected": -1.0},
    ),
    false_neighbours=(
        Identity("MIO is DPO up to a constant", sp.diff(mio, z_w), sp.diff(dpo, z_w)),
        Identity(
            "the ½ on the wrong term", softplus(-u) / 2 + softplus(u) + softplus(v) / 2, nca_pair
        ),
        Identity(
            "the rejected term with the sign of the chosen one",
            softplus(-u) + softplus(u) / 2 + softplus(-v) / 2,
            mio,
        ),
        Identity("the negatives are R alone, for every α", population, 2 * sp.log(2) - js(P, R, T)),
        Identity(
            "at z = 0 the gradient equals DPO's", gradient_at_zero(mio)[0], gradient_at_zero(dpo)[0]
        ),
    ),
    mutants=(
        TURNED,
        AS_DPO,
        HALF_LOSS,
    ),
    uses=("log_ratio_optimality",),
    about=(
        "preference_loss",
        "js",
    ),
    reference="""Lv et al. 2025 (arXiv 2506.22578), eq. 15 as its referees cite it; Chen et al. 2024 (arXiv
    2402.05369), section 4 (NCA); TRL, loss_type nca_pair.""",
)
