"""NWJ misses KL by a generalised divergence between the true ratio and the critic's; on samples it is unbiased."""

from itertools import product
from math import exp, log, prod

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Identity,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    dv,
    expect,
    instead,
    kl,
    normalised,
    nwj,
    on_law,
    oracles,
    partition,
    positives,
    ratios,
    reals,
    strategies,
    tensor,
    tilted,
    two_laws,
)

r, s = positives("r s")  # dP/dQ and eᵀ at one atom
(t,) = reals("t")
pointwise = r * sp.log(r / s) - r + s
(P, Q), T = two_laws(3), reals("t1 t2 t3")
Z = partition(Q, T)
P0 = (*normalised(positives("a1 a2")), sp.S(0))  # a law that gives the third atom no mass
ratio = ratios(P, Q)
(COIN, OTHER), SCORES = two_laws(2), reals("t1 t2")


def averages(law, values, size):
    """(probability, mean of the values) for every sample of this size from a law."""
    for sample in product(range(len(law)), repeat=size):
        yield sp.prod(law[i] for i in sample), sum(values[i] for i in sample) / sp.Integer(size)


def sampled(value, positives, negatives):
    """The expectation of value(mean T over positives, mean eᵀ over negatives) over samples of these sizes."""
    exps = [sp.exp(u) for u in SCORES]
    return sum(
        a * b * value(x, y)
        for (a, x), (b, y) in product(
            averages(COIN, SCORES, positives), averages(OTHER, exps, negatives)
        )
    )


def brute_gap(p, q, t):
    """E_Q[r ln(r/s) − r + s] by brute force."""
    bracket = [
        x * (log(x) - u) - x + exp(u) if x else exp(u)
        for x, u in ((a / b, u) for a, b, u in zip(p, q, t, strict=True))
    ]
    return oracles.mean(q, bracket)


def mean_of_shipped(p, q, t, positives, negatives):
    """The mean of the shipped bound over all samples of these sizes, enumerated."""
    samples = list(product(product((0, 1), repeat=positives), product((0, 1), repeat=negatives)))
    joint, other = (tensor([[t[i] for i in sample[side]] for sample in samples]) for side in (0, 1))
    weights = [prod([p[i] for i in own] + [q[j] for j in others]) for own, others in samples]
    return float((tensor(weights) * mi.nwj(joint, other)).sum())


THEOREM = Theorem(
    slug="nwj_gap",
    title="the exact gap of NWJ, which no sampling biases",
    purpose="To know exactly what an NWJ value misses.",
    setting="""Let P ≪ Q be laws on a finite set, r = dP/dQ, T a real critic, s = eᵀ and NWJ(T) = 1 + E_P T − E_Q
    eᵀ.""",
    formula=r"""\mathrm{KL}(P\|Q) - \bigl(1 + \mathbb{E}_P T - \mathbb{E}_Q e^{T}\bigr) = \mathbb{E}_Q\bigl[r \ln
    \tfrac{r}{s} - r + s\bigr] \ge 0, \qquad s = e^{T}""",
    assumptions=(
        "P and Q are laws on one finite set, P ≪ Q",
        "T is real-valued",
        "on samples: T does not depend on them; each positive has the law P and each negative the law Q",
    ),
    parts=(
        Part(
            "a",
            """Then KL(P‖Q) − NWJ(T) = E_Q[r ln(r/s) − r + s] ≥ 0 (the bracket is s where r = 0), and it is 0 iff
            s = r, that is T = ln r, on the support of Q: attained by a real T iff P has mass wherever Q has, and
            in every case approached.""",
            checks=(
                Identity(
                    "the gap, one atom: r ln r − r − r T + eᵀ",
                    r * sp.log(r) - r - r * t + sp.exp(t),
                    pointwise.subs(s, sp.exp(t)),
                ),
                Minimum("r ln(r/s) − r + s", pointwise, s, r),
                Identity(
                    "the gap, 3 atoms",
                    kl(P, Q) - nwj(P, Q, T),
                    expect(
                        Q,
                        [
                            x * (sp.log(x) - u) - x + sp.exp(u)
                            for x, u in zip(ratio, T, strict=True)
                        ],
                    ),
                ),
                Identity("tight at ln r, 3 atoms", nwj(P, Q, list(map(sp.log, ratio))), kl(P, Q)),
                Shipped(
                    "KL(P‖Q) − mi.nwj is the gap, zero atoms included",
                    {
                        "p": strategies.laws(3, zeros=True),
                        "q": strategies.laws(3),
                        "t": strategies.vectors(3),
                    },
                    lambda p, q, t: oracles.kl(p, q) - on_law(mi.nwj, p, q, t),
                    brute_gap,
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (3 atoms are also checked in
                full)"""),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R),
                  law l p -> law l q -> ac l p q ->
                  (forall T, kl l p q - nwj l p q T
                     = E l q (fun x => p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x)))
                  /\ (forall T x, In x l -> 0 < q x ->
                        0 <= p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x))
                  /\ (forall T x, p x = 0 -> p x / q x * ln (p x / q x / exp (T x)) - p x / q x + exp (T x) =
                    exp (T x))
                  /\ (forall T, kl l p q - nwj l p q T = 0 <->
                        forall x, In x l -> 0 < q x -> 0 < p x /\ T x = ln (p x / q x))
                  /\ is_lub (fun v => exists T, v = nwj l p q T) (kl l p q)
                """,
        ),
        Part(
            "b",
            """The gap is KL(P‖Q_T) + (Z − 1 − ln Z), Z = E_Q eᵀ and Q_T = eᵀQ/Z: what DV misses plus what its
            best shift would gain.""",
            checks=(
                Identity(
                    "the gap is KL(P‖Q_T) + Z − 1 − ln Z, 3 atoms",
                    kl(P, Q) - nwj(P, Q, T),
                    kl(P, tilted(Q, T)) + Z - 1 - sp.log(Z),
                ),
                Identity(
                    "the gap is KL(P‖Q_T) + Z − 1 − ln Z where P lacks an atom",
                    kl(P0, Q) - nwj(P0, Q, T),
                    kl(P0, tilted(Q, T)) + Z - 1 - sp.log(Z),
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (3 atoms are also checked in
                full)"""),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R),
                  law l p -> law l q -> ac l p q ->
                  kl l p q - nwj l p q T = kl l p (tilt l q T) + (mgf l q T - 1 - ln (mgf l q T))
                  /\ 0 <= kl l p (tilt l q T) /\ 0 <= mgf l q T - 1 - ln (mgf l q T)
                """,
        ),
        Part(
            "c",
            """With T fixed, the same formula on n ≥ 1 positives from P and m ≥ 1 negatives from Q, means for
            expectations, has the expectation NWJ(T) for every n and m, in whatever way the samples depend on each
            other.""",
            checks=(
                Identity(
                    "unbiased: 2 positives, 3 negatives, 2 atoms",
                    sampled(lambda x, y: 1 + x - y, 2, 3),
                    nwj(COIN, OTHER, SCORES),
                ),
                Shipped(
                    "the mean of mi.nwj over all samples of 2 and 3 is its value on the laws",
                    strategies.law_pairs(2) | {"t": strategies.vectors(2)},
                    lambda p, q, t: mean_of_shipped(p, q, t, 2, 3),
                    oracles.nwj,
                ),
            ),
            by_hand=(
                """a mean of n terms of one law has the expectation of one of them (2 positives, 3 negatives, 2
                atoms: in full)""",
            ),
            kernel=r"""
                forall (X O : Type) (l : list X) (p q T : X -> R) (space : list O) (w : O -> R)
                    (positives negatives : list (O -> X)),
                  law space w -> positives <> [] -> negatives <> [] ->
                  (forall x, In x positives -> forall f, E space w (fun o => f (x o)) = E l p f) ->
                  (forall y, In y negatives -> forall f, E space w (fun o => f (y o)) = E l q f) ->
                  E space w (fun o => 1 + mean positives (fun x => T (x o)) - mean negatives (fun y => exp (T
                    (y o))))
                    = nwj l p q T
                """,
        ),
    ),
    proof="""As E_Q r = 1, KL − NWJ = E_Q[r ln r − r − r T + s], which is the bracket. In s it is strictly convex
    with its minimum 0 at s = r; where r = 0 it is s > 0, with the infimum 0 as T → −∞. Writing s = Z q_T/q splits
    the bracket's mean. A mean over a sample is linear in its empirical law, whose expectation is P (or Q); NWJ is a
    sum of two such means.""",
    example=Example(
        "what NWJ misses at a critic, KL − NWJ(T), beside the mean of the bracket",
        lambda p, q, t: oracles.kl(p, q) - oracles.nwj(p, q, t),
        brute_gap,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0)},
    ),
    false_neighbours=(
        Identity(
            "the gap is E_Q[r ln(r/s)], without −r + s",
            kl(P, Q) - nwj(P, Q, T),
            expect(P, [sp.log(x) - u for x, u in zip(ratio, T, strict=True)]),
        ),
        Sign("r ln(r/s) alone is never negative", r * sp.log(r / s), ">="),
        Identity("tight at 1 + ln r, where the published form is", pointwise.subs(s, sp.E * r), 0),
        Identity(
            "DV too is unbiased on samples (1 positive, 2 negatives)",
            sampled(lambda x, y: x - sp.log(y), 1, 2),
            dv(COIN, OTHER, SCORES),
        ),
    ),
    mutants=(
        Mutant("nwj", "T for T + 1", lambda nwj: lambda t, u, *w: nwj(t - 1, u - 1, *w)),
        instead("nwj", "dv"),
    ),
    uses=("dv_shift_nwj",),
    about=("nwj",),
    reference="""Nguyen, Wainwright & Jordan 2010, lemma 1; Poole et al. 2019 (arXiv 1905.06922), section 2.2
    (I_NWJ).""",
)
