"""MIO is α times DPO, plus a wall across DPO's flat direction, plus a pin of the chosen reward at 0."""

import numpy as np
import sympy as sp

from proofs.engine import (
    AS_DPO,
    TURNED,
    Example,
    Identity,
    Minimum,
    Part,
    Shipped,
    Sign,
    Theorem,
    dpo_loss,
    js_loss,
    oracles,
    pair_loss,
    positives,
    reals,
    strategies,
    word,
)

u, v, s, m = reals("u v s m")
a, lam, c = positives("a lambda c")
alpha = a / (1 + a)


def cosh(x):
    """½(eˣ + e^{−x})."""
    return (sp.exp(x) + sp.exp(-x)) / 2


def wall(common, margin):
    """ln(1 + cosh s/cosh(m/2))."""
    return sp.log(1 + cosh(common) / cosh(margin / 2))


def pin(reward):
    """2 ln(2 cosh(u/2)) = sp(u) + sp(−u)."""
    return 2 * sp.log(2 * cosh(reward / 2))


mix = word("α", alpha, r"\alpha")
loss = word("L_α", js_loss(u, v, alpha), r"L_\alpha")
dpo = word("L_DPO", dpo_loss(u, v), r"L_{\mathrm{DPO}}")
across = word("wall", wall((u + v) / 2, u - v))
held = word("pin", pin(u))
blend = c * dpo_loss(u, v) - lam * u  # DPO with an SFT term


def in_three_terms(chosen, rejected, mix):
    """α times DPO, plus α times the wall, plus 1 − α times the pin."""
    margin, level = chosen - rejected, (chosen + rejected) / 2
    barrier = np.log1p(np.cosh(level) / np.cosh(margin / 2))
    pinned = 2 * np.log(2 * np.cosh(chosen / 2))
    return mix * (oracles.dpo(chosen, rejected) + barrier) + (1 - mix) * pinned


THEOREM = Theorem(
    slug="mio_is_anchored_dpo",
    title="""the JS family's loss is α DPO plus a wall in DPO's flat direction plus a pin of the chosen reward,
    exactly""",
    purpose="To see what MIO adds to DPO: a wall in the flat direction and a pin of the chosen reward.",
    setting="""Let u = βz_w and v = βz_l, m = u − v the margin and s = (u + v)/2 the common level, which DPO does
    not see; L_DPO = sp(−m) and L_α = sp(−u) + (1 − α) sp(u) + α sp(v), α in (0, 1). Let the wall be ln(1 + cosh
    s/cosh(m/2)) and the pin 2 ln(2 cosh(u/2)).""",
    formula=r"""L_\alpha = \alpha\,L_{\mathrm{DPO}}(m) + \alpha \ln\Bigl[1 + \frac{\cosh s}{\cosh(m/2)}\Bigr] +
    2(1 - \alpha) \ln\bigl(2 \cosh \tfrac u2\bigr)""",
    assumptions=("one pair; any u and v", "α in (0, 1): at α = 1 there is no pin"),
    parts=(
        Part(
            "a",
            "Exactly, for every pair of rewards:",
            formula=(
                Identity("L_α in three terms", loss, mix * dpo + mix * across + (1 - mix) * held),
            ),
            checks=(
                Shipped(
                    "mi.preference_loss(js, α) is that sum, DPO by the library",
                    strategies.PAIR | strategies.MIX,
                    lambda chosen, rejected, mix: (
                        pair_loss(chosen, rejected, mix=mix)
                        - mix * pair_loss(chosen, rejected, "dv")
                    ),
                    lambda chosen, rejected, mix: (
                        mix
                        * oracles.ln(
                            1
                            + float(
                                sp.cosh((chosen + rejected) / 2) / sp.cosh((chosen - rejected) / 2)
                            )
                        )
                        + 2 * (1 - mix) * oracles.ln(2 * float(sp.cosh(chosen / 2)))
                    ),
                ),
            ),
            kernel=r"""
                forall a u v : R, 0 < a < 1 ->
                  let m := u - v in let s := (u + v) / 2 in
                  js_loss a u v = a * sp (- m) + a * ln (1 + cosh s / cosh (m / 2)) + (1 - a) * (2 * ln (2 *
                    cosh (u / 2)))
                """,
        ),
        Part(
            "b",
            """Both anchors are flat at the start and strictly convex: the wall in s at every margin, the pin in u.
            So they do not show in the first step; the pull that lifts the chosen response is DPO's share alone.""",
            formula=(
                Minimum("the pin is least at u = 0", pin(u), u, 0, 2 * sp.log(2)),
                Sign("the wall is convex in s", sp.diff(wall(s, m), s, 2), ">"),
            ),
            checks=(
                Identity("the wall has no slope at s = 0", sp.diff(wall(s, m), s).subs(s, 0), 0),
                Identity(
                    "the wall has no slope in m at m = 0", sp.diff(wall(s, m), m).subs(m, 0), 0
                ),
            ),
            kernel=r"""
                (forall m, is_derive (fun s => wall s m) 0 0)
                  /\ (forall m s, is_derive (fun s => wall s m) s (sinh s / (cosh (m / 2) + cosh s)))
                  /\ (forall m s, is_derive (fun s => sinh s / (cosh (m / 2) + cosh s)) s
                        ((1 + cosh (m / 2) * cosh s) / (cosh (m / 2) + cosh s) ^ 2)
                        /\ 0 < (1 + cosh (m / 2) * cosh s) / (cosh (m / 2) + cosh s) ^ 2)
                  /\ (forall s, is_derive (fun m => wall s m) 0 0)
                  /\ (forall u, is_derive pin u (2 * sg u - 1) /\ is_derive (fun u => 2 * sg u - 1) u (2 * (sg
                    u * (1 - sg u)))
                        /\ 0 < 2 * (sg u * (1 - sg u)))
                  /\ is_derive pin 0 0
                  /\ (forall u, u <> 0 -> 2 * ln 2 < pin u) /\ pin 0 = 2 * ln 2
                  /\ (forall a, 0 < a < 1 -> is_derive (fun u => js_loss a u 0) 0 (a * (- 1/2)) /\ is_derive
                    (fun v => js_loss a 0 v) 0 (a * (1/2)))
                  /\ is_derive (fun u => dpo u 0) 0 (- 1/2) /\ is_derive (fun v => dpo 0 v) 0 (1/2)
                """,
        ),
        Part(
            "c",
            """An SFT term −λu has the slope −λ from the first step on, no minimum and no pin. No mix of DPO and SFT
            is any L_α: c L_DPO − λu has a mixed second derivative in u and v, and L_α has none.""",
            checks=(
                Identity(
                    "L_α has no mixed second derivative", sp.diff(js_loss(u, v, alpha), u, v), 0
                ),
                Sign("DPO with SFT has a mixed second derivative", sp.diff(blend, u, v), "<"),
                Identity("SFT's slope at the start", sp.diff(blend - c * dpo_loss(u, v), u), -lam),
            ),
            kernel=r"""
                (forall lam u, is_derive (fun u => - lam * u) u (- lam))
                  /\ (forall lam, 0 < lam -> forall b, exists u, - lam * u < b)
                  /\ (forall c lam u v, is_derive (fun u => c * dpo u v - lam * u) u (- c * sg (v - u) - lam)
                       /\ is_derive (fun v => - c * sg (v - u) - lam) v (- c * (sg (v - u) * (1 - sg (v - u))))
                       /\ (0 < c -> - c * (sg (v - u) * (1 - sg (v - u))) < 0))
                  /\ (forall a u v, is_derive (fun u => js_loss a u v) u ((2 - a) * sg u - 1))
                  /\ (forall a c lam k, 0 < a < 1 -> ~ (forall u v, js_loss a u v = c * dpo u v - lam * u + k))
                """,
        ),
    ),
    proof="""(1 + e^{−u})(1 + e^v) = (1 + e^{−m})(1 + cosh s/cosh(m/2)): take logarithms, sp(−u) + sp(v) = sp(−m) +
    wall. And L_α = α(sp(−u) + sp(v)) + (1 − α)(sp(u) + sp(−u)), with sp(u) + sp(−u) = 2 ln(2 cosh(u/2)).""",
    example=Example(
        "MIO's shipped loss of one pair, beside its three terms",
        lambda chosen, rejected, mix: pair_loss(chosen, rejected, "js", mix),
        in_three_terms,
        {"chosen": 1.0, "rejected": -1.0, "mix": 0.5},
    ),
    false_neighbours=(
        Sign("the anchors pull the chosen response up", -sp.diff(pin(u), u), ">="),
        Identity(
            "MIO is DPO with an SFT term: their mixed derivatives agree",
            sp.diff(blend, u, v),
            sp.diff(js_loss(u, v, alpha), u, v),
        ),
        Identity("the wall depends on s alone", sp.diff(wall(s, m), m), 0),
        Identity(
            "without the pin the sum is L_α",
            js_loss(u, v, alpha),
            alpha * (dpo_loss(u, v) + wall((u + v) / 2, u - v)),
        ),
    ),
    mutants=(TURNED, AS_DPO),
    uses=("mio_is_half_mixed_js", "dpo_flat_direction"),
    about=("preference_loss",),
    reference="This project.",
)
