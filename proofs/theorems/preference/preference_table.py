"""Each named preference loss is one cell of the table bound × mix."""

import sympy as sp

from proofs.engine import (
    HALF,
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Theorem,
    dv,
    js,
    loss_at,
    nwj,
    oracles,
    pair_loss,
    partition,
    positives,
    reals,
    sigmoid,
    strategies,
)

u, v, v2, delta = reals(
    "u v v2 delta"
)  # T of the chosen response, of the rejected ones, and BCO's shift
(ref,) = positives("pi_ref")  # π_ref of the chosen response
chosen_only, rejected_only = (1, 0), (0, 1)


def chi2(p, q, t):
    """The χ² bound, 2 E_P(eᵀ − 1) − E_Q(e^{2T} − 1): least squares."""
    return 2 * partition(p, t) - partition(q, [2 * s for s in t]) - 1


BOUNDS = {"dv": dv, "js": js, "nwj": nwj, "chi2": chi2}
CONSTANTS = {"dv": {HALF: sp.log(2), 1: 0}, "js": {HALF: 2 * sp.log(2), 1: 2 * sp.log(2)}}


def cell(bound, mix, scores=(u, v)):
    """constant − bound, the positive being the chosen response and the negatives Q = (1 − α, α) on both."""
    return CONSTANTS.get(bound, {}).get(mix, 0) - BOUNDS[bound](chosen_only, (1 - mix, mix), scores)


# name: bound, mix, k, c, the published formula, and the same in proofs.engine.oracles, where cell = k · formula + c
TABLE = {
    "DPO": ("dv", HALF, 1, 0, -sp.log(sigmoid(u - v)), oracles.dpo),
    "linear": ("dv", 1, 1, 0, v - u, lambda chosen, rejected: rejected - chosen),
    "MIO = NCA pair": (
        "js",
        HALF,
        1,
        0,
        -sp.log(sigmoid(u)) - HALF * sp.log(sigmoid(-u)) - HALF * sp.log(sigmoid(-v)),
        oracles.nca_pair,
    ),
    "biased NCA = BCO at δ = 0 = DIL-BCE": (
        "js",
        1,
        1,
        0,
        -sp.log(sigmoid(u)) - sp.log(sigmoid(-v)),
        oracles.bco_pair,
    ),
    "DIL-UKL": ("nwj", 1, 1, -1, -u + sp.exp(v), oracles.dil_ukl),
    "DIL-LSIF": ("chi2", 1, 2, 1, -sp.exp(u) + sp.exp(2 * v) / 2, oracles.dil_lsif),
}
infonca = -sp.log(sp.exp(u) / (sp.exp(u) + sp.exp(v) + sp.exp(v2)))


PAIR = {"chosen": strategies.scores(4), "rejected": strategies.scores(4)}
THEOREM = Theorem(
    slug="preference_table",
    title="the table bound × mix: DPO, linear, MIO = NCA, BCE = BCO, UKL, LSIF, InfoNCA",
    purpose="To find a published preference loss in the table bound × mix.",
    setting="""Let u and v be the scores T of the chosen and of the rejected response of a pair; P the point mass at
    the chosen, Q_α its weight 1 − α and the rejected one's α; the bounds as in the library, T ≈ ln dP/dQ: DV, JS,
    NWJ = 1 + E_P T − E_Q eᵀ, χ² = 2 E_P(eᵀ − 1) − E_Q(e^{2T} − 1).""",
    formula=r"""L_{\text{bound},\alpha}(u, v) = \text{constant} - \text{bound}\bigl(\delta_w,\; (1-\alpha)\,\delta_w
    + \alpha\,\delta_l;\; T\bigr), \qquad T_w = u,\ T_l = v""",
    assumptions=(
        "finite scores; one pair, or one chosen and K − 1 rejected responses for InfoNCA",
        "the published formulas for whole responses: z is a sum over tokens in all of them (DIL's code averages)",
        "identities of loss values: nothing is said about how the methods sample, normalise or anneal",
    ),
    parts=(
        Part(
            "a",
            """Then constant − bound is: (dv, ½) with the constant ln 2: DPO; (dv, 1) with 0: v − u; (js, ½) with
            2 ln 2: MIO = pairwise NCA; (js, 1) with 2 ln 2: −ln σ(u) − ln σ(−v), which is biased NCA, DIL-BCE and
            BCO at δ = 0, BCO at any δ being its value at T − δ; (nwj, 1) with 0: DIL-UKL −u + eᵛ, less 1; (χ², 1)
            with 0: twice DIL-LSIF −eᵘ + ½ e^{2v}, plus 1; InfoNCE with K candidates and ln K: InfoNCA. DIL's
            three are at β = 1, T = ln π/π_ref; its UKL is −ln π_w + eᵛ, which differs from −u + eᵛ by the
            constant −ln π_ref,w.""",
            checks=(
                *[
                    Identity(
                        f"{name} is ({bound}, {mix})", cell(bound, mix), factor * formula + constant
                    )
                    for name, (bound, mix, factor, constant, formula, _) in TABLE.items()
                ],
                Identity(
                    "BCO at δ is (js, 1) at T − δ",
                    cell("js", 1, (u - delta, v - delta)),
                    -sp.log(sigmoid(u - delta)) - sp.log(sigmoid(delta - v)),
                ),
                Identity(
                    "DIL-UKL as published, in π_w = π_ref,w eᵘ",
                    -sp.log(ref * sp.exp(u)),
                    -u - sp.log(ref),
                ),
                Identity(
                    "NWJ as published at T + 1",
                    1 - nwj(chosen_only, rejected_only, (u, v)),
                    1 - ((u + 1) - sp.exp(-1) * sp.exp(v + 1)),
                ),
                Identity(
                    "InfoNCA with two rejected is InfoNCE of K = 3",
                    sp.log(3) - dv((1, 0, 0), (sp.Rational(1, 3),) * 3, (u, v, v2)),
                    infonca,
                ),
                *[
                    Shipped(
                        f"mi.preference_loss({bound}, {mix}) is {name}",
                        PAIR,
                        lambda chosen, rejected, bound=bound, mix=mix: pair_loss(
                            chosen, rejected, bound, float(mix)
                        ),
                        lambda chosen, rejected, k=factor, c=constant, formula=formula: (
                            k * formula(chosen, rejected) + c
                        ),
                    )
                    for name, (bound, mix, factor, constant, _, formula) in TABLE.items()
                ],
                Shipped(
                    "mi.preference_loss(js, 1) at T − δ is BCO",
                    PAIR | {"delta": strategies.scores(4)},
                    lambda chosen, rejected, delta: pair_loss(
                        chosen - delta, rejected - delta, "js", 1.0
                    ),
                    oracles.bco_pair,
                ),
                Shipped(
                    "mi.preference_loss(infonce) is InfoNCA",
                    PAIR | {"rejected": strategies.vectors(2, 4)},
                    lambda chosen, rejected: pair_loss([chosen], [rejected], "infonce"),
                    oracles.infonca,
                ),
            ),
            kernel=r"""
                (forall u v : R, let T := pair_of u v in
                     ln 2 - dv two chosen (with_mix (1/2)) T = - ln (sg (u - v))
                     /\ 0 - dv two chosen (with_mix 1) T = v - u
                     /\ 2 * ln 2 - js two chosen (with_mix (1/2)) T
                          = - ln (sg u) - 1/2 * ln (sg (- u)) - 1/2 * ln (sg (- v))
                     /\ 2 * ln 2 - js two chosen (with_mix (1/2)) T = sp (- u) + 1/2 * sp u + 1/2 * sp v
                     /\ 2 * ln 2 - js two chosen (with_mix 1) T = - ln (sg u) - ln (sg (- v))
                     /\ 0 - nwj two chosen (with_mix 1) T = (- u + exp v) - 1
                     /\ 0 - chi2_bound two chosen (with_mix 1) T = 2 * (- exp u + 1/2 * exp (2 * v)) + 1)
                  /\ (forall u v delta : R,
                     2 * ln 2 - js two chosen (with_mix 1) (fun b => pair_of u v b - delta)
                       = - ln (sg (u - delta)) - ln (sg (- (v - delta))))
                  /\ (forall (u : R) (vs : list R), vs <> [] ->
                     let K := INR (S (length vs)) in
                     ln K - (u - ln (mean (u :: vs) exp)) = - ln (exp u / (exp u + sum vs exp)))
                  /\ (forall u v reference : R, 0 < reference ->
                     - ln (reference * exp u) + exp v = (- u + exp v) - ln reference)
                """,
        ),
        Part(
            "b",
            "At T = 0 the cells are, in this order, ln 2, 0, 2 ln 2, 2 ln 2, 0, 0 and ln K.",
            checks=(
                *[
                    Identity(f"{name} at zero scores", cell(bound, mix, (sp.S(0),) * 2), start)
                    for (name, (bound, mix, *_)), start in zip(
                        TABLE.items(),
                        (sp.log(2), 0, 2 * sp.log(2), 2 * sp.log(2), 0, 0),
                        strict=True,
                    )
                ],
                Identity(
                    "InfoNCA at zero scores, K = 3", infonca.subs({u: 0, v: 0, v2: 0}), sp.log(3)
                ),
            ),
            kernel=r"""
                let T := pair_of 0 0 in
                  ln 2 - dv two chosen (with_mix (1/2)) T = ln 2
                  /\ 0 - dv two chosen (with_mix 1) T = 0
                  /\ 2 * ln 2 - js two chosen (with_mix (1/2)) T = 2 * ln 2
                  /\ 2 * ln 2 - js two chosen (with_mix 1) T = 2 * ln 2
                  /\ 0 - nwj two chosen (with_mix 1) T = 0
                  /\ 0 - chi2_bound two chosen (with_mix 1) T = 0
                  /\ (forall n, let K := INR (S n) in ln K - (0 - ln (mean (0 :: repeat 0 n) exp)) = ln K)
                """,
        ),
    ),
    proof="""Put the point mass into each bound. −ln σ(t) = sp(−t) gives the two JS cells and DPO; the others are read
    off. The usual NWJ critic is T' = T + 1, in which E_P T' − e⁻¹ E_Q e^{T'} is the form above. −ln π_w = −u − ln
    π_ref,w.""",
    example=Example(
        "the cell (χ², 1) of the shipped table, beside twice DIL's LSIF loss plus 1",
        lambda chosen, rejected: pair_loss(chosen, rejected, "chi2", 1.0),
        lambda chosen, rejected: 2 * oracles.dil_lsif(chosen, rejected) + 1,
        {"chosen": 0.5, "rejected": -1.0},
    ),
    false_neighbours=(
        Identity("DPO at α = 1", cell("dv", 1), TABLE["DPO"][4]),
        Identity(
            "DIL-BCE at the half-mix", cell("js", HALF), -sp.log(sigmoid(u)) - sp.log(sigmoid(-v))
        ),
        Identity(
            "DIL-UKL with NWJ's usual critic T' = T: eᵛ⁻¹ − u",
            sp.exp(v - 1) - u,
            cell("nwj", 1) + 1,
        ),
        Identity("DIL-UKL without the constant", cell("nwj", 1), TABLE["DIL-UKL"][4]),
        Identity("DIL-LSIF in the NWJ row", cell("nwj", 1) + 1, TABLE["DIL-LSIF"][4]),
        Identity("DPO in the JS row", cell("js", HALF), TABLE["DPO"][4] + sp.log(2)),
    ),
    mutants=(
        loss_at("half-mix only", mix=0.5),
        loss_at("shifted", chosen=lambda t: t - 1, rejected=lambda t: t - 1),
        Mutant(
            "preference_loss", "chi2 halved", lambda f: lambda *a: f(*a) / (1 + (a[2] == "chi2"))
        ),
    ),
    uses=("dpo_is_half_mixed_dv", "mio_is_half_mixed_js"),
    about=("preference_loss",),
    reference="""DPO: arXiv 2305.18290, eq. 7; NCA and InfoNCA: 2402.05369, sections 4 and 3; BCO: 2404.04656; DIL:
    2503.05079; MIO: 2506.22578.""",
)
