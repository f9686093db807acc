"""Minibatch DV has no optimum where the negatives miss a region often enough; JS and NWJ keep theirs."""

from functools import partial
from itertools import product
from typing import Any

import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import (
    minibatch_dv_slope,
    minibatch_dv_threshold,
    missed_mass,
    two_level_optimum,
)
from proofs.engine import (
    HALF,
    Certified,
    Example,
    Identity,
    Limit,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    Values,
    batches,
    dv,
    expect,
    gradient,
    instead,
    integers,
    js,
    logs,
    nwj,
    positives,
    reals,
    scaled,
    strategies,
    tensor,
    two_laws,
    word,
)

# A critic θ on A and 0 elsewhere; p = P(A) and ε = Q(A). k negatives hit A and j miss it, M = k + j.
u, e, t, x, y = positives("u e t x y")
P, E = positives("p epsilon")
(theta,) = reals("theta")
k, j, M = integers("k j M")
SHARES: Values = {P: u / (1 + u), E: e / (1 + e)}
share = k * sp.exp(theta) / (j + k * sp.exp(theta))  # what a batch with k hits pulls A down by
tilt = E * sp.exp(t) / (1 - E + E * sp.exp(t))  # the same in the population, θ = t > 0
hit = word("h(A)", 1 - missed_mass(E, M), "h(A)")  # Pr(a negative of the batch is in A)


def over_batches(size):
    """The mean of minibatch DV over all batches, hit by hit."""
    total = P * theta
    for hits in product((0, 1), repeat=size):
        chance = sp.prod(E if one else 1 - E for one in hits)
        total -= chance * sp.log(sum(sp.exp(theta) if one else sp.S(1) for one in hits) / size)
    return total


# Any laws on three atoms, a direction with the levels 0 < x < x + y, two negatives.
LAW, OTHER = two_laws(3)
LEVELS = (sp.S(0), x, x + y)
loss = sum(OTHER[i] * OTHER[n] * LEVELS[max(i, n)] for i, n in product(range(3), repeat=2))
recession = expect(LAW, LEVELS) - loss  # E_P d − E max_j d(y_j)


def excess(atoms):
    """P(A) − Pr(hit A) for a set of atoms, two negatives."""
    own, rate = (sum(law[i] for i in atoms) for law in (LAW, OTHER))
    return own - (1 - missed_mass(rate, 2))


# Two atoms, any critic, two negatives: the mean of a bound over the batches.
(COIN, RARE), T = two_laws(2), reals("t1 t2")


def averaged(bound):
    """E of a bound of P and the law of the batch's two negatives."""
    return sum(
        RARE[i]
        * RARE[n]
        * bound(COIN, [sum((i == a, n == a)) / sp.Integer(2) for a in range(2)], T)
        for i, n in product(range(2), repeat=2)
    )


def shipped_slope(mass, rate, score, size):
    """The slope in θ of the mean of mi.dv over all batches of negatives."""
    atoms, weights = batches((rate, 1 - rate), size)

    def value(level):
        scores = level * tensor([1.0, 0.0])
        return weights @ mi.dv(
            scores.expand(len(atoms), 2),
            scores[atoms],
            logs([mass, 1 - mass]).expand(len(atoms), 2),
        )

    return float(gradient(value, [score]))


def shipped_mean(bound, mass, rate, score):
    """The mean of a shipped bound over all batches of two negatives, less its population value."""
    atoms, weights = batches((rate, 1 - rate), 2)
    own, scores = logs([mass, 1 - mass]), tensor([score, 0.0])
    values = getattr(mi, bound)(
        scores.expand(len(atoms), 2), scores[atoms], own.expand(len(atoms), 2)
    )
    return float(weights @ values - getattr(mi, bound)(scores, scores, own, logs([rate, 1 - rate])))


GIVEN = {
    "mass": strategies.rates(0.9),
    "rate": strategies.rates(0.9),
    "score": strategies.scores(6),
}
ZEROS = {
    "0.02": ("4.529013", "4.529014"),
    "0.0109": ("8.7566485", "8.7566495"),
}  # ε: the zero's bracket


def zero(rate, low, high):
    """The slope changes its sign between two scores, p = ½ and M = 64."""
    for score, relation in ((low, ">"), (high, "<")):
        value = minibatch_dv_slope(theta, P, E, 64)
        at = {theta: sp.Rational(score), P: HALF, E: sp.Rational(rate)}
        yield Certified(f"ε = {rate}: the slope is {relation} 0 at {score}", value, relation, at=at)


grows = Sign(
    "raising a hit region by x costs at most x",
    k * sp.exp(x) + j,
    "<",
    (k + j) * sp.exp(x),
)


def vanishing(mass, negatives):
    """The Q-mass of a region at which the mean slope at a score of 60 nats is 0, by bisection."""
    from scipy.optimize import brentq

    def slope(rate):
        return theory.minibatch_dv_slope(60.0, mass, rate, negatives)

    root: Any = brentq(slope, 1e-9, 1 - 1e-9, xtol=1e-14)
    return root


THEOREM = Theorem(
    slug="minibatch_dv_unbounded",
    tier="certified",
    title="""with M negatives a batch, minibatch DV has no optimum if P(A) > 1 − (1 − Q(A))^M for some A; JS and NWJ
    do""",
    purpose="To see when MINE with minibatches has no optimum: the exact form of DV's starvation of critics.",
    setting="""M i.i.d. negatives y_j from Q, independent of the positives; DV_M(T) = E_P T − ln (1/M) Σ e^{T(y_j)}
    is what a minibatch of MINE ascends, and h(A) = 1 − (1 − Q(A))^M the probability that the batch hits A.""",
    formula=r"""P(A) > 1 - (1 - Q(A))^M \;\Longrightarrow\; \sup_T\, \mathbb{E}\,\mathrm{DV}_M(T) = \infty, \qquad
    \text{so } \tfrac{dP}{dQ} > M \text{ somewhere is enough}""",
    assumptions=(
        """the negatives are independent of the positives; with the positive among the candidates (InfoNCE) the
        value is at most the logarithm of their number""",
        "a critic class that can raise A freely: a rich network, a table",
        "(c) finite sets, laws with mass at every atom; with equality for some A neither case is claimed",
    ),
    parts=(
        Part(
            "a",
            """E DV_M is concave in T. If P(A) > h(A) for a set A, it grows without bound along T + c·1_A; dP/dQ > M
            on a set with mass is enough, as h(A) ≤ M Q(A): for any correlated Gaussian pair and every M.""",
            formula=(grows,),
            checks=(
                Sign(
                    "ln(j + k e^θ) is convex",
                    sp.diff(sp.log(j + k * sp.exp(theta)), theta, 2),
                    ">",
                ),
                Identity(
                    "h(A) by its complement, M = 3", hit, 1 - (1 - E) ** 3, at={**SHARES, M: 3}
                ),
                Identity(
                    "M ε − h(A), from M to M + 1: it grows by ε h(A)",
                    (M + 1) * E - (1 - missed_mass(E, M + 1)) - (M * E - hit),
                    E * hit,
                    at=SHARES,
                ),
                Sign("ε h(A) is positive", E * hit, ">", at={**SHARES, M: 1}),
            ),
            by_hand=(
                "E DV_M(T + c·1_A) ≥ E DV_M(T) + c (P(A) − h(A)), the mean over batches; the induction over M",
                "log-sum-exp is convex for any number of scores",
            ),
        ),
        Part(
            "b",
            """Two levels: E DV_M has the slope p − E[k e^θ/(M − k + k e^θ)] in θ, k ~ Bin(M, ε), which falls from p
            to p − 1 + (1 − ε)^M. It has a zero iff p < 1 − (1 − ε)^M, that is iff ε exceeds the threshold 1 − (1 −
            p)^{1/M}.""",
            checks=(
                *[
                    Identity(
                        f"the slope, M = {size}",
                        sp.diff(over_batches(size), theta),
                        minibatch_dv_slope(theta, P, E, size),
                        at=SHARES,
                    )
                    for size in (1, 2, 3)
                ],
                Sign("a batch's share rises with θ", sp.diff(share, theta), ">"),
                Limit(
                    "a batch's share tends to 1 as θ → ∞",
                    share.subs(theta, t),
                    t,
                    sp.oo,
                    1,
                    j / k * sp.exp(-t),
                ),
                Limit(
                    "a batch's share tends to 0 as θ → −∞",
                    share.subs(theta, -t),
                    t,
                    sp.oo,
                    0,
                    k / j * sp.exp(-t),
                ),
                Identity(
                    "at the threshold p = h(A)",
                    1 - missed_mass(minibatch_dv_threshold(P, M), M),
                    P,
                    at={P: u / (1 + u)},
                ),
                Sign("h(A) rises with ε", sp.diff(1 - missed_mass(E, M), E), ">", at=SHARES),
                Shipped(
                    "the slope of the mean of mi.dv over all batches",
                    GIVEN | {"size": strategies.counts(4)},
                    shipped_slope,
                    lambda mass, rate, score, size: minibatch_dv_slope(score, mass, rate, size),
                ),
            ),
            by_hand=(
                Sum("the mean over k; batches without a hit add 0, those with no miss add 1"),
            ),
        ),
        Part(
            "c",
            """The zero is at or above the population's best score ln p(1 − ε)/(ε(1 − p)), if that is not negative:
            a minibatch overshoots even where it has an optimum. On finite laws with mass at every atom E DV_M has a
            maximiser, unique up to a constant, if P(A) < h(A) for every A other than ∅ and the whole set.""",
            checks=(
                Identity(
                    "at the population's best score the population's share is p",
                    tilt,
                    P,
                    at={**SHARES, t: two_level_optimum(u / (1 + u), e / (1 + e))},
                ),
                Sign(
                    "the share is concave in ε, θ > 0",
                    sp.diff(tilt, E, 2),
                    "<",
                    at={E: e / (1 + e)},
                ),
                Identity(
                    "the value lost along a direction, level by level: 3 atoms, M = 2",
                    recession,
                    x * excess((1, 2)) + y * excess((2,)),
                ),
            ),
            by_hand=(
                "Jensen's inequality for the concave share",
                "a concave function that falls in every direction at infinity has a maximiser; any number of levels",
            ),
        ),
        Part(
            "d",
            """The mean of minibatch JS and of minibatch NWJ is the population value, with the optimum ln dP/dQ
            for every M (on a finite set: log_ratio_optimality).""",
            checks=(
                Identity("NWJ, 2 atoms, M = 2", averaged(nwj), nwj(COIN, RARE, T)),
                Identity("JS, 2 atoms, M = 2", averaged(js), js(COIN, RARE, T)),
                *[
                    Shipped(
                        f"mi.{bound}: the mean over all batches less the population value",
                        GIVEN,
                        partial(shipped_mean, bound),
                        lambda mass, rate, score: 0,
                    )
                    for bound in ("js", "nwj")
                ],
            ),
            by_hand=(Sum("a mean of M terms with one law has the mean of one of them"),),
        ),
        Part(
            "e",
            """At p = ½ and M = 64 the threshold is ε = 0.01077199. At ε = 0.02 the zero is 4.529014, where the
            population has 3.891820; at ε = 0.0109 it is 8.756649, and at ε = 0.0107 there is none.""",
            checks=(
                *[claim for rate, ends in ZEROS.items() for claim in zero(rate, *ends)],
                *[
                    Sign(
                        f"the threshold is {relation} {bound}",
                        minibatch_dv_threshold(P, M),
                        relation,
                        sp.Rational(bound),
                        at={P: HALF, M: 64},
                    )
                    for relation, bound in ((">", "0.010771985"), ("<", "0.010771995"))
                ],
                Sign(
                    "ε = 0.0107 misses it",
                    1 - missed_mass(E, M),
                    "<",
                    HALF,
                    at={E: sp.Rational("0.0107"), M: 64},
                ),
                *[
                    Sign(
                        f"the population's best score is {relation} {bound}",
                        two_level_optimum(P, E),
                        relation,
                        sp.Rational(bound),
                        at={P: HALF, E: sp.Rational("0.02")},
                    )
                    for relation, bound in ((">", "3.8918195"), ("<", "3.8918205"))
                ],
            ),
        ),
    ),
    proof="""(a) E_P T gains c P(A); ln Σ e^{T_j} gains at most c where the batch hits A, and nothing where it does
    not. (b) Each batch's share increases in θ from 0 to 1 unless k is 0 or M. (c) The share is concave in the
    fraction of hits, so its mean is at most the share at ε: the slope at the population's zero is not negative.
    Along d the value grows at the rate E_P d − E max_j d(y_j), which is the integral over t of P(d > t) − Pr(hit {d
    > t}). (d) The penalty is a mean over the negatives.""",
    example=Example(
        "the Q-mass of a region below which minibatch DV has no optimum",
        vanishing,
        theory.minibatch_dv_threshold,
        {"mass": 0.5, "negatives": 64},
    ),
    false_neighbours=(
        Sign(
            "the threshold is p: no region with ε > 0 is missed too often",
            (1 - missed_mass(E, M)) - P,
            ">",
            at=SHARES,
        ),
        Identity(
            "minibatch DV has the population's value on average", averaged(dv), dv(COIN, RARE, T)
        ),
        Identity(
            "the zero is the population's: M = 2",
            minibatch_dv_slope(theta, P, E, 2).subs(theta, two_level_optimum(P, E)),
            0,
            at=SHARES,
        ),
        Sign(
            "P(A) > Q(A) is enough for the value to grow",
            excess((2,)).subs(positives("b3")[0], y),
            ">",
        ),
    ),
    mutants=(instead("nwj", "dv"), scaled("dv")),
    uses=("missed_mass", "dv_representation", "infonce_ceiling", "log_ratio_optimality"),
    about=(
        "dv",
        "theory.minibatch_dv_slope",
        "theory.minibatch_dv_threshold",
        "theory.missed_mass",
    ),
    reference="""This project; for critics, the reading that holds of the paper's starvation theorem (Lv et al. 2025,
    arXiv 2506.22578).""",
)
