"""The report's section on the staircase, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

import mi_estimators as mi
from mi_estimators.display.page import Page
from mi_estimators.display.style import BLUE, GREEN, GREY, INK, ORANGE, PINK, RED, SKY
from mi_estimators.display.table import Table, number

from ..rows import Row, of
from .run import readout_of

_MAPS = {"none": BLUE, "asinh": GREEN, "rotated": SKY, "cubic": RED, "rotated cubic": ORANGE}
_READOUTS: dict[str, str] = dict(
    zip(
        ("dv", "nwj", "infonce", "jsd_certificate", "bridge", "smile", "plug_in"),
        (BLUE, ORANGE, GREEN, SKY, RED, GREY, PINK),
        strict=True,
    )
)


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    found = of(rows, "Staircase")
    if not found:
        return
    row = found[0]
    spec, theory = row["spec"], row["theory"]
    page.heading("The staircase: every estimator as the information climbs")
    page.figure(
        "staircase",
        stairs_figure(row),
        f"""{spec["dim"]} pairs of normals whose information climbs through {", ".join(f"{v:g}" for v in spec["nats"])}
        nats (stairs), {spec["steps"]} steps of Adam each on fresh batches of {spec["batch"]}; separable critics,
        {spec["replicas"]} for each objective and map, with batches of their own, trained on from level to level.
        Coloured: what each row of mi.ESTIMATORS reads from the batch it is about to be trained on, y as it is or
        mapped (asinh or cube of every coordinate; a random rotation of all; the cube, rotated), which leaves I;
        running medians of {_width(row)} readings, median of the replicas; the band spans the replicas of plain y.
        Grey: what T = ln dP/dQ itself reads from the same batches, the same under every map. Dashed for InfoNCE:
        its ceiling ln {spec["batch"]} = {theory["ceiling"]:.2f}. Values below −1 are cut off. To see: grey apart
        from the stairs is the read-out's fault, colour apart from grey the critic's. DV and SMILE overstate at high
        information even with the ideal critic (NWJ's median too: its mean is exact, by rare deep drops), InfoNCE
        and the certificate understate; the bridge (js, relative) and the plug-in keep to I. Every critic, of one
        small size and few steps, falls short from 2 nats on, most where y is cubed; trained by NWJ or MINE it falls
        behind for good from 6 nats, by JS or the α-relative DV it follows. JS's critic read by NWJ shows what the
        critic gets wrong on rare pairs of large score.""",
    )
    page.figure(
        "staircase_control",
        control_figure(row),
        f"""What an ideal critic, T = ln dP/dQ, reads from one batch of {spec["batch"]}: bias (left) and variance
        (right) of every read-out, over the {_late(row)} last readings of a level and {spec["replicas"]} replicas; open
        points, the critic trained for it, plain y (for a read-out with several objectives the first of mi.ESTIMATORS),
        bars two standard errors of its bias over the replicas. Dashed: NWJ's and the plug-in's exact variance; their
        exact bias is 0 (axis linear within 0.1). To see: NWJ's sampled variance falls short of the exact one from 4
        nats on, for the pairs that would carry it are not met in so many batches. DV and SMILE overstate more and more,
        InfoNCE tends to its ceiling, and the bridge and the plug-in of the ideal critic stay right. A trained critic's
        small variance says nothing of its bias.""",
    )
    page.table(
        "Plain y: trained critics, and the ideal one on the same batches", summaries(row, "none")
    )
    page.text("""Variance: of single readings, all replicas pooled.""", soft=True)
    for name in spec["maps"]:
        if name != "none":
            page.table(f"y mapped by {name}", summaries(row, name), folded=True)


def _count(row: Row) -> int:
    return row["spec"]["steps"] // row["spec"]["every"]


def _late(row: Row) -> int:
    return _count(row) - int((1 - row["spec"]["late"]) * _count(row))


def _width(row: Row) -> int:
    return max(1, _count(row) // 10) | 1


def _floats(values: list) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(values, width // 2, mode="reflect"), width
    )
    return np.median(windows, -1)


def _lines(readings: list[list], width: int) -> np.ndarray:
    """Return the running median of every replica, shape (replicas, readings)."""
    return np.array([_smooth(_floats(line), width) for line in readings])


def stairs_figure(row: Row) -> Figure:
    """One panel for each estimator: readings under every map, the ideal critic's and the truth."""
    names = list(row["measured"]["readings"])
    columns = 4
    figure = Figure(figsize=(10, 2.3 * -(-(len(names) + 1) // columns) + 0.3), layout="constrained")
    panels = figure.subplots(
        -(-(len(names) + 1) // columns), columns, sharex=True, sharey=True
    ).ravel()
    spec, width = row["spec"], _width(row)
    truth = np.repeat(spec["nats"], _count(row))
    steps = spec["every"] * np.arange(len(truth))
    for axes, name in zip(panels, names, strict=False):
        control = _lines(row["measured"]["control"][readout_of(name)], width)
        axes.plot(steps, np.median(control, 0), color=GREY, lw=2, label="T = ln dP/dQ")
        for kind, values in row["measured"]["readings"][name].items():
            label = "y" if kind == "none" else f"{kind} y"
            lines = _lines(values, width)
            axes.plot(steps, np.median(lines, 0), color=_MAPS[kind], lw=1, label=label)
            if kind == "none":
                axes.fill_between(
                    steps, lines.min(0), lines.max(0), color=_MAPS[kind], alpha=0.25, lw=0
                )
        axes.plot(steps, truth, color=INK, lw=1, label="I")
        if mi.ESTIMATORS[name].cap == "ln K":
            axes.axhline(row["theory"]["ceiling"], color=INK, ls="--", lw=1)
        axes.set(title=name, ylim=(-1, 1.45 * max(spec["nats"])))
    for axes in panels[len(names) :]:
        axes.axis("off")
    panels[len(names)].legend(*panels[0].get_legend_handles_labels(), loc="center")
    figure.supxlabel("step", fontsize=10)
    figure.supylabel("nats", fontsize=10)
    return figure


def control_figure(row: Row) -> Figure:
    """Bias and variance of every read-out at the ideal critic, and at the trained one, against I."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    panels = figure.subplots(1, 2)
    nats, measured = np.array(row["spec"]["nats"]), row["measured"]
    first = {readout_of(name): name for name in reversed(list(measured["summary"]))}
    for k, (name, colour) in enumerate(_READOUTS.items()):
        at = nats + 0.09 * (k - 3)
        ideal, trained = (
            np.array([_floats(level) for level in levels])
            for levels in (
                measured["control_summary"][name],
                measured["summary"][first[name]]["none"],
            )
        )
        for axes, index in zip(panels, (0, 1), strict=True):
            axes.plot(at, ideal[:, index], "-o", color=colour, ms=5, lw=0.7, alpha=0.9, label=name)
            bars = 2 * trained[:, 3] if index == 0 else None
            axes.errorbar(
                at,
                trained[:, index],
                yerr=bars,
                fmt="o",
                color=colour,
                ms=6,
                mfc="none",
                lw=1,
                capsize=2,
            )
    for key, name in (("nwj_variance", "nwj"), ("plug_in_variance", "plug_in")):
        panels[1].plot(nats, row["theory"][key], "--", color=_READOUTS[name], lw=1.2)
    panels[0].set_yscale("symlog", linthresh=0.1)
    panels[0].axhline(0, color=INK, lw=1)
    panels[0].set(title="Bias, nats", xlabel="I, nats")
    panels[1].set(title="Variance, nats²", xlabel="I, nats", yscale="log")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=7, columnspacing=1
    )
    return figure


def summaries(row: Row, kind: str) -> Table:
    """Estimate, bias, variance and mean squared error of every row of `mi.ESTIMATORS` at every level."""
    body = []
    measured = row["measured"]
    for name, lines in measured["summary"].items():
        if kind not in lines:
            continue
        control = measured["control_summary"][readout_of(name)]
        for nats, trained, ideal in zip(row["spec"]["nats"], lines[kind], control, strict=True):
            cells = [
                [("none" if v is None else number(v, 3)) for v in values[:3]]
                for values in (trained, ideal)
            ]
            error = "" if trained[3] is None else f" ± {trained[3]:.2f}"
            estimate = "none" if trained[0] is None else f"{nats + trained[0]:.2f}{error}"
            body.append((name, f"{nats:g}", estimate, *cells[0], *cells[1]))
    three = ("bias", "variance", "MSE")
    head = ("estimator", "I", f"estimate ± s.e. of {row['spec']['replicas']} replicas", *three)
    return Table((*head, *(f"ideal: {text}" for text in three)), body)
