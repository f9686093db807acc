"""Figures of the collapse sweep, from rows alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
from matplotlib.colors import ListedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mi_estimators.display import style
from mi_estimators.display.style import BLUE, GREEN, INK, ORANGE, PINK, RED, SKY

from ...rows import Row, of
from .kernel import barrier, dip

NAMES = style.NAMES | {
    "ipo": "IPO",
    "alpha_mio": "α-MIO (0.9)",
    "bce": "BCE",
    "kto": "KTO",
    "cal_dpo": "Cal-DPO",
    "dpop": "DPOP",
    "dpo_sft": "DPO+SFT",
}
_LINES = {
    "dpo": (BLUE, "-"),
    "ipo": (SKY, "--"),
    "mio": (PINK, "-"),
    "alpha_mio": (PINK, "--"),
    "bce": (PINK, ":"),
    "kto": (ORANGE, "-"),
    "cal_dpo": (GREEN, "-"),
    "dpop": (RED, "--"),
    "dpo_sft": (GREEN, "--"),
}
_VERDICTS = {
    "holds": "#7fcbb0",
    "reverses": "#a9d4f0",
    "sinks": "#f3cf80",
    "drifts": "#ec9a73",
    "diverges": "#b9bec4",
}
_ON_COLOUR = "#111111"  # ink on a coloured cell, the same on light and dark pages


def _floats(values: list) -> np.ndarray:
    return np.array(values, dtype=float)  # null becomes nan


def kernel_figure(rows: list[Row]) -> Figure:
    """Final z_w over (κ, β) for both losses, and the lowest βz_w of MIO over κ."""
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    (dpo, *_), flows = of(rows, "Kernel", bound="dv"), of(rows, "Kernel", bound="js")
    mio = min(flows, key=lambda row: abs(row["spec"]["excess"] - dpo["spec"]["excess"]))
    shown = [_floats(row["measured"]["final"]).T for row in (dpo, mio)]
    reach = max(1.0, np.abs(shown).max())
    for axes, row, values, name in zip(
        (left, middle), (dpo, mio), shown, ("DPO", "MIO"), strict=True
    ):
        kappas, betas = row["spec"]["kappas"], row["spec"]["betas"]
        place = np.arange(len(betas))
        drawn = axes.pcolormesh(
            kappas, place, values, cmap="RdBu", norm=TwoSlopeNorm(0, -reach, reach), rasterized=True
        )
        if row is dpo:
            said, levels = _floats(row["theory"]["final"]).T, (-8, -4, -2, 2, 4)
            lines = axes.contour(
                kappas, place, said, levels, colors=_ON_COLOUR, linewidths=0.8, linestyles="-"
            )
            axes.clabel(lines, fontsize=7)
        else:
            signs = axes.contour(
                kappas, place, values, [0], colors=_ON_COLOUR, linewidths=0.8, linestyles=":"
            )
            axes.clabel(signs, fontsize=7, fmt="0")
        axes.axvline(1, color=_ON_COLOUR, lw=1.4, ls="--")
        axes.set_yticks(place, [f"{b:g}" for b in betas])
        axes.set(
            xlabel="κ = c/a", ylabel="β", title=f"{name}: z_w at time {row['spec']['horizon']:g}"
        )
        axes.grid(False)
    figure.colorbar(drawn, ax=[left, middle], label="z_w, nats", shrink=0.85)
    line = np.linspace(1, kappas[-1], 120)
    right.plot(line, [dip(k) for k in line], color=PINK, label="least over kernels")
    right.plot(line, [barrier(k) for k in line], color=BLUE, ls="--", label="barrier, κ < 4")
    right.axhline(mio["theory"]["interval"], color=INK, lw=1, ls=":", label="interval's end")
    for row, marker in zip(flows, "v^so", strict=False):
        betas = row["spec"]["betas"]
        lowest = _floats(row["measured"]["lowest"])[:, -2:] * betas[-2:]
        xs = np.repeat(row["spec"]["kappas"], lowest.shape[1])
        kernel = f"ad − c² = {row['spec']['excess']:g}"
        right.plot(xs, lowest.ravel(), marker, color=ORANGE, ms=4, mfc="none", label=kernel)
    right.set(
        ylim=(-0.95, 0.05),
        xlabel="κ = c/a",
        ylabel="lowest βz_w of MIO, nats",
        title="How deep MIO dips",
    )
    right.legend(fontsize=7.5, loc="lower right", bbox_to_anchor=(1, 0.1))
    return figure


def plane_figure(row: Row) -> Figure:
    """−∇L of each loss over the plane of log-ratios, and a descent under a coupled kernel."""
    fields, axis = row["measured"]["fields"], np.array(row["measured"]["axis"])
    figure = Figure(figsize=(9.5, 9.6), layout="constrained")
    panels = figure.subplots(math.ceil(len(fields) / 3), 3, sharex=True, sharey=True, squeeze=False)
    for axes, (name, field) in zip(panels.flat, fields.items(), strict=False):
        up, side = (np.array(part) for part in field["descent"])  # first index z_w, second z_l
        size = np.hypot(up, side) + 1e-12
        z_w, z_l = np.meshgrid(axis, axis, indexing="ij")
        axes.quiver(
            z_w,
            z_l,
            up / size,
            side / size,
            np.where(up > 0, 0.85, 0.1),
            cmap="coolwarm_r",
            clim=(0, 1),
        )
        axes.axline((0, 0), slope=1, color=INK, lw=0.8, ls=":")
        path = np.array([*field["path"][0], field["path"][1]])
        axes.plot(*path.T, color=ORANGE, lw=2.2)
        axes.plot(*path[-1], "o", color=ORANGE, ms=6)
        if anchor := {"mio": math.log(2), "alpha_mio": math.log(10)}.get(name):
            axes.axvline(anchor, color=INK, lw=1, ls="-.")
        if name == "ipo":
            axes.axline((0.5, 0), slope=1, color=INK, lw=1, ls="-.")
        ends = 1.08 * axis[[0, -1]]
        axes.set(xlim=ends, ylim=ends, aspect="equal", title=NAMES[name])
    for axes in panels[-1]:
        axes.set_xlabel("z_w, nats")
    for axes in panels[:, 0]:
        axes.set_ylabel("z_l, nats")
    return figure


def task(row: Row) -> str:
    """Return what was trained, in words."""
    if row["kind"] == "Responses":
        return "10 responses"
    spec = row["spec"]
    base = "" if spec["imitated"] == "pairs" else ", base: law"
    return f"sequences, {spec['shared']} of {spec['response']} shared{base}"


def verdict_figure(rows: list[Row]) -> Figure:
    """One cell for each loss, β and learning rate: what the mean chosen log-ratio does, and where it ends."""
    tied = [row for row in rows if row["spec"].get("imitated") == "pairs"]
    lines = [line for line in ([row for row in rows if row not in tied], tied) if line]
    widths = [
        [len(row["spec"]["betas"]) * len(row["spec"]["rates"]) for row in line] for line in lines
    ]
    figure = Figure(
        figsize=(1.8 + 0.5 * max(map(sum, widths)), 4 * len(lines)), layout="constrained"
    )
    parts = figure.subfigures(len(lines), 1, squeeze=False)[:, 0]
    panels = [
        axes
        for part, line, width in zip(parts, lines, widths, strict=True)
        for axes in part.subplots(1, len(line), squeeze=False, width_ratios=width, sharey=True)[0]
    ]
    colours, order = ListedColormap(list(_VERDICTS.values())), list(_VERDICTS)
    for axes, row in zip(panels, itertools.chain(*lines), strict=True):
        losses = row["measured"]["losses"]
        cells = [
            [order.index(setting["verdict"]) for setting in found["settings"]]
            for found in losses.values()
        ]
        edge = {"edgecolors": "white", "linewidth": 1.5, "vmin": -0.5, "vmax": len(order) - 0.5}
        axes.pcolormesh(range(len(cells[0])), range(len(cells)), cells, cmap=colours, **edge)
        for y, found in enumerate(losses.values()):
            for x, setting in enumerate(found["settings"]):
                end = setting["z_chosen"][-1]
                text = "–" if end is None else f"{end:+.1f}"
                axes.text(x, y, text, ha="center", va="center", fontsize=7, color=_ON_COLOUR)
        ticks = [f"{s['beta']:g}\n{s['rate']:g}" for s in next(iter(losses.values()))["settings"]]
        axes.set_xticks(range(len(ticks)), ticks, fontsize=7)
        axes.set_yticks(range(len(losses)), [NAMES[name] for name in losses])
        axes.set(
            xlim=(-0.5, len(ticks) - 0.5), ylim=(len(losses) - 0.5, -0.5), xlabel="β above, η below"
        )
        axes.set_title(task(row), fontsize=9)
        axes.grid(False)
        axes.tick_params(length=0)
    patches = [Rectangle((0, 0), 1, 1, color=colour) for colour in _VERDICTS.values()]
    parts[-1].legend(patches, _VERDICTS, loc="outside lower center", ncols=5)
    return figure


def curves_figure(rows: list[Row]) -> Figure:
    """Mean chosen log-ratio of every loss over training at the smallest β and the largest learning rate."""
    lines = math.ceil(len(rows) / 2)
    figure = Figure(figsize=(10, 3.4 * lines), layout="constrained")
    panels = figure.subplots(lines, 2, squeeze=False, sharey=True)
    for axes, row in itertools.zip_longest(panels.flat, rows):
        if row is None:
            axes.axis("off")
            continue
        beta, rate = row["spec"]["betas"][0], row["spec"]["rates"][-1]
        for name, found in row["measured"]["losses"].items():
            (curve,) = (s for s in found["settings"] if (s["beta"], s["rate"]) == (beta, rate))
            colour, dash = _LINES[name]
            axes.plot(
                curve["step"], _floats(curve["z_chosen"]), dash, color=colour, label=NAMES[name]
            )
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_yticks(
            ticks := (-10, -3, -1, 0, 1, 3, 10, 20), [f"{t:+d}" if t else "0" for t in ticks]
        )
        axes.set(xlabel="step")
        axes.set_title(f"{task(row)}\nβ = {beta:g}, η = {rate:g}", fontsize=9)
    for axes in panels[:, 0]:
        axes.set_ylabel("mean z_w, nats")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def tuned_figure(rows: list[Row]) -> Figure:
    """Held-out gain of every loss at its best setting."""
    lines = math.ceil(len(rows) / 3)
    figure = Figure(figsize=(10, 3.3 * lines), layout="constrained")
    for axes, row in itertools.zip_longest(
        figure.subplots(lines, 3, squeeze=False, sharey=True).flat, rows
    ):
        if row is None:
            axes.axis("off")
            continue
        for y, (name, found) in enumerate(row["measured"]["losses"].items()):
            best = found["tuned"]
            held = _floats(best["held_out"])
            axes.plot(held, np.full(len(held), y), ".", color=_LINES[name][0], ms=4, alpha=0.6)
            axes.errorbar(
                held.mean(), y, xerr=best["stderr"], fmt="D", color=_LINES[name][0], ms=5, capsize=3
            )
        losses = list(row["measured"]["losses"])
        axes.set_yticks(range(len(losses)), [NAMES[name] for name in losses])
        axes.set(ylim=(len(losses) - 0.5, -0.5), xlabel="gain on held-out replicas")
        axes.set_title(task(row), fontsize=9)
    return figure
