"""Rounds of on-policy MIO are a knockout: after t rounds the policy is the law of the winner among 2^t draws."""

from itertools import pairwise, product

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import best_of_kl, rounds_to_half
from proofs.engine import (
    AS_DPO,
    HALF,
    NEARLY,
    Example,
    Holds,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    expect,
    gradient,
    integers,
    normalised,
    oracles,
    positives,
    reals,
    strategies,
    tensor,
)

NU = normalised(positives("n1 n2"))
(odds,) = positives("b")
WINS = ((HALF, odds / (1 + odds)), (1 / (1 + odds), HALF))  # any kernel on two responses
F, p, n, u, y = positives("F p n u y")  # mass below a response and of it; draws; a uniform rank
a, b, c = positives("a1 a2 a3")
x1, x2, x3 = NASH = normalised((a, b, c))
PI = normalised(positives("p1 p2 p3"))
(g,) = reals("g")
(T,) = integers("t")
EDGE = ((0, g * x3, -g * x2), (-g * x3, 0, g * x1), (g * x2, -g * x1, 0))  # p − ½, with EDGE·x = 0

primitive = u**n * (sp.log(n) + (n - 1) * sp.log(u)) - (n - 1) / n * u**n
density = n * u ** (n - 1)  # of the largest of n uniform ranks
MILLION = sp.Rational(1, 10**6)
RANKED = [sp.Rational(k, 10) for k in (4, 3, 2, 1)]  # worst first
BELOW = [sum(RANKED[: i + 1]) for i in range(4)]
SHOWN = ("0.000655", "0.056993", "0.372819", "0.569533")


def next_round(law, wins):
    """The next policy, 2wπ."""
    return [2 * q * expect(law, row) for q, row in zip(law, wins, strict=True)]


def knockout(law, wins):
    """The law of the winner among four draws, two matches and a final: enumerated."""
    total = [sp.Integer(0)] * 2
    for i, j, k, m in product((0, 1), repeat=4):
        chance = law[i] * law[j] * law[k] * law[m]
        for first, won in ((i, wins[i][j]), (j, wins[j][i])):
            for second, other in ((k, wins[k][m]), (m, wins[m][k])):
                for winner, loser in ((first, second), (second, first)):
                    total[winner] += chance * won * other * wins[winner][loser]

    return total


def slopes(law, odds, rounds):
    """The mean shipped loss's slopes at ln 2w over all pairs of the policy after so many rounds."""
    wins = [[0.5, odds / (1 + odds)], [1 / (1 + odds), 0.5]]
    for _ in range(rounds):
        law = [2 * q * oracles.mean(law, row) for q, row in zip(law, wins, strict=True)]

    scores = [oracles.ln(2 * oracles.mean(law, row)) for row in wins]
    joint = tensor([2 * law[i] * law[j] * wins[i][j] for i in (0, 1) for j in (0, 1)])

    def loss(values):
        return joint @ mi.preference_loss(values.repeat_interleave(2), values.repeat(2))

    return gradient(loss, scores).tolist()


def top_mass(eps, rounds):
    """The mass of the best response after so many rounds, round by round."""
    law, wins = (1 - eps, eps), ((0.5, 0.0), (1.0, 0.5))
    for _ in range(rounds):
        law = tuple(
            2 * q * (law[0] * row[0] + law[1] * row[1]) for q, row in zip(law, wins, strict=True)
        )
    return law[1]


def priced(law, rounds):
    """Whether KL(π_t‖π_0) is at most t ln 2 − 1 + 2^{−t} where a ranking decides."""
    below = [sum(law[: i + 1]) for i in range(len(law))]
    powers = [0.0, *(min(f, 1.0) ** 2**rounds for f in below)]
    policy = [high - low for low, high in pairwise(powers)]
    return oracles.kl(policy, law) <= best_of_kl(2**rounds) + 1e-9


def shown():
    """Both sides of each number of the example."""
    half = sp.Rational(1, 2 * 10**6)
    for i, digits in enumerate(SHOWN):
        value = BELOW[i] ** 8 - (BELOW[i - 1] ** 8 if i else 0)
        for relation, end in ((">", -half), ("<", half)):
            yield Sign(
                f"response {i + 1} {relation} {digits} ± half a unit",
                value,
                relation,
                sp.Rational(digits) + end,
                at={F: BELOW[i], p: RANKED[i], n: 2**3, T: 3},
            )


AT_MILLION: Values = {p: MILLION}
THEOREM = Theorem(
    slug="rounds_are_a_knockout",
    tier="tested",
    title="on-policy rounds of MIO are a knockout among 2^t draws: best-of-2^t where a ranking decides",
    purpose="""To plan rounds of on-policy MIO: how fast a rare best answer wins, what it costs, and where rounds
    run away.""",
    setting="""One prompt, a finite set. In each round both responses of a pair are drawn from the current policy
    π_t, the reference is reset to π_t, and MIO (α = ½, β = 1) is trained to its population optimum. p(y, y') is
    the probability that y is preferred, with p(y, y) = ½, w_t(y) = E_{π_t} p(y, ·).""",
    formula=r"""\pi_{t+1} = 2 w_t \pi_t, \qquad \mathrm{KL}(\pi_t \| \pi_0) \le t \ln 2 - 1 + 2^{-t}""",
    assumptions=(
        "population optimum in each round; both responses from the current policy; the reference is reset",
        "(b) a ranking decides each pair, ties by a coin; (c) p = ½ + A, A antisymmetric, and a law x > 0 with Ax = 0",
    ),
    parts=(
        Part(
            "a",
            """π_{t+1} = 2w_t π_t: the winner of a pair of winners. So π_t is the law of the winner of a balanced
            knockout among 2^t draws from π_0, for every kernel.""",
            checks=(
                *[
                    Identity(
                        f"two rounds are a knockout among 4, response {i + 1} of 2",
                        next_round(next_round(NU, WINS), WINS)[i],
                        knockout(NU, WINS)[i],
                    )
                    for i in (0, 1)
                ],
                Identity("2wπ is a law", sum(next_round(NU, WINS)), 1),
                Shipped(
                    """the mean of mi.preference_loss over the policy's pairs has no slope at ln 2w_t, after 2
                    rounds as well""",
                    {
                        "law": strategies.laws(2),
                        "odds": strategies.rates(8),
                        "rounds": strategies.st.integers(0, 2),
                    },
                    slopes,
                    lambda law, odds, rounds: [0, 0],
                    tolerance=1e-8,
                ),
            ),
            by_hand=(
                "the induction from one round to the next; ln 2w is the optimum by mio_learns_win_rates",
            ),
        ),
        Part(
            "b",
            """If a ranking decides, the mass F of all responses up to a rank becomes F²: π_t is best-of-2^t. Then
            KL(π_t‖π_0) ≤ t ln 2 − 1 + 2^{−t}, and a best response of mass ε has mass ½ after ln(ln 2/−ln(1 −
            ε))/ln 2 rounds: 20 at 10⁻⁶. From (0.4, 0.3, 0.2, 0.1), worst first, 3 rounds give (0.000655,
            0.056993, 0.372819, 0.569533).""",
            checks=(
                Identity(
                    "F² gains what 2wπ gives: w = F − p/2", F**2 - (F - p) ** 2, 2 * p * (F - p / 2)
                ),
                Identity(
                    "the integral of ln(n uⁿ⁻¹)", sp.diff(primitive, u), density * sp.log(density)
                ),
                Identity(
                    "ln(n uⁿ⁻¹): the integral from 0 to 1 is ln n − 1 + 1/n",
                    primitive.subs(u, 1),
                    best_of_kl(n),
                ),
                Identity(
                    "n = 2: the cost of one round is ln 2 − ½",
                    best_of_kl(n),
                    sp.log(2) - HALF,
                    at={n: 2},
                ),
                Sign(
                    "10⁻⁶: 19 rounds do not reach ½",
                    19 * sp.log(2) - sp.log(sp.log(2) / -sp.log(1 - p)),
                    "<",
                    at=AT_MILLION,
                ),
                Sign(
                    "10⁻⁶: 20 rounds do",
                    20 * sp.log(2) - sp.log(sp.log(2) / -sp.log(1 - p)),
                    ">",
                    at=AT_MILLION,
                ),
                Identity(
                    "mi.theory.rounds_to_half solves for the rounds",
                    rounds_to_half(p / (1 + p), sp.Integer(2)) * sp.log(2),
                    sp.log(sp.log(2) / sp.log(1 + p)),
                ),
                *shown(),
                Holds(
                    "mi.theory.best_of_kl bounds KL(π_t‖π_0)",
                    {"law": strategies.laws(4), "rounds": strategies.counts(6)},
                    priced,
                ),
            ),
            by_hand=(
                "majorisation, as in mio_learns_win_rates: no law of draws costs more than one without ties",
                "with K rejected responses and the mix K/(K + 1), F becomes F^{K+1} (k_negatives_calibrated)",
            ),
        ),
        Part(
            "c",
            """If p is one half plus A, with an interior equilibrium x of Ax = 0, then KL(x‖π_t) never falls:
            rounds run away from the equilibrium, as in rock-paper-scissors.""",
            checks=(
                *[
                    Identity(f"Ax = 0, row {i + 1} of 3", expect(EDGE[i], NASH), 0)
                    for i in range(3)
                ],
                Identity(
                    "E_x (2w_t − 1) = 0 for every policy",
                    expect(NASH, [2 * expect(row, PI) for row in EDGE]),
                    0,
                ),
                Minimum("y − 1 − ln y", y - 1 - sp.log(y), y, 1),
            ),
            by_hand=(
                "KL(x‖π_{t+1}) − KL(x‖π_t) = −E_x ln 2w_t ≥ 1 − E_x 2w_t = 0",
                "any antisymmetric A: E_x (2w_t − 1) = 2 xᵀAπ_t = −2 (Ax)ᵀπ_t = 0",
            ),
        ),
    ),
    proof="""(a) mio_learns_win_rates (b) at ν = π_ref = π_t. The winner of a match of two draws from π has the
    law 2wπ. (b) 2w_t π_t = F² − (F − p)². KL of best-of-n is at most ∫ n uⁿ⁻¹ ln(n uⁿ⁻¹) du. 1 − (1 − ε)^{2^t} ≥
    ½ iff 2^t ≥ ln 2/−ln(1 − ε). (c) Jensen.""",
    example=Example(
        "the mass of a best response after some rounds",
        top_mass,
        lambda eps, rounds: 1 - (1 - eps) ** 2**rounds,
        {"eps": 0.1, "rounds": 3},
    ),
    false_neighbours=(
        Identity(
            "if the reference stays π_0: 2w_1π_0 is the next policy",
            2 * expect(next_round(NU, WINS), WINS[0]) * NU[0],
            next_round(next_round(NU, WINS), WINS)[0],
        ),
        Identity(
            "with Bradley–Terry rounds are Plackett–Luce's best of 4, two equal responses",
            next_round(next_round((HALF, HALF), WINS), WINS)[0],
            sum(sp.binomial(4, k) * k * odds / (k * odds + 4 - k) for k in range(1, 5)) / 16,
        ),
        Sign("a round costs ln 2", best_of_kl(n).subs(n, 2), ">=", sp.log(2)),
    ),
    mutants=(AS_DPO, NEARLY),
    uses=("mio_learns_win_rates", "k_negatives_calibrated"),
    about=("preference_loss", "theory.best_of_kl", "theory.rounds_to_half"),
    reference="""This project. Best-of-n: Gui et al. 2024 (arXiv 2406.00832), Beirami et al. 2025 (arXiv 2401.01879),
    section 3.""",
)
