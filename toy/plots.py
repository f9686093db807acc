"""Figures of the policy experiments, from rows alone."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from . import theory
from .escape import TIMES
from .rows import Row, of
from .style import BLUE, COLOURS, GREEN, INK, NAMES, ORANGE, PINK, RED

_SHADES = ("-", "--", ":")
_MARKERS = ("o", "s", "^")


def _floats(values: list) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def label(row: Row, beta: float) -> str:
    """Return "DPO β = 0.1", or the name alone where the objective has no β."""
    name = NAMES[row["spec"]["objective"]]
    return name if row["spec"]["objective"] in ("rlhf", "sft") else f"{name} β = {beta:g}"


def escape_figure(rows: list[Row]) -> Figure:
    """Escape time against ε: theory as lines, exact flow as points, sampled policy gradients as quartile bars."""
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    axes = figure.add_subplot()
    flows = of(rows, "EscapeFlow")
    smallest = min(min(row["spec"]["eps"]) for row in flows)
    line = np.geomspace(smallest, 0.3, 80)
    top = max(t for row in flows for times in row["measured"]["time"] for t in times if t is not None)
    shelf = top * 12
    axes.set(xscale="log", yscale="log", xlabel="ε, p(correct) of the base policy", ylabel="time to p(correct) = ½")
    for row in flows:
        spec, colour = row["spec"], COLOURS[row["spec"]["objective"]]
        for k, (beta, times) in enumerate(zip(spec["betas"], row["measured"]["time"], strict=True)):
            curve = [TIMES[spec["objective"]](e, beta, spec["mix"]) for e in line]
            curve = np.where(np.isfinite(curve), curve, np.nan)
            axes.plot(line, curve, _SHADES[k % 3], color=colour)
            measured = _floats(times)
            axes.plot(spec["eps"], measured, _MARKERS[k % 3], color=colour, ms=5, label=f"{label(row, beta)}")
            never = np.isnan(measured)
            if never.any():
                level = shelf * 2.2 ** (len(spec["betas"]) - 1 - k)
                held = np.array(spec["eps"])[never]
                axes.plot(held, np.full(never.sum(), level), _MARKERS[k % 3], color=colour, ms=5, mfc="none")
    if any(t is None for row in flows for times in row["measured"]["time"] for t in times):
        axes.axhspan(shelf / 2.5, shelf * 20, color=PINK, alpha=0.08, lw=0)
        axes.text(0.985, 0.985, "never (at rest below ½)", transform=axes.transAxes, ha="right", va="top")
        axes.set_ylim(top=shelf * 20)
    for row in of(rows, "EscapeSampled"):
        quartiles = np.stack([_floats(q) for q in row["measured"]["time_quartiles"]])
        axes.errorbar(
            row["spec"]["eps"],
            quartiles[:, 1],
            yerr=[quartiles[:, 1] - quartiles[:, 0], quartiles[:, 2] - quartiles[:, 1]],
            fmt="D",
            ms=7,
            mfc="none",
            color=INK,
            capsize=4,
            lw=1.2,
            label=f"RLHF, {row['spec']['samples']} samples a step",
        )
    axes.invert_xaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    return figure


def lift_figure(rows: list[Row]) -> Figure:
    """MIO's lift p(correct)/ε at rest against ε, with and without unseen responses; waiting time for a first signal."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row in of(rows, "MioLift"):
        spec, two = row["spec"], row["spec"]["arms"] == 2
        line = np.geomspace(min(spec["eps"]), 0.45, 400)
        end = theory.mio_rest if two else theory.mio_ceiling
        colour = ORANGE if two else PINK
        for k, (beta, lift) in enumerate(zip(spec["betas"], row["measured"]["lift"], strict=True)):
            left.plot(line, [end(e, beta, spec["mix"]) / e for e in line], _SHADES[k % 3], color=colour)
            name = f"{'2 responses' if two else str(spec['arms']) + ' responses'}, β = {beta:g}"
            left.plot(spec["eps"], lift, _MARKERS[k % 3], color=colour, ms=5, mfc=colour if two else "none", label=name)
    left.set(xscale="log", yscale="log", xlabel="ε, p(correct) of the base policy", ylabel="p(correct) at rest / ε")
    left.set_title("How far MIO lifts")
    left.invert_xaxis()
    left.legend(loc="upper right", fontsize=8)
    left.set_ylim(1, 400)
    for row in of(rows, "EscapeSampled"):
        spec, measured = row["spec"], row["measured"]
        line = np.geomspace(min(spec["eps"]), 0.2, 60)
        right.plot(line, [theory.steps_to_first_signal(e, spec["samples"]) for e in line], color=RED, label="theory")
        right.errorbar(
            spec["eps"],
            _floats(measured["first_signal"]),
            yerr=2 * _floats(measured["first_signal_stderr"]),
            fmt="D",
            mfc="none",
            color=INK,
            capsize=4,
            lw=1.2,
            label=f"measured, mean of {spec['replicas']}",
        )
    right.set(
        xscale="log", yscale="log", xlabel="ε, p(correct) of the base policy", ylabel="steps to a first correct answer"
    )
    right.set_title("Waiting for a first signal")
    right.invert_xaxis()
    right.legend(loc="upper left")
    return figure


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
        panels[b][0].legend(loc="upper left", ncols=3, columnspacing=1, handlelength=1.2, fontsize=8.5)
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
        for level, text in (*((level, "end of MIO's interval") for level in ends), (anchor, "MIO's anchor")):
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
    axes.set(xscale="log", xlabel="time, learning rate × step", ylabel="z_w = ln π/π_ref of the chosen, nats")
    axes.legend(loc="lower left")
    axes.set_ylim(top=1.3)
    return figure
