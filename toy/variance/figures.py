"""Figures of the noise of the bounds, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from mi_estimators.display.style import GREEN, INK, colour, label

from ..models.fits import fit_exponent
from ..models.two_level import BOUNDS
from ..rows import Row

_MARKERS: dict[str, str] = dict(zip(BOUNDS, "o^DvxPs*+", strict=False))


def middle(spec: dict) -> int:
    """Return the index of N = 64 among a spec's batches."""
    return spec["batches"].index(64) if 64 in spec["batches"] else 0


def _draw(
    axes: Axes, x: ArrayLike, values: np.ndarray, name: str, error: np.ndarray | None = None
) -> None:
    style = {
        "color": colour(name, BOUNDS.index(name)),
        "fmt": _MARKERS[name],
        "ms": 4,
        "lw": 1,
        "capsize": 2,
        "label": label(name),
    }
    axes.errorbar(x, values, yerr=error, **style)


def exact_figure(row: Row) -> Figure:
    """Value, gradient, SNR and ESS on the enumerated law, against I."""
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    spec, measured, theory = row["spec"], row["measured"], row["theory"]
    at, nats = middle(spec), theory["nats"]
    n = spec["batches"][at]
    for axes, key in zip(panels, ("variance", "trace", "snr"), strict=False):
        for name in BOUNDS:
            _draw(
                axes, nats, np.array(measured[key][name])[:, at] * (1 if key == "snr" else n), name
            )
    panels[0].plot(nats, theory["nwj"], color=colour("nwj"), lw=1)
    panels[0].plot(nats, np.expm1(nats), ":", color=INK, lw=1)
    panels[0].plot(nats, theory["relative"], color=colour("relative"), lw=1)
    panels[1].plot(nats, theory["nwj_trace"], color=colour("nwj"), lw=1)
    for axes, key in zip(panels, ("js", "js_trace"), strict=False):
        axes.axhline(theory[key], color=colour("js"), lw=1, ls="--")
    for k in sorted({0, at, len(spec["batches"]) - 1}):
        marker = ("o", "s", "^")[sorted({0, at, len(spec["batches"]) - 1}).index(k)]
        panels[3].plot(nats, np.array(row["measured"]["ess"])[:, k], marker, mfc="none", color=GREEN,
                       label=f"M = {spec['batches'][k]}")  # fmt: skip
    panels[3].plot(nats, theory["ess_limit"], color=GREEN, lw=1, label="1/(1 + χ²)")
    for axes, title in zip(
        panels, ("N · Var of the value, nats²", "N · tr Cov of the gradient"), strict=False
    ):
        axes.set(yscale="log", title=title)
    panels[2].set(ylim=(0, None), title=f"SNR of the gradient, half-trained, N = {n}")
    panels[3].set(yscale="log", title="ESS/M, exact mean over batches")
    panels[3].legend()
    for axes in panels:
        axes.set_xlabel("I, nats")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def gaussian_figure(row: Row) -> Figure:
    """Value, gradient, SNR and ESS on the Gaussian law, against I."""
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    spec, measured, theory = row["spec"], row["measured"], row["theory"]
    at, nats = middle(spec), np.array(spec["nats"])
    n = spec["batches"][at]
    for axes, key in zip(panels, ("variance", "trace", "snr"), strict=False):
        for k, name in enumerate(BOUNDS):
            factor = 1 if key == "snr" else n
            values, error = (
                np.array(measured[f"{key}{kind}"][name])[:, at] * factor for kind in ("", "_stderr")
            )
            bars = np.stack([np.minimum(2 * error, 0.9 * values), 2 * error])
            _draw(axes, nats + 0.04 * (k - 2.5), values, name, bars)
    for axes, suffix in zip(panels, ("", "_trace"), strict=False):
        for name, dash in (("nwj", "-"), ("js", "--")):
            line = np.broadcast_to(theory[f"{name}{suffix}"], nats.shape)
            axes.plot(nats, line, dash, color=colour(name), lw=1)
    panels[0].plot(nats, theory["floor"], ":", color=INK, lw=1)
    panels[0].set(yscale="log", title="N · Var of the value, nats²")
    panels[1].set(yscale="log", title="N · tr Cov of the gradient")
    panels[2].set(ylim=(0, None), title=f"SNR of the gradient, half-trained, N = {n}")
    for k, marker in zip(sorted({0, at, len(spec["batches"]) - 1}), ("o", "s", "^"), strict=False):
        panels[3].plot(nats, np.array(measured["ess"])[:, k], marker, mfc="none", color=GREEN,
                       label=f"M = {spec['batches'][k]}")  # fmt: skip
    panels[3].plot(nats, theory["ess_limit"], color=GREEN, lw=1, label="$e^{-2I}$")
    panels[3].set(yscale="log", title="ESS/M, mean over batches")
    panels[3].legend()
    for axes in panels:
        axes.set_xlabel("I, nats")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def slopes_of(
    exact: Row, sampled: Row
) -> list[tuple[str, str, list[float], list[tuple[float, float]]]]:
    """Return (law, bound, I, (exponent, half-width of its interval) at each)."""
    found = []
    for name in BOUNDS:
        table, inverse = (
            np.array(exact["measured"]["variance"][name]),
            1 / np.array(exact["spec"]["batches"]),
        )
        found.append(
            (
                "copied symbol",
                name,
                exact["theory"]["nats"],
                [fit_exponent(inverse, line) for line in table],
            )
        )
    for name in BOUNDS:
        pairs = [tuple(pair) for pair in sampled["measured"]["variance_slope"][name]]
        found.append(("Gaussian", name, sampled["spec"]["nats"], pairs))
    return found


def scaling_figure(exact: Row, sampled: Row) -> Figure:
    """Exponent of the variance in N against I, on both laws."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for law, name, nats, slopes in slopes_of(exact, sampled):
        axes = panels[0 if law == "copied symbol" else 1]
        centre, half = np.array(slopes).T
        _draw(
            axes,
            np.array(nats) + 0.04 * (BOUNDS.index(name) - (len(BOUNDS) - 1) / 2),
            centre,
            name,
            np.nan_to_num(half),
        )
        axes.set(title=law, xlabel="I, nats", ylim=(-1.6, 0.8))
        axes.axhline(-1, color=INK, lw=1)
    panels[0].set_ylabel("exponent of N in Var")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def training_figure(row: Row) -> Figure:
    """Value, variance, SNR and effective negatives at the checkpoints of training."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    spec, measured, theory = row["spec"], row["measured"], row["theory"]
    steps, pairs = spec["checkpoints"], spec["batch"] * (spec["batch"] - 1)
    for axes, key in zip(panels, ("value", "variance", "snr", "effective"), strict=True):
        for name in BOUNDS:
            values = np.array(
                [np.nan if v is None else v for v in measured[key][name]], dtype=float
            )
            if key != "value":
                values[values <= 0] = np.nan
            axes.plot(steps, values / (pairs if key == "effective" else 1), f"-{_MARKERS[name]}", ms=4, lw=1,
                      color=colour(name), label=label(name))  # fmt: skip
        axes.set(xscale="symlog", xlabel="step", yscale="linear" if key == "value" else "log")
        axes.set_xscale("symlog", linthresh=10)
    panels[0].axhline(theory["nats"], color=INK, ls="--", lw=1)
    panels[0].set(title="Value, nats", ylim=(-0.5, 1.6 * theory["nats"]))
    panels[1].axhline(theory["nwj_variance"], color=colour("nwj"), lw=1)
    panels[1].set_title("Variance of the value, nats²")
    panels[2].set_title("SNR of the gradient")
    panels[3].plot(steps, measured["ess"]["dv"], "o", mfc="none", ms=8, color=INK)
    panels[3].axhline(theory["ess"], color=INK, lw=1)
    panels[3].set_title("Share of the negatives that carry the gradient")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure
