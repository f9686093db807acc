"""MIO at 2β beside DPO at β, equal at the start: which one pulls the chosen and pushes the rejected response more."""

import numpy as np
import sympy as sp

from mi_estimators.theory import chosen_pull, rejected_push
from proofs.engine import (
    HALF,
    HALF_LOSS,
    NEARLY,
    Example,
    Holds,
    Identity,
    Part,
    Shipped,
    Sign,
    Theorem,
    Values,
    compiled,
    dpo_loss,
    js_loss,
    numerics,
    pair_gradient,
    positives,
    reals,
    sigmoid,
    strategies,
)

z_w, z_l, u, v = reals("z_w z_l u v")
beta, w, Y, s, t = positives("beta w Y s t")  # w = e^{v − u} and Y = e^{2u}


dpo = dpo_loss(beta * z_w, beta * z_l)


def mio(b):
    """L_MIO at the temperature b."""
    return js_loss(b * z_w, b * z_l)


rewards: Values = {z_w: u / beta, z_l: v / beta}
pull = {"MIO": 2 * chosen_pull(2 * u, HALF), "DPO": sigmoid(v - u)}  # −∂L/∂z_w over β
push = {"MIO": 2 * rejected_push(2 * v, HALF), "DPO": sigmoid(v - u)}  # ∂L/∂z_l over β
by_Y = (2 - Y) / (1 + Y)
edge = u + sp.log((2 - sp.exp(2 * u)) / (2 * sp.exp(2 * u) - 1))  # h(u)
edge_by_Y = sp.log(Y) / 2 + sp.log((2 - Y) / (2 * Y - 1))
more = by_Y - w / (1 + w)  # MIO's pull minus DPO's
inside = (HALF + 2 * s) / (1 + s)  # any Y in (½, 2)
limit = (2 - inside) / (2 * inside - 1)  # w on the edge


def shipped(chosen, rejected):
    """(pull, push) of MIO at 2β and of DPO at β, over β, from the shipped loss; the rewards are DPO's."""
    rows = []
    for bound, scale in (("js", 2), ("dv", 1)):
        g_w, g_l = pair_gradient(scale * chosen, scale * rejected, bound)
        rows.append([-scale * g_w, scale * g_l])
    return rows


def proved(chosen, rejected):
    """The four stated values."""
    values = {"u": chosen, "v": rejected}
    return [
        [compiled(pull["MIO"])(u=chosen), compiled(push["MIO"])(v=rejected)],
        [compiled(pull["DPO"])(**values), compiled(push["DPO"])(**values)],
    ]


def read_off(chosen, rejected):
    """Whether the shipped gradients obey the rule for u < 0 and u + v < 0: MIO pulls more and pushes less."""
    (pull_mio, push_mio), (pull_dpo, push_dpo) = shipped(chosen, rejected)
    return chosen >= 0 or chosen + rejected >= 0 or (pull_mio > pull_dpo and push_mio < push_dpo)


PAIR = strategies.PAIR


def crossing(reward):
    """The v at which MIO's pull at 2β is DPO's at β, by bisection."""

    def excess(other):
        return 2 * chosen_pull(2 * reward, 0.5) - 1 / (1 + np.exp(reward - other))

    return numerics.root(excess, -60.0, 60.0)


def in_closed_form(reward):
    """h(u) = u + ln((2 − e^{2u})/(2e^{2u} − 1))."""
    return reward + np.log((2 - np.exp(2 * reward)) / (2 * np.exp(2 * reward) - 1))


THEOREM = Theorem(
    slug="matched_gradients",
    title="MIO at 2β against DPO at β: once both have sunk, MIO pulls the chosen one more and pushes the other less",
    purpose="To compare MIO with DPO fairly: equal first steps, and what differs afterwards.",
    setting="""One pair, u = βz_w and v = βz_l; MIO at 2β and DPO at β, which have the same gradient at z = 0
    (mio_loss_floor). Call −(1/β) ∂L/∂z_w the pull on the chosen response and (1/β) ∂L/∂z_l the push on the
    rejected one. DPO: both are σ(v − u). MIO: pull 2 − 3σ(2u), push σ(2v).""",
    formula=r"""\text{MIO}(2\beta):\ \bigl(2 - 3\sigma(2u),\ \sigma(2v)\bigr) \qquad \text{DPO}(\beta):\
    \bigl(\sigma(v-u),\ \sigma(v-u)\bigr)""",
    assumptions=(
        "gradients in the log-ratios z of one pair; what they do to the parameters depends on the kernel",
        "the same z for both losses: a comparison at a point, not along two trajectories",
        "temperatures 2β and β; at equal ones MIO's first gradient is half of DPO's",
    ),
    parts=(
        Part(
            "a",
            "MIO pushes less iff u + v < 0.",
            checks=(
                Identity(
                    "MIO: the pull",
                    (-sp.diff(mio(2 * beta), z_w) / beta).subs(rewards),
                    pull["MIO"],
                ),
                Identity(
                    "MIO: the push",
                    (sp.diff(mio(2 * beta), z_l) / beta).subs(rewards),
                    push["MIO"],
                ),
                Identity("DPO: the pull", (-sp.diff(dpo, z_w) / beta).subs(rewards), pull["DPO"]),
                Identity("DPO: the push", (sp.diff(dpo, z_l) / beta).subs(rewards), push["DPO"]),
                Sign(
                    "MIO pushes less at v = −u − t",
                    (push["MIO"] - push["DPO"]).subs(v, -u - t),
                    "<",
                ),
                Identity("both push alike at v = −u", (push["MIO"] - push["DPO"]).subs(v, -u), 0),
                Sign(
                    "MIO pushes more at v = −u + t",
                    (push["MIO"] - push["DPO"]).subs(v, -u + t),
                    ">",
                ),
                Shipped(
                    "pulls and pushes of mi.preference_loss",
                    PAIR,
                    shipped,
                    proved,
                ),
            ),
            kernel=r"""
                forall u v : R, push v < sg (v - u) <-> u + v < 0
                """,
        ),
        Part(
            "b",
            "MIO's pull is positive iff u < ½ ln 2 (MIO's own reward 2βz_w < ln 2); DPO's always is.",
            checks=(
                Identity("MIO's pull by Y", pull["MIO"], by_Y.subs(Y, sp.exp(2 * u))),
                Sign(
                    "MIO's pull is positive below u = ½ ln 2",
                    pull["MIO"].subs(u, sp.log(2) / 2 - t),
                    ">",
                ),
                Sign(
                    "MIO's pull is negative above u = ½ ln 2",
                    pull["MIO"].subs(u, sp.log(2) / 2 + t),
                    "<",
                ),
            ),
            kernel=r"""
                forall u : R, (0 < pull u <-> u < 1/2 * ln 2) /\ forall v, 0 < sg (v - u)
                """,
        ),
        Part(
            "c",
            """For u ≤ −½ ln 2 MIO's pull is at least 1, more than DPO's can be, at any v. For |u| < ½ ln 2 it is
            the stronger iff v < h(u) = u + ln((2 − e^{2u})/(2e^{2u} − 1)), which decreases from ∞ to −∞ with h(0)
            = 0; h(u) > −u for u < 0 and h(u) < −u for u > 0. For u ≥ ½ ln 2 it is the weaker.""",
            checks=(
                Identity("MIO's pull is 1 at u = −½ ln 2", pull["MIO"].subs(u, -sp.log(2) / 2), 1),
                Sign(
                    "MIO's pull is more than 1 below u = −½ ln 2",
                    pull["MIO"].subs(u, -sp.log(2) / 2 - t) - 1,
                    ">",
                ),
                Identity(
                    "MIO's pull minus DPO's",
                    more,
                    ((2 - Y) - w * (2 * Y - 1)) / ((1 + Y) * (1 + w)),
                ),
                Sign(
                    "MIO pulls more where w is below the edge",
                    more.subs({Y: inside, w: limit / (1 + t)}),
                    ">",
                ),
                Identity("both pull alike on the edge", more.subs({Y: inside, w: limit}), 0),
                Sign(
                    "MIO pulls less above the edge", more.subs({Y: inside, w: limit * (1 + t)}), "<"
                ),
                Sign("h decreases", sp.diff(edge_by_Y, Y).subs(Y, inside), "<"),
                Identity("h(0) = 0", edge.subs(u, 0), 0),
            ),
            by_hand=("σ and e^x increase; h → ±∞ as Y → ½ and Y → 2, where one factor tends to 0",),
            kernel=r"""
                (forall u v, u <= - (1/2 * ln 2) -> 1 <= pull u /\ sg (v - u) < pull u)
                  /\ (forall u v, Rabs u < 1/2 * ln 2 -> (sg (v - u) < pull u <-> v < level u))
                  /\ (forall u w, Rabs u < 1/2 * ln 2 -> Rabs w < 1/2 * ln 2 -> u < w -> level w < level u)
                  /\ level 0 = 0
                  /\ (forall M, exists u, Rabs u < 1/2 * ln 2 /\ M < level u)
                  /\ (forall M, exists u, Rabs u < 1/2 * ln 2 /\ level u < M)
                  /\ (forall u, Rabs u < 1/2 * ln 2 -> (u < 0 -> - u < level u) /\ (0 < u -> level u < - u))
                  /\ (forall u v, 1/2 * ln 2 <= u -> pull u < sg (v - u))
                """,
        ),
        Part(
            "d",
            """So if the chosen response has sunk and u + v < 0, MIO pulls it more and pushes the rejected one less
            than DPO does; as v → −∞ at a fixed u where MIO pulls, DPO's pull vanishes and MIO's does not move.""",
            checks=(
                Identity("h against −u", Y * (2 - Y) - (2 * Y - 1), 1 - Y**2),
                Holds(
                    "mi.preference_loss pulls more and pushes less where (d) says so",
                    PAIR,
                    read_off,
                ),
            ),
            by_hand=("σ tends to 0 at −∞; the rest is (a) and (c)",),
            kernel=r"""
                (forall u v, u < 0 -> u + v < 0 -> sg (v - u) < pull u /\ push v < sg (v - u))
                  /\ (forall u e, 0 < e -> exists V, forall v, v < V -> sg (v - u) < e)
                """,
        ),
    ),
    proof="""Differentiate. (a) σ increases: 2v < v − u iff u + v < 0. (b) 2 − 3σ(2u) = (2 − Y)/(1 + Y), Y = e^{2u}.
    (c) With w = e^{v − u}, MIO's pull minus DPO's is ((2 − Y) − w(2Y − 1))/((1 + Y)(1 + w)): positive for Y ≤ ½,
    negative for Y ≥ 2, and between them positive iff w < (2 − Y)/(2Y − 1). The slope of h is negative, and e^{h(u) +
    u} is Y(2 − Y)/(2Y − 1), where Y(2 − Y) − (2Y − 1) = 1 − Y². (d) For u < 0, u + v < 0 gives v < −u < h(u), or u ≤
    −½ ln 2.""",
    example=Example(
        "the rejected reward at which MIO's and DPO's pulls are equal, u = 0.1, beside h(u)",
        crossing,
        in_closed_form,
        {"reward": 0.1},
    ),
    false_neighbours=(
        Identity(
            "the same at equal β",
            -sp.diff(mio(beta), z_w).subs({z_w: 0, z_l: 0}),
            beta / 2,
        ),
        Sign("MIO pushes the rejected one less everywhere", push["DPO"] - push["MIO"], ">="),
        Sign("MIO pulls more wherever it pulls up", more.subs(Y, 2 / (1 + s)), ">="),
        Identity("MIO stops pulling at βz_w = ln 2, β DPO's", pull["MIO"].subs(u, sp.log(2)), 0),
        Sign(
            "(d) needs no u + v < 0: the push at u < 0",
            (push["DPO"] - push["MIO"]).subs(u, -t),
            ">",
        ),
    ),
    mutants=(
        NEARLY,
        HALF_LOSS,
    ),
    uses=("mio_loss_floor", "mio_anchor"),
    about=("preference_loss", "theory.chosen_pull", "theory.rejected_push"),
    reference="""This project; the losses: Rafailov et al. 2023 (arXiv 2305.18290), eq. 7, Chen et al. 2024 (arXiv
    2402.05369), section 4 (NCA).""",
)
