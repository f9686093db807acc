"""How stable a verdict is: the same rows, fitted with ten seeds.

    python -m benchmarks.estimators.seeds
    python -m benchmarks.estimators.seeds --tasks 'networks-*' --seeds 3

Rows are kept in published/seeds.jsonl; a run that was stopped goes on. The table counts, for each law, the seeds that
give the commonest verdict.
"""

from __future__ import annotations

import argparse
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import mi_estimators as mi

from .repeats import print_table, remembered
from .suites import SUITES

LAWS = (
    *("1v1-normal-0.75", "1v1-additive-0.5-few-rows", "multinormal-50-0nats", "product-unlike-3-3"),
    *("spiral-normal-2-2-0.75", "additive-beside-student", "uniform-5-nats", "log-gamma-5-nats"),
    *("digits-noisy-label", "spike-counts-10", "regimes-5-5", "networks-5-5"),
)
"""Laws of the published suite: some plain, most with a verdict that is a close call."""

_FILE = Path(__file__).parent / "published" / "seeds.jsonl"
_TASKS = {task.name: task for task in SUITES["published"].tasks}


def main() -> None:
    """Fit what is not fitted yet, and print the table."""
    parser = argparse.ArgumentParser(description="Fit the same rows with several seeds.")
    parser.add_argument("--tasks", nargs="+", default=LAWS, metavar="PATTERN")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=_FILE)
    options = parser.parse_args()

    torch.set_num_threads(1)
    names = [name for name in _TASKS if any(fnmatch(name, pattern) for pattern in options.tasks)]
    keys = [(name, seed) for name in names for seed in range(options.seeds)]
    print_table(
        ("mean", "spread", "seeds that agree"), remembered(options.out, keys, _fitted), _cells
    )


def _fitted(name: str, seed: int) -> dict[str, Any]:
    """Fit the first draw of a law with a seed."""
    task = _TASKS[name]
    x, y = task.sample(task.rows, torch.Generator().manual_seed(0))
    estimate = mi.estimate_mi(x, y, seed=seed, **task.options)
    return {"truth": task.truth, "nats": estimate.nats, "verdict": estimate.verdict}


def _cells(
    rows: list[dict[str, Any]],
    verdicts: Counter[str],
) -> tuple[str, ...]:
    nats = [row["nats"] for row in rows]
    spread = stdev(nats) if len(nats) > 1 else 0.0
    return f"{mean(nats):.3f}", f"{spread:.3f}", f"{max(verdicts.values())} of {len(rows)}"


if __name__ == "__main__":
    main()
