"""What a held-out critic certifies for every law: JS on clipped scores, less Hoeffding's margin."""

from itertools import combinations
from math import log

import sympy as sp
import torch

import mi_estimators as mi
from mi_estimators.theory import hoeffding_margin, jsd_shortfall
from proofs.engine import (
    Certified,
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    instead,
    integers,
    oracles,
    positives,
    reals,
    softplus,
    strategies,
    word,
)

B, M, delta, draws, x, p = positives("B M delta n x p")
(N,) = integers("N")
(s,) = reals("s")
RISK: Values = {delta: 1 / (1 + x)}
margin = word("m", hoeffding_margin(B, 1 / (1 / N + 1 / M), delta))
wide = hoeffding_margin(2 * B, N / 2, delta)
exponent = 2 * margin**2 / (B**2 * (1 / N + 1 / M))
gauge = sp.log(1 - p + p * sp.exp(s))  # ln E e^{sX} of a two-valued X
tilted = p * sp.exp(s) / (1 - p + p * sp.exp(s))

# Nats certified for separated laws, δ = 1/20: N → best B and nats for N independent negatives; nats
# for all pairs and B = ½ ln N.
SEPARATED = {
    100: ("2.36", "1.479", "0.634"),
    1000: ("3.57", "2.700", "1.913"),
    10**4: ("4.74", "3.899", "3.146"),
    10**6: ("7.05", "6.255", "5.530"),
}


def rows():
    """Both sides of each number shown: c(k) falls, so k is between two ends iff the shortfall is."""
    half = sp.Rational(1, 2000)
    for size, (clip, shown, all_shown) in SEPARATED.items():
        for label, bound, digits, width in (
            ("independent", sp.Rational(clip), shown, B),
            ("all pairs", sp.log(size) / 2, all_shown, 2 * B),
        ):
            shortfall = 2 * softplus(-B) + hoeffding_margin(width, sp.Rational(size, 2), delta)
            at: Values = {B: bound, delta: sp.Rational(1, 20), N: size}
            for relation, end in (("<", -half), (">", half)):
                level = jsd_shortfall(sp.Rational(digits) + end)
                side = "above" if end < 0 else "below"
                name = f"{label}, N = {size}: {side} what rounds to {digits}"
                yield Certified(name, shortfall, relation, than=level, at=at)


def all_pairs(size):
    """The mean over positives plus that over all pairs, and the mean over matchings of that of disjoint pairs."""
    own = reals(" ".join(f"a{i}" for i in range(size)))
    crossed = {(i, j): sp.Symbol(f"b{i}{j}", real=True) for i in range(size) for j in range(size)}

    def kernel(i, j):
        return (own[i] + own[j] + crossed[i, j] + crossed[j, i]) / 2

    matchings = [
        pairs
        for pairs in combinations(combinations(range(size), 2), size // 2)
        if len({i for pair in pairs for i in pair}) == 2 * (size // 2)
    ]

    means = [sum(kernel(*pair) for pair in pairs) / (size // 2) for pairs in matchings]
    whole = sum(own) / size + sum(v for (i, j), v in crossed.items() if i != j) / (
        size * (size - 1)
    )

    return whole, sum(means) / len(matchings)


def shortfall_of(joint, product, width, pairs):
    """2·ln 2 − JS of clipped scores, plus the margin, by plain sums."""
    size = len(joint)
    clip = log(size) / 2
    missed = [oracles.ln(1 + float(sp.exp(-max(-clip, min(clip, v))))) for v in joint]
    crossed = [oracles.ln(1 + float(sp.exp(max(-clip, min(clip, v))))) for v in product]
    bar = width * clip * (oracles.ln(100) / (2 * pairs)) ** 0.5
    return sum(missed) / size + sum(crossed) / len(crossed) + bar


def certified(size, height):
    """c of what the library certifies at scores ±height of `size` rows in one group, or 2 ln 2 where it is 0 nats."""
    joint = torch.full((size,), height, dtype=torch.float64)
    return float(jsd_shortfall(mi.bounds.certificate(joint, -joint.repeat(size - 1))))


def proved(size, height):
    """The shortfall with the margin of size/2 disjoint pairs, at most 2 ln 2."""
    return min(shortfall_of([height] * size, [-height], 2, size // 2), 2 * oracles.ln(2))


def nats(size, clip):
    """The k ≥ 0 at which c(k) is the shortfall of separated laws, by bisection."""
    margin = 2 * clip * (oracles.ln(100) / (2 * (size // 2))) ** 0.5
    short = 2 * oracles.ln(1 + float(sp.exp(-clip))) + margin
    low, high = 0.0, 40.0
    for _ in range(60):
        k = (low + high) / 2
        low, high = (k, high) if jsd_shortfall(k) > short else (low, k)
    return low


THEOREM = Theorem(
    slug="js_certificate_finite",
    tier="certified",
    title="""a held-out critic certifies nats for every law: KL ≥ Ξ(JS − B√((1/N + 1/M) ln(1/δ)/2)) with
    confidence 1 − δ""",
    purpose="""To print a number of nats that the information exceeds, whatever the law, and to know its ceiling
    ½ ln N.""",
    setting="""P and Q are any laws, T a critic that is fixed before the N positives from P and the M negatives
    from Q are drawn, all of them independent, its scores clipped to [−B, B] with B fixed as well; V is the JS
    value, V̂ its sample mean, δ in (0, 1), and Ξ as in jsd_certificate.""",
    formula=r"""\Pr\Bigl[\mathrm{KL}(P\|Q) \ge \Xi\Bigl(\hat V - B \sqrt{\tfrac12 \bigl(\tfrac1N + \tfrac1M\bigr) \ln
    \tfrac1\delta}\Bigr)\Bigr] \ge 1 - \delta""",
    assumptions=(
        "independent rows that the critic never saw; B chosen beforehand, not after a look at the scores",
        "(b) negatives independent of the positives; (c) all pairs of one sample as negatives",
    ),
    parts=(
        Part(
            "a",
            "Each JS term of a score in [−B, B] has a range of exactly B, for positives and for negatives.",
            formula=(Identity("a positive's range", softplus(B) - softplus(-B), B),),
            checks=(
                Sign("the term rises with the score", sp.diff(softplus(s), s), ">"),
                Identity(
                    "a positive's slope is minus a negative's at −T",
                    sp.diff(-softplus(-s), s),
                    sp.diff(softplus(s), s).subs(s, -s),
                ),
            ),
            by_hand=("a monotone function's range lies between its values at the ends",),
        ),
        Part(
            "b",
            (
                "So V̂ exceeds V by the margin m, with ",
                Identity(
                    "the margin", margin**2, B**2 * (1 / N + 1 / M) * sp.log(1 + x) / 2, at=RISK
                ),
                ", with a probability of at most δ, and KL ≥ Ξ(V̂ − m) with confidence 1 − δ, for every law.",
            ),
            checks=(
                Identity(
                    "Hoeffding's exponent at the margin is ln 1/δ",
                    exponent,
                    -sp.log(delta),
                    at=RISK,
                ),
                Identity(
                    "Hoeffding's lemma: the second derivative of ln E e^{sX} is q(1 − q)",
                    sp.diff(gauge, s, 2),
                    tilted * (1 - tilted),
                    at={p: p / (1 + p)},
                ),
                Identity(
                    "¼ − q(1 − q) is a square",
                    sp.Rational(1, 4) - p * (1 - p),
                    (p - sp.Rational(1, 2)) ** 2,
                ),
            ),
            by_hand=(
                """Hoeffding's inequality from his lemma (1963, theorem 2): N + M independent terms of ranges B/N
                and B/M""",
                "Ξ increases (jsd_certificate), and V is at most 2·JSD (js_value_and_gap)",
                """these two are for finite sets; both divergences are suprema over finite partitions, and Ξ is
                continuous""",
            ),
        ),
        Part(
            "c",
            """With all pairs of one sample as negatives the statistic is a mean over matchings of means over disjoint
            pairs of rows, whose terms have the range 2B: the margin is 2B√(ln(1/δ)/(2k)), k the number of disjoint
            pairs; with k = N/2 it is twice that of N independent negatives.""",
            checks=(
                *[
                    Identity(f"a mean over matchings, groups of {size}", *all_pairs(size))
                    for size in (2, 3, 4)
                ],
                Identity("the range of a pair's term", 2 * (softplus(B) - softplus(-B)), 2 * B),
                Identity(
                    "twice the margin of N = M",
                    wide**2,
                    4 * (margin.meaning**2).subs(M, N),
                    at=RISK,
                ),
                Shipped(
                    "mi.bounds.certificate has this margin: one group of rows, k = n/2, δ = 1/100",
                    {
                        "size": strategies.st.sampled_from((64, 100)),
                        "height": strategies.rates(6),
                    },
                    certified,
                    proved,
                    tolerance=1e-7,
                    examples=6,
                ),
            ),
            by_hand=(
                """Hoeffding 1963, section 5: a mean of equally distributed means has their bound on E e^{sX}
                (convexity)""",
            ),
        ),
        Part(
            "d",
            """The most that it certifies is about ½ ln N. Even for separated laws, δ = 1/20: 1.479, 2.700,
            3.899 and 6.255 nats with the best B for N = M = 100, 1000, 10⁴ and 10⁶; with all pairs
            and B = ½ ln N 0.634, 1.913, 3.146 and 5.530.""",
            checks=tuple(rows()),
            by_hand=(
                "that no other B does better by half a unit of the last digit: a search over B",
            ),
        ),
    ),
    proof="""V̂ is a sum of independent terms with the ranges B/N and B/M, and mean V, at most 2·JSD(P, Q) for
    any critic, clipped or not. Hoeffding bounds Pr[V̂ − V ≥ m]; Ξ increases, and KL ≥ Ξ(2·JSD).""",
    example=Example(
        "nats certified for separated scores of n rows in one group, clipped to ½ ln n, δ = 1/100",
        lambda rows: nats(rows, log(rows) / 2),
        lambda rows: float(
            mi.bounds.certificate(
                torch.full((rows,), 99.0, dtype=torch.float64),
                torch.full((rows * (rows - 1),), -99.0, dtype=torch.float64),
            )
        ),
        {"rows": 1000},
    ),
    false_neighbours=(
        Identity(
            "all pairs: the margin of independent negatives",
            wide**2,
            (margin.meaning**2).subs(M, N),
            at=RISK,
        ),
        Sign("a pair's term has the range B", B - 2 * (softplus(B) - softplus(-B)), ">="),
        Identity(
            "only the negatives' number counts", margin**2, B**2 / M * sp.log(1 + x) / 2, at=RISK
        ),
    ),
    mutants=(
        instead("bounds.certificate", "bounds.jsd_certificate"),
        Mutant("bounds.certificate", "half the scores", lambda f: lambda t, u: f(t / 2, u / 2)),
    ),
    uses=("jsd_certificate", "js_value_and_gap"),
    about=("bounds.certificate", "theory.hoeffding_margin"),
    reference="""This project. Hoeffding 1963, J. Am. Stat. Assoc. 58, theorem 2 and section 5; the ceiling:
    McAllester & Stratos 2020 (arXiv 1811.04251).""",
)
