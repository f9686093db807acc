"""Write the rows, the figures and the tables of docs/log/findings.md from the finished runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llm_adapter.loss.alerts import EXAMPLES, alerts
from llm_adapter.loss.objective import Objective
from llm_adapter.report import Run as Logs
from llm_adapter.report import read_run
from mi_estimators.display import png, theme
from mi_estimators.display.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY

from . import plan

DOCS = Path(__file__).parents[2] / "docs"
FINDINGS, FIGURES = DOCS / "log" / "findings.md", DOCS / "figures"
COLOURS = dict(zip(plan.ARMS, (GREEN, BLUE, PINK, RED, ORANGE, SKY, GREY), strict=True))
HELD_OUT = "eval_"


def finished() -> dict[plan.Run, Logs]:
    """Return the runs that are done, with their logs."""
    return {
        run: read_run(run.folder)
        for run in plan.runs()
        if (run.folder / "evaluation.json").exists()
    }


def row(run: plan.Run, logs: Logs) -> dict:
    """Return what the tables say of a run: log-ratios in nats on held-out pairs, rates on held-out questions."""
    objective = plan.ARMS[run.arm]
    beta = logs.facts["beta"]
    chosen = [value / beta for value in logs.curve(f"{HELD_OUT}rewards/chosen")[1]]
    rejected = [value / beta for value in logs.curve(f"{HELD_OUT}rewards/rejected")[1]]
    tasks = json.loads((run.folder / "evaluation.json").read_text())
    return {
        "arm": run.arm,
        "loss": objective.name,
        "beta": beta,
        "data": run.data,
        "dpo_beta": run.beta,
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "seconds": logs.facts["seconds"],
        "chosen": chosen[-1],
        "chosen_fall": max(0.0, *chosen) - chosen[-1],
        "rejected": rejected[-1],
        "ranking": logs.curve(f"{HELD_OUT}rewards/accuracies")[1][-1],
        "starved": logs.curve("gradient/chosen_starved")[1][-1],
        "ess": next(iter(logs.curve("ess/fraction")[1][-1:]), None),  # SFT has no negatives
        "collapse_alerts": collapse_alerts(replace(objective, beta=beta), logs),
        **{f"greedy {name}": found["accuracy"]["mean"] for name, found in tasks.items()},
        **{
            f"pass@{k} {name}": v["mean"]
            for name, found in tasks.items()
            for k, v in found["pass_at_k"].items()
        },
    }


def collapse_alerts(objective: Objective, logs: Logs) -> int:
    """Return the steps at which the adapter's alert `collapse` stands: on means over the steps that hold EXAMPLES."""
    lines = [line for line in logs.lines if "loss" in line]
    steps = math.ceil(EXAMPLES / plan.BATCH)
    spans = (lines[end - steps : end] for end in range(steps, len(lines) + 1))
    return sum("collapse" in alerts(objective, means(span)) for span in spans)


def means(lines: Sequence[dict]) -> dict[str, float]:
    """Return the means of the numbers that each of some log lines has."""
    numbers = [{name for name, value in line.items() if isinstance(value, float)} for line in lines]
    return {name: fmean(line[name] for line in lines) for name in set.intersection(*numbers)}


COLUMNS = {
    "z chosen": ("chosen", "{:+.2f}"),
    "fall from its top": ("chosen_fall", "{:.2f}"),
    "z rejected": ("rejected", "{:+.2f}"),
    "ranked right": ("ranking", "{:.2f}"),
    "chosen starved": ("starved", "{:.2f}"),
    "steps with alert `collapse`": ("collapse_alerts", "{:.0f}"),
    **{f"pass@1 {name}": (f"pass@1 {name}", "{:.2f}") for name in plan.TASKS},
    **{
        f"pass@{plan.SAMPLES} {name}": (f"pass@{plan.SAMPLES} {name}", "{:.2f}")
        for name in plan.TASKS
    },
}


def cell(rows: Sequence[dict], key: str, form: str) -> str:
    """Return the mean over seeds, with the range where there are several."""
    values = [r[key] for r in rows]
    mean = form.format(fmean(values))
    return (
        mean
        if len(values) == 1
        else f"{mean} [{form.format(min(values))}, {form.format(max(values))}]"
    )


def markdown(title: str, first: Sequence[str], groups: dict[tuple[str, ...], list[dict]]) -> str:
    """Return a table: a line a group, its name's parts in the first columns; without columns that rows lack."""
    columns = {
        name: column
        for name, column in COLUMNS.items()
        if column[0] in next(iter(groups.values()))[0]
    }
    head = [*first, "runs", *columns]
    lines = [f"**{title}**", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for names, rows in groups.items():
        cells = [*names, str(len(rows)), *(cell(rows, key, form) for key, form in columns.values())]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def base() -> str:
    """Return the base model's rates with their intervals, in a line a task."""
    tasks = json.loads((plan.HERE / "runs" / "base" / "evaluation.json").read_text())
    lines = []
    for name, found in tasks.items():
        rates = [
            ("greedy", found["accuracy"]),
            *((f"pass@{k}", value) for k, value in found["pass_at_k"].items()),
        ]
        said = "; ".join(
            f"{label} {value['mean']:.2f} [{value['interval'][0]:.2f}, {value['interval'][1]:.2f}]"
            for label, value in rates
        )
        lines.append(f"* {name}, {found['questions']} held-out questions: {said}")
    return "**The base model**, 95 % intervals\n\n" + "\n".join(lines) + "\n"


def starvation() -> str:
    """Return how often m answers held no right one, beside (1 − ε)^m at the mean rate, a line a task."""
    lines = [
        "**No right answer among m**, measured / (1 − ε)^m",
        "",
        "| questions | ε | m = 1 | 2 | 4 | 8 |",
        "|---|---|---|---|---|---|",
    ]
    for name in plan.TASKS | plan.STARVED:
        stats = json.loads((plan.HERE / "data" / f"{name}.stats.json").read_text())
        cells = [f"{s['measured']:.2f} / {s['theory']:.2f}" for s in stats["starvation"]]
        lines.append(
            f"| {name}, {stats['questions']} | {stats['pass_at_k']['1']['mean']:.3f} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def compress(axes: Axes, *names: Literal["x", "y"]) -> None:
    """Draw nats on asinh scales: in proportion near 0, by ratio far from it."""
    marks = (-3, 0, 3, 10, 30, 60)
    for name in names:
        {"x": axes.set_xscale, "y": axes.set_yscale}[name]("asinh", linear_width=5)
        axes.set(
            **{
                f"{name}ticks": marks,
                f"{name}ticklabels": [f"{mark}".replace("-", "−") for mark in marks],
            }
        )
    axes.minorticks_off()


def figure(runs: dict[plan.Run, Logs], data: str = "arithmetic") -> Figure:
    """Return held-out log-ratios against steps, and against one another, of each arm at the main setting."""
    drawn = Figure(figsize=(10, 3.6), layout="constrained")
    left, middle, right = drawn.subplots(1, 3)
    for arm, colour in COLOURS.items():
        for run, logs in runs.items():
            if (
                run.arm != arm
                or run.data != data
                or (run.beta, run.learning_rate) != (plan.BETA, plan.LEARNING_RATE)
            ):
                continue
            beta = logs.facts["beta"]
            steps, chosen = logs.curve(f"{HELD_OUT}rewards/chosen")
            _, rejected = logs.curve(f"{HELD_OUT}rewards/rejected")
            z_w, z_l = [0, *(v / beta for v in chosen)], [0, *(v / beta for v in rejected)]
            label = arm if run.seed == 0 else None
            left.plot([0, *steps], z_w, color=colour, label=label)
            middle.plot([0, *steps], z_l, color=colour)
            right.plot(z_w, z_l, color=colour)
            right.plot(z_w[-1:], z_l[-1:], "o", color=colour, ms=4)
    left.set(xlabel="step", title="chosen: z_w, nats")
    middle.set(xlabel="step", title="rejected: z_l, nats")
    right.set(xlabel="z_w, nats", ylabel="z_l, nats", title="both; dots: the last step")
    if data != "arithmetic":  # SFT goes ten times as far as the others
        compress(left, "y")
        compress(middle, "y")
        compress(right, "x", "y")
    for axes in (left, right):
        axes.axhline(0, color=GREY, lw=0.8) if axes is left else axes.axvline(0, color=GREY, lw=0.8)
    drawn.legend(loc="outside lower center", ncols=len(COLOURS))
    return drawn


def tables(rows: dict[plan.Run, dict]) -> str:
    """Return all tables as Markdown."""
    main: dict[tuple[str, ...], list[dict]] = {}
    sweep: dict[tuple[str, ...], list[dict]] = {}
    given: dict[tuple[str, ...], list[dict]] = {}
    for run, found in rows.items():
        if run.data != "arithmetic":
            given.setdefault((run.arm,), []).append(found)
        elif (run.beta, run.learning_rate) == (plan.BETA, plan.LEARNING_RATE):
            main.setdefault((run.arm,), []).append(found)
        else:
            sweep.setdefault((run.arm, f"{run.beta:g}", f"{run.learning_rate:g}"), []).append(found)
    parts = [
        base(),
        starvation(),
        markdown("The arms, mean over runs [lowest, highest]", ["arm"], main),
    ]
    if sweep:
        parts.append(markdown("The sweep", ["arm", "DPO's β", "learning rate"], sweep))
    if given:
        parts.append(markdown("Preferences of GSM8K problems", ["arm"], given))
    return "\n".join(parts)


def write_tables() -> None:
    """Write rows.jsonl, the figures and the tables between the marks of the findings."""
    runs = finished()
    rows = {run: row(run, logs) for run, logs in runs.items()}
    (plan.HERE / "rows.jsonl").write_text(
        "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows.values())
    )
    names = {"arithmetic": "log_ratios.png", "gsm8k": "gsm8k_log_ratios.png"}
    with theme():
        for data in {run.data for run in runs}:
            (FIGURES / names[data]).write_bytes(png(figure(runs, data)))
    write_between_marks(FINDINGS, tables(rows))
    print(tables(rows))


def write_between_marks(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    begin, end = "<!-- tables: begin -->\n", "<!-- tables: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")
