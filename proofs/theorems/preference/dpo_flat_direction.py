"""DPO has a flat direction, the common mode (1, 1); the JS family has none."""

import numpy as np
import sympy as sp
import torch

import mi_estimators as mi
from proofs.engine import (
    RIDGE,
    Example,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    compiled,
    dpo_loss,
    js_loss,
    numerics,
    pair_loss,
    positives,
    reals,
    sigmoid,
    strategies,
    tensor,
)

beta, a = positives("beta a")  # α = a/(1 + a)
z_w, z_l, z_2, c = reals("z_w z_l z_2 c")
alpha = a / (1 + a)
PAIR, TRIPLE = (z_w, z_l), (z_w, z_l, z_2)

dpo = dpo_loss(beta * z_w, beta * z_l)
dv_family = -beta * z_w + sp.log(
    (1 - alpha) * sp.exp(beta * z_w) + alpha * sp.exp(beta * z_l)
)  # −DV at mix α
js_family = js_loss(beta * z_w, beta * z_l, alpha)
infonca = -beta * z_w + sp.log(sum(sp.exp(beta * z) for z in TRIPLE))  # two rejected responses


def hessian(loss, variables=PAIR):
    """The matrix of second derivatives in the log-ratios."""
    return sp.hessian(loss, variables)


def entries(name, left, right):
    """One identity for each entry of two matrices."""
    for index, (ours, theirs) in enumerate(zip(left, right, strict=True)):
        yield Identity(f"{name}, entry {index + 1}", ours, theirs)


def bend(u):
    """σ'(u) = σ(u) σ(−u)."""
    return sigmoid(u) * sigmoid(-u)


def shipped_hessian(bound, z, mix):
    """The second derivatives of the shipped loss in (βz_w, βz_l)."""

    def loss(scores):
        return mi.preference_loss(scores[:1], scores[1:], bound, mix).sum()

    matrix = torch.autograd.functional.hessian(loss, tensor(z))
    assert isinstance(matrix, torch.Tensor)  # as one tensor goes in
    return matrix.flatten().tolist()


def proved_hessian(loss):
    """The same from a proved expression, at β = 1."""
    values = [compiled(entry.subs(beta, 1)) for entry in hessian(loss)]
    return lambda z, mix: [f(z_w=z[0], z_l=z[1], a=mix / (1 - mix)) for f in values]


GIVEN = {"z": strategies.vectors(2), "mix": strategies.mixes()}
scale = beta**2 * bend(beta * (z_w - z_l))
ones = sp.Matrix([1, 1])


def common_bend(chosen, rejected, mix):
    """The second derivative of the shipped loss along (1, 1), by differences."""

    def loss(level):
        return pair_loss(chosen + level, rejected + level, "js", mix)

    return numerics.slope(lambda x: numerics.slope(loss, x, 1e-3), 0.0, 1e-3)


def in_closed_form(chosen, rejected, mix):
    """(2 − α) σ'(u) + α σ'(v) at β = 1."""
    own, other = (1 / (2 + 2 * np.cosh(reward)) for reward in (chosen, rejected))
    return (2 - mix) * own + mix * other


THEOREM = Theorem(
    slug="dpo_flat_direction",
    title="DPO is flat along (1, 1) in the log-ratios; the JS family is strictly convex",
    purpose="To see why DPO lets both responses sink together, and MIO does not.",
    setting="In the log-ratios (z_w, z_l) of one pair, with β > 0:",
    formula=r"""\nabla^2 L_{\mathrm{DPO}} = \beta^2 \sigma'(\beta(z_w - z_l)) \begin{pmatrix} 1 & -1 \\ -1 & 1
    \end{pmatrix}, \qquad \nabla^2 L_\alpha = \begin{pmatrix} \beta^2 (2 - \alpha)\,\sigma'(\beta z_w) &
    0 \\ 0 & \alpha \beta^2\, \sigma'(\beta z_l) \end{pmatrix}""",
    assumptions=(
        "β > 0, α in (0, 1), z_w and z_l finite",
        "derivatives are in the log-ratios of the pair, free of each other; through shared parameters directions mix",
    ),
    parts=(
        Part(
            "a",
            """L_DPO(z_w + c, z_l + c) = L_DPO(z_w, z_l) for every c, and its Hessian β² σ'(β(z_w − z_l)) [[1,
            −1], [−1, 1]] has rank 1 at every point, with the kernel spanned by (1, 1).""",
            checks=(
                Identity(
                    "DPO does not change along (1, 1)",
                    dpo.subs({z_w: z_w + c, z_l: z_l + c}, simultaneous=True),
                    dpo,
                ),
                *entries("DPO's Hessian", hessian(dpo), scale * sp.Matrix([[1, -1], [-1, 1]])),
                Sign("DPO: H₁₁ > 0, so rank 1", hessian(dpo)[0, 0], ">"),
            ),
            by_hand=(
                """a symmetric matrix with H·(1, …, 1) = 0 and a positive leading minor of order n − 1 has rank n
                − 1""",
            ),
            kernel=r"""
                forall beta zw zl : R, 0 < beta ->
                  let h := beta ^ 2 * bend (beta * (zw - zl)) in
                  (forall c, dpo (beta * (zw + c)) (beta * (zl + c)) = dpo (beta * zw) (beta * zl))
                  /\ is_derive (fun x => dpo (beta * x) (beta * zl)) zw (- beta * sg (beta * (zl - zw)))
                  /\ is_derive (fun y => dpo (beta * zw) (beta * y)) zl (beta * sg (beta * (zl - zw)))
                  /\ is_derive (fun x => - beta * sg (beta * (zl - x))) zw h
                  /\ is_derive (fun y => - beta * sg (beta * (y - zw))) zl (- h)
                  /\ is_derive (fun x => beta * sg (beta * (zl - x))) zw (- h)
                  /\ is_derive (fun y => beta * sg (beta * (y - zw))) zl h
                  /\ 0 < h
                  /\ (forall d e, h * d + - h * e = 0 /\ - h * d + h * e = 0 <-> d = e)
                """,
        ),
        Part(
            "b",
            """−DV at every mix α in (0, 1) is as invariant, and its Hessian has the same rank and kernel; so is
            InfoNCA with two rejected responses, along (1, 1, 1), which spans its kernel.""",
            checks=(
                *[
                    Identity(
                        f"{name} does not change",
                        loss.subs({z: z + c for z in TRIPLE}, simultaneous=True),
                        loss,
                    )
                    for name, loss in (("−DV at mix α", dv_family), ("InfoNCA", infonca))
                ],
                *entries("−DV at mix α: H·(1, 1) = 0", hessian(dv_family) * ones, sp.zeros(2, 1)),
                Sign("−DV at mix α: H₁₁ > 0, so rank 1", hessian(dv_family)[0, 0], ">"),
                *entries(
                    "InfoNCA: H·(1, 1, 1) = 0",
                    hessian(infonca, TRIPLE) * sp.ones(3, 1),
                    sp.zeros(3, 1),
                ),
                Sign("InfoNCA: H₁₁ > 0", hessian(infonca, TRIPLE)[0, 0], ">"),
                Sign(
                    "InfoNCA: the leading 2 × 2 minor is positive, so rank 2",
                    hessian(infonca, TRIPLE)[:2, :2].det(),
                    ">",
                ),
                Shipped(
                    "Hessian of preference_loss(dv, α)",
                    GIVEN,
                    lambda z, mix: shipped_hessian("dv", z, mix),
                    proved_hessian(dv_family),
                ),
            ),
            by_hand=(
                """a symmetric matrix with H·(1, …, 1) = 0 and a positive leading minor of order n − 1 has rank n
                − 1""",
            ),
            kernel=r"""
                (forall a beta zw zl : R, 0 < a < 1 -> 0 < beta ->
                     let k := ln (a / (1 - a)) in
                     let h := beta ^ 2 * bend (beta * (zl - zw) + k) in
                     (forall c, minus_dv a beta (zw + c) (zl + c) = minus_dv a beta zw zl)
                     /\ is_derive (fun x => minus_dv a beta x zl) zw (- beta * sg (beta * (zl - zw) + k))
                     /\ is_derive (fun y => minus_dv a beta zw y) zl (beta * sg (beta * (zl - zw) + k))
                     /\ is_derive (fun x => - beta * sg (beta * (zl - x) + k)) zw h
                     /\ is_derive (fun y => - beta * sg (beta * (y - zw) + k)) zl (- h)
                     /\ is_derive (fun x => beta * sg (beta * (zl - x) + k)) zw (- h)
                     /\ is_derive (fun y => beta * sg (beta * (y - zw) + k)) zl h
                     /\ 0 < h
                     /\ (forall d e, h * d + - h * e = 0 /\ - h * d + h * e = 0 <-> d = e))
                  /\ (forall (X : Type) (l : list X) (w : X) (beta : R) (z : X -> R), l <> [] -> 0 < beta ->
                     let p := fun s d => soft l (along (fun x => beta * z x) (fun x => beta * d x) s) in
                     (forall c, infonca l w beta (fun x => z x + c) = infonca l w beta z)
                     /\ (forall d s, is_derive (fun s => infonca l w beta (fun x => z x + s * d x)) s (beta
                       * (E l (p s d) d - d w)))
                     /\ (forall d e s, is_derive (fun s => beta * (E l (p s e) d - d w)) s
                           (beta ^ 2 * E l (p s e) (fun x => (e x - E l (p s e) e) * d x)))
                     /\ (forall e s, (forall d, E l (p s e) (fun x => (e x - E l (p s e) e) * d x) = 0) <->
                       forall x, In x l -> e x = E l (p s e) e))
                """,
        ),
        Part(
            "c",
            """L_α = sp(−βz_w) + (1 − α) sp(βz_w) + α sp(βz_l) has the Hessian diag(β²(2 − α) σ'(βz_w), αβ²
            σ'(βz_l)), positive definite at every point. Hence DPO leaves the common level of z_w and z_l to the
            architecture and the optimiser.""",
            checks=(
                *entries(
                    "L_α's Hessian",
                    hessian(js_family),
                    sp.diag(
                        beta**2 * (2 - alpha) * bend(beta * z_w), alpha * beta**2 * bend(beta * z_l)
                    ),
                ),
                Sign("L_α: H₁₁ > 0", hessian(js_family)[0, 0], ">"),
                Sign("L_α: H₂₂ > 0", hessian(js_family)[1, 1], ">"),
                Shipped(
                    "Hessian of preference_loss(js, α)",
                    GIVEN,
                    lambda z, mix: shipped_hessian("js", z, mix),
                    proved_hessian(js_family),
                ),
            ),
            kernel=r"""
                forall a beta zw zl : R, 0 < a < 1 -> 0 < beta ->
                  let L := fun x y => js_loss a (beta * x) (beta * y) in
                  let hw := beta ^ 2 * ((2 - a) * bend (beta * zw)) in
                  let hl := beta ^ 2 * (a * bend (beta * zl)) in
                  (forall x y, is_derive (fun x => L x y) x (beta * ((2 - a) * sg (beta * x) - 1)))
                  /\ (forall x y, is_derive (fun y => L x y) y (beta * (a * sg (beta * y))))
                  /\ is_derive (fun x => beta * ((2 - a) * sg (beta * x) - 1)) zw hw
                  /\ is_derive (fun y => beta * (a * sg (beta * y))) zl hl
                  /\ 0 < hw /\ 0 < hl
                  /\ (forall d e, (d, e) <> (0, 0) -> 0 < hw * d ^ 2 + 2 * 0 * d * e + hl * e ^ 2)
                """,
        ),
    ),
    proof="""DV is invariant under T → T + c, so −DV is constant along (1, 1) and H·(1, 1) = 0; the entry H₁₁ > 0
    leaves rank 1. The JS family's two terms depend on one variable each, and softplus is strictly convex. With two
    rejected responses the Hessian is β² times the covariance of the softmax weights, and its leading 2 × 2 minor is
    positive.""",
    example=Example(
        "MIO's curvature along (1, 1) at β = 1, where DPO's is 0",
        common_bend,
        in_closed_form,
        {"chosen": 1.0, "rejected": -1.0, "mix": 0.5},
    ),
    false_neighbours=(
        Identity(
            "MIO does not change along (1, 1) either",
            js_family.subs({z_w: z_w + c, z_l: z_l + c}, simultaneous=True),
            js_family,
        ),
        Identity("DPO is flat along (1, −1)", (hessian(dpo) * sp.Matrix([1, -1]))[0], 0),
        Sign("DPO's Hessian is positive definite", hessian(dpo).det(), ">"),
        Identity(
            "MIO couples the two responses as DPO does",
            hessian(js_family)[0, 1],
            hessian(dpo)[0, 1],
        ),
    ),
    mutants=(RIDGE,),
    uses=("dpo_is_half_mixed_dv", "mio_is_half_mixed_js"),
    about=("preference_loss",),
    reference="Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; Razin et al. 2024 (arXiv 2410.08847).",
)
