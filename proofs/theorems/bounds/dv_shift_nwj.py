"""DV is the best shift of NWJ, so NWJ never exceeds DV."""

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Identity,
    Minimum,
    Part,
    Shipped,
    Theorem,
    dv,
    instead,
    logs,
    numerics,
    nwj,
    off,
    oracles,
    partition,
    positives,
    reals,
    strategies,
    tensor,
    two_laws,
)

m, c = reals("m c")  # E_P T, and the shift
(z,) = positives("Z")  # E_Q eᵀ
shifted_nwj, value_dv = 1 + (m + c) - z * sp.exp(c), m - sp.log(z)
(P, Q), T = two_laws(3), reals("t1 t2 t3")
best = -sp.log(partition(Q, T))
LAWS = {"p": strategies.laws(3, zeros=True), "q": strategies.laws(3), "t": strategies.vectors(3)}


def shipped(bound, p, q, t, shift=0.0):
    """A bound of the library on a finite law, its critic shifted."""
    scores = tensor(t) + shift
    return float(bound(scores, scores, logs(p), logs(q)))


def best_of_shifts(p, q, t):
    """The largest NWJ(T + c) over c, by search."""

    def loss(shift):
        return -oracles.nwj(p, q, [score + shift[0] for score in t])

    return -numerics.lowest(loss, [0.0])[0]


THEOREM = Theorem(
    slug="dv_shift_nwj",
    title="DV is the maximum of NWJ over shifts of the critic",
    purpose="To pass between DV and NWJ: they differ by the best constant added to the critic.",
    setting="""Let P and Q be laws and T a critic with E_P|T| < ∞ and Z = E_Q eᵀ < ∞; let NWJ(T) = 1 + E_P T − E_Q
    eᵀ and DV(T) = E_P T − ln E_Q eᵀ.""",
    formula=r"""\mathrm{DV}(T) = \max_{c}\; \mathrm{NWJ}(T + c), \qquad \mathrm{DV} - \mathrm{NWJ} = Z - 1 - \ln Z
    \ge 0, \quad Z = \mathbb{E}_Q e^{T}""",
    assumptions=(
        "E_P |T| < ∞ and 0 < E_Q eᵀ < ∞ (always so for a real T on a finite set)",
        "the same critic T in both bounds",
        "for DV ≤ KL: P ≪ Q on a finite set (dv_representation)",
    ),
    parts=(
        Part(
            "a",
            "Then DV(T) = max over real c of NWJ(T + c), attained at c = −ln Z only.",
            checks=(
                Minimum("DV − NWJ(T + c)", value_dv - shifted_nwj, c, -sp.log(z)),
                Identity(
                    "NWJ(T − ln E_Q eᵀ) = DV(T), 3 atoms",
                    nwj(P, Q, [s + best for s in T]),
                    dv(P, Q, T),
                ),
                Shipped(
                    "mi.nwj at the best shift is mi.dv",
                    LAWS,
                    lambda p, q, t: shipped(mi.nwj, p, q, t, -oracles.log_mean_exp(q, t)),
                    oracles.dv,
                ),
            ),
            kernel=r"""
                (forall (X : Type) (l : list X) (p q T : X -> R) (c : R), law l p -> law l q ->
                     nwj l p q (fun x => T x + c) <= dv l p q T
                     /\ (nwj l p q (fun x => T x + c) = dv l p q T <-> c = - ln (mgf l q T)))
                  /\ (forall m z c : R, 0 < z ->
                     1 + (m + c) - exp c * z <= m - ln z /\ (1 + (m + c) - exp c * z = m - ln z <-> c = - ln z))
                """,
        ),
        Part(
            "b",
            """At c = 0 the gap is DV(T) − NWJ(T) = Z − 1 − ln Z ≥ 0, and 0 iff Z = 1. Hence NWJ(T) ≤ DV(T) ≤
            KL(P‖Q) for P ≪ Q.""",
            checks=(
                Identity(
                    "the gap at c = 0", (value_dv - shifted_nwj).subs(c, 0), z - 1 - sp.log(z)
                ),
                Minimum("Z − 1 − ln Z", z - 1 - sp.log(z), z, 1),
                Shipped(
                    "mi.dv − mi.nwj is Z − 1 − ln Z, zero atoms included",
                    LAWS,
                    lambda p, q, t: shipped(mi.dv, p, q, t) - shipped(mi.nwj, p, q, t),
                    lambda p, q, t: oracles.dv(p, q, t) - oracles.nwj(p, q, t),
                ),
            ),
            kernel=r"""
                (forall (X : Type) (l : list X) (p q T : X -> R), law l p -> law l q ->
                     dv l p q T - nwj l p q T = mgf l q T - 1 - ln (mgf l q T)
                     /\ 0 <= mgf l q T - 1 - ln (mgf l q T)
                     /\ (mgf l q T - 1 - ln (mgf l q T) = 0 <-> mgf l q T = 1)
                     /\ (ac l p q -> nwj l p q T <= dv l p q T <= kl l p q))
                  /\ (forall m z : R, 0 < z ->
                     (m - ln z) - (1 + m - z) = z - 1 - ln z /\ 0 <= z - 1 - ln z /\ (z - 1 - ln z = 0 <-> z = 1))
                """,
        ),
    ),
    proof="""Only two numbers of the laws enter, E_P T and Z. NWJ(T + c) = 1 + E_P T + c − Z eᶜ is strictly concave
    in c and stationary where Z eᶜ = 1, with the value E_P T − ln Z. As a function of Z, the gap Z − 1 − ln Z is
    strictly convex with its minimum 0 at Z = 1.""",
    example=Example(
        "the largest NWJ(T + c) over c, beside DV(T)",
        best_of_shifts,
        oracles.dv,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0)},
    ),
    false_neighbours=(
        Identity("NWJ = DV for every critic", shifted_nwj.subs(c, 0), value_dv),
        Identity("the best shift is +ln Z", shifted_nwj.subs(c, sp.log(z)), value_dv),
        Identity(
            "without the constant 1 the best shift gives DV",
            (shifted_nwj - 1).subs(c, -sp.log(z)),
            value_dv,
        ),
        Identity("every critic has the best shift already", sp.diff(shifted_nwj, c).subs(c, 0), 0),
    ),
    mutants=(
        off("nwj", -1),
        instead("dv", "nwj"),
    ),
    uses=("dv_representation",),
    about=(
        "nwj",
        "dv",
    ),
    reference="""Nguyen, Wainwright & Jordan 2010, lemma 1; Poole et al. 2019 (arXiv 1905.06922), section 2.2 (TUBA
    and NWJ).""",
)
