"""The figures of the experiment: one a question."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmarks.smollm2_offline import compare
from benchmarks.smollm2_offline import plan as offline_plan
from benchmarks.smollm2_offline import tables as offline
from benchmarks.smollm2_online import plan as online_plan
from benchmarks.smollm2_online import tables as online
from mi_estimators.display.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY

Rows = list[dict]
OFFLINE = {"DPO": BLUE, "MIO": PINK, "BCE": RED, "NWJ": ORANGE, "InfoNCA": SKY, "SFT": GREEN}
ONLINE = dict(zip(online_plan.ARMS, (RED, ORANGE, PINK, BLUE, GREEN), strict=True))

DISPLACEMENT = """How likely a right answer still is (z_w, upwards) when a wrong one has been pushed down so far
(−z_l, to the right): a panel a loss. Both are ln π/π_ref on held-out pairs, in nats: 0 is the model before training,
−0.7 is half as likely. Training starts at (0, 0) and moves to the right. The line is the mean over seeds, the band goes
from the lowest seed to the highest, and both end where the first seed does. The dashed line is DPO's mean, the same in
every panel. At one place on the horizontal axis all losses have done equal work on the wrong answers. A line above the
dashed one keeps right answers likelier at equal work; where the dashed line lies inside the band, these runs do not
tell the two losses apart."""
DECLINE = """The same right answers (z_w, nats) against training steps under DPO, a colour a β: means over seeds,
bands from the lowest seed to the highest. A fall after a rise is the decline that the paper speaks of. A fall from the
start is another matter: the last two tables under *Offline* say what it comes from."""
ESCAPE = """Rounds of 16 questions until half of the sampled answers are right, against 1/ε, ε the success before
training; a dot a run, arrows for runs that ended before. Dots of several arms are moved apart, by at most a tenth of
1/ε. Lines: the theorems' times, in units that make the leftmost mean right. By the theorems arms that must find right
answers themselves slow down in proportion to 1/ε, and those that are given one more slowly than that; where an arm's
dots leave its line, they do not hold here."""


def displacement(rows: Rows) -> Figure | None:
    """Return z_w against −z_l, a panel an arm; None without rows."""
    bands = {}
    for arm in OFFLINE:
        if runs := offline.runs_of(rows, arm):
            bands[arm] = at_depths(runs)

    if not bands:
        return None

    columns = min(3, len(bands))
    lines = math.ceil(len(bands) / columns)
    figure = Figure(figsize=(7.6 / 3 * columns, 2.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[len(bands) :]:
        panel.set_visible(False)

    for panel, (arm, (depths, values)) in zip(panels.flat, bands.items(), strict=False):
        _band(panel, depths, values, OFFLINE[arm])
        if "DPO" in bands and arm != "DPO":
            depths, values = bands["DPO"]
            panel.plot(depths, values.mean(0), "--", color=GREY, lw=1.2)

        panel.axhline(0, color=GREY, lw=0.8)
        panel.set_title(arm)

    figure.supxlabel("wrong answers pushed down, −z_l, nats")
    figure.supylabel("right answers, z_w, nats")
    return figure


def at_depths(runs: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return depths −z_l, as far as every run goes, and z_w at them, shape (runs, depths)."""
    deepest = min(-min(row["z_rejected"]) for row in runs)
    depths = np.linspace(0, max(deepest, 0), 80, endpoint=False)
    values = []
    for row in runs:
        curve = row["z_chosen"], row["z_rejected"]
        values.append([0.0, *(compare.at_depth(*curve, depth) for depth in depths[1:])])

    return depths, np.array(values, dtype=float)


def decline(rows: Rows) -> Figure | None:
    """Return DPO's z_w against steps, a colour a β; None without rows."""
    figure = Figure(figsize=(5.6, 3.4), layout="constrained")
    axes = figure.subplots()
    betas = sorted({row["beta"] for row in rows if row["arm"] == "DPO"})
    colours = dict(zip(betas, (RED, ORANGE, BLUE, SKY, GREEN), strict=False))

    for beta in betas:
        runs = offline.runs_of(rows, "DPO", beta=beta)
        length = min(len(row["steps"]) for row in runs)
        values = np.array([row["z_chosen"][:length] for row in runs])
        _band(axes, runs[0]["steps"][:length], values, colours[beta], f"β = {beta:g}")

    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel="training steps", ylabel="right answers, z_w, nats")
    return _finished(figure, bool(betas))


def _band(
    axes, x: Sequence[float] | np.ndarray, values: np.ndarray, colour: str, label: str = ""
) -> None:
    """Draw the mean over the first axis, and a band from the lowest value to the highest."""
    axes.fill_between(x, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
    axes.plot(x, values.mean(0), color=colour, lw=1.6, label=label)


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

        if any(online.runs_of(rows, name, level) for level in online_plan.LEVELS):
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
