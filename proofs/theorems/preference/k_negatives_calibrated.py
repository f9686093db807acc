"""With K rejected responses MIO is calibrated at the mix K/(K + 1): it then learns the law of the chosen one."""

from itertools import product
from math import prod

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import best_of_kl
from proofs.engine import (
    AS_DPO,
    NEARLY,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    gradient,
    integers,
    normalised,
    oracles,
    positives,
    strategies,
    tensor,
    word,
)

# Three draws from a law ν on two responses; the first place by Plackett–Luce with any worths: K = 2.
NU = normalised(positives("n1 n2"))
WORTHS = positives("w1 w2")
GROUPS = list(product((0, 1), repeat=3))


def chance(group):
    """The probability of the draws."""
    return sp.prod(NU[i] for i in group)


def wins(group, place):
    """The probability that this place is ranked first."""
    return WORTHS[group[place]] / sum(WORTHS[i] for i in group)


P = [sum(chance(g) * wins(g, i) for g in GROUPS for i in range(3) if g[i] == y) for y in (0, 1)]
R = [
    sum(
        chance(g) * wins(g, i) / 2
        for g in GROUPS
        for i in range(3)
        for j in range(3)
        if j != i and g[j] == y
    )
    for y in (0, 1)
]

(K,) = integers("K")
p, n, u, x = positives("p n u x")
mix = K / (K + 1)
rejected = ((K + 1) * n - p) / K  # R(y) by P + KR = (K + 1)ν
mixed = word("Q_α", (1 - mix) * p + mix * rejected, r"Q_\alpha")
nu = word("ν", n, r"\nu")
density = (K + 1) * u**K  # of the largest of K + 1 uniform win rates
primitive = u ** (K + 1) * (sp.log(K + 1) + K * sp.log(u)) - mix * u ** (K + 1)
cap = sp.log(K + 1) - mix
integral = word(
    "∫ (K + 1)u^K ln((K + 1)u^K) du",
    primitive.subs(u, 1),
    r"\int_0^1 (K + 1)u^K \ln\bigl((K + 1)u^K\bigr)\,du",
)


def slopes(law, worths):
    """The mean shipped loss's slopes at T* = ln P/ν over all groups of three, K = 2."""
    groups = list(product(range(2), repeat=3))
    rows, weights = [], []
    for group in groups:
        total = sum(worths[i] for i in group)
        for place in range(3):
            others = [group[j] for j in range(3) if j != place]
            rows.append((group[place], *others))
            draws = law[group[0]] * law[group[1]] * law[group[2]]
            weights.append(draws * worths[group[place]] / total)

    chosen = [sum(w for row, w in zip(rows, weights, strict=True) if row[0] == y) for y in (0, 1)]
    index, mass = tensor(rows).long(), tensor(weights)

    def loss(scores):
        table = scores[index]
        return mass @ mi.preference_loss(table[:, 0], table[:, 1:], "js", 2 / 3)

    return gradient(loss, (tensor(chosen) / tensor(law)).log().tolist()).tolist()


def best_of_group(law, negatives):
    """KL(P‖ν) for P the law of the best, the first response, of K + 1 draws: all groups enumerated."""
    chosen = [0.0] * len(law)
    for group in product(range(len(law)), repeat=negatives + 1):
        chosen[min(group)] += prod(law[i] for i in group)
    return oracles.kl(chosen, law)


THEOREM = Theorem(
    slug="k_negatives_calibrated",
    tier="tested",
    title="""with K rejected responses the mix K/(K + 1) makes the mixed law the sampler, and the optimum best-of-(K
    + 1)""",
    purpose="To choose the mix where each prompt has K rejected responses.",
    setting="""K + 1 responses are drawn i.i.d. from a law ν on a finite set, one of them is chosen by a rule
    that does not look at their order; P is the law of the chosen one and R that of a rejected one, picked at
    random. Q_α = (1 − α)P + αR.""",
    formula=r"""P + K R = (K + 1)\,\nu, \qquad Q_{K/(K+1)} = \nu, \qquad \mathrm{KL}(P \| \nu) \le \ln(K + 1) -
    \tfrac{K}{K+1}""",
    assumptions=(
        "all K + 1 responses of a prompt come from one law, and the rule is symmetric",
        "(b) the reference is ν, β = 1, and the policy is normalised",
    ),
    parts=(
        Part(
            "a",
            """P + KR is K + 1 times ν, so that Q_α is ν if α = K/(K + 1); at another mix only if P = R. Then T* =
            ln P/ν, with the anchor ln(K + 1).""",
            formula=(Identity("the mixed law", mixed, nu),),
            checks=(
                *[
                    Identity(
                        f"P + 2R = 3ν, response {y + 1} of 2, K = 2", P[y] + 2 * R[y], 3 * NU[y]
                    )
                    for y in (0, 1)
                ],
                Identity(
                    "another mix: Q_α − ν",
                    (1 - x) * p + x * rejected - n,
                    (mix - x) * (p - n) * (K + 1) / K,
                ),
                Identity("the anchor at K/(K + 1)", -sp.log(1 - mix), sp.log(K + 1)),
                Shipped(
                    "the mean of mi.preference_loss(js, 2/3) over all groups of three has no slope at ln P/ν",
                    {"law": strategies.laws(2), "worths": strategies.laws(2)},
                    slopes,
                    lambda law, worths: [0, 0],
                    tolerance=1e-8,
                ),
            ),
            by_hand=(Sum("each of the K + 1 draws has the law ν, chosen or not"),),
        ),
        Part(
            "b",
            """The optimal policy is P, best-of-(K + 1) if a ranking decides, and KL(P‖ν) is at most ln(K + 1) −
            K/(K + 1): 0.636294 for K = 3.""",
            formula=(
                Identity(
                    "the integral of a ranking's KL over uniform win rates",
                    sp.diff(primitive, u),
                    density * sp.log(density),
                ),
                Identity("the integral from 0 to 1 is the cap", integral, cap),
            ),
            checks=(
                Sign(
                    "K = 3: the cap is above 0.6362935",
                    cap,
                    ">",
                    sp.Rational("0.6362935"),
                    at={K: 3},
                ),
                Sign(
                    "K = 3: the cap is below 0.6362945",
                    cap,
                    "<",
                    sp.Rational("0.6362945"),
                    at={K: 3},
                ),
            ),
            by_hand=(
                "majorisation, as in mio_learns_win_rates: no rule concentrates P more than a ranking",
            ),
        ),
    ),
    proof="""Σ over the K + 1 draws of Pr(draw is y) is (K + 1)ν(y), and it is P(y) + K R(y). (1 − α)P + αR = (P +
    KR)/(K + 1) at α = K/(K + 1). E_ν e^{T*} = 1, so T* is the score of the policy P.""",
    example=Example(
        "KL(P‖ν) for the best of four draws from four responses, beside ln(K + 1) − K/(K + 1)",
        best_of_group,
        lambda law, negatives: best_of_kl(negatives + 1),
        {"law": (0.25, 0.25, 0.25, 0.25), "negatives": 3},
        relation="≤",
    ),
    false_neighbours=(
        Identity("at α = ½ the mixed law is ν for every K", (p + rejected) / 2, n),
        Sign("the cap is ln(K + 1) − 1", cap, "<=", sp.log(K + 1) - 1),
        Identity("P + R = 2ν for K = 2 as well", P[0] + R[0], 2 * NU[0]),
    ),
    mutants=(AS_DPO, NEARLY),
    uses=("mio_learns_win_rates",),
    about=("preference_loss",),
    reference="""This project. Best-of-n: Gui et al. 2024 (arXiv 2406.00832); its divergence is at most ln n − (n −
    1)/n: Beirami et al. 2025 (arXiv 2401.01879), section 3.""",
)
