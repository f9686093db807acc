"""Figures of the noise of the bounds, from rows alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from mi_estimators.display import INK, colour, colours, label
from mi_estimators.display.style import GREEN

from ..models.statistics import fit_exponent
from ..rows import Row


def middle(spec: dict) -> int:
    """Return the index of N = 64 among a spec's batches."""
    return spec["batches"].index(64) if 64 in spec["batches"] else 0


def _looks(bounds: Iterable[str]) -> dict[str, dict]:
    """Return how the points of each bound look; a bound that the lab does not know takes the next free colour."""
    tints = zip(colours(bounds).items(), cycle("o^DvxPs*+"), strict=False)
    looks = {name: (tint, marker) for (name, tint), marker in tints}
    return {
        name: {"color": tint, "marker": marker, "ms": 4, "lw": 1, "label": label(name)}
        for name, (tint, marker) in looks.items()
    }


def _panels() -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes in panels:
        axes.set_xlabel("I, nats")
    return figure, panels


def _noise(panels: np.ndarray, row: Row, batch: int) -> None:
    """Title the panels of value, gradient and signal, and draw ESS/M at the least, the shown and the largest M."""
    value, gradient, signal, size = panels
    value.set(yscale="log", title="N · Var of the value, nats²")
    gradient.set(yscale="log", title="N · tr Cov of the gradient")
    signal.set(ylim=(0, None), title=f"SNR of the gradient, half-trained, N = {batch}")

    nats = row["theory"].get("nats") or row["spec"]["nats"]
    batches, shares = row["spec"]["batches"], np.array(row["measured"]["ess"])
    for k, marker in zip(sorted({0, middle(row["spec"]), len(batches) - 1}), "os^", strict=False):
        points = {"mfc": "none", "color": GREEN, "label": f"M = {batches[k]}"}
        size.plot(nats, shares[:, k], marker, **points)

    limit = "1/(1 + χ²)" if "chi2" in row["theory"] else "$e^{-2I}$"
    size.plot(
        nats,
        row["theory"]["ess_limit"],
        color=GREEN,
        lw=1,
        label=limit,
    )

    size.set_yscale("log")
    size.legend()


def _legend(figure: Figure) -> None:
    names = figure.axes[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside lower center", ncols=6)


def exact_figure(row: Row) -> Figure:
    """Value, gradient, SNR and ESS on the enumerated law, against I."""
    figure, panels = _panels()
    measured, theory = row["measured"], row["theory"]
    at, nats = middle(row["spec"]), theory["nats"]
    batch = row["spec"]["batches"][at]

    for axes, key, factor in zip(
        panels, ("variance", "trace", "snr"), (batch, batch, 1), strict=False
    ):
        for name, look in _looks(measured[key]).items():
            points = np.array(measured[key][name])[:, at] * factor
            axes.errorbar(nats, points, ls="none", capsize=2, **look)

    value, gradient, _, size = panels
    value.plot(nats, theory["nwj"], color=colour("nwj"), lw=1)
    value.plot(nats, np.expm1(nats), ":", color=INK, lw=1)
    value.plot(nats, theory["relative"], color=colour("relative"), lw=1)
    gradient.plot(nats, theory["nwj_trace"], color=colour("nwj"), lw=1)
    value.axhline(theory["js"], color=colour("js"), lw=1, ls="--")
    gradient.axhline(theory["js_trace"], color=colour("js"), lw=1, ls="--")
    _noise(panels, row, batch)
    size.set_title("ESS/M, exact mean over batches")
    _legend(figure)

    return figure


def gaussian_figure(row: Row) -> Figure:
    """Value, gradient, SNR and ESS on the Gaussian law, against I."""
    figure, panels = _panels()
    measured, theory = row["measured"], row["theory"]
    at, nats = middle(row["spec"]), np.array(row["spec"]["nats"])
    batch = row["spec"]["batches"][at]

    for axes, key, factor in zip(
        panels, ("variance", "trace", "snr"), (batch, batch, 1), strict=False
    ):
        for k, (name, look) in enumerate(_looks(measured[key]).items()):
            points, error = (
                np.array(measured[table][name])[:, at] * factor for table in (key, f"{key}_stderr")
            )
            bars = np.stack([np.minimum(2 * error, 0.9 * points), 2 * error])
            aside = nats + 0.04 * (k - 2.5)
            axes.errorbar(aside, points, yerr=bars, ls="none", capsize=2, **look)

    value, gradient, _, size = panels
    for axes, suffix in ((value, ""), (gradient, "_trace")):
        for name, dash in (("nwj", "-"), ("js", "--")):
            line = np.broadcast_to(theory[f"{name}{suffix}"], nats.shape)
            axes.plot(nats, line, dash, color=colour(name), lw=1)

    value.plot(nats, theory["floor"], ":", color=INK, lw=1)
    _noise(panels, row, batch)
    size.set_title("ESS/M, mean over batches")
    _legend(figure)

    return figure


def slopes_of(row: Row) -> tuple[list[float], dict[str, np.ndarray]]:
    """Return I, and for every bound the exponent of N in Var and the half-width of its interval, (nats, 2)."""
    measured = row["measured"]
    if "variance_slope" in measured:
        return row["spec"]["nats"], {k: np.array(v) for k, v in measured["variance_slope"].items()}

    inverse = 1 / np.array(row["spec"]["batches"])
    return row["theory"]["nats"], {
        name: np.array([fit_exponent(inverse, line) for line in table])
        for name, table in measured["variance"].items()
    }


def scaling_figure(exact: Row, sampled: Row) -> Figure:
    """Exponent of the variance in N against I, on both laws."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)

    for axes, row, law in zip(panels, (exact, sampled), ("copied symbol", "Gaussian"), strict=True):
        nats, slopes = slopes_of(row)
        for k, (name, look) in enumerate(_looks(slopes).items()):
            centre, half = slopes[name].T
            aside = np.array(nats) + 0.04 * (k - (len(slopes) - 1) / 2)
            bars = np.nan_to_num(half)
            axes.errorbar(aside, centre, yerr=bars, ls="none", capsize=2, **look)

        axes.set(title=law, xlabel="I, nats", ylim=(-1.6, 0.8))
        axes.axhline(-1, color=INK, lw=1)

    panels[0].set_ylabel("exponent of N in Var")
    _legend(figure)
    return figure


def training_figure(row: Row) -> Figure:
    """Value, variance, SNR and effective negatives at the checkpoints of training."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    spec, measured, theory = row["spec"], row["measured"], row["theory"]
    steps, pairs = spec["checkpoints"], spec["batch"] * (spec["batch"] - 1)

    for axes, key in zip(panels, ("value", "variance", "snr", "effective"), strict=True):
        axes.set_xscale("symlog", linthresh=10)
        axes.set(xlabel="step", yscale="linear" if key == "value" else "log")
        for name, look in _looks(measured[key]).items():
            line = np.array(measured[key][name], dtype=float)
            if key != "value":
                line[line <= 0] = np.nan
            axes.plot(steps, line / (pairs if key == "effective" else 1), **look)

    value, variance, signal, share = panels
    value.axhline(theory["nats"], color=INK, ls="--", lw=1)
    value.set(title="Value, nats", ylim=(-0.5, 1.6 * theory["nats"]))
    variance.axhline(theory["nwj_variance"], color=colour("nwj"), lw=1)
    variance.set_title("Variance of the value, nats²")
    signal.set_title("SNR of the gradient")
    share.plot(
        steps,
        measured["ess"]["dv"],
        "o",
        mfc="none",
        ms=8,
        color=INK,
    )

    share.axhline(theory["ess"], color=INK, lw=1)
    share.set_title("Share of the negatives that carry the gradient")
    _legend(figure)
    return figure
