"""Pairwise NCA and MIO are the same function, and NCA in general is a Jensen–Shannon bound."""

from math import log

import numpy as np
import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    HALF,
    Example,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sum,
    Theorem,
    Values,
    integers,
    js,
    loss_at,
    normalised,
    off,
    on_law,
    oracles,
    pair_gradient,
    pair_loss,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
)

beta, w, pi_w, ref_w, pi_l, ref_l = positives("beta w pi_w ref_w pi_l ref_l")
z_w, z_l, r = reals("z_w z_l r")
u, v = beta * z_w, beta * z_l

# (−ln σ terms of NCA, softplus terms of MIO), in the same order
TERMS = (
    (-sp.log(sigmoid(u)), softplus(-u)),
    (-HALF * sp.log(sigmoid(-u)), HALF * softplus(u)),
    (-HALF * sp.log(sigmoid(-v)), HALF * softplus(v)),
)
nca_pair, mio = (sp.Add(*side) for side in zip(*TERMS, strict=True))
biased_nca = -sp.log(sigmoid(u)) - sp.log(sigmoid(-v))
# The same loss in the probabilities themselves, as x^β/(1 + x^β) with x = π/π_ref.
ratio_w, ratio_l = (pi_w / ref_w) ** beta, (pi_l / ref_l) ** beta
in_ratios = -sp.log(ratio_w / (1 + ratio_w)) + (sp.log(1 + ratio_w) + sp.log(1 + ratio_l)) / 2
of_probabilities: Values = {z_w: sp.log(pi_w / ref_w), z_l: sp.log(pi_l / ref_l)}

# K responses with a label law w; here K is symbolic for one term, and 3 in full.
(K,) = integers("K")
term = -w * sp.log(sigmoid(r)) - sp.log(sigmoid(-r)) / K
LABELS, R = normalised(positives("w1 w2 w3")), reals("r1 r2 r3")
nca = sum(-x * sp.log(sigmoid(s)) - sp.log(sigmoid(-s)) / 3 for x, s in zip(LABELS, R, strict=True))
THIRDS = (sp.Rational(1, 3),) * 3


def shipped(chosen, rejected, beta, mix=0.5):
    """The shipped loss of one example, from log-ratios."""
    return pair_loss(beta * chosen, beta * np.array(rejected), mix=mix)


def published_gradient(chosen, rejected, beta):
    """The slopes of the three published terms: −σ(−βz_w) + ½ σ(βz_w) and ½ σ(βz_l)."""
    own, other = (oracles.tilted((1, 1), (beta * z, 0))[0] for z in (chosen, rejected))
    return [own - 1 + own / 2, other / 2]


PAIR = strategies.PAIR | {"beta": strategies.temperatures()}


def less_js(labels, rewards):
    """2 ln 2 − JS(w, uniform; r)."""
    uniform = [1 / len(labels)] * len(labels)
    return 2 * oracles.ln(2) - oracles.js(labels, uniform, rewards)


THEOREM = Theorem(
    slug="nca_equals_mio",
    title="pairwise NCA is MIO, term by term; NCA for K labelled responses is a JS bound",
    purpose="To know that MIO is pairwise NCA, which other libraries ship already.",
    setting="Two published losses in the library's words, sp(t) = ln(1 + eᵗ) and σ = sp'.",
    formula=r"""-\ln\sigma(\beta z_w) - \tfrac12 \ln\sigma(-\beta z_w) - \tfrac12 \ln\sigma(-\beta z_l) =
    \mathrm{sp}(-\beta z_w) + \tfrac12\,\mathrm{sp}(\beta z_w) + \tfrac12\,\mathrm{sp}(\beta z_l)""",
    assumptions=(
        "π and π_ref give the responses positive probability, so that the log-ratios are finite; β > 0",
        "the same β, and the same convention for z in both (NCA and MIO sum over a response's tokens)",
        "for K responses: Σ w_i = 1, w_i ≥ 0",
    ),
    parts=(
        Part(
            "a",
            """With z = ln π/π_ref and β > 0 the published pairwise NCA loss −ln σ(βz_w) − ½ ln σ(−βz_w) − ½ ln
            σ(−βz_l) equals MIO, sp(−βz_w) + ½ sp(βz_w) + ½ sp(βz_l), term by term at every (z_w, z_l, β); hence
            also its gradient under every parametrisation.""",
            checks=(
                *[
                    Identity(f"term {i + 1} of NCA and of MIO", ours, theirs)
                    for i, (theirs, ours) in enumerate(TERMS)
                ],
                Identity(
                    "the losses, as functions of the probabilities",
                    mio.subs(of_probabilities),
                    in_ratios,
                ),
                Shipped(
                    "preference_loss(js, ½) is the published NCA pair",
                    PAIR,
                    shipped,
                    lambda chosen, rejected, beta: oracles.nca_pair(beta * chosen, beta * rejected),
                ),
                Shipped(
                    "the gradient of preference_loss(js, ½) is that of the published terms",
                    PAIR,
                    lambda chosen, rejected, beta: pair_gradient(beta * chosen, beta * rejected),
                    published_gradient,
                ),
            ),
            kernel=r"""
                (forall beta zw zl : R,
                     - ln (sg (beta * zw)) = sp (- (beta * zw))
                     /\ - (1/2) * ln (sg (- (beta * zw))) = 1/2 * sp (beta * zw)
                     /\ - (1/2) * ln (sg (- (beta * zl))) = 1/2 * sp (beta * zl)
                     /\ nca_pair (beta * zw) (beta * zl) = js_loss (1/2) (beta * zw) (beta * zl))
                  /\ (forall (beta : R) (zw zl : R -> R) (t d : R),
                     is_derive (fun t => nca_pair (beta * zw t) (beta * zl t)) t d <->
                     is_derive (fun t => js_loss (1/2) (beta * zw t) (beta * zl t)) t d)
                """,
        ),
        Part(
            "b",
            """For K responses with rewards r_i = βz_i and a label law w, NCA = −Σ w_i ln σ(r_i) − (1/K) Σ ln
            σ(−r_i) is 2 ln 2 − JS(w, uniform; r), minimal at r_i = ln(K w_i) for w_i > 0 (r_i → −∞ for w_i = 0)
            with the value 2 ln 2 − 2·JSD(w, uniform).""",
            checks=(
                Identity(
                    "NCA = 2 ln 2 − JS(w, uniform; r), K = 3",
                    nca,
                    2 * sp.log(2) - js(LABELS, THIRDS, R),
                ),
                Minimum(
                    "a term of NCA, any K",
                    term,
                    r,
                    sp.log(K * w),
                    w * sp.log(1 + 1 / (K * w)) + sp.log(1 + K * w) / K,
                ),
                Shipped(
                    "2 ln 2 − mi.js(w, uniform) is the published NCA, K = 3, labels without mass included",
                    {"w": strategies.laws(3, zeros=True), "r": strategies.vectors(3)},
                    lambda w, r: 2 * oracles.ln(2) - on_law(mi.js, w, [1 / 3] * 3, r),
                    lambda w, r: oracles.nca(w, r),
                ),
            ),
            by_hand=(
                Sum(
                    "from one term to K of them: a sum of terms with free rewards (K = 3 is checked in full)"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (w : X -> R),
                  law l w ->
                  let K := INR (length l) in
                  (forall r, nca l w r = 2 * ln 2 - js l w (fun _ => / K) r)
                  /\ is_inf (fun v => exists r, v = nca l w r) (2 * ln 2 - 2 * jsd l w (fun _ => / K))
                  /\ (forall r, nca l w r = sum l (fun x => w x * sp (- r x) + / K * sp (r x)))
                  /\ (forall c t, 0 < c -> t <> ln (K * c) ->
                        c * sp (- ln (K * c)) + / K * sp (ln (K * c)) < c * sp (- t) + / K * sp t)
                  /\ (forall s t, s < t -> 0 * sp (- s) + / K * sp s < 0 * sp (- t) + / K * sp t)
                """,
        ),
        Part(
            "c",
            """With one chosen response (w a point mass) it is L_α = sp(−βz_w) + (1 − α) sp(βz_w) + (α/(K − 1)) Σ
            sp(βz_l) at α = 1 − 1/K.""",
            checks=(
                Identity(
                    "a point mass, K = 3: own weight ⅓, rejected ⅓ each",
                    softplus(-R[0]) + sum(map(softplus, R)) / 3,
                    2 * sp.log(2) - js((1, 0, 0), THIRDS, R),
                ),
                Identity(
                    "α = 1 − 1/K leaves 1/K to each of the K − 1 rejected",
                    (1 - 1 / (K + 1)) / K,
                    1 / (K + 1),
                ),
                Shipped(
                    "preference_loss(js, 1 − 1/K) is the published NCA of K responses, K = 4",
                    PAIR | {"rejected": strategies.vectors(3)},
                    lambda **given: shipped(**given, mix=0.75),
                    lambda chosen, rejected, beta: oracles.nca(
                        (1, 0, 0, 0), [beta * z for z in (chosen, *rejected)]
                    ),
                ),
            ),
            kernel=r"""
                forall (u : R) (vs : list R), vs <> [] ->
                  let n := INR (length vs) in
                  let a := 1 - / INR (S (length vs)) in
                  nca (candidates u vs) on_chosen snd = sp (- u) + (1 - a) * sp u + a / n * sum vs sp
                """,
        ),
        Part(
            "d",
            """The variant −ln σ(βz_w) − ln σ(−βz_l) (biased NCA) is L_1, K = 2; MIO exceeds it by ½ (sp(βz_w) −
            sp(βz_l)).""",
            checks=(
                Identity(
                    "biased NCA is js at α = 1",
                    biased_nca,
                    2 * sp.log(2) - js((1, 0), (0, 1), (u, v)),
                ),
                Identity("MIO − biased NCA", mio - biased_nca, (softplus(u) - softplus(v)) / 2),
            ),
            kernel=r"""
                forall u v : R,
                  - ln (sg u) - ln (sg (- v)) = js_loss 1 u v
                  /\ js_loss (1/2) u v - js_loss 1 u v = 1/2 * (sp u - sp v)
                """,
        ),
    ),
    proof="""−ln σ(t) = ln(1 + e^{−t}) = sp(−t), applied to each term. Σ w_i sp(−r_i) + (1/K) Σ sp(r_i) is 2 ln 2 − JS
    with P = w and Q uniform on the K responses. A term w sp(−r) + (1/K) sp(r) is strictly convex and stationary at eʳ
    = K w. A point mass at the chosen response leaves it the weight 1/K in Q, and (1 − 1/K)/(K − 1) = 1/K to each
    rejected one.""",
    example=Example(
        "the published NCA loss of three labelled responses, beside 2 ln 2 − JS(w, uniform; r)",
        oracles.nca,
        less_js,
        {"labels": (0.7, 0.2, 0.1), "rewards": (1.0, 0.0, -1.0)},
    ),
    false_neighbours=(
        Identity("biased NCA is MIO too", biased_nca, mio),
        Identity(
            "without the chosen one's own negative: −ln σ(βz_w) − ½ ln σ(−βz_l)",
            mio,
            TERMS[0][0] + TERMS[2][0],
        ),
        Identity("at another β: NCA at 2β is MIO at β", nca_pair.subs(beta, 2 * beta), mio),
        Identity(
            "a term is minimal at r = ln w, without K", sp.diff(term, r).subs(r, sp.log(w)), 0
        ),
    ),
    mutants=(
        off("js", -2 * log(2)),
        loss_at("biased NCA", mix=1.0),
    ),
    uses=("mio_is_half_mixed_js", "log_ratio_optimality"),
    about=("preference_loss", "js"),
    reference="""Chen et al. 2024 (arXiv 2402.05369), section 4 (NCA), its code (NCA, biasedNCA), and TRL's
    loss_type nca_pair.""",
)
