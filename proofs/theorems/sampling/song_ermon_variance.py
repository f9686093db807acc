"""At the optimal critic the negatives' variance is χ²/M ≥ (e^I − 1)/M: for NWJ exactly, for DV in the limit."""

from math import exp, sqrt

import sympy as sp
import torch

import mi_estimators as mi
from mi_estimators.theory import least_negative_variance
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    batches,
    expect,
    instead,
    logs,
    oracles,
    positives,
    ratios,
    reals,
    scaled,
    strategies,
    tensor,
    two_laws,
)

x, k, w, s, i = positives("x k w s I")
(u,) = reals("u")
m = 1 / (1 + k)
gap = x - 1 - sp.log(x)  # ε, what ln x falls short of x − 1
slope = (x - 1) * (x - m) / (m * x)  # of (x − 1)²/(2m) − ε
P, Q = two_laws(2)
R = ratios(P, Q)
chi2 = expect(Q, [(r - 1) ** 2 for r in R])
information = expect(P, [sp.log(r) for r in R])
pair_mean = [
    (a * b, (c + d) / 2) for a, c in zip(Q, R, strict=True) for b, d in zip(Q, R, strict=True)
]


def deviation(q, t, size, bound):
    """√(M Var) of a bound's negative part over all batches of M negatives."""
    atoms, weights = batches(q, size)
    values = bound(torch.zeros(len(atoms), 1, dtype=torch.float64), tensor(t)[atoms])
    return sqrt(float(weights @ (values - weights @ values) ** 2) * size)


def optimal(joint):
    """The law of the negatives, ln r on it, χ² and I."""
    p, q = oracles.flat(joint), oracles.flat(oracles.independent(joint))
    return (
        q,
        [oracles.ln(a / b) for a, b in zip(p, q, strict=True)],
        oracles.chi2(p, q),
        oracles.kl(p, q),
    )


def rate(joint, size):
    """Whether √(M Var) of mi.dv's negative part is as near to √χ² as the theorem says."""
    q, t, v, _ = optimal(joint)
    fourth = oracles.mean(q, [(exp(s) - 1) ** 4 for s in t])
    error = sqrt((fourth / size + 3 * (size - 1) / size * v**2) / size) / (2 * exp(min(t)))
    return abs(deviation(q, t, size, mi.dv) - sqrt(v)) <= error + 1e-9


def floor(joint, size):
    """Whether M Var of mi.nwj's negative part is at least e^I − 1."""
    q, t, _, nats = optimal(joint)
    return deviation(q, t, size, mi.nwj) ** 2 >= least_negative_variance(nats) - 1e-9


def log_variance(joint, size):
    """M·Var(ln r̄) by plain sums."""
    q, t, *_ = optimal(joint)
    first, second = (
        oracles.mean_over_batches(
            q,
            size,
            lambda *atoms, n=n: oracles.log_mean_exp([1 / size] * size, [t[j] for j in atoms]) ** n,
        )
        for n in (1, 2)
    )

    return size * (second - first**2)


def least(part):
    """M Var of mi.nwj, and e^I − 1, for P uniform on a part of Q: r is 1/Q(part) there, 0 off it."""
    q, t = (part, 1 - part), (-oracles.ln(part), -800.0)
    return deviation(q, t, 2, mi.nwj) ** 2


JOINT = {"joint": strategies.joint_laws(2, 2), "size": strategies.counts(3)}


def over_batches(p, q, size):
    """M·Var of the mean of r over M negatives, all batches enumerated; E_Q r = 1."""
    r = [a / b for a, b in zip(p, q, strict=True)]

    def square(*atoms):
        return (sum(r[i] for i in atoms) / size - 1) ** 2

    return size * oracles.mean_over_batches(q, size, square)


THEOREM = Theorem(
    slug="song_ermon_variance",
    title="at ln r the negatives' variance is χ²/M ≥ (e^I − 1)/M: for NWJ exactly, for DV in the limit",
    purpose="To know how many negatives an estimate of I nats needs: of order e^I at least.",
    setting="Let P ≪ Q, r = dP/dQ, I = KL(P‖Q), χ² = χ²(P‖Q) < ∞, r̄ the mean of r over M i.i.d. negatives from Q.",
    formula=r"""M \cdot \mathrm{Var}(\bar r) = \chi^2(P\|Q) \ge e^{I} - 1, \qquad M \cdot \mathrm{Var}(\ln \bar r)
    \to \chi^2(P\|Q), \qquad \bar r = \tfrac1M \sum_{j=1}^{M} r(y_j)""",
    assumptions=(
        "the critic is the exact log-ratio (DV: up to a constant); at another critic there is no such floor",
        "the M negatives are i.i.d. from Q and, for the whole bound, independent of the positives",
        "(b) μ₄ < ∞ and r ≥ m > 0 Q-almost surely: with r = 0 on Q-mass, ln r̄ = −∞ has a positive probability",
    ),
    parts=(
        Part(
            "a",
            """M·Var(r̄) = Var_Q(r) = χ² = E_P r − 1 ≥ e^I − 1, with equality iff r is constant P-almost surely.
            So NWJ at T = ln r, on N independent positives, has a variance of at least (e^I − 1)/M, whatever N is.""",
            checks=(
                Identity(
                    "2 Var(r̄) = χ², M = 2", 2 * (sum(a * b**2 for a, b in pair_mean) - 1), chi2
                ),
                Identity("χ² = E_P r − 1", chi2, expect(P, R) - 1),
                Minimum("e^u − 1 − u at u = ln r − I", sp.exp(u) - 1 - u, u, 0),
                Identity(
                    "equality at r = 1 + s on P",
                    expect([1], [1 + s]) - 1,
                    least_negative_variance(sp.log(1 + s)),
                ),
                Holds(
                    "M Var of mi.nwj's negative part at ln r is at least e^I − 1",
                    JOINT,
                    floor,
                ),
                Shipped(
                    "mi.nwj attains e^I − 1 where r is constant on P",
                    {"part": strategies.rates()},
                    least,
                    lambda part: 1 / part - 1,
                ),
                Shipped(
                    "the chi2 of mi.laws.Finite is that variance",
                    JOINT,
                    lambda joint, size: mi.laws.Finite(logs(joint)).chi2,
                    lambda joint, size: deviation(*optimal(joint)[:2], size, mi.nwj) ** 2,
                ),
            ),
            by_hand=(
                "variances of independent terms add, for any M (checked: M = 2); the mean of an inequality",
                Sum("2 atoms in the checks, sums for any number"),
            ),
        ),
        Part(
            "b",
            """If r ≥ m > 0 Q-almost surely and μ₄ = E_Q (r − 1)⁴ < ∞, then |√(M·Var(ln r̄)) − √χ²| ≤ √w/(2m√M), w
            = (μ₄ + 3 (M − 1) χ⁴)/M where χ⁴ is the square of χ²: M·Var(ln r̄) → χ² ≥ e^I − 1. On N independent
            positives DV at T = ln r + c has the variance Var_P(ln r)/N + Var(ln r̄), so M times it is at least
            the same in the limit.""",
            checks=(
                Minimum("ε ≥ 0", gap, x, 1),
                Identity(
                    "the ceiling of ε: slope", sp.diff((x - 1) ** 2 / (2 * m) - gap, x), slope
                ),
                Sign(
                    "the slope of ε's ceiling is negative between m and 1",
                    slope.subs(x, m + (1 - m) / (1 + w)),
                    "<",
                ),
                Sign("the slope of ε's ceiling is positive above 1", slope.subs(x, 1 + w), ">"),
                Holds(
                    "√(M Var) of mi.dv's negative part is as near to √χ² as (b) says",
                    JOINT,
                    rate,
                ),
                Shipped(
                    "mi.dv's negative part has the variance of ln r̄",
                    JOINT,
                    lambda joint, size: deviation(*optimal(joint)[:2], size, mi.dv) ** 2,
                    log_variance,
                ),
            ),
            by_hand=(
                "variances of independent terms add, for any M (checked: M = 2); the mean of an inequality",
                "the triangle inequality for standard deviations; from the sign of a slope to the minimum",
                Sum("2 atoms in the checks, sums for any number"),
            ),
        ),
    ),
    proof="""(a) E_Q r = 1, and E_P r ≥ e^I by Jensen: r e^{−I} ≥ 1 + ln r − I, of mean 1 under P (ess_law).
    Independent positives add a variance ≥ 0. (b) ε = r̄ − 1 − ln r̄ lies in [0, (r̄ − 1)²/(2m)]: the slope of (x −
    1)²/(2m) − (x − 1 − ln x) is (x − 1)(x − m)/(m x), for x ≥ m of the sign of x − 1. The standard deviations of r̄
    − 1 and of ln r̄ differ by at most that of ε (triangle inequality), which is at most √E ε² ≤ √E(r̄ − 1)⁴/(2m),
    and E(r̄ − 1)⁴ = w/M² (dv_minibatch_bias).""",
    example=Example(
        "M·Var of the negatives' mean of r, three negatives, beside e^I − 1",
        over_batches,
        lambda p, q, size: least_negative_variance(oracles.kl(p, q)),
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "size": 3},
        relation="≥",
    ),
    false_neighbours=(
        Sign(
            "the floor is e^{2I} − 1 for every law (r = 1 + s on P)", s - ((1 + s) ** 2 - 1), ">="
        ),
        Sign("the floor is e^I, without the − 1", chi2 - sp.exp(information), ">="),
        Sign("a constant critic, of variance 0, has the floor too", 0 - (sp.exp(i) - 1), ">="),
        Identity("χ² = e^I − 1 for every law", chi2, sp.exp(information) - 1),
    ),
    mutants=(
        instead("nwj", "dv"),
        scaled("dv"),
    ),
    uses=("dv_minibatch_bias", "ess_law", "nwj_variance"),
    about=("nwj", "dv", "theory.least_negative_variance"),
    reference="Song & Ermon 2020 (arXiv 1910.06222), theorem 2; (b) here with its assumptions and a rate.",
)
