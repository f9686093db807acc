"""On-policy starvation: a correct answer of probability ε gets a gradient of order ε."""

import sympy as sp

import mi_estimators as mi
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sum,
    Tested,
    Theorem,
    expect,
    gradient,
    logs,
    normalised,
    numerics,
    oracles,
    positives,
    reals,
    strategies,
    tensor,
)

# One response y of a set of any size: π_y = e^θ/(e^θ + E). S is the mean of r − β ln(ρ/π_ref) over the relative law ρ
# of the others, which does not depend on θ_y.
theta, r, S = reals("theta r S")
E, d, beta = positives("E d beta")
p, q = 1 / (1 + E * sp.exp(-theta)), d / (1 + d)  # π_y, π_ref,y
advantage, others = (
    r - beta * sp.log(p / q),
    S - beta * sp.log(1 - p),
)  # A_y, and the mean of A over the others
J = p * advantage + (1 - p) * others

# Three responses in full.
THETA, R, REF = reals("theta1 theta2 theta3"), reals("r1 r2 r3"), normalised(positives("b1 b2 b3"))
PI = normalised([sp.exp(x) for x in THETA])
A3 = [a - beta * sp.log(x / b) for a, x, b in zip(R, PI, REF, strict=True)]
J3 = expect(PI, A3)


def shipped_gradient(theta, ref, r, beta):
    """The gradient in the logits of J = E_π[r − β ln(π/π_ref)], the mean being the library's."""

    def objective(logits):
        log_pi = logits.log_softmax(-1)
        return mi.mean(tensor(r) - beta * (log_pi - logs(ref)), log_pi)

    return gradient(objective, theta).tolist()


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


def size_of_gradient(policy):
    """‖∇J‖₁ in the logits, J the first response's probability: by differences."""

    def success(place, step):
        return oracles.tilted(policy, [step * (k == place) for k in range(len(policy))])[0]

    slopes = [numerics.slope(lambda step, k=k: success(k, step), 0.0) for k in range(len(policy))]
    return sum(map(abs, slopes))


THEOREM = Theorem(
    slug="starvation_on_policy",
    title="on-policy, the gradient of a rare response is of order π_y",
    purpose="To see why on-policy training hardly moves a rare correct answer.",
    setting="""Softmax policy π over a finite set of responses to one prompt, with free logits θ; π_ref with full
    support; J = E_π r − β KL(π‖π_ref), β ≥ 0; A_y = r_y − β ln(π_y/π_ref,y).""",
    formula=r"""\frac{\partial J}{\partial \theta_y} = \pi_y \bigl(A_y - \mathbb{E}_\pi A\bigr), \qquad
    \Bigl|\frac{\partial J}{\partial \theta_y}\Bigr| \le \pi_y (1 - \pi_y)\, \mathrm{osc}(A)""",
    assumptions=(
        "J is the exact mean over the current policy; what n samples see of it is group_relative_zero_gradient",
        "tabular softmax: the parameters are the logits, so the gradient stays on the simplex",
        "osc(A) is osc(r) at π = π_ref; for β > 0 it grows as β ln(π_ref,y/π_y) when π_y/π_ref,y → 0",
    ),
    parts=(
        Part(
            "a",
            "∂J/∂θ_y = π_y (A_y − E_π A), so |∂J/∂θ_y| ≤ π_y (1 − π_y) osc(A), osc = max − min.",
            checks=(
                Identity("∂J/∂θ_y, a set of any size", sp.diff(J, theta), p * (advantage - J)),
                Identity(
                    "A_y − E_π A = (1 − π_y)(A_y − B)",
                    advantage - J,
                    (1 - p) * (advantage - others),
                ),
                *[
                    Identity(
                        f"∂J/∂θ_{j + 1}, 3 responses", sp.diff(J3, THETA[j]), PI[j] * (A3[j] - J3)
                    )
                    for j in range(3)
                ],
                Shipped(
                    "the gradient of J through mi.mean",
                    GIVEN,
                    shipped_gradient,
                    lambda **v: formula(**v)[0],
                    tolerance=1e-8,
                ),
                Holds(
                    "the bound π_y (1 − π_y) osc(A)",
                    GIVEN,
                    lambda **v: bounded(**v, by="A"),
                ),
            ),
            by_hand=(
                "B is a mean of values of A, so |A_y − B| ≤ osc(A)",
                "β = 0 in (a): both sides are affine in β",
            ),
            kernel=r"""
                forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
                    (ref r t : X -> R) (beta : R) (y : X),
                  NoDup l -> In y l -> full l ref -> 0 <= beta ->
                  let p := soft l t in
                  let A := advantage l ref r beta t in
                  is_derive (fun s => J l ref r beta (along t (at_ dec y) s)) 0 (p y * (A y - E l p A))
                  /\ (forall lo hi, (forall x, In x l -> lo <= A x <= hi) -> Rabs (p y * (A y - E l p A)) <= p
                    y * (1 - p y) * (hi - lo))
                """,
        ),
        Part(
            "b",
            """For β = 0 and a reward in {0, 1}, with ε in (0, 1) the probability of a correct response, ‖∇J‖₁ =
            2ε(1 − ε).""",
            checks=(
                Identity(
                    "‖∇J‖₁ = 2ε(1 − ε), the first of 3 responses correct: ∂₁J > 0 > ∂₂J, ∂₃J",
                    sp.diff(PI[0], THETA[0]) - sp.diff(PI[0], THETA[1]) - sp.diff(PI[0], THETA[2]),
                    2 * PI[0] * (1 - PI[0]),
                ),
            ),
            by_hand=(
                Sum(
                    "(b) for any number of responses: the sums over the correct and over the wrong ones"
                ),
            ),
            kernel=r"""
                forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
                    (ref r t : X -> R),
                  NoDup l -> l <> [] -> full l ref -> (forall y, In y l -> r y = 0 \/ r y = 1) ->
                  let p := soft l t in
                  let eps := E l p r in
                  0 < eps < 1 ->
                  (forall y, In y l -> is_derive (fun s => J l ref r 0 (along t (at_ dec y) s)) 0 (p y * (r y
                    - eps)))
                  /\ sum l (fun y => Rabs (p y * (r y - eps))) = 2 * eps * (1 - eps)
                """,
        ),
    ),
    proof="""(a) Along θ_y the others keep their relative law, so J = π_y A_y + (1 − π_y) B with B the mean of A
    over the others, and dπ_y = π_y (1 − π_y) dθ_y; the terms from ln π cancel. A_y − E_π A = (1 − π_y)(A_y − B),
    and |A_y − B| ≤ osc(A). (b) ∂J/∂θ_y is π_y (1 − ε) > 0 for a correct response and −π_y ε < 0 for a wrong one; the
    absolute values sum to ε(1 − ε) on either side.""",
    example=Example(
        "‖∇J‖₁ in the logits where one answer in a hundred is right, beside 2ε(1 − ε)",
        size_of_gradient,
        lambda policy: 2 * policy[0] * (1 - policy[0]),
        {"policy": (0.01, 0.59, 0.4)},
    ),
    false_neighbours=(
        Identity("without the baseline: ∂J/∂θ_y = π_y A_y", sp.diff(J, theta), p * advantage),
        Identity("off the simplex: ∂J/∂θ_y = A_y − β", sp.diff(J, theta), advantage - beta),
        Identity(
            "‖∇J‖₁ = 2ε, as if the correct response alone moved",
            sp.diff(PI[0], THETA[0]) - sp.diff(PI[0], THETA[1]) - sp.diff(PI[0], THETA[2]),
            2 * PI[0],
        ),
        Tested(
            "osc(r) bounds it too, for β > 0 away from π_ref",
            GIVEN,
            lambda **v: bounded(**v, by="r"),
        ),
    ),
    mutants=(
        Mutant("mean", "weights held fixed", lambda f: lambda v, log_w: f(v, log_w.detach())),
    ),
    about=("mean",),
    reference="""Williams 1992, Machine Learning 8, theorem 1; Mei et al. 2020 (arXiv 2005.06392).""",
)
