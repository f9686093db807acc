"""Figures of the staircase, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import mi_estimators as mi
from mi_estimators.display import GREY, INK, colours

from ..rows import Row
from .run import MAPS, readout_of

_COLUMNS = 4


def count(row: Row) -> int:
    """Return the number of readings of a level."""
    return row["spec"]["steps"] // row["spec"]["every"]


def width(row: Row) -> int:
    """Return the number of readings of a running median, odd."""
    return max(1, count(row) // 10) | 1


def _medians(replicas: list[list], size: int) -> np.ndarray:
    """Return the running median of every replica, shape (replicas, readings)."""
    padded = np.pad(
        np.array(replicas, dtype=float),
        [(0, 0), (size // 2,) * 2],
        mode="reflect",
    )
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, size, axis=1), -1)


def stairs_figure(row: Row) -> Figure:
    """One panel for each estimator: readings under every map, the ideal critic's and the truth."""
    spec, measured = row["spec"], row["measured"]
    lines = -(-(len(measured["readings"]) + 1) // _COLUMNS)
    figure = Figure(figsize=(10, 2.3 * lines + 0.3), layout="constrained")
    panels = figure.subplots(lines, _COLUMNS, sharex=True, sharey=True).ravel()

    tints = colours(MAPS)
    truth = np.repeat(spec["nats"], count(row))
    steps = spec["every"] * np.arange(len(truth))

    for axes, (name, maps) in zip(panels, measured["readings"].items(), strict=False):
        ideal = _medians(measured["control"][readout_of(name)], width(row))
        axes.plot(
            steps,
            np.median(ideal, 0),
            color=GREY,
            lw=2,
            label="T = ln dP/dQ",
        )

        for kind, readings in maps.items():
            medians, tint = _medians(readings, width(row)), tints[kind]
            text = "y" if kind == "none" else f"{kind} y"
            axes.plot(
                steps,
                np.median(medians, 0),
                color=tint,
                lw=1,
                label=text,
            )

            if kind == "none":
                band = {"color": tint, "alpha": 0.25, "lw": 0}
                axes.fill_between(steps, medians.min(0), medians.max(0), **band)

        axes.plot(steps, truth, color=INK, lw=1, label="I")
        if mi.ESTIMATORS[name].cap == "ln K":
            axes.axhline(row["theory"]["ceiling"], color=INK, ls="--", lw=1)

        axes.set(title=name, ylim=(-1, 1.45 * max(spec["nats"])))

    free = panels[len(measured["readings"]) :]
    for axes in free:
        axes.axis("off")

    free[0].legend(*panels[0].get_legend_handles_labels(), loc="center")
    figure.supxlabel("step", fontsize=10)
    figure.supylabel("nats", fontsize=10)
    return figure


def control_figure(row: Row) -> Figure:
    """Bias and variance of every read-out at the ideal critic, and at the trained one, against I."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    bias, variance = panels = figure.subplots(1, 2)
    nats, measured = np.array(row["spec"]["nats"]), row["measured"]
    first = {readout_of(name): name for name in reversed(list(measured["summary"]))}
    tints = colours(measured["control_summary"])

    reported = {k: v for k, v in measured["control_summary"].items() if k in first}
    for k, (readout, levels) in enumerate(reported.items()):
        aside, tint = nats + 0.09 * (k - 3), tints[readout]
        ideal = np.array(levels, dtype=float)
        trained = np.array(measured["summary"][first[readout]]["none"], dtype=float)
        for column, axes in enumerate(panels):
            line = {"ms": 5, "lw": 0.7, "alpha": 0.9, "label": readout}
            axes.plot(aside, ideal[:, column], "-o", color=tint, **line)
            points = {"fmt": "o", "ms": 6, "mfc": "none", "lw": 1, "capsize": 2}
            bars = 2 * trained[:, 3] if axes is bias else None
            axes.errorbar(aside, trained[:, column], yerr=bars, color=tint, **points)

    for readout in ("nwj", "plug_in"):
        exact = row["theory"][f"{readout}_variance"]
        variance.plot(nats, exact, "--", color=tints[readout], lw=1.2)

    bias.set_yscale("symlog", linthresh=0.1)
    bias.axhline(0, color=INK, lw=1)
    bias.set(title="Bias, nats", xlabel="I, nats")
    variance.set(title="Variance, nats²", xlabel="I, nats", yscale="log")
    names = bias.get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=7, columnspacing=1)

    return figure
