"""How good the leading term Var/(2M Z²) of DV's minibatch bias is: the ratio is a mean of one explicit function."""

from math import exp, log1p

import sympy as sp

from mi_estimators.theory import dv_bias_factor
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    dv_excess,
    instead,
    oracles,
    positives,
    scaled,
    strategies,
)

x, s, y, d, g, h, r, p = positives("x s y d g h r p")
inside = s / (1 + s)  # any point of (0, 1)


def phi(x):
    """φ(x) = (x − 1 − ln x)/(x − 1)², φ(1) = ½."""
    return dv_bias_factor(x) / 2


kernel = (1 - inside) / (1 + inside * (x - 1)) ** 2  # φ is its mean over the point of (0, 1)
primitive = -x / ((x - 1) ** 2 * (1 + r * (x - 1))) - sp.log(1 + r * (x - 1)) / (x - 1) ** 2
slope = sp.diff(primitive, r).subs(r, inside)
grown = primitive.subs(r, 1) - primitive.subs(r, 0)

# Two values of e^T, 1 and 1 + d, the second of mass q = 1/(1 + g); p is q as a free variable.
q = 1 / (1 + g)
Z = 1 + q * d
ATOMS = (((1 - q), 1 / Z), (q, (1 + d) / Z))
v, mu3 = (sum(mass * (t - 1) ** n for mass, t in ATOMS) for n in (2, 3))


def bias(size, q=q):
    """B_M: ln Z − E ln(1 + d·hits/M)."""
    hits = range(size + 1)
    terms = [
        sp.binomial(size, k) * q**k * (1 - q) ** (size - k) * sp.log(1 + d * k / size) for k in hits
    ]
    return sp.log(1 + q * d) - sum(terms)


def tilted(q, t):
    """eᵀ/Z at each atom."""
    return [exp(value - oracles.log_mean_exp(q, t)) for value in t]


def proved(q, t, size):
    """E[(X − 1)² φ(X)] by plain sums."""
    tilt = tilted(q, t)

    def term(*atoms):
        mean = sum(tilt[i] for i in atoms) / size
        return (mean - 1) ** 2 * factor(mean) / 2

    return oracles.mean_over_batches(q, size, term)


def factor(value):
    """2φ in floats, by its series near 1."""
    w = value - 1
    return 1 - 2 * w / 3 + w**2 / 2 - 2 * w**3 / 5 if abs(w) < 1e-3 else dv_bias_factor(value)


def within(q, t, size):
    """Whether the shipped bias is between the bounds of (b)."""
    tilt = tilted(q, t)
    var, third = (oracles.mean(q, [(value - 1) ** n for value in tilt]) for n in (2, 3))
    skew = 1 + third / (size * var) if var else 1.0
    least, most = max(factor(max(tilt)), factor(skew)), factor(min(tilt))
    return (
        least * var / (2 * size) - 1e-9 <= dv_excess(q, t, size) <= most * var / (2 * size) + 1e-9
    )


even = (bias(1) - v / 2).subs(g, 1)
GIVEN = {"q": strategies.laws(3), "t": strategies.vectors(3, 3), "size": strategies.counts(3)}


def overstated(rate, height, size):
    """R for eᵀ = 1 + d with the mass q and 1 otherwise: the bias over v/(2M), all batches enumerated."""
    variance = rate * (1 - rate) * (height / (1 + rate * height)) ** 2
    return proved((rate, 1 - rate), (log1p(height), 0.0), size) * 2 * size / variance


THEOREM = Theorem(
    slug="dv_bias_ratio",
    title="DV's bias over its leading term is a mean of 2φ(Ẑ/Z): with rare heavy negatives the term is too large",
    purpose="To judge whether the usual correction of DV's bias is too large for your scores.",
    setting="""Let B_M ≥ 0 be the bias of plug-in DV on M i.i.d. negatives, Z = E_Q eᵀ, X = Ẑ/Z their mean of eᵀ/Z,
    v in (0, ∞) and μ₃ the second and third central moments of eᵀ/Z, and φ(x) = (x − 1 − ln x)/(x − 1)², φ(1) = ½.""",
    formula=r"""\frac{B_M}{v/(2M)} = \frac{\mathbb{E}\bigl[(X-1)^2\, 2\varphi(X)\bigr]}{\mathbb{E}(X-1)^2}, \qquad
    \varphi(x) = \frac{x - 1 - \ln x}{(x-1)^2}""",
    assumptions=(
        """negatives with the law Q of the population value; independent (for 2φ(m̄) ≤ R ≤ 2φ(m) uncorrelated eᵀ
        suffice)""",
        "v > 0: the critic is not constant on the negatives; third moments exist where μ₃ appears",
        "(b) 2φ(m) needs a critic bounded below, eᵀ ≥ m Z; 2φ(m̄) one bounded above; a fixed critic",
    ),
    parts=(
        Part(
            "a",
            """B_M = E[(X − 1)² φ(X)], so R = B_M/(v/(2M)) is the mean of 2φ(X) with weights proportional to (X −
            1)².""",
            checks=(
                Shipped(
                    "mi.dv over all batches has the bias (a)",
                    GIVEN,
                    dv_excess,
                    proved,
                ),
                Identity("(x − 1)² φ(x)", (x - 1) ** 2 * phi(x), x - 1 - sp.log(x)),
            ),
            by_hand=(
                """E(X − 1)² = v/M and E(X − 1)³ = μ₃/M² for i.i.d. negatives (dv_minibatch_bias); L'Hôpital's
                rule at q = 0""",
            ),
        ),
        Part(
            "b",
            """φ is positive, convex and decreasing; hence, if m ≤ eᵀ/Z ≤ m̄ almost surely, m > 0, 2φ(m̄) ≤ R ≤
            2φ(m), and R ≥ 2φ(1 + μ₃/(Mv)).""",
            checks=(
                *[
                    claim
                    for side, at in (("above", 1 + y), ("below", 1 / (1 + y)))
                    for claim in (
                        Identity(
                            f"the kernel's primitive, x {side} 1",
                            slope.subs(x, at),
                            kernel.subs(x, at),
                        ),
                        Identity(
                            f"the primitive grows by φ from 0 to 1, x {side} 1",
                            grown.subs(x, at),
                            phi(at),
                        ),
                    )
                ],
                Sign("the kernel is positive", kernel, ">"),
                Sign("the kernel decreases with x", sp.diff(kernel, x), "<"),
                Sign("the kernel is convex in x", sp.diff(kernel, x, 2), ">"),
                Holds("mi.dv is biased within (b)", GIVEN, within),
            ),
            by_hand=(
                """the mean over r of the kernel's signs; Jensen's inequality for a law with density (X − 1)²/E(X
                − 1)²""",
                """E(X − 1)² = v/M and E(X − 1)³ = μ₃/M² for i.i.d. negatives (dv_minibatch_bias); L'Hôpital's
                rule at q = 0""",
            ),
        ),
        Part(
            "c",
            """Let eᵀ be 1 + d, d > 0, with Q-mass q in (0, 1), and 1 otherwise, and y = d/M. Then R > 2φ(1 + y) =
            2(y − ln(1 + y))/y² for every M, and R tends to it as q → 0: for a rare heavy atom the leading term is
            too large by a factor that tends to 1/(2φ(1 + y)) > y/2. At q = ½ and M = 1 it is too small, R > 1.""",
            checks=(
                Identity("μ₃/v", mu3 / v, d * (1 - 2 * q) / Z),
                Sign("μ₃/v is below d", d * (1 - 2 * q) / Z - d, "<"),
                *[
                    Identity(
                        f"M = {n}: the slope of B_M at q = 0 over that of v/(2M)",
                        sp.diff(bias(n, p), p).subs(p, 0) / (d**2 / (2 * n)),
                        2 * phi(1 + d / n),
                    )
                    for n in (1, 2, 4)
                ],
                Identity("v = q(1 − q) d²/Z²", v, q * (1 - q) * d**2 / Z**2),
                Sign("2φ(1 + y) < 2/y", 2 * phi(1 + y) - 2 / y, "<"),
                Identity("q = ½, M = 1: B − v/2 is 0 at d = 0", even.subs(d, 0), 0),
                Sign("q = ½, M = 1: B − v/2 increases with d", sp.diff(even, d), ">"),
            ),
            by_hand=("L'Hôpital's rule at q = 0, for any M (checked: 1, 2, 4)",),
        ),
    ),
    proof="""(a) E X = 1, so B_M = E[X − 1 − ln X], and E(X − 1)² = v/M. (b) φ(x) = ∫₀¹ (1 − r)/(1 + r(x − 1))² dr
    (Taylor's remainder of −ln), a mean of positive, decreasing, convex functions of x. X is in [m, m̄], and so is a
    weighted mean of such; Jensen with the weights (X − 1)² gives R ≥ 2φ(1 + E(X − 1)³/E(X − 1)²), where E(X − 1)³ =
    μ₃/M². (c) μ₃/v = d(1 − 2q)/Z < d, so R > 2φ(1 + y). B_M is 0 at q = 0 with the slope d − M ln(1 + y) there, and
    v/(2M) is 0 with the slope d²/(2M). 2φ(1 + y) < 2/y, as ln(1 + y) > 0.""",
    example=Example(
        "DV's bias over its leading term with a rare heavy negative, beside 2φ(1 + d/M)",
        overstated,
        lambda rate, height, size: factor(1 + height / size),
        {"rate": 0.001, "height": 20.0, "size": 4},
        relation="≥",
    ),
    false_neighbours=(
        Sign("R ≤ 1: the leading term is an upper bound, M = 1", v / 2 - bias(1), ">="),
        Sign(
            "R ≥ ½: it is right within a factor 2, M = 1 and q = 1/10",
            (bias(1) - v / 4).subs(g, 9),
            ">=",
        ),
        Sign(
            "R > 2φ(1 + y) for d < 0 too, M = 1",
            (bias(1) - v * phi(1 + d)).subs(d, -1 / (1 + h)),
            ">",
        ),
        Identity(
            "2φ without weights: B_1 = v E φ(X)", bias(1), v * sum(m * phi(t) for m, t in ATOMS)
        ),
    ),
    mutants=(
        instead("dv", "nwj"),
        scaled("dv"),
    ),
    uses=("dv_minibatch_bias",),
    about=("dv", "theory.dv_bias_factor"),
    reference="This project; the bias: dv_minibatch_bias.",
)
