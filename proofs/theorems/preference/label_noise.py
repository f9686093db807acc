"""What flipped labels do to MIO: the order of its scores stays, its anchor and its optimum move, and the rate
shows."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import win_rate_score
from proofs.engine import (
    AS_DPO,
    HALF,
    NEARLY,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    Values,
    expect,
    gradient,
    logs,
    mixture,
    normalised,
    oracles,
    positives,
    strategies,
    tensor,
    two_laws,
    word,
)

# η in (0, ½): η = ½ e/(1 + e); w a win rate; three responses.
g, e, a, b = positives("g e a b")
N, W, A = positives("eta w alpha")
RATE: Values = {N: HALF * e / (1 + e)}
FULL: Values = {**RATE, W: g / (1 + g), A: a / (1 + a)}
noisy = N + (1 - 2 * N) * W
(P, R) = two_laws(3)
P_N, R_N = (
    mixture(P, R, N),
    mixture(R, P, N),
)  # the laws of what the labels call chosen and rejected

NU = normalised(positives("n1 n2 n3"))
CLEAN = normalised([n * c for n, c in zip(NU, positives("c1 c2 c3"), strict=True)])

# P and R without a common response: each response's best score.
own, other = (sp.log(top / ((1 - A) * top + A * (1 - top))) for top in (1 - N, N))
u_star, v_star = word("βz_w", own, r"\beta z_w"), word("βz_l", other, r"\beta z_l")

# A log averages over the labels: a share η of what they call chosen is wrong, and the other way round.
labelled_chosen = mixture([own], [other], N)[0]
labelled_rejected = mixture([other], [own], N)[0]


def slopes(noise, mix):
    """The mean shipped loss's slopes at the claimed scores, over pairs of which a share η is flipped."""
    at: Values = {A: mix, N: noise}
    scores = [float(score.subs(at)) for score in (own, other)]

    def loss(pair):
        straight = mi.preference_loss(pair[0], pair[1], "js", mix)
        flipped = mi.preference_loss(pair[1], pair[0], "js", mix)
        return mi.mean(
            tensor([1.0, 0.0]) * straight + tensor([0.0, 1.0]) * flipped, logs([1 - noise, noise])
        )

    return gradient(loss, scores).tolist()


def at_rest(rate):
    """The chosen reward where the mean loss with flipped labels is least, by descent."""
    from scipy.optimize import minimize

    def loss(scores):
        right, wrong = oracles.nca_pair(*scores), oracles.nca_pair(*scores[::-1])
        return (1 - rate) * right + rate * wrong

    return float(minimize(loss, [0.0, 0.0], tol=1e-12).x[0])


THEOREM = Theorem(
    slug="label_noise",
    tier="tested",
    title="""labels flipped at the rate η keep MIO's order; its anchor is ln 2(1 − η), and η can be read off the
    plateau""",
    purpose="To read the rate of wrong labels off the plateau of a MIO run.",
    setting="""Each label is flipped independently with the probability η in (0, ½): the laws of the chosen and
    the rejected response become P' = (1 − η)P + ηR and R' = (1 − η)R + ηP. α in (0, 1) is the mix, w a
    response's win rate for pairs that are drawn i.i.d. from a law ν on a finite set, as in
    mio_learns_win_rates.""",
    formula=r"""P' + R' = P + R, \qquad w' = \eta + (1 - 2\eta) w, \qquad \beta z_w = \ln 2(1 - \eta),\quad
    \beta z_l = \ln 2\eta \quad (\mathrm{MIO})""",
    assumptions=(
        "flips that do not depend on the pair",
        "(b) ν = π_ref, α = ½, β = 1; (c) P and R have no response in common, the scores are free",
    ),
    parts=(
        Part(
            "a",
            """The half-mix is unchanged, at α = ½ alone; and the win rates shrink towards ½ without changing their
            order, so that neither do MIO's scores.""",
            formula=(
                Sign(
                    "the score still rises with w",
                    word("dT*/dw", sp.diff(win_rate_score(noisy, A), W), r"\frac{dT^*}{dw}"),
                    ">",
                    at=FULL,
                ),
            ),
            checks=(
                *[
                    Identity(f"P' + R' = P + R, atom {i + 1}", P_N[i] + R_N[i], P[i] + R[i])
                    for i in range(3)
                ],
                Identity(
                    "a win rate: P' = 2w'ν for P = 2wν, R = 2(1 − w)ν",
                    (1 - N) * 2 * W * b + N * 2 * (1 - W) * b,
                    2 * noisy * b,
                ),
            ),
            by_hand=(Sum("any number of responses"),),
            kernel=r"""
                forall (X : Type) (p r nu w : X -> R) (eta a : R),
                  0 < eta < 1/2 -> 0 < a < 1 ->
                  (forall x, p x = 2 * w x * nu x) -> (forall x, r x = 2 * (1 - w x) * nu x) ->
                  let w' := fun x => eta + (1 - 2 * eta) * w x in
                  (forall x, mixed (1/2) (noisy eta p r) (noisy eta r p) x = mixed (1/2) p r x)
                  /\ (a <> 1/2 -> forall x, mixed a (noisy eta p r) (noisy eta r p) x = mixed a p r x <-> p x = r x)
                  /\ (forall x, noisy eta p r x = 2 * w' x * nu x /\ noisy eta r p x = 2 * (1 - w' x) * nu x)
                  /\ (forall x, w' x - 1/2 = (1 - 2 * eta) * (w x - 1/2))
                  /\ (forall x y, 0 < w x < 1 -> 0 < w y < 1 ->
                        (w x < w y <-> w' x < w' y) /\ (w x < w y <-> score a (w' x) < score a (w' y)))
                """,
        ),
        Part(
            "b",
            """The optimum becomes (1 − 2η) P + 2η π_ref: noise pulls MIO back to the reference, and with it the
            price KL falls (KL is convex).""",
            checks=(
                Identity(
                    "the optimum (1 − 2η)P + 2ηπ_ref is 2w'ν",
                    2 * noisy * b,
                    (1 - 2 * N) * 2 * W * b + 2 * N * b,
                ),
                Identity(
                    "the optimum is a law", expect([1, 1, 1], mixture(CLEAN, NU, 2 * N)), 1, at=RATE
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (ref w : X -> R) (eta : R),
                  0 < eta < 1/2 -> law l ref -> full l ref -> (forall x, In x l -> 0 <= w x <= 1) ->
                  let p := fun x => 2 * w x * ref x in
                  let r := fun x => 2 * (1 - w x) * ref x in
                  law l p ->
                  let best := fun x => (1 - 2 * eta) * p x + 2 * eta * ref x in
                  let T := fun (policy : X -> R) x => ln (policy x / ref x) in
                  let loss := fun policy => 2 * ln 2 - js l (noisy eta p r) (mixed (1/2) (noisy eta p r)
                    (noisy eta r p)) (T policy) in
                  law l best /\ full l best
                  /\ (forall policy, loss policy = E l (noisy eta p r) (fun x => own (1/2) (T policy x)) + 1/2
                    * E l (noisy eta r p) (fun x => sp (T policy x)))
                  /\ (forall policy, law l policy -> full l policy ->
                        loss best <= loss policy /\ (loss policy = loss best <-> same l policy best))
                  /\ kl l best ref <= (1 - 2 * eta) * kl l p ref
                  /\ (0 < kl l p ref -> kl l best ref < kl l p ref)
                """,
        ),
        Part(
            "c",
            """For pairs without a common response the scores of right and wrong responses end at a finite plateau;
            MIO: ln 2(1 − η) and ln 2η, with DPO's own margin ln (1 − η)/η. So η = e^{βz_l}/2 of a truly wrong
            response. A log has the means over what the labels call chosen and rejected: they add up to ln 4η(1 −
            η), so that η = (1 − √(1 − e^s))/2 of their sum s. At α = 1 the margin is twice DPO's.""",
            formula=(
                Identity("MIO's chosen", u_star, sp.log(2 * (1 - N)), at={**RATE, A: HALF}),
                Identity("MIO's rejected", v_star, sp.log(2 * N), at={**RATE, A: HALF}),
                Identity(
                    "MIO's margin is logit(1 − η)",
                    u_star - v_star,
                    sp.log((1 - N) / N),
                    at={**RATE, A: HALF},
                ),
                Identity("the rate from the plateau", sp.exp(v_star) / 2, N, at={**RATE, A: HALF}),
                Identity(
                    "the margin at α = 1",
                    u_star - v_star,
                    2 * sp.log((1 - N) / N),
                    at={**RATE, A: 1},
                ),
            ),
            checks=(
                Identity(
                    "the rate from the means of a log",
                    (1 - sp.sqrt(1 - sp.exp(labelled_chosen + labelled_rejected))) / 2,
                    N,
                    at={**RATE, A: HALF},
                ),
                Identity(
                    "the means of a log, added",
                    labelled_chosen + labelled_rejected,
                    sp.log(4 * N * (1 - N)),
                    at={**RATE, A: HALF},
                ),
                Shipped(
                    "the mean of mi.preference_loss has no slope there",
                    {"noise": strategies.rates(0.49), "mix": strategies.mixes()},
                    slopes,
                    lambda noise, mix: [0, 0],
                    tolerance=1e-7,
                ),
            ),
            kernel=r"""
                forall eta : R, 0 < eta < 1/2 ->
                  let x := fun a => ln ((1 - eta) / ((1 - a) * (1 - eta) + a * eta)) in
                  let y := fun a => ln (eta / ((1 - a) * eta + a * (1 - eta))) in
                  (forall (a m t : R), 0 < a <= 1 -> 0 < m ->
                     (t <> x a -> (1 - eta) * m * sp (- x a) + ((1 - a) * ((1 - eta) * m) + a * (eta * m))
                       * sp (x a)
                        < (1 - eta) * m * sp (- t) + ((1 - a) * ((1 - eta) * m) + a * (eta * m)) * sp t)
                     /\ (t <> y a -> eta * m * sp (- y a) + ((1 - a) * (eta * m) + a * ((1 - eta) * m)) * sp (y a)
                        < eta * m * sp (- t) + ((1 - a) * (eta * m) + a * ((1 - eta) * m)) * sp t))
                  /\ x (1/2) = ln (2 * (1 - eta)) /\ y (1/2) = ln (2 * eta) /\ eta = exp (y (1/2)) / 2
                  /\ x (1/2) - y (1/2) = ln ((1 - eta) / eta)
                  /\ (forall t, t <> ln ((1 - eta) / eta) ->
                        (1 - eta) * sp (- ln ((1 - eta) / eta)) + eta * sp (ln ((1 - eta) / eta)) < (1 -
                          eta) * sp (- t) + eta * sp t)
                  /\ x 1 - y 1 = 2 * ln ((1 - eta) / eta)
                  /\ (let s := ((1 - eta) * x (1/2) + eta * y (1/2)) + ((1 - eta) * y (1/2) + eta * x (1/2)) in
                        s = ln (4 * eta * (1 - eta)) /\ eta = (1 - sqrt (1 - exp s)) / 2)
                """,
        ),
    ),
    proof="""(a) Linear. (b) With ν = π_ref the optimum is P' = 2w'ν (mio_learns_win_rates). (c) The best score of a
    response is ln P'/Q', which is ln (1 − η)/((1 − α)(1 − η) + αη) on the support of P, and the same with η for 1 −
    η on that of R.""",
    example=Example(
        "MIO's chosen reward at rest, labels flipped at a rate",
        at_rest,
        lambda rate: oracles.ln(2 * (1 - rate)),
        {"rate": 0.1},
        tolerance=1e-4,
    ),
    false_neighbours=(
        Identity(
            "noise shifts every mix's margin alike: α = 1 has DPO's",
            (own - other).subs(A, 1),
            sp.log((1 - N) / N),
            at=RATE,
        ),
        Identity("MIO ignores noise: its anchor is ln 2", own, sp.log(2), at={**RATE, A: HALF}),
        Identity(
            "the mixed law is unchanged at every α",
            (1 - A) * P_N[0] + A * R_N[0],
            (1 - A) * P[0] + A * R[0],
            at=FULL,
        ),
        Identity(
            "the rate from the mean of the labelled rejected alone",
            sp.exp(labelled_rejected) / 2,
            N,
            at={**RATE, A: HALF},
        ),
        Sign("it reverses the order", sp.diff(win_rate_score(noisy, A), W), "<", at=FULL),
    ),
    mutants=(AS_DPO, NEARLY),
    uses=("mio_learns_win_rates", "mio_anchor"),
    about=("preference_loss", "theory.win_rate_score"),
    reference="This project; for DPO under label noise: Chowdhury et al. 2024 (arXiv 2403.00409).",
)
