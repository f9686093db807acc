"""The figures of the experiment: one a question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.smollm2_offline import plan as offline_plan
from benchmarks.smollm2_offline import tables as offline
from benchmarks.smollm2_online import plan as online_plan
from benchmarks.smollm2_online import tables as online
from mi_estimators.display.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY

Rows = list[dict]
OFFLINE = {"DPO": BLUE, "MIO": PINK, "BCE": RED, "NWJ": ORANGE, "InfoNCA": SKY, "SFT": GREEN}
ONLINE = dict(zip(online_plan.ARMS, (RED, ORANGE, PINK, BLUE, GREEN), strict=True))

DISPLACEMENT = """How likely a right answer still is (z_w, upwards) when a wrong one has been pushed down so far
(−z_l, to the right): ln π/π_ref in nats, means over held-out pairs, a line a seed, from the start (0, 0) to the end
of training. At one place on the horizontal axis all losses have done equal work on the wrong answers. A line that
first rises and then falls loses right answers too; lines on top of one another mean that the loss makes no difference
at equal work."""
DECLINE = """The same right answers (z_w, nats) against training steps under DPO, a colour a β: the smaller β, the
further DPO goes. A fall after a rise is the decline that the paper speaks of."""
ESCAPE = """Rounds of 16 questions until half of the sampled answers are right, against 1/ε, ε the success before
training; a dot a run, arrows for runs that ended before. Lines: the theorems' times, in units that make the leftmost
mean right. Theory: arms that must find right answers themselves slow down in proportion to 1/ε, those that are given
one do not."""


def displacement(rows: Rows) -> Figure | None:
    """Return z_w against −z_l, an arm a colour; None without rows."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes, drawn = figure.subplots(), False
    for arm, colour in OFFLINE.items():
        for k, row in enumerate(offline.runs_of(rows, arm)):
            depth = [-value for value in row["z_rejected"]]
            axes.plot(depth, row["z_chosen"], color=colour, lw=1.2, label=None if k else arm)
            drawn = True

    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel="wrong answers pushed down, −z_l, nats", ylabel="right answers, z_w, nats")
    return _finished(figure, drawn)


def decline(rows: Rows) -> Figure | None:
    """Return DPO's z_w against steps, a colour a β; None without rows."""
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    betas = sorted({row["beta"] for row in rows if row["arm"] == "DPO"})
    colours = dict(zip(betas, (RED, ORANGE, BLUE, SKY, GREEN), strict=False))

    for beta in betas:
        for k, row in enumerate(offline.runs_of(rows, "DPO", beta=beta)):
            label = None if k else f"β = {beta:g}"
            axes.plot(row["steps"], row["z_chosen"], color=colours[beta], lw=1.2, label=label)

    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel="training steps", ylabel="right answers, z_w, nats")
    return _finished(figure, bool(betas))


def escape(rows: Rows) -> Figure | None:
    """Return the rounds until ½ against 1/ε, an arm a colour, with the theorems' lines; None without rows."""
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    axes, drawn = figure.subplots(), False
    levels = online.levels_of(rows)

    for place, (name, arm) in enumerate(online_plan.ARMS.items()):
        shift = 1 + 0.05 * (place - 2)  # dots of several arms stand beside one another
        means: list[tuple[float, float]] = []
        for level in online_plan.LEVELS:
            own = online.runs_of(rows, name, level)
            if level not in levels or not own:
                continue

            drawn, epsilon = True, levels[level]["success"]
            for row in own:
                half = row["until_half"]
                marker = "o" if half else r"$\uparrow$"
                x, y = shift / epsilon, half or row["rounds"]
                axes.plot(x, y, marker=marker, color=ONLINE[name], ms=5)

            if all(row["until_half"] for row in own):
                means.append((epsilon, float(np.mean([row["until_half"] for row in own]))))

        axes.plot([], [], "o", color=ONLINE[name], label=name)
        if means and arm.time(means[0][0], 2):
            _line(axes, arm, means[0], [row["success"] for row in levels.values()], ONLINE[name])

    axes.set(xscale="log", yscale="log", xlabel="1/ε before training", ylabel="rounds to ½")
    return _finished(figure, drawn)


def _finished(figure: Figure, drawn: bool) -> Figure | None:
    """Return a figure with its legend; None where there was nothing to draw."""
    if not drawn:
        return None
    figure.axes[0].legend(frameon=False, fontsize=8)
    return figure


def _line(
    axes, arm: online_plan.Arm, first: tuple[float, float], epsilons: Sequence[float], colour: str
) -> None:
    """Draw a theorem's times through the first mean."""
    grid = np.geomspace(max(epsilons), min(epsilons), 30)
    grid = grid[grid < 0.49]
    unit = first[1] / arm.time(first[0], 2)  # type: ignore[operator]  # it has one
    times = [unit * (arm.time(float(epsilon), 2) or np.nan) for epsilon in grid]
    axes.plot(1 / grid, times, color=colour, lw=0.9, alpha=0.7)


FIGURES = {
    "displacement": (offline_plan, displacement, DISPLACEMENT),
    "decline": (offline_plan, decline, DECLINE),
    "escape": (online_plan, escape, ESCAPE),
}
"""Name → the part whose rows it shows, how it is drawn, and its caption."""
