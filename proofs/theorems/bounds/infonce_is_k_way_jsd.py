"""The best value of InfoNCE with K candidates is a K-way Jensen–Shannon information, between 0 and min(ln K, KL)."""

from itertools import product
from math import comb

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import infonce_shortfall
from proofs.engine import (
    Certified,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Theorem,
    expect,
    integers,
    kl,
    mixture,
    off,
    oracles,
    pair_batches,
    positives,
    ratios,
    reals,
    strategies,
    two_laws,
)

(P, Q) = two_laws(2)
R = ratios(P, Q)
T = reals("t1 t2")
u, r = positives("u r")
(K,) = integers("K")
EXAMPLE_P = tuple(sp.Rational(k, 10) for k in (7, 2, 1))
EXAMPLE_Q = tuple(sp.Rational(k, 10) for k in (2, 3, 5))
NUMBERS = {2: "0.261912", 3: "0.372997"}


def batches(candidates):
    """Tuples of atoms, with their probabilities under Q."""
    for atoms in product(range(2), repeat=candidates):
        yield atoms, sp.prod(Q[i] for i in atoms)


def value(scores, candidates):
    """E[t₁ − ln mean eᵗ], the first atom from P and the others from Q."""
    return sum(
        weight
        * R[atoms[0]]
        * (scores[atoms[0]] - sp.log(sum(sp.exp(scores[i]) for i in atoms) / candidates))
        for atoms, weight in batches(candidates)
    )


def mean_phi(candidates):
    """E φ(r̄) under Q^K, φ(u) = u ln u."""
    means = ((sum(R[i] for i in atoms) / candidates, w) for atoms, w in batches(candidates))
    return sum(w * m * sp.log(m) for m, w in means)


def gap(scores, candidates):
    """E_{Q^K} r̄ KL(which candidate is the positive ‖ softmax of the scores)."""
    total = sp.Integer(0)
    for atoms, weight in batches(candidates):
        own = [R[i] for i in atoms]
        powers = [sp.exp(scores[i]) for i in atoms]
        total += (
            weight
            / candidates
            * sum(
                x * sp.log((x / sum(own)) / (y / sum(powers)))
                for x, y in zip(own, powers, strict=True)
            )
        )

    return total


def exact(p, q, candidates):
    """J_K of two laws on three atoms, as a sum over how often each atom is drawn."""
    ratio, total = ratios(p, q), kl(p, q)
    for i in range(candidates + 1):
        for j in range(candidates + 1 - i):
            counts = (i, j, candidates - i - j)
            weight = sp.Integer(comb(candidates, i) * comb(candidates - i, j))
            weight *= sp.prod(b**n for b, n in zip(q, counts, strict=True))
            mean = expect(counts, ratio) / candidates
            total -= weight * mean * sp.log(mean)

    return total


def shipped(joint):
    """The mean of mi.infonce at the log-ratio over all batches of two independent pairs."""
    table = oracles.independent(joint)
    scores = [
        [oracles.ln(a / b) for a, b in zip(x, y, strict=True)]
        for x, y in zip(joint, table, strict=True)
    ]
    matrices, _, weights = pair_batches(joint, scores, 2)
    return float(weights @ mi.infonce(matrices))


def proved(joint):
    """E_x J_2(p(y|x), p(y)), from KL and φ by plain sums."""
    px, py = oracles.marginals(joint)
    return sum(p * k_way([v / p for v in row], py, 2) for p, row in zip(px, joint, strict=True))


def k_way(p, q, candidates):
    """J_K = KL − E φ(r̄), enumerated."""

    def phi(*atoms):
        mean = sum(p[i] / q[i] for i in atoms) / candidates
        return mean * oracles.ln(mean)

    return oracles.kl(p, q) - oracles.mean_over_batches(q, candidates, phi)


def searched(p, q, candidates):
    """The largest mean of InfoNCE over scores, by ascent."""
    from scipy.optimize import minimize

    joint = [[a for a in p]]

    def loss(scores):
        return -oracles.infonce(joint, [list(scores)], candidates, q)

    return -float(minimize(loss, [0.0] * len(p), tol=1e-12).fun)


def within(p, q, candidates):
    """Whether J_K is between its bounds."""
    value, information = k_way(p, q, candidates), oracles.kl(p, q)
    short = infonce_shortfall(oracles.chi2(p, q), candidates)
    middle = mixture(q, p, 1 / candidates)
    low = max(oracles.kl(p, middle), information - short)
    return low - 1e-9 <= value <= min(information, oracles.ln(candidates)) + 1e-9


def shown():
    """Both sides of each number."""
    half = sp.Rational(1, 2 * 10**6)
    for size, digits in NUMBERS.items():
        value = exact(EXAMPLE_P, EXAMPLE_Q, size)
        for relation, end in ((">", -half), ("<", half)):
            yield Certified(
                f"K = {size}: J_K {relation} {digits} ± half a unit",
                value,
                relation,
                than=sp.Rational(digits) + end,
                at={K: size},
            )


THEOREM = Theorem(
    slug="infonce_is_k_way_jsd",
    tier="certified",
    title="the best InfoNCE with K candidates is KL − E φ(r̄), a K-way JSD, and short of KL by at most ln(1 + χ²/K)",
    purpose="To know what InfoNCE reads at its best for your batch, and how many candidates the rest would take.",
    setting="""P ≪ Q on a finite set, r = dP/dQ; one of K ≥ 2 candidates, in a random place, is from P and the
    others are i.i.d. from Q. J_K is the largest value of InfoNCE over critics, φ(u) = u ln u, and r̄ the mean of
    r over K draws from Q.""",
    formula=r"""J_K = \mathrm{KL}(P \| Q) - \mathbb{E}_{Q^K} \varphi(\bar r), \qquad \mathrm{KL} - J_K \le \ln\Bigl(1 +
    \frac{\chi^2(P \| Q)}{K}\Bigr)""",
    assumptions=(
        "the positive is among the K candidates; the others are independent of it",
        "a finite set, P ≪ Q",
    ),
    parts=(
        Part(
            "a",
            """InfoNCE at any critic is KL − E φ(r̄) less a mean of KL divergences between the chance that each
            candidate is the positive and the softmax of the scores: so J_K = KL − E φ(r̄), reached iff eᵀ is a
            multiple of r on the support of Q. It is the information of the candidates on the place of the
            positive.""",
            checks=(
                *[
                    Identity(
                        f"the gap at any critic, K = {size}, 2 atoms",
                        kl(P, Q) - mean_phi(size) - value(T, size),
                        gap(T, size),
                    )
                    for size in (2, 3)
                ],
                Identity("no gap at ln r, K = 2", gap([sp.log(x) for x in R], 2), 0),
                Shipped(
                    "mi.infonce at ln r has this mean over all batches of two",
                    {"joint": strategies.joint_laws(2, 2)},
                    shipped,
                    proved,
                ),
            ),
            by_hand=(
                "any number of atoms and candidates: the same identity of each batch, with K ratios in its mean",
                "the gap is a KL of two laws of the positive's place, 0 iff they are equal",
            ),
        ),
        Part(
            "b",
            (
                "J_K is at most KL, as E r̄ = 1 and ",
                Minimum("φ(u) − u + 1", u * sp.log(u) - u + 1, u, 1),
                """, and it is below ln K. It is short of KL by at most ln(1 + χ²/K), and at least KL(P‖P/K + (1 −
                1/K)Q).""",
            ),
            checks=(
                Identity(
                    "E r̄ = 1, K = 2", sum(w * sum(R[i] for i in a) / 2 for a, w in batches(2)), 1
                ),
                *[
                    Identity(
                        f"E r̄² = 1 + χ²/K, K = {size}",
                        sum(w * (sum(R[i] for i in a) / size) ** 2 for a, w in batches(size)),
                        1 + sum((p - q) ** 2 / q for p, q in zip(P, Q, strict=True)) / size,
                    )
                    for size in (2, 3)
                ],
                Identity("the shortfall's function", infonce_shortfall(u, K), sp.log(1 + u / K)),
                Identity("the mean of r̄ given one candidate", (r + (K - 1)) / K, r / K + 1 - 1 / K),
                Holds(
                    "J_K is within all four bounds, by enumeration",
                    strategies.law_pairs() | {"candidates": strategies.st.integers(2, 4)},
                    within,
                ),
            ),
            by_hand=(
                """Jensen: E φ(r̄) is the mean of ln r̄ under the law r̄ dQ^K, at most ln E r̄²; and given the
                positive, −ln is convex""",
                "ln K: infonce_ceiling",
            ),
        ),
        Part(
            "c",
            "For P = (0.7, 0.2, 0.1) and Q = (0.2, 0.3, 0.5), J_K is 0.261912 for K = 2 and 0.372997 for K = 3.",
            checks=(
                *shown(),
                Identity(
                    "P and Q of the numbers are laws",
                    expect((1, 0, 0), EXAMPLE_P) + expect((0, 1, 0), EXAMPLE_Q),
                    sp.Rational(7, 10) + sp.Rational(3, 10),
                ),
                Identity(
                    "the other entries",
                    u + r + sp.Rational("0.2"),
                    sp.Rational("0.8"),
                    at={u: sp.Rational("0.1"), r: sp.Rational("0.5")},
                ),
            ),
        ),
    ),
    proof="""E r₁(t₁ − ln mean eᵗ) over Q^K is, by symmetry, a mean over the K places. Given the candidates,
    place j is the positive with the chance r_j/Σr, and the value is −KL(chance‖softmax) plus what does not depend
    on the critic.""",
    example=Example(
        "the largest InfoNCE over critics, by ascent",
        searched,
        k_way,
        {"p": (0.7, 0.2, 0.1), "q": (0.2, 0.3, 0.5), "candidates": 2},
    ),
    false_neighbours=(
        Identity("the best InfoNCE is KL", mean_phi(2), 0),
        Identity("any critic is best up to a constant", gap(T, 2), 0),
        Identity(
            "E r̄² = 1 + χ²: more candidates do not help",
            sum(w * (sum(R[i] for i in a) / 2) ** 2 for a, w in batches(2)),
            1 + sum((p - q) ** 2 / q for p, q in zip(P, Q, strict=True)),
        ),
    ),
    mutants=(off("infonce", 1e-3),),
    uses=("infonce_ceiling",),
    about=("infonce", "theory.infonce_shortfall"),
    reference="""Ryu et al. 2026 (arXiv 2510.25983), of which the abstract was available; the bounds in (b): this
    project.""",
)
