"""Figures of the network of ten responses and of the frozen kernel, from rows alone."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators.display import INK, colour, label
from mi_estimators.display.style import BLUE, GREEN, RED

from ..rows import Row, of


def collapse_figure(row: Row) -> Figure:
    """Probability mass and mean chosen log-ratio over training, a row of panels for each β."""
    betas = row["spec"]["betas"]
    figure = Figure(figsize=(10, 3.4 * len(betas) + 0.4), layout="constrained")
    panels = figure.subplots(len(betas), 3, squeeze=False)

    for b, beta in enumerate(betas):
        curves = {name: row["measured"][name][b] for name in ("dpo", "mio")}
        for axes, (name, curve), factor in zip(panels[b], curves.items(), (1, 2), strict=False):
            for response, tint in (("chosen", GREEN), ("rejected", RED), ("unseen", BLUE)):
                _band(axes, curve, response, "-", tint, response)
            axes.set(ylim=(0, 1), xlabel="step", ylabel="probability mass")
            axes.set_title(f"{label(name)} at β = {factor * beta:g}")

        panels[b][0].legend(
            loc="upper left", ncols=3, columnspacing=1, handlelength=1.2, fontsize=8.5
        )
        _log_ratios(panels[b][2], curves, row["theory"], beta)

    return figure


def _band(
    axes: Axes,
    curve: dict,
    quantity: str,
    dash: str,
    tint: str,
    text: str,
) -> None:
    """Draw the median and the quartiles over replicas."""
    low, middle, high = np.array(curve[quantity]).T
    axes.plot(curve["step"], middle, dash, color=tint, label=text)
    axes.fill_between(
        curve["step"],
        low,
        high,
        color=tint,
        alpha=0.2,
        lw=0,
    )


def _log_ratios(
    axes: Axes,
    curves: dict[str, dict],
    theory: dict,
    beta: float,
) -> None:
    """Draw both losses' chosen log-ratio, MIO's anchor, and the ends of its interval that lie on the panel."""
    for name, dash in (("dpo", "--"), ("mio", "-")):
        _band(axes, curves[name], "z_chosen", dash, colour(name), label(name))

    low, high = (end / (2 * beta) for end in theory["interval"])
    anchor = theory["anchor"] / (2 * beta)
    values = np.array([curve["z_chosen"] for curve in curves.values()])
    bottom = min(low, values.min())
    top = max(anchor, values.max())
    height = top - bottom
    axes.set_ylim(bottom - 0.08 * height, top + 0.3 * height)

    last = curves["mio"]["step"][-1]
    for level in (low, high):
        if level < top:
            axes.axhline(level, color=colour("mio"), lw=1.2, ls=":")
            axes.text(last, level, "end of MIO's interval", ha="right", va="bottom", fontsize=8)

    axes.axhline(anchor, color=INK, lw=1, ls="-.")
    axes.text(last, anchor, "MIO's anchor", ha="right", va="bottom", fontsize=8)
    axes.axhline(0, color=INK, lw=0.8)
    axes.set(xlabel="step", ylabel="mean chosen ln π/π_ref, nats")
    axes.set_title("Chosen log-ratio z_w")
    axes.legend(loc="upper left", ncols=2)


def lazy_figure(rows: list[Row]) -> Figure:
    """z_w over time of the frozen-kernel flow."""
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axes = figure.add_subplot()

    for row in of(rows, "Lazy"):
        name, dash = {"dv": ("dpo", "--"), "js": ("mio", "-")}[row["spec"]["bound"]]
        time, z_w = (np.array(row["measured"][key]) for key in ("time", "z_chosen"))
        late = time >= 1e-2
        axes.plot(
            time[late],
            z_w[late],
            dash,
            color=colour(name),
            label=label(name),
        )

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
