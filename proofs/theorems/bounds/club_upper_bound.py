"""CLUB is I plus the reverse divergence at the true conditional, and at another one off by a difference of two KLs."""

from math import log

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    expect,
    instead,
    kl,
    logs,
    normalised,
    oracles,
    positives,
    reals,
    strategies,
    tensor,
    two_by_two,
)

p, q, s, x = positives("p q s x")  # one atom's masses under P, Q and S

# p(x, y) on 2 × 2 atoms, the product of its marginals, and conditionals v(y given x).
joint, px, py = two_by_two()
cells, P = list(joint), list(joint.values())
Q = [px[i] * py[j] for i, j in cells]
conditional = [normalised(positives(names)) for names in ("v1 v2", "w1 w2")]
S = [px[i] * conditional[i][j] for i, j in cells]
of_x, of_y = reals("f1 f2"), reals("g1 g2")


def club(p, q, t):
    """E_p T − E_q T."""
    return expect(p, t) - expect(q, t)


free = [of_x[i] + of_y[j] for i, j in cells]  # f(x) + g(y)
ln_v = [sp.log(conditional[i][j]) for i, j in cells]
ln_true = [sp.log(joint[i, j] / px[i]) for i, j in cells]


def shipped(joint, critic):
    """The shipped value on a finite joint law."""
    return float(mi.laws.Finite(logs(joint)).exact(mi.bounds.club, tensor(critic)))


def with_conditional(joint, v):
    """I, KL(Q‖v p(x)) and KL(P‖v p(x)) by brute force, and the table ln v(y given x)."""
    px, other = oracles.marginals(joint)[0], oracles.flat(oracles.independent(joint))
    v = [[share / sum(row) for share in row] for row in v]
    fitted = [mass * share for mass, row in zip(px, v, strict=True) for share in row]
    table = [[log(share) for share in row] for row in v]

    return (
        oracles.mutual_information(joint),
        oracles.kl(other, fitted),
        oracles.kl(oracles.flat(joint), fitted),
        table,
    )


def is_upper(joint, v):
    """Whether the library is at least I, or the criterion KL(P‖v p(x)) ≤ KL(Q‖v p(x)) fails."""
    information, other, own, table = with_conditional(joint, v)
    return own > other or shipped(joint, table) >= information - 1e-9


JOINT = {"joint": strategies.joint_laws(2, 3)}
FITTED = JOINT | {"v": strategies.joint_laws(2, 3)}  # its rows, normalised, are the conditional


def at_the_conditional(joint):
    """CLUB at T = ln p(y given x): E_P T − E_Q T by plain sums."""
    px, _ = oracles.marginals(joint)
    scores = [log(mass / total) for row, total in zip(joint, px, strict=True) for mass in row]
    own, other = oracles.flat(joint), oracles.flat(oracles.independent(joint))
    return oracles.mean(own, scores) - oracles.mean(other, scores)


def jeffreys(joint):
    """I + KL(Q‖P)."""
    own, other = oracles.flat(joint), oracles.flat(oracles.independent(joint))
    return oracles.kl(own, other) + oracles.kl(other, own)


THEOREM = Theorem(
    slug="club_upper_bound",
    title="CLUB = I + KL(Q‖P) at the true conditional; at a fitted one it need not bound I",
    purpose="To know when CLUB may be read as an upper bound: only where the conditional law is the true one.",
    setting="""On a finite set let P = p(x, y), Q = p(x) p(y), with p(x, y) > 0 wherever p(x) p(y) > 0, and CLUB(T)
    = E_P T − E_Q T.""",
    formula=r"""\mathbb{E}_P \ln p(y|x) - \mathbb{E}_Q \ln p(y|x) = I + \mathrm{KL}(Q\|P) \ge I, \qquad Q =
    p(x)\,p(y)""",
    assumptions=(
        "a finite set; p(x, y) > 0 wherever p(x) p(y) > 0 (elsewhere KL(Q‖P) is infinite, and so is CLUB)",
        "Q is the product of the marginals of P: the same p(x) and p(y) under both",
        "(a) the true conditional; (b) v(y given x) > 0 wherever p(x) p(y) > 0",
    ),
    parts=(
        Part(
            "a",
            """At T = ln p(y given x), and at ln dP/dQ + f(x) + g(y) for any real f and g, CLUB = I + KL(Q‖P), the
            Jeffreys divergence of P and Q: an upper bound of I whose gap is KL(Q‖P), 0 iff X and Y are
            independent.""",
            checks=(
                Identity("f(x) + g(y) drops out, 2 × 2 atoms", club(P, Q, free), 0),
                Identity(
                    "at ln p(y given x), 2 × 2 atoms", club(P, Q, ln_true), kl(P, Q) + kl(Q, P)
                ),
                Identity(
                    "KL(Q‖P) at one atom, with q − p added",
                    q * sp.log(q / p) + p - q,
                    q * (p / q - 1 - sp.log(p / q)),
                ),
                Minimum("x − 1 − ln x", x - 1 - sp.log(x), x, 1),
                Shipped(
                    "mi.bounds.club at ln p(x, y) + f(x) + g(y) is the Jeffreys divergence",
                    JOINT | {"f": strategies.vectors(2), "g": strategies.vectors(3)},
                    lambda joint, f, g: shipped(
                        joint,
                        [
                            [log(m) + a + b for m, b in zip(row, g, strict=True)]
                            for row, a in zip(joint, f, strict=True)
                        ],
                    ),
                    lambda joint, f, g: (
                        oracles.mutual_information(joint)
                        + oracles.kl(oracles.flat(oracles.independent(joint)), oracles.flat(joint))
                    ),
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (2 × 2 atoms are also checked
                in full)"""),
            ),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R),
                  let S := list_prod l m in
                  let q := indep (fst_law m p) (snd_law l p) in
                  law S p -> (forall c, In c S -> 0 < q c -> 0 < p c) ->
                  (forall f g, club l m p (fun c => ln (p c / q c) + f (fst c) + g (snd c)) = information l m
                    p + kl S q p)
                  /\ club l m p (fun c => ln (p c / fst_law m p (fst c))) = information l m p + kl S q p
                  /\ 0 <= kl S q p
                  /\ (kl S q p = 0 <-> same S p q)
                """,
        ),
        Part(
            "b",
            """At T = ln v(y given x) for any conditional law v that is positive wherever p(x) p(y) is, CLUB = I +
            KL(Q‖v p(x)) − KL(P‖v p(x)): at least I iff KL(P‖v p(x)) ≤ KL(Q‖v p(x)).""",
            checks=(
                Identity(
                    "p ln(s/q) − q ln(s/q), one atom of laws of any size",
                    (p - q) * sp.log(s / q),
                    p * sp.log(p / q) + q * sp.log(q / s) - p * sp.log(p / s),
                ),
                Identity(
                    "at ln v(y given x), 2 × 2 atoms",
                    club(P, Q, ln_v),
                    kl(P, Q) + kl(Q, S) - kl(P, S),
                ),
                Shipped(
                    "mi.bounds.club at a fitted conditional is I + KL(Q‖v p(x)) − KL(P‖v p(x))",
                    FITTED,
                    lambda joint, v: shipped(joint, with_conditional(joint, v)[3]),
                    lambda joint, v: (parts := with_conditional(joint, v))[0] + parts[1] - parts[2],
                ),
                Holds(
                    "mi.bounds.club is at least I where the criterion holds",
                    FITTED,
                    is_upper,
                ),
            ),
            by_hand=(
                Sum("""from one atom to any finite number of atoms: a sum of identities (2 × 2 atoms are also checked
                in full)"""),
            ),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (v : X -> Y -> R),
                  let S := list_prod l m in
                  let q := indep (fst_law m p) (snd_law l p) in
                  let w := fun c => v (fst c) (snd c) * fst_law m p (fst c) in
                  law S p -> (forall c, In c S -> 0 < q c -> 0 < p c) ->
                  (forall x, In x l -> law m (v x)) -> (forall c, In c S -> 0 < q c -> 0 < v (fst c) (snd c)) ->
                  club l m p (fun c => ln (v (fst c) (snd c))) = information l m p + kl S q w - kl S p w
                  /\ (information l m p <= club l m p (fun c => ln (v (fst c) (snd c))) <-> kl S p w <= kl S q w)
                  /\ ac S p w /\ ac S q w
                """,
        ),
        Part(
            "c",
            "CLUB is linear in T; unless X and Y are independent it has no upper limit over critics.",
            checks=(
                Identity(
                    "CLUB(k T) = k CLUB(T), 2 × 2 atoms",
                    club(P, Q, [x * t for t in ln_v]),
                    x * club(P, Q, ln_v),
                ),
            ),
            by_hand=("a positive value times k has no upper limit",),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R),
                  let S := list_prod l m in
                  let q := indep (fst_law m p) (snd_law l p) in
                  law S p ->
                  (forall a b T T', club l m p (fun c => a * T c + b * T' c) = a * club l m p T + b * club l m p T')
                  /\ ((exists c, In c S /\ p c <> q c) -> forall bound, exists T, bound < club l m p T)
                """,
        ),
    ),
    proof="""For any law S, p ln(s/q) − q ln(s/q) = p ln(p/q) + q ln(q/s) − p ln(p/s) at each atom: so CLUB(ln
    dS/dQ) = KL(P‖Q) + KL(Q‖S) − KL(P‖S). As P and Q have the same marginals, f(x) + g(y) has the same mean under
    both and drops out; ln v(y given x) is ln dS/dQ + ln p(y) with S = v p(x). At S = P the last KL is 0. With r =
    p/q, KL(Q‖P) = E_Q[r − 1 − ln r] ≥ 0, and 0 only for r = 1 wherever Q has mass. (c) CLUB(c T) = c CLUB(T), and
    CLUB(ln r) > 0 unless r = 1.""",
    example=Example(
        "CLUB at the true conditional of two coins that agree four times in five, beside I + KL(Q‖P)",
        at_the_conditional,
        jeffreys,
        {"joint": ((0.4, 0.1), (0.1, 0.4))},
    ),
    false_neighbours=(
        Sign("an upper bound of I at every conditional v", kl(Q, S) - kl(P, S), ">="),
        Identity("equal to I at the true conditional", club(P, Q, ln_true), kl(P, Q)),
        Identity(
            "with the negatives' y from another law, f(x) + g(y) still drops out",
            club(P, S, free),
            0,
        ),
        Sign("the gap KL(Q‖P) is at most I", kl(P, Q) - kl(Q, P), ">="),
    ),
    mutants=(
        instead("bounds.club", "dv"),
        Mutant(
            "bounds.club",
            "all negatives alike",
            lambda f: lambda t, u, log_p, log_q: f(t, u, log_p),
        ),
    ),
    about=("bounds.club",),
    reference="Cheng et al. 2020 (arXiv 2006.12013), section 3 and theorem 3.2.",
)
