"""Results of the other rooms, read as data where they lie in the output folder: the ledger and language-model runs."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from html import escape
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators.display import INK, PALETTE, Table
from mi_estimators.display.runs import Run, read_run
from mi_estimators.display.style import GREEN, PINK, RED

TRAINING = {"step", "loss", "rewards/chosen", "rewards/rejected"}
"""What a training line of metrics.jsonl has at least."""


def read_ledger(folder: Path) -> list[dict]:
    """Return the theorems of ledger.json, or none where it is missing or was cut short."""
    try:
        entries = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return []
    return [entry for entry in entries if isinstance(entry, dict) and "slug" in entry]


def read_runs(folder: Path) -> list[Run]:
    """Return the runs under lm/ that have both files and at least one training line, with those lines alone."""
    runs = []
    for facts in sorted(folder.glob("lm/*/run.json")):
        with contextlib.suppress(ValueError):  # a run that has just begun
            run = read_run(facts.parent)
            runs.append(replace(run, lines=[line for line in run.lines if line.keys() >= TRAINING]))
    return [run for run in runs if run.lines]


def title(run: Run) -> str:
    """Return "dpo: dv, mix 0.5, β 0.05"."""
    names = {"mix": "mix", "beta": "β"}
    settings = [f"{name} {run.facts[key]:g}" for key, name in names.items() if key in run.facts]
    return f"{run.name}: {', '.join([str(run.facts.get('bound', '?')), *settings])}"


def column(run: Run, key: str) -> np.ndarray:
    """Return one logged quantity over the training lines, NaN where it was not finite."""
    return np.array([line.get(key) for line in run.lines], dtype=float)


def runs_figure(runs: list[Run]) -> Figure:
    """Rewards of every run and the losses of all, with what theory says of each."""
    down = 1 if len(runs) < 3 else 2
    across = math.ceil((len(runs) + 1) / down)
    figure = Figure(figsize=(3.6 * across, 3.6 * down), layout="constrained")
    *panels, losses = figure.subplots(down, across, squeeze=False).flatten()

    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    for axes, run in zip(panels, runs, strict=False):
        _rewards(axes, run)

    for run, tint in zip(runs, cycle(PALETTE), strict=False):
        losses.plot(
            column(run, "step"),
            column(run, "loss"),
            color=tint,
            label=run.name,
        )
        for key, dash in (("loss_start", ":"), ("loss_floor", "-.")):
            if run.facts.get(key) is not None:
                losses.axhline(run.facts[key], color=tint, lw=1, ls=dash)

    losses.set(xlabel="step", ylabel="loss, nats")
    losses.set_title("Loss (dotted: start, dash-dotted: floor)")
    _legend_above(losses)
    return figure


def _rewards(axes: Axes, run: Run) -> None:
    step = column(run, "step")
    axes.plot(step, column(run, "rewards/chosen"), color=GREEN, label="chosen")
    axes.plot(step, column(run, "rewards/rejected"), "--", color=RED, label="rejected")
    axes.axhline(0, color=INK, lw=0.8)

    if run.facts.get("anchor") is not None:
        axes.axhline(
            run.facts["anchor"],
            color=INK,
            lw=1,
            ls="-.",
            label="anchor",
        )

    for k, end in enumerate(run.facts.get("no_collapse_interval") or []):
        if end is not None:
            text = None if k else "no-collapse interval"
            axes.axhline(end, color=PINK, lw=1.2, ls=":", label=text)

    axes.set(xlabel="step", ylabel="mean reward β ln π/π_ref, nats")
    axes.set_title(title(run))
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """Put the legend over the curves and lines, in room made for it."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.42 * (high - low))
    axes.legend(loc="upper left", fontsize=8.5)


def runs_table(runs: list[Run]) -> Table:
    """First and last values of every run beside theory's."""
    body = []
    for run in runs:
        loss, chosen, rejected, accuracy = (
            column(run, key)
            for key in ("loss", "rewards/chosen", "rewards/rejected", "rewards/accuracies")
        )
        start, floor, anchor = (
            _or_none(run.facts.get(key)) for key in ("loss_start", "loss_floor", "anchor")
        )
        ends = ", ".join(map(_or_none, run.facts.get("no_collapse_interval") or []))
        body.append(
            (
                title(run),
                str(run.facts.get("model", "?")),
                f"{loss[0]:.4f} → {loss[-1]:.4f}",
                f"{start} / {floor}",
                f"{chosen[-1]:+.3f} (least {np.nanmin(chosen):+.3f})",
                anchor,
                f"[{ends}]" if ends else "none",
                f"{rejected[-1]:+.3f}",
                f"{accuracy[-1]:.2f}",
            )
        )

    head = ("run", "model", "loss", "theory: start / floor", "chosen reward", "anchor", "interval")
    return Table((*head, "rejected", "accuracy"), body)


def _or_none(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def in_words(run: Run) -> str:
    """Return what happened to the chosen and the rejected responses of a run, in a sentence or two."""
    beta = float(run.facts.get("beta") or 1.0)
    chosen, rejected = column(run, "rewards/chosen") / beta, column(run, "rewards/rejected") / beta
    common = chosen + rejected
    swing = np.nanmax(common) - np.nanmin(common)
    moved = "rose" if chosen[-1] > 0 else "sank"

    words = (
        f"{run.name}: the chosen responses {moved} by {abs(chosen[-1]):.2g} nats of ln π/π_ref and the rejected ones"
        f" {'rose' if rejected[-1] > 0 else 'sank'} by {abs(rejected[-1]):.2g}. Their common mode z_w + z_l swung over"
        f" {swing:.2g} nats"
    )

    if run.facts.get("anchor") is None:
        return f"{words}; this loss sees the margin z_w − z_l alone, and nothing holds the common mode."

    gap = chosen[-1] * beta - run.facts["anchor"]
    side = "above" if gap > 0 else "below"
    return f"{words}; the loss holds the chosen reward, which ended {abs(gap):.2g} nats {side} its anchor."


def ledger_lines(entries: list[dict]) -> str:
    """Return the theorems as HTML, a line each: its name, what it says and its tier, and the statement when opened."""
    lines = []
    for entry in entries:
        tier = str(entry.get("tier", "")) + " + hand" * bool(entry.get("hand"))
        held = "" if entry.get("ok") else " <b>NOT HELD</b>"
        lines.append(
            f"<details><summary><code>{escape(str(entry['slug']))}</code> {escape(str(entry.get('title', '')))}"
            f" <span class=soft>({escape(tier)}, {entry.get('seconds') or 0:.1f} s)</span>{held}</summary>"
            f"<p>{escape(str(entry.get('statement', '')))}</p></details>"
        )

    return "\n".join(lines)
