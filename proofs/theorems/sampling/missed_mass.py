"""A region of Q-mass ε is missed by all M negatives with probability (1 − ε)^M, and then DV's sample is blind to
it."""

from itertools import product

import sympy as sp
import torch

import mi_estimators as mi
from mi_estimators.theory import missed_mass
from proofs.engine import (
    Example,
    Identity,
    Minimum,
    Mutant,
    Part,
    Shipped,
    Sign,
    Theorem,
    batches,
    integers,
    normalised,
    oracles,
    positives,
    reals,
    scaled,
    strategies,
    tensor,
)

e, k, x, off_region, on_region = positives(
    "e k x u v"
)  # ε = e/(1 + e), P(A) = k/(1 + k); parts of E_Q e^T
mean, c = reals("m c")  # E_P T, and what is added to the critic on A
(M,) = integers("M")
eps, p = e / (1 + e), k / (1 + k)
law = normalised(positives("b1 b2 b3"))  # A is the first of three atoms
raised = mean + p * c - sp.log(off_region + on_region * sp.exp(c))  # DV at T + c·1_A


def missed(size):
    """The probability that none of `size` draws is in A, enumerated."""
    draws = product(range(3), repeat=size)
    return sum(sp.prod(law[i] for i in atoms) for atoms in draws if 0 not in atoms)


def blind(q, t, c, size):
    """The probability that mi.dv has one and the same value for two critics that differ by c on the first atom."""
    (atoms, weights), positive = batches(q, size), torch.zeros(1, dtype=torch.float64)
    one, other = (
        mi.dv(positive.expand(len(atoms), 1), tensor(s)[atoms]) for s in (t, (t[0] + c, *t[1:]))
    )
    return float(weights @ ((one - other).abs() < 1e-12).double())


def growth(t, negatives, c, size):
    """How much mi.dv grows if the critic is raised by c on A, with the first positives in A and no negative."""
    raised = tensor(t) + c * (torch.arange(len(t)) < size)
    return float(mi.dv(raised, tensor(negatives)) - mi.dv(tensor(t), tensor(negatives)))


RAISED = {
    "t": strategies.vectors(3, 3),
    "c": strategies.temperatures(),
    "size": strategies.counts(3),
}


def all_elsewhere(eps, draws):
    """The probability of a batch without a draw in A, batch by batch."""
    return oracles.mean_over_batches((eps, 1 - eps), draws, lambda *atoms: float(all(atoms)))


THEOREM = Theorem(
    slug="missed_mass",
    title="mass ε is missed by all M negatives with probability (1 − ε)^M, and DV's sample value is then blind to it",
    purpose="To see why no amount of training shows a region that no sample reached.",
    setting="""Let P and Q be laws on a finite set, A a region of mass Q(A) = ε in (0, 1), and let M negatives be i.i.d.
    from Q.""",
    formula=r"1 - M\varepsilon \;\le\; \Pr[\text{no negative in } A] = (1 - \varepsilon)^M \;\le\; e^{-\varepsilon M}",
    assumptions=(
        "the M negatives are i.i.d. from Q, and A does not depend on them",
        "(a) holds for any Q, as only the two masses of A and of its complement enter: that step is by hand",
        "(b) a critic that is free to move on A alone; 0 < E_Q eᵀ < ∞, and e^T has mass on A and off it",
        "(b), the last probability: positives i.i.d. from P and independent of the negatives",
    ),
    parts=(
        Part(
            "a",
            """None of them is in A with probability (1 − ε)^M, and 1 − Mε ≤ (1 − ε)^M ≤ e^{−εM}. So M ≥ ln(1/δ)/ε
            negatives suffice to miss A with probability at most δ in (0, 1), and fewer than (1 − δ)/ε never do.""",
            checks=(
                *[
                    Identity(f"the probability, M = {i}", missed(i), missed_mass(law[0], i))
                    for i in (1, 2, 3)
                ],
                Identity(
                    "(1 − ε)^M − 1 + Mε, step",
                    (1 - eps) ** (M + 1) - 1 + (M + 1) * eps,
                    (1 - eps) * ((1 - eps) ** M - 1 + M * eps) + M * eps**2,
                ),
                Sign("the step's remainder Mε² is positive", M * eps**2, ">"),
                Minimum("x − 1 − ln x", x - 1 - sp.log(x), x, 1),
                Identity(
                    "at x = 1 − ε", (x - 1 - sp.log(x)).subs(x, 1 - eps), -eps - sp.log(1 - eps)
                ),
                Shipped(
                    "mi.dv is blind to the first atom with probability (1 − ε)^M, over all batches",
                    RAISED | {"q": strategies.laws(3)},
                    blind,
                    lambda q, t, c, size: missed_mass(q[0], size),
                ),
            ),
            by_hand=(
                """(a) is enumerated for 3 atoms and M ≤ 3; any M: independence; the induction over M from its
                step""",
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (q : X -> R) (region : X -> bool) (M : nat) (delta : R),
                  law l q ->
                  let eps := E l q (inside region) in
                  0 < eps < 1 -> 0 < delta < 1 ->
                  let missed := E (tuples M l) (iid q) (fun s => if existsb region s then 0 else 1) in
                  missed = (1 - eps) ^ M
                  /\ 1 - INR M * eps <= missed <= exp (- (eps * INR M))
                  /\ (ln (1 / delta) / eps <= INR M -> missed <= delta)
                  /\ (INR M < (1 - delta) / eps -> delta < missed)
                """,
        ),
        Part(
            "b",
            """If none is in A, the plug-in value DV_M, the positives' mean of T minus ln (1/M) Σ e^{T_j}, depends
            on the critic on A through the positives alone: it grows by c·P̂(A) under T → T + c·1_A, with P̂(A)
            the share of the positives in A: without bound in c if P̂(A) > 0. The exact DV(T + c·1_A) is strictly
            concave in c, and tends to −∞ as c → ∞ if P(A) < 1. Both happen, a positive in A and no negative, with
            probability (1 − ε)^M (1 − (1 − P(A))^N) for N positives drawn i.i.d. from P, independently.""",
            checks=(
                Sign("DV(T + c·1_A) is strictly concave in c", sp.diff(raised, c, 2), "<"),
                Identity(
                    "DV(T + c·1_A) = E_P T − (1 − P(A)) c − ln(v + u e^{−c})",
                    raised,
                    mean - (1 - p) * c - sp.log(on_region + off_region * sp.exp(-c)),
                ),
                Shipped(
                    "mi.dv grows by c·P̂(A) with no negative in A",
                    RAISED | {"negatives": strategies.vectors(4)},
                    growth,
                    lambda t, negatives, c, size: c * size / len(t),
                ),
            ),
            by_hand=(
                "(b) what does not occur in a sum does not change it; two independent events multiply",
            ),
            kernel=r"""
                forall (X : Type) (l : list X) (p q T : X -> R) (region : X -> bool),
                  law l p -> law l q ->
                  let a := E l p (inside region) in
                  let eps := E l q (inside region) in
                  0 < eps < 1 ->
                  (forall positives negatives c, positives <> [] -> existsb region negatives = false ->
                     plug_in positives negatives (raised region T c) = plug_in positives negatives T + c *
                       mean positives (inside region))
                  /\ (forall c d t, c <> d -> 0 < t < 1 ->
                        (1 - t) * dv l p q (raised region T c) + t * dv l p q (raised region T d)
                          < dv l p q (raised region T ((1 - t) * c + t * d)))
                  /\ (a < 1 -> forall bound, exists C, forall c, C < c -> dv l p q (raised region T c) < bound)
                  /\ (forall N M, E (tuples N l) (iid p) (fun s => if existsb region s then 1 else 0)
                                  * E (tuples M l) (iid q) (fun s => if existsb region s then
                                    0 else 1) = (1 - eps) ^ M * (1 - (1 - a) ^ N)
                        /\ E (list_prod (tuples N l) (tuples M l)) (fun o => iid p (fst o) * iid q (snd o))
                             (fun o => if existsb region (fst o) then if existsb region (snd o)
                               then 0 else 1 else 0)
                           = (1 - eps) ^ M * (1 - (1 - a) ^ N))
                """,
        ),
    ),
    proof="""(a) Independence. The lower bound (Bernoulli) by induction: (1 − ε)^{M+1} − 1 + (M + 1) ε = (1 − ε)((1
    − ε)^M − 1 + Mε) + Mε². The upper one: ln(1 − ε) ≤ −ε, from x − 1 − ln x ≥ 0 at x = 1 − ε. If (1 − ε)^M ≤ δ,
    then 1 − Mε ≤ δ. (b) A critic's values on A do not occur among the negatives' scores. Exactly, with E_Q eᵀ = u +
    v (off A and on it), DV(T + c·1_A) = E_P T + c·P(A) − ln(u + v eᶜ) = E_P T − (1 − P(A)) c − ln(v + u e^{−c}).""",
    example=Example(
        "the probability that eight negatives all miss a tenth of the mass",
        all_elsewhere,
        missed_mass,
        {"eps": 0.1, "draws": 8},
    ),
    false_neighbours=(
        Sign("(1 − ε)^M ≤ 1 − Mε", 1 - M * eps - (1 - eps) ** M, ">="),
        Sign("(1 − ε)^M ≥ e^{−εM}", M * (sp.log(1 - eps) + eps), ">="),
        Identity("the probability is 1 − ε^M, M = 2", missed(2), 1 - law[0] ** 2),
        Identity("M copies of one negative miss A as rarely, M = 2", missed(1), (1 - law[0]) ** 2),
        Sign("the exact DV grows with c as well", sp.diff(raised, c), ">"),
    ),
    mutants=(
        Mutant("dv", "one negative", lambda dv: lambda t, u: dv(t, u[..., :1])),
        scaled("dv"),
    ),
    about=("dv", "theory.missed_mass"),
    reference="McAllester & Stratos 2020 (arXiv 1811.04251) on the unseen tail; Bernoulli's inequality.",
)
