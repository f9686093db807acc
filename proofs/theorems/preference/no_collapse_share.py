"""How many single pairs can have sunk at a mean loss: a bound on a share, where mio_no_collapse bounds a mean."""

import numpy as np
import sympy as sp

from mi_estimators import theory
from mi_estimators.theory import chosen_term, preference_anchor, preference_loss_floor
from proofs.engine import (
    AS_DPO,
    HALF,
    HALF_LOSS,
    Example,
    Holds,
    Identity,
    Limit,
    Minimum,
    Part,
    Sign,
    Sum,
    Theorem,
    Values,
    js_loss,
    pair_loss,
    positives,
    reals,
    render,
    softplus,
    strategies,
    word,
)

a, x, t, q = positives("a x t q")
u, v, ell = reals("u v ell")
(A,) = positives("alpha")
MIX: Values = {A: a / (1 + a)}
h_x = word("f(−x)", chosen_term(-x, A))
floor = word("F", preference_loss_floor(A))
share = word("share", theory.no_collapse_share(x, ell, A))
MIO: Values = {A: HALF}
# loss: depth: the digits shown
ROWS = {
    2 * sp.log(2): {2: "0.3492", 5: "0.1064", 10: "0.0477"},
    sp.S(1): {2: "0.0366", 5: "0.0112", 10: "0.0050"},
}


def rows():
    """Both sides of each number shown."""
    unit = sp.Rational(1, 20000)
    for loss, shares in ROWS.items():
        for depth, digits in shares.items():
            at = {**MIO, ell: loss, x: depth}
            for relation, end in (
                ("<", sp.Rational(digits) + unit),
                (">", sp.Rational(digits) - unit),
            ):
                value = theory.no_collapse_share(x, ell, A)
                yield Sign(
                    f"ℓ = {render.plain(loss)}, x = {depth}: the share is {relation} {float(end):.6g}",
                    value,
                    relation,
                    end,
                    at=at,
                )


def bounded(chosen, rejected, mix, depth):
    """Whether the share of pairs at −depth or below respects the bound at the batch's own mean shipped loss."""
    loss = pair_loss(chosen, rejected, mix=mix)
    sunk = sum(reward <= -depth for reward in chosen) / len(chosen)
    return (
        loss > theory.preference_loss_floor(mix)
        and sunk <= theory.no_collapse_share(depth, loss, mix) + 1e-9
    )


def largest_share(depth, loss, mix):
    """The largest share of rewards at −x or less on a grid, at a mean of f of at most ℓ: a linear programme."""
    from scipy.optimize import linprog

    anchor = float(preference_anchor(mix))
    rewards = np.append(np.arange(-depth - 10, 10, 0.25), [-depth, anchor])
    terms = [float(chosen_term(reward, mix)) for reward in rewards]
    best = linprog(
        -(rewards <= -depth).astype(float), [terms], [loss], [np.ones(len(rewards))], [1.0]
    )
    if best.fun is None:
        raise ValueError(f"loss: expected a mean that some rewards have, got {loss}")

    return -best.fun


THEOREM = Theorem(
    slug="no_collapse_share",
    title="at a mean loss ℓ at most (ℓ − F)/(f(−x) − F) of the pairs have a chosen reward of −x or less",
    purpose="To read a loss as the largest share of pairs whose chosen response has sunk.",
    setting="""Let L_α(u, v) = f(u) + α sp(v) with f(u) = sp(−u) + (1 − α) sp(u), α in (0, 1), u = βz_w and v = βz_l
    the rewards of a pair, F = (2 − α) ln(2 − α) − (1 − α) ln(1 − α) the least of f, ℓ the mean of L_α over a batch
    of pairs, and x > 0.""",
    formula=r"""\Pr[\beta z_w \le -x] \;\le\; \frac{\ell - F_\alpha}{f_\alpha(-x) - F_\alpha}""",
    assumptions=(
        "any model, any batch, that batch's own mean loss: nothing is said of other pairs",
        "on held-out pairs, their own mean loss; for the population add a margin for sampling",
    ),
    parts=(
        Part(
            "a",
            """A pair with u at or below −x has a loss of more than f(−x), and every pair one of more than F; so the
            share of such pairs is at most the one at which the two mix to the mean loss.""",
            formula=(
                Identity(
                    "the share at which −x and the floor mix to ℓ",
                    share * h_x + (1 - share) * floor,
                    ell,
                    at=MIX,
                ),
            ),
            checks=(
                Sign("f falls below 0", sp.diff(chosen_term(u, A), u).subs(u, -t), "<", at=MIX),
                Identity(
                    "F is f at the anchor", chosen_term(preference_anchor(A), A), floor, at=MIX
                ),
                Sign("f is convex", sp.diff(chosen_term(u, A), u, 2), ">", at=MIX),
                Identity(
                    "f is stationary at the anchor",
                    sp.diff(chosen_term(u, A), u).subs(u, preference_anchor(A)),
                    0,
                    at=MIX,
                ),
                Sign("the loss exceeds f", js_loss(u, v, A) - chosen_term(u, A), ">", at=MIX),
                Holds(
                    "mi.preference_loss over batches of three",
                    {
                        "chosen": strategies.vectors(3),
                        "rejected": strategies.vectors(3),
                        "mix": strategies.mixes(),
                        "depth": strategies.rates(8),
                    },
                    bounded,
                ),
            ),
            by_hand=(Sum("the mean of an inequality over the pairs (Markov)"),),
            kernel=r"""
                forall (X : Type) (l : list X) (p u v : X -> R) (a x : R),
                  law l p -> 0 < a < 1 -> 0 < x ->
                  let ell := E l p (fun i => js_loss a (u i) (v i)) in
                  let share := (ell - floor_at a) / (own a (- x) - floor_at a) in
                  (forall r s, r <= - x -> own a (- x) < js_loss a r s)
                  /\ (forall r s, floor_at a < js_loss a r s)
                  /\ share * own a (- x) + (1 - share) * floor_at a = ell
                  /\ sunk l p u x <= share
                """,
        ),
        Part(
            "b",
            """It is sharp: with that share of the pairs at −x, the others at the anchor, and every rejected reward
            sinking, the mean loss tends to ℓ.""",
            checks=(
                Limit(
                    "sp(v) tends to 0 as v sinks",
                    softplus(-t),
                    t,
                    sp.oo,
                    0,
                    sp.exp(-t),
                    because=(Minimum("y − 1 − ln y", q - 1 - sp.log(q), q, 1), 1 + sp.exp(-t)),
                ),
            ),
            kernel=r"""
                forall a x ell : R, 0 < a < 1 -> 0 < x ->
                  floor_at a <= ell <= own a (- x) ->
                  let share := (ell - floor_at a) / (own a (- x) - floor_at a) in
                  0 <= share <= 1
                  /\ (forall v, share * js_loss a (- x) v + (1 - share) * js_loss a (- ln (1 - a)) v = ell + a
                    * sp v)
                  /\ (forall e, 0 < e -> exists V, forall v, v < V -> 0 < a * sp v < e)
                """,
        ),
        Part(
            "c",
            """MIO (α = ½): at ℓ = 2 ln 2, where training starts, at most 0.3492, 0.1064 and 0.0477 of the pairs are
            at or below −2, −5 and −10; at ℓ = 1 at most 0.0366, 0.0112 and 0.0050.""",
            checks=tuple(rows()),
            kernel=r"""
                let share := fun ell x => (ell - floor_at (1/2)) / (own (1/2) (- x) - floor_at (1/2)) in
                  Rabs (share (2 * ln 2) 2 - 3492/10000) < 1/20000
                  /\ Rabs (share (2 * ln 2) 5 - 1064/10000) < 1/20000
                  /\ Rabs (share (2 * ln 2) 10 - 477/10000) < 1/20000
                  /\ Rabs (share 1 2 - 366/10000) < 1/20000
                  /\ Rabs (share 1 5 - 112/10000) < 1/20000
                  /\ Rabs (share 1 10 - 50/10000) < 1/20000
                """,
        ),
    ),
    proof="""L_α > f(u) ≥ F, and f decreases on u < 0, below its anchor −ln(1 − α) > 0. If a share s of the pairs
    has u ≤ −x, then ℓ ≥ s f(−x) + (1 − s) F.""",
    example=Example(
        "the largest share of pairs with a chosen reward of −2 or less at the mean loss 1.2, by a linear programme",
        largest_share,
        theory.no_collapse_share,
        {"depth": 2.0, "loss": 1.2, "mix": 0.5},
    ),
    false_neighbours=(
        Identity(
            "Markov's inequality without the floor is as sharp",
            ell / h_x,
            share,
            at={**MIX, ell: 2},
        ),
        Sign(
            "it bounds the pairs that have risen by x as well: f(x) ≥ f(−x)",
            chosen_term(x, A) - chosen_term(-x, A),
            ">=",
            at=MIX,
        ),
        Sign(
            "DPO's loss exceeds 2 ln 2 once both rewards are at −x",
            softplus(sp.S(0) * x),
            ">",
            2 * sp.log(2),
        ),
    ),
    mutants=(HALF_LOSS, AS_DPO),
    uses=("mio_anchor",),
    about=("preference_loss", "theory.no_collapse_share"),
    reference="This project.",
)
