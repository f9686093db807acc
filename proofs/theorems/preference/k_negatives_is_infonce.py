"""With K − 1 rejected responses a preference loss is a row of InfoNCE, and Plackett–Luce's choice of the first."""

from functools import partial
from itertools import permutations
from math import prod

import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    HALF,
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    dpo_loss,
    dv,
    infonce_row,
    integers,
    off,
    oracles,
    pair_loss,
    positives,
    reals,
    strategies,
    tensor,
)

(K,) = integers("K")
t, v, c = reals("t v c")  # the chosen score, one rejected score, a shift of all
s, S, x, P = positives(
    "s S x P"
)  # s = Σ e^{t_j} over the rejected; S = Σ e^{t_j − t}; x = e^{t_j − t}; a product
loss = -sp.log(sp.exp(t) / (sp.exp(t) + s))  # −ln softmax of the chosen among all


# Plackett–Luce on three responses with worths w: the probability of a ranking.
W = positives("w1 w2 w3")


def ranking(*order):
    """The product, over the places, of the worth there over the sum of all worths not placed before."""
    worths = [W[i] for i in order]
    return sp.prod(w / sum(worths[i:]) for i, w in enumerate(worths))


T, MIXED = reals("t1 t2 t3"), (HALF, sp.Rational(1, 4), sp.Rational(1, 4))
three = loss.subs({t: T[0], s: sp.exp(T[1]) + sp.exp(T[2])})


shipped = partial(pair_loss, bound="infonce")


def shipped_row(chosen, rejected):
    """ln K minus mi.infonce of the matrix whose every row is this example, turned so that its positive is on it."""
    scores = tensor([chosen, *rejected])
    matrix = torch.stack([scores.roll(i) for i in range(len(scores))])
    return oracles.ln(len(scores)) - float(mi.infonce(matrix))


def shipped_masked(chosen, rejected, size):
    """The shipped loss of the example whose mask keeps the first `size` rejected responses."""
    mask = torch.arange(len(rejected)).unsqueeze(0) < size
    return float(mi.preference_loss(tensor([chosen]), tensor([rejected]), "infonce", mask=mask))


def between(chosen, rejected):
    """Whether the shipped loss lies between the largest and the sum of the pairwise DPO losses."""
    losses = [pair_loss(chosen, t, "dv") for t in rejected]
    return max(losses) - 1e-12 <= shipped(chosen, rejected) <= sum(losses) + 1e-12


EXAMPLE = {"chosen": strategies.scores(12), "rejected": strategies.vectors(3, 12)}


def from_rankings(chosen, rejected):
    """−ln of the probability, over all rankings, that Plackett and Luce's model puts the chosen one first."""
    worths = [float(sp.exp(score)) for score in (chosen, *rejected)]
    first = 0.0
    for order in permutations(worths[1:]):
        ranks = [worths[0], *order]
        first += prod(worth / sum(ranks[place:]) for place, worth in enumerate(ranks))
    return -oracles.ln(first)


THEOREM = Theorem(
    slug="k_negatives_is_infonce",
    title="K − 1 rejected responses: ln K − L is a row of InfoNCE, below ln K; K = 2 is DPO",
    purpose="To use several rejected responses: the loss is then InfoNCE.",
    setting="""Let t be the score βz of the chosen response, t_2, …, t_K those of K − 1 ≥ 1 rejected ones, and L =
    −ln(eᵗ/(eᵗ + Σ e^{t_j})).""",
    formula=r"\ln K - L = t - \ln \tfrac1K \Bigl(e^{t} + \sum_{j=2}^{K} e^{t_j}\Bigr) < \ln K",
    assumptions=(
        "finite scores; one example with its own K ≥ 2 (over examples: the mean of the statement)",
        "each rejected response counts once; repetitions among them keep their weight",
        "only the first place is used (top-1): the order among the rejected ones does not enter",
    ),
    parts=(
        Part(
            "a",
            """ln K − L = t − ln (1/K)(eᵗ + Σ e^{t_j}), a row of InfoNCE, which is also DV at the positive t and K
            candidates of weight 1/K each, that is the mix α = 1 − 1/K.""",
            checks=(
                Identity(
                    "ln K − L is a row of InfoNCE, any K",
                    sp.log(K) - loss,
                    infonce_row(t, s, K),
                ),
                Identity(
                    "K = 3: DV with weights ⅓",
                    sp.log(3) - three,
                    dv((1, 0, 0), (sp.Rational(1, 3),) * 3, T),
                ),
                Identity(
                    "DV with own weight 1 − α = 1/K, any K",
                    t - sp.log(sp.exp(t) / K + s / K),
                    infonce_row(t, s, K),
                ),
                Shipped(
                    "preference_loss(infonce) is the published InfoNCA",
                    EXAMPLE,
                    shipped,
                    oracles.infonca,
                ),
                Shipped(
                    "preference_loss(infonce) is ln K minus mi.infonce of its row",
                    EXAMPLE,
                    shipped,
                    shipped_row,
                ),
                Shipped(
                    "preference_loss(infonce) is preference_loss(dv) at α = ¾, K = 4",
                    EXAMPLE,
                    shipped,
                    lambda **scores: shipped(**scores, bound="dv", mix=0.75),
                ),
                Shipped(
                    "a mask leaves the loss of a smaller K",
                    EXAMPLE | {"size": strategies.one_of("123").map(int)},
                    shipped_masked,
                    lambda chosen, rejected, size: oracles.infonca(chosen, rejected[:size]),
                ),
            ),
            kernel=r"""
                forall (u : R) (vs : list R), vs <> [] ->
                  let n := length vs in
                  let K := INR (S n) in
                  ln K - plackett u vs = u - ln (mean (u :: vs) exp)
                  /\ ln K - plackett u vs = dv (candidates u vs) on_chosen (weights (1 - / K) n) snd
                  /\ (forall c, In c (candidates u vs) -> weights (1 - / K) n c = / K)
                """,
        ),
        Part(
            "b",
            "0 < L, so ln K − L < ln K, and ln K − L = 0 at equal scores.",
            checks=(
                Identity("L = ln(1 + s e^{−t})", loss, sp.log(1 + s * sp.exp(-t))),
                Sign("ln(1 + s e^{−t}) > 0", sp.log(1 + s * sp.exp(-t)), ">"),
                Identity("equal scores give 0", infonce_row(t, K * sp.exp(t), K + 1), 0),
            ),
            kernel=r"""
                forall (u : R) (vs : list R), vs <> [] ->
                  0 < plackett u vs
                  /\ ln (INR (S (length vs))) - plackett u vs < ln (INR (S (length vs)))
                  /\ ((forall v, In v vs -> v = u) -> ln (INR (S (length vs))) - plackett u vs = 0)
                """,
        ),
        Part(
            "c",
            "L does not change when a constant is added to all scores.",
            checks=(
                Identity(
                    "L does not change under a shift of all scores",
                    loss.subs({t: t + c, s: s * sp.exp(c)}, simultaneous=True),
                    loss,
                ),
            ),
            kernel=r"""
                forall (u c : R) (vs : list R),
                  plackett (u + c) (map (fun v => v + c) vs) = plackett u vs
                """,
        ),
        Part(
            "d",
            """With one rejected response this is DPO; with D_j = sp(t_j − t), DPO's loss against the j-th rejected
            response, max_j D_j ≤ L ≤ Σ_j D_j, both strict for more than one.""",
            checks=(
                Identity("K = 2 is DPO", loss.subs(s, sp.exp(v)), dpo_loss(t, v)),
                Identity(
                    "one more: ln(1 + S + x) − ln(1 + S)",
                    sp.log(1 + S + x) - sp.log(1 + S),
                    sp.log(1 + x / (1 + S)),
                ),
                Sign(
                    "what one more rejected response adds is positive", sp.log(1 + x / (1 + S)), ">"
                ),
                Identity(
                    "step: (1 + x) P − (1 + S + x)",
                    (1 + x) * P - (1 + S + x),
                    (1 + x) * (P - 1 - S) + x * S,
                ),
                Sign("the step's remainder x S is positive", x * S, ">"),
                Holds(
                    "preference_loss(infonce) lies between the largest and the sum of the pairwise DPO losses",
                    EXAMPLE,
                    between,
                ),
            ),
            by_hand=("the induction in (d) from its step",),
            kernel=r"""
                forall (u : R) (vs : list R),
                  (forall v, plackett u [v] = dpo u v)
                  /\ (forall v, In v vs -> dpo u v <= plackett u vs)
                  /\ plackett u vs <= sum vs (dpo u)
                  /\ ((2 <= length vs)%nat -> (forall v, In v vs -> dpo u v < plackett u vs) /\ plackett u vs
                    < sum vs (dpo u))
                """,
        ),
        Part(
            "e",
            """e^{−L} is the probability that the Plackett–Luce model of worths e^{t_j} ranks the chosen one
            first.""",
            checks=(
                Identity(
                    "K = 3: the orders with the chosen one first, summed",
                    ranking(0, 1, 2) + ranking(0, 2, 1),
                    W[0] / sum(W),
                ),
                Identity(
                    "the chosen one's share of the worths is e^{−L}",
                    (W[0] / sum(W)).subs(dict(zip(W, map(sp.exp, T), strict=True))),
                    sp.exp(-three),
                ),
            ),
            by_hand=(
                """(e) for any K: given the first place, the probabilities of the orders of the others sum to 1
                (checked, K = 3)""",
            ),
            kernel=r"""
                forall (u : R) (vs : list R),
                  exp (- plackett u vs) = sum (orders (length vs) vs) (fun o => luce (u :: o))
                  /\ exp (- plackett u vs) = exp u / (exp u + sum vs exp)
                  /\ (forall o, In o (orders (length vs) vs) -> Permutation vs o)
                """,
        ),
    ),
    proof="""(a), (b), (c) −ln(eᵗ/(eᵗ + s)) = −t + ln(eᵗ + s) for any s > 0, here the sum over the rejected ones,
    and ln(eᵗ + s) > t; at equal scores s = (K − 1) eᵗ. (d) With x_j = e^{t_j − t}, L = ln(1 + Σ x_j) and D_j = ln(1
    + x_j): another term increases L, and Π(1 + x_j) ≥ 1 + Σ x_j by induction over the number of factors. (e) The
    first place of a Plackett–Luce ranking has the probability worth over total; the orders of the rest sum to 1.""",
    example=Example(
        "−ln of the probability that the chosen one is ranked first of four, ranking by ranking, beside L",
        from_rankings,
        oracles.infonca,
        {"chosen": 1.0, "rejected": (0.5, 0.0, -1.0)},
    ),
    false_neighbours=(
        Sign(
            "the ceiling is ln of the number of rejected responses, K = 2",
            sp.log(1) - infonce_row(t, s, 2),
            ">=",
        ),
        Identity("mix ½ gives it for K = 3 too", three, sp.log(2) - dv((1, 0, 0), MIXED, T)),
        Identity(
            "it is the sum of the pairwise DPO losses",
            three,
            dpo_loss(*T[:2]) + dpo_loss(T[0], T[2]),
        ),
        Identity("it is their mean", three, (dpo_loss(*T[:2]) + dpo_loss(T[0], T[2])) / 2),
        Sign(
            "without the chosen one among the candidates: still below ln K",
            sp.log(K) - t + sp.log(s / K),
            ">",
        ),
        Identity("it is the probability of the whole ranking", ranking(0, 1, 2), W[0] / sum(W)),
    ),
    mutants=(
        off("preference_loss"),
        Mutant("infonce", "−T", lambda f: lambda scores: f(-scores)),
        Mutant("preference_loss", "mask ignored", lambda f: lambda *a, mask=None, **k: f(*a, **k)),
    ),
    uses=("dpo_is_half_mixed_dv", "infonce_ceiling"),
    about=("preference_loss", "infonce"),
    reference="""Chen et al. 2024 (arXiv 2402.05369), section 3 (InfoNCA); Plackett 1975, Appl. Statist. 24(2),
    193–202; Rafailov et al. 2023 (arXiv 2305.18290), appendix A.3.""",
)
