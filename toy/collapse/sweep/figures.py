"""Figures of the collapse sweep, from rows alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mi_estimators import theory
from mi_estimators.display import INK, colour, label
from mi_estimators.display.style import BLUE, ORANGE, PINK

from ...rows import Row, of
from .losses import ALPHA

_DASHES = {"ipo": "--", "alpha_mio": "--", "bce": ":", "dpop": "--", "dpo_sft": "--"}
_VERDICTS = {
    "holds": "#7fcbb0",
    "reverses": "#a9d4f0",
    "sinks": "#f3cf80",
    "drifts": "#ec9a73",
    "diverges": "#b9bec4",
}
_ON_COLOUR = "#111111"  # ink on a coloured cell, the same on light and dark pages


def name_of(loss: str) -> str:
    """Return a loss as text, with α where it has one."""
    return f"{label(loss)} ({ALPHA:g})" if loss == "alpha_mio" else label(loss)


def task(row: Row) -> str:
    """Return what was trained, in words."""
    if row["kind"] == "Responses":
        return "10 responses"
    spec = row["spec"]
    base = "" if spec["imitated"] == "pairs" else ", base: law"
    return f"sequences, {spec['shared']} of {spec['response']} shared{base}"


def kernel_figure(rows: list[Row]) -> Figure:
    """Final z_w over (κ, β) for both losses, and the lowest βz_w of MIO over κ."""
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    (dpo, *_), flows = of(rows, "Kernel", bound="dv"), of(rows, "Kernel", bound="js")
    mio = min(flows, key=lambda row: abs(row["spec"]["excess"] - dpo["spec"]["excess"]))

    ends = [np.array(row["measured"]["final"], dtype=float).T for row in (dpo, mio)]
    limit = max(1.0, np.abs(ends).max())
    norm = TwoSlopeNorm(0, -limit, limit)

    for axes, row, values in zip((left, middle), (dpo, mio), ends, strict=True):
        kappas, betas = row["spec"]["kappas"], row["spec"]["betas"]
        place = np.arange(len(betas))
        mesh = axes.pcolormesh(kappas, place, values, cmap="RdBu", norm=norm, rasterized=True)

        if row is dpo:
            name, levels, dash, text = "DPO", (-8, -4, -2, 2, 4), "-", None
            heights = np.array(row["theory"]["final"], dtype=float).T
        else:
            name, levels, dash, text, heights = "MIO", [0], ":", "0", values

        lines = axes.contour(
            kappas,
            place,
            heights,
            levels,
            colors=_ON_COLOUR,
            linewidths=0.8,
            linestyles=dash,
        )

        axes.clabel(lines, fontsize=7, fmt=text)
        axes.axvline(1, color=_ON_COLOUR, lw=1.4, ls="--")
        axes.set_yticks(place, [f"{b:g}" for b in betas])
        title = f"{name}: z_w at time {row['spec']['horizon']:g}"
        axes.set(xlabel="κ = c/a", ylabel="β", title=title)
        axes.grid(False)

    figure.colorbar(mesh, ax=[left, middle], label="z_w, nats", shrink=0.85)

    _depths(
        right,
        flows,
        np.linspace(1, mio["spec"]["kappas"][-1], 120),
    )

    return figure


def _depths(axes: Axes, rows: list[Row], kappas: np.ndarray) -> None:
    axes.plot(
        kappas, [theory.mio_deepest_dip(k) for k in kappas], color=PINK, label="least over kernels"
    )
    proved = kappas[kappas < 4]
    barrier = [theory.mio_barrier(k) for k in proved]
    axes.plot(proved, barrier, color=BLUE, ls="--", label="barrier, κ < 4")
    axes.axhline(
        rows[0]["theory"]["interval"],
        color=INK,
        lw=1,
        ls=":",
        label="interval's end",
    )

    for row, marker in zip(rows, "v^so", strict=False):
        spec = row["spec"]
        depth = np.array(row["measured"]["lowest"], dtype=float)[:, -2:] * spec["betas"][-2:]
        text = f"ad − c² = {spec['excess']:g}"
        places = np.repeat(spec["kappas"], depth.shape[1])
        axes.plot(
            places,
            depth.ravel(),
            marker,
            color=ORANGE,
            ms=4,
            mfc="none",
            label=text,
        )

    axes.set(
        ylim=(-0.95, 0.05),
        xlabel="κ = c/a",
        ylabel="lowest βz_w of MIO, nats",
        title="How deep MIO dips",
    )
    axes.legend(fontsize=7.5, loc="lower right", bbox_to_anchor=(1, 0.1))


def plane_figure(row: Row) -> Figure:
    """−∇L of each loss over the plane of log-ratios, and a descent under a coupled kernel."""
    fields, axis = row["measured"]["fields"], np.array(row["measured"]["axis"])
    z_w, z_l = np.meshgrid(axis, axis, indexing="ij")
    ends = 1.08 * axis[[0, -1]]
    anchors = {"mio": math.log(2), "alpha_mio": -math.log1p(-ALPHA)}

    figure = Figure(figsize=(9.5, 9.6), layout="constrained")
    panels = figure.subplots(
        math.ceil(len(fields) / 3),
        3,
        sharex=True,
        sharey=True,
        squeeze=False,
    )

    for axes, (name, field) in zip(panels.flat, fields.items(), strict=False):
        up, side = (np.array(part) for part in field["descent"])  # first index z_w, second z_l
        size = np.hypot(up, side) + 1e-12
        rising = np.where(up > 0, 0.85, 0.1)
        axes.quiver(
            z_w,
            z_l,
            up / size,
            side / size,
            rising,
            cmap="coolwarm_r",
            clim=(0, 1),
        )

        axes.axline((0, 0), slope=1, color=INK, lw=0.8, ls=":")

        path = np.array([*field["path"][0], field["path"][1]])
        axes.plot(*path.T, color=ORANGE, lw=2.2)
        axes.plot(*path[-1], "o", color=ORANGE, ms=6)
        if name in anchors:
            axes.axvline(anchors[name], color=INK, lw=1, ls="-.")

        if name == "ipo":
            axes.axline((0.5, 0), slope=1, color=INK, lw=1, ls="-.")

        axes.set(xlim=ends, ylim=ends, aspect="equal", title=name_of(name))

    for axes in panels[-1]:
        axes.set_xlabel("z_w, nats")
    for axes in panels[:, 0]:
        axes.set_ylabel("z_l, nats")

    return figure


def verdict_figure(rows: list[Row]) -> Figure:
    """One cell for each loss, β and learning rate: what the mean chosen log-ratio does, and where it ends."""
    tied = [row for row in rows if row["spec"].get("imitated") == "pairs"]
    lines = [line for line in ([row for row in rows if row not in tied], tied) if line]
    widths = [
        [len(row["spec"]["betas"]) * len(row["spec"]["rates"]) for row in line] for line in lines
    ]
    size = (1.8 + 0.5 * max(map(sum, widths)), 4 * len(lines))
    figure = Figure(figsize=size, layout="constrained")
    parts = figure.subfigures(len(lines), 1, squeeze=False)[:, 0]

    for part, line, width in zip(parts, lines, widths, strict=True):
        panels = part.subplots(1, len(line), squeeze=False, width_ratios=width, sharey=True)[0]
        for axes, row in zip(panels, line, strict=True):
            _verdicts(axes, row)

    patches = [Rectangle((0, 0), 1, 1, color=tint) for tint in _VERDICTS.values()]
    parts[-1].legend(patches, _VERDICTS, loc="outside lower center", ncols=5)
    return figure


def _verdicts(axes: Axes, row: Row) -> None:
    losses = {name: part["settings"] for name, part in row["measured"]["losses"].items()}
    order = list(_VERDICTS)
    cells = [[order.index(s["verdict"]) for s in settings] for settings in losses.values()]
    columns = range(len(cells[0]))
    axes.pcolormesh(
        columns,
        range(len(cells)),
        cells,
        cmap=ListedColormap(list(_VERDICTS.values())),
        vmin=-0.5,
        vmax=len(order) - 0.5,
        edgecolors="white",
        linewidth=1.5,
    )

    centred = {"ha": "center", "va": "center", "fontsize": 7, "color": _ON_COLOUR}
    for y, settings in enumerate(losses.values()):
        for x, setting in enumerate(settings):
            end = setting["z_chosen"][-1]
            axes.text(x, y, "–" if end is None else f"{end:+.1f}", **centred)

    ticks = [f"{s['beta']:g}\n{s['rate']:g}" for s in next(iter(losses.values()))]
    axes.set_xticks(columns, ticks, fontsize=7)
    axes.set_yticks(range(len(losses)), [name_of(name) for name in losses])
    axes.set(xlim=(-0.5, len(ticks) - 0.5), ylim=(len(losses) - 0.5, -0.5))
    axes.set_xlabel("β above, η below")
    axes.set_title(task(row), fontsize=9)
    axes.grid(False)
    axes.tick_params(length=0)


def curves_figure(rows: list[Row]) -> Figure:
    """Mean chosen log-ratio of every loss over training at the smallest β and the largest learning rate."""
    lines = math.ceil(len(rows) / 2)
    figure = Figure(figsize=(10, 3.4 * lines), layout="constrained")
    panels = figure.subplots(lines, 2, squeeze=False, sharey=True)
    ticks = (-10, -3, -1, 0, 1, 3, 10, 20)

    for axes, row in itertools.zip_longest(panels.flat, rows):
        if row is None:
            axes.axis("off")
            continue

        shown = row["spec"]["betas"][0], row["spec"]["rates"][-1]
        for name, part in row["measured"]["losses"].items():
            (curve,) = (s for s in part["settings"] if (s["beta"], s["rate"]) == shown)
            axes.plot(
                curve["step"],
                np.array(curve["z_chosen"], dtype=float),
                _DASHES.get(name, "-"),
                color=colour(name),
                label=name_of(name),
            )

        axes.axhline(0, color=INK, lw=0.8)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_yticks(ticks, [f"{t:+d}" if t else "0" for t in ticks])
        axes.set(xlabel="step")
        axes.set_title(f"{task(row)}\nβ = {shown[0]:g}, η = {shown[1]:g}", fontsize=9)

    for axes in panels[:, 0]:
        axes.set_ylabel("mean z_w, nats")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def tuned_figure(rows: list[Row]) -> Figure:
    """Held-out gain of every loss at its best setting."""
    lines = math.ceil(len(rows) / 3)
    figure = Figure(figsize=(10, 3.3 * lines), layout="constrained")
    panels = figure.subplots(lines, 3, squeeze=False, sharey=True)

    for axes, row in itertools.zip_longest(panels.flat, rows):
        if row is None:
            axes.axis("off")
            continue

        losses = row["measured"]["losses"]
        for y, (name, part) in enumerate(losses.items()):
            gains = np.array(part["tuned"]["held_out"], dtype=float)
            error, tint = part["tuned"]["stderr"], colour(name)
            axes.plot(
                gains,
                np.full(len(gains), y),
                ".",
                color=tint,
                ms=4,
                alpha=0.6,
            )

            axes.errorbar(
                gains.mean(),
                y,
                xerr=error,
                fmt="D",
                color=tint,
                ms=5,
                capsize=3,
            )

        axes.set_yticks(range(len(losses)), [name_of(name) for name in losses])
        axes.set(ylim=(len(losses) - 0.5, -0.5), xlabel="gain on held-out replicas")
        axes.set_title(task(row), fontsize=9)

    return figure
