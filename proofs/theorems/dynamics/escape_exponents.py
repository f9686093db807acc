"""How the escape time grows with 1/ε: DPO's exponent is 2β with a third response, α-MIO's is β/(1 + β) with two."""

import numpy as np
import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import dpo_time, escape_constant, escape_time_dpo, mio_drift
from proofs.engine import (
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Tested,
    Theorem,
    Values,
    gradient,
    logs,
    oracles,
    positives,
    reals,
    scaled,
    strategies,
)

# π_ref = (ε, q, s); on DPO's path the weights are (εx, q/x, s).
eps, q, s, x, y, beta, k, e = positives("epsilon q s x y beta k e")
(w,) = reals("w")
HALFWAY: Values = {q: eps * x**2 - s * x}  # the q for which π_w is one half at x
root = (s + sp.sqrt(s**2 + 4 * eps * q)) / (2 * eps)

# α-MIO with 1 − α = ε^β on two responses: p = k/(1 + k), ε = e/(1 + e).
P, E = k / (1 + k), e / (1 + e)
rho, odds = E**beta, ((1 - P) / (1 - E)) ** beta
pull = beta * rho * (1 - P**beta) / (rho + P**beta)
push = beta * (1 - rho) * odds / (1 + odds)
b = beta / (1 + beta)

CONSTANTS = {"2": "0.479871", "1": "1.110721", "0.5": "3.046992"}

TIMES = {1e-2: 13.848085, 1e-4: 118.430671}


def velocity(z_chosen, z_rejected, pi, alpha, beta):
    """d ln π/dt of the JS family's flow in free logits, one pair of three or more responses."""
    up = beta * (1 - (2 - alpha) / (1 + np.exp(-beta * z_chosen)))
    down = beta * alpha / (1 + np.exp(-beta * z_rejected))
    step = -(up - down) * pi
    step[0] += up
    step[1] -= down
    return step - pi @ step


def time_with_third(eps, beta, rejected, loss):
    """The time from π_w = ε to ½ with a third response: the flow of three logits, integrated."""
    from scipy.integrate import solve_ivp

    reference = np.log([eps, rejected, 1 - eps - rejected])

    def flow(time, log_pi):
        z, pi = log_pi - reference, np.exp(log_pi)
        if loss == "mio":
            return velocity(z[0], z[1], pi, 1 - eps**beta, beta)
        pull = beta / (1 + np.exp(beta * (z[0] - z[1])))
        step = pull * np.array([1 - pi[0] + pi[1], -1 - pi[0] + pi[1], -pi[0] + pi[1]])
        return step

    def half(time, log_pi):
        return log_pi[0] - np.log(0.5)

    half.terminal = True
    solution = solve_ivp(flow, (0, 1e12), reference, "LSODA", events=half, rtol=1e-9, atol=1e-12)
    return float(solution.t_events[0][0])


def integral(beta):
    """∫₀^∞ s^{β−1}/(2β(1 + s^{1+β}/2)) ds, in ln s."""
    from scipy.integrate import quad

    def integrand(v):
        return np.exp(beta * v) / (2 * beta * (1 + np.exp((1 + beta) * v) / 2))

    return quad(integrand, -80 / beta, 80, points=[0.0], epsrel=1e-10, limit=400)[0]


def two_arm_time(eps, beta):
    """The two-arm time of α-MIO with the freeing mix, in exact arithmetic of its speed."""
    from scipy.integrate import quad

    def slowness(u):
        return 1 / mio_drift(float(u), eps, beta, 1 - eps**beta)

    return quad(slowness, oracles.ln(eps / (1 - eps)), 0, epsrel=1e-10, limit=400)[0]


def dpo_slopes(theta, beta):
    """The library's push on three logits, from π_ref ∝ (1, 2, 3)."""
    reference = logs([1 / 6, 2 / 6, 3 / 6])

    def loss(logits):
        z = beta * (logits.log_softmax(-1) - reference)
        return mi.preference_loss(z[0], z[1], "dv")

    return (-gradient(loss, theta)).tolist()


def plain_slopes(theta, beta):
    """βσ(−m) on the chosen logit, its negative on the rejected one, 0 on the third."""
    margin = beta * (theta[0] - theta[1] + oracles.ln(2))
    push = beta / (1 + float(np.exp(margin)))
    return [push, -push, 0.0]


def numbers():
    """Both sides of the constants shown."""
    half = sp.Rational(1, 2 * 10**6)
    for at, digits in CONSTANTS.items():
        value = escape_constant(sp.Rational(at))
        yield Sign(
            f"C({at}) > {digits} less half a unit",
            value,
            ">",
            sp.Rational(digits) - half,
            at={beta: sp.Rational(at)},
        )

        yield Sign(
            f"C({at}) < {digits} plus half a unit",
            value,
            "<",
            sp.Rational(digits) + half,
            at={beta: sp.Rational(at)},
        )


THEOREM = Theorem(
    slug="escape_exponents",
    tier="tested",
    title="escape from ε: DPO's exponent is 2β once a third response has mass, α-MIO's is β/(1 + β) with two",
    purpose="To compare DPO and α-MIO on rare answers: DPO's known exponent β holds for exactly two responses.",
    setting="""Free logits, gradient flow from π_ref to π_w = ½, one pair; ε = π_ref(w), q = π_ref(l), s = 1 − ε
    − q the mass of all others, β > 0; α-MIO has the freeing mix 1 − α = ε^β.""",
    formula=r"""t_{\mathrm{DPO}} = \frac{2 \beta \ln x + x^{2\beta} - 1}{2 \beta^2}, \quad x = \frac{s +
    \sqrt{s^2 + 4 \varepsilon q}}{2 \varepsilon}; \qquad t_{\alpha\text{-MIO}}\, \varepsilon^{\frac{\beta}{1 +
    \beta}} \to C(\beta)""",
    assumptions=(
        "logits as parameters, exact gradients, continuous time, one pair",
        "(b) exactly two responses; (c) s fixed as ε → 0: tested, not proved",
    ),
    parts=(
        Part(
            "a",
            """DPO's logits move oppositely, by ln x: the weights of w, l and the others are εx, q/x and s, so the
            margin is 2 ln x and π_w is one half at x = (s + √(s² + 4εq))/(2ε). With s > 0 that is s/ε and a little
            more, which gives the exponent 2β; with s = 0 it is √(q/ε), which gives β. At ε = 0.01, q = ½ and β = 1 the
            time is 1253.412.""",
            checks=(
                Identity("half way: εx = q/x + s", eps * x, q / x + s, at=HALFWAY),
                Identity(
                    "x is the positive root of the quadratic",
                    (2 * eps * x - s) ** 2,
                    s**2 + 4 * eps * q,
                    at=HALFWAY,
                ),
                Identity("x exceeds s/ε by q/(εx)", x - s / eps, q / (eps * x), at=HALFWAY),
                Sign(
                    "the excess of x over s/ε is below q/s",
                    q / s - q / (eps * x),
                    ">",
                    at={q: eps * x * y, x: s / eps + y},
                ),
                Identity(
                    "the time is dpo_time at the margin 2 ln x",
                    dpo_time(2 * sp.log(x), beta),
                    (2 * beta * sp.log(x) + x ** (2 * beta) - 1) / (2 * beta**2),
                ),
                *[
                    Sign(
                        f"ε = 0.01, q = ½, β = 1: the time is {relation} {end}",
                        escape_time_dpo(sp.Rational(1, 100), 1, sp.Rational(1, 2)),
                        relation,
                        sp.Rational(end),
                        at={eps: sp.Rational("0.01"), q: sp.Rational(1, 2), beta: 1},
                    )
                    for relation, end in ((">", "1253.4115"), ("<", "1253.4125"))
                ],
                Shipped(
                    "mi.preference_loss(dv) leaves the third logit alone",
                    {"theta": strategies.vectors(3, 3), "beta": strategies.temperatures()},
                    dpo_slopes,
                    plain_slopes,
                ),
                Shipped(
                    "mi.theory.escape_time_dpo with a third response, by integration",
                    {
                        "eps": strategies.counts(12).map(lambda i: i / 64),
                        "beta": strategies.rates(1.5).map(lambda r: 0.25 + r),
                    },
                    lambda eps, beta: theory.escape_time_dpo(eps, beta, 0.5),
                    lambda eps, beta: time_with_third(eps, beta, 0.5, "dpo"),
                    tolerance=1e-5,
                    examples=5,
                ),
            ),
            by_hand=("logarithms of the sandwich, as ε → 0",),
        ),
        Part(
            "b",
            (
                """α-MIO with two responses: t ε^{β/(1+β)} tends to C(β) = 2^b π/(2β(1 + β) sin πb), b = β/(1 + β).
                With ρ = """
                "ε^β the speed of the log-odds is 2(A(1 − p) + Bp), where A = ",
                pull,
                ", p = k/(1 + k) and ε = e/(1 + e). C(2) = 0.479871, C(1) = 1.110721, C(0.5) = 3.046992.",
            ),
            checks=(
                Identity(
                    "the speed",
                    mio_drift(sp.log(k), E, beta, 1 - rho),
                    2 * (pull * (1 - P) + push * P),
                ),
                Identity(
                    "x = s^{1+β}/2 turns the integral into one of x^{b−1}/(1 + x), in logarithms",
                    sp.exp((w + sp.log(2)) * b) / (1 + beta) / (2 * beta * (1 + sp.exp(w))),
                    2**b * sp.exp(w * b) / (2 * beta * (1 + beta) * (1 + sp.exp(w))),
                ),
                Identity("C(1) = √2 π/4", escape_constant(sp.Integer(1)), sp.sqrt(2) * sp.pi / 4),
                *numbers(),
                Shipped(
                    "mi.theory.escape_constant is the limit's integral",
                    {"beta": strategies.temperatures()},
                    lambda beta: theory.escape_constant(beta),
                    integral,
                    tolerance=1e-7,
                ),
            ),
            by_hand=(
                "p = ρ^{1/(1+β)} s: the integrand tends to s^{β−1}/(2β(1 + s^{1+β}/2)), and is dominated",
                "∫ x^{b−1}/(1 + x) dx over (0, ∞) is π/sin πb (Beta and its reflection)",
            ),
        ),
        Part(
            "c",
            """With a third response α-MIO's exponent is β: at β = 1 and q = ½, t ε is 0.974829 at ε = 10⁻⁵. With
            two, the times at β = 1 are 13.848085 and 118.430671 for ε = 10⁻² and 10⁻⁴.""",
            checks=(
                Tested(
                    "a third response: t ε at 10⁻⁵",
                    {"third": strategies.st.just(0.5)},
                    lambda third: (
                        abs(1e-5 * time_with_third(1e-5, 1.0, third, "mio") - 0.974829) < 2e-6
                    ),
                    examples=1,
                ),
                Tested(
                    "two responses: the times",
                    {"eps": strategies.st.sampled_from(sorted(TIMES))},
                    lambda eps: abs(two_arm_time(eps, 1.0) - TIMES[eps]) < 1e-5,
                    examples=4,
                ),
                Tested(
                    "the local exponent between 10⁻⁴ and 10⁻⁵ is β at β = 1 and ½, off by less than 0.02",
                    {"beta": strategies.st.sampled_from((1.0, 0.5))},
                    lambda beta: (
                        abs(
                            np.log10(
                                time_with_third(1e-5, beta, 0.5, "mio")
                                / time_with_third(1e-4, beta, 0.5, "mio")
                            )
                            - beta
                        )
                        < 0.02
                    ),
                    examples=4,
                ),
            ),
            by_hand=("that the limit exists is not proved",),
        ),
    ),
    proof="""(a) The push is βσ(−βm) on w and its negative on l, and nothing on the others: so the two logits
    move oppositely, m = 2 ln x, ṁ = 2βσ(−βm). (b) The chosen pull is A = β(1 − (1 + ρ)σ(βz_w)), with σ(βz_w) =
    p^β/(ρ + p^β), and t = ∫ du/u̇.""",
    example=Example(
        "DPO's time from ε to ½ with a third response",
        lambda eps, beta, rejected: time_with_third(eps, beta, rejected, "dpo"),
        escape_time_dpo,
        {"eps": 0.01, "beta": 1.0, "rejected": 0.5},
        tolerance=1e-5,
    ),
    false_neighbours=(
        Identity("with a third response x is √(q/ε), as with two", sp.expand(eps * root**2), q),
        Sign("C is below 1 for every β", escape_constant(sp.Integer(1)), "<", 1),
        Identity(
            "half of the margin's clock: m = ln x",
            dpo_time(sp.log(x), beta),
            (2 * beta * sp.log(x) + x ** (2 * beta) - 1) / (2 * beta**2),
        ),
    ),
    mutants=(
        scaled("theory.escape_constant", 1.01),
        Mutant(
            "theory.escape_time_dpo",
            "two responses",
            lambda f: lambda eps, beta, rejected=None: f(eps, beta),
        ),
    ),
    uses=("escape_times", "late_decline", "alpha_frees_the_anchor"),
    about=("preference_loss", "theory.escape_constant", "theory.escape_time_dpo"),
    reference="This project.",
)
