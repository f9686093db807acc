"""Donsker–Varadhan: E_P T − ln E_Q eᵀ never exceeds KL(P‖Q), and the gap is KL(P‖Q_T)."""

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
    Tested,
    Theorem,
    dv,
    expect,
    kl,
    log_ratios,
    logs,
    normalised,
    off,
    on_law,
    oracles,
    positives,
    ratios,
    reals,
    strategies,
    tilted,
    two_laws,
)

p, q, z, x, n = positives("p q Z x n")
t, c = reals("t c")
(P, Q), T = two_laws(3), reals("t1 t2 t3")
log_ratio = log_ratios(P, Q)

# A law P that gives the third atom no mass, and the critic that is ln p/q on its support and −n off it.
P0 = (*normalised(positives("a1 a2")), sp.S(0))
T0 = [sp.log(P0[0] / Q[0]), sp.log(P0[1] / Q[1]), -n]
gap_without_full_support = sp.log(1 + Q[2] * sp.exp(-n))

THEOREM = Theorem(
    slug="dv_representation",
    title="the Donsker–Varadhan bound and its exact gap",
    purpose="The bound behind MINE, RLHF and DPO: start here.",
    setting="""Let P and Q be laws on a finite set with P ≪ Q, T a real function on the support of Q, and Q_T the law
    proportional to eᵀ Q.""",
    formula=r"""\mathrm{KL}(P\|Q) - \bigl(\mathbb{E}_P T - \ln \mathbb{E}_Q e^{T}\bigr) = \mathrm{KL}(P\|Q_T) \ge 0,
    \qquad dQ_T \propto e^{T} dQ""",
    assumptions=(
        "P and Q are laws on one finite set",
        "P ≪ Q: where Q has no mass, P has none",
        "T is finite on the support of Q",
    ),
    parts=(
        Part(
            "a",
            """Then KL(P‖Q) − (E_P T − ln E_Q eᵀ) = KL(P‖Q_T) ≥ 0, with equality iff Q_T = P, that is iff T = ln
            dP/dQ + c for a constant c (possible for a real T only if P has mass wherever Q has).""",
            checks=(
                Identity(
                    "the gap, one atom of a law of any size (Z is free)",
                    p * sp.log(p / q) - p * (t - sp.log(z)),
                    p * sp.log(p / (q * sp.exp(t) / z)),
                ),
                Identity("the gap, 3 atoms", kl(P, Q) - dv(P, Q, T), kl(P, tilted(Q, T))),
                Identity(
                    "the gap, 3 atoms, one of them without P-mass",
                    kl(P0, Q) - dv(P0, Q, T),
                    kl(P0, tilted(Q, T)),
                ),
                Identity(
                    "KL = E_Q[x ln x − x + 1] with x = p/q, 3 atoms",
                    kl(P, Q),
                    expect(
                        Q, [a / b * sp.log(a / b) - a / b + 1 for a, b in zip(P, Q, strict=True)]
                    ),
                ),
                Minimum("x ln x − x + 1 ≥ 0", x * sp.log(x) - x + 1, x, 1),
                Identity(
                    "tight at ln p/q + c, 3 atoms", dv(P, Q, [s + c for s in log_ratio]), kl(P, Q)
                ),
                Shipped(
                    "KL(P‖Q) − mi.dv is the gap, zero atoms included",
                    {
                        "p": strategies.laws(4, zeros=True),
                        "q": strategies.laws(4),
                        "t": strategies.vectors(4),
                    },
                    lambda p, q, t: oracles.kl(p, q) - on_law(mi.dv, p, q, t),
                    lambda p, q, t: oracles.kl(p, oracles.tilted(q, t)),
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (3 atoms are also checked in
                full)"""),
                Sum("0 ln 0 = 0 at atoms without P-mass"),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R),
                  law l p -> law l q -> ac l p q ->
                  kl l p q - dv l p q T = kl l p (tilt l q T)
                  /\ 0 <= kl l p (tilt l q T)
                  /\ (kl l p (tilt l q T) = 0 <-> same l p (tilt l q T))
                  /\ (same l p (tilt l q T) <->
                      exists c, forall x, In x l -> 0 < q x -> 0 < p x /\ T x = ln (p x / q x) + c)
                """,
        ),
        Part(
            "b",
            "In every case KL(P‖Q) is the supremum over T,",
            checks=(
                Identity(
                    "the gap ln(1 + q₀ e^{−n})", kl(P0, Q) - dv(P0, Q, T0), gap_without_full_support
                ),
                Sign("the gap ln(1 + q₀ e^{−n}) is positive", gap_without_full_support, ">"),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (3 atoms are also checked in
                full)"""),
                "from the critics of (b) to the supremum",
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R),
                  law l p -> law l q -> ac l p q -> is_lub (fun v => exists T, v = dv l p q T) (kl l p q)
                """,
        ),
        Part(
            "c",
            "and the value does not change under T → T + c.",
            checks=(
                Identity("shift invariance, 3 atoms", dv(P, Q, [s + c for s in T]), dv(P, Q, T)),
                Shipped(
                    "law.exact(mi.dv) at the log-ratio + 7 is the mutual information",
                    {"joint": strategies.joint_laws(2, 3)},
                    lambda joint: (law := mi.laws.Finite(logs(joint))).exact(
                        mi.dv, law.log_ratio_matrix + 7
                    ),
                    oracles.mutual_information,
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (3 atoms are also checked in
                full)"""),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R) (c : R),
                  law l p -> law l q -> dv l p q (fun x => T x + c) = dv l p q T
                """,
        ),
    ),
    proof="""Write Z = E_Q eᵀ, so q_T = q eᵀ/Z. Atom by atom p ln(p/q) − p (T − ln Z) = p ln(p/q_T); sum over the
    atoms and use Σp = 1. With x = p/q_T, KL(P‖Q_T) = Σ q_T (x ln x − x + 1), where x ln x − x + 1 is strictly
    convex on x > 0 with minimum 0 at x = 1 and limit 1 at x = 0: the gap is ≥ 0, and 0 only for P = Q_T, which says
    T = ln p/q + ln Z. If Q puts mass q₀ > 0 where P has none, the critic ln p/q on the support of P and −n off it
    has the gap ln(1 + q₀ e^{−n}), which tends to 0.""",
    example=Example(
        "what DV misses at a critic, I − DV(T)",
        lambda p, q, t: oracles.kl(p, q) - oracles.dv(p, q, t),
        lambda p, q, t: oracles.kl(p, oracles.tilted(q, t)),
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0)},
    ),
    false_neighbours=(
        Identity(
            "the gap is KL(Q_T‖P), the wrong way round", kl(P, Q) - dv(P, Q, T), kl(tilted(Q, T), P)
        ),
        Identity(
            "tight at p/q, without the logarithm",
            dv(P, Q, ratios(P, Q)),
            kl(P, Q),
        ),
        Sign("E_P T − ln E_Q eᵀ bounds KL(Q‖P) too", kl(Q, P) - dv(P, Q, log_ratio), ">="),
        Tested(
            "without P ≪ Q, Σ p ln(p/q) over the support of Q still bounds it",
            {"p": strategies.laws(3), "t": strategies.vectors(3)},
            lambda p, t: oracles.kl(p[:2], (0.5, 0.5)) >= oracles.dv(p, (0.5, 0.5, 0), t),
        ),
    ),
    mutants=(
        off("dv"),
        Mutant(
            "dv", "log_q ignored", lambda dv: lambda t, u, log_p=None, log_q=None: dv(t, u, log_p)
        ),
    ),
    about=("dv",),
    reference="""Donsker & Varadhan 1983, Comm. Pure Appl. Math. 36, 183–212; Belghazi et al. 2018 (arXiv
    1801.04062), theorem 1.""",
)
