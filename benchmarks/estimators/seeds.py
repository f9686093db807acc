"""How stable a verdict is: the same rows, fitted with ten seeds.

    python -m benchmarks.estimators.seeds
    python -m benchmarks.estimators.seeds --tasks 'networks-*' --seeds 3

A fit is a line of seeds.jsonl, so that a run that was stopped goes on where it was. The table counts, for each law, the
seeds that give the commonest verdict.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from statistics import stdev
from typing import Any

import torch
from tqdm.auto import tqdm

import mi_estimators as mi

from .suites import SUITES
from .suites.task import Task

TASKS = (
    *(
        "1v1-normal-0.75",
        "1v1-additive-0.5-few-rows",
        "multinormal-50-0nats",
        "spiral-normal-2-2-0.75",
    ),
    *("product-unlike-3-3", "additive-beside-student", "uniform-5-nats", "log-gamma-5-nats"),
    *("digits-noisy-label", "spike-counts-10", "regimes-5-5", "networks-5-5"),
)
"""Laws of the published suite: some plain, most with a verdict that is a close call."""

_FILE = Path(__file__).parent / "published" / "seeds.jsonl"


def main() -> None:
    """Fit what is not fitted yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS, metavar="PATTERN")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=_FILE)
    options = parser.parse_args()

    torch.set_num_threads(1)
    tasks = [
        task
        for task in SUITES["published"].tasks
        if any(fnmatch(task.name, pattern) for pattern in options.tasks)
    ]
    rows = _read(options.out)
    done = {(row["task"], row["seed"]) for row in rows}
    waiting = [
        (task, seed)
        for task in tasks
        for seed in range(options.seeds)
        if (task.name, seed) not in done
    ]
    for task, seed in tqdm(waiting, unit="fit"):
        row = _fitted(task, seed)
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        rows.append(row)
    _print(rows)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def _fitted(task: Task, seed: int) -> dict[str, Any]:
    """Fit the first draw of a law with a seed."""
    x, y = task.sample(task.rows, torch.Generator().manual_seed(0))
    estimate = mi.estimate_mi(x, y, seed=seed, **task.options)
    return {
        "task": task.name,
        "seed": seed,
        "truth": task.law.mutual_information,
        "nats": estimate.nats,
        "verdict": estimate.verdict,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    print("| law | truth | nats | spread | seeds that agree | verdicts |")
    print("|---|--:|--:|--:|--:|---|")
    for name in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == name]
        verdicts = Counter(row["verdict"] for row in own)
        nats = [row["nats"] for row in own]
        spread = stdev(nats) if len(nats) > 1 else 0.0
        names = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
        agree = f"{max(verdicts.values())} of {len(own)}"
        mean = sum(nats) / len(nats)
        print(f"| {name} | {own[0]['truth']:.3f} | {mean:.3f} | {spread:.3f} | {agree} | {names} |")


if __name__ == "__main__":
    main()
