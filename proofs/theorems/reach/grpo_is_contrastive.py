"""A group-relative gradient is the mean over right answers less that over wrong ones, with a weight of its own."""

import sympy as sp
import torch
from hypothesis import strategies as st

import mi_estimators as mi
from proofs.engine import (
    HALF,
    Example,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Sum,
    Theorem,
    Values,
    dpo_loss,
    expression,
    gradient,
    integers,
    oracles,
    pair_gradient,
    positives,
    reals,
    scaled,
    sigmoid,
    strategies,
    tensor,
    word,
)

k, m = integers("k m")  # right and wrong answers of a group
root, other = positives("r q")
ROOTS: Values = {k: root**2, m: other**2}
n = k + m
share = k / n
deviation = sp.sqrt(k * m) / n  # of the rewards, with 1/n
right, wrong = (1 - share) / deviation / n, -share / deviation / n  # A_i/n, one answer each
u, v, x = reals("u v x")

s = word("s", deviation)
pull = -sp.diff(dpo_loss(u, v), u)


def group_gradient(theta, answers, normalised):
    """(1/n) Σ A_i ∇ ln π(y_i), the first response being right; means and gradient are the library's."""
    rewards = tensor([float(y == 0) for y in answers])
    centred = rewards - mi.mean(rewards)
    if normalised:
        centred = centred / mi.mean(centred**2).sqrt()
    return gradient(lambda x: mi.mean(centred * x.log_softmax(-1)[list(answers)]), theta)


def contrast(theta, answers, normalised):
    """s (mean over right − mean over wrong) of e_y − π, by plain sums."""
    law, size, hits = oracles.tilted([1] * 3, theta), len(answers), answers.count(0)
    weight = (hits * (size - hits)) ** 0.5 / size
    rows = [[float(j == y) - law[j] for j in range(3)] for y in answers]
    sides = [
        [
            sum(row[j] for row, y in zip(rows, answers, strict=True) if (y == 0) == side)
            for j in range(3)
        ]
        for side in (True, False)
    ]

    scale = weight if normalised else weight**2
    return [scale * (a / hits - b / (size - hits)) for a, b in zip(*sides, strict=True)]


GROUP = {
    "theta": strategies.vectors(3, 4),
    "answers": st.lists(st.integers(0, 2), min_size=2, max_size=6).filter(
        lambda ys: 0 < ys.count(0) < len(ys)
    ),
    "normalised": st.booleans(),
}


def first_entry(right, wrong):
    """The first logit's entry for two equal logits and so many right and wrong answers."""
    return float(group_gradient([0.0, 0.0, -50.0], [0] * right + [1] * wrong, True)[0])


THEOREM = Theorem(
    slug="grpo_is_contrastive",
    title="GRPO's gradient is √(k(n − k))/n times (right − wrong); with two draws it is DPO's first step",
    purpose="To read GRPO as a contrast of right and wrong answers, and to see how far it is from DPO.",
    setting="""n = k + m answers are drawn, k of them right (reward 1) and m wrong (reward 0), k, m ≥ 1; r̄ is the mean
    reward, s its deviation with 1/n, A_i = (r_i − r̄)/s.""",
    formula=r"""\frac1n \sum_i A_i \nabla \ln \pi(y_i) = \frac{\sqrt{k(n-k)}}{n} \Bigl(\tfrac1k \sum_{\text{right}}
    \nabla \ln \pi - \tfrac1{n-k} \sum_{\text{wrong}} \nabla \ln \pi\Bigr)""",
    assumptions=(
        "a reward in {0, 1}; no clipping, no KL term, the answers come from the current policy",
        "at least one right and one wrong answer; else the gradient is 0 (group_relative_zero_gradient)",
    ),
    parts=(
        Part(
            "a",
            (
                "Each right answer has the weight s/k, each wrong one −s/m, where ",
                Identity("s² is the variance r̄(1 − r̄)", s**2, share * (1 - share), at=ROOTS),
                ": the gradient is s times the mean over the right ones less that over the wrong ones.",
            ),
            checks=(
                Identity("a right answer's weight", right, s / k, at=ROOTS),
                Identity("a wrong answer's weight", wrong, -s / m, at=ROOTS),
                Shipped(
                    "the library's mean and gradient of a group are this contrast",
                    GROUP,
                    group_gradient,
                    contrast,
                ),
            ),
            by_hand=(
                Sum("the sum over a group is one over its right and one over its wrong answers"),
            ),
        ),
        Part(
            "b",
            "Without division by s the factor is s²: groups with one kind of answer in the minority count less.",
            checks=(
                Identity(
                    "a right answer's weight, not divided",
                    (1 - share) / n,
                    deviation**2 / k,
                    at=ROOTS,
                ),
                Sign("¼ − s² is not negative: s is at most ½", -((k - m) ** 2), "<="),
                Identity(
                    "¼ − s² is a square",
                    sp.Rational(1, 4) - deviation**2,
                    (k - m) ** 2 / (4 * n**2),
                    at=ROOTS,
                ),
            ),
        ),
        Part(
            "c",
            """For n = 2 it is ½(∇ ln π_w − ∇ ln π_l), DPO's step at β = 1 and the reference; away from it DPO's step
            is 2σ(−m) times that, m the margin.""",
            checks=(
                Identity("n = 2: the weight", right, HALF, at={k: 1, m: 1}),
                Identity("DPO's pull at the reference", expression(pull).subs({u: 0, v: 0}), HALF),
                Identity("DPO's pull at a margin m", pull, 2 * sigmoid(-(u - v)) * HALF),
                Shipped(
                    "mi.preference_loss(dv) pulls with σ(−m)",
                    strategies.PAIR,
                    lambda chosen, rejected: -pair_gradient(chosen, rejected, "dv")[0],
                    lambda chosen, rejected: 1 / (1 + float(sp.exp(chosen - rejected))),
                ),
            ),
        ),
    ),
    proof="""r̄ = k/n and s² = r̄(1 − r̄) = km/n². A right answer has A/n = (1 − r̄)/(ns) = m/(n²s) = s/k, a wrong one
    −r̄/(ns) = −k/(n²s) = −s/m.""",
    example=Example(
        "the entry of the right answer's logit, two responses of equal probability",
        first_entry,
        lambda right, wrong: (right * wrong) ** 0.5 / (right + wrong),
        {"right": 1, "wrong": 3},
    ),
    false_neighbours=(
        Identity("the weight does not depend on the shares: s = ½", deviation, HALF),
        Identity("every answer has the same weight", right, -wrong),
        Identity("GRPO with two draws is DPO everywhere", pull, HALF),
    ),
    mutants=(
        scaled("mean"),
        Mutant(
            "mean", "another weight", lambda f: lambda v, *a: f(v, *a) * (1 + torch.tensor(1e-3))
        ),
    ),
    uses=("group_relative_zero_gradient", "dpo_is_half_mixed_dv"),
    about=("mean", "preference_loss"),
    reference="""Wu et al. 2025 (arXiv 2510.00977), "It takes two: your GRPO is secretly DPO"; the limits of that
    reading: this project.""",
)
