"""The weight that each sample's score has in the gradient of each bound, and what the weights sum to."""

from math import exp

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    compiled,
    integers,
    numerics,
    oracles,
    positives,
    reals,
    sigmoid,
    strategies,
    tensor,
)
from proofs.engine.rows import ROWS, t

# One positive's score t and one negative's score u; all the others enter through a sum, so n, m, K are free.
u, A, c = reals("u A c")
(B,) = positives("B")
n, m, K = integers("n m K")

dv = (t + A) / n - sp.log(
    (sp.exp(u) + B) / m
)  # also SMILE, if B sums the other clipped exponentials
infonce = (
    t - sp.log((sp.exp(t) + sp.exp(u) + B) / K) + A
) / n  # one row t, u, …; A is what the other rows add
share = sp.exp(u) / (sp.exp(u) + B)
own, other = (sp.exp(s) / (sp.exp(t) + sp.exp(u) + B) for s in (t, u))

SLOPES = {name: compiled(row.slope) for name, row in ROWS.items()}


def row_checks(name, row):
    """The claims about one row of the table of divergences."""
    value = (row.reward + A) / n - (row.penalty.subs(t, u) + B) / m
    yield Identity(
        f"{name}: the positive's weight is reward'(t)/n", sp.diff(value, t), row.slope / n
    )
    yield Identity(
        f"{name}: the negative's is −eᵘ reward'(u)/m",
        sp.diff(value, u),
        -sp.exp(u) * row.slope.subs(t, u) / m,
    )


def table(bound, joint, product):
    """The weights by the table, positives first, from plain numbers; SMILE's clip is its default, 5."""
    clipped = [min(max(s, -5), 5) for s in product]
    weights = [exp(s) * (s == k or bound == "dv") for s, k in zip(product, clipped, strict=True)]
    total = sum(map(exp, product if bound == "dv" else clipped))
    if bound in ("dv", "smile"):
        return [1 / len(joint)] * len(joint) + [-w / total for w in weights]

    slope = SLOPES[bound]
    return [slope(t=s) / len(joint) for s in joint] + [
        -exp(s) * slope(t=s) / len(product) for s in product
    ]


def infonce_table(joint, product):
    """The weights of InfoNCE: (1 − w_ii)/n, then −w_ij/n row by row."""
    totals = [exp(s) + sum(map(exp, row)) for s, row in zip(joint, product, strict=True)]
    first = [(1 - exp(s) / z) / len(joint) for s, z in zip(joint, totals, strict=True)]
    return first + [
        -exp(s) / z / len(joint) for row, z in zip(product, totals, strict=True) for s in row
    ]


def shipped(bound, joint, product):
    """The shipped weights, positives first."""
    positive, negative = mi.score_weights(bound, tensor(joint), tensor(product))
    return [*positive.flatten().tolist(), *negative.flatten().tolist()]


SCORES = {"joint": strategies.vectors(2), "product": strategies.vectors(3)}


def slope_of_dv(negatives):
    """The derivative of DV in its first negative's score, by differences."""
    _, *others = negatives
    share = [1 / len(negatives)] * len(negatives)
    return numerics.slope(lambda s: -oracles.log_mean_exp(share, [s, *others]), negatives[0])


THEOREM = Theorem(
    slug="score_weights",
    title="the weight of every score in the gradient of every bound",
    purpose="To see which samples push a critic under each bound.",
    setting="""Let a bound be evaluated on n positives with scores T_i and m negatives with scores T_j, means for
    expectations.""",
    formula=r"""\nabla\,\mathrm{DV} = \tfrac1n \textstyle\sum_i \nabla T_i - \sum_j w_j \nabla T_j, \qquad
    \nabla\,\mathrm{JS} = \tfrac1n \sum_i \sigma(-T_i) \nabla T_i - \tfrac1m \sum_j \sigma(T_j) \nabla
    T_j""",
    assumptions=(
        "real scores, in the convention T ≈ ln dP/dQ (the published NWJ weight is −e^{T'_j − 1}/m, T' = T + 1)",
        "SMILE: no score is exactly at ±τ, where the clip has no derivative",
    ),
    parts=(
        Part(
            "a",
            """Its derivatives in the scores, hence its weights on ∇T_i and ∇T_j by the chain rule, are: DV: 1/n
            and −w_j, w = softmax of the negatives' scores. NWJ: 1/n and −e^{T_j}/m. JS: σ(−T_i)/n and −σ(T_j)/m.
            Any row E_P reward(T) − E_Q penalty(T) with penalty' = eᵀ reward': reward'(T_i)/n and −e^{T_j}
            reward'(T_j)/m. SMILE: 1/n and −e^{T_j}/Σ_k clip(e^{T_k}), or 0 where T_j is clipped. InfoNCE, where
            row i has the positive T_ii and K − 1 negatives: (1 − w_ii)/n and −w_ij/n, w_i the softmax of the row.""",
            checks=(
                Identity("dv, smile: the positive's weight is 1/n", sp.diff(dv, t), 1 / n),
                Identity(
                    "dv, smile: the negative's is −eᵘ/(eᵘ + Σ others)", sp.diff(dv, u), -share
                ),
                *[claim for name, row in ROWS.items() for claim in row_checks(name, row)],
                Identity(
                    "infonce: the positive's weight is (1 − w_ii)/n",
                    sp.diff(infonce, t),
                    (1 - own) / n,
                ),
                Identity("infonce: the negative's is −w_ij/n", sp.diff(infonce, u), -other / n),
                *[
                    Shipped(
                        f"mi.score_weights({name!r}) is this row",
                        SCORES,
                        lambda joint, product, name=name: shipped(name, joint, product),
                        lambda joint, product, name=name: table(name, joint, product),
                    )
                    for name in ("dv", "smile", *ROWS)
                ],
                Shipped(
                    "mi.score_weights('infonce') is this row",
                    {"joint": strategies.vectors(2), "product": strategies.tables(2, 3)},
                    lambda joint, product: shipped("infonce", joint, product),
                    infonce_table,
                ),
                Shipped(
                    "no bound of mi.BOUNDS is without a proof here",
                    {"t": strategies.scores()},
                    lambda t: [
                        name == "dv" or mi.DIVERGENCES[name].name in ROWS for name in mi.BOUNDS
                    ],
                    lambda t: [True] * len(mi.BOUNDS),
                    examples=1,
                ),
            ),
            by_hand=("the chain rule ∇ value = Σ (d value/dT_i) ∇T_i, over the samples",),
        ),
        Part(
            "b",
            """DV's negative weights sum to −1 and all its weights to 0, InfoNCE's to 0 in each row, NWJ's to 1 −
            (1/m) Σ e^{T_j}.""",
            checks=(
                Identity(
                    "dv: the shares of one and of the others sum to 1",
                    share + B / (sp.exp(u) + B),
                    1,
                ),
                Identity(
                    "dv: all weights sum to 0, the derivative in c",
                    sp.diff(A / n + c - sp.log(B * sp.exp(c) / m), c),
                    0,
                ),
                Identity(
                    "nwj: all sum to 1 − Σ eᵘ/m",
                    sp.diff(A / n + c - B * sp.exp(c) / m, c).subs(c, 0),
                    1 - B / m,
                ),
                Identity(
                    "infonce: a row sums to 0",
                    (1 - own) - other - B / (sp.exp(t) + sp.exp(u) + B),
                    0,
                ),
            ),
        ),
        Part(
            "c",
            "JS's positive weights lie in (0, 1/n), its negative ones in (−1/m, 0).",
            checks=(
                Identity("js: reward' is σ(−t)", ROWS["js"].slope, sigmoid(-t)),
                Sign("js: σ(−t) > 0", sigmoid(-t), ">"),
                Sign("js: σ(−t) < 1", 1 - sigmoid(-t), ">"),
                Identity("js: eᵘ σ(−u) = σ(u)", sp.exp(u) * sigmoid(-u), sigmoid(u)),
            ),
        ),
    ),
    proof="""Differentiate in one score: every other one enters through a sum that stays fixed, so n, m and K are
    free. The sums follow: Σ_j w_j = 1 for a softmax, and a bound that does not change under T → T + c has weights
    of sum 0, the derivative in c.""",
    example=Example(
        "DV's weight on the first of three negatives, beside minus its softmax",
        slope_of_dv,
        lambda negatives: -exp(negatives[0]) / sum(map(exp, negatives)),
        {"negatives": (2.0, 0.0, -1.0)},
    ),
    false_neighbours=(
        Identity(
            "nwj: the published weight −e^{u−1}/m",
            sp.diff(t - sp.exp(u) / m, u),
            -sp.exp(u - 1) / m,
        ),
        Identity("dv: the negative's weight is −eᵘ/m", sp.diff(dv, u), -sp.exp(u) / m),
        Identity(
            "smile: all weights sum to 0",
            sp.diff(c - sp.log((sp.exp(u + c) + B) / m), c).subs(c, 0),
            0,
        ),
        Identity("js: one positive's and one negative's sum to 0", sigmoid(-t) - sigmoid(u), 0),
        Identity("infonce: the positive's weight is 1/n", sp.diff(infonce, t), 1 / n),
    ),
    mutants=(
        Mutant("score_weights", "signs turned", lambda f: lambda *a: [-w for w in f(*a)]),
        Mutant(
            "score_weights",
            "always dv's",
            lambda f: lambda b, t, u: f("dv", t.flatten(), u.flatten()),
        ),
    ),
    uses=("log_ratio_optimality",),
    about=("score_weights",),
    reference="""DV: Belghazi et al. 2018 (arXiv 1801.04062), section 3.2, eq. 12; the others by the same rule.""",
)
