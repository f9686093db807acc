"""The interpolated bound I_α: NWJ at another critic, so below I; its ceiling is 1 + ln(K/α), not ln(K/α)."""

from itertools import product

import sympy as sp
import torch

import mi_estimators as mi
from mi_estimators.theory import interpolated_ceiling
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    compiled,
    expect,
    integers,
    nwj,
    off,
    oracles,
    pair_batches,
    positives,
    reals,
    strategies,
    tensor,
    two_laws,
)

a, base, s, d, h = positives(
    "a A s d h"
)  # α = a/(1 + a), the baseline a(x), Σ eᵀ of the other candidates, e^{−score}
t, c = reals("t c")
(K,) = integers("K")
alpha, rest = a / (1 + a), 1 / (1 + a)


def critic(t, others, candidates, mix=alpha):
    """e^S = eᵗ/(α m + (1 − α) a), m = (eᵗ + Σ others)/K, for the candidate with the score t."""
    return sp.exp(t) / (mix * (sp.exp(t) + others) / candidates + (1 - mix) * base)


room = 1 + s * sp.exp(-t) + rest / alpha * K * base * sp.exp(-t)  # (K/α)/e^S

# One x with p(x) given, y on 2 atoms: W = p(y₁ given x) Π p(y_j) over j ≥ 2, V = Π p(y_j), K candidates.
(own, marginal), T = two_laws(2), reals("t1 t2")


def laws(size):
    """The laws W and V and the critic S on the outcomes (y₁, …, y_K), and m/B there, B = α m + (1 − α) a."""
    outcomes = list(product((0, 1), repeat=size))
    v = [sp.prod(marginal[y] for y in ys) for ys in outcomes]
    w = [own[ys[0]] * sp.prod(marginal[y] for y in ys[1:]) for ys in outcomes]
    scores = [[sp.exp(T[y]) for y in ys] for ys in outcomes]
    critics = [critic(T[ys[0]], sum(e[1:]), size) for ys, e in zip(outcomes, scores, strict=True)]
    penalties = [sum(e) / size / (alpha * sum(e) / size + rest * base) for e in scores]
    return w, v, critics, penalties


two = laws(2)


def of_three():
    """The mean of a row of three pairs: the reward leaves out one negative in turn, the penalty takes both."""
    reward, penalty = (dict(zip(product((0, 1), repeat=2), two[i], strict=True)) for i in (2, 3))
    total = sp.S(1)
    for y, first, second in product((0, 1), repeat=3):
        value = (sp.log(reward[y, first]) + sp.log(reward[y, second])) / 2 - penalty[first, second]
        total += own[y] * marginal[first] * marginal[second] * value
    return total


# A matrix with scores −ln d on the diagonal and ln d off it, a = 1: the value, K = N − 1; its limit as d → 0.
separated = 1 - sp.log(alpha * (1 + (K - 1) * d**2) / K + rest * d) - d / (alpha * d + rest)
# I_α, K = 2, for y = x uniform on 1/h values, the same critic at d → 0: the positive meets its own y again or not.
apart = 1 + (1 - h) * sp.log(2 / alpha) + h * sp.log(1 / alpha) - (1 - (1 - h) ** 2) / alpha
exact = apart.subs({h: sp.Rational(1, 16), a: 1})  # α = ½


def shipped(joint, t, log_a, alpha):
    """The mean of mi.bounds.interpolated over all batches of 3 independent pairs (K = 2), enumerated."""
    scores, x, weights = pair_batches(joint, t, 3)
    return float(weights @ mi.bounds.interpolated(scores, alpha, tensor(log_a)[x]))


JOINT = {"joint": strategies.joint_laws(2, 2), "t": strategies.tables(2, 2, 4)}
MIX = {
    "log_a": strategies.vectors(2, 2),
    "alpha": strategies.one_of(["0", "0.25", "0.5", "0.9", "1"]).map(float),
}
MATRIX = {"scores": strategies.tables(4, 4, 12), "alpha": strategies.mixes()}


def on_uniform(values, level, alpha, candidates):
    """I_α for y = x uniform, T = level on the diagonal and −level off it, a = 1: enumerated."""
    joint = [[(i == j) / values for j in range(values)] for i in range(values)]
    t = [[level if i == j else -level for j in range(values)] for i in range(values)]
    return oracles.interpolated(joint, t, [0.0] * values, alpha, candidates)


def least_ceiling(values, level, alpha, candidates):
    """min(I, 1 + ln(K/α))."""
    return min(oracles.ln(values), float(interpolated_ceiling(candidates, alpha)))


THEOREM = Theorem(
    slug="interpolated_ceiling",
    title="I_α ≤ I, and I_α < 1 + ln(K/α)",
    purpose="To choose K and α of the interpolated bound: what it can read at most.",
    setting="""Let P be a law of (x, y) on a finite set, T a real critic, a(x) > 0, α in [0, 1], K ≥ 1; for
    candidates y₁, …, y_K let m = (1/K) Σ_k e^{T(x, y_k)} and B = α m + (1 − α) a(x). Under W, (x, y₁) ~ P and y₂,
    …, y_K are i.i.d. from p(y); under V, x ~ p(x) and all y_k are i.i.d. from p(y), independent of x. Let I_α = 1 +
    E_W[T(x, y₁) − ln B] − E_V[m/B].""",
    formula=r"""1 + \mathbb{E}_W \ln \frac{e^{T(x, y_1)}}{\alpha m + (1-\alpha)\,a(x)} - \mathbb{E}_V
    \frac{m}{\alpha m + (1-\alpha)\,a(x)} \le \min\bigl(I,\; 1 + \ln\tfrac{K}{\alpha}\bigr)""",
    assumptions=(
        "finite sets, T real; a(x) > 0 does not depend on the y of the sample",
        "the positive is among the K candidates of the reward; all K candidates of the penalty are independent of x",
        "(c) α > 0; at α = 0 there is no ceiling",
    ),
    parts=(
        Part(
            "a",
            "I_α is NWJ of W against V at the critic S = T(x, y₁) − ln B, and KL(W‖V) = I(X; Y): so I_α ≤ I.",
            checks=(
                *[
                    Identity(
                        f"E_V[m/B] = E_V e^S, K = {k}", expect(v, penalties), expect(v, critics)
                    )
                    for k, (_, v, critics, penalties) in ((k, laws(k)) for k in (2, 3))
                ],
                Identity(
                    "I_α is NWJ of W against V, K = 2",
                    1 + expect(two[0], list(map(sp.log, two[2]))) - expect(two[1], two[3]),
                    nwj(two[0], two[1], list(map(sp.log, two[2]))),
                ),
            ),
            by_hand=(
                "E_V[m/B] = E_V e^S for any finite set and any K (checked: 2 atoms, K ≤ 3); (d) for any K",
                """the sum over x; a row and a left-out column of N independent pairs have the laws W and V; means
                are linear""",
            ),
        ),
        Part(
            "b",
            "α = 0 is NWJ of T − ln a, α = 1 is InfoNCE with K candidates.",
            checks=(
                Identity("α = 0: e^S = eᵀ/a", critic(t, s, K, sp.S(0)), sp.exp(t) / base),
                Identity(
                    "α = 1: e^S is InfoNCE's",
                    critic(t, s, K, sp.S(1)),
                    K * sp.exp(t) / (sp.exp(t) + s),
                ),
            ),
        ),
        Part(
            "c",
            "S < ln(K/α) for α in (0, 1), so I_α < 1 + ln(K/α); and I_1 ≤ ln K.",
            checks=(
                Identity("ln(K/α) − S", sp.log(K / alpha) - sp.log(critic(t, s, K)), sp.log(room)),
                Sign("ln(K/α) − S is positive", sp.log(room), ">"),
                Sign("ln(K/α) − S is positive for K = 1 too", sp.log(room.subs(s, 0)), ">"),
                Sign("the penalty m/B is positive", s / (alpha * s + rest * base), ">"),
                Holds(
                    "mi.bounds.interpolated stays below 1 + ln(K/α) on every matrix",
                    MATRIX,
                    lambda scores, alpha: (
                        float(mi.bounds.interpolated(tensor(scores), alpha))
                        < interpolated_ceiling(3, alpha)
                    ),
                ),
            ),
        ),
        Part(
            "d",
            """For 0 < α < 1 this is the least ceiling: on a score matrix with L on the diagonal, −L off it and a
            = 1 the value tends to it as L → ∞; so does I_α itself if y = x is uniform on n values, as then n → ∞.
            The published ceiling ln(K/α) is too low.""",
            checks=(
                Identity(
                    "the limit is 1 + ln(K/α)",
                    separated.subs(d, 0),
                    interpolated_ceiling(K, alpha),
                ),
                Identity(
                    "the limit of I_α, n → ∞, K = 2",
                    apart.subs(h, 0),
                    interpolated_ceiling(sp.S(2), alpha),
                ),
                Sign("16 values, α = ½, K = 2: the value is above ln(K/α)", exact - sp.log(4), ">"),
                Sign(
                    "16 values, α = ½, K = 2: the value is below I = ln 16", sp.log(16) - exact, ">"
                ),
                Shipped(
                    "mi.bounds.interpolated on the separated matrix, L = 40, N = 5",
                    {"alpha": strategies.mixes()},
                    lambda alpha: float(
                        mi.bounds.interpolated(80 * torch.eye(5, dtype=torch.float64) - 40, alpha)
                    ),
                    lambda alpha: interpolated_ceiling(4, alpha),
                ),
                Shipped(
                    "mi.bounds.interpolated over all batches, y = x uniform on 4 values, L = 40",
                    {"alpha": strategies.mixes()},
                    lambda alpha: shipped(
                        (torch.eye(4) / 4).tolist(),
                        (80 * torch.eye(4) - 40).tolist(),
                        [0] * 4,
                        alpha,
                    ),
                    lambda alpha: compiled(apart)(a=alpha / (1 - alpha), h=0.25),
                ),
            ),
            by_hand=(
                "E_V[m/B] = E_V e^S for any finite set and any K (checked: 2 atoms, K ≤ 3); (d) for any K",
            ),
        ),
        Part(
            "e",
            """On K + 1 independent pairs mi.bounds.interpolated has the mean I_α: a row's penalty takes its K
            negatives, its reward the positive in place of each in turn.""",
            checks=(
                Identity(
                    "a row of three pairs, given its x, has the mean I_α, K = 2",
                    of_three(),
                    1 + expect(two[0], list(map(sp.log, two[2]))) - expect(two[1], two[3]),
                ),
                Shipped(
                    "mi.bounds.interpolated has the mean I_α over all batches of 3",
                    JOINT | MIX,
                    shipped,
                    lambda joint, t, log_a, alpha: oracles.interpolated(joint, t, log_a, alpha, 2),
                ),
            ),
            by_hand=(
                """the sum over x; a row and a left-out column of N independent pairs have the laws W and V; means
                are linear""",
            ),
        ),
    ),
    proof="""(a) B is symmetric in the candidates, and V exchanges them, so E_V[m/B] = E_V e^S. Hence I_α is 1 + E_W
    S − E_V e^S, at most KL(W‖V) (nwj_gap), which is I (infonce_ceiling). (b) B = a, B = m. (c) (K/α) e^{−S} = 1 + s
    e^{−T} + ((1 − α)/α) K a e^{−T} > 1, s ≥ 0 the sum over the other candidates, and the penalty is positive. At α
    = 1: S ≤ ln K, and the penalty is 1. (d) Put d = e^{−L}: the value is continuous at d = 0. For y = x the
    negatives meet the x with a probability that tends to 0 as n → ∞; at n = 16, α = ½, K = 2 the limit in L is
    already above ln(K/α).""",
    example=Example(
        "I_α with one candidate for y = x uniform on 12 values, beside min(I, 1 + ln(K/α))",
        on_uniform,
        least_ceiling,
        {"values": 12, "level": 9.0, "alpha": 0.5, "candidates": 1},
        relation="≤",
    ),
    false_neighbours=(
        Sign(
            "the published ceiling ln(K/α), on the separated matrix",
            sp.log(K / alpha) - separated.subs(d, 0),
            ">=",
        ),
        Sign("in expectation: y = x uniform on 16 values, α = ½, K = 2", sp.log(4) - exact, ">="),
        Sign(
            "without the positive among them: still S < ln(K/α)",
            s + rest / alpha * K * base - sp.exp(t),
            ">",
        ),
        Identity(
            "a penalty from W instead of V is E_V e^S too, K = 2",
            expect(two[0], two[3]),
            expect(two[1], two[2]),
        ),
    ),
    mutants=(
        off("bounds.interpolated"),
        Mutant("bounds.interpolated", "the other α", lambda f: lambda t, a, *b: f(t, 1 - a, *b)),
    ),
    uses=("nwj_gap", "infonce_ceiling"),
    about=("bounds.interpolated", "theory.interpolated_ceiling"),
    reference="""Poole et al. 2019 (arXiv 1905.06922), section 2.4 (I_α); its ceiling is corrected here.""",
)
