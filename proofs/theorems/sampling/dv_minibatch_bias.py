"""On M sampled negatives the plug-in Donsker–Varadhan value is biased up, by Var_Q(eᵀ)/(2M Z²) to first order."""

from math import exp

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import dv_bias
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Theorem,
    dv_excess,
    expect,
    instead,
    integers,
    logs,
    normalised,
    oracles,
    pair_batches,
    partition,
    positives,
    reals,
    strategies,
    tensor,
)

x, w, k, v, mu4 = positives(
    "x w k v mu4"
)  # x = Ẑ/Z, its distance w from 1, m = 1/(1 + k); moments of e^T/Z
(mu3,) = reals("mu3")
(M,) = integers("M")
m = 1 / (1 + k)
slope = (x - 1) ** 3 / x  # of g, the rest
rest = x - 1 - sp.log(x) - (x - 1) ** 2 / 2 + (x - 1) ** 3 / 3
between = m + (1 - m) / (1 + w)  # any point of (m, 1)

# The moments 0 … 4 of one centred e^T/Z and, as claimed, of the sum of M independent ones.
ONE, SUM = [1, 0, v, mu3, mu4], [1, 0, M * v, M * mu3, M * mu4 + 3 * M * (M - 1) * v**2]

Q, T = normalised(positives("b1 b2")), reals("t1 t2")
X = [sp.exp(s) / partition(Q, T) for s in T]  # e^T/Z on two atoms
PAIRS = [
    (a * b, (c + d) / 2) for a, c in zip(Q, X, strict=True) for b, d in zip(Q, X, strict=True)
]  # M = 2
bias_1, bias_2 = (
    -expect(Q, [sp.log(a) for a in X]),
    -sum(weight * sp.log(mean) for weight, mean in PAIRS),
)
variance = expect(Q, [(a - 1) ** 2 for a in X])
(p,) = positives("p")
share = p / (1 + p)
with_positive = [
    (q * s, (X[i] + X[j]) / 2) for i, q in enumerate((share, 1 - share)) for j, s in enumerate(Q)
]


def proved(q, t, size):
    """ln Z − E ln Ẑ by plain sums."""

    def log_mean(*atoms):
        return oracles.log_mean_exp([1 / size] * size, [t[i] for i in atoms])

    return oracles.log_mean_exp(q, t) - oracles.mean_over_batches(q, size, log_mean)


def within(q, t, size):
    """Whether the shipped bias lies between the two explicit bounds."""
    log_z = oracles.log_mean_exp(q, t)
    var, third, fourth = (
        oracles.mean(q, [(exp(s - log_z) - 1) ** n for s in t]) for n in (2, 3, 4)
    )
    least = dv_bias(var, size) - third / (3 * size**2)
    most = least + (fourth + 3 * (size - 1) * var**2) / (4 * exp(min(t) - log_z) * size**3)
    return least - 1e-9 <= dv_excess(q, t, size) <= most + 1e-9


def in_batch(joint, t, rows):
    """The mean of mi.dv over all batches of pairs, all pairs off the diagonal as negatives, minus the exact mi.dv."""
    scores, _, weights = pair_batches(joint, t, rows)
    values = mi.dv(*mi.joint_and_product(scores))
    return float(weights @ values - mi.laws.Finite(logs(joint)).exact(mi.dv, tensor(t)))


LAW = {"q": strategies.laws(3), "t": strategies.vectors(3, 3), "size": strategies.counts(3)}


def two_terms(q, t, size):
    """v/(2M) − μ₃/(3M²), a lower bound of the bias."""
    log_z = oracles.log_mean_exp(q, t)
    var, third = (oracles.mean(q, [(exp(s - log_z) - 1) ** n for s in t]) for n in (2, 3))
    return dv_bias(var, size) - third / (3 * size**2)


THEOREM = Theorem(
    slug="dv_minibatch_bias",
    title="plug-in DV on M negatives is biased up, by Var_Q(eᵀ)/(2M Z²) to first order",
    purpose="To see how far a DV or MINE value from few negatives lies above the truth, and to correct it.",
    setting="""Let Z = E_Q eᵀ in (0, ∞), Ẑ = (1/M) Σ_j e^{T_j} over M negatives, each with the law Q, and let B_M =
    E[−ln Ẑ] + ln Z be what the plug-in value exceeds DV(T) = E_P T − ln Z by, on average.""",
    formula=r"""0 \le \mathbb{E}\bigl[\mathrm{DV}_M\bigr] - \mathrm{DV} = \frac{\mathrm{Var}_Q(e^{T})}{2 M Z^2} +
    O\bigl(M^{-2}\bigr), \qquad Z = \mathbb{E}_Q e^{T}""",
    assumptions=(
        "each negative has the law Q of the population value: no positive among them, no importance weights",
        "the critic is fixed: not fitted on these negatives",
        "(b), (c) independent negatives; (c) also μ₄ < ∞ and a critic that is bounded below, eᵀ ≥ m Z",
        "the positives' mean has the expectation E_P T, and does not enter",
    ),
    parts=(
        Part(
            "a",
            """B_M = E[X − 1 − ln X] ≥ 0 with X = Ẑ/Z (+∞ is possible), and B_M = 0 iff Ẑ = Z almost surely;
            nothing is asked of the negatives' dependence.""",
            checks=(
                Minimum("x − 1 − ln x", x - 1 - sp.log(x), x, 1),
                Identity("E X = 1, M = 2, 2 atoms", expect(*zip(*PAIRS, strict=True)), 1),
                Shipped(
                    "mi.dv has this bias over all batches, M = 1, 2, 3",
                    LAW,
                    dv_excess,
                    proved,
                ),
                Holds(
                    "mi.dv is biased up with all pairs off the diagonal as negatives too",
                    {"joint": strategies.joint_laws(2, 2), "t": strategies.tables(2, 2)},
                    lambda joint, t: in_batch(joint, t, 3) >= -1e-9,
                ),
            ),
            by_hand=(
                "for any law: a term ≥ 0 has a mean ≥ 0, which is 0 iff it is 0 almost surely",
            ),
        ),
        Part(
            "b",
            "For i.i.d. negatives B_{M+1} ≤ B_M.",
            checks=(
                Identity(
                    "the means of 3 of 4 have the mean Ẑ",
                    sum((1 - a) / 3 for a in normalised([x, w, k, v])),
                    1,
                ),
            ),
            by_hand=("(b) any number of negatives (checked: 3 of 4)",),
        ),
        Part(
            "c",
            """For i.i.d. negatives with eᵀ ≥ m Z, m > 0, and with v, μ₃, μ₄ the central moments of eᵀ/Z under Q:
            0 ≤ B_M − v/(2M) + μ₃/(3M²) ≤ (μ₄ + 3 (M − 1) v²)/(4 m M³). So B_M = Var_Q(eᵀ)/(2M Z²) + O(1/M²).""",
            checks=(
                Identity(
                    "v/(2M) is ½ E(X − 1)², M = 2, 2 atoms",
                    dv_bias(variance, 2),
                    sum(weight * (mean - 1) ** 2 for weight, mean in PAIRS) / 2,
                ),
                Identity("the remainder g of the expansion is 0 at x = 1", rest.subs(x, 1), 0),
                Identity("the remainder's slope is g' = (x − 1)³/x", sp.diff(rest, x), slope),
                Sign("g' < 0 below 1", slope.subs(x, 1 / (1 + w)), "<"),
                Sign("g' > 0 above 1", slope.subs(x, 1 + w), ">"),
                Identity(
                    "the slope of the remainder's ceiling less the remainder",
                    sp.diff((x - 1) ** 4 / (4 * m) - rest, x),
                    slope * (x - m) / m,
                ),
                Sign(
                    "the slope of ceiling less remainder is negative between m and 1",
                    (slope * (x - m) / m).subs(x, between),
                    "<",
                ),
                Sign(
                    "the slope of ceiling less remainder is positive above 1",
                    (slope * (x - m) / m).subs(x, 1 + w),
                    ">",
                ),
                *[
                    Identity(
                        f"moment {n} of the sum, from M to M + 1",
                        sum(sp.binomial(n, j) * SUM[j] * ONE[n - j] for j in range(n + 1)),
                        sp.sympify(SUM[n]).subs(M, M + 1),
                    )
                    for n in (2, 3, 4)
                ],
                Holds(
                    "mi.dv is biased within the bounds of (c)",
                    LAW,
                    within,
                ),
            ),
            by_hand=(
                "the mean of an inequality, and from the sign of a slope to the minimum",
                "the moments of the sum for every M by induction from their step, by independence",
            ),
        ),
    ),
    proof="""(a) E X = 1, so B_M = −E ln X = E[X − 1 − ln X], and X − 1 − ln X ≥ 0 with equality at 1 only (Jensen).
    (b) Ẑ_{M+1} is the mean of the M + 1 means that leave one negative out; these have the law of Ẑ_M, and by the
    same inequality at their ratios to Ẑ_{M+1} the mean of their logarithms is at most ln Ẑ_{M+1}. (c) The rest g(x)
    = x − 1 − ln x − (x − 1)²/2 + (x − 1)³/3 has the slope (x − 1)³/x and so its minimum 0 at 1; (x − 1)⁴/(4m) −
    g(x) has the slope (x − 1)³ (x − m)/(m x), which for x ≥ m has the sign of x − 1. X is at least m; put x = X and
    take the mean. The moments of Σ (e^{T_j}/Z − 1) are M v, M μ₃ and M μ₄ + 3 M (M − 1) v², one negative at a time.""",
    example=Example(
        "what plug-in DV on four negatives exceeds DV by, all batches enumerated, beside v/(2M) − μ₃/(3M²)",
        proved,
        two_terms,
        {"q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0), "size": 4},
        relation="≥",
    ),
    false_neighbours=(
        Identity("DV_M is unbiased, M = 2", bias_2, 0),
        Sign("v/(2M) is an upper bound, M = 1", variance / 2 - bias_1, ">="),
        Sign("v/(2M) is a lower bound, M = 1", bias_1 - variance / 2, ">="),
        Identity("M copies of one negative: E(X − 1)² = v/M", v, v / M),
        Sign(
            "still up with the positive as one of 2",
            -sum(a * sp.log(b) for a, b in with_positive),
            ">=",
        ),
    ),
    mutants=(
        instead("dv", "nwj"),
        instead("dv", "bounds.club"),
    ),
    about=("dv", "theory.dv_bias"),
    reference="""Belghazi et al. 2018 (arXiv 1801.04062), section 3.2; McAllester & Stratos 2020 (arXiv 1811.04251);
    (b) as in Burda et al. 2016 (arXiv 1509.00519), theorem 1.""",
)
