"""DPO is the Donsker–Varadhan bound on the half-mixed product law."""

from operator import neg

import sympy as sp

from proofs.engine import (
    HALF,
    TURNED,
    Certified,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    dv,
    kl,
    loss_at,
    off,
    oracles,
    pair_loss,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
)

beta, a, s, K = positives(
    "beta a s K"
)  # α = a/(1 + a); s = Σ e^{βz_l} over K − 1 rejected responses
z_w, z_l = reals("z_w z_l")
u, v = beta * z_w, beta * z_l
alpha = a / (1 + a)


def mixed_dv(mix):
    """DV with the one positive z_w and the negatives z_w, z_l of weights 1 − α, α."""
    return dv((1, 0), (1 - mix, mix), (u, v))


dpo = -sp.log(sigmoid(beta * (z_w - z_l)))

# Two responses, chosen ~ P = (p, 1 − p) and rejected ~ R = (1 − p, p) independent: M = (P + R)/2 is uniform. The best
# margin has e^margin = p²/(1 − p)², which gives the largest mean of ln 2 − L_DPO, called dpo_best.
(p,) = positives("p")
kl_of_mix = kl((p, 1 - p), (HALF, HALF))
odds = (p / (1 - p)) ** 2
dpo_best = p**2 * (sp.log(2) - sp.log(1 + 1 / odds)) + (1 - p) ** 2 * (sp.log(2) - sp.log(1 + odds))


PAIR = {"chosen": strategies.scores(12), "rejected": strategies.scores(12)}
THEOREM = Theorem(
    slug="dpo_is_half_mixed_dv",
    title="DPO is DV on half-mixed pairs: ln 2 − L_DPO",
    purpose="To read DPO as a DV bound on pairs, with the ceiling ln 2.",
    setting="""Let z_w and z_l be the log-ratios ln π/π_ref of the chosen and the rejected response of one pair and
    β > 0.""",
    formula=r"""\beta z_w - \ln \tfrac12\bigl(e^{\beta z_w} + e^{\beta z_l}\bigr) = \ln 2 + \ln \sigma(\beta(z_w -
    z_l)) = \ln 2 - L_{\mathrm{DPO}}""",
    assumptions=(
        "z_w and z_l are finite: the policy and the reference give both responses positive probability",
        "β > 0; one pair (over a data set: the mean of the statement)",
        "an identity of the plug-in value; it makes ln 2 − L_DPO no lower bound of KL(P‖M), see the false neighbour",
    ),
    parts=(
        Part(
            "a",
            """The Donsker–Varadhan value with critic T = βz, the one positive z_w, and the negatives z_w and z_l
            of weight ½ each is ln 2 + ln σ(β(z_w − z_l)) = ln 2 − L_DPO < ln 2.""",
            checks=(
                Identity("DV at α = ½ is ln 2 − L_DPO", mixed_dv(HALF), sp.log(2) - dpo),
                Sign("L_DPO > 0, so the value is below ln 2", softplus(beta * (z_l - z_w)), ">"),
                Identity(
                    "L_DPO as published is sp(βz_l − βz_w)", dpo, softplus(beta * (z_l - z_w))
                ),
                Shipped(
                    "preference_loss(dv, ½) is the published DPO",
                    PAIR,
                    lambda **t: pair_loss(**t, bound="dv"),
                    oracles.dpo,
                ),
            ),
            kernel=r"""
                forall beta zw zl : R, 0 < beta ->
                  let T := pair_of (beta * zw) (beta * zl) in
                  dv two chosen (mixed (1/2) chosen rejected) T = ln 2 + ln (sg (beta * (zw - zl)))
                  /\ dv two chosen (mixed (1/2) chosen rejected) T = ln 2 - dpo (beta * zw) (beta * zl)
                  /\ dv two chosen (mixed (1/2) chosen rejected) T < ln 2
                """,
        ),
        Part(
            "b",
            """With K − 1 rejected responses, each candidate of weight 1/K, it is ln K − L for the Plackett–Luce
            (InfoNCA) loss L, that is one row of InfoNCE.""",
            checks=(
                Identity(
                    "K candidates: ln K − L",
                    u - sp.log((sp.exp(u) + s) / K),
                    sp.log(K) + sp.log(sp.exp(u) / (sp.exp(u) + s)),
                ),
                Shipped(
                    "preference_loss(infonce) is the published InfoNCA, 3 rejected",
                    {"chosen": strategies.scores(12), "rejected": strategies.vectors(3, 12)},
                    lambda **t: pair_loss(**t, bound="infonce"),
                    oracles.infonca,
                ),
            ),
            kernel=r"""
                forall (u : R) (vs : list R), vs <> [] ->
                  let K := INR (S (length vs)) in
                  dv (candidates u vs) on_chosen (fun _ => / K) snd = ln K - plackett u vs
                  /\ ln K - plackett u vs = u - ln (mean (u :: vs) exp)
                """,
        ),
        Part(
            "c",
            """At mix α in (0, 1), weights 1 − α and α, DV + ln(1 − α) = −sp(β(z_l − z_w) + ln(α/(1 − α))): DPO
            with a margin offset. At α = 1 it is β(z_w − z_l), linear.""",
            checks=(
                Identity(
                    "mix α: DPO with an offset",
                    mixed_dv(alpha) + sp.log(1 - alpha),
                    -softplus(v - u + sp.log(a)),
                ),
                Identity("mix 1: linear", dv((1, 0), (0, 1), (u, v)), beta * (z_w - z_l)),
                Shipped(
                    "preference_loss(dv, α) is −ln(1 − α) − DV",
                    PAIR | strategies.MIX,
                    lambda chosen, rejected, mix: pair_loss(chosen, rejected, "dv", mix),
                    lambda chosen, rejected, mix: (
                        -oracles.dv((1, 0), (1 - mix, mix), (chosen, rejected))
                        - oracles.ln(1 - mix)
                    ),
                ),
                Shipped(
                    "preference_loss(dv, 1) is linear",
                    PAIR,
                    lambda **t: pair_loss(**t, bound="dv", mix=1.0),
                    lambda chosen, rejected: rejected - chosen,
                ),
            ),
            kernel=r"""
                forall beta zw zl : R, 0 < beta ->
                  let T := pair_of (beta * zw) (beta * zl) in
                  (forall a, 0 < a < 1 ->
                     dv two chosen (mixed a chosen rejected) T + ln (1 - a)
                       = - sp (beta * (zl - zw) + ln (a / (1 - a))))
                  /\ dv two chosen (mixed 1 chosen rejected) T = beta * (zw - zl)
                """,
        ),
    ),
    proof="""βz_w − ln(½ e^{βz_w} + ½ e^{βz_l}) = ln 2 − ln(1 + e^{−β(z_w − z_l)}). For K candidates of weight 1/K,
    βz_w − ln (1/K)(e^{βz_w} + s) = ln K + ln(e^{βz_w}/(e^{βz_w} + s)) with s the sum over the rejected ones. For
    weights 1 − α and α, βz_w − ln((1 − α) e^{βz_w} + α e^{βz_l}) = −ln(1 − α) − ln(1 + e^{β(z_l − z_w)} α/(1 − α)).""",
    example=Example(
        "DV on one half-mixed pair, beside ln 2 less DPO's loss",
        lambda chosen, rejected: oracles.dv((1, 0), (0.5, 0.5), (chosen, rejected)),
        lambda chosen, rejected: oracles.ln(2) - oracles.dpo(chosen, rejected),
        {"chosen": 1.0, "rejected": -1.0},
    ),
    false_neighbours=(
        Identity("without the half-mix, at α = 1, it is ln 2 − L_DPO too", u - v, sp.log(2) - dpo),
        Identity("without the constant: DV = −L_DPO", mixed_dv(HALF), -dpo),
        Identity(
            "z_w and z_l exchanged", mixed_dv(HALF), sp.log(2) + sp.log(sigmoid(beta * (z_l - z_w)))
        ),
        Certified(
            "the best mean of ln 2 − L_DPO is at most KL(P‖M), two responses",
            kl_of_mix - dpo_best,
            ">=",
            {p: ("3/5", "9/10")},
        ),
    ),
    mutants=(
        TURNED,
        off("preference_loss"),
        loss_at("signs turned", chosen=neg, rejected=neg),
    ),
    uses=("dv_representation", "infonce_ceiling"),
    about=("preference_loss",),
    reference="""This project; the losses: Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; InfoNCA: Chen et al. 2024
    (arXiv 2402.05369), section 3; the reading as DV: Lv et al. 2025 (arXiv 2506.22578).""",
)
