"""The finished runs, a line each in runs.jsonl: what a run is, its rounded curves, its answers to questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, fields
from typing import Any

from mi_estimators.display import jsonl
from mi_estimators.display.runs import Run as Logs

from . import plan

RUNS = plan.HERE / "runs.jsonl"
SAMPLED = plan.HERE / "data" / "sampled.jsonl"

TRAINING = ("rewards/chosen", "movement/margin", "gradient/chosen_starved")
HELD_OUT = ("eval_rewards/chosen", "eval_rewards/rejected", "eval_rewards/accuracies")
BASE = "base"
"""In place of an arm: the model before any training."""


def record(run: plan.Run, logs: Logs, rates: Mapping[str, Any]) -> jsonl.Row:
    """Return a run's line: curves are steps and values, rates come by task."""
    curves = {name: rounded(logs.curve(name)) for name in TRAINING}
    curves |= {name: rounded(logs.curve(name), 12) for name in HELD_OUT}  # tables round them again
    seconds = logs.facts["seconds"]
    return {**asdict(run), "seconds": seconds, "curves": curves, "rates": rounded(rates)}


def finished() -> dict[plan.Run, jsonl.Row]:
    """Return the lines of the plan's runs that are done, in the plan's order."""
    names = [field.name for field in fields(plan.Run)]
    rows = {tuple(row.get(name) for name in names): row for row in read()}
    return {run: rows[key] for run in plan.runs() if (key := astuple(run)) in rows}


def base_rates() -> dict[str, Any] | None:
    """Return the base model's answers by task, or None before it was asked."""
    return next((row["rates"] for row in read() if row["arm"] == BASE), None)


def read() -> list[jsonl.Row]:
    """Return all lines of runs.jsonl."""
    return jsonl.read(RUNS, ["arm", "rates"])


def sampled() -> dict[str, jsonl.Row]:
    """Return how often a right answer was sampled, by task."""
    return {row["task"]: row for row in jsonl.read(SAMPLED, ["task", "starvation"])}


def sampling(name: str, stats: Mapping[str, Any]) -> jsonl.Row:
    """Return a task's line from the statistics that `llm_adapter.pairs` leaves."""
    kept = {key: stats[key] for key in ("questions", "starvation")}
    return rounded({"task": name, "rate": stats["pass_at_k"]["1"]["mean"], **kept})


def rounded(value: Any, digits: int = 5) -> Any:
    """Return `value` with every float in it to so many significant digits.

    >>> rounded({"rate": [2 / 3, 12], "seconds": 1234.5678})
    {'rate': [0.66667, 12], 'seconds': 1234.6}
    """
    if isinstance(value, Mapping):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
