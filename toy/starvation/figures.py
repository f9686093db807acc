"""Figures of the effective sample size and of the gradient's variance, from rows alone."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from mi_estimators import theory
from mi_estimators.display import INK, PALETTE, colour, label

from ..rows import Row, of


def ess_figure(rows: list[Row]) -> Figure:
    """ESS/M at the optimal critic against the information."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.add_subplot()
    sizes = of(rows, "EffectiveSampleSize")
    line = np.linspace(
        0,
        max(sizes[0]["spec"]["nats"]) + 0.3,
        50,
    )

    shares = theory.ess_fraction(theory.gaussian_chi2(line))
    axes.plot(line, shares, color=INK, label="population, $e^{-2I}$")

    for k, (row, tint, marker) in enumerate(
        zip(sizes, cycle(PALETTE), cycle("os^vD"), strict=False)
    ):
        spec = row["spec"]
        low, middle, high = np.array(row["measured"]["fraction_quartiles"]).T
        aside = 0.05 * (k - len(sizes) // 2)  # side by side, not on top of one another
        axes.errorbar(
            np.array(spec["nats"]) + aside,
            middle,
            yerr=[middle - low, high - middle],
            fmt=marker,
            color=tint,
            mfc="none",
            capsize=2,
            lw=1,
            label=f"d = {spec['dim']}, M = {spec['negatives']:,}",
        )

    axes.set(yscale="log", xlabel="mutual information I, nats", ylabel="ESS / M of DV's weights")
    axes.legend(loc="lower left")
    return figure


_LINES = {"nwj": ("-", "exact"), "dv": ("--", "large-N limit"), "js": (":", "bound")}


def variance_figure(row: Row) -> Figure:
    """tr Cov of the gradient of each bound, and the NWJ value's variance, against the information."""
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    nats, measured, expected = row["spec"]["nats"], row["measured"], row["theory"]

    for name, marker in zip(row["spec"]["bounds"], cycle("os^vD"), strict=False):
        dash, kind = _LINES[name]
        style = {"color": colour(name)}
        left.plot(nats, expected["trace"][name], dash, label=f"{label(name)}, {kind}", **style)
        trace, error = (np.array(measured[key][name]) for key in ("trace", "trace_stderr"))
        bars = [np.minimum(2 * error, 0.9 * trace), 2 * error]
        style |= {"fmt": marker, "capsize": 2, "lw": 1, "label": f"{label(name)}, measured"}
        left.errorbar(nats, trace, yerr=bars, **style)

    variance = {part: row[part]["nwj_value_variance"] for part in ("theory", "measured")}
    text = "exact, $dρ^2 + e^{2I} - 1$"
    right.plot(nats, variance["theory"], color=colour("nwj"), label=text)
    right.plot(nats, variance["measured"], "s", color=colour("nwj"), label="measured")

    for axes in (left, right):
        axes.set(yscale="log", xlabel="mutual information I, nats")
    left.set(ylabel="tr Cov of the gradient", title="Gradient")
    left.legend(loc="upper left", fontsize=8)
    right.set(ylabel="N · Var of the NWJ value, nats²", title="Value of NWJ")
    right.legend(loc="upper left")

    return figure
