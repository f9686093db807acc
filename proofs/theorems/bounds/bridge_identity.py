"""Bennett's acceptance ratio: one equation for DV's normaliser, exact at the log-ratio plus any constant."""

from math import log

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    Example,
    Identity,
    Limit,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    Values,
    expect,
    gradient,
    kl,
    logs,
    on_law,
    oracles,
    positives,
    reals,
    sigmoid,
    strategies,
    tensor,
    two_laws,
)

nu, p, q, w, d, a = positives(
    "nu p q w d a"
)  # the odds, the masses of one atom, e^{T−c} there, two free numbers
t, c, k = reals("t c k")
u = t - c - sp.log(nu)
at_w: Values = {t: c + sp.log(w)}
own, other = p * sigmoid(-u), nu * q * sigmoid(u)  # one atom's share in E_P σ(−u) and in ν E_Q σ(u)
equation = other - own  # its share in G(c)
own_w, other_w = nu / (nu + w), nu * w / (nu + w)  # σ(−u) and ν σ(u)
slope = sigmoid(u) * sigmoid(-u)
P, Q = two_laws(2)
TIGHT = [sp.log(a / b) + k for a, b in zip(P, Q, strict=True)]

# P = Q = (m, 1 − m) and ν = 1, with the two w = (1 + h)/(1 − h) that have c as their root: any m and x in (0, 1).
m, x = 1 / (1 + a), d / (1 + d)
COIN, H = (m, 1 - m), (x * (1 - m), -x * m)
at_equal_laws = sum(
    mass * sp.log((1 + h) / (1 - h)) for mass, h in zip(COIN, H, strict=True)
)  # E_P T − c; KL is 0


def tight(a, b, threshold):
    """One atom's share in G(k) at T = ln a/b + k, with u = T − k − threshold."""
    score = sp.log(a / b) - threshold
    return nu * b * sigmoid(score) - a * sigmoid(-score)


def shipped(p, q, t, odds):
    """The shipped value on a finite law."""
    return on_law(lambda *laws: mi.bounds.bridge(*laws, log_odds=log(odds)), p, q, t)


def slopes(p, q, t, odds):
    """d value/dT of the shipped value, in the scores of P's atoms and then of Q's."""
    both = gradient(
        lambda s: mi.bounds.bridge(s[0], s[1], logs(p), logs(q), log_odds=log(odds)), [t, t]
    )
    return both.flatten().tolist()


def weights(p, q, t, odds):
    """The same by the formula: p − p σ'/D and −ν q σ'/D, D = E_P σ' + ν E_Q σ', at the brute-force root."""
    shift = oracles.mean(p, t) - oracles.bridge(p, q, t, odds)
    x = (tensor(t) - shift - log(odds)).sigmoid()
    first, second = tensor(p) * x * (1 - x), odds * tensor(q) * x * (1 - x)
    total = first.sum() + second.sum()
    return torch.cat([tensor(p) - first / total, -second / total]).tolist()


LAWS = strategies.law_pairs() | {"t": strategies.vectors(3, 3)}
ODDS = LAWS | {"odds": strategies.rates(8)}


def read_shifted(p, q, shift, odds):
    """What the ratio reads at T = ln p/q + k, its root by bisection."""
    t = [oracles.ln(a / b) + shift for a, b in zip(p, q, strict=True)]
    return oracles.bridge(p, q, t, odds)


THEOREM = Theorem(
    slug="bridge_identity",
    title="Bennett's acceptance ratio: its equation, its root, and what it reads at ln r + k",
    purpose="To read the information off two samples of scores by Bennett's equation.",
    setting="""Let P and Q be laws on a finite set, T a real critic, ν > 0, u = T − c − ln ν, G(c) = ν E_Q σ(u) − E_P
    σ(−u).""",
    formula=r"""\mathbb{E}_P\,\sigma(-u) = \nu\,\mathbb{E}_Q\,\sigma(u), \quad u = T - c - \ln\nu, \qquad T =
    \ln\tfrac{dP}{dQ} + k \;\Rightarrow\; c = k, \;\; \mathbb{E}_P T - c = \mathrm{KL}(P\|Q)""",
    assumptions=(
        "finite sets, a real critic, 0 < ν < ∞; population values, or equally likely samples as atoms",
        "(c) P and Q have the same support",
    ),
    parts=(
        Part(
            "a",
            """G decreases strictly from ν to −1, so it has one root c; it lies between the least and the largest
            score and is where E_P ln σ(u) + ν E_Q ln σ(−u) is largest: the best shift of the logistic regression
            of P against Q with ν negatives to a positive.""",
            checks=(
                Identity("σ(−u) = ν/(ν + w)", sigmoid(-u).subs(at_w), own_w),
                Identity("ν σ(u) = ν w/(ν + w)", nu * sigmoid(u).subs(at_w), other_w),
                Sign("G decreases", sp.diff(equation, c), "<"),
                Limit("c → −∞, that is w → ∞: ν σ(u) → ν", other_w, w, sp.oo, nu, nu**2 / w),
                Limit("c → −∞: σ(−u) → 0", own_w, w, sp.oo, 0, nu / w),
                Identity("c → ∞, that is w → 0: ν σ(u) → 0", other_w.subs(w, 0), 0),
                Identity("c → ∞: σ(−u) → 1", own_w.subs(w, 0), 1),
                Sign(
                    "least score: ν σ(u) > ν/(1 + ν) where w = 1 + d",
                    other_w.subs(w, 1 + d) - nu / (1 + nu),
                    ">",
                ),
                Sign("least score: σ(−u) < ν/(1 + ν)", own_w.subs(w, 1 + d) - nu / (1 + nu), "<"),
                Sign(
                    "largest score: ν σ(u) < ν/(1 + ν) where w = 1/(1 + d)",
                    other_w.subs(w, 1 / (1 + d)) - nu / (1 + nu),
                    "<",
                ),
                Sign(
                    "largest score: σ(−u) > ν/(1 + ν)",
                    own_w.subs(w, 1 / (1 + d)) - nu / (1 + nu),
                    ">",
                ),
                Identity(
                    "G is the derivative of the logistic objective",
                    sp.diff(p * sp.log(sigmoid(u)) + nu * q * sp.log(sigmoid(-u)), c),
                    equation,
                ),
                Shipped(
                    "mi.bounds.bridge is E_P T − c", ODDS, shipped, oracles.bridge, tolerance=1e-8
                ),
            ),
            by_hand=(
                """a continuous strictly decreasing function with both signs has one root; it converges with the
                function""",
                Sum(
                    "from one atom to any finite number of atoms, each a sum of identities or signs"
                ),
            ),
        ),
        Part(
            "b",
            "ν E_Q σ(u) = Z e^{−c} E_{Q_T} σ(−u), with Z = E_Q eᵀ and Q_T ∝ eᵀ Q: the root is ln Z if P = Q_T.",
            checks=(
                Identity("ν σ(u) = e^{T−c} σ(−u)", nu * sigmoid(u), sp.exp(t - c) * sigmoid(-u)),
            ),
            by_hand=(
                Sum(
                    "from one atom to any finite number of atoms, each a sum of identities or signs"
                ),
            ),
        ),
        Part(
            "c",
            """If P and Q have the same support and T = ln dP/dQ + k, then c = k for every ν, and the value E_P T
            − c is KL(P‖Q).""",
            checks=(
                Identity("one atom: c = k is the root at ln p/q + k", tight(p, q, sp.log(nu)), 0),
                Identity(
                    "2 atoms: E_P T − k = KL",
                    expect(P, TIGHT) - k,
                    kl(P, Q),
                ),
            ),
        ),
        Part(
            "d",
            """The value does not change under T → T + k. As ν → ∞ it tends to DV = E_P T − ln Z, as ν → 0 to E_P
            T + ln E_P e^{−T}.""",
            checks=(
                Limit("ν → ∞: ν σ(u) → w", other_w, nu, sp.oo, w, w**2 / nu),
                Limit("ν → ∞: σ(−u) → 1", own_w, nu, sp.oo, 1, w / nu),
                Limit("ν → 0: σ(u) → 1", other_w / nu, nu, 0, 1, nu / w),
                Limit("ν → 0: σ(−u)/ν → 1/w", own_w / nu, nu, 0, 1 / w, nu / w**2),
            ),
            by_hand=(
                """a continuous strictly decreasing function with both signs has one root; it converges with the
                function""",
            ),
        ),
        Part(
            "e",
            """Its derivatives in the scores of an atom are p − p σ'(u)/D under P and −ν q σ'(u)/D under Q, with D
            = E_P σ'(u) + ν E_Q σ'(u). At other critics the value may be above KL(P‖Q) or below it.""",
            checks=(
                Identity(
                    "P = Q, ν = 1: c is the root",
                    sum(mass * h for mass, h in zip(COIN, H, strict=True)),
                    0,
                ),
                Identity(
                    "P = Q, ν = 1: ν σ(u) − σ(−u) at the root",
                    (other_w - own_w).subs({nu: 1, w: (1 + H[0]) / (1 - H[0])}),
                    H[0],
                ),
                Identity("dG/dT = (p + ν q) σ'(u)", sp.diff(equation, t), (p + nu * q) * slope),
                Identity("dG/dc = −(p + ν q) σ'(u)", sp.diff(equation, c), -(p + nu * q) * slope),
                Shipped(
                    "the gradient of mi.bounds.bridge in the scores is that of (e)",
                    ODDS,
                    slopes,
                    weights,
                    tolerance=1e-7,
                    examples=6,
                ),
            ),
            by_hand=("implicit differentiation of G(c; T) = 0",),
        ),
    ),
    proof="""Write w = e^{T−c}: σ(−u) = ν/(ν + w) and ν σ(u) = ν w/(ν + w) = w σ(−u), whose mean under Q is (b). As
    c grows w falls, ν σ(u) falls and σ(−u) rises: G decreases. If w ≥ 1 at all atoms then ν σ(u) ≥ ν/(1 + ν) ≥
    σ(−u), so G ≥ 0 at the least score, and G ≤ 0 at the largest. G is the derivative of the logistic objective. At
    T = ln r + k and c = k, w = r, and q ν r/(ν + r) = p ν/(ν + r) at every atom. As ν → ∞ the equation becomes E_Q
    w = 1, and as ν → 0, divided by ν, 1 = E_P 1/w. (e) is the implicit function theorem.""",
    example=Example(
        "what Bennett's ratio reads at ln dP/dQ + k, beside KL(P‖Q)",
        read_shifted,
        lambda p, q, shift, odds: oracles.kl(p, q),
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "shift": 3.0, "odds": 4.0},
    ),
    false_neighbours=(
        Identity("with u = T − c, without ln ν, c = k at ln p/q + k", tight(p, q, 0), 0),
        Identity("ν → ∞: the equation is E_P 1/w = 1: σ(−u) → 1/w, not 1", sp.S(1), 1 / w),
        Sign("the value never exceeds KL(P‖Q), here 0", at_equal_laws, "<="),
        Sign("the value is never below KL(P‖Q), here 0", at_equal_laws, ">="),
    ),
    mutants=(
        Mutant("bounds.bridge", "dv instead", lambda f: lambda *laws, log_odds: mi.dv(*laws)),
        Mutant(
            "bounds.bridge",
            "odds turned",
            lambda f: lambda *laws, log_odds: f(*laws, log_odds=-log_odds),
        ),
    ),
    uses=("dv_representation",),
    about=("bounds.bridge",),
    reference="""Bennett 1976, J. Comput. Phys. 22, 245–268; Meng & Wong 1996, Statistica Sinica 6, 831–860, for the
    least variance, which is not claimed here.""",
)
