"""RLHF's optimum multiplies the odds of success by e^{1/β}; it creates none where the base model has none."""

from math import comb

import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import pass_at_k, rlhf_success
from proofs.engine import (
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    expect,
    gradient,
    instead,
    integers,
    logs,
    normalised,
    on_law,
    oracles,
    positives,
    reals,
    strategies,
    tensor,
    tilted,
)

beta, o, q1, q2, Z = positives("beta o q1 q2 Z")  # o = p/(1 − p), the base model's odds of success
n, k = integers("n k")
p, r1, r2, N, fall = reals("p r1 r2 N F")  # N: number of failures; F = N (N − 1) … (N − k + 2)
gain = sp.exp(1 / beta)
base = o / (1 + o)
after = rlhf_success(base, beta)

# Three responses in full, the first two correct; and the same with no mass on the correct ones.
REF, REWARD = normalised(positives("b1 b2 b3")), (1, 1, 0)
OPTIMUM = tilted(REF, [sp.Integer(r) / beta for r in REWARD])
NONE = tilted((sp.S(0), sp.S(0), sp.S(1)), [sp.Integer(r) / beta for r in REWARD])


def estimator_mean(size, draws):
    """E[1 − C(n − c, k)/C(n, k)], c ~ Binomial(n, p), as a function of o."""
    law = [sp.binomial(size, c) * base**c * (1 - base) ** (size - c) for c in range(size + 1)]
    return expect(
        law, [1 - sp.Rational(comb(size - c, draws), comb(size, draws)) for c in range(size + 1)]
    )


def shipped_success(ref, correct, beta):
    """E_π* r as the slope of mi.log_mean_exp(s r, π_ref) in s, at s = 1/β."""
    return float(gradient(lambda s: mi.log_mean_exp(s * tensor(correct), logs(ref)), 1 / beta))


def proved_success(ref, correct, beta):
    """p e^{1/β}/(1 − p + p e^{1/β})."""
    return rlhf_success(min(oracles.mean(ref, correct), 1), beta)


def dv_gap(ref, correct, beta):
    """KL(π*‖π_ref) − mi.dv at T = r/β, with P = π*."""
    t = [r / beta for r in correct]
    optimum = oracles.tilted(ref, t)
    return oracles.kl(optimum, ref) - on_law(mi.dv, optimum, ref, t)


GIVEN = {
    "ref": strategies.laws(3, zeros=True),
    "correct": strategies.one_of(["100", "110", "010"]).map(
        lambda word: [float(letter) for letter in word]
    ),
    "beta": strategies.temperatures(),
}


def tilted_success(p, beta):
    """Success under π_ref e^{r/β}/Z, two responses."""
    return oracles.tilted((p, 1 - p), (1 / beta, 0.0))[0]


THEOREM = Theorem(
    slug="rlhf_reach",
    title="RLHF keeps the support: odds of success times e^{1/β}, 0 stays 0; pass@k and its unbiased estimator",
    purpose="To see what RLHF cannot do: it never reaches what its base model cannot say.",
    setting="""One prompt, a finite set of responses, β > 0, π* = π_ref e^{r/β}/Z, the maximiser of E_π r − β
    KL(π‖π_ref).""",
    formula=r"""p' = \frac{p\,e^{1/\beta}}{1 - p + p\,e^{1/\beta}}, \qquad \mathbb{E}\Bigl[1 -
    \binom{n-c}{k}\Big/\binom{n}{k}\Bigr] = 1 - (1-p)^k""",
    assumptions=(
        "π* itself, the optimum over all laws: nothing is said of a trained policy that shares parameters",
        "binary reward in (b) and (d), equal to correctness; responses i.i.d. from the policy in (c), k ≤ n",
        "support is exact: a softmax policy has p > 0, if tiny; then (b) and (d) are the bounds",
    ),
    parts=(
        Part(
            "a",
            """π*(y) > 0 iff π_ref(y) > 0, and π*(y)/π*(y') = e^{(r_y − r_y')/β} π_ref(y)/π_ref(y') on the
            support.""",
            checks=(
                Identity(
                    "ratios of responses are multiplied by e^{(r − r')/β}",
                    (q1 * sp.exp(r1 / beta) / Z) / (q2 * sp.exp(r2 / beta) / Z),
                    q1 / q2 * sp.exp((r1 - r2) / beta),
                ),
                Shipped(
                    "mi.dv at T = r/β is tight at π*, zero atoms included",
                    GIVEN,
                    dv_gap,
                    lambda **given: 0.0,
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (ref r : X -> R) (beta : R),
                  law l ref -> 0 < beta ->
                  law l (best l ref r beta)
                  /\ (forall y, In y l -> (0 < best l ref r beta y <-> 0 < ref y))
                  /\ (forall y y', In y l -> In y' l -> 0 < ref y -> 0 < ref y' ->
                        best l ref r beta y / best l ref r beta y' = exp ((r y - r y') / beta) * (ref y / ref y'))
                """,
        ),
        Part(
            "b",
            """Let r be 1 on the correct responses and 0 on the others, and p, p' their total probability under
            π_ref and π*. Then p' = p e^{1/β}/(1 − p + p e^{1/β}): the odds of success are multiplied by e^{1/β},
            p = 0 stays 0, p < p' < e^{1/β} p for p in (0, 1), and two correct responses keep their relative
            probability.""",
            checks=(
                Identity(
                    "p' of 3 responses, 2 of them correct",
                    OPTIMUM[0] + OPTIMUM[1],
                    rlhf_success(REF[0] + REF[1], beta),
                ),
                Identity(
                    "two correct responses keep their ratio",
                    OPTIMUM[0] / OPTIMUM[1],
                    REF[0] / REF[1],
                ),
                Identity("p = 0 stays 0, 3 responses", NONE[0] + NONE[1], 0),
                Identity("the odds are multiplied by e^{1/β}", after / (1 - after), gain * o),
                Sign("p < p'", after - base, ">"),
                Sign("p' < e^{1/β} p", gain * base - after, ">"),
                Identity(
                    "p' is the slope of ln Z in 1/β",
                    sp.diff(sp.log(1 - base + base * sp.exp(r1)), r1).subs(r1, 1 / beta),
                    after,
                ),
                Shipped(
                    "the slope of mi.log_mean_exp is p', p = 0 and p = 1 included",
                    GIVEN,
                    shipped_success,
                    proved_success,
                ),
            ),
            by_hand=(
                Sum("""(b) for any number of responses: Z and p' are sums over the correct and the wrong ones (3 are
                checked)"""),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (ref r : X -> R) (beta : R),
                  law l ref -> 0 < beta -> (forall y, In y l -> r y = 0 \/ r y = 1) ->
                  let p := E l ref r in
                  let p' := E l (best l ref r beta) r in
                  let e := exp (1 / beta) in
                  p' = p * e / (1 - p + p * e)
                  /\ (p < 1 -> p' / (1 - p') = e * (p / (1 - p)))
                  /\ (p = 0 -> p' = 0)
                  /\ (0 < p < 1 -> p < p' < e * p)
                  /\ (forall y y', In y l -> In y' l -> r y = 1 -> r y' = 1 -> 0 < ref y -> 0 < ref y' ->
                        best l ref r beta y / best l ref r beta y' = ref y / ref y')
                """,
        ),
        Part(
            "c",
            """For k i.i.d. responses pass@k, the probability that at least one is correct, is 1 − (1 − p)^k. If c
            of n ≥ k i.i.d. responses are correct, 1 − C(n − c, k)/C(n, k) has exactly this mean.""",
            checks=(
                *[
                    Identity(
                        f"the estimator's mean, n = {i}, k = {j}",
                        estimator_mean(i, j),
                        pass_at_k(base, j),
                    )
                    for i, j in ((1, 1), (2, 1), (3, 2), (4, 2), (4, 4), (5, 3))
                ],
                Identity(
                    "step: (N + 1)_k = (N)_k + k (N)_{k−1}",
                    (N + 1) * fall,
                    fall * (N - k + 1) + k * fall,
                ),
                Identity(
                    "step: q^k (n)_k + q k q^{k−1} (n)_{k−1} = q^k (n + 1)_k",
                    (1 - base) ** k * fall * (n - k + 1)
                    + (1 - base) * k * (1 - base) ** (k - 1) * fall,
                    (1 - base) ** k * (n + 1) * fall,
                ),
            ),
            by_hand=(
                "the inductions in (c) and (d) from their steps; their starts, n = 0 and m = 0, are trivial",
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (policy : X -> R) (right : X -> bool),
                  law l policy ->
                  let p := E l policy (fun x => if right x then 1 else 0) in
                  (forall k, E (tuples k l) (iid policy) (fun s => if existsb right s then 1 else 0) = 1 - (1
                    - p) ^ k)
                  /\ (forall n k, (k <= n)%nat ->
                        E (tuples n l) (iid policy) (fun s => 1 - choose (wrong right s) k / choose n k)
                          = 1 - (1 - p) ^ k)
                """,
        ),
        Part(
            "d",
            "For every whole k ≥ e^{1/β}, the base model's pass@k is at least RLHF's pass@1, p'.",
            checks=(
                Identity(
                    "step: f(m) − f(m + 1), m = n",
                    (1 - base) ** n * (1 + n * base) - (1 - base) ** (n + 1) * (1 + (n + 1) * base),
                    (n + 1) * base**2 * (1 - base) ** n,
                ),
                Sign(
                    "f(m) − f(m + 1) is positive, m = n", (n + 1) * base**2 * (1 - base) ** n, ">"
                ),
                Identity("f(0) − f(1)", 1 - (1 - base) * (1 + base), base**2),
                Identity(
                    "pass@k − p'",
                    (1 - (1 - base) ** k - after) * (1 - base + base * gain),
                    1 - base - (1 - base) ** k * (1 - base + base * gain),
                ),
            ),
            by_hand=(
                "the inductions in (c) and (d) from their steps; their starts, n = 0 and m = 0, are trivial",
            ),
            kernel=r"""
                forall (p beta : R) (k : nat), 0 <= p <= 1 -> 0 < beta -> exp (1 / beta) <= INR k ->
                  p * exp (1 / beta) / (1 - p + p * exp (1 / beta)) <= 1 - (1 - p) ^ k
                """,
        ),
    ),
    proof="""(a) e^{r/β}/Z is positive and finite, and Z cancels. (b) Z = 1 − p + p e^{1/β}; divide. p' − p and
    e^{1/β} p − p' have positive numerators. (c) C(n − c, k)/C(n, k) is the share of the k-subsets of the n responses
    without a success; each subset has none with probability (1 − p)^k. Or by induction over n: with N = n − c
    failures, q = 1 − p and (N)_k = N(N − 1)…(N − k + 1), E (N)_k = q^k (n)_k, since one more response adds q k E
    (N)_{k−1}. (d) It says (1 − p)^{k−1} (1 − p + p e^{1/β}) ≤ 1. With e^{1/β} ≤ k it is enough that f(m) = (1 − p)^m
    (1 + m p) ≤ 1 at m = k − 1; f(0) = 1, and f decreases in m.""",
    example=Example(
        "success after RLHF, from that of the base policy",
        tilted_success,
        theory.rlhf_success,
        {"p": 0.01, "beta": 0.25},
    ),
    false_neighbours=(
        Identity("the probability of success is multiplied by e^{1/β}", after, gain * base),
        Identity("the odds are multiplied by e^β", after / (1 - after), sp.exp(beta) * o),
        Sign("with p = 0 there is some success after", NONE[0] + NONE[1], ">"),
        Sign("one base response does as well (k = 1 in (d))", base - after, ">="),
        Identity(
            "1 − (1 − c/n)^k is unbiased, n = k = 2",
            base**2 + 2 * base * (1 - base) * sp.Rational(3, 4),
            1 - (1 - base) ** 2,
        ),
    ),
    mutants=(
        instead("dv", "nwj"),
        instead("log_mean_exp", "mean"),
    ),
    uses=("gibbs_dv_duality",),
    about=("log_mean_exp", "dv", "theory.rlhf_success", "theory.pass_at_k"),
    reference="""Rafailov et al. 2023 (arXiv 2305.18290), eq. 4; Chen et al. 2021 (arXiv 2107.03374), eq. 1; Yue et
    al. 2025 (arXiv 2504.13837).""",
)
