"""What MIO learns from i.i.d. pairs: each response's win rate, at no more than ln 2 − ½ nats from the reference."""

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import win_rate_score
from proofs.engine import (
    HALF,
    NEARLY,
    TURNED,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Sum,
    Tested,
    Theorem,
    Values,
    expect,
    gradient,
    kl,
    normalised,
    oracles,
    positives,
    ratios,
    reals,
    sigmoid,
    strategies,
    tensor,
    word,
)

# Three responses with any law ν and any kernel: p_ij = b/(1 + b) for i < j, p_ji = 1 − p_ij, p_ii = ½.
NU = normalised(positives("n1 n2 n3"))
B12, B13, B23 = (b / (1 + b) for b in positives("b1 b2 b3"))
KERNEL = ((HALF, B12, B13), (1 - B12, HALF, B23), (1 - B13, 1 - B23, HALF))
WIN = [expect(NU, row) for row in KERNEL]
CHOSEN = [sum(NU[i] * NU[j] * 2 * KERNEL[i][j] for j in range(3)) for i in range(3)]
REJECTED = [sum(NU[i] * NU[j] * 2 * (1 - KERNEL[i][j]) for j in range(3)) for i in range(3)]

# One response: its win rate w = g/(1 + g), the mix α = a/(1 + a).
a, g, n, v, s, beta = positives("a g n v s beta")
W, A = positives("w alpha")
SHARES: Values = {W: g / (1 + g), A: a / (1 + a)}
score = win_rate_score(W, A)
steepest = A * (1 - W) / ((1 - A) * W + A * (1 - W))  # the most that dT*/dr can be

# Bradley–Terry: w is the mean over ν of σ(r − r'); two levels x and y of that.
(x, y), share = positives("x y"), 1 / (1 + n)
RATES = [x / (1 + x), y / (1 + y)]
mean = share * RATES[0] + (1 - share) * RATES[1]
mean_slope = share * RATES[0] * (1 - RATES[0]) + (1 - share) * RATES[1] * (1 - RATES[1])

# Weak preferences: rewards s·r at s → 0.
R = reals("r1 r2 r3")
weak = [expect(NU, [sigmoid(s * (R[i] - R[j])) for j in range(3)]) for i in range(3)]
r_bar = word("r̄", expect(NU, R), r"\bar r")
at_zero = [sp.diff(win_rate_score(w, A), s).subs(s, 0) for w in weak]

t_star = word("T*", score, "T^*")
excess = v * sp.log(v)  # one response's share of KL(P‖ν), per unit of ν, at v = 2w
least = (1 + v) * sp.log(1 + v) - v * sp.log(v)  # and of the least loss
sure = word("KL(P‖ν)", kl(CHOSEN, NU), r"\mathrm{KL}(P\|\nu)")
(u,) = positives("u")  # a uniform win rate
primitive_kl = u**2 * sp.log(2 * u) - u**2 / 2
primitive_loss = ((1 + 2 * u) ** 2 * (2 * sp.log(1 + 2 * u) - 1)) / 8 - primitive_kl
floor = sp.Rational(9, 4) * sp.log(3) - sp.log(2) - HALF


def pairs(law, kernel):
    """The joint law of (chosen, rejected) for two draws of a law, and each response's win rate."""
    size = len(law)
    wins = [[kernel(i, j) for j in range(size)] for i in range(size)]
    joint = [[2 * law[i] * law[j] * wins[i][j] for j in range(size)] for i in range(size)]
    return joint, [oracles.mean(law, row) for row in wins]


def beats(odds):
    """A kernel from three odds."""
    table = {(0, 1): odds[0], (0, 2): odds[1], (1, 2): odds[2]}

    def kernel(i, j):
        if i == j:
            return 0.5
        odd = table[min(i, j), max(i, j)]
        return odd / (1 + odd) if i < j else 1 / (1 + odd)

    return kernel


def slope_at_scores(law, odds, mix):
    """The gradient of the mean shipped loss over all pairs, in the score of each response, at T*."""
    joint, wins = pairs(law, beats(odds))

    def loss(scores):
        chosen, rejected = scores.repeat_interleave(3), scores.repeat(3)
        return tensor(oracles.flat(joint)) @ mi.preference_loss(chosen, rejected, "js", mix)

    return gradient(loss, [win_rate_score(w, mix) for w in wins]).tolist()


def informed(law, odds):
    """Whether KL(P‖ν) is at most ln 2 − ½, P the law of the chosen one."""
    joint, _ = pairs(law, beats(odds))
    return oracles.kl([sum(row) for row in joint], law) <= oracles.ln(2) - 0.5 + 1e-12


ODDS = {
    "law": strategies.laws(3),
    "odds": strategies.laws(4).map(lambda p: tuple(x / p[3] for x in p[:3])),
}


def fitted(law, rewards):
    """The best response's score where the mean loss over Bradley–Terry pairs is least, by descent."""
    from scipy.optimize import minimize

    joint, _ = pairs(law, lambda i, j: 1 / (1 + float(sp.exp(rewards[j] - rewards[i]))))

    def loss(scores):
        return sum(
            joint[i][j] * oracles.nca_pair(scores[i], scores[j]) for i in range(3) for j in range(3)
        )

    return float(minimize(loss, [0.0] * 3, tol=1e-12).x[0])


def twice_win_rate(law, rewards):
    """ln 2w of the first response."""
    wins = [1 / (1 + float(sp.exp(reward - rewards[0]))) for reward in rewards]
    return oracles.ln(2 * oracles.mean(law, wins))


THEOREM = Theorem(
    slug="mio_learns_win_rates",
    tier="tested",
    title="""from i.i.d. pairs MIO learns ln 2w, w the win rate; at β = 1 its optimum is best-of-two, ≤ ln 2 − ½
    nats off""",
    purpose="To know what MIO learns from pairs of one sampler: win rates, and best-of-two.",
    setting="""One prompt, a finite set of responses; both responses of a pair are drawn i.i.d. from a law ν, and y
    is preferred to y' with the probability p(y, y') = 1 − p(y', y), any kernel. w(y) = E_ν p(y, ·) is the win rate,
    P and R are the laws of the chosen and the rejected response, and α is the mix.""",
    formula=r"""P = 2 w \nu, \quad R = 2 (1 - w) \nu, \qquad T^*_\alpha = \ln \frac{w}{(1 - \alpha) w + \alpha (1 - w)},
    \qquad \mathrm{KL}(P \| \nu) \le \ln 2 - \tfrac12""",
    assumptions=(
        "both responses of a pair come from one law: on-policy pairs; not a chosen answer from elsewhere",
        "0 < w < 1 everywhere; T is any function of the response",
        "(b) the policy is normalised and its reference is ν: β = 1, α = ½",
    ),
    parts=(
        Part(
            "a",
            (
                """P = 2wν and R = 2(1 − w)ν, so that the half-mix of P and R is ν. The best score of the JS family
                is """,
                Identity(
                    "the best score", t_star, sp.log(W / ((1 - A) * W + A * (1 - W))), at=SHARES
                ),
                """, at α = ½ it is ln 2w. It increases with w: the scores are in the order of the win rates, with or
                without Bradley–Terry.""",
            ),
            checks=(
                *[
                    Identity(f"P is 2wν, response {i + 1} of 3", CHOSEN[i], 2 * WIN[i] * NU[i])
                    for i in range(3)
                ],
                *[
                    Identity(
                        f"P + R = 2ν, response {i + 1} of 3", CHOSEN[i] + REJECTED[i], 2 * NU[i]
                    )
                    for i in range(3)
                ],
                Identity("P is a law", sum(CHOSEN), 1),
                Identity(
                    "ln dP/dQ_α at one response",
                    sp.log(2 * W * n / ((1 - A) * 2 * W * n + A * 2 * (1 - W) * n)),
                    score,
                    at=SHARES,
                ),
                Identity("MIO: ln 2w", score, sp.log(2 * W), at={W: g / (1 + g), A: HALF}),
                Sign("the best score increases with w", sp.diff(score, W), ">", at=SHARES),
                Shipped(
                    "the mean of mi.preference_loss over all pairs has no slope at T*",
                    ODDS | strategies.MIX,
                    slope_at_scores,
                    lambda law, odds, mix: [0, 0, 0],
                ),
            ),
        ),
        Part(
            "b",
            """For ν = π_ref, α = ½ and β = 1 the optimal policy is P itself: the law of the chosen answer, best of
            two if a ranking decides. Whatever the preferences are, KL(P‖π_ref) is at most ln 2 − ½ = 0.193147.""",
            formula=(
                Identity(
                    "the price in nats",
                    sure,
                    word(
                        "E_ν 2w ln 2w",
                        expect(NU, [r * sp.log(r) for r in ratios(CHOSEN, NU)]),
                        r"\mathbb{E}_\nu\, 2w \ln 2w",
                    ),
                ),
            ),
            checks=(
                Identity(
                    "π_ref e^{T*} is P, so it is normalised",
                    n * sp.exp(score),
                    2 * W * n,
                    at={W: g / (1 + g), A: HALF},
                ),
                Sign("v ln v is convex", sp.diff(excess, v, 2), ">"),
                Identity(
                    "the integral of v ln v over a uniform win rate",
                    sp.diff(primitive_kl, u),
                    excess.subs(v, 2 * u),
                ),
                Identity(
                    "v ln v: the integral from 0 to 1 is ln 2 − ½",
                    primitive_kl.subs(u, 1),
                    sp.log(2) - HALF,
                ),
                Sign("ln 2 − ½ > 0.1931471", sp.log(2) - HALF, ">", sp.Rational("0.1931471")),
                Sign("ln 2 − ½ < 0.1931472", sp.log(2) - HALF, "<", sp.Rational("0.1931472")),
                Tested("KL(P‖ν) ≤ ln 2 − ½", ODDS, informed),
            ),
            by_hand=(
                """majorisation: ∫_A w ≤ m − m²/2 for a set of ν-mass m, so that w is majorised by the uniform law
                on (0, 1), which a ranking of many responses approaches; a convex function of it is then largest""",
            ),
        ),
        Part(
            "c",
            (
                "For α = ½ and any ν no score has a mean loss below ",
                floor,
                """ = 1.278730…: a population mean, about which the mean of a sample varies. A held-out loss below it,
                beyond what chance explains, says that the pairs were filtered.""",
            ),
            checks=(
                Identity(
                    "the least loss, one response: (1 + v) ln(1 + v) − v ln v per unit of ν",
                    least,
                    (1 + v) * sp.log(2) - (v * sp.log(2 * v / (1 + v)) + sp.log(2 / (1 + v))),
                ),
                Sign("the least loss is concave in v", sp.diff(least, v, 2), "<"),
                Identity(
                    "the integral of the least loss over a uniform win rate",
                    sp.diff(primitive_loss, u),
                    least.subs(v, 2 * u),
                ),
                Identity(
                    "the least loss: the integral from 0 to 1",
                    primitive_loss.subs(u, 1) + sp.Rational(1, 8),
                    floor,
                ),
                Sign("the least loss is above 1.2787304", floor, ">", sp.Rational("1.2787304")),
                Sign("the least loss is below 1.2787305", floor, "<", sp.Rational("1.2787305")),
            ),
            by_hand=(
                """majorisation, as in (b), for a concave function; the infimum over scores is that of
            mio_loss_floor""",
            ),
        ),
        Part(
            "d",
            """Under Bradley–Terry with rewards r the best score rises with r, at a slope of at most α(1 − w)/((1 −
            α)w + α(1 − w)) ≤ 1. For weak preferences, rewards s r with s → 0, it is α s (r − r̄) to first order:
            the JS family at αβ regularises as DPO at β.""",
            formula=(
                Identity(
                    "the slope in w times w(1 − w)",
                    word(
                        "w(1 − w) dT*/dw",
                        sp.diff(score, W) * W * (1 - W),
                        r"w(1 - w)\,\frac{dT^*}{dw}",
                    ),
                    steepest,
                    at=SHARES,
                ),
                Sign("the slope in r is at most 1", steepest, "<", 1, at=SHARES),
                *[
                    Identity(
                        f"weak preferences, response {i + 1} of 3",
                        word(
                            f"dT*({i + 1})/ds", slope, rf"\frac{{dT^*({i + 1})}}{{ds}}\Big|_{{s=0}}"
                        ),
                        A * (R[i] - r_bar),
                        at={A: a / (1 + a)},
                    )
                    for i, slope in enumerate(at_zero)
                ],
            ),
            checks=(
                Identity(
                    "w(1 − w) − dw/dr is the variance of σ(r − r'), two levels",
                    mean * (1 - mean) - mean_slope,
                    share * (1 - share) * (RATES[0] - RATES[1]) ** 2,
                ),
                Sign(
                    "this variance is not negative",
                    share * (1 - share) * (RATES[0] - RATES[1]) ** 2,
                    ">=",
                ),
            ),
            by_hand=(Sum("the variance of any number of levels"),),
        ),
    ),
    proof="""(a) Each of the two draws is y and preferred with probability ν(y) w(y). T* = ln dP/dQ_α by
    mio_is_half_mixed_js. (b) E_ref e^{T*} = E_ν 2w = 1, so T* is the score of a policy, P. For a set A of mass m
    the draws within A win half of their duels against A and at most all against the rest: ∫_A w ≤ m²/2 + m(1 − m).
    (c) The infimum is 2 ln 2 − 2 JSD(P, ν). (d) dT*/dr = (dT*/dw) E_ν σ'(r − r'), and E σ(1 − σ) = w(1 − w) − Var
    σ.""",
    example=Example(
        "the score that MIO learns of the first response, beside ln 2w",
        fitted,
        twice_win_rate,
        {"law": (0.5, 0.3, 0.2), "rewards": (2.0, 0.0, -1.0)},
        tolerance=1e-4,
    ),
    false_neighbours=(
        Identity("the score is the reward: consistent for r as DPO's", steepest, 1, at=SHARES),
        Sign("the slope in r can exceed 1", steepest, ">", 1, at=SHARES),
        Identity(
            "at first order MIO(2β) is DPO(β): slope 2α",
            at_zero[0],
            2 * A * (R[0] - r_bar),
            at={A: a / (1 + a)},
        ),
        Identity("the half-mix of P and R is P", CHOSEN[0] + REJECTED[0], 2 * CHOSEN[0]),
    ),
    mutants=(TURNED, NEARLY),
    uses=("mio_is_half_mixed_js", "mio_loss_floor"),
    about=("preference_loss", "theory.win_rate_score"),
    reference="""This project. Best-of-two: Gui et al. 2024 (arXiv 2406.00832); its divergence: Beirami et al. 2025
    (arXiv 2401.01879), section 3; Borda counts: Siththaranjan et al. 2024 (arXiv 2312.08358), theorem 3.1.""",
)
