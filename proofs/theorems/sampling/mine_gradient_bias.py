"""DV's minibatch gradient is biased, as it divides by a mean of its own batch; what MINE's moving average changes."""

from math import exp, hypot

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    batches,
    dv,
    expect,
    gradient,
    logs,
    nwj,
    oracles,
    positives,
    reals,
    strategies,
    tensor,
    two_laws,
)

a, k, y, c, X = positives(
    "a k y c X"
)  # s = a/(1 + a), m = 1/(1 + k), X̄ = m + y, a denominator c, and X̄ itself
D, g, theta = reals("D g theta")  # D̄, ḡ and a parameter of the critic
s, m, delta = a / (1 + a), 1 / (1 + k), X - 1
weighted = (D + g * X) / (
    1 + s * delta
)  # mean of x ∇T over the batch, divided by Z̄/Z = 1 − s + s X̄
expanded = g + D + (1 - s) * g * delta - s * D * delta - s * (1 - s) * g * delta**2
remainder = s**2 * delta**2 * (D + (1 - s) * g * delta) / (1 + s * delta)

# Two atoms with e^T = e^{θG} u at a parameter θ, so that ∇T = G; at θ = 0 everything is rational.
P, Q = two_laws(2)
U, G = positives("u1 u2"), reals("G1 G2")
T = [sp.log(u) + theta * d for u, d in zip(U, G, strict=True)]
STALE = [t - sp.log(c) for t in T]
x = [u / expect(Q, U) for u in U]
gbar, v = (
    expect(Q, [r * d for r, d in zip(x, G, strict=True)]),
    expect(Q, [(r - 1) ** 2 for r in x]),
)
(M,) = positives("M")
mu4 = expect(Q, [(r - 1) ** 4 for r in x])
C = expect(Q, [r**2 * (d - gbar) for r, d in zip(x, G, strict=True)])
half_v = expect(Q, [sp.exp(2 * t) for t in T]) / expect(Q, [sp.exp(t) for t in T]) ** 2 / 2
PAIRS = [(i, j) for i in range(2) for j in range(2)]  # two negatives


def over_pairs(value):
    """The mean over two negatives of value(D̄, X̄)."""
    d = [r * (h - gbar) for r, h in zip(x, G, strict=True)]
    return sum(Q[i] * Q[j] * value((d[i] + d[j]) / 2, (x[i] + x[j]) / 2) for i, j in PAIRS)


def slope(value):
    """The derivative in θ at θ = 0."""
    return sp.diff(value, theta).subs(theta, 0)


def shipped(q, t, past, decay):
    """The mean over all batches of 2 negatives of mi.mine's gradient in the table t, the past average e^past."""
    atoms, weights = batches(q, 2)

    def value(table):
        scores = table[atoms]
        memory = torch.full_like(weights, past)
        return weights @ mi.mine(torch.zeros_like(scores), scores, memory, decay)[0]

    return gradient(value, t).tolist()


def proved(q, t, past, decay, size=2):
    """−E[(1/M) Σ e^{T_j} ∇T_j / Z̄] by plain sums, Z̄ = decay e^past + (1 − decay) Ẑ."""

    def entry(j, atoms):
        return (
            -atoms.count(j)
            * exp(t[j])
            / (size * decay * exp(past) + (1 - decay) * sum(exp(t[i]) for i in atoms))
        )

    return [
        oracles.mean_over_batches(q, size, lambda *atoms, j=j: entry(j, atoms))
        for j in range(len(t))
    ]


def relative(q, t, size):
    """The bias of DV's gradient over its norm, where x says nothing: the negatives are then i.i.d."""
    own = oracles.tilted(q, t)
    bias = [r + o for r, o in zip(proved(q, t, 0.0, 0.0, size), own, strict=True)]
    return [0, hypot(*bias) / hypot(*(u - o for u, o in zip(q, own, strict=True)))]


def shipped_relative(q, t, size):
    """The same from mi.diagnostics.exact_minibatch_bias, for mi.nwj and mi.dv."""
    law = mi.laws.Finite(logs([q]))
    return [
        mi.diagnostics.exact_minibatch_bias(f, law, tensor([t]), batch_size=size).relative
        for f in (mi.nwj, mi.dv)
    ]


LAW = {"q": strategies.laws(3), "t": strategies.vectors(2, 3).map(lambda t: (*t, 4.0))}


def bias_times_size(q, t, size):
    """M times the bias of DV's gradient in the first atom's score, all batches enumerated."""
    return size * (proved(q, t, 0.0, 0.0, size)[0] + oracles.tilted(q, t)[0])


def leading_bias(q, t, size):
    """C = E_Q[x² (∇T − ḡ)], ∇T the first atom's indicator and ḡ its share of e^T."""
    shares = oracles.tilted(q, t)
    second = [share**2 / mass for share, mass in zip(shares, q, strict=True)]  # q x²
    return second[0] - shares[0] * sum(second)


THEOREM = Theorem(
    slug="mine_gradient_bias",
    title="DV's minibatch gradient is biased; a moving average shrinks that bias, a stale one gives NWJ's gradient",
    purpose="To see what MINE's moving average mends, and what it does not.",
    setting="""Let Z = E_Q eᵀ, x = eᵀ/Z, ∇T a partial derivative of the critic, ḡ = E_Q[x ∇T]; g = E_P ∇T − ḡ is
    that of DV. On N positives and M negatives MINE ascends ĝ = (1/N) Σ ∇T_i − (1/M) Σ e^{T_j} ∇T_j/Z̄, Z̄ = (1 − s)
    z + s Ẑ, where Ẑ = (1/M) Σ e^{T_j}, z > 0 is the past average and s = 1 − decay in (0, 1]; s = 1 is DV's plug-in
    gradient.""",
    formula=r"""\mathbb{E}\,\hat g - g = \frac{s}{M}\Bigl(\mathbb{E}_Q\bigl[x^2(\nabla T - \bar g)\bigr] +
    (1-s)\,\bar g\,\mathrm{Var}_Q(x)\Bigr) + O\bigl(M^{-3/2}\bigr), \quad x = e^{T}/Z""",
    assumptions=(
        "i.i.d. negatives from Q; each positive has the law P; critic and ∇T do not depend on this batch",
        "0 < Z < ∞; E_P, E_Q and the derivative change places (always so on a finite set)",
        "(b) the past average is exact, z = Z: a critic that has stopped moving and a long past",
        "(b) eᵀ ≥ m Z, m > 0 (a critic bounded below), and μ₄ and σ are finite",
    ),
    parts=(
        Part(
            "a",
            """ĝ is the gradient of NWJ(T − ln Z̄) with Z̄ held fixed. A constant Z̄ = c would give E ĝ = E_P ∇T −
            (Z/c) ḡ, the gradient of NWJ(T − ln c): equal to g iff c = Z or ḡ = 0.""",
            checks=(
                Identity(
                    "ĝ of one atom is the gradient of NWJ(T − ln Z̄), Z̄ held fixed",
                    sp.diff(nwj([g], [X], [theta - sp.log(c)]), theta),
                    g - X * sp.exp(theta) / c,
                ),
                Identity(
                    "at c = Z, 2 atoms",
                    slope(nwj(P, Q, STALE)).subs(c, expect(Q, U)),
                    slope(dv(P, Q, T)),
                ),
                Identity("g = E_P ∇T − ḡ, 2 atoms", slope(dv(P, Q, T)), expect(P, G) - gbar),
            ),
            by_hand=("means are linear, for any laws (checked: 2 atoms)",),
        ),
        Part(
            "b",
            """At z = Z, E ĝ − g = s (C + (1 − s) ḡ v)/M − R with C = E_Q[x² (∇T − ḡ)], v = Var_Q(x) and, if x ≥ m
            > 0, |R| ≤ (s²/m) √w (σ + (1 − s) |ḡ| √v)/(M √M), w = (μ₄ + 3 (M − 1) v²)/M, μ₄ = E_Q(x − 1)⁴, σ² =
            E_Q[x² (∇T − ḡ)²]. So DV's bias is C/M to first order, and as s → 0 that of MINE vanishes.""",
            checks=(
                Identity("the expansion of x/(1 + sδ)", weighted, expanded + remainder),
                Identity("E D̄ = 0, M = 2", over_pairs(lambda d, z: d), 0),
                Identity("E D̄δ = C/M, M = 2", over_pairs(lambda d, z: d * (z - 1)), C / 2),
                Identity("E δ² = v/M, M = 2", over_pairs(lambda d, z: (z - 1) ** 2), v / 2),
                Identity(
                    "E δ⁴ = (μ₄ + 3 (M − 1) v²)/M³, M = 2",
                    over_pairs(lambda d, z: (z - 1) ** 4),
                    (mu4 + 3 * (M - 1) * v**2) / M**3,
                    at={M: 2},
                ),
                Identity(
                    "the expansion at s = 1, DV",
                    (D + g * X) / X,
                    g + D - D * delta + delta**2 * D / X,
                ),
                Sign("1 + sδ > m for X̄ = m + y (at s = 1 it is X̄)", 1 + s * (m + y - 1) - m, ">"),
                Shipped(
                    "the mean of mi.mine's gradient over all batches of 2",
                    LAW | {"past": strategies.scores(3), "decay": strategies.mixes()},
                    shipped,
                    proved,
                ),
                Shipped(
                    "mi.diagnostics.exact_minibatch_bias where x says nothing: 0 for mi.nwj, this for mi.dv",
                    LAW | {"size": strategies.counts(2).map(lambda n: n + 1)},
                    shipped_relative,
                    relative,
                    examples=6,
                ),
            ),
            by_hand=(
                """E D̄δ = C/M and E δ² = v/M for every M: covariances of means of independent terms (checked: M =
                2)""",
                "Cauchy–Schwarz in the bound of R, where 1 + sδ ≥ m; 2 atoms in the checks, sums for any number",
            ),
        ),
        Part(
            "c",
            "C is the gradient of v/2, and E ĝ at s = 1 is the gradient of E DV_M.",
            checks=(
                Identity("C is the gradient of v/2", slope(half_v), C),
                Identity(
                    "E ĝ is the gradient of E DV_M, M = 2",
                    slope(
                        sum(
                            Q[i] * Q[j] * sp.log((sp.exp(T[i]) + sp.exp(T[j])) / 2)
                            for i, j in PAIRS
                        )
                    ),
                    over_pairs(lambda d, z: (d + gbar * z) / z),
                ),
            ),
            by_hand=("in (c) the gradient of a mean is the mean of the gradient (checked: M = 2)",),
        ),
    ),
    proof="""(a) ∇(1 + E_P(T − ln c) − E_Q eᵀ/c). (b) With D = x (∇T − ḡ), which has mean 0, D̄ and X̄ = Ẑ/Z the
    batch's means and δ = X̄ − 1, the negatives' part is (D̄ + ḡ X̄)/(1 + sδ) = ḡ + D̄ + (1 − s) ḡ δ − s D̄ δ − s (1
    − s) ḡ δ² + s² δ² (D̄ + (1 − s) ḡ δ)/(1 + sδ). Take the mean: E D̄ = E δ = 0, E D̄δ = C/M, E δ² = v/M; the last
    term is R, and there 1 + sδ = 1 − s + s X̄ ≥ m and E δ⁴ = w/M² (dv_minibatch_bias): Cauchy–Schwarz. (c)
    Differentiate.""",
    example=Example(
        "M times the bias of DV's gradient in the first atom's score, six negatives",
        bias_times_size,
        leading_bias,
        {"q": (0.2, 0.3, 0.5), "t": (1.0, 0.0, -1.0), "size": 6},
        relation="≈",
        tolerance=0.1,
    ),
    false_neighbours=(
        Identity(
            "DV's gradient is unbiased, M = 2", over_pairs(lambda d, z: (d + gbar * z) / z), gbar
        ),
        Identity(
            "MINE's is, at z = Z and decay ½, M = 2",
            over_pairs(lambda d, z: 2 * (d + gbar * z) / (1 + z)),
            gbar,
        ),
        Identity(
            "every constant denominator gives DV's gradient",
            slope(nwj(P, Q, STALE)),
            slope(dv(P, Q, T)),
        ),
        Identity(
            "C is the covariance of x and x ∇T",
            C,
            expect(Q, [r * (r - 1) * d for r, d in zip(x, G, strict=True)]),
        ),
        Identity("to first order MINE's bias is s times DV's", s * (C + (1 - s) * gbar * v), s * C),
        Sign("the bias always lengthens the step: C ≥ 0", C, ">="),
    ),
    mutants=(
        Mutant("mine", "no memory", lambda f: lambda t, u, past, decay: f(t, u)),
        Mutant(
            "mine", "decay turned", lambda f: lambda t, u, past, decay: f(t, u, past, 1 - decay)
        ),
        Mutant(
            "diagnostics.exact_minibatch_bias", "pairs only", lambda f: lambda *a, batch_size: f(*a)
        ),
    ),
    uses=("dv_minibatch_bias",),
    about=("mine", "diagnostics.exact_minibatch_bias"),
    reference="Belghazi et al. 2018 (arXiv 1801.04062), section 3.2; the delta method for a ratio of means.",
)
