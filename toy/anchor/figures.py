"""Figures of the anchor, from rows alone."""

from __future__ import annotations

import math
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.display import INK, PALETTE, label
from mi_estimators.display.style import BLUE, PINK, RED

from ..rows import Row

_MARKERS = ("o", "s", "^", "v", "D", "x", "P", "*")


def flow_figure(rows: list[Row]) -> Figure:
    """End of the tabular flow: lift against β at the smallest ε; and π_w against the anchor's target, all rows."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)

    even = [row for row in rows if row["spec"]["rejected"] is None]
    for row, colour, marker in zip(even, cycle(PALETTE), cycle(_MARKERS), strict=False):
        spec, eps = row["spec"], min(row["spec"]["eps"])
        betas = np.geomspace(min(spec["betas"]), max(spec["betas"]), 300)
        line = [theory.mio_ceiling(eps, beta, spec["mix"]) / eps for beta in betas]
        left.plot(betas, line, color=colour)

        lift = [end[spec["eps"].index(eps)] / eps for end in row["measured"]["end"]]
        name = f"α = {spec['mix']:g}"
        left.plot(
            spec["betas"],
            lift,
            marker,
            color=colour,
            ms=5,
            label=name,
        )
        left.set_title(f"Lift at ε = {eps:g}")

    left.set(xscale="log", yscale="log", xlabel="β", ylabel="final $π_w/π_{ref,w}$")
    left.set_xticks(spec["betas"], [f"{b:g}" for b in spec["betas"]])
    left.minorticks_off()
    left.legend()

    line = np.geomspace(1e-2, 30, 300)
    right.plot(line, np.minimum(line, 1), color=INK, label="min(1, target)")

    for row in rows:
        spec, peaked = row["spec"], row["spec"]["rejected"] is not None
        for beta, end, colour in zip(
            spec["betas"], row["measured"]["end"], cycle(PALETTE), strict=False
        ):
            target = np.array(spec["eps"]) * math.exp(mi.preference_anchor(spec["mix"]) / beta)
            right.plot(
                target,
                end,
                "s" if peaked else "o",
                color=colour,
                ms=4,
                mfc="none" if peaked else colour,
                label=f"β = {beta:g}" if row is rows[0] else None,
            )

    right.set(
        xscale="log",
        xlim=(1e-2, 30),
        xlabel="target $(1 - α)^{-1/β} π_{ref,w}$",
        ylabel="final $π_w$",
    )

    right.set_title("All α, β and ε; squares: peaked base")
    right.legend(loc="upper left", fontsize=8)
    return figure


def network_figure(rows: list[Row]) -> Figure:
    """Chosen reward of the network over training at the largest β, and every pair's final z_w against the law."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    beta = max(rows[0]["spec"]["betas"])

    for row, colour in zip(rows, cycle(PALETTE), strict=False):
        spec, measured, expected = row["spec"], row["measured"], row["theory"]
        low, middle, high = np.array(measured["reward"][spec["betas"].index(beta)]).T
        left.plot(measured["step"], middle, color=colour, label=f"α = {spec['mix']:g}")
        left.fill_between(
            measured["step"],
            low,
            high,
            color=colour,
            alpha=0.25,
            lw=0,
        )

        left.axhline(expected["anchor"], color=colour, lw=1, ls=":")

        pairs = zip(spec["betas"], expected["z_chosen"], measured["z_chosen"], strict=True)
        for k, (own, law, end) in enumerate(pairs):
            name = f"β = {own:g}" if row is rows[0] else None
            style = {"color": PALETTE[k % len(PALETTE)], "ms": 3, "alpha": 0.6, "mfc": "none"}
            right.plot(
                law,
                end,
                _MARKERS[k % len(_MARKERS)],
                label=name,
                **style,
            )

    ends = [z for row in rows for pairs in row["theory"]["z_chosen"] for z in pairs]
    right.plot(
        [0, max(ends)],
        [0, max(ends)],
        color=INK,
        lw=1,
    )

    left.set(xlabel="step", ylabel="mean chosen reward $βz_w$", title=f"Plateau, β = {beta:g}")
    left.legend(loc=(0.68, 0.34), labelspacing=0.25)
    right.set(
        xlabel="law: $-\\ln(1 - α)/β$, at most $-\\ln π_{ref,w}$", ylabel="final $z_w$ of a pair"
    )
    right.set_title("All α, β, networks and pairs")
    right.legend(loc="upper left")

    return figure


def choice_figure(rows: list[Row]) -> Figure:
    """What the recommended α buys and costs: final π_w, time to ½, and the no-collapse interval."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    ends, times, bounds = figure.subplots(1, 3)
    for row, colour in zip(rows, cycle(PALETTE), strict=False):
        for axes, key, other in ((ends, "end", "mio"), (times, "time", "dpo")):
            _curve(axes, row, key, other, colour, "o" if other == "mio" else "s")
            _curve(axes, row, key, "alpha", colour, "D")

    for axes in (ends, times):
        axes.set(xscale="log", yscale="log", xlabel="ε, base probability of the chosen")
        axes.invert_xaxis()
        axes.legend(fontsize=7.5)

    ends.set(title="What α buys", ylabel="final $π_w$")
    times.set(title="Time to ½", ylabel="time to $π_w = ½$")

    own = np.geomspace(1e-3, 0.9, 60)  # 1 − α
    low, high = np.array([mi.no_collapse_interval(1 - share) for share in own]).T
    bounds.plot(own, high, color=RED, label="$u_+$")
    bounds.plot(own, -np.log(own), color=INK, label="anchor $-\\ln(1 - α)$")
    bounds.plot(own, -low, color=BLUE, label="$-u_-$")
    bounds.axvline(0.5, color=PINK, lw=1, ls=":")
    bounds.set(
        xscale="log",
        yscale="log",
        xlabel="1 − α",
        ylabel="mean chosen reward",
        title="What it costs",
    )

    bounds.invert_xaxis()
    bounds.legend(loc="upper left")
    return figure


def _curve(
    axes: Axes,
    row: Row,
    key: str,
    loss: str,
    colour: str,
    marker: str,
) -> None:
    """Draw one loss against ε: theory as a line, measured as points; α-MIO dashed and open."""
    alpha, eps = loss == "alpha", row["spec"]["eps"]
    axes.plot(
        eps,
        row["theory"][key][loss],
        "--" if alpha else "-",
        color=colour,
        lw=1.2,
    )

    name = label("alpha_mio" if alpha else loss)
    axes.plot(
        eps,
        row["measured"][key][loss],
        marker,
        color=colour,
        ms=5,
        mfc="none" if alpha else colour,
        label=f"{name}, β = {row['spec']['beta']:g}",
    )
