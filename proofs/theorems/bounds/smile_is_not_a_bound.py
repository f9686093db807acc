"""SMILE exceeds the information for every finite clip, even at the right critic; unclipped it is DV."""

from math import exp, log

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Limit,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    dv,
    expect,
    kl,
    logs,
    oracles,
    partition,
    positives,
    reals,
    strategies,
    tensor,
    two_laws,
)

tau, n, m, d = positives("tau n m d")
(t,) = reals("t")
P, Q = two_laws(3)
T, CLIPPED = (tau + n, t, -tau - m), (tau, t, -tau)  # scores above, within and below the clip


def smile(p, q, scores, clipped):
    """E_p T − ln E_q e^{clipped T}."""
    return expect(p, scores) - sp.log(partition(q, clipped))


# y = x, uniform on N values: Q has 1/N on the diagonal, where ln r = ln N, and 1 − 1/N off it, where T = −τ − m.
(N,) = positives("N")
mass = sp.exp(tau) / N + (1 - 1 / N) * sp.exp(-tau)  # E_Q clip(eᵀ, e^{−τ}, e^τ) for N ≥ e^τ
LARGE = 1 + sp.exp(tau) + d


def shipped(p, q, t, clip):
    """The shipped value on a finite law."""
    return float(mi.smile(tensor(t), tensor(t), clip, logs(p), logs(q)))


def at_the_right_critic(clip, more):
    """SMILE − I by the library, y = x uniform on N = ⌈1 + e^τ⌉ + more values, and N."""
    size = int(1 + exp(clip)) + 1 + more
    law = mi.laws.Finite(torch.eye(size, dtype=torch.float64).div(size).log())
    critic = law.log_ratio_matrix.clamp(min=-clip - 1)
    return float(
        law.exact(lambda t, u, log_p, log_q: mi.smile(t, u, clip, log_p, log_q), critic)
    ) - log(size), size


def within(p, q, clip):
    """Whether the shipped value at ln r is in [I − ln(1 + e^{−τ}), I + τ]."""
    excess = shipped(p, q, [log(a / b) for a, b in zip(p, q, strict=True)], clip) - oracles.kl(p, q)
    return -log(1 + exp(-clip)) - 1e-12 <= excess <= clip + 1e-12


LAWS = strategies.law_pairs()
CLIP = {"clip": strategies.rates(4)}


def excess_on_uniform(values, clip):
    """SMILE − I for y = x uniform, T = ln N on the diagonal and −τ off it, by sums over the table."""
    cells = range(values**2)
    equal = [cell % (values + 1) == 0 for cell in cells]
    joint = [1 / values if same else 0.0 for same in equal]
    scores = [log(values) if same else -clip for same in equal]
    return oracles.smile(joint, [1 / values**2] * values**2, scores, clip) - log(values)


THEOREM = Theorem(
    slug="smile_is_not_a_bound",
    title="for every finite clip τ SMILE exceeds I somewhere, at ln r too; it is DV once no score is clipped",
    purpose="To know that a SMILE value may exceed the information, also at the best critic.",
    setting="""Let P and Q be laws on a finite set, I = KL(P‖Q), the mutual information if Q is the product of P's
    marginals. For τ > 0 let SMILE_τ(T) = E_P T − ln Z_τ, Z_τ = E_Q clip(eᵀ, e^{−τ}, e^τ), and Z = E_Q eᵀ.""",
    formula=r"""\mathbb{E}_P T - \ln \mathbb{E}_Q\,\mathrm{clip}(e^{T}, e^{-\tau}, e^{\tau}) > I \quad\text{for } Y
    = X \text{ uniform on } N > 1 + e^{\tau} \text{ values},\; T = \ln\tfrac{dP}{dQ}""",
    assumptions=(
        "finite sets, 0 < τ < ∞, T finite; the same critic in both terms, clipped in the second only",
        "(d) the critic off the diagonal is real, at or below −τ: clipped it is −τ, as −∞ would be",
    ),
    parts=(
        Part(
            "a",
            """SMILE_τ − DV = ln(Z/Z_τ): the two are equal if |T| ≤ τ on the support of Q, so on a finite set for
            all large τ.""",
            checks=(
                Identity(
                    "SMILE − DV = ln(Z/Z_τ), 3 atoms of the three kinds",
                    smile(P, Q, T, CLIPPED) - dv(P, Q, T),
                    sp.log(partition(Q, T) / partition(Q, CLIPPED)),
                ),
                Shipped(
                    "mi.smile is E_P T − ln E_Q clip(eᵀ, e^{−τ}, e^τ)",
                    LAWS | CLIP | {"t": strategies.vectors(3)},
                    shipped,
                    lambda p, q, t, clip: oracles.smile(p, q, t, clip),
                ),
                Shipped(
                    "mi.smile is DV where the clip is the largest |T|",
                    LAWS | {"t": strategies.vectors(3).filter(any)},
                    lambda p, q, t: shipped(p, q, t, max(map(abs, t))),
                    oracles.dv,
                ),
            ),
            by_hand=(
                Sum(
                    "from the three kinds of score (above, within, below the clip) to any finite number of atoms"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R),
                  law l p -> law l q ->
                  (forall tau, 0 < tau -> smile l p q T tau - dv l p q T = ln (mgf l q T / clipped l q T tau))
                  /\ (forall tau, 0 < tau -> (forall x, In x l -> 0 < q x -> - tau <= T x <= tau) -> smile l p
                    q T tau = dv l p q T)
                  /\ (exists t0, forall tau, t0 <= tau -> 0 < tau /\ smile l p q T tau = dv l p q T)
                """,
        ),
        Part(
            "b",
            "If T ≤ τ on the support of Q, SMILE_τ ≤ DV ≤ I: only the clip from above breaks the bound.",
            checks=(
                Sign(
                    "Z_τ > Z where scores are clipped from below only",
                    partition(Q, (t, t, CLIPPED[2])) - partition(Q, (t, t, T[2])),
                    ">",
                ),
            ),
            by_hand=(
                Sum(
                    "from the three kinds of score (above, within, below the clip) to any finite number of atoms"
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R) (tau : R),
                  law l p -> law l q -> ac l p q -> 0 < tau -> (forall x, In x l -> 0 < q x -> T x <= tau) ->
                  smile l p q T tau <= dv l p q T <= kl l p q
                """,
        ),
        Part(
            "c",
            """For P = Q and the constant critic τ + n, n > 0, the value is n, and I = 0: over critics the excess
            is unbounded.""",
            checks=(
                Identity(
                    "P = Q, the critic τ + n: the value is n",
                    smile(P, P, [tau + n] * 3, [tau] * 3),
                    n,
                ),
                Identity("P = Q: I is 0", kl(P, P), 0),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p : X -> R) (tau n : R),
                  law l p -> 0 < tau -> 0 < n -> smile l p p (fun _ => tau + n) tau = n /\ kl l p p = 0
                """,
        ),
        Part(
            "d",
            """At the right critic too: for y = x uniform on N ≥ e^τ values, T = ln N on the diagonal and any T ≤
            −τ off it, where ln r = −∞, SMILE_τ − I = −ln(e^τ/N + (1 − 1/N) e^{−τ}), which is positive iff N > 1 +
            e^τ and tends to τ as N → ∞.""",
            checks=(
                Identity("I = ln N", kl((1, 0), (1 / N, 1 - 1 / N)), sp.log(N)),
                Identity(
                    "the excess is −ln Z_τ",
                    smile((1, 0), (1 / N, 1 - 1 / N), (sp.log(N), -tau - m), (tau, -tau))
                    - sp.log(N),
                    -sp.log(mass),
                ),
                Identity(
                    "1 − Z_τ = (1 − e^{−τ})(N − 1 − e^τ)/N",
                    1 - mass,
                    (1 - sp.exp(-tau)) * (N - 1 - sp.exp(tau)) / N,
                ),
                Sign("1 − Z_τ > 0 for N = 1 + e^τ + d, d > 0", (1 - mass).subs(N, LARGE), ">"),
                Sign("1 − e^{−τ} > 0: 1 − Z_τ has the sign of N − 1 − e^τ", 1 - sp.exp(-tau), ">"),
                Limit("Z_τ → e^{−τ} as N → ∞", mass, N, sp.oo, sp.exp(-tau), sp.exp(tau) / N),
                Shipped(
                    "mi.smile − I at the right critic, N just above 1 + e^τ",
                    CLIP | {"more": strategies.one_of("0359").map(int)},
                    lambda clip, more: at_the_right_critic(clip, more)[0],
                    lambda clip, more: (
                        -log(
                            exp(clip) / (size := at_the_right_critic(clip, more)[1])
                            + (1 - 1 / size) * exp(-clip)
                        )
                    ),
                ),
            ),
            kernel=r"""
                forall (tau : R), 0 < tau ->
                  let excess := fun N => - ln (exp tau / INR N + (1 - / INR N) * exp (- tau)) in
                  (forall (N : nat) (T : nat * nat -> R), exp tau <= INR N ->
                     (forall i, T (i, i) = ln (INR N)) -> (forall i j, i <> j -> T (i, j) <= - tau) ->
                     law (cells N) (diagonal N) /\ law (cells N) (uniform2 N)
                     /\ kl (cells N) (diagonal N) (uniform2 N) = ln (INR N)
                     /\ smile (cells N) (diagonal N) (uniform2 N) T tau - ln (INR N) = excess N
                     /\ (0 < excess N <-> 1 + exp tau < INR N))
                  /\ (forall e, 0 < e -> exists N0, forall N, (N0 <= N)%nat -> tau - e < excess N < tau + e)
                """,
        ),
        Part(
            "e",
            """At T = ln r on any law with P and Q mutually absolutely continuous, −ln(1 + e^{−τ}) ≤ SMILE_τ − I ≤
            τ.""",
            checks=(
                Holds("mi.smile at ln r is within the bounds of (e)", LAWS | CLIP, within),
                Sign("above the clip, r = e^τ + d: r + e^{−τ} − e^τ", d + sp.exp(-tau), ">"),
                Sign(
                    "below it clip(r) is e^{−τ}, within it r; and e^τ − e^{−τ}",
                    sp.exp(tau) - sp.exp(-tau),
                    ">",
                ),
            ),
            by_hand=("e^{−τ} ≤ clip(r) ≤ r + e^{−τ}: each of the three cases is immediate",),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R) (tau : R),
                  law l p -> law l q -> ac l p q -> ac l q p -> 0 < tau ->
                  - ln (1 + exp (- tau)) <= smile l p q (fun x => ln (p x / q x)) tau - kl l p q <= tau
                """,
        ),
    ),
    proof="""(a) is the definition. (b) Raising scores to −τ raises Z_τ ≥ Z. (c) E_P T = τ + n and Z_τ = e^τ. (d)
    With I = ln N = E_P T, the excess is −ln Z_τ, and 1 − Z_τ = (1 − e^{−τ})(N − 1 − e^τ)/N. (e) Here Z_τ = E_Q
    clip(r), and e^{−τ} ≤ clip(r) ≤ r + e^{−τ}, whose mean under Q is 1 + e^{−τ}.""",
    example=Example(
        "what SMILE exceeds I by at the right critic, y = x uniform",
        excess_on_uniform,
        lambda values, clip: -log(exp(clip) / values + (1 - 1 / values) * exp(-clip)),
        {"values": 20, "clip": 2.0},
    ),
    false_neighbours=(
        Sign("at the right critic SMILE stays below I", (mass - 1).subs(N, LARGE), ">="),
        Sign("N > e^τ is enough for the excess", (1 - mass).subs(N, sp.exp(tau) + d), ">"),
        Sign(
            "clipped above only, SMILE stays below DV",
            smile(P, Q, (T[0], t, t), (tau, t, t)) - dv(P, Q, (T[0], t, t)),
            "<=",
        ),
        Identity(
            "with the reward clipped too, the constant critic reads n",
            smile(P, P, [tau] * 3, [tau] * 3),
            n,
        ),
    ),
    mutants=(
        Mutant(
            "smile",
            "the reward clipped too",
            lambda f: lambda t, u, c, *w: f(t.clamp(-c, c), u, c, *w),
        ),
        Mutant("smile", "never clipped", lambda f: lambda t, u, c, *w: mi.dv(t, u, *w)),
    ),
    uses=("dv_representation",),
    about=("smile",),
    reference="Song & Ermon 2020 (arXiv 1910.06222), eq. 17.",
)
