"""The report's section on the anchor: tables and text, from rows alone."""

from __future__ import annotations

import numpy as np

from mi_estimators.display import Page, Table, number

from ..rows import Row, of
from . import figures


def section(page: Page, rows: list[Row]) -> None:
    """Add where MIO and its relatives leave the chosen response."""
    flows, networks, choices = (
        of(rows, kind) for kind in ("AnchorFlow", "AnchorNetwork", "AnchorChoice")
    )
    if flows or networks or choices:
        page.heading("The anchor: how far MIO lifts the chosen response, and what α changes")

    if flows:
        spec = flows[0]["spec"]
        page.figure(
            "anchor",
            figures.flow_figure(flows),
            f"""End of the tabular flow (time {spec["time"]:g}/(β²(1 − α)), {spec["responses"]} responses: one chosen,
            of base probability ε, one rejected, the others unseen; wrong ones equally likely). Left: final
            π_w/π_ref,w at the smallest ε. Lines: min((1 − α)^(−1/β), 1/ε). Right: final π_w against the target (1 −
            α)^(−1/β) ε for every α, β and ε; line: min(1, target). Squares: a base policy with nearly all of 1 − ε on
            the rejected response. To see: far below 1 all points lie on the line. Above a target of roughly ½ at β <
            ½, and much earlier from the peaked base, the flow passes the target and ends at 1: pushing the rejected
            response down leaves its mass to the chosen one, and what remains on the unseen ones is too little to pull
            it back. For β above ½ the limit of infinite time is min(1, target) (theorem mio_tabular_limit). Points
            above the line have not come back yet: the less mass is left on the unseen responses, the longer that
            takes.""",
        )
        page.table("Where the tabular flow ends", ends_table(flows), folded=True)

    if networks:
        spec = networks[0]["spec"]
        page.figure(
            "plateau",
            figures.network_figure(networks),
            f"""The same on a network: two hidden tanh layers of {spec["width"]} units, softmax over 10 responses,
            {spec["prompts"]} prompts with a random pair each, base policy the random network itself,
            {spec["replicas"]} seeds, {spec["steps"]} steps of plain descent at learning rate {spec["rate"]:g}/β².
            Left: mean chosen reward βz_w over training at the largest β, median and quartiles over seeds; dotted:
            anchors −ln(1 − α). Right: final z_w of every pair, against what the law says for it: −ln(1 − α)/β, or −ln
            π_ref,w where that is less (line: equality). To see: the reward rises to the anchor and stays there,
            although prompts share features: there are enough features to serve every pair. A few pairs stay above the
            line, beyond their target, as on the table of logits.""",
        )

        page.table("The network's chosen reward", network_table(networks))
        outside = sum(row["measured"]["outside_interval"] for row in networks)
        page.text(
            f"""Steps with a mean loss of at most 2 ln 2 and a mean chosen reward outside the no-collapse interval:
            {outside}, by theory 0 (theorem mio_no_collapse). In nats of z_w the interval is divided by β: for MIO
            [−0.855, 2.546]/β. It bounds the mean over pairs, not each pair."""
        )

    if choices:
        spec = choices[0]["spec"]
        page.figure(
            "alpha",
            figures.choice_figure(choices),
            f"""What the recommended α, 1 − α = ε^β, buys and costs (tabular flow, {spec["responses"]} responses).
            Left: final π_w. Lines: min(1, 2^(1/β) ε) for MIO, 1 for α-MIO. Where MIO's point is at 1 and its line
            below, the flow passed its target. Middle: time to π_w = ½ at equal β (double DPO's β for α-MIO to compare
            at equal first gradients). Lines: DPO's closed form, and α-MIO's with the chosen term alone. The points
            are faster, since the rejected term still pushes with comparable force on the last stretch. Right, theory
            alone: the ends u₋ < 0 < u₊ of the interval that holds the mean chosen reward while the loss is at most
            its start, and the anchor; dotted: MIO. To see: α-MIO reaches 1 (at this finite time 0.97 or more) where
            MIO cannot, in a time like ε^(−β). With unseen responses DPO needs ε^(−2β), not the ε^(−β) of two
            responses: half of its margin goes to the rejected response. The price: the upper end grows like 2 ln 2 ·
            ε^(−β), which is hardly a bound. The lower end moves by less than 0.245 in βz_w, 0.245/β nats of z_w
            (theorem alpha_frees_the_anchor), so the protection against collapse stays.""",
        )
        page.table("MIO, α-MIO and DPO", choices_table(choices), folded=True)


def ends_table(rows: list[Row]) -> Table:
    """How the ends of the flow divide: at the ceiling, at 1 beyond it, and neither."""
    body = []
    for row in rows:
        spec = row["spec"]
        base = "even" if spec["rejected"] is None else f"{spec['rejected']:g} on the rejected"
        for b, beta in enumerate(spec["betas"]):
            ends, ceilings = (np.array(row[part]["end"][b]) for part in ("measured", "theory"))
            below = ceilings < 0.97
            gaps = np.abs(ends[below] / ceilings[below] - 1)
            near = gaps[gaps <= 0.05]
            highest = (np.array(row["measured"]["highest"][b]) / ceilings).max()
            body.append(
                (
                    f"{spec['mix']:g}",
                    base,
                    f"{beta:g}",
                    str(int(below.sum())),
                    str(len(near)),
                    f"{near.max():.1e}" if len(near) else "",
                    str(int((ends[below] > 0.97).sum())),
                    f"{highest:.2f}",
                )
            )

    head = ("α", "wrong mass", "β", "ceilings < 0.97", "within 5 %", "largest gap there", "at 1")
    return Table((*head, "highest/ceiling"), body)


def network_table(rows: list[Row]) -> Table:
    """The network's plateau and its pairs beside the law."""
    body = []
    for row in rows:
        measured, theory = row["measured"], row["theory"]
        for b, beta in enumerate(row["spec"]["betas"]):
            gap = np.array(measured["z_chosen"][b]) - np.array(theory["z_chosen"][b])
            low, middle, high = measured["reward"][b][-1]
            body.append(
                (
                    f"{row['spec']['mix']:g}",
                    f"{beta:g}",
                    f"{middle:.3f} [{low:.3f}, {high:.3f}]",
                    number(theory["anchor"]),
                    f"{np.median(gap):+.4f}, {gap.min():+.3f} to {gap.max():+.3f}",
                    "[{:.3f}, {:.3f}]".format(*measured["range"][b]),
                    "[{:.3f}, {:.3f}]".format(*theory["interval"]),
                )
            )

    head = ("α", "β", "βz_w [quartiles]", "anchor", "z_w − law: median, range", "βz_w seen")
    return Table((*head, "no-collapse interval"), body)


def choices_table(rows: list[Row]) -> Table:
    """MIO, α-MIO and DPO for every β and ε beside theory."""
    body = []
    for row in rows:
        measured, theory = row["measured"], row["theory"]
        for k, eps in enumerate(row["spec"]["eps"]):
            ends, times = (
                [
                    f"{number(measured[key][loss][k], digits)} ({number(theory[key][loss][k], digits)})"
                    for loss in losses
                ]
                for key, losses, digits in (
                    ("end", ("mio", "alpha"), 3),
                    ("time", ("mio", "alpha", "dpo"), 4),
                )
            )

            setting = (f"{row['spec']['beta']:g}", f"{eps:g}", f"{1 - theory['mix'][k]:.2g}")
            body.append((*setting, *ends, *times, f"{theory['interval'][k][1]:.3g}"))

    head = (
        "β",
        "ε",
        "1 − α",
        "MIO's π_w (theory)",
        "α-MIO's",
        "MIO's time to ½ (theory)",
        "α-MIO's",
        "DPO's",
        "u₊",
    )

    return Table(head, body)
