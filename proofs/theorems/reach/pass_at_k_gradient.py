"""Ascent on pass@k is ascent on pass@1 with a step size of its own for each prompt: k times as large at first."""

from math import exp

import mpmath
import sympy as sp

from mi_estimators import theory
from mi_estimators.theory import pass_at_k, pass_at_k_slope
from proofs.engine import (
    Example,
    Identity,
    Limit,
    Mutant,
    Part,
    Shipped,
    Sign,
    Tested,
    Theorem,
    integers,
    oracles,
    positives,
    scaled,
    strategies,
    word,
)

(k,) = integers("k")
a, b = positives("a b")
p = a / (a + b)
x = sp.Symbol("x", real=True)
log_miss = word("ln(1 − pass@k)", sp.log(1 - pass_at_k(p, k)), r"\ln(1 - \mathrm{pass@}k)")


def slope_of_pass(success, draws):
    """The slope of 1 − (1 − p)^k, by differences of 40 digits."""
    with mpmath.workdps(40):
        return float(mpmath.diff(lambda q: 1 - (1 - q) ** draws, mpmath.mpf(success)))


def integrated(eps, k):
    """∫ dp/(2 p² (1 − p)² k (1 − p)^{k−1}) from ε to ½, by adaptive quadrature in ln p."""
    from scipy.integrate import quad

    def integrand(y):
        q = exp(y)
        return 1 / (2 * k * q * (1 - q) ** (k + 1))

    return quad(integrand, oracles.ln(eps), oracles.ln(0.5), epsrel=1e-10, limit=200)[0]


NUMBERS = {1: 0.500013, 4: 0.125010, 16: 0.031859}


def scaled_time(draws):
    """ε·t at ε = 10⁻⁶ is the number shown."""
    return abs(1e-6 * integrated(1e-6, draws) - NUMBERS[draws]) < 5e-7


THEOREM = Theorem(
    slug="pass_at_k_gradient",
    tier="tested",
    title="pass@k's gradient is k(1 − p)^{k−1} times that of pass@1: k times faster from a rare answer, exponent 1",
    purpose="To judge training on pass@k: it speeds up rare answers by k, and does not change how time grows.",
    setting="""p in (0, 1) is the success of one response to a prompt, k responses are drawn independently, and pass@k
    is the probability that at least one is right. Two responses and free logits where times are given.""",
    formula=r"\nabla\,[1 - (1 - p)^k] = k (1 - p)^{k - 1} \nabla p, \qquad t\,\varepsilon \to \tfrac{1}{2k}",
    assumptions=(
        "the population gradient: no sampling noise, no clipping",
        "(c) two responses, logits as parameters, from p = ε to p = ½",
    ),
    parts=(
        Part(
            "a",
            """∇ pass@k = k(1 − p)^{k−1} ∇p: for one prompt a step size that changes with p, between prompts a
            reweighting towards the hard ones.""",
            checks=(
                Identity(
                    "the logarithm of 1 − pass@k is k ln(1 − p)", log_miss, k * sp.log(b / (a + b))
                ),
                *[
                    Identity(
                        f"the slope, k = {i}",
                        sp.diff(1 - (1 - x) ** i, x),
                        pass_at_k_slope(x, sp.Integer(i)),
                    )
                    for i in (1, 2, 3, 4)
                ],
                Sign(
                    "a prompt that is right more often counts less: the slope's ratio from k + 1 to k falls with p",
                    sp.diff((k + 1) / k * b / (a + b), a),
                    "<",
                ),
                Shipped(
                    "mi.theory.pass_at_k_slope is the slope of the definition",
                    {"success": strategies.rates(0.9), "draws": strategies.counts(16)},
                    lambda success, draws: theory.pass_at_k_slope(success, draws),
                    slope_of_pass,
                    tolerance=1e-6,
                ),
            ),
            by_hand=("the power rule for any k",),
        ),
        Part(
            "b",
            "The factor tends to k for a rare answer, and for k ≥ 2 to 0 where p tends to 1; for k = 1 it is 1.",
            checks=(
                Identity("k = 1: the factor", pass_at_k_slope(a / (1 + a), sp.Integer(1)), 1),
                Limit(
                    "k = 2, p → 0: the factor tends to k",
                    pass_at_k_slope(a / (1 + a), sp.Integer(2)),
                    a,
                    0,
                    2,
                    2 * a,
                ),
                Limit(
                    "k = 2, p → 1: the factor tends to 0",
                    pass_at_k_slope(a / (1 + a), sp.Integer(2)),
                    a,
                    sp.oo,
                    0,
                    2 / a,
                ),
            ),
            by_hand=("any k ≥ 2, by continuity of the factor",),
        ),
        Part(
            "c",
            """The escape time keeps the exponent 1: t ε tends to 1/(2k). At ε = 10⁻⁶ it is 0.500013, 0.125010 and
            0.031859 for k = 1, 4 and 16.""",
            checks=(
                Identity(
                    "the speed of the log-odds is 2p(1 − p) times the factor, k = 2",
                    2 * (sp.diff(2 * x - x**2, x) * x * (1 - x)),
                    2 * x * (1 - x) * pass_at_k_slope(x, sp.Integer(2)),
                ),
                Tested(
                    "ε t by quadrature at ε = 10⁻⁶",
                    {"draws": strategies.st.sampled_from(sorted(NUMBERS))},
                    scaled_time,
                    examples=6,
                ),
                Shipped(
                    "mi.theory.escape_time_pass_at_k is that integral",
                    {"eps": strategies.rates(0.25), "k": strategies.counts(16)},
                    lambda eps, k: theory.escape_time_pass_at_k(eps, k),
                    integrated,
                    tolerance=1e-6,
                ),
            ),
            by_hand=(
                "near p = ε the integrand is 1/(2kp²), and (1 − p)^{−k−1} is at most 2^{k+1}: the rest is bounded",
            ),
        ),
    ),
    proof="""The chain rule. Two responses: u̇ = 2p(1 − p) k(1 − p)^{k−1} for the log-odds u, so t = ∫ dp/(2k p² (1 −
    p)^{k+1}), whose leading term for small ε is 1/(2kε).""",
    example=Example(
        "the time from ε to ½, two responses",
        integrated,
        theory.escape_time_pass_at_k,
        {"eps": 1e-4, "k": 4},
    ),
    false_neighbours=(
        Sign(
            "the factor kills the signal where p → 0: below 1",
            pass_at_k_slope(p, sp.Integer(2)) - 1,
            "<",
        ),
        Identity("it is a constant step size", pass_at_k_slope(p, sp.Integer(2)), 2),
        Sign("it never slows down: at least 1", pass_at_k_slope(p, sp.Integer(4)) - 1, ">="),
    ),
    mutants=(
        scaled("theory.pass_at_k_slope", 1.01),
        Mutant(
            "theory.pass_at_k_slope", "k instead of k − 1", lambda f: lambda p, k: k * (1 - p) ** k
        ),
    ),
    uses=("starvation_on_policy", "escape_times"),
    about=("theory.pass_at_k_slope", "theory.pass_at_k", "theory.escape_time_pass_at_k"),
    reference="""Reinforcement learning on pass@k: arXiv 2511.16231, of which the abstract was available; the times:
    this project.""",
)
