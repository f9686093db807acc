"""Anchored DV: a family of bounds from DV to NWJ, each of which but DV is tight at ln dP/dQ alone."""

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
    Theorem,
    dv,
    expect,
    numerics,
    nwj,
    on_law,
    oracles,
    partition,
    positives,
    reals,
    strategies,
    two_laws,
    word,
)

b, Z, y, d = positives("b Z y d")  # the anchor, E_Q eᵀ
(m,) = reals("m")  # E_P T
anchored = m - (1 + b) * sp.log((b + Z) / (1 + b))
ratio = (1 + b) / (b + Z)
below_dv = (1 + b) * sp.log((b + Z) / (1 + b)) - sp.log(Z)  # DV − V_b
dip = y - 1 - sp.log(y)

(P, Q), T = two_laws(3), reals("t1 t2 t3")
on_three = anchored.subs({m: expect(P, T), Z: partition(Q, T)})
value, dv_value, nwj_value = (
    word("V_b", anchored),
    word("DV", m - sp.log(Z)),
    word("NWJ", 1 + m - Z),
)

EXAMPLE_P, EXAMPLE_Q = (
    (sp.Rational(k, 10) for k in (7, 2, 1)),
    (sp.Rational(k, 10) for k in (2, 3, 5)),
)
LAWS, SCORES = (tuple(EXAMPLE_P), tuple(EXAMPLE_Q)), (1, 0, -1)
shown = anchored.subs({m: expect(LAWS[0], SCORES), Z: partition(LAWS[1], SCORES)})
NUMBERS = {sp.Rational(1, 2): "0.572655", sp.S(1): "0.572593"}


def brute(p, q, t, anchor):
    """V_b by brute force."""
    normaliser = float(sp.exp(oracles.log_mean_exp(q, t)))
    return oracles.mean(p, t) - (1 + anchor) * oracles.ln((anchor + normaliser) / (1 + anchor))


def rows():
    """Both sides of each number shown."""
    half = sp.Rational(1, 2 * 10**6)
    for anchor, digits in NUMBERS.items():
        for relation, end in ((">", sp.Rational(digits) - half), ("<", sp.Rational(digits) + half)):
            yield Sign(
                f"b = {anchor}: V_b {relation} {float(end):.9g}",
                shown,
                relation,
                end,
                at={b: anchor},
            )


def best_shift(p, q, t, anchor):
    """The constant c at which V_b(T + c) is largest, by search."""

    def loss(shift):
        return -brute(p, q, [score + shift[0] for score in t], anchor)

    return numerics.lowest(loss, [0.0])[1][0]


THEOREM = Theorem(
    slug="infonce_anchor",
    title="anchored DV, V_b: between DV and NWJ, and for b > 0 tight at ln dP/dQ alone",
    purpose="To use a bound that lies between DV and NWJ and fixes the constant that DV leaves free.",
    setting="""Let P ≪ Q be laws on a finite set, T a real critic, Z = E_Q eᵀ, DV = E_P T − ln Z, NWJ = 1 + E_P T −
    Z, and V_b = E_P T − (1 + b) ln((b + Z)/(1 + b)) with an anchor b > 0.""",
    formula=r"""V_b(T) = \mathbb{E}_P T - (1 + b) \ln \frac{b + \mathbb{E}_Q e^T}{1 + b}, \qquad V_0 = \mathrm{DV},
    \; V_\infty = \mathrm{NWJ}""",
    assumptions=("P ≪ Q on a finite set, T real; population values",),
    parts=(
        Part(
            "a",
            "V_b falls as b rises, from DV at b = 0, and stays above NWJ: so it is a lower bound of KL(P‖Q).",
            formula=(
                Identity("the slope of V_b in b", sp.diff(anchored, b), -dip.subs(y, ratio)),
                Identity("V_b − NWJ", value - nwj_value, (1 + b) * dip.subs(y, 1 / ratio)),
                Minimum("y − 1 − ln y, in both brackets", dip, y, 1),
            ),
            checks=(
                Identity("b = 0 is DV", anchored, dv_value, at={b: 0}),
                Identity("DV on 3 atoms", on_three.subs(b, 0), dv(P, Q, T)),
                Identity(
                    "NWJ on 3 atoms",
                    on_three - nwj(P, Q, T),
                    (1 + b) * dip.subs(y, (b + partition(Q, T)) / (1 + b)),
                ),
                Shipped(
                    "mi.bounds.anchored_dv is V_b",
                    strategies.law_pairs()
                    | {"t": strategies.vectors(3, 4), "anchor": strategies.rates(8)},
                    lambda p, q, t, anchor: on_law(mi.bounds.anchored_dv(anchor), p, q, t),
                    brute,
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R),
                  law l p -> law l q ->
                  anchored 0 l p q T = dv l p q T
                  /\ (forall b c, 0 <= b < c -> anchored c l p q T <= anchored b l p q T
                        /\ (mgf l q T <> 1 -> anchored c l p q T < anchored b l p q T))
                  /\ (forall b, 0 <= b -> nwj l p q T <= anchored b l p q T <= dv l p q T)
                  /\ (forall b, 0 <= b -> ac l p q -> anchored b l p q T <= kl l p q)
                """,
        ),
        Part(
            "b",
            """It equals DV iff Z = 1, and then the constant that DV leaves free is fixed: V_b is KL(P‖Q) iff T = ln
            dP/dQ, on the support of Q.""",
            formula=(
                Identity(
                    "the slope of DV − V_b in Z", sp.diff(below_dv, Z), b * (Z - 1) / (Z * (b + Z))
                ),
            ),
            checks=(
                Identity("DV − V_b", dv_value - value, below_dv),
                Identity("DV − V_b is 0 at Z = 1", below_dv, 0, at={Z: 1}),
                Sign(
                    "the slope of DV − V_b is negative below Z = 1",
                    (b * (Z - 1)).subs(Z, 1 / (1 + d)),
                    "<",
                ),
                Sign(
                    "the slope of DV − V_b is positive above Z = 1",
                    (b * (Z - 1)).subs(Z, 1 + d),
                    ">",
                ),
            ),
            by_hand=(
                "a function that falls up to 1 and rises after it is least there, and only there",
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R) (b : R),
                  law l p -> law l q -> 0 < b ->
                  (anchored b l p q T = dv l p q T <-> mgf l q T = 1)
                  /\ (ac l p q -> (anchored b l p q T = kl l p q <->
                        forall x, In x l -> 0 < q x -> 0 < p x /\ T x = ln (p x / q x)))
                """,
        ),
        Part(
            "c",
            """For T = (1, 0, −1), P = (0.7, 0.2, 0.1) and Q = (0.2, 0.3, 0.5): 0.572655 at b = 0.5 and 0.572593 at
            b = 1.""",
            checks=(
                *rows(),
                Identity("E_P T", expect(LAWS[0], SCORES), sp.Rational("0.6")),
                Identity(
                    "E_Q eᵀ",
                    partition(LAWS[1], SCORES),
                    sp.Rational("0.2") * sp.E + sp.Rational("0.3") + sp.Rational("0.5") / sp.E,
                ),
                Identity(
                    "E_P T is p₁ − p₃",
                    y - d,
                    sp.Rational("0.6"),
                    at={y: sp.Rational("0.7"), d: sp.Rational("0.1")},
                ),
            ),
            kernel=r"""
                let l := [1; 0; -1] in
                  let p := fun t => if Rlt_dec 0 t then 7/10 else if Rlt_dec t 0 then 1/10 else 2/10 in
                  let q := fun t => if Rlt_dec 0 t then 2/10 else if Rlt_dec t 0 then 5/10 else 3/10 in
                  Rabs (anchored (1/2) l p q (fun t => t) - 572655/1000000) <= 5/10000000
                  /\ Rabs (anchored 1 l p q (fun t => t) - 572593/1000000) <= 5/10000000
                """,
        ),
    ),
    proof="""(a) With y = (1 + b)/(b + Z) the slope in b is 1 − y + ln y; V_b − NWJ = (1 + b)(x − 1 − ln x), x =
    1/y. (b) KL − V_b = (KL − DV) + (DV − V_b): the first is 0 iff T = ln dP/dQ + c (dv_representation), the second
    iff Z = 1.""",
    example=Example(
        "the constant that anchored DV adds to a critic, −ln Z, which DV leaves free",
        best_shift,
        lambda p, q, t, anchor: -oracles.log_mean_exp(q, t),
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0), "anchor": 1.0},
        tolerance=1e-5,
    ),
    false_neighbours=(
        Sign("V_b exceeds DV", below_dv, "<="),
        Identity(
            "it does not change under T → T + c",
            anchored.subs({m: m + d, Z: Z * sp.exp(d)}, simultaneous=True),
            anchored,
        ),
        Identity("b = 1 is NWJ", anchored.subs(b, 1), 1 + m - Z),
        Identity(
            "the published scale: without the 1 + b in front",
            m - sp.log((b + Z) / (1 + b)),
            anchored,
        ),
    ),
    mutants=(Mutant("bounds.anchored_dv", "dv instead", lambda f: lambda anchor: mi.dv),),
    uses=("dv_representation", "nwj_gap"),
    about=("bounds.anchored_dv",),
    reference="""Ryu et al. 2026 (arXiv 2510.25983), of which the abstract was available; the limit and its order:
    this project.""",
)
