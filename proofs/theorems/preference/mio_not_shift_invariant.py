"""DPO absorbs a prompt's constant in the score, MIO does not: a normalised policy may miss MIO's best score."""

import sympy as sp

from proofs.engine import (
    AS_DPO,
    HALF,
    RIDGE,
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
    dpo_loss,
    dv,
    expect,
    js_loss,
    mixture,
    normalised,
    numerics,
    oracles,
    pair_loss,
    population_loss,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
)

beta, a, b, p, q, z = positives(
    "beta a b p q Z"
)  # α = a/(1 + a); p = P(y) and q = Q_α(y) of one response; Z
u, v, c, t = reals("u v c t")
alpha, rest = a / (1 + a), 1 / (1 + a)

dpo, loss = dpo_loss(u, v), js_loss(u, v, alpha)
infonce = u - sp.log((sp.exp(u) + sp.exp(v) + sp.exp(t)) / 3)


def shifted(value):
    """The value with c added to every score."""
    return value.subs({s: s + c for s in (u, v, t)}, simultaneous=True)


# One response's share of E L_α, and what it exceeds its least value by at the score t.
share = p * softplus(-t) + q * softplus(t)
excess = share - share.subs(t, sp.log(p / q))
proved_excess = compiled(excess)
bernoulli = p * sp.log(p / (p + q) / sigmoid(t)) + q * sp.log(q / (p + q) / sigmoid(-t))

# Three responses: any reference, any best score T*, Z = E_ref e^{T*/β}, and π ∝ π_ref e^{T*/β}.
PAIRED = list(
    zip(normalised(positives("w1 w2 w3")), normalised(positives("r1 r2 r3")), strict=True)
)
REF, BEST = normalised(positives("r1 r2 r3")), reals("s1 s2 s3")
Z3 = expect(REF, [sp.exp(s / beta) for s in BEST])
POLICY = [x * sp.exp(s / beta) / Z3 for x, s in zip(REF, BEST, strict=True)]

# Example (e): p₁ = a²/(a² + b²), and 4/5 at a = 2b.
EXAMPLE = normalised((a**2, b**2))
Z_EXAMPLE = sp.Add(*(sp.sqrt(2 * x) for x in EXAMPLE)) / 2
FIFTHS = [excess.subs({p: sp.Rational(x, 5), q: HALF}) for x in (4, 1)]
bounds = [
    g.subs(t, sp.log(sp.Rational(4 * x, 9))) for g, x in zip(FIFTHS, (4, 1), strict=True)
]  # T* − 2 ln Z


def scores(law, reference, temperature):
    """β ln π/π_ref of a law."""
    return [temperature * oracles.ln(x / y) for x, y in zip(law, reference, strict=True)]


def shipped(chosen, rejected, t, mix):
    """The mean shipped loss over independent chosen and rejected responses of these laws."""
    return population_loss([[x * y for y in rejected] for x in chosen], t, mix=mix)


def setting(chosen, rejected, mix):
    """Q_α and the best score T* = ln dP/dQ_α."""
    mixed = mixture(chosen, rejected, mix)
    return mixed, scores(chosen, mixed, 1)


def misses(chosen, rejected, reference, policy, beta, mix):
    """Whether the shipped loss at a policy exceeds its least value over all scores by the bound of (d)."""
    mixed, best = setting(chosen, rejected, mix)
    gap = shipped(chosen, rejected, scores(policy, reference, beta), mix) - shipped(
        chosen, rejected, best, mix
    )
    log_z = oracles.log_mean_exp(reference, [s / beta for s in best])
    bound = [
        proved_excess(p=x, q=y, t=s - beta * log_z)
        for x, y, s in zip(chosen, mixed, best, strict=True)
    ]

    return gap >= min(bound) - 1e-12


LAWS = {"chosen": strategies.laws(2), "rejected": strategies.laws(2), "mix": strategies.mixes()}
POLICY_GIVEN = {
    "policy": strategies.laws(2),
    "reference": strategies.laws(2),
    "beta": strategies.temperatures(),
}
SHIFT = {
    "t": strategies.vectors(2),
    "c": strategies.scores(),
    "bound": strategies.one_of(["dv", "infonce"]),
}


def missed(chosen, rejected, reference, beta, mix):
    """What the best policy's mean loss exceeds the best score's by: a search over policies."""
    mixed, best = setting(chosen, rejected, mix)

    def loss(logits):
        policy = oracles.tilted(reference, logits)
        return -oracles.js(chosen, mixed, scores(policy, reference, beta))

    return numerics.lowest(loss, [0.0] * len(chosen))[0] + oracles.js(chosen, mixed, best)


def least_missed(chosen, rejected, reference, beta, mix):
    """min_y g_y(T*(y) − β ln Z)."""
    mixed, best = setting(chosen, rejected, mix)
    log_z = oracles.log_mean_exp(reference, [score / beta for score in best])
    return min(
        proved_excess(p=x, q=y, t=score - beta * log_z)
        for x, y, score in zip(chosen, mixed, best, strict=True)
    )


THEOREM = Theorem(
    slug="mio_not_shift_invariant",
    title="DPO absorbs a constant in the score, MIO does not: no normalised policy need have MIO's best score",
    purpose="To see what MIO pays for its anchor: a normalised policy need not have its best score.",
    setting="""One prompt; P and R the laws of the chosen and the rejected response on a finite set, P > 0; α in (0,
    1), Q_α = (1 − α) P + α R; L_α(u, v) = sp(−u) + (1 − α) sp(u) + α sp(v) at the scores u and v of a pair; T* = ln
    dP/dQ_α, the score of a response that minimises E L_α; a policy π with full support has the score β ln π/π_ref.""",
    formula=r"""\mathbb{E}_{\mathrm{ref}}\, e^{T/\beta} = 1 \ \text{for}\ T = \beta \ln
    \frac{\pi}{\pi_{\mathrm{ref}}}, \qquad T^* = \ln \frac{dP}{dQ_\alpha}\ \text{is one iff}\ Z =
    \mathbb{E}_{\mathrm{ref}}\, e^{T^*/\beta} = 1""",
    assumptions=(
        """P has mass at every response, so T* is finite and a policy without full support has infinite loss; π_ref
        > 0""",
        "π is any law: for a parametrised policy the gap can only be larger",
    ),
    parts=(
        Part(
            "a",
            """DPO, DV at every mix and InfoNCE do not change under T → T + c; L_α(u + c, v + c) is strictly
            convex in c.""",
            checks=(
                *[
                    Identity(f"{name} does not change", shifted(value), value)
                    for name, value in (
                        ("DPO", dpo),
                        ("DV at mix α", dv((1, 0), (rest, alpha), (u, v))),
                        ("InfoNCE", infonce),
                    )
                ],
                Sign("L_α is strictly convex in c", sp.diff(shifted(loss), c, 2), ">"),
                Shipped(
                    "mi.preference_loss(dv or infonce) does not change under a shift",
                    SHIFT | strategies.MIX,
                    lambda t, c, bound, mix: pair_loss(*(s + c for s in t), bound=bound, mix=mix),
                    lambda t, c, bound, mix: pair_loss(*t, bound=bound, mix=mix),
                ),
            ),
            kernel=r"""
                (forall u v c, dpo (u + c) (v + c) = dpo u v)
                  /\ (forall (X : Type) (l : list X) (p r T : X -> R) (a c : R), law l p -> law l r -> 0 <= a
                    <= 1 ->
                        dv l p (mixed a p r) (fun y => T y + c) = dv l p (mixed a p r) T)
                  /\ (forall u vs c, plackett (u + c) (map (fun v => v + c) vs) = plackett u vs)
                  /\ (forall a u v c d t, 0 < a < 1 -> c <> d -> 0 < t < 1 ->
                        js_loss a (u + ((1 - t) * c + t * d)) (v + ((1 - t) * c + t * d))
                          < (1 - t) * js_loss a (u + c) (v + c) + t * js_loss a (u + d) (v + d))
                """,
        ),
        Part(
            "b",
            """A policy's score has E_ref e^{T/β} = 1, and T* has E_{Q_α} e^{T*} = 1. With Z = E_ref e^{T*/β}, T*
            is the score of a policy iff Z = 1, as for π_ref = Q_α and β = 1.""",
            checks=(
                Identity(
                    "E_ref e^{T/β} = 1",
                    expect(REF, [sp.exp(beta * sp.log(x / y) / beta) for x, y in PAIRED]),
                    1,
                ),
                Shipped(
                    "mean mi.preference_loss(js) at T* is 2 ln 2 − 2 JSD(P, Q_α)",
                    LAWS,
                    lambda chosen, rejected, mix: shipped(
                        chosen, rejected, setting(chosen, rejected, mix)[1], mix
                    ),
                    lambda chosen, rejected, mix: (
                        2 * (oracles.ln(2) - oracles.jsd(chosen, setting(chosen, rejected, mix)[0]))
                    ),
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q ref : X -> R) (beta : R),
                  law l p -> law l q -> law l ref -> full l p -> full l q -> full l ref -> 0 < beta ->
                  (forall policy, law l policy -> full l policy -> total l ref beta (score_of beta policy ref) = 1)
                  /\ mgf l q (best_score p q) = 1
                  /\ ((exists policy, law l policy /\ full l policy /\ same l (best_score p q) (score_of beta
                    policy ref))
                       <-> total l ref beta (best_score p q) = 1)
                  /\ total l q 1 (best_score p q) = 1
                """,
        ),
        Part(
            "c",
            """T* − β ln Z always is one, that of π ∝ π_ref e^{T*/β}; to DPO it is as good as T*, pair by pair,
            and L_α of the score plus a free δ has its minimum there at δ = β ln Z.""",
            checks=(
                *[
                    Identity(
                        f"β ln π/π_ref = T* − β ln Z, response {i + 1}",
                        beta * sp.log(x / y),
                        s - beta * sp.log(Z3),
                    )
                    for i, (x, y, s) in enumerate(zip(POLICY, REF, BEST, strict=True))
                ],
            ),
            by_hand=(
                Sum(
                    "the comparison of sums in (d), and from 3 responses to any finite number: sums over responses"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q ref : X -> R) (beta : R),
                  law l p -> law l q -> law l ref -> full l p -> full l q -> full l ref -> 0 < beta ->
                  let Ts := best_score p q in
                  let c := beta * ln (total l ref beta Ts) in
                  let T := score_of beta (policy_of l ref beta Ts) ref in
                  let loss := fun T => 2 * ln 2 - js l p q T in
                  law l (policy_of l ref beta Ts) /\ full l (policy_of l ref beta Ts)
                  /\ same l T (fun y => Ts y - c)
                  /\ (forall y z, In y l -> In z l -> dpo (T y) (T z) = dpo (Ts y) (Ts z))
                  /\ (forall delta, loss (fun y => T y + c) <= loss (fun y => T y + delta)
                        /\ (delta <> c -> loss (fun y => T y + c) < loss (fun y => T y + delta)))
                """,
        ),
        Part(
            "d",
            """If Z ≠ 1, every policy has E L_α − min_T E L_α ≥ min_y g_y(T*(y) − β ln Z) > 0, g_y(t) = (p + q)
            KL(Bern(p/(p + q))‖Bern(σ(t))), p = P(y), q = Q_α(y).""",
            checks=(
                Identity("g is what a share exceeds its minimum by", excess, bernoulli),
                Minimum("g", excess, t, sp.log(p / q)),
                Holds(
                    "mi.preference_loss at a policy misses its least value by the bound of (d)",
                    LAWS | POLICY_GIVEN,
                    misses,
                ),
            ),
            by_hand=(
                Sum(
                    "the comparison of sums in (d), and from 3 responses to any finite number: sums over responses"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q ref : X -> R) (beta : R),
                  law l p -> law l q -> law l ref -> full l p -> full l q -> full l ref -> 0 < beta ->
                  let Ts := best_score p q in
                  let c := beta * ln (total l ref beta Ts) in
                  let g := fun y t => (p y + q y) * bern (p y / (p y + q y)) (sg t) in
                  total l ref beta Ts <> 1 ->
                  (forall y, In y l -> 0 < g y (Ts y - c))
                  /\ (forall policy, law l policy -> full l policy ->
                       exists y, In y l /\ g y (Ts y - c)
                         <= (2 * ln 2 - js l p q (score_of beta policy ref)) - (2 * ln 2 - js l p q Ts))
                """,
        ),
        Part(
            "e",
            """Two responses, π_ref = Q_½ = (½, ½), β = 2, P = (p₁, 1 − p₁), R = (1 − p₁, p₁): Z < 1 for all p₁ ≠
            ½; at p₁ = 4/5, Z = 3/√10, and MIO misses its minimum by more than 0.0008.""",
            checks=(
                Identity("1 − Z²", 1 - sp.expand(Z_EXAMPLE**2), (a - b) ** 2 / (2 * (a**2 + b**2))),
                Sign(
                    "1 − Z² is positive for a ≠ b, here b = a + Z",
                    (1 - sp.expand(Z_EXAMPLE**2)).subs(b, a + z),
                    ">",
                ),
                Identity(
                    "p₁ = 4/5: Z √10 = 3",
                    Z_EXAMPLE * sp.sqrt(10),
                    3,
                    at={a: 2, b: 1},
                ),
                *[
                    Sign(
                        f"p₁ = 4/5: the bound exceeds 0.0008, response {i + 1}",
                        g - sp.Rational(8, 10000),
                        ">",
                    )
                    for i, g in enumerate(bounds)
                ],
            ),
            kernel=r"""
                let half := fun _ : bool => 1/2 in
                  let p := fun a (b : bool) => if b then a else 1 - a in
                  let r := fun a (b : bool) => if b then 1 - a else a in
                  (forall a b, mixed (1/2) (p a) (r a) b = half b)
                  /\ (forall a, 0 < a < 1 -> a <> 1/2 -> total two half 2 (best_score (p a) half) < 1)
                  /\ total two half 2 (best_score (p (4/5)) half) = 3 / sqrt 10
                  /\ (forall policy, law two policy -> full two policy ->
                        8/10000 < (2 * ln 2 - js two (p (4/5)) half (score_of 2 policy half))
                                  - (2 * ln 2 - js two (p (4/5)) half (best_score (p (4/5)) half)))
                """,
        ),
    ),
    proof="""(a) DV subtracts the log of a mean of eᵀ, which takes up c; the JS terms are softplus. (b) Σ π = 1. If Z
    = 1 then π_ref e^{T*/β} is a law and T* its score. (c) β ln π/π_ref = T* − β ln Z. (d) E L_α exceeds its minimum
    by Σ_y g_y(T(y)), each strictly convex and 0 at T*(y) only. If Z < 1, some y has T(y) ≥ T*(y) − β ln Z > T*(y),
    since otherwise E_ref e^{T/β} < E_ref e^{(T* − β ln Z)/β} = 1; if Z > 1, some y has T(y) ≤ T*(y) − β ln Z < T*(y).
    There g_y is at least its value at T*(y) − β ln Z. (e) e^{T*} = 2P, and 1 − Z² = (x − y)²/(2(x² + y²)) at p₁ =
    x²/(x² + y²).""",
    example=Example(
        "what the best policy misses MIO's least loss by, two responses at β = 2, beside min g",
        missed,
        least_missed,
        {
            "chosen": (0.8, 0.2),
            "rejected": (0.2, 0.8),
            "reference": (0.5, 0.5),
            "beta": 2.0,
            "mix": 0.5,
        },
        relation="≥",
        tolerance=1e-9,
    ),
    false_neighbours=(
        Identity("L_α does not change under a shift", shifted(loss), loss),
        Identity(
            "DPO does not change under a shift of the chosen score alone", dpo.subs(u, u + c), dpo
        ),
        Identity("Z = 1 for π_ref = Q_α at β = 2 too", Z_EXAMPLE, 1),
        Identity("T* − β ln Z is as good as T* to MIO", excess.subs(t, sp.log(p / q) + c), 0),
    ),
    mutants=(
        RIDGE,
        AS_DPO,
    ),
    uses=("mio_is_half_mixed_js", "dpo_flat_direction"),
    about=("preference_loss",),
    reference="""This project; shifts that others subtract: Jung et al. 2024 (BCO, arXiv 2404.04656), δ; Ethayarajh
    et al. 2024 (KTO, arXiv 2402.01306), section 4.1, z₀.""",
)
