"""Group-relative sampling: the estimated gradient is exactly 0 unless a group has a correct and a wrong answer."""

from itertools import product

import sympy as sp
import torch
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.theory import missed_mass, steps_to_first_signal, zero_gradient_probability
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
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

# Three classes of responses with probabilities W stand for any number of them: one response, and the rest of the
# correct and of the wrong ones. ε = e/(1 + e).
W = normalised(positives("w1 w2 w3"))
e, delta = positives("e delta")
eps = e / (1 + e)
n, k, m = integers("n k m")  # n draws; k of them correct and m wrong
sum_r, sum_x, sum_rx = reals("sum_r sum_x sum_rx")  # Σ r_i, Σ x_i and Σ r_i x_i over a group
share, deviation = k / (k + m), sp.sqrt(k * m) / (k + m)  # r̄ and s
entries = k * m / (k + m) ** 2  # of ĝ over the correct responses, summed
missed = missed_mass(eps, n)  # P(no correct one)
bernoulli = missed - 1 + n * eps


def estimate(answers, correct=(0,)):
    """ĝ = (1/n) Σ (r_i − r̄) ∇ ln π(y_i) in the logits, for one group of answers."""
    size, rewards = len(answers), [sp.Integer(y in correct) for y in answers]
    centred = [(x - sum(rewards) / size) / size for x in rewards]
    return [
        sp.expand(sum(c * (int(y == j) - W[j]) for c, y in zip(centred, answers, strict=True)))
        for j in range(3)
    ]


def mean_over_groups(size, value, correct=(0,)):
    """The mean of a function of ĝ over all groups of this size, enumerated with their probabilities."""
    groups = product(range(3), repeat=size)
    return sum(sp.prod(W[y] for y in group) * value(estimate(group, correct)) for group in groups)


def zero_probability(size):
    """P(ĝ = 0)."""
    return mean_over_groups(size, lambda vector: int(not any(vector)))


def slope(j, correct=(0,)):
    """∂J/∂θ_j = π_j (r_j − ε), by starvation_on_policy."""
    return W[j] * (int(j in correct) - sum(W[y] for y in correct))


def shipped_estimate(theta, answers):
    """ĝ of the first response's group, both means being the library's."""
    rewards = tensor([float(y == 0) for y in answers])
    centred = rewards - mi.mean(rewards)
    return gradient(lambda x: mi.mean(centred * x.log_softmax(-1)[list(answers)]), theta)


def shipped_mean(theta, size):
    """E ĝ, all groups enumerated, and ∇J, J = mi.mean of the reward under π."""
    law = oracles.tilted([1] * 3, theta)
    groups = [
        (shipped_estimate(theta, g), tensor([law[y] for y in g]).prod())
        for g in product(range(3), repeat=size)
    ]
    slopes = gradient(lambda x: mi.mean(tensor([1.0, 0.0, 0.0]), x.log_softmax(-1)), theta)
    return [*torch.stack([g * p for g, p in groups]).sum(0).tolist(), *slopes.tolist()]


def proved_mean(theta, size):
    """(1 − 1/n) ∇J and ∇J by plain sums."""
    law = oracles.tilted([1] * 3, theta)
    slopes = [p * (float(j == 0) - law[0]) for j, p in enumerate(law)]
    return [(1 - 1 / size) * s for s in slopes] + slopes


def starves(theta, answers):
    """Whether ĝ is exactly 0 just when none or all are correct."""
    return bool((shipped_estimate(theta, answers) == 0).all()) == (
        answers.count(0) in (0, len(answers))
    )


ALL_GROUPS = {"theta": strategies.vectors(3, 4), "size": st.integers(1, 3)}
GROUP = {
    "theta": strategies.vectors(3, 4),
    "answers": st.lists(st.integers(0, 2), min_size=1, max_size=5),
}


def without_contrast(eps, samples):
    """The probability of a group whose rewards are all equal, group by group."""
    return oracles.mean_over_batches(
        (eps, 1 - eps), samples, lambda *answers: float(len(set(answers)) == 1)
    )


THEOREM = Theorem(
    slug="group_relative_zero_gradient",
    title="a group-relative gradient is exactly 0 unless the group has a correct and a wrong answer",
    purpose="To choose the size of a group in GRPO: how often it teaches nothing.",
    setting="""Softmax policy π over a finite set of responses with free logits; reward r in {0, 1}, ε in (0, 1) the
    probability of a correct response, J = E_π r. Draw y₁ … y_n i.i.d. from π; r̄ is the mean of r_i = r(y_i), s
    their standard deviation, ĝ = (1/n) Σ (r_i − r̄) ∇ ln π(y_i).""",
    formula=r"""\Pr(\hat g = 0) = (1 - \varepsilon)^n + \varepsilon^n, \qquad \mathbb{E}\,\hat g = \bigl(1 -
    \tfrac{1}{n}\bigr) \nabla J""",
    assumptions=(
        "responses are drawn independently from the current policy; none is supplied",
        "tabular softmax, a reward in {0, 1}, no KL term in ĝ",
        "(c) no update while ĝ = 0: no momentum, no weight decay, no other prompt that moves π",
    ),
    parts=(
        Part(
            "a",
            """ĝ = 0 iff none or all of them are correct, with probability (1 − ε)ⁿ + εⁿ; then ĝ/(s + δ), δ > 0,
            is 0 too, and otherwise neither is.""",
            checks=(
                Identity("P(ĝ = 0), n = 1", zero_probability(1), 1),
                *[
                    Identity(
                        f"P(ĝ = 0), n = {i}",
                        zero_probability(i),
                        zero_gradient_probability(W[0], i),
                    )
                    for i in (2, 3)
                ],
                Identity(
                    "the entries of ĝ over the correct ones, summed",
                    k * (1 - share) / (k + m),
                    entries,
                ),
                Sign("k correct and m wrong: ĝ ≠ 0", entries, ">"),
                Sign("k correct and m wrong: ĝ/(s + δ) ≠ 0", entries / (deviation + delta), ">"),
                Identity("s² = r̄(1 − r̄)", deviation**2, share * (1 - share)),
                Identity("the same sum of ĝ/s is s", entries / deviation, deviation),
                Holds(
                    "mi.mean's ĝ is exactly 0 iff none or all are correct",
                    GROUP,
                    starves,
                ),
            ),
            by_hand=(
                """the double sums over pairs, Σ (a_i − a_j)(b_i − b_j) = 2n Σ a_i b_i − 2 Σ a_i Σ b_j; the
                binomial ends in (a)""",
            ),
            kernel=r"""
                forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
                    (policy : X -> R) (right : X -> bool) (n : nat),
                  NoDup l -> law l policy -> (1 <= n)%nat ->
                  let r := fun x => if right x then 1 else 0 in
                  let eps := E l policy r in
                  (forall s, In s (tuples n l) ->
                     ((forall y, In y l -> ghat dec policy r s y = 0)
                        <-> forallb (fun x => Bool.eqb (right x) false) s = true \/ forallb (fun x =>
                          Bool.eqb (right x) true) s = true)
                     /\ (forall delta, 0 < delta ->
                          ((forall y, In y l -> ghat dec policy r s y = 0)
                             <-> forall y, In y l -> ghat dec policy r s y / (sqrt (spread r s) + delta) = 0)))
                  /\ E (tuples n l) (iid policy) (fun s => if forallb (fun x => Bool.eqb (right x) false) s
                    then 1 else 0) = (1 - eps) ^ n
                  /\ E (tuples n l) (iid policy) (fun s => if forallb (fun x => Bool.eqb (right x) true) s
                    then 1 else 0) = eps ^ n
                  /\ (forall s, In s (tuples n l) -> ~ (forallb (fun x => Bool.eqb (right x) false) s = true
                                                      /\ forallb (fun x => Bool.eqb (right x) true) s = true))
                """,
        ),
        Part(
            "b",
            "E ĝ = (1 − 1/n) ∇J.",
            checks=(
                Identity(
                    "a mean over pairs, any n",
                    (sum_rx - sum_r * sum_x / n) / n,
                    (n * sum_rx - sum_r * sum_x) / n**2,
                ),
                *[
                    Identity(
                        f"E ĝ = (1 − 1/n) ∇J, n = {i}, component {j + 1} of 3, {len(correct)} correct",
                        mean_over_groups(i, lambda vector, j=j: vector[j], correct),
                        (1 - sp.Rational(1, i)) * slope(j, correct),
                    )
                    for i, j, correct in (
                        *product((2, 3), range(3), [(0,)]),
                        (2, 0, (0, 1)),
                        (2, 2, (0, 1)),
                    )
                ],
                Shipped(
                    "all groups of n through mi.mean: E ĝ, and ∇J",
                    ALL_GROUPS,
                    shipped_mean,
                    proved_mean,
                    examples=6,
                ),
            ),
            by_hand=(
                """the double sums over pairs, Σ (a_i − a_j)(b_i − b_j) = 2n Σ a_i b_i − 2 Σ a_i Σ b_j; the
                binomial ends in (a)""",
            ),
            kernel=r"""
                forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (l : list X)
                    (policy r : X -> R) (n : nat) (y : X),
                  NoDup l -> law l policy -> (1 <= n)%nat -> In y l ->
                  E (tuples n l) (iid policy) (fun s => ghat dec policy r s y) = (1 - 1 / INR n) * gradient l
                    policy r y
                """,
        ),
        Part(
            "c",
            """While π stays as it is, the expected number of steps to the first correct response is 1/(1 − (1 −
            ε)ⁿ) ≥ 1/(nε), and to the first ĝ ≠ 0 it is 1/(1 − (1 − ε)ⁿ − εⁿ), n ≥ 2. For n = 1, ĝ is always 0.""",
            checks=(
                Identity(
                    "(1 − gʲ)/(1 − g), step, g = 1 − ε",
                    (1 - missed.subs(n, n + 1)) / eps,
                    (1 - missed) / eps + missed,
                ),
                Identity("the mean wait", steps_to_first_signal(eps, n), 1 / (1 - missed)),
                Identity(
                    "(1 − ε)ⁿ − 1 + nε, step",
                    bernoulli.subs(n, n + 1),
                    (1 - eps) * bernoulli + n * eps**2,
                ),
                Sign("the step's remainder nε² is positive", n * eps**2, ">"),
            ),
            by_hand=("both inductions over n from their steps, and Σ_{j<N} gʲ → 1/(1 − g)",),
            kernel=r"""
                (forall (eps : R) (n : nat), 0 < eps < 1 -> (1 <= n)%nat ->
                     is_series (fun j => ((1 - eps) ^ n) ^ j) (1 / (1 - (1 - eps) ^ n))
                     /\ 1 / (INR n * eps) <= 1 / (1 - (1 - eps) ^ n))
                  /\ (forall (eps : R) (n : nat), 0 < eps < 1 -> (2 <= n)%nat ->
                     is_series (fun j => ((1 - eps) ^ n + eps ^ n) ^ j) (1 / (1 - (1 - eps) ^ n - eps ^ n)))
                  /\ (forall (X : Type) (dec : forall a b : X, {a = b} + {a <> b}) (policy r : X -> R) (a y : X),
                     ghat dec policy r [a] y = 0)
                """,
        ),
    ),
    proof="""As Σ (r_i − r̄) = 0, n ĝ = Σ (r_i − r̄) e_{y_i}, e_y the unit vector of y. (a) With k of n correct, the
    entries of ĝ over the correct responses sum to k(n − k)/n², which is 0 iff k is 0 or n, and then every r_i − r̄ is
    0; with δ = 0 the same sum of ĝ/s is s. (b) ĝ is the mean over the n² ordered pairs of draws of half (r_i − r_j)
    (e_{y_i} − e_{y_j}); n of the pairs are a draw with itself, and give 0, the others have mean ∇J. (c) The number of
    steps is geometric: its mean is Σ_j gʲ, g the probability of a step without success. (1 − ε)ⁿ ≥ 1 − nε by
    induction over n.""",
    example=Example(
        "the probability that a group of four answers gives no gradient, one answer in ten being right",
        without_contrast,
        zero_gradient_probability,
        {"eps": 0.1, "samples": 4},
    ),
    false_neighbours=(
        Identity("P(ĝ = 0) = (1 − ε)ⁿ, n = 2", zero_probability(2), (1 - W[0]) ** 2),
        Identity("ĝ is unbiased, n = 2", mean_over_groups(2, lambda vector: vector[0]), slope(0)),
        Identity(
            "ĝ/s has the mean (1 − 1/n) ∇J, n = 2 (s = ½ if ĝ ≠ 0)",
            mean_over_groups(2, lambda v: 2 * v[0]),
            slope(0) / 2,
        ),
        Sign("the expected wait is at most 1/(nε), n ≥ 2", bernoulli.subs(n, n + 1), "<="),
    ),
    mutants=(
        scaled("mean"),
        Mutant("mean", "the sum", lambda f: lambda v, w=None: v.sum() if w is None else f(v, w)),
    ),
    uses=("starvation_on_policy",),
    about=("mean", "theory.steps_to_first_signal", "theory.zero_gradient_probability"),
    reference="""Williams 1992, Machine Learning 8, 229–256; GRPO: Shao et al. 2024 (arXiv 2402.03300), section
    4.1.2.""",
)
