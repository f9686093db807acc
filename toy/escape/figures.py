"""Figures of the escape experiments, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators.display.style import BLUE, COLOURS, GREEN, GREY, INK, ORANGE, PINK, RED, SKY

from .. import theory
from ..rows import Row, of
from . import renewal
from .run import TIMES
from .tables import label

_SHADES = ("-", "--", ":")
_MARKERS = ("o", "s", "^")
_EPS = "ε, p(correct) of the base policy"


def _floats(values: list) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def escape_figure(rows: list[Row]) -> Figure:
    """Escape time against ε, theory as lines, exact flow as points: what escapes, and the JS family beside it."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    free, anchored = figure.subplots(1, 2, sharey=True)
    free.set(xscale="log", yscale="log")
    anchored.set(xscale="log", yscale="log")
    flows = [
        row for row in of(rows, "EscapeFlow") if not row["spec"]["objective"].startswith("drawn")
    ]
    families = {0.5: PINK, None: GREEN}
    for row in flows:
        spec = row["spec"]
        mio = spec["objective"] == "mio"
        colour = families.get(spec["mix"], ORANGE) if mio else COLOURS[spec["objective"]]
        _times(anchored if mio else free, row, colour)
    for row in of(rows, "EscapeSampled", objective="rlhf", every_step=False, learning_rate=0.5):
        low, middle, high = np.array(row["measured"]["time_quartiles"]).T
        style = {"mfc": "none", "color": INK, "capsize": 3, "lw": 1.2, "ms": 6}
        n = row["spec"]["samples"]
        free.errorbar(row["spec"]["eps"], middle, yerr=[middle - low, high - middle], fmt="D" if n > 8 else "v",
                      label=f"RLHF, {n} samples a step", **style)  # fmt: skip
    top = max(
        t for row in flows for times in row["measured"]["time"] for t in times if t is not None
    )
    shelf, held = 10 * top, [row for row in flows if row["spec"]["objective"] == "mio"]
    lines = [(row, k) for row in held for k in range(len(row["spec"]["betas"]))]
    for place, (row, k) in enumerate(lines):
        eps = np.array(row["spec"]["eps"])[[t is None for t in row["measured"]["time"][k]]]
        colour = families.get(row["spec"]["mix"], ORANGE)
        anchored.plot(
            eps,
            np.full(len(eps), shelf * 2.0**place),
            _MARKERS[k % 3],
            color=colour,
            ms=5,
            mfc="none",
        )
    if any(t is None for row in held for times in row["measured"]["time"] for t in times):
        end = shelf * 2.0 ** (len(lines) + 2)
        anchored.axhspan(shelf / 2, end, color=GREY, alpha=0.12, lw=0)
        anchored.text(
            0.985,
            0.985,
            "never (at rest below ½)",
            transform=anchored.transAxes,
            ha="right",
            va="top",
        )
        anchored.set_ylim(top=end)
    for axes, title in ((free, "RLHF, DPO, SFT"), (anchored, "MIO and α-MIO")):
        axes.set(xlabel=_EPS, title=title)
        axes.invert_xaxis()
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8.5)
    free.set_ylabel("time to p(correct) = ½")
    return figure


def _times(axes: Axes, row: Row, colour: str) -> None:
    spec = row["spec"]
    line = np.geomspace(min(spec["eps"]), 0.3, 80)
    for k, (beta, times) in enumerate(zip(spec["betas"], row["measured"]["time"], strict=True)):
        curve = np.array([TIMES[spec["objective"]](e, beta, spec["mix"]) for e in line])
        axes.plot(line, np.where(np.isfinite(curve), curve, np.nan), _SHADES[k % 3], color=colour)
        axes.plot(
            spec["eps"],
            _floats(times),
            _MARKERS[k % 3],
            color=colour,
            ms=5,
            label=label(spec, beta),
        )


def sampled_figure(rows: list[Row]) -> Figure:
    """Steps of group-relative policy gradients to ½, and to a first correct answer, against 1/(nε)."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = {8: BLUE, 64: ORANGE}
    for row in of(rows, "EscapeSampled", objective="rlhf"):
        spec, measured = row["spec"], row["measured"]
        n, rate, colour = spec["samples"], spec["learning_rate"], colours.get(spec["samples"], SKY)
        wait = 1 / (n * np.array(spec["eps"]))
        style = {"color": colour, "mfc": "none", "capsize": 3, "lw": 1}
        if spec["every_step"]:
            left.errorbar(wait, measured["steps_mean"], yerr=2 * np.array(measured["steps_stderr"]), fmt="x", ms=7,
                          label=f"n = {n}, every step taken", **style)  # fmt: skip
            error = 2 * np.array(measured["first_signal_stderr"])
            right.errorbar(
                spec["eps"],
                measured["first_signal"],
                yerr=error,
                fmt="x",
                ms=7,
                label=f"n = {n}",
                **style,
            )
            line = np.geomspace(min(spec["eps"]), 0.2, 60)
            right.plot(
                line, [theory.steps_to_first_signal(e, n) for e in line], color=colour, lw=1.2
            )
            continue
        line = np.geomspace(min(spec["eps"]), max(spec["eps"]), 15)
        mean = [renewal.escape_steps("rlhf", e, n, rate) for e in line]
        left.plot(1 / (n * line), mean, "-" if rate < 1 else "--", color=colour, lw=1.2)
        left.errorbar(wait, measured["steps_mean"], yerr=2 * np.array(measured["steps_stderr"]), ms=6,
                      fmt="o" if rate < 1 else "s", label=f"n = {n}, η = {rate:g}", **style)  # fmt: skip
    ends = np.array(left.get_xlim()).clip(1e-1)
    left.plot(ends, ends, ":", color=INK, lw=1, label="1/(nε)")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="1/(nε)",
        ylabel="steps to p(correct) = ½",
        title="Escape",
    )
    right.set(xscale="log", yscale="log", xlabel=_EPS, ylabel="steps to a first correct answer")
    right.set_title("Waiting for a first signal")
    right.invert_xaxis()
    for axes in (left, right):
        axes.legend(loc="upper left", fontsize=8)
    return figure


def lift_figure(rows: list[Row]) -> Figure:
    """MIO's lift p(correct)/ε at rest against ε, with and without unseen responses."""
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for row in of(rows, "MioLift"):
        spec, two = row["spec"], row["spec"]["arms"] == 2
        line = np.geomspace(min(spec["eps"]), 0.45, 400)
        end = theory.mio_rest if two else theory.mio_ceiling
        colour = ORANGE if two else PINK
        for k, (beta, lift) in enumerate(zip(spec["betas"], row["measured"]["lift"], strict=True)):
            axes.plot(
                line, [end(e, beta, spec["mix"]) / e for e in line], _SHADES[k % 3], color=colour
            )
            name = f"{spec['arms']} responses, β = {beta:g}"
            axes.plot(
                spec["eps"],
                lift,
                _MARKERS[k % 3],
                color=colour,
                ms=5,
                mfc=colour if two else "none",
                label=name,
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=_EPS,
        ylabel="p(correct) at rest / ε",
        title="How far MIO lifts",
    )
    axes.invert_xaxis()
    axes.legend(loc="upper right", fontsize=8)
    axes.set_ylim(1, 400)
    return figure


_WHO = {
    "dv": (BLUE, "-", "o"),
    "nwj": (ORANGE, "-", "^"),
    "js": (PINK, "-", "D"),
    "dpo_drawn": (RED, "-", "v"),
    "dpo": (BLUE, "--", "o"),
    "mio": (PINK, "--", "D"),
    "alpha_mio": (GREEN, "--", "P"),
}
"""Solid: the policy draws the correct answer; dashed: it is supplied."""


def who_figure(rows: list[Row]) -> Figure:
    """Weight of the correct answer against ε, drawn and supplied; and the escape times that follow."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    names = {"dv": "DV, drawn", "nwj": "NWJ, drawn", "js": "JS, drawn", "dpo_drawn": "DPO, pair drawn",
             "dpo": "DPO, supplied", "mio": "MIO, supplied", "alpha_mio": "α-MIO, supplied"}  # fmt: skip
    for row in of(rows, "WhoSamples"):
        eps = np.array(row["spec"]["eps"])
        for name, (colour, dash, marker) in _WHO.items():
            drawn = name in row["measured"]["sampled"]
            left.plot(eps, row["theory"]["exact"][name], dash, color=colour, lw=1.2)
            face = colour if drawn else "none"
            left.plot(
                eps,
                row["measured"]["exact"][name],
                marker,
                color=colour,
                mfc=face,
                ms=5,
                label=names[name],
            )
            if name == "dv":
                left.plot(eps, row["theory"]["sampled"][name], ":", color=INK, lw=1.2)
                left.plot(eps, _positive(row["measured"]["sampled"][name]), "x", color=INK, ms=7,
                          label=f"DV, mean of groups of {row['spec']['samples']}")  # fmt: skip
    for row in of(rows, "EscapeFlow"):
        spec, name = row["spec"], row["spec"]["objective"]
        if name.startswith("drawn"):
            _curve(right, spec["eps"], row["theory"]["time"][0], row["measured"]["time"][0], COLOURS[name], "-", "o",
                   label(spec, 1))  # fmt: skip
        elif (name, spec["mix"]) in (("dpo", 0.5), ("mio", None)):
            colour, dash, marker = _WHO["dpo" if name == "dpo" else "alpha_mio"]
            _curve(right, spec["eps"], row["theory"]["time"][0], row["measured"]["time"][0], colour, dash, marker,
                   f"{label(spec, spec['betas'][0])}, supplied")  # fmt: skip
    for row in of(rows, "EscapeSampled"):
        spec, name = row["spec"], row["spec"]["objective"]
        if name in ("dv", "js"):
            rate, colour = spec["learning_rate"], COLOURS[name]
            said = rate * np.array(row["theory"]["steps_mean"])
            _curve(right, spec["eps"], said, rate * np.array(row["measured"]["steps_mean"]), colour, ":", "x",
                   f"{name.upper()}, drawn, {spec['samples']} samples a step")  # fmt: skip
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel=_EPS)
        axes.invert_xaxis()
    left.set(ylabel="weight on ∇ ln π(correct)", title="Weight at the base policy")
    left.legend(loc="lower left", fontsize=7.5)
    right.set(ylabel="time to p(correct) = ½", title="Escape")
    right.legend(loc="upper left", fontsize=7.5)
    return figure


def _positive(values: list) -> np.ndarray:
    return np.where(np.array(values) > 0, values, np.nan)


def _curve(
    axes: Axes, eps: list, said: list, found: list, colour: str, dash: str, marker: str, name: str
) -> None:
    axes.plot(eps, _floats(said), dash, color=colour, lw=1.2)
    axes.plot(eps, _floats(found), marker, color=colour, ms=5, mfc="none", label=name)
