"""InfoNCE with K candidates never exceeds I(X; Y), nor ln K."""

from itertools import product

import sympy as sp

import mi_estimators as mi
from mi_estimators.theory import infonce_ceiling
from proofs.engine import (
    Example,
    Holds,
    Identity,
    Mutant,
    Part,
    Shipped,
    Sign,
    Tested,
    Theorem,
    infonce_row,
    kl,
    off,
    oracles,
    pair_batches,
    positives,
    reals,
    strategies,
    two_by_two,
)

own, c = reals("t1 c")  # the positive's score in one row, and a shift of the row
s, K = positives("s K")  # Σ e^{t_j} over the other candidates, and the number of candidates
margin = sp.log(1 + s * sp.exp(-own))


# p(x, y) on 2 × 2 atoms, any critic: the laws W = p(x, y₁) Π p(y_j) and V = p(x) Π p(y_j) on (x, y₁, …, y_K).
joint, px, py = two_by_two()
critic = dict(zip(joint, reals("t11 t12 t21 t22"), strict=True))


def exp_s(x, *ys):
    """eˢ at one outcome: K e^{T(x, y₁)}/Σ_j e^{T(x, y_j)}."""
    exps = [sp.exp(critic[x, y]) for y in ys]
    return len(ys) * exps[0] / sum(exps)


def normalisation(candidates):
    """E_V[eˢ given x = 0]; x = 1 only renames the critic's symbols."""
    return sum(
        sp.prod(py[y] for y in ys) * exp_s(0, *ys) for ys in product((0, 1), repeat=candidates)
    )


pairs = list(product((0, 1), repeat=3))  # K = 2: (x, y₁, y₂)
W = [joint[x, y] * py[other] for x, y, other in pairs]
V = [px[x] * py[y] * py[other] for x, y, other in pairs]
TILTED = [v * exp_s(*outcome) for v, outcome in zip(V, pairs, strict=True)]
information = kl([*joint.values()], [px[x] * py[y] for x, y in joint])
infonce = sum(w * sp.log(exp_s(*outcome)) for w, outcome in zip(W, pairs, strict=True))


def shipped(joint, t, k):
    """The mean of mi.infonce over all batches of k independent pairs, enumerated, with their probabilities."""
    scores, _, weights = pair_batches(joint, t, k)
    return float(weights @ mi.infonce(scores))


BATCHES = {"joint": strategies.joint_laws(2, 2, zeros=True), "t": strategies.tables(2, 2)}
THEOREM = Theorem(
    slug="infonce_ceiling",
    title="InfoNCE ≤ min(I, ln K)",
    purpose="To choose the batch of InfoNCE: no critic reads more than ln K nats.",
    setting="""Let (x, y₁) ~ P on a finite set, y₂, …, y_K i.i.d. from the marginal p(y), independent of (x, y₁),
    and T a real critic. Let S = T(x, y₁) − ln (1/K) Σ_j e^{T(x, y_j)}, the positive y₁ being among the K ≥ 2
    candidates, and I_K = E S.""",
    formula=r"\mathbb{E}\Bigl[T(x, y_1) - \ln \tfrac1K \sum_{j=1}^{K} e^{T(x, y_j)}\Bigr] \le \min(I, \ln K)",
    assumptions=(
        "(x, y₁) ~ P; y₂, …, y_K i.i.d. from p(y), independent of x and y₁",
        "the positive is one of the K candidates",
        "T is real-valued; finite sets (so that all expectations exist)",
    ),
    parts=(
        Part(
            "a",
            "S < ln K, so that I_K < ln K.",
            checks=(
                Identity(
                    "ln K − S = ln(1 + s e^{−t₁}) for any K",
                    infonce_ceiling(K) - infonce_row(own, s, K),
                    margin,
                ),
                Sign("ln(1 + s e^{−t₁}) > 0", margin, ">"),
            ),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R) (k : nat),
                  law (list_prod l m) p -> (1 <= k)%nat ->
                  (forall x y others, length others = k -> row T x y others < ln (INR (S k)))
                  /\ infonce l m p T k < ln (INR (S k))
                """,
        ),
        Part(
            "b",
            """I_K ≤ I(X; Y), and the exact gap is I − I_K = KL(W‖eˢ V), where W = p(x, y₁) Π_{j≥2} p(y_j) and V =
            p(x) Π_j p(y_j).""",
            checks=(
                *[Identity(f"E_V eˢ = 1, K = {i}", normalisation(i), 1) for i in (2, 3, 4)],
                Identity("KL(W‖V) = I, K = 2", kl(W, V), information),
                Identity("I − I_K = KL(W‖eˢ V), K = 2", information - infonce, kl(W, TILTED)),
                Holds(
                    "mi.infonce has a mean of at most min(I, ln K) over all batches, K = 3",
                    BATCHES,
                    lambda joint, t: (
                        shipped(joint, t, 3)
                        <= min(oracles.mutual_information(joint), infonce_ceiling(3)) + 1e-9
                    ),
                ),
            ),
            by_hand=(
                """2 × 2 atoms with K ≤ 4 (E_V eˢ = 1) and K = 2 (the gap) are symbolic; any set and K:
                exchangeable candidates""",
            ),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R) (k : nat),
                  law (list_prod l m) p ->
                  let eSV := fun o => exp (row_at T o) * without_pair l m p k o in
                  law (atoms l m k) eSV
                  /\ information l m p - infonce l m p T k = kl (atoms l m k) (with_pair l p k) eSV
                  /\ infonce l m p T k <= information l m p
                """,
        ),
        Part(
            "c",
            "The value does not change under T → T + c(x).",
            checks=(
                Identity(
                    "invariance under T → T + c(x), any K",
                    infonce_row(own + c, s * sp.exp(c), K),
                    infonce_row(own, s, K),
                ),
            ),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R)
                    (c : X -> R) (k : nat),
                  law (list_prod l m) p -> infonce l m p (fun x y => T x y + c x) k = infonce l m p T k
                """,
        ),
        Part(
            "d",
            """In a batch of K independent pairs, each row with the y of all pairs as its candidates, the mean
            over rows has the expectation I_K.""",
            checks=(
                Identity(
                    "the first row of two pairs has the mean I_K, K = 2",
                    sum(
                        joint[first] * joint[other] * sp.log(exp_s(*first, other[1]))
                        for first, other in product(joint, repeat=2)
                    ),
                    infonce,
                ),
                *[
                    Shipped(
                        f"mi.infonce has the mean I_K over all batches, K = {k}",
                        BATCHES,
                        lambda joint, t, k=k: shipped(joint, t, k),
                        lambda joint, t, k=k: oracles.infonce(joint, t, k),
                    )
                    for k in (2, 3)
                ],
            ),
            by_hand=("each row of the batch has the law W, and the mean over rows is linear",),
            kernel=r"""
                forall (X Y : Type) (l : list X) (m : list Y) (p : X * Y -> R) (T : X -> Y -> R) (k : nat),
                  law (list_prod l m) p ->
                  E (tuples (S k) (list_prod l m)) (iid p)
                    (fun batch => mean batch (fun c => T (fst c) (snd c) - ln (mean (map snd batch) (fun z
                      => exp (T (fst c) z)))))
                  = infonce l m p T k
                """,
        ),
    ),
    proof="""Ceiling: ln K − S = ln(1 + s e^{−t₁}) > 0, where s > 0 is the sum of e^{t_j} over the other candidates.
    Information: dW/dV = r(x, y₁), so KL(W‖V) = I. Under V the K candidates are exchangeable, and the K values of K
    e^{t_k}/Σ_j e^{t_j} have the sum K: so E_V eˢ = 1 and eˢ V is a law. Then E_W S = KL(W‖V) − KL(W‖eˢ V) ≤ I,
    which is the Donsker–Varadhan bound at the critic S.""",
    example=Example(
        "how far one row of InfoNCE is below ln K, K = 4: the positive's score, and that of each other candidate",
        lambda own, other: (
            oracles.ln(4) - (own - oracles.ln((float(sp.exp(own)) + 3 * float(sp.exp(other))) / 4))
        ),
        lambda own, other: oracles.ln(1 + 3 * float(sp.exp(other - own))),
        {"own": 2.0, "other": 0.0},
    ),
    false_neighbours=(
        Sign("the ceiling is ln(K − 1), K = 2", sp.log(1) - infonce_row(own, s, 2), ">="),
        Sign(
            "without the positive among the K candidates: still S < ln K",
            sp.log(K) - own + sp.log(s / K),
            ">",
        ),
        Identity(
            "invariance under a shift of one candidate",
            infonce_row(own, s * sp.exp(c), K),
            infonce_row(own, s, K),
        ),
        Tested(
            "negatives from another law than p(y): still at most I",
            BATCHES | {"q": strategies.laws(2)},
            lambda joint, t, q: (
                oracles.infonce(joint, t, 2, q) <= oracles.mutual_information(joint) + 1e-9
            ),
        ),
    ),
    mutants=(
        off("infonce"),
        Mutant("infonce", "columns for rows", lambda infonce: lambda scores: infonce(scores.mT)),
    ),
    uses=("dv_representation",),
    about=("infonce", "theory.infonce_ceiling"),
    reference="""van den Oord et al. 2018 (arXiv 1807.03748), appendix A.1; Poole et al. 2019 (arXiv 1905.06922),
    section 2.3.""",
)
