"""The best value of ln 2 − L_DPO is never below KL(P‖M): it bounds that divergence from above, not from below."""

import sympy as sp

from proofs.engine import (
    HALF,
    HALF_LOSS,
    WEIGHTS_IGNORED,
    Certified,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    kl,
    mixture,
    normalised,
    numerics,
    oracles,
    population_loss,
    positives,
    strategies,
    twice_jsd,
)

# Two responses in full: y_w ~ P and y_l ~ R independent, a and b the masses of the pairs (1, 2) and (2, 1).
P, R = normalised(positives("p1 p2")), normalised(positives("r1 r2"))
M = mixture(P, R, HALF)
PAIRS = [
    (P[i] * R[j], R[i] / P[i], P[j] / R[j]) for i in range(2) for j in range(2)
]  # weight, c(y), 1/c(y')


def jsd_of_order(a, b):
    """D = JSD(A, A^swap), two responses whose pairs (1, 2) and (2, 1) have the masses a and b."""
    return a * sp.log(2 * a / (a + b)) + b * sp.log(2 * b / (a + b))


D = jsd_of_order(P[0] * R[1], P[1] * R[0])

# One pair of responses (y, y'): c = R(y)/P(y), X = P(y')/R(y'), so A(y', y)/A(y, y') = cX.
c, X, z, d1, a, b, d2 = positives("c X z d1 a b d2")
below = sp.log((1 + c) / (1 + c * X)) + c / (1 + c) * (X - 1)
above = z - 1 - sp.log(z)
Z = (1 + c) * (1 + X) / (2 * (1 + c * X))

# P = (p, 1 − p) and R = (1 − p, p), so M = (½, ½); k = (2p − 1)². With p = (1 + t)/2, t = s/(1 + s):
s, p, k = positives("s p k")
t = s / (1 + s)
excess = jsd_of_order(p**2, (1 - p) ** 2) - kl((p, 1 - p), (HALF,) * 2)
at = excess.subs(p, (1 + t) / 2)
artanh = sp.log((1 + t) / (1 - t)) / 2
root = sp.sqrt(k)
in_k = (
    root * ((1 + root) * sp.log(1 + root) - (1 - root) * sp.log(1 - root)) - (1 + k) * sp.log(1 + k)
) / 2
bend = -(1 / (2 * (1 - t**2)) + (artanh - t) / (2 * t**3) + 1 / (1 + t**2)) / 2

# Dependent pairs: the masses d1, a, b, d2 of (1, 1), (1, 2), (2, 1), (2, 2).
A = normalised((d1, a, b, d2))
OWN, OTHER = (A[0] + A[1], A[2] + A[3]), (A[0] + A[2], A[1] + A[3])


def shipped(p, r):
    """The mean of ln 2 − mi.preference_loss(bound="dv") at the scores ln P/R, over independent pairs."""
    scores = [oracles.ln(x / y) for x, y in zip(p, r, strict=True)]
    return oracles.ln(2) - population_loss([[x * y for y in r] for x in p], scores, "dv")


def best(p, r):
    """JSD(A, A^swap), A = P ⊗ R."""
    return oracles.jsd([x * y for x in p for y in r], [y * x for y in r for x in p])


def between(p, r):
    """Whether the shipped value is at least KL(P‖M) and KL(R‖M), and at most their sum."""
    middle = mixture(p, r, HALF)
    own, other = oracles.kl(p, middle), oracles.kl(r, middle)
    return max(own, other) - 1e-12 <= shipped(p, r) <= own + other + 1e-12


LAWS = {"p": strategies.laws(3), "r": strategies.laws(3)}
BEST, TOP = ("0.8789086", "0.8789087"), ("0.1486229", "0.1486230")  # p° and the excess there


def overstated(p):
    """sup E[ln 2 − L_DPO] − KL(P‖M) for P = (p, 1 − p) and R = (1 − p, p): a search over the margin."""

    def loss(margin):
        return p**2 * oracles.dpo(margin[0], 0) + (1 - p) ** 2 * oracles.dpo(0, margin[0])

    ties = 2 * p * (1 - p) * oracles.ln(2)
    value = oracles.ln(2) - ties - numerics.lowest(loss, [0.0])[0]
    return value - oracles.kl((p, 1 - p), (0.5, 0.5))


def in_closed_form(p):
    """D − KL(P‖M)."""
    return best((p, 1 - p), (1 - p, p)) - oracles.kl((p, 1 - p), (0.5, 0.5))


THEOREM = Theorem(
    slug="dpo_value_is_no_kl_bound",
    tier="certified",
    title="the best ln 2 − L_DPO is at least KL(P‖M), by up to 0.1486 for two opposite responses",
    purpose="To avoid reading ln 2 less DPO's loss as a bound of a KL divergence.",
    setting="""One prompt, finitely many responses, y_w ~ P and y_l ~ R independent, M = ½(P + R), A = P ⊗ R, D =
    JSD(A, A^swap): the supremum of E[ln 2 − L_DPO] over all scores of a response (see
    dpo_value_is_label_information).""",
    formula=r"""\mathrm{KL}(P \| M) \;\le\; \sup_s \mathbb{E}\bigl[\ln 2 - L_{\mathrm{DPO}}\bigr] \;\le\;
    \mathrm{KL}(P \| M) + \mathrm{KL}(R \| M), \qquad M = \tfrac12 (P + R)""",
    assumptions=(
        "the chosen and the rejected response are independent given the prompt; one prompt (over prompts: the mean)",
        "the supremum is over all scores; ln P/R, the best one, is finite if P and R have the same support",
        "the value at the best scores of the population: a policy that has not converged may be anywhere below",
    ),
    parts=(
        Part(
            "a",
            """KL(P‖M) ≤ D, with equality iff P = R or P and R share no response: in every other case ln 2 − min
            L_DPO overstates KL(P‖M). Likewise KL(R‖M) ≤ D.""",
            checks=(
                Minimum("−ln ½(1 + cX) minus its tangent", below, X, 1),
                Identity(
                    "D − KL(P‖M) is its mean, two responses",
                    D - kl(P, M),
                    sum(w * below.subs({c: u, X: v}, simultaneous=True) for w, u, v in PAIRS),
                ),
                Shipped("D is the value of mi.preference_loss at ln P/R", LAWS, shipped, best),
            ),
            by_hand=(
                Sum("""(a), (b): the mean of an inequality, for any finite number of responses (two are checked in
                full)"""),
                """responses outside the support of P or R: E_R X and E_P c are then at most 1, and the terms are
                limits""",
            ),
        ),
        Part(
            "b",
            "D ≤ KL(P‖M) + KL(R‖M) = 2·JSD(P, R).",
            checks=(
                Minimum("z − 1 − ln z", above, z, 1),
                Identity(
                    "z is the same for (y', y)",
                    Z.subs({c: 1 / X, X: 1 / c}, simultaneous=True),
                    Z,
                ),
                Identity("a pair's share of E z", (1 + c * X) * Z, (1 + c) * (1 + X) / 2),
                Identity(
                    "KL(P‖M) + KL(R‖M) − D is −E ln z, two responses",
                    twice_jsd(P, R) - D,
                    sum(-w * sp.log(Z.subs({c: u, X: v}, simultaneous=True)) for w, u, v in PAIRS),
                ),
                Holds(
                    "mi.preference_loss there is between the bounds",
                    LAWS,
                    between,
                ),
            ),
            by_hand=(
                Sum("""(a), (b): the mean of an inequality, for any finite number of responses (two are checked in
                full)"""),
                """responses outside the support of P or R: E_R X and E_P c are then at most 1, and the terms are
                limits""",
            ),
        ),
        Part(
            "c",
            """Let P = (p, 1 − p) and R = (1 − p, p), so that KL(P‖M) = JSD(P, R). The excess e(p) = D − KL(P‖M)
            is 0 at p = ½ and 1 and positive between; as a function of (2p − 1)² it is strictly concave. Its
            maximum on [½, 1] is at one p° in (0.8789086, 0.8789087), and max e is in (0.1486229, 0.1486230).""",
            checks=(
                Identity("e in k", at, in_k.subs(k, t**2)),
                Identity("e = 0 at p = ½", excess.subs(p, HALF), 0),
                Identity(
                    "the slope of artanh t − t",
                    sp.diff(artanh - t, s),
                    t**2 / (1 - t**2) * sp.diff(t, s),
                ),
                Sign("artanh t > t", t**2 / (1 - t**2) * sp.diff(t, s), ">"),
                Identity("d²e/dk²", sp.diff(in_k, k, 2).subs(k, t**2), bend),
                Certified(
                    "e' > 0 at 0.8789086", sp.diff(excess, p).subs(p, sp.Rational(BEST[0])), ">"
                ),
                Certified(
                    "e' < 0 at 0.8789087", sp.diff(excess, p).subs(p, sp.Rational(BEST[1])), "<"
                ),
                Certified(
                    "e > 0.1486229 on the bracket", excess - sp.Rational(TOP[0]), ">", {p: BEST}
                ),
                Certified(
                    "e < 0.1486230 there",
                    excess - sp.Rational(TOP[1]),
                    "<",
                    {p: BEST},
                    tail="e is smaller, as it is concave",
                ),
            ),
            by_hand=(
                """(c) from the signs of e' at the two ends of the bracket, and concavity in k, to the place of
                the maximum""",
            ),
        ),
    ),
    proof="""With c = R(y)/P(y) and X = P(y')/R(y'), A(y', y)/A(y, y') = cX: odds ln P/R are differences of scores, D
    = E_A[−ln ½(1 + cX)] and KL(P‖M) = E_P[−ln ½(1 + c)]. (a) −ln ½(1 + cX) is convex in X, so above its tangent at 1;
    E_R X ≤ 1, so the tangents' mean is at least KL(P‖M). Equality needs X = 1 or c = 0 at each pair of P ⊗ R: no
    response in common, or P = R. (b) KL(P‖M) + KL(R‖M) − D = −E_A ln z, z = (1 + c)(1 + X)/(2(1 + cX)), at least
    E_A[1 − z]. As z is the same for (y', y), and A(y, y') + A(y', y) = A(y, y')(1 + cX), the mean of z is ¼ E_A(1 +
    c)(1 + X) = ¼ E_P(1 + c) E_R(1 + X) ≤ 1. (c) With t = 2p − 1 and k = t², e is in closed form; its second
    derivative in k is −½(1/(2(1 − k)) + (artanh t − t)/(2t³) + 1/(1 + k)) < 0. A strictly concave function with zeros
    at both ends is positive inside and has one maximum, where its slope changes sign: e is below its tangent at the
    left end.""",
    example=Example(
        "what ln 2 − min L_DPO exceeds KL(P‖M) by for P = (0.8, 0.2) and R = (0.2, 0.8)",
        overstated,
        in_closed_form,
        {"p": 0.8},
    ),
    false_neighbours=(
        Certified("e < 0.1486", excess - sp.Rational("0.1486"), "<", {p: ("1/2", "99/100")}),
        Sign(
            "(b) without independence",
            twice_jsd(OWN, OTHER) - jsd_of_order(A[1], A[2]),
            ">=",
        ),
        Sign("JSD(P, R) is an upper bound", twice_jsd(P, R) - 2 * D, ">="),
        Sign("KL(P‖M) ≤ ½D", D / 2 - kl(P, M), ">="),
    ),
    mutants=(
        HALF_LOSS,
        WEIGHTS_IGNORED,
    ),
    uses=("dpo_value_is_label_information",),
    about=("preference_loss",),
    reference="This project; the Jensen–Shannon divergence: Lin 1991, IEEE T-IT 37(1), 145–151.",
)
