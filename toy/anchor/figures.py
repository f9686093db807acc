"""Figures of the anchor, from rows alone."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

import mi_estimators as mi
from mi_estimators.display.style import BLUE, GREEN, INK, ORANGE, PINK, RED

from .. import theory
from ..rows import Row

_COLOURS = (BLUE, PINK, ORANGE, GREEN, RED, INK)
_MARKERS = ("o", "s", "^", "v", "D", "x")


def flow_figure(rows: list[Row]) -> Figure:
    """End of the tabular flow: lift against β at the smallest ε; and π_w against the anchor's target, all rows."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    even = [row for row in rows if row["spec"]["rejected"] is None]
    for n, row in enumerate(even):
        spec, eps = row["spec"], min(row["spec"]["eps"])
        at, betas = (
            spec["eps"].index(eps),
            np.geomspace(min(spec["betas"]), max(spec["betas"]), 300),
        )
        left.plot(
            betas,
            [theory.mio_ceiling(eps, b, spec["mix"]) / eps for b in betas],
            color=_COLOURS[n % 6],
        )
        lift = [end[at] / eps for end in row["measured"]["end"]]
        left.plot(
            spec["betas"],
            lift,
            _MARKERS[n % 6],
            color=_COLOURS[n % 6],
            ms=5,
            label=f"α = {spec['mix']:g}",
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
        for n, (beta, end) in enumerate(zip(spec["betas"], row["measured"]["end"], strict=True)):
            target = np.array(spec["eps"]) * math.exp(mi.preference_anchor(spec["mix"]) / beta)
            name = f"β = {beta:g}" if row is rows[0] else None
            face = "none" if peaked else _COLOURS[n % 6]
            right.plot(
                target,
                end,
                "s" if peaked else "o",
                color=_COLOURS[n % 6],
                ms=4,
                mfc=face,
                label=name,
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
    for n, row in enumerate(rows):
        spec, measured, colour = row["spec"], row["measured"], _COLOURS[n % 6]
        at = spec["betas"].index(beta)
        low, middle, high = np.array(measured["reward"][at]).T
        left.plot(measured["step"], middle, color=colour, label=f"α = {spec['mix']:g}")
        left.fill_between(measured["step"], low, high, color=colour, alpha=0.25, lw=0)
        left.axhline(row["theory"]["anchor"], color=colour, lw=1, ls=":")
        for k, (said, found) in enumerate(
            zip(row["theory"]["z_chosen"], measured["z_chosen"], strict=True)
        ):
            name = f"β = {spec['betas'][k]:g}" if n == 0 else None
            right.plot(
                said,
                found,
                _MARKERS[k % 6],
                color=_COLOURS[k % 6],
                ms=3,
                alpha=0.6,
                mfc="none",
                label=name,
            )
    ends = [v for row in rows for group in row["theory"]["z_chosen"] for v in group]
    right.plot([0, max(ends)], [0, max(ends)], color=INK, lw=1)
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
    for n, row in enumerate(rows):
        spec, measured, said, colour = row["spec"], row["measured"], row["theory"], _COLOURS[n % 6]
        for name, dash, marker, face in (("mio", "-", "o", colour), ("alpha", "--", "D", "none")):
            ends.plot(spec["eps"], said["end"][name], dash, color=colour, lw=1.2)
            label = f"{'MIO' if name == 'mio' else 'α-MIO'}, β = {spec['beta']:g}"
            ends.plot(
                spec["eps"],
                measured["end"][name],
                marker,
                color=colour,
                ms=5,
                mfc=face,
                label=label,
            )
        for name, dash, marker, face in (("dpo", "-", "s", colour), ("alpha", "--", "D", "none")):
            label = f"{'DPO' if name == 'dpo' else 'α-MIO'}, β = {spec['beta']:g}"
            times.plot(spec["eps"], said["time"][name], dash, color=colour, lw=1.2)
            times.plot(
                spec["eps"],
                measured["time"][name],
                marker,
                color=colour,
                ms=5,
                mfc=face,
                label=label,
            )
    for axes in (ends, times):
        axes.set(xscale="log", yscale="log", xlabel="ε, base probability of the chosen")
        axes.invert_xaxis()
        axes.legend(fontsize=7.5)
    ends.set(title="What α buys", ylabel="final $π_w$")
    times.set(title="Time to ½", ylabel="time to $π_w = ½$")
    rest = np.geomspace(1e-3, 0.9, 60)
    low, high = np.array([mi.no_collapse_interval(1 - c) for c in rest]).T
    bounds.plot(rest, high, color=RED, label="$u_+$")
    bounds.plot(rest, -np.log(rest), color=INK, label="anchor $-\\ln(1 - α)$")
    bounds.plot(rest, -low, color=BLUE, label="$-u_-$")
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
