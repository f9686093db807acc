"""On-policy starvation: a correct answer of probability ε gets a gradient of order ε, and a sampled one is mostly 0."""

from itertools import product

import sympy as sp
import torch

import mi_estimators as mi
from proofs import oracles, strategies
from proofs.shipped import Shipped, logs, tensor
from proofs.symbolic import Identity, Sign
from proofs.tested import Tested
from proofs.theorem import Theorem
from proofs.vocabulary import expect, normalised, positives, reals

# One response y of a set of any size: π_y = e^θ/(e^θ + E). S is the mean of r − β ln(ρ/π_ref) over the relative law ρ
# of the others, which does not depend on θ_y.
theta, r, S = reals("theta r S")
E, d, e, beta = positives("E d e beta")
p, q, eps = 1 / (1 + E * sp.exp(-theta)), d / (1 + d), e / (1 + e)  # π_y, π_ref,y, ε
advantage, others = r - beta * sp.log(p / q), S - beta * sp.log(1 - p)  # A_y, and the mean of A over the others
J = p * advantage + (1 - p) * others

# Three responses in full; when sampled, the first one is correct and the law is W.
THETA, R, REF = reals("theta1 theta2 theta3"), reals("r1 r2 r3"), normalised(positives("b1 b2 b3"))
PI, W = normalised([sp.exp(x) for x in THETA]), normalised(positives("w1 w2 w3"))
A3 = [a - beta * sp.log(x / b) for a, x, b in zip(R, PI, REF, strict=True)]
J3 = expect(PI, A3)
n, k, m = sp.symbols("n k m", positive=True, integer=True)


def estimate(answers):
    """ĝ = (1/n) Σ (r_i − r̄) ∇ ln π(y_i) in the logits, for one group of answers."""
    size, rewards = len(answers), [sp.Integer(y == 0) for y in answers]
    centred = [(x - sum(rewards) / size) / size for x in rewards]
    return [sp.expand(sum(c * (int(y == j) - W[j]) for c, y in zip(centred, answers, strict=True))) for j in range(3)]


def mean_over_groups(size, value):
    """The mean of a function of ĝ over all groups of this size, enumerated with their probabilities."""
    return sum(sp.prod(W[y] for y in group) * value(estimate(group)) for group in product(range(3), repeat=size))


def zero_probability(size):
    """P(ĝ = 0)."""
    return mean_over_groups(size, lambda vector: int(not any(vector)))


def shipped_gradient(theta, ref, r, beta):
    """The gradient in the logits of J = E_π[r − β ln(π/π_ref)], the mean being the library's."""
    logits = tensor(theta).requires_grad_()
    log_pi = logits.log_softmax(-1)
    value = mi.mean(tensor(r) - beta * (log_pi - logs(ref)), log_pi)
    return torch.autograd.grad(value, logits)[0].tolist()


def formula(theta, ref, r, beta):
    """π_y (A_y − E_π A) by plain sums, A_y and π_y."""
    pi = oracles.tilted([1] * len(theta), theta)
    a = [x - beta * oracles.ln(y / z) for x, y, z in zip(r, pi, ref, strict=True)]
    return [y * (x - oracles.mean(pi, a)) for x, y in zip(a, pi, strict=True)], a, pi


def bounded(theta, ref, r, beta, by):
    """Whether the shipped |∂J/∂θ_y| ≤ π_y (1 − π_y) osc for every y, where osc is the range of A or of the reward."""
    _, a, pi = formula(theta, ref, r, beta)
    osc = max(a) - min(a) if by == "A" else max(r) - min(r)
    slopes = shipped_gradient(theta, ref, r, beta)
    return all(abs(s) <= x * (1 - x) * osc + 1e-12 for s, x in zip(slopes, pi, strict=True))


GIVEN = {"ref": strategies.laws(3), "r": strategies.vectors(3), "beta": strategies.temperatures()}
GIVEN["theta"] = strategies.vectors(3)
THEOREM = Theorem(
    slug="starvation_on_policy",
    title="on-policy, the gradient of a rare response is of order π_y, and a sampled one is mostly 0",
    statement="""Softmax policy π over a finite set of responses to one prompt, with free logits θ; π_ref with full
    support; J = E_π r − β KL(π‖π_ref), β ≥ 0; A_y = r_y − β ln(π_y/π_ref,y). (a) ∂J/∂θ_y = π_y (A_y − E_π A), so
    |∂J/∂θ_y| ≤ π_y (1 − π_y) osc(A), osc = max − min. (b) For β = 0 and a reward in {0, 1}, with ε in (0, 1) the
    probability of a correct response, ‖∇J‖₁ = 2ε(1 − ε). Let n responses be drawn i.i.d. from π, r̄ their mean
    reward and ĝ = (1/n) Σ (r_i − r̄) ∇ ln π(y_i). No correct one is among them with probability (1 − ε)ⁿ. ĝ is
    exactly 0 iff none or all are correct, with probability (1 − ε)ⁿ + εⁿ; E ĝ = (1 − 1/n) ∇J. While π stays as it
    is, the expected number of steps to the first correct response is 1/(1 − (1 − ε)ⁿ) ≥ 1/(nε), and to the first ĝ
    ≠ 0 it is 1/(1 − (1 − ε)ⁿ − εⁿ) for n ≥ 2. For n = 1, ĝ is always 0.""",
    formula=(
        r"\frac{\partial J}{\partial \theta_y} = \pi_y \bigl(A_y - \mathbb{E}_\pi A\bigr), \qquad "
        r"\Bigl|\frac{\partial J}{\partial \theta_y}\Bigr| \le \pi_y (1 - \pi_y)\, \mathrm{osc}(A)"
    ),
    assumptions=(
        "responses are sampled from the current policy; none is supplied",
        "tabular softmax: the parameters are the logits, so the gradient stays on the simplex",
        "(b) binary reward, no KL term in ĝ, independent groups, no update while ĝ = 0 (no momentum, no decay)",
        "osc(A) is osc(r) at π = π_ref; for β > 0 it grows as β ln(π_ref,y/π_y) when π_y/π_ref,y → 0",
    ),
    proof="""(a) Along θ_y the others keep their relative law, so J = π_y A_y + (1 − π_y) B with B the mean of A
    over the others, and dπ_y = π_y (1 − π_y) dθ_y; the terms from ln π cancel. A_y − E_π A = (1 − π_y)(A_y − B),
    and |A_y − B| ≤ osc(A). (b) ∂J/∂θ_y is π_y (1 − ε) for a correct response and −π_y ε for a wrong one. As Σ (r_i
    − r̄) = 0, n ĝ = Σ (r_i − r̄) e_{y_i}; with k of n correct, the sum of its entries over the correct responses is
    k (n − k)/n, which is 0 iff k is 0 or n, and then every r_i − r̄ is 0. The number of steps is geometric: its
    mean is Σ_j gʲ, g the probability of a step without success. (1 − ε)ⁿ ≥ 1 − nε by induction over n.""",
    by_hand=(
        "B is a mean of values of A, so |A_y − B| ≤ osc(A)",
        "β = 0 in (a): both sides are affine in β",
        "(b) is enumerated for one correct response of three and n ≤ 3; any set and n: independence, and the proof",
        "E ĝ for any n: r̄ contains r_i with weight 1/n, and E ∇ ln π = 0",
        "both inductions over n from their steps, and Σ_{j<n} gʲ → 1/(1 − g)",
    ),
    checks=(
        Identity("∂J/∂θ_y, a set of any size", sp.diff(J, theta), p * (advantage - J)),
        Identity("A_y − E_π A = (1 − π_y)(A_y − B)", advantage - J, (1 - p) * (advantage - others)),
        *[Identity(f"∂J/∂θ_{j + 1}, 3 responses", sp.diff(J3, THETA[j]), PI[j] * (A3[j] - J3)) for j in range(3)],
        Identity(
            "‖∇J‖₁ = 2ε(1 − ε), the first of 3 responses correct: ∂₁J > 0 > ∂₂J, ∂₃J",
            sp.diff(PI[0], THETA[0]) - sp.diff(PI[0], THETA[1]) - sp.diff(PI[0], THETA[2]),
            2 * PI[0] * (1 - PI[0]),
        ),
        Identity("P(ĝ = 0), n = 1", zero_probability(1), 1),
        *[Identity(f"P(ĝ = 0), n = {i}", zero_probability(i), (1 - W[0]) ** i + W[0] ** i) for i in (2, 3)],
        Sign("k correct and m wrong: ĝ ≠ 0", k * m / (k + m), ">"),
        *[
            Identity(
                f"E ĝ = (1 − 1/n) ∇J, n = {i}, component {j + 1}",
                mean_over_groups(i, lambda vector, j=j: vector[j]),
                (1 - sp.Rational(1, i)) * W[j] * (int(j == 0) - W[0]),
            )
            for i, j in product((2, 3), range(3))
        ],
        Identity(
            "(1 − gⁿ)/(1 − g), the geometric sum, step, at g = 1 − ε",
            (1 - (1 - eps) ** (n + 1)) / eps - (1 - (1 - eps) ** n) / eps,
            (1 - eps) ** n,
        ),
        Identity(
            "(1 − ε)ⁿ − 1 + nε, step",
            (1 - eps) ** (n + 1) - 1 + (n + 1) * eps,
            (1 - eps) * ((1 - eps) ** n - 1 + n * eps) + n * eps**2,
        ),
        Sign("its remainder nε² is positive", n * eps**2, ">"),
        Shipped(
            "the gradient of J through mi.mean", GIVEN, shipped_gradient, lambda **v: formula(**v)[0], tolerance=1e-8
        ),
        Tested(
            "the bound π_y (1 − π_y) osc(A)", GIVEN, lambda **v: bounded(**v, by="A"), examples=25, cross_check=True
        ),
    ),
    false_neighbours=(
        Identity("without the baseline: ∂J/∂θ_y = π_y A_y", sp.diff(J, theta), p * advantage),
        Identity("off the simplex: ∂J/∂θ_y = A_y − β", sp.diff(J, theta), advantage - beta),
        Identity("P(ĝ = 0) = (1 − ε)ⁿ, n = 2", zero_probability(2), (1 - W[0]) ** 2),
        Identity("ĝ is unbiased, n = 2", mean_over_groups(2, lambda vector: vector[0]), W[0] * (1 - W[0])),
        Tested("osc(r) bounds it too, for β > 0 away from π_ref", GIVEN, lambda **v: bounded(**v, by="r")),
    ),
    about=("mean",),
    reference="THEORY of this project, sections 4a and 4b; Williams 1992; Shao et al. 2024 (arXiv 2402.03300).",
)
