"""The files that a training run leaves: run.json, which says what it was, and metrics.jsonl, a line a log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import jsonl


@dataclass(frozen=True)
class Run:
    """The files of one run.

    Attributes:
        name: its folder's name.
        facts: run.json.
        lines: metrics.jsonl; each has a `step`.
    """

    name: str
    facts: dict[str, Any]
    lines: list[jsonl.Row]

    def curve(self, metric: str) -> tuple[list[int], list[float]]:
        """Return the steps and values of a metric, where it has one."""
        points = [
            (line["step"], line[metric]) for line in self.lines if line.get(metric) is not None
        ]
        return [step for step, _ in points], [value for _, value in points]


def read_run(folder: str | Path) -> Run:
    """Read a run's files; a last line that was cut short is left out.

    Raises:
        ValueError: a folder without run.json or metrics.jsonl, or with others under these names.
    """
    facts, metrics = Path(folder) / "run.json", Path(folder) / "metrics.jsonl"
    try:
        metrics.stat()
        values = json.loads(facts.read_bytes())
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{folder}: expected a run's run.json and metrics.jsonl, got {error}"
        ) from None

    if not isinstance(values, dict):
        raise ValueError(f"{facts}: expected one JSON object, got {type(values).__name__}")
    return Run(Path(folder).name, values, jsonl.read(metrics, ["step"]))
