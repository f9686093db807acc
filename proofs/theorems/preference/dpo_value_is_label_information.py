"""What DPO's value ln 2 − L bounds: the information between a pair of responses and the order of its two members."""

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    HALF,
    HALF_LOSS,
    WEIGHTS_IGNORED,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    expect,
    js,
    kl,
    logs,
    mixture,
    normalised,
    numerics,
    off,
    oracles,
    positives,
    reals,
    sigmoid,
    softplus,
    strategies,
    tensor,
    twice_jsd,
)

# One unordered pair {y, y'}: a = A(y, y'), b = A(y', y), and the margin m = m(y, y') = −m(y', y).
a, b, c = positives("a b c")
m, m2 = reals("m m2")


def value(w, x, own, other):
    """The pair's share of E_A[ln 2 − L_DPO]: margin `own` where y is chosen, `other` where y' is."""
    return w * (sp.log(2) - softplus(-own)) + x * (sp.log(2) - softplus(-other))


best = a * sp.log(2 * a / (a + b)) + b * sp.log(
    2 * b / (a + b)
)  # the pair's share of JSD(A, A^swap)
gap = best - value(a, b, m, -m)
cycle = best.subs({a: 1 + c, b: 1})  # the share of one step of a cycle of three with the odds 1 + c

# Two responses in full: A and A^swap on the ordered pairs (1, 1), (1, 2), (2, 1), (2, 2).
WEIGHTS = (*positives("d1"), a, b, *positives("d2"))
A, total = normalised(WEIGHTS), sum(WEIGHTS)
SWAP = (A[0], A[2], A[1], A[3])
MIDDLE = mixture(A, SWAP, HALF)
jsd = twice_jsd(A, SWAP) / 2
SHOWN = [p / 2 for p in (*A, *SWAP)]  # the joint law of the order O and the pair as shown
information = kl(SHOWN, [p / 2 for p in (*MIDDLE, *MIDDLE)])
margins = (sp.S(0), m, -m, sp.S(0))

# P = (4/5, 1/5) and R = (1/5, 4/5), independent: A(1, 2) = 16/25, A(2, 1) = 1/25 and M = (1/2, 1/2).
P, M = (sp.Rational(4, 5), sp.Rational(1, 5)), (HALF,) * 2
example = best.subs({a: sp.Rational(16, 25), b: sp.Rational(1, 25)})


def shipped(pairs, margin):
    """The mean of ln 2 − mi.preference_loss(bound="dv") over a law of (chosen, rejected), given all margins."""
    half = tensor(oracles.flat(margin)) / 2
    losses = mi.preference_loss(half, -half, "dv")
    return oracles.ln(2) - float(mi.mean(losses, logs(oracles.flat(pairs))))


def information_of(pairs):
    """I(O; pair as shown), from the table of the joint law of the order and the pair."""
    first, second = oracles.flat(pairs), oracles.flat(list(zip(*pairs, strict=True)))
    return oracles.mutual_information([[p / 2 for p in first], [p / 2 for p in second]])


def differences(s):
    """The margins s(y) − s(y')."""
    return [[x - y for y in s] for x in s]


def log_odds(pairs):
    """The margins ln A(y, y')/A(y', y)."""
    return [
        [oracles.ln(pairs[i][j] / pairs[j][i]) for j in range(len(pairs))]
        for i in range(len(pairs))
    ]


PAIRS = {"pairs": strategies.joint_laws(3, 3)}


def best_over_margins(pairs):
    """The largest mean of ln 2 − L_DPO over antisymmetric margins, by ascent."""
    places = [(i, j) for i in range(len(pairs)) for j in range(i)]

    def loss(margins):
        return sum(
            pairs[i][j] * oracles.dpo(m, 0) + pairs[j][i] * oracles.dpo(0, m)
            for (i, j), m in zip(places, margins, strict=True)
        )

    return oracles.ln(2) - numerics.lowest(loss, [0.0] * len(places))[0]


def against_its_swap(pairs):
    """JSD(A, A^swap)."""
    return oracles.jsd(oracles.flat(pairs), oracles.flat(list(zip(*pairs, strict=True))))


THEOREM = Theorem(
    slug="dpo_value_is_label_information",
    title="the best value of ln 2 − L_DPO is I(order; pair) = JSD(A, A^swap) ≤ ln 2",
    purpose="To know what information DPO's loss measures: that between label and pair.",
    setting="""One prompt, a finite set of responses, A the law of (y_w, y_l), A^swap(y, y') = A(y', y). Let O be a
    fair coin that decides whether the pair is shown as (y_w, y_l) or as (y_l, y_w).""",
    formula=r"""\sup_{m(y,y') = -m(y',y)} \mathbb{E}_A\bigl[\ln 2 - \ln(1 + e^{-m(y_w, y_l)})\bigr] = I(O;
    \text{pair}) = \mathrm{JSD}(A, A^{\mathrm{swap}}) \le \ln 2""",
    assumptions=(
        "one prompt (over prompts: the mean of the statement, and O is independent of the prompt)",
        "antisymmetric margins; without it the supremum is ln 2 for every A (m → ∞)",
        "for the equality over policies: Bradley–Terry odds, π_ref > 0 and π any law with full support",
    ),
    parts=(
        Part(
            "a",
            """Over all antisymmetric margins, m(y, y') = −m(y', y), sup E_A[ln 2 − sp(−m(y_w, y_l))] = I(O; pair
            as shown) = JSD(A, A^swap) ≤ ln 2; for each m the gap is the sum over unordered pairs of (a + b)
            KL(Bern(a/(a + b))‖Bern(σ(m))), a = A(y, y'), b = A(y', y); m is optimal iff m = ln(a/b) wherever a +
            b > 0 and y ≠ y' (a limit where a or b is 0).""",
            checks=(
                Identity(
                    "the gap of a pair is (a + b) KL(Bern(a/(a + b))‖Bern(σ(m)))",
                    gap,
                    a * sp.log(a / (a + b) / sigmoid(m)) + b * sp.log(b / (a + b) / sigmoid(-m)),
                ),
                Minimum("the gap", gap, m, sp.log(a / b)),
                Sign(
                    "ln 2 is missed by the posterior entropy",
                    a * sp.log(1 + b / a) + b * sp.log(1 + a / b),
                    ">",
                ),
                Identity(
                    "ln 2 less the posterior entropy is the share of the information",
                    (a + b) * sp.log(2) - best,
                    a * sp.log(1 + b / a) + b * sp.log(1 + a / b),
                ),
                Identity(
                    "b = 0: the gap is a sp(−m)",
                    a * sp.log(2) - value(a, 0, m, -m),
                    a * softplus(-m),
                ),
                Identity(
                    "JSD(A, A^swap) is the share over the total weight, two responses",
                    jsd,
                    best / total,
                ),
                Identity("I(O; pair) = JSD(A, A^swap), two responses", information, jsd),
                Identity(
                    "the value is ½ JS(A, A^swap; m), two responses",
                    expect(A, [sp.log(2) - softplus(-t) for t in margins]),
                    js(A, SWAP, margins) / 2,
                ),
                Sign(
                    "P = (.8, .2), R = (.2, .8): the supremum is 0.319 …",
                    example - sp.Rational("0.319"),
                    ">",
                ),
                Sign(
                    "P = (.8, .2), R = (.2, .8): the supremum is below 0.32",
                    sp.Rational("0.3195") - example,
                    ">",
                ),
                Shipped(
                    "ln 2 − mi.preference_loss at the log-odds is I(O; pair), three responses",
                    PAIRS,
                    lambda pairs: shipped(pairs, log_odds(pairs)),
                    information_of,
                ),
            ),
            by_hand=(
                Sum("""from one pair to a set of any size: a sum of shares with free margins (two responses are
                checked in full)"""),
                """where b = 0 < a the share tends to its bound a ln 2 as m → ∞: the gap there is a sp(−m) < a
                e^{−m}""",
            ),
        ),
        Part(
            "b",
            """DPO's margins are differences, m = s(y) − s(y') with s = β ln π/π_ref, and every s occurs up to a
            constant: hence sup over policies of ln 2 − E L_DPO ≤ JSD(A, A^swap), with equality if ln(a/b) is such
            a difference (Bradley–Terry), as it always is for two responses.""",
            checks=(
                Holds(
                    "ln 2 − mi.preference_loss at differences of scores is at most I(O; pair)",
                    PAIRS | {"s": strategies.vectors(3, 3)},
                    lambda pairs, s: (
                        shipped(pairs, differences(s)) <= information_of(pairs) + 1e-12
                    ),
                ),
                Identity(
                    "two responses: ln(a/b) is a difference of scores",
                    sp.log(a / b),
                    sp.log(a) - sp.log(b),
                ),
            ),
        ),
        Part(
            "c",
            "A cycle of three can make the left side 0 and the right side positive.",
            checks=(
                Minimum(
                    "a share lies below its tangent at 0",
                    (a - b) * m / 2 - value(a, b, m, -m),
                    m,
                    0,
                ),
                Minimum("a pair's share of the information", best, a, b),
            ),
        ),
    ),
    proof="""Antisymmetry makes E_A sp(−m) = E_{A^swap} sp(m), so E_A[ln 2 − sp(−m)] is half of the JS bound of
    2·JSD(A, A^swap); it splits into unordered pairs (for y = y' the margin is 0, and so is the share). A pair's share
    is strictly concave in m and stationary at ln(a/b), the posterior log-odds of O. What is missing to ln 2 is the
    mean posterior entropy of O, a ln(1 + b/a) + b ln(1 + a/b) ≥ 0 for a pair. Differences are antisymmetric, and π ∝
    π_ref e^{s/β} has the scores s up to a constant. On a cycle with odds 1 + c at each step, a share is at most its
    tangent c m/2 at m = 0; the three margins sum to 0, and so do the tangents. The information is positive, since a
    pair's share of it is 0 at a = b only.""",
    example=Example(
        "the largest ln 2 − L_DPO over margins, six ordered pairs of three responses, beside JSD(A, A^swap)",
        best_over_margins,
        against_its_swap,
        {"pairs": ((0.0, 0.4, 0.2), (0.1, 0.0, 0.1), (0.1, 0.1, 0.0))},
    ),
    false_neighbours=(
        Sign(
            "it is a lower bound of KL(P‖M): P = (.8, .2), R = (.2, .8): 0.193 against 0.319",
            kl(P, M) - example,
            ">=",
        ),
        Sign("margins need not be antisymmetric", best - value(a, b, m, m2), ">="),
        Identity(
            "differences reach it on a cycle too: the best one is 0", cycle, value(1 + c, 1, 0, 0)
        ),
        Identity("the best margin is ln(b/a)", gap.subs(m, sp.log(b / a)), 0),
    ),
    mutants=(
        HALF_LOSS,
        off("preference_loss"),
        WEIGHTS_IGNORED,
    ),
    uses=("dpo_is_half_mixed_dv",),
    about=("preference_loss",),
    reference="This project; the loss: Rafailov et al. 2023 (arXiv 2305.18290), eq. 7.",
)
