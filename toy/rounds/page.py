"""The report's section on what MIO learns, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mi_estimators.display import GREY, INK, PALETTE, Page
from mi_estimators.display.style import BLUE, GREEN, PINK, RED

from ..rows import Row, of


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    kinds = ("Knockout", "FlippedLabels", "Parts")
    measured = [of(rows, kind)[:1] for kind in kinds]
    if not any(measured):
        return

    page.heading("What MIO learns: best of two, round by round")
    for row in measured[0]:
        page.figure(
            "rounds",
            rounds_figure(row),
            """On-policy rounds: both responses of a pair are drawn from the policy, the better one is chosen, the
            reference is reset, and MIO at β = 1 runs to its end. Left: the policy after each round, worst response
            first; bars by the flow of the library's loss, dots by theory, the law of the best of 2^t draws from the
            start (theorem rounds_are_a_knockout). Right: KL from the start, with the line t ln 2 − 1 + 2^(−t) that no
            ranking exceeds. To see: one round is best of two, for at most ln 2 − ½ = 0.193 nats; a rare best response
            nearly doubles its mass a round, so 20 rounds lift it from one in a million to one half.""",
        )

    for row in measured[1]:
        page.figure(
            "label_noise",
            noise_figure(row),
            """Where MIO's rewards rest when labels are flipped at the rate η, for pairs without a common response.
            Points: the flow of the library's loss; curves: ln 2(1 − η) and ln 2η (theorem label_noise). To see: the
            wrong response's plateau v is finite and tells the rate, η = e^v/2; without noise it sinks for ever. The
            chosen reward's anchor moves, too, from ln 2 down to 0 at η = ½, where labels say nothing.""",
        )

    for row in measured[2]:
        page.figure(
            "parts",
            parts_figure(row),
            """MIO's loss along DPO's flat direction s = (u + v)/2, the common movement of both rewards, at three
            margins m = u − v; a panel each. Its parts, which add up exactly (theorem mio_is_anchored_dpo): half of
            DPO's loss, which does not change; a wall in s, which bites once |s| exceeds m/2; and a pin of the chosen
            reward u = s + m/2 at 0. To see: the pin pulls the chosen response back to 0 from both sides, and no part
            pulls it up.""",
        )


def rounds_figure(row: Row) -> Figure:
    """Policies after each round, and their price in nats."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    policies, laws = row["measured"]["policy"], row["theory"]["policy"]
    width = 0.8 / len(policies[0])

    for k, tint in zip(range(len(policies[0])), PALETTE, strict=False):
        places = np.arange(len(policies)) + (k - (len(policies[0]) - 1) / 2) * width
        left.bar(
            places,
            [p[k] for p in policies],
            width,
            color=tint,
            alpha=0.55,
            label=f"rank {k + 1}",
        )

        left.plot(
            places,
            [p[k] for p in laws],
            "o",
            ms=4,
            color=INK,
        )

    left.set_xticks(range(len(policies)), [f"{t}" for t in range(len(policies))])
    left.set(xlabel="rounds", ylabel="probability")
    left.legend(ncols=2, fontsize=8)

    rounds = range(len(policies))
    right.plot(rounds, row["measured"]["nats"], "o", color=PINK, label="flow")
    right.plot(
        rounds,
        row["theory"]["nats"],
        color=PINK,
        lw=1,
        label="theory",
    )

    right.plot(rounds, row["theory"]["nats_at_most"], "--", color=GREY, label="at most")
    right.set(xlabel="rounds", ylabel="KL from the start, nats")
    right.set_xticks(list(rounds))
    right.legend(fontsize=8)

    return figure


def noise_figure(row: Row) -> Figure:
    """Both rewards' plateaus against the rate of flipped labels."""
    figure = Figure(figsize=(5.4, 3.4), layout="constrained")
    axes = figure.subplots()
    line = np.linspace(0.01, 0.5, 200)
    for name, tint, curve in (
        ("chosen", GREEN, np.log(2 * (1 - line))),
        ("rejected", RED, np.log(2 * line)),
    ):
        axes.plot(line, curve, color=tint, lw=1)
        axes.plot(
            row["spec"]["rates"],
            row["measured"][name],
            "o",
            color=tint,
            ms=4,
            label=name,
        )

    axes.set(xlabel="rate of flipped labels η", ylabel="reward at rest, nats")
    axes.legend()
    return figure


def parts_figure(row: Row) -> Figure:
    """The loss and its three parts along s, a panel a margin."""
    margins = row["spec"]["margins"]
    figure = Figure(figsize=(3.4 * len(margins) + 0.6, 3.4), layout="constrained")
    panels = figure.subplots(1, len(margins), sharey=True, squeeze=False)[0]
    common = row["theory"]["common"]

    for k, (axes, margin) in enumerate(zip(panels, margins, strict=True)):
        measured, theory = row["measured"], row["theory"]
        axes.plot(common, measured["loss"][k], color=INK, label="MIO")
        axes.plot(common, measured["dpo"][k], "--", color=BLUE, label="½ DPO")
        axes.plot(common, theory["wall"][k], color=PINK, lw=1.2, label="wall")
        axes.plot(common, theory["pin"][k], color=GREEN, lw=1.2, label="pin")
        axes.set(xlabel="common movement s", title=f"margin m = {margin:g}")

    panels[0].set_ylabel("loss, nats")
    panels[0].legend(fontsize=8)
    return figure
