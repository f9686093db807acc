"""Against the α-relative law the ratio, the information and the second moment all have ceilings, and r comes back."""

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
    compiled,
    expect,
    logs,
    mixture,
    off,
    oracles,
    positives,
    ratios,
    reals,
    strategies,
    tensor,
    two_laws,
)

r, a, x, y = positives("r a x y")
(ell,) = reals("ell")  # ln r
alpha, rest = a / (1 + a), 1 / (1 + a)  # α in (0, 1) and 1 − α


def relative(r, alpha=alpha):
    """r_α = r/((1 − α) r + α)."""
    return r / ((1 - alpha) * r + alpha)


def inverse(x):
    """α x/(1 − (1 − α) x)."""
    return alpha * x / (1 - rest * x)


P, Q = two_laws(3)
MIXED = mixture(P, Q, alpha)
RATIO = [relative(p / q) for p, q in zip(P, Q, strict=True)]
below = rest**-1 * sp.exp(-y)  # every x in (0, 1/(1 − α)), as y > 0 varies
log_inverse = sp.log(alpha) + (sp.log(below) - sp.log(1 - rest * below))
concave = alpha * ell + sp.log(rest + alpha * sp.exp(-ell))  # α ln r − ln r_α


def mixed_law(p, q, mix):
    """(1 − α) p + α q."""
    return mixture(p, q, mix)


def tight(p, q, mix):
    """The shipped ln r_α of every atom."""
    return mi.bounds.log_ratio_to_relative(logs(p) - logs(q), mix)


def shipped(p, q, mix):
    """KL(P‖Q_α) and E_{Q_α} r_α² by the library."""
    critic, mixed = tight(p, q, mix), mixed_law(p, q, mix)
    value = mi.bounds.relative(mi.dv, mix)(critic, critic, logs(p), logs(q))
    return [float(value), float(mi.log_mean_exp(2 * critic, logs(mixed)).exp())]


def brute(p, q, mix):
    """KL(P‖Q_α) and E_P r_α by brute force."""
    mixed = mixed_law(p, q, mix)
    return [oracles.kl(p, mixed), oracles.mean(p, ratios(p, mixed))]


LAWS = strategies.law_pairs() | {"mix": strategies.mixes()}
there, back = compiled(sp.log(relative(sp.exp(ell)))), compiled(sp.log(inverse(x)))


def lower_ceiling(p, q, mix):
    """The smaller of −ln(1 − α) and α KL(P‖Q)."""
    return min(-log(1 - mix), mix * oracles.kl(p, q))


THEOREM = Theorem(
    slug="relative_ratio_ceiling",
    title="the α-relative ratio is at most 1/(1 − α), and so are its second moment and, in logarithms, its KL",
    purpose="To choose the mix α: it caps the ratio, the noise and the information that can be read.",
    setting="Let P ≪ Q be laws on a finite set, r = dP/dQ, α in (0, 1), Q_α = (1 − α) P + α Q.",
    formula=r"""r_\alpha = \frac{r}{(1-\alpha)\,r + \alpha} < \frac{1}{1-\alpha}, \qquad \mathrm{KL}(P\|Q_\alpha) <
    -\ln(1-\alpha), \qquad \mathbb{E}_{Q_\alpha} r_\alpha^2 = \mathbb{E}_P r_\alpha""",
    assumptions=(
        "P ≪ Q on a finite set (without P ≪ Q: r = ∞ and r_α = 1/(1 − α) there, and < becomes ≤ in (a) to (c))",
        "0 < α < 1; at α = 1, Q_α = Q and nothing has a ceiling",
    ),
    parts=(
        Part(
            "a",
            """dP/dQ_α = r_α = r/((1 − α) r + α), which increases with r and is < 1/(1 − α); from it r = α r_α/(1
            − (1 − α) r_α).""",
            checks=(
                Identity(
                    "dP/dQ_α = r_α at any atom (q is free)",
                    r * x / (rest * r * x + alpha * x),
                    relative(r),
                ),
                Sign("r_α increases with r", sp.diff(relative(r), r), ">"),
                Identity(
                    "1/(1 − α) − r_α", 1 / rest - relative(r), alpha / (rest * (rest * r + alpha))
                ),
                Sign("1/(1 − α) − r_α is positive", 1 / rest - relative(r), ">"),
                Identity("α r_α/(1 − (1 − α) r_α) = r", inverse(relative(r)), r),
                Shipped(
                    "mi.bounds.log_ratio_to_relative is ln r_α",
                    {"mix": LAWS["mix"], "t": strategies.scores(40)},
                    lambda mix, t: float(mi.bounds.log_ratio_to_relative(tensor(t), mix)),
                    lambda mix, t: there(a=mix / (1 - mix), ell=t),
                ),
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R) (a : R),
                  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
                  (forall x, In x l -> 0 < q x ->
                     let r := p x / q x in
                     relative a p q x = r / ((1 - a) * r + a)
                     /\ relative a p q x < / (1 - a)
                     /\ r = a * relative a p q x / (1 - (1 - a) * relative a p q x))
                  /\ (forall r s, 0 <= r < s -> r / ((1 - a) * r + a) < s / ((1 - a) * s + a))
                """,
        ),
        Part(
            "b",
            "KL(P‖Q_α) < −ln(1 − α) and KL(P‖Q_α) ≤ α KL(P‖Q).",
            checks=(
                Identity(
                    "α ln r − ln r_α, written out",
                    alpha * ell - sp.log(relative(sp.exp(ell))),
                    concave,
                ),
                Minimum("α ln r − ln r_α", concave, ell, 0),
                Holds(
                    """by the library KL(P‖Q_α) ≤ min(−ln(1 − α), α KL), and KL ≥ mi.bounds.relative_to_log_ratio of
                    it""",
                    LAWS,
                    lambda p, q, mix: (
                        (value := shipped(p, q, mix)[0])
                        < min(-log(1 - mix), mix * oracles.kl(p, q) + 1e-9)
                        and float(mi.bounds.relative_to_log_ratio(tensor(value), mix))
                        <= oracles.kl(p, q) + 1e-9
                    ),
                ),
            ),
            by_hand=(Sum("the mean under P of an inequality; atoms without P-mass add 0"),),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R) (a : R),
                  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
                  kl l p (mixed a p q) < - ln (1 - a) /\ kl l p (mixed a p q) <= a * kl l p q
                """,
        ),
        Part(
            "c",
            "E_{Q_α} r_α² = E_P r_α < 1/(1 − α), so Var_{Q_α}(r_α) < α/(1 − α).",
            checks=(
                Identity(
                    "E_{Q_α} r_α² = E_P r_α, 3 atoms",
                    expect(MIXED, [u**2 for u in RATIO]),
                    expect(P, RATIO),
                ),
                Identity("E_{Q_α} r_α = 1, 3 atoms", expect(MIXED, RATIO), 1),
                Identity("1/(1 − α) − 1 = α/(1 − α)", 1 / rest - 1, alpha / rest),
                Shipped(
                    "mi.bounds.relative(mi.dv) and the second moment at ln r_α",
                    LAWS,
                    shipped,
                    brute,
                ),
            ),
            by_hand=(Sum("from 3 atoms to any finite number in (c), a sum of identities"),),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R) (a : R),
                  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
                  E l (mixed a p q) (fun x => relative a p q x ^ 2) = E l p (relative a p q)
                  /\ E l p (relative a p q) < / (1 - a)
                  /\ Var l (mixed a p q) (relative a p q) < a / (1 - a)
                """,
        ),
        Part(
            "d",
            """g(t) = ln α + t − ln(1 − (1 − α) eᵗ) on t < −ln(1 − α), where it increases and is convex, turns ln
            r_α into ln r; so KL(P‖Q) ≥ g(KL(P‖Q_α)), and g of any lower bound of KL(P‖Q_α) is a lower bound of
            KL(P‖Q).""",
            checks=(
                Identity("g(ln r_α) = ln r", sp.log(inverse(relative(r))), sp.log(r)),
                Identity("g at t = −ln(1 − α) − y", log_inverse, sp.log(inverse(below))),
                Sign("g decreases with y, that is increases with t", sp.diff(log_inverse, y), "<"),
                Sign("g is convex", sp.diff(log_inverse, y, 2), ">"),
                Shipped(
                    "mi.bounds.relative_to_log_ratio is its inverse",
                    {"mix": LAWS["mix"], "y": strategies.rates(8)},
                    lambda mix, y: float(
                        mi.bounds.relative_to_log_ratio(tensor(-log(1 - mix) - y), mix)
                    ),
                    lambda mix, y: compiled(log_inverse)(a=mix / (1 - mix), y=y),
                    tolerance=1e-8,
                ),
            ),
            by_hand=("the mean of Jensen's tangent inequality",),
            kernel=r"""
                forall (X : Type) (l : list X) (p q : X -> R) (a : R),
                  law l p -> law l q -> ac l p q -> 0 < a < 1 ->
                  (forall s t, s < t -> t < - ln (1 - a) -> back a s < back a t)
                  /\ (forall s t c, s < - ln (1 - a) -> t < - ln (1 - a) -> 0 <= c <= 1 ->
                        back a ((1 - c) * s + c * t) <= (1 - c) * back a s + c * back a t)
                  /\ (forall x, In x l -> 0 < p x -> back a (ln (relative a p q x)) = ln (p x / q x))
                  /\ back a (kl l p (mixed a p q)) <= kl l p q
                  /\ (forall b, b <= kl l p (mixed a p q) -> back a b <= kl l p q)
                """,
        ),
    ),
    proof="""(a) 1/(1 − α) − r_α = α/((1 − α)((1 − α) r + α)) > 0. (b) KL(P‖Q_α) = E_P ln r_α is a mean of numbers
    below −ln(1 − α). And α ln r − ln r_α = α ln r + ln(1 − α + α/r) is strictly convex in ln r with its minimum 0
    at r = 1. (c) r_α dQ_α = dP, and E_{Q_α} r_α = 1. (d) With eᵗ = e^{−y}/(1 − α), y > 0, g is increasing in t and
    convex, so that E_P ln r = E_P g(ln r_α) ≥ g(E_P ln r_α) by Jensen's inequality.""",
    example=Example(
        "KL(P‖Q_α) at α = ½, beside the smaller of −ln(1 − α) and α KL(P‖Q)",
        lambda p, q, mix: brute(p, q, mix)[0],
        lower_ceiling,
        {"p": (0.9, 0.1), "q": (0.01, 0.99), "mix": 0.5},
        relation="≤",
    ),
    false_neighbours=(
        Sign("the ceiling is 1/α (here at r = 100)", 1 / alpha - relative(sp.Integer(100)), ">"),
        Identity("E_{Q_α} r_α² = E_Q r_α", expect(MIXED, [u**2 for u in RATIO]), expect(Q, RATIO)),
        Identity(
            "the inverse is r_α/(1 − (1 − α) r_α), without the α", inverse(relative(r)) / alpha, r
        ),
        Sign("KL(P‖Q_α) ≥ α KL(P‖Q), at one atom", concave, "<="),
        Identity("the mean of ln r is g of the mean: g is linear", sp.diff(log_inverse, y, 2), 0),
    ),
    mutants=(
        off("bounds.log_ratio_to_relative"),
        Mutant("bounds.relative", "the other mix", lambda f: lambda bound, mix: f(bound, 1 - mix)),
        Mutant(
            "bounds.relative_to_log_ratio", "without the α", lambda f: lambda t, m: f(t, m) - log(m)
        ),
    ),
    about=("bounds.relative", "bounds.log_ratio_to_relative", "bounds.relative_to_log_ratio"),
    reference="Yamada et al. 2011 (arXiv 1106.4729), the relative density ratio.",
)
