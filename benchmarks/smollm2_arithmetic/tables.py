"""The figures and the tables of docs/log/findings.md, from the finished runs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llm_adapter.loss.alerts import EXAMPLES, alerts
from llm_adapter.loss.objective import Objective
from mi_estimators.display import Table, png, theme
from mi_estimators.display.jsonl import Row
from mi_estimators.display.style import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY

from . import plan, records
from .records import TRAINING

Curves = Mapping[str, tuple[list[int], list[float]]]
Runs = Mapping[plan.Run, Row]
Groups = Mapping[tuple[str, ...], list[dict[str, float]]]

DOCS = Path(__file__).parents[2] / "docs"
FINDINGS, FIGURES = DOCS / "log" / "findings.md", DOCS / "figures"
COLOURS = dict(zip(plan.ARMS, (GREEN, BLUE, PINK, RED, ORANGE, SKY, GREY), strict=True))
FIGURE_OF = {"arithmetic": "log_ratios.png", "gsm8k": "gsm8k_log_ratios.png"}


def row(run: plan.Run, record: Row) -> dict[str, float]:
    """Return what the tables say of a run: log-ratios in nats on held-out pairs, rates on held-out questions."""
    chosen, rejected = log_ratios(run, record)
    objective = replace(plan.ARMS[run.arm], beta=run.own_beta)
    curves = record["curves"]

    return {
        "chosen": chosen[-1],
        "chosen_fall": max(0.0, *chosen) - chosen[-1],
        "rejected": rejected[-1],
        "ranking": curves["eval_rewards/accuracies"][1][-1],
        "starved": curves["gradient/chosen_starved"][1][-1],
        "collapse_alerts": collapse_alerts(objective, curves),
        **{
            f"pass@{k} {name}": rate["mean"]
            for name, rates in record["rates"].items()
            for k, rate in rates["pass_at_k"].items()
        },
    }


def log_ratios(run: plan.Run, record: Row) -> tuple[list[float], list[float]]:
    """Return the mean log-ratios of held-out chosen and rejected responses, in nats, at the evaluated steps."""
    chosen, rejected = (
        [reward / run.own_beta for reward in record["curves"][name][1]]
        for name in ("eval_rewards/chosen", "eval_rewards/rejected")
    )
    return chosen, rejected


def collapse_alerts(objective: Objective, curves: Curves) -> int:
    """Return the steps at which the adapter's alert `collapse` stands: on means over the steps that hold EXAMPLES."""
    logged = {name: curves[name][1] for name in TRAINING}
    span = math.ceil(EXAMPLES / plan.BATCH)
    ends = range(span, len(logged[TRAINING[0]]) + 1)
    means = (
        {name: fmean(values[end - span : end]) for name, values in logged.items()} for end in ends
    )

    return sum("collapse" in alerts(objective, values) for values in means)


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


def titled(title: str, table: Table) -> str:
    """Return a table as Markdown under its title."""
    return f"{title}\n\n{table.markdown()}\n"


def grouped(title: str, first: Sequence[str], groups: Groups) -> str:
    """Return a table: a line a group, its name's parts in the first columns; without columns that rows lack."""
    one = next(iter(groups.values()))[0]
    columns = {name: column for name, column in COLUMNS.items() if column[0] in one}
    body = [
        [*names, str(len(rows)), *(cell(rows, key, form) for key, form in columns.values())]
        for names, rows in groups.items()
    ]

    return titled(f"**{title}**", Table([*first, "runs", *columns], body))


def base() -> str:
    """Return the base model's rates with their intervals, in a line a task."""
    lines = []
    for name, rates in (records.base_rates() or {}).items():
        by_label = {"greedy": rates["accuracy"]}
        by_label |= {f"pass@{k}": rate for k, rate in rates["pass_at_k"].items()}
        cells = [
            "{} {:.2f} [{:.2f}, {:.2f}]".format(label, rate["mean"], *rate["interval"])
            for label, rate in by_label.items()
        ]
        lines.append(f"* {name}, {rates['questions']} held-out questions: {'; '.join(cells)}\n")

    return "**The base model**, 95 % intervals\n\n" + "".join(lines)


def starvation() -> str:
    """Return how often m answers held no right one, beside (1 − ε)^m at the mean rate, a line a task."""
    body = [
        [
            f"{name}, {task['questions']}",
            f"{task['rate']:.3f}",
            *(f"{m['measured']:.2f} / {m['theory']:.2f}" for m in task["starvation"]),
        ]
        for name, task in records.sampled().items()
    ]

    table = Table(["questions", "ε", "m = 1", "2", "4", "8"], body)
    return titled("**No right answer among m**, measured / (1 − ε)^m", table)


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


def figure(runs: Runs, data: str = "arithmetic") -> Figure:
    """Return held-out log-ratios against steps, and against one another, of each arm at the main setting."""
    drawn = Figure(figsize=(10, 3.6), layout="constrained")
    left, middle, right = drawn.subplots(1, 3)

    arms = list(plan.ARMS)
    for run, record in sorted(runs.items(), key=lambda item: arms.index(item[0].arm)):
        if run.data != data or not run.main:
            continue

        steps = [0, *record["curves"]["eval_rewards/chosen"][0]]
        chosen, rejected = ([0, *values] for values in log_ratios(run, record))
        colour = COLOURS[run.arm]
        left.plot(steps, chosen, color=colour, label=run.arm if run.seed == 0 else None)
        middle.plot(steps, rejected, color=colour)
        right.plot(chosen, rejected, color=colour)
        right.plot(chosen[-1:], rejected[-1:], "o", color=colour, ms=4)

    left.set(xlabel="step", title="chosen: z_w, nats")
    middle.set(xlabel="step", title="rejected: z_l, nats")
    right.set(xlabel="z_w, nats", ylabel="z_l, nats", title="both; dots: the last step")

    if data != "arithmetic":  # SFT goes ten times as far as the others
        compress(left, "y")
        compress(middle, "y")
        compress(right, "x", "y")

    left.axhline(0, color=GREY, lw=0.8)
    right.axvline(0, color=GREY, lw=0.8)
    drawn.legend(loc="outside lower center", ncols=len(COLOURS))

    return drawn


def tables(runs: Runs) -> str:
    """Return all tables as Markdown."""
    main, sweep, given = defaultdict(list), defaultdict(list), defaultdict(list)
    for run, record in runs.items():
        if run.data != "arithmetic":
            given[run.arm,].append(row(run, record))
        elif run.main:
            main[run.arm,].append(row(run, record))
        else:
            sweep[run.arm, f"{run.beta:g}", f"{run.learning_rate:g}"].append(row(run, record))

    parts = [base(), starvation()]
    for title, first, groups in (
        ("The arms, mean over runs [lowest, highest]", ["arm"], main),
        ("The sweep", ["arm", "DPO's β", "learning rate"], sweep),
        ("Preferences of GSM8K problems", ["arm"], given),
    ):
        if groups:
            parts.append(grouped(title, first, groups))

    return "\n".join(parts)


def write_tables() -> None:
    """Write the figures, and the tables between the marks of the findings."""
    runs = records.finished()
    with theme():
        for data in {run.data for run in runs}:
            (FIGURES / FIGURE_OF[data]).write_bytes(png(figure(runs, data)))
    text = tables(runs)
    write_between_marks(FINDINGS, text)
    print(text)


def write_between_marks(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a page."""
    begin, end = "<!-- tables: begin -->\n", "<!-- tables: end -->"
    before, remainder = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{remainder.split(end)[1]}", encoding="utf-8")
