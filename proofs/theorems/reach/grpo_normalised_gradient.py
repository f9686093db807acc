"""GRPO's mean gradient, divided by a group's deviation: the plain one times a factor, √(n − 1) for a rare answer."""

from itertools import product
from math import exp

import sympy as sp
import torch

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory import grpo_factor
from proofs.engine import (
    Certified,
    Example,
    Identity,
    Part,
    Shipped,
    Tested,
    Theorem,
    gradient,
    integers,
    normalised,
    oracles,
    positives,
    reals,
    scaled,
    strategies,
    tensor,
)

W = normalised(positives("w1 w2 w3"))  # one right response, two wrong ones
a, e, L = positives("a e L")
(u,) = reals("u")
(n,) = integers("n")
eps = e / (1 + e)


def mean_normalised(size, j):
    """E[ĝ/s] in the logit j: all groups of this size, enumerated, s the deviation with 1/n."""
    total = sp.Integer(0)
    for group in product(range(3), repeat=size):
        hits = sum(y == 0 for y in group)
        if 0 < hits < size:
            share = sp.Rational(hits, size)
            deviation = sp.sqrt(share * (1 - share))
            entries = [(int(y == 0) - share) * (int(y == j) - W[j]) for y in group]
            total += sp.prod(W[y] for y in group) * sum(entries) / (size * deviation)

    return total


def slope(j):
    """The slope ∂ε/∂θ_j."""
    return W[j] * (int(j == 0) - W[0])


def shipped_mean(theta, size):
    """E[ĝ/s] from the library's means and gradients, all groups enumerated."""
    law, total = oracles.tilted([1] * 3, theta), torch.zeros(3, dtype=torch.float64)
    for group in product(range(3), repeat=size):
        centred = tensor([float(y == 0) for y in group])
        centred = centred - mi.mean(centred)
        deviation = mi.mean(centred**2).sqrt()
        if deviation > 0:

            def objective(x, weights=centred / deviation, answers=group):
                return mi.mean(weights * x.log_softmax(-1)[list(answers)])

            total += gradient(objective, theta) * tensor([law[y] for y in group]).prod()

    return total.tolist()


def proved_mean(theta, size):
    """The factor times ∇ε, by plain sums."""
    law = oracles.tilted([1] * 3, theta)
    factor = grpo_factor(law[0], size)
    return [factor * p * (float(j == 0) - law[0]) for j, p in enumerate(law)]


def integrated(eps, samples):
    """∫ du/(2p(1 − p)f) from ε to ½, f by an explicit sum over the binomial law."""
    from scipy.integrate import quad
    from scipy.stats import binom

    def integrand(y):
        p = 1 / (1 + exp(-y))
        mean = sum(
            binom.pmf(k, samples, p) * (k * (samples - k)) ** 0.5 / samples
            for k in range(samples + 1)
        )
        return 1 / (2 * mean)

    start = oracles.ln(eps / (1 - eps))
    return quad(integrand, start, 0, epsrel=1e-9, limit=200)[0]


NUMBERS = {2: 0.500013, 8: 0.188991, 64: 0.063011}
RARE = sp.Rational(1, 10**5)
time_for_ever = 2 * (sp.exp(L / 2) - sp.exp(-L / 2)) / 2  # 2 sinh(L/2)


def factors():
    """Both sides of the factors shown."""
    for size, digits in ((8, "2.64571"), (64, "7.93584")):
        half = sp.Rational(1, 2 * 10**5)
        for relation, end in ((">", sp.Rational(digits) - half), ("<", sp.Rational(digits) + half)):
            name = f"n = {size}: {relation} {float(end):.7g}"
            yield Certified(name, grpo_factor(a, size), relation, than=end, at={a: RARE, n: size})


THEOREM = Theorem(
    slug="grpo_normalised_gradient",
    tier="tested",
    title="GRPO divided by the group's deviation: about √(n − 1) times the plain gradient; the exponent stays 1",
    purpose="To judge GRPO's normalisation: it is a factor of at most n/√(n − 1), and does not cure starvation.",
    setting="""Binary reward, tabular softmax, ε in (0, 1) the probability of a right answer, n ≥ 2 draws of
    which k are right, s the deviation of the rewards with 1/n, and ĝ the group-relative gradient, taken as 0
    where s = 0. Let c_n = E √(k(n − k))/n.""",
    formula=r"""\mathbb{E}\Bigl[\frac{\hat g}{s}\Bigr] = \frac{c_n(\varepsilon)}{\varepsilon (1 - \varepsilon)}
    \nabla \varepsilon, \qquad \frac{c_n(\varepsilon)}{\varepsilon (1 - \varepsilon)} \to \sqrt{n - 1} \quad
    (\varepsilon \to 0)""",
    assumptions=(
        "the mean over groups; a single group is noisy, and often exactly 0 (group_relative_zero_gradient)",
        "s with 1/n; with 1/(n − 1), the usual default, the factor is √((n − 1)/n) times as large",
        "(c) two responses, logits as parameters, from p = ε to p = ½",
    ),
    parts=(
        Part(
            "a",
            """E[ĝ/s] is ∇ε times the factor c_n/(ε(1 − ε)): exactly 1 for n = 2, √2 for n = 3. So it points where the
            plain gradient points.""",
            checks=(
                *[
                    Identity(
                        f"n = {size}, logit {j + 1} of 3",
                        mean_normalised(size, j),
                        sp.sqrt(size - 1) * slope(j),
                    )
                    for size in (2, 3)
                    for j in range(3)
                ],
                Identity("the factor, n = 2", grpo_factor(eps, 2), 1),
                Identity("the factor, n = 3", grpo_factor(eps, 3), sp.sqrt(2)),
                Shipped(
                    "the library's gradients of all groups have this mean",
                    {"theta": strategies.vectors(3, 3), "size": strategies.st.integers(2, 4)},
                    shipped_mean,
                    proved_mean,
                ),
            ),
            by_hand=(
                "given k, right answers have the mean gradient ∇ε/ε and wrong ones −∇ε/(1 − ε): any n",
            ),
        ),
        Part(
            "b",
            """The factor tends to √(n − 1) for a rare answer: at ε = 10⁻⁵ it is 2.64571 for n = 8 and 7.93584 for n =
            64. Undivided, the mean of ĝ is (1 − 1/n) ∇ε: so division multiplies it by n/√(n − 1), by 2 for n = 2.""",
            checks=(
                Identity(
                    "what division multiplies by, n = 1 + a²",
                    a / (1 - 1 / (1 + a**2)),
                    (1 + a**2) / a,
                ),
                Identity(
                    "n = 2: the undivided mean is (1 − ½)∇ε, the divided one ∇ε",
                    grpo_factor(eps, 2) / (1 - sp.Rational(1, 2)),
                    2,
                ),
                Identity(
                    "n = 4: √3 less the factor, which vanishes with ε",
                    sp.sqrt(3) - grpo_factor(eps, 4),
                    (2 * sp.sqrt(3) - 3) * eps * (1 - eps),
                ),
                *factors(),
            ),
            by_hand=("the term k = 1 is √(n − 1)(1 − ε)^{n−2}, and the others are O(ε): any n",),
        ),
        Part(
            "c",
            """So the escape time is the plain gradient's over √(n − 1), with its exponent: ε t at 10⁻⁶ is 0.500013,
            0.188991 and 0.063011 for n = 2, 8 and 64. Only n → ∞ before ε → 0 changes it: the flow of 2 arcsin √ε,
            with the time 2 sinh(L/2), L = ln((1 − ε)/ε), and the exponent ½.""",
            formula=(
                Identity(
                    "the speed of the log-odds for n → ∞",
                    2 / (sp.exp(u / 2) + sp.exp(-u / 2)),
                    2 * sp.sqrt(sp.exp(u) / (1 + sp.exp(u)) ** 2),
                ),
            ),
            checks=(
                Identity(
                    "2 arcsin √ε has the slope 1/√(ε(1 − ε))",
                    sp.diff(2 * sp.asin(sp.sqrt(a)), a) ** 2 * a * (1 - a),
                    1,
                    at={a: eps},
                ),
                Identity(
                    "2 sinh(L/2) is the integral",
                    sp.diff(time_for_ever, L),
                    (sp.exp(L / 2) + sp.exp(-L / 2)) / 2,
                ),
                Tested(
                    "ε t by quadrature at ε = 10⁻⁶",
                    {"size": strategies.st.sampled_from(sorted(NUMBERS))},
                    lambda size: abs(1e-6 * integrated(1e-6, size) - NUMBERS[size]) < 5e-7,
                    examples=6,
                ),
                Shipped(
                    "mi.theory.escape_time_grpo is that integral",
                    {
                        "eps": strategies.rates(0.25),
                        "samples": strategies.st.integers(2, 6),
                    },
                    lambda eps, samples: theory.escape_time_grpo(eps, samples),
                    integrated,
                    tolerance=1e-6,
                ),
            ),
            by_hand=(
                "k/n → ε, so that c_n → √(ε(1 − ε)) as n → ∞, and c_n is below that (Jensen)",
            ),
        ),
    ),
    proof="""Given k, ĝ is s² times (mean over right − mean over wrong), by grpo_is_contrastive; the means of ∇
    ln π given right and wrong are ∇ε/ε and −∇ε/(1 − ε), whose difference is ∇ε/(ε(1 − ε)). So E[ĝ/s] = E s
    ∇ε/(ε(1 − ε)).""",
    example=Example(
        "the time from ε to ½ of the mean field, two responses",
        integrated,
        theory.escape_time_grpo,
        {"eps": 1e-3, "samples": 8},
    ),
    false_neighbours=(
        Identity("normalising changes nothing, n = 4", grpo_factor(eps, 4), 1),
        Identity(
            "the factor is 1/√(ε(1 − ε)) at every n, n = 2",
            grpo_factor(eps, 2) ** 2 * eps * (1 - eps),
            1,
        ),
        Identity(
            "division multiplies the mean by √(n − 1), n = 2",
            grpo_factor(eps, 2) / (1 - sp.Rational(1, 2)),
            1,
        ),
        Identity("it is √n, n = 3", grpo_factor(eps, 3), sp.sqrt(3)),
    ),
    mutants=(scaled("mean"), scaled("theory.escape_time_grpo", 1.01)),
    uses=(
        "grpo_is_contrastive",
        "group_relative_zero_gradient",
        "starvation_on_policy",
        "escape_times",
    ),
    about=("mean", "theory.grpo_factor", "theory.escape_time_grpo"),
    reference="""GRPO: Shao et al. 2024 (arXiv 2402.03300), eq. 3 and section 4.1.2; the factor and the times: this
    project.""",
)
