"""Figures of a critic that starves in training, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators.display import INK, colour, label
from mi_estimators.display.style import GREEN, RED

from ...rows import Row

FLOOR = 1e-5
"""Gaps below it, in nats, are not drawn."""

_MARKERS = {"dv": "o", "mine": "s", "nwj": "^", "js": "D", "infonce": "v", "relative": "P"}


def _expected(row: Row) -> np.ndarray:
    """Return Mε, the expected number of negatives in A, of every law."""
    return row["spec"]["batch"] / np.array(row["spec"]["symbols"], dtype=float)


def crossing(row: Row) -> float | None:
    """Return the Mε at which (1 − ε)^M = 1 − P(A), between the laws of the row; None if it is not among them."""
    excess = np.array(row["theory"]["missed"]) + np.array(row["theory"]["hit"]) - 1
    if excess[0] >= 0 or excess[-1] <= 0:
        return None
    return float(np.exp(np.interp(0, excess, np.log(_expected(row)))))


def _above_floor(gaps: list) -> np.ndarray:
    return np.where(np.array(gaps) > FLOOR, gaps, np.nan)


def error_figure(row: Row) -> Figure:
    """Gap, reported value, and missed mass with ESS/M, against Mε."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    gap, value, missed = panels
    expected, measured, theory = _expected(row), row["measured"], row["theory"]
    nats = np.array(theory["nats"])

    for k, name in enumerate(row["spec"]["objectives"]):
        gap.plot(
            expected,
            _above_floor(theory[name]["gap"]),
            color=colour(name),
            lw=1.2,
        )

        line = np.array(theory[name]["value"]) - nats
        value.plot(expected, line, color=colour(name), lw=1.2)
        for axes, key, truth in ((gap, "gap", 0), (value, "value", nats)):
            low, middle, high = np.array(measured[name][key]).T - truth
            axes.errorbar(
                expected * 1.04 ** (k - 2.5),  # side by side
                middle,
                yerr=[middle - low, high - middle],
                label=label(name),
                color=colour(name),
                fmt=_MARKERS[name],
                ms=4,
                capsize=2,
                lw=1,
            )

    _gap_axis(gap)
    value.set_yscale("symlog", linthresh=0.1)
    value.set(ylabel="reported − I, nats", title="Error of the reported value")

    _missed(missed, row)

    for axes in panels:
        axes.set(xscale="log", xlabel="Mε, expected negatives in A")
        axes.invert_xaxis()
        limit = crossing(row)
        if limit is not None:
            axes.axvline(limit, color=INK, alpha=0.45, lw=1, ls="-.")

    names = {"ncols": 6, "columnspacing": 1, "handletextpad": 0.3}
    figure.legend(*gap.get_legend_handles_labels(), loc="outside lower left", **names)
    missed.legend(loc="upper left", fontsize=7.5)
    return figure


def _gap_axis(axes: Axes) -> None:
    axes.set(yscale="log", ylim=(FLOOR, None))
    axes.set(ylabel="I − DV(T) on the law, nats", title="Error of the critic")


def _missed(axes: Axes, row: Row) -> None:
    """Draw the share of batches without a negative in A, and ESS/M of JS's critic or, without it, of the first."""
    expected, measured, theory = _expected(row), row["measured"], row["theory"]
    first = row["spec"]["objectives"][0]
    steady = "js" if "js" in measured else first
    axes.plot(expected, theory["missed"], color=RED, label="no negative in A: $(1 − ε)^M$")
    shares = measured[first]["missed"]
    axes.plot(expected, shares, "o", color=RED, ms=4, label="share of the batches")
    axes.plot(expected, theory["ess"], color=GREEN, label="ESS/M at ln dP/dQ, exact mean")
    axes.plot(
        expected,
        measured[steady]["ess"],
        "D",
        color=GREEN,
        ms=4,
        label="JS's critic",
    )

    axes.plot(expected, theory["ess_limit"], ":", color=GREEN, label="ESS/M, population")
    axes.set(ylim=(0, 1.02), title="What a batch misses, and its ESS")


def training_figure(row: Row) -> Figure:
    """Gap, share of the negatives' weight in A and ESS/M over the steps, at one law."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 3)
    gap, inside, ess = panels
    spec, theory = row["spec"], row["theory"]
    shown = spec["symbols"].index(spec["shown"])

    for name in spec["objectives"]:
        measured, expected, tint = row["measured"][name], theory[name], colour(name)
        low, middle, high = np.array(measured["gap_curve"]).T
        gap.plot(
            measured["step"],
            middle,
            color=tint,
            label=label(name),
            lw=1.2,
        )

        gap.fill_between(
            measured["step"],
            low,
            high,
            color=tint,
            alpha=0.15,
            lw=0,
        )

        steps = np.array(expected["time"]) / spec["learning_rate"]
        gap.plot(steps, _above_floor(expected["gap_curve"]), "--", color=tint, lw=1)

        inside.axhline(expected["inside"][shown], color=tint, ls=":", lw=1.2)
        width = min(5, len(measured["step"]))
        for axes, key in ((inside, "inside_curve"), (ess, "ess_curve")):
            mean = np.convolve(measured[key], np.full(width, 1 / width), "valid")
            first = width // 2
            axes.plot(
                measured["step"][first : first + len(mean)],
                mean,
                color=tint,
                lw=1,
            )

    ess.axhline(theory["ess"][shown], color=INK, ls=":", lw=1.2)
    _gap_axis(gap)
    inside.set(ylim=(0, None), title="Negatives' weight in A")
    ess.set(ylim=(0, 1.02), title="ESS/M")

    for axes in panels:
        axes.set_xlabel("step")
    figure.legend(*gap.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
