"""Figures of the estimator experiments, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mi_estimators import theory
from mi_estimators.display.style import BLUE, COLOURS, GREEN, INK, NAMES, ORANGE, PINK, RED

from ..rows import Row, of

_MARKERS = ("o", "s", "^", "v", "D")
_COLOURS = (BLUE, ORANGE, RED, GREEN, PINK)


def ess_figure(rows: list[Row]) -> Figure:
    """ESS/M at the optimal critic against the information."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.add_subplot()
    found = of(rows, "EffectiveSampleSize")
    line = np.linspace(0, max(found[0]["spec"]["nats"]) + 0.3, 50)
    axes.plot(
        line,
        theory.ess_fraction(theory.gaussian_chi2(line)),
        color=INK,
        label="population, $e^{-2I}$",
    )
    for k, row in enumerate(found):
        spec = row["spec"]
        low, middle, high = np.array(row["measured"]["fraction_quartiles"]).T
        axes.errorbar(
            np.array(spec["nats"])
            + 0.05 * (k - len(found) // 2),  # side by side, not on top of one another
            middle,
            yerr=[middle - low, high - middle],
            fmt=_MARKERS[k % 5],
            color=_COLOURS[k % 5],
            mfc="none",
            capsize=2,
            lw=1,
            label=f"d = {spec['dim']}, M = {spec['negatives']:,}",
        )
    axes.set(yscale="log", xlabel="mutual information I, nats", ylabel="ESS / M of DV's weights")
    axes.legend(loc="lower left")
    return figure


def variance_figure(row: Row) -> Figure:
    """tr Cov of the gradient of each bound, and the NWJ value's variance, against the information."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    spec, measured, expected = row["spec"], row["measured"], row["theory"]
    lines = {"nwj": ("-", "exact"), "dv": ("--", "large-N limit"), "js": (":", "bound")}
    for k, name in enumerate(spec["bounds"]):
        trace, error = (np.array(measured[key][name]) for key in ("trace", "trace_stderr"))
        colour, (dash, what) = COLOURS[name], lines[name]
        left.plot(
            spec["nats"],
            expected["trace"][name],
            dash,
            color=colour,
            label=f"{NAMES[name]}, {what}",
        )
        left.errorbar(
            spec["nats"],
            trace,
            yerr=[np.minimum(2 * error, 0.9 * trace), 2 * error],
            fmt=_MARKERS[k],
            color=colour,
            capsize=2,
            lw=1,
            label=f"{NAMES[name]}, measured",
        )
    left.set(yscale="log", xlabel="mutual information I, nats", ylabel="tr Cov of the gradient")
    left.set_title("Gradient")
    left.legend(loc="upper left", fontsize=8)
    right.plot(
        spec["nats"],
        expected["nwj_value_variance"],
        color=COLOURS["nwj"],
        label="exact, $dρ^2 + e^{2I} - 1$",
    )
    right.plot(
        spec["nats"], measured["nwj_value_variance"], "s", color=COLOURS["nwj"], label="measured"
    )
    right.set(
        yscale="log", xlabel="mutual information I, nats", ylabel="N · Var of the NWJ value, nats²"
    )
    right.set_title("Value of NWJ")
    right.legend(loc="upper left")
    return figure
