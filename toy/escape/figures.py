"""Figures of the escape experiments, from rows alone."""

from __future__ import annotations

from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators import theory
from mi_estimators.display import GREY, INK, PALETTE, colour, label
from mi_estimators.display.style import GREEN, ORANGE, PINK

from ..rows import Row, of
from . import renewal
from .run import TIMES
from .tables import label_of

_DASHES = ("-", "--", ":")
_MARKERS = ("o", "s", "^")
_EPS = "ε, p(correct) of the base policy"


def escape_figure(rows: list[Row]) -> Figure:
    """Escape time against ε, theory as lines, exact flow as points: what escapes, and the JS family beside it."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    free, anchored = figure.subplots(1, 2, sharey=True)
    free.set(xscale="log", yscale="log")
    anchored.set(xscale="log", yscale="log")

    flows = [
        row for row in of(rows, "EscapeFlow") if not row["spec"]["objective"].startswith("drawn")
    ]
    family = [row for row in flows if row["spec"]["objective"] == "mio"]

    for row in flows:
        _times(anchored if row in family else free, row)

    for row in of(rows, "EscapeSampled", objective="rlhf", every_step=False, learning_rate=0.5):
        low, middle, high = np.array(row["measured"]["time_quartiles"]).T
        count = row["spec"]["samples"]
        free.errorbar(
            row["spec"]["eps"],
            middle,
            yerr=[middle - low, high - middle],
            fmt="D" if count > 8 else "v",
            label=f"RLHF, {count} samples a step",
            mfc="none",
            color=INK,
            capsize=3,
            lw=1.2,
            ms=6,
        )

    top = max(t for row in flows for times in row["measured"]["time"] for t in times if t)
    _never(anchored, family, shelf=10 * top)
    for axes, title in ((free, "RLHF, DPO, SFT"), (anchored, "MIO and α-MIO")):
        axes.set(xlabel=_EPS, title=title)
        axes.invert_xaxis()
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
            ncols=2,
            fontsize=8.5,
        )

    free.set_ylabel("time to p(correct) = ½")
    return figure


def _colour(spec: dict) -> str:
    """Return the colour of a flow; MIO, a fixed α and the recommended one differ."""
    if spec["objective"] == "mio":
        return {0.5: PINK, None: GREEN}.get(spec["mix"], ORANGE)
    return colour(spec["objective"])


def _times(axes: Axes, row: Row) -> None:
    spec = row["spec"]
    line = np.geomspace(min(row["spec"]["eps"]), 0.3, 80)
    for k, (beta, times) in enumerate(zip(spec["betas"], row["measured"]["time"], strict=True)):
        curve = np.array([TIMES[spec["objective"]](eps, beta, spec["mix"]) for eps in line])
        curve[np.isinf(curve)] = np.nan
        axes.plot(line, curve, _DASHES[k % 3], color=_colour(spec))
        axes.plot(
            spec["eps"],
            np.array(times, dtype=float),
            _MARKERS[k % 3],
            color=_colour(spec),
            ms=5,
            label=label_of(spec, beta),
        )


def _never(axes: Axes, rows: list[Row], shelf: float) -> None:
    """Draw on a grey shelf above the curves from which ε the flows come to rest below ½."""
    lines = [(row, k) for row in rows for k in range(len(row["spec"]["betas"]))]
    anywhere = False
    for place, (row, k) in enumerate(lines):
        stopped = [time is None for time in row["measured"]["time"][k]]
        eps = np.array(row["spec"]["eps"])[stopped]
        heights = np.full(len(eps), shelf * 2.0**place)
        style = {"color": _colour(row["spec"]), "ms": 5, "mfc": "none"}
        axes.plot(eps, heights, _MARKERS[k % 3], **style)
        anywhere |= any(stopped)

    if not anywhere:
        return

    end = shelf * 2.0 ** (len(lines) + 2)
    axes.axhspan(shelf / 2, end, color=GREY, alpha=0.12, lw=0)
    corner = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    axes.text(0.985, 0.985, "never (at rest below ½)", **corner)
    axes.set_ylim(top=end)


def sampled_figure(rows: list[Row]) -> Figure:
    """Steps of group-relative policy gradients to ½, and to a first correct answer, against 1/(nε)."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    sampled = of(rows, "EscapeSampled", objective="rlhf")
    sizes = sorted({row["spec"]["samples"] for row in sampled})
    tints = dict(zip(sizes, cycle(PALETTE), strict=False))

    for row in sampled:
        spec, measured = row["spec"], row["measured"]
        n = spec["samples"]
        rate = spec["learning_rate"]
        tint = tints[row["spec"]["samples"]]
        points = {"color": tint, "mfc": "none", "capsize": 3, "lw": 1}
        steps = {
            "x": 1 / (n * np.array(spec["eps"])),
            "y": measured["steps_mean"],
            "yerr": 2 * np.array(measured["steps_stderr"]),
        }

        if spec["every_step"]:
            name = f"n = {n}, every step taken"
            left.errorbar(**steps, fmt="x", ms=7, label=name, **points)
            right.errorbar(
                spec["eps"],
                measured["first_signal"],
                yerr=2 * np.array(measured["first_signal_stderr"]),
                fmt="x",
                ms=7,
                label=f"n = {n}",
                **points,
            )

            line = np.geomspace(min(spec["eps"]), 0.2, 60)
            waits = [theory.steps_to_first_signal(eps, n) for eps in line]
            right.plot(line, waits, color=tint, lw=1.2)
        else:
            slow = rate < 1
            line = np.geomspace(min(spec["eps"]), max(spec["eps"]), 15)
            mean = [renewal.escape_steps("rlhf", eps, n, rate) for eps in line]
            left.plot(
                1 / (n * line),
                mean,
                "-" if slow else "--",
                color=tint,
                lw=1.2,
            )

            name = f"n = {n}, η = {rate:g}"
            left.errorbar(
                **steps,
                fmt="o" if slow else "s",
                ms=6,
                label=name,
                **points,
            )

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
        tint = ORANGE if two else PINK

        for k, (beta, lift) in enumerate(zip(spec["betas"], row["measured"]["lift"], strict=True)):
            curve = [end(eps, beta, spec["mix"]) / eps for eps in line]
            axes.plot(line, curve, _DASHES[k % 3], color=tint)
            name = f"{spec['arms']} responses, β = {beta:g}"
            face = tint if two else "none"
            style = {"color": tint, "ms": 5, "mfc": face, "label": name}
            axes.plot(spec["eps"], lift, _MARKERS[k % 3], **style)

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
    "dv": ("DV, drawn", "-", "o", colour("dv")),
    "nwj": ("NWJ, drawn", "-", "^", colour("nwj")),
    "js": ("JS, drawn", "-", "D", colour("js")),
    "dpo_drawn": ("DPO, pair drawn", "-", "v", colour("rlhf")),
    "dpo": ("DPO, supplied", "--", "o", colour("dpo")),
    "mio": ("MIO, supplied", "--", "D", colour("mio")),
    "alpha_mio": ("α-MIO, supplied", "--", "P", GREEN),
}
"""Solid: the policy draws the correct answer; dashed: it is supplied. α-MIO is told from MIO by its colour."""


def who_figure(rows: list[Row]) -> Figure:
    """Weight of the correct answer against ε, drawn and supplied; and the escape times that follow."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for row in of(rows, "WhoSamples"):
        _weights(left, row)

    for row in of(rows, "EscapeFlow"):
        spec, name = row["spec"], row["spec"]["objective"]
        if name.startswith("drawn"):
            look = ("-", "o", colour(name))
            _curve(right, row, "time", look, label_of(spec, 1))
        elif (name, spec["mix"]) in (("dpo", 0.5), ("mio", None)):
            look = _WHO["dpo" if name == "dpo" else "alpha_mio"][1:]
            _curve(right, row, "time", look, f"{label_of(spec, spec['betas'][0])}, supplied")

    for row in of(rows, "EscapeSampled"):
        spec, name = row["spec"], row["spec"]["objective"]
        if name in ("dv", "js"):
            text = f"{label(name)}, drawn, {spec['samples']} samples a step"
            look = (":", "x", colour(name))
            _curve(right, row, "steps_mean", look, text, scale=spec["learning_rate"])

    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel=_EPS)
        axes.invert_xaxis()

    left.set(ylabel="weight on ∇ ln π(correct)", title="Weight at the base policy")
    left.legend(loc="lower left", fontsize=7.5)
    right.set(ylabel="time to p(correct) = ½", title="Escape")
    right.legend(loc="upper left", fontsize=7.5)

    return figure


def _weights(axes: Axes, row: Row) -> None:
    eps, measured, expected = row["spec"]["eps"], row["measured"], row["theory"]
    for name, (text, dash, marker, tint) in _WHO.items():
        axes.plot(eps, expected["exact"][name], dash, color=tint, lw=1.2)
        face = tint if name in measured["sampled"] else "none"
        style = {"color": tint, "mfc": face, "ms": 5, "label": text}
        axes.plot(eps, measured["exact"][name], marker, **style)

        if name == "dv":
            groups = np.array(measured["sampled"][name])
            groups[groups == 0] = np.nan  # no group had a correct answer
            axes.plot(eps, expected["sampled"][name], ":", color=INK, lw=1.2)
            text = f"DV, mean of groups of {row['spec']['samples']}"
            axes.plot(eps, groups, "x", color=INK, ms=7, label=text)


def _curve(
    axes: Axes,
    row: Row,
    key: str,
    look: tuple[str, str, str],
    text: str,
    scale: float = 1.0,
) -> None:
    """Draw a row against ε: theory as a line, measured as open points. Of several β the first."""
    dash, marker, tint = look
    expected, measured = (
        scale * np.atleast_2d(np.array(row[part][key], dtype=float))[0]
        for part in ("theory", "measured")
    )
    axes.plot(row["spec"]["eps"], expected, dash, color=tint, lw=1.2)
    axes.plot(
        row["spec"]["eps"],
        measured,
        marker,
        color=tint,
        ms=5,
        mfc="none",
        label=text,
    )
