"""The JS gradient's noise has no exponential: its weights lie in (0, 1), so ‖∇T‖² alone bounds its covariance."""

from itertools import product
from math import exp

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Tested,
    Theorem,
    batches,
    expect,
    normalised,
    oracles,
    positives,
    ratios,
    reals,
    sigmoid,
    strategies,
    tensor,
    two_laws,
)

(t,), (q, r, s) = reals("t"), positives("q r s")
(P, Q), F = two_laws(2), reals("f1 f2")
W = positives("w1 w2 w3")  # e^T of three negatives
# One component of ĝ: F is σ(T) ∂T on the atoms of Q; over all pairs of negatives, its mean.
WEIGHTS = [Q[i] * Q[j] for i, j in product((0, 1), repeat=2)]
MEANS = [(F[i] + F[j]) / 2 for i, j in product((0, 1), repeat=2)]


def second(law, values):
    """The mean square under a finite law."""
    return expect(law, [v**2 for v in values])


def variance(law, values):
    """The variance under a finite law."""
    return second(law, values) - expect(law, values) ** 2


def trace(p, q, t, g, n, m, bound="js"):
    """tr Cov of Σ a_i ∇T_i + Σ b_j ∇T_j over all batches, with the weights of mi.score_weights; ∇T is a row of g."""
    (i, u), (j, w) = batches(p, n), batches(q, m)
    own, other = i.repeat_interleave(len(j), 0), j.repeat(len(i), 1)
    a, b = mi.score_weights(bound, tensor(t)[own], tensor(t)[other])
    gradients = (a.unsqueeze(-1) * tensor(g)[own]).sum(1) + (
        b.unsqueeze(-1) * tensor(g)[other]
    ).sum(1)
    weights = (u.unsqueeze(-1) * w).flatten()

    return float(weights @ ((gradients - weights @ gradients) ** 2).sum(-1))


def proved(p, q, t, g, n, m):
    """The sum of the two variances, by plain sums."""
    total = 0.0
    for law, sign, size in ((p, -1, n), (q, 1, m)):
        for component in zip(*g, strict=True):
            values = [d / (1 + exp(-sign * score)) for d, score in zip(component, t, strict=True)]
            total += (
                oracles.mean(law, [v**2 for v in values]) - oracles.mean(law, values) ** 2
            ) / size

    return total


def bounded(p, q, t, g, n, m, bound="js"):
    """Whether tr Cov ≤ E_P‖∇T‖²/n + E_Q‖∇T‖²/m."""
    squares = [sum(d**2 for d in row) for row in g]
    return (
        trace(p, q, t, g, n, m, bound)
        <= oracles.mean(p, squares) / n + oracles.mean(q, squares) / m + 1e-9
    )


GIVEN = {
    "p": strategies.laws(2),
    "q": strategies.laws(2),
    "t": strategies.vectors(2),
    "g": strategies.tables(2, 2, 2),
}
GIVEN |= {"n": strategies.counts(2), "m": strategies.counts(3)}
SCORES, EVEN, SIGNS = {"t": strategies.vectors(2)}, (0.5, 0.5), ((1, 0), (-1, 0))


def mean_squares(p, q, t, g, n, m):
    """E_P‖∇T‖²/N + E_Q‖∇T‖²/M."""
    squares = [sum(d**2 for d in row) for row in g]
    return oracles.mean(p, squares) / n + oracles.mean(q, squares) / m


THEOREM = Theorem(
    slug="js_gradient_bounded",
    title="tr Cov of the JS gradient is at most E_P‖∇T‖²/N + E_Q‖∇T‖²/M",
    purpose="To see why JS trains a critic without exploding noise.",
    setting="""Let ĝ = (1/N) Σ σ(−T_i) ∇T_i − (1/M) Σ σ(T_j) ∇T_j, the gradient of JS on N i.i.d. positives from P
    and M i.i.d. negatives from Q, independent of them; P and Q are laws on a finite set.""",
    formula=r"""\mathrm{tr\,Cov}\,\hat g_{\mathrm{JS}} \le \frac{\mathbb{E}_P\|\nabla T\|^2}{N} +
    \frac{\mathbb{E}_Q\|\nabla T\|^2}{M}, \qquad N\,\mathrm{tr\,Cov}\,\hat g_{\mathrm{JS}} \le \tfrac12
    L^2 \text{ at } T = \ln r""",
    assumptions=(
        "positives and negatives are drawn independently (not the N² − N shared pairs of one batch)",
        "a finite set; for other laws the sums over atoms are integrals, a step by hand",
        "the critic does not depend on this batch; ∇T has finite second moments under P and Q",
        "a bound on the noise, not on the signal: both factors can be small",
        "(b), (c) P ≪ Q and T = ln r exactly; (b) ‖∇T‖ ≤ L; (c) χ² < ∞",
    ),
    parts=(
        Part(
            "a",
            """The factors σ(−T_i), σ(T_j) lie in (0, 1), and tr Cov ĝ ≤ E_P‖∇T‖²/N + E_Q‖∇T‖²/M for every critic
            and every P, Q.""",
            checks=(
                Sign("σ > 0", sigmoid(t), ">"),
                Sign("σ² < 1", 1 - sigmoid(t) ** 2, ">"),
                Identity(
                    "dJS/dT: the factors, per atom of P",
                    sp.diff(-sp.log(1 + sp.exp(-t)), t),
                    sigmoid(-t),
                ),
                Identity(
                    "dJS/dT: the factors, per atom of Q",
                    sp.diff(sp.log(1 + sp.exp(t)), t),
                    sigmoid(t),
                ),
                Identity(
                    "the negatives' variance, M = 2",
                    variance(WEIGHTS, MEANS),
                    variance(Q, F) / 2,
                ),
                Sign("the mean square minus the variance", second(Q, F) - variance(Q, F), ">="),
                Shipped(
                    "tr Cov with the weights of mi.score_weights, over all batches",
                    GIVEN,
                    trace,
                    proved,
                ),
                Holds(
                    "tr Cov with the weights of mi.score_weights is bounded",
                    GIVEN,
                    bounded,
                ),
            ),
            by_hand=(
                """variances of independent terms add, for any N and M (checked: M = 2), and the mean of an
                inequality""",
            ),
        ),
        Part(
            "b",
            """At T = ln r, r = dP/dQ, with ‖∇T‖ ≤ L and N = M: N·tr Cov ĝ ≤ L² E_Q[r/(1 + r)] ≤ L²/2, whatever I
            = KL(P‖Q) is.""",
            checks=(
                Identity(
                    "p σ(−T)² + q σ(T)² = q r/(1 + r), per atom with p = q r",
                    q * r * sigmoid(-sp.log(r)) ** 2 + q * sigmoid(sp.log(r)) ** 2,
                    q * r / (1 + r),
                ),
                Identity(
                    "the tangent at r = 1 less r/(1 + r)",
                    (1 + (r - 1) / 2) / 2 - r / (1 + r),
                    (r - 1) ** 2 / (4 * (1 + r)),
                ),
                Sign("the tangent is above r/(1 + r)", (r - 1) ** 2 / (4 * (1 + r)), ">="),
            ),
            by_hand=(Sum("2 atoms in the checks, sums for any number"),),
        ),
        Part(
            "c",
            """NWJ has the factors 1 and eᵀ. At T = ln r and for one parameter with ∂T = ±1 and E_P ∂T = 0, its
            negatives' part has the variance (1 + χ²)/M ≥ e^I/M.""",
            checks=(
                Identity(
                    "E_Q r² = 1 + χ²",
                    second(Q, ratios(P, Q)),
                    1 + second(Q, [a / b - 1 for a, b in zip(P, Q, strict=True)]),
                ),
            ),
            by_hand=(Sum("2 atoms in the checks, sums for any number"),),
        ),
    ),
    proof="""(a) Variances of independent terms add: for each parameter Var ĝ = Var_P(σ(−T) ∂T)/N + Var_Q(σ(T)
    ∂T)/M; a variance is at most the mean square, and σ² < 1. Sum over the parameters. (b) At T = ln r, σ(−T) = 1/(1
    + r) and σ(T) = r/(1 + r), so p σ(−T)² + q σ(T)² = q r/(1 + r), and r/(1 + r) ≤ ½ + (r − 1)/4, of mean ½ under
    Q. (c) E_Q[r² (∂T)²] = E_Q r² = 1 + χ² and E_Q[r ∂T] = E_P ∂T = 0; 1 + χ² ≥ e^I by ess_law.""",
    example=Example(
        "tr Cov of the JS gradient of one parameter, one positive and one negative, beside the bound",
        proved,
        mean_squares,
        {
            "p": (0.7, 0.2, 0.1),
            "q": (0.2, 0.3, 0.5),
            "t": (1.0, 0.0, -1.0),
            "g": ((1.0,), (-1.0,), (0.5,)),
            "n": 1,
            "m": 1,
        },
        relation="≤",
    ),
    false_neighbours=(
        Tested(
            "NWJ has the bound of (a)", SCORES, lambda t: bounded(EVEN, EVEN, t, SIGNS, 1, 2, "nwj")
        ),
        Tested(
            "DV, with its weights in (0, 1), has it too",
            SCORES,
            lambda t: bounded(EVEN, EVEN, t, SIGNS, 1, 2, "dv"),
        ),
        Sign("(c) with e^{2I} for e^I, every law (r = 1 + s on P)", 1 + s - (1 + s) ** 2, ">="),
        Sign(
            "Σ w_j² ≤ 1/M for DV's weights, M = 3",
            sp.Rational(1, 3) - second([1] * 3, normalised(W)),
            ">=",
        ),
        Sign(
            "(b) with L²/4 for L²/2, at P = Q", sp.Rational(1, 4) - (r / (1 + r)).subs(r, 1), ">="
        ),
    ),
    mutants=(
        Mutant("score_weights", "nwj's", lambda f: lambda b, t, u: f("nwj", t, u)),
        Mutant("score_weights", "signs turned", lambda f: lambda b, t, u: f(b, -t, -u)),
    ),
    uses=("ess_law",),
    about=("js", "score_weights"),
    reference="""This project; the derivative of the logistic loss is in (0, 1); (c) beside Song & Ermon 2020 (arXiv
    1910.06222), theorem 2.""",
)
