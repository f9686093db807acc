"""What a high-confidence lower bound for every law certifies: at most ln N for KL, 2 ln N for mutual information."""

from itertools import product
from math import log

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    HALF,
    Example,
    Holds,
    Identity,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    batches,
    instead,
    integers,
    kl,
    normalised,
    positives,
    strategies,
    tensor,
)

x, r, y, a, b, c, p, q, ell, d = positives("x r y a b c p q ell d")  # ell is ln(1/δ)
n, i, k = integers("n i k")
N = n + 1  # a sample size ≥ 2
spared = (1 + x) * (sp.log(x) - sp.log(1 + x))  # ln (1 − 1/N)^N at N = 1 + x
mixed = (1 - 1 / N) * q + p / N  # Q' at an atom
outside = ell / (N * (1 + d))  # a Q-mass of P's atom below ln(1/δ)/N
at_most = i * (i - 1) / (2 * k)  # bounds the probability that i indices among k are not distinct
LAW = normalised(positives("a1 a2"))  # of the sample, on two atoms
pair_law = {(u, v): LAW[u] * LAW[v] for u, v in product((0, 1), repeat=2)}


def from_pool(size, one, two):
    """The probability of (one, two) as two draws with replacement from a pool of `size` i.i.d. draws from the law."""
    pools = product((0, 1), repeat=size)
    return (
        sum(sp.prod(LAW[u] for u in pool) * pool.count(one) * pool.count(two) for pool in pools)
        / size**2
    )


def overshoot(size, height, bound):
    """The probability that a bound's value at the critic T exceeds ln N = KL(P‖Q'), on N negatives from Q'.

    P is one atom; Q' = P/N + (1 − 1/N) Q, where Q lies off it; T is `height` on that atom and 0 off it.
    """
    atoms, weights = batches((1 / size, 1 - 1 / size), size)
    product = tensor((height, 0.0))[atoms]
    return float(
        weights[bound(torch.full_like(product[:, :1], height), product) > log(size) + 1e-9].sum()
    )


def breaks_its_promise(draws, risk):
    """The largest Pr[B > KL] of the bound of (c) over 10⁴ laws: P is one atom and has the Q-mass q, KL = −ln q."""
    height = log(draws) - log(log(1 / risk))
    masses = [(k + 0.5) / 10_000 for k in range(10_000)]
    return max((1 - mass) ** draws for mass in masses if height > -log(mass))


THEOREM = Theorem(
    slug="mcallester_stratos",
    title="a distribution-free high-confidence lower bound is at most ln N (KL) or 2 ln N (mutual information)",
    purpose="To know what no estimator can promise: more than about ln N nats from N samples.",
    setting="""A lower bound B that keeps a promise: with a probability of at least 1 − δ it is below the truth, δ
    in (0, 1).""",
    formula=r"""\Pr\bigl[B > \mathrm{KL}(P\|Q)\bigr] \le \delta \;\;\forall P, Q \quad\Longrightarrow\quad \Pr_{S
    \sim Q^N}\bigl[B(P, S) > \ln N\bigr] \le 4\delta \;\;\forall P, Q""",
    assumptions=(
        "the confidence 1 − δ is promised for every law, in (b) those of finite support among them: not only for a "
        "class such as the Gaussian laws, smooth densities or bounded ratios",
        "N i.i.d. points; in (a) from Q, with P known; in (b) pairs from the joint law",
        """B is measurable, and deterministic (or its randomness is independent of S); it need not be a DV or NWJ
        bound""",
        "a limit on certified values, not on estimates: an estimator without the promise may be larger, and right",
    ),
    parts=(
        Part(
            "a",
            """KL. Let B(P, S) be a real function of a law P and a sample S of N ≥ 2 points such that for all laws
            P and Q on a set, Pr_{S ~ Q^N}[B(P, S) > KL(P‖Q)] ≤ δ (KL = ∞ is possible). Then for all P and Q,
            Pr_{S ~ Q^N}[B(P, S) > ln N] ≤ 4δ: however large KL(P‖Q) is and although P is known, B is at most ln N
            with probability 1 − 4δ or more.""",
            checks=(
                Sign("N − dP/dQ' > 0, with r = dP/dQ", N - r / ((1 - 1 / N) + r / N), ">"),
                Identity(
                    "N Q' − P = (N − 1) Q, also where Q or P has no mass",
                    N * mixed - p,
                    (N - 1) * q,
                ),
                Sign("Q' − (1 − 1/N) Q > 0", mixed - (1 - 1 / N) * q, ">"),
                Minimum("y − 1 − ln y", y - 1 - sp.log(y), y, 1),
                Identity(
                    "the slope of ln (1 − 1/N)^N is y − 1 − ln y at y = N/(N − 1)",
                    sp.diff(spared, x),
                    (y - 1 - sp.log(y)).subs(y, (1 + x) / x),
                ),
                Identity("(1 − 1/N)^N = ¼ at N = 2", spared.subs(x, 1), -sp.log(4)),
                Shipped(
                    "mi.dv on N negatives exceeds ln N = KL(P‖Q') with probability (1 − 1/N)^N ≥ ¼: no such promise",
                    {
                        "size": strategies.counts(4).map(lambda size: size + 1),
                        "height": strategies.counts(8),
                    },
                    lambda size, height: overshoot(size, height + 2.0, mi.dv),
                    lambda size, height: (1 - 1 / size) ** size,
                ),
                Holds(
                    "mi.bounds.log_ratio_to_relative at α = 1 − 1/N is at most ln N",
                    {"t": strategies.scores(40), "size": strategies.counts(64)},
                    lambda t, size: (
                        float(mi.bounds.log_ratio_to_relative(tensor(t), 1 - 1 / (size + 1)))
                        <= log(size + 1) + 1e-12
                    ),
                ),
            ),
            by_hand=(
                """(a) Q' ≥ (1 − 1/N) Q per atom or density gives the same for the product laws; the chain of
                inequalities for E""",
                "a function with a positive slope increases; the induction over i from its step",
            ),
        ),
        Part(
            "b",
            """Mutual information. Let B(S) be a real function of N ≥ 1 pairs such that for every law on X × Y
            with finite support Pr_{S ~ law^N}[B(S) > I(X; Y)] ≤ δ. Then for every law on X × Y, discrete or not,
            Pr_{S ~ law^N}[B(S) > 2 ln N] ≤ 2δ.""",
            checks=(
                Sign(
                    "1/p(y) − p(x, y)/(p(x) p(y)); p(x, y) = a, p(x) = a + b (b = 0: equal), p(y) = c",
                    1 / c - a / (a + b) / c,
                    ">",
                ),
                Identity(
                    "Π (1 − j/k) ≥ 1 − i(i − 1)/(2k), step",
                    (1 - at_most) * (1 - i / k),
                    1 - at_most.subs(i, i + 1) + at_most * i / k,
                ),
                Sign("the step's remainder is not negative", at_most * i / k, ">="),
                Identity(
                    "the lower bound at i = N and k = N²",
                    (1 - at_most).subs({i: n, k: n**2}),
                    (1 + 1 / n) / 2,
                ),
                Sign("the lower bound at k = N² exceeds ½", (1 + 1 / n) / 2 - HALF, ">"),
                *[
                    Identity(
                        f"two draws from a pool of {size}: {one}, {two}",
                        from_pool(size, one, two),
                        (1 - sp.Rational(1, size)) * weight
                        + sp.Rational(1, size) * (LAW[one] if one == two else 0),
                    )
                    for size, ((one, two), weight) in product((2, 3), pair_law.items())
                ],
            ),
            by_hand=(
                """(b) given distinct indices S is i.i.d. (2 atoms, N = 2, pools of 2 and 3 are enumerated); the
                mean over pools""",
                "a function with a positive slope increases; the induction over i from its step",
            ),
        ),
        Part(
            "c",
            """The ln N of (a) is right up to ln ln(1/δ), 0 < δ < 1: let B be ln N − ln ln(1/δ) if P is one atom
            and S misses it, else 0. B keeps the promise of (a), and has that value always if Q lies off the atom.""",
            checks=(
                Identity("KL(P‖Q) = −ln q", kl((1, 0), normalised((q, p))), -sp.log(q / (q + p))),
                Sign(
                    "q < ln(1/δ)/N: KL − B > 0",
                    -sp.log(outside) - (sp.log(N) - sp.log(ell)),
                    ">",
                ),
                Sign("qN > ln(1/δ): e^{−qN} < δ", sp.exp(-ell) - sp.exp(-(ell + d)), ">"),
            ),
            by_hand=(
                "the probability that S misses an atom of mass q is (1 − q)^N ≤ e^{−qN}; two cases of q",
            ),
        ),
    ),
    proof="""(a) Let Q' = (1 − 1/N) Q + P/N. Then P ≤ N Q', so KL(P‖Q') ≤ ln N, and Q' ≥ (1 − 1/N) Q gives Q'^N ≥ (1
    − 1/N)^N Q^N ≥ ¼ Q^N, since (1 − 1/N)^N increases from ¼ at N = 2. For the event E = {B(P, ·) > ln N}: ¼ Q^N(E)
    ≤ Q'^N(E) ≤ Pr_{Q'}[B > KL(P‖Q')] ≤ δ. (b) Draw a pool of k = N² i.i.d. pairs from the law, then S from the
    pool, N draws with replacement. Given the pool, S is i.i.d. from the uniform law on it, whose mutual information
    is at most ln k, as p(x, y)/(p(x) p(y)) ≤ 1/p(y) ≤ k, each pair of the pool weighing 1/k: so Pr[B(S) > ln k] ≤
    δ. Given that the N indices are distinct, S has the law of N i.i.d. pairs, and they are with probability Π_{i<N}
    (1 − i/k) ≥ 1 − N(N − 1)/(2k) ≥ ½. Hence ½ Pr_{law^N}[B > ln k] ≤ δ. (c) With Q-mass q on the atom, KL(P‖Q) =
    −ln q. If q ≤ ln(1/δ)/N, that is at least B. If q is larger, S misses the atom with probability (1 − q)^N ≤
    e^{−qN} < δ (missed_mass), and otherwise B = 0 ≤ KL(P‖Q).""",
    example=Example(
        "how often the bound ln N − ln ln(1/δ) of a hundred draws exceeds KL at worst, beside δ",
        breaks_its_promise,
        lambda draws, risk: risk,
        {"draws": 100, "risk": 0.05},
        relation="≤",
    ),
    false_neighbours=(
        Sign("(a) dP/dQ' ≤ N − 1, N = 2", (N - 1 - r / ((1 - 1 / N) + r / N)).subs(n, 1), ">="),
        Sign("(a) (1 − 1/N)^N ≥ e^{−1}", N * sp.log(1 - 1 / N) + 1, ">="),
        Sign(
            "(a) Q' = (P + Q)/2 has Q'^N ≥ ¼ Q^N too",
            HALF**N - sp.Rational(1, 4),
            ">=",
        ),
        Sign(
            "(b) a pool of k = N = 3: distinct with probability ≥ ½",
            sp.Rational(1 * 2 * 3, 3**3) - HALF,
            ">=",
        ),
        Sign(
            "(a) promised for one Q only: B = KL(P‖Q) ≤ ln N",
            sp.log(N) - kl((1, 0), normalised((q, p))),
            ">=",
        ),
        Sign(
            "(c) B = ln N keeps it too, δ = 1/10, q just above 1/N",
            sp.log(sp.Rational(1, 10)) - spared.subs(x, n),
            ">=",
        ),
        Identity("(b) two draws from a pool of 2 are i.i.d.", from_pool(2, 0, 0), LAW[0] ** 2),
    ),
    mutants=(
        instead("dv", "bounds.club"),
        Mutant("dv", "one negative", lambda dv: lambda t, u: dv(t, u[..., :1])),
        Mutant("bounds.log_ratio_to_relative", "not mixed", lambda f: lambda t, mix: t),
    ),
    uses=("missed_mass",),
    about=("dv",),
    reference="McAllester & Stratos 2020 (arXiv 1811.04251): (a) as there; (b) by a pool instead; (c) here.",
)
