"""Figures of the network of ten responses and of the frozen kernel, from rows alone."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from mi_estimators.display.style import BLUE, COLOURS, GREEN, INK, NAMES, RED

from ..rows import Row, of


def collapse_figure(row: Row) -> Figure:
    """Probability mass and mean chosen log-ratio over training, a row of panels for each β."""
    spec, measured, expected = row["spec"], row["measured"], row["theory"]
    betas = spec["betas"]
    figure = Figure(figsize=(10, 3.4 * len(betas) + 0.4), layout="constrained")
    panels = figure.subplots(len(betas), 3, squeeze=False)
    for b, beta in enumerate(betas):
        for axes, name, factor in zip(panels[b], ("dpo", "mio"), (1, 2), strict=False):
            curve = measured[name][b]
            for quantity, colour in (("chosen", GREEN), ("rejected", RED), ("unseen", BLUE)):
                low, middle, high = np.array(curve[quantity]).T
                axes.plot(curve["step"], middle, color=colour, label=quantity)
                axes.fill_between(curve["step"], low, high, color=colour, alpha=0.2, lw=0)
            axes.set(ylim=(0, 1), xlabel="step", ylabel="probability mass")
            axes.set_title(f"{NAMES[name]} at β = {factor * beta:g}")
        panels[b][0].legend(
            loc="upper left", ncols=3, columnspacing=1, handlelength=1.2, fontsize=8.5
        )
        axes = panels[b][2]
        for name, line in (("dpo", "--"), ("mio", "-")):
            curve = measured[name][b]
            low, middle, high = np.array(curve["z_chosen"]).T
            axes.plot(curve["step"], middle, line, color=COLOURS[name], label=NAMES[name])
            axes.fill_between(curve["step"], low, high, color=COLOURS[name], alpha=0.2, lw=0)
        low, high = (end / (2 * beta) for end in expected["interval"])
        anchor = expected["anchor"] / (2 * beta)
        values = np.array([measured[name][b]["z_chosen"] for name in measured])
        bottom, top = min(low, values.min()), max(anchor, values.max())
        reach = top - bottom
        axes.set_ylim(bottom - 0.08 * reach, top + 0.3 * reach)
        ends = [level for level in (low, high) if level < top]
        for level in ends:
            axes.axhline(level, color=COLOURS["mio"], lw=1.2, ls=":")
        axes.axhline(anchor, color=INK, lw=1, ls="-.")
        axes.axhline(0, color=INK, lw=0.8)
        end = measured["mio"][b]["step"][-1]
        for level, text in (
            *((level, "end of MIO's interval") for level in ends),
            (anchor, "MIO's anchor"),
        ):
            axes.text(end, level, text, ha="right", va="bottom", fontsize=8)
        axes.set(xlabel="step", ylabel="mean chosen ln π/π_ref, nats")
        axes.set_title("Chosen log-ratio z_w")
        axes.legend(loc="upper left", ncols=2)
    return figure


def lazy_figure(rows: list[Row]) -> Figure:
    """z_w over time of the frozen-kernel flow."""
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for row in of(rows, "Lazy"):
        name = {"dv": "dpo", "js": "mio"}[row["spec"]["bound"]]
        measured = row["measured"]
        keep = np.array(measured["time"]) >= 1e-2
        time, z_w = np.array(measured["time"])[keep], np.array(measured["z_chosen"])[keep]
        axes.plot(time, z_w, "--" if name == "dpo" else "-", color=COLOURS[name], label=NAMES[name])
    axes.axhline(math.log(2), color=INK, lw=1, ls="-.")
    axes.text(1.2e-2, math.log(2), "anchor ln 2", va="bottom", fontsize=8.5)
    axes.set(
        xscale="log",
        xlabel="time, learning rate × step",
        ylabel="z_w = ln π/π_ref of the chosen, nats",
    )
    axes.legend(loc="lower left")
    axes.set_ylim(top=1.3)
    return figure
