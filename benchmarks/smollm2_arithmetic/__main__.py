"""Run the experiment: sample arithmetic answers from SmolLM2-135M-Instruct, train it on them, and evaluate it.

It is trained on its own right and wrong answers with each loss of `plan.py`, and then asked held-out questions. With
--gsm8k it is also trained on preferences of GSM8K problems. The results are runs.jsonl, the figures, and the tables of
docs/log/findings.md. Runs that are already in runs.jsonl are skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.environment import require

require("llm", "benchmarks.smollm2_arithmetic")  # before the imports that need it

from mi_estimators.display import jsonl
from mi_estimators.display.runs import read_run

from . import plan, records
from .tables import write_tables

DATA = plan.HERE / "data"
CHAT = ("--chat", "true", "--precompute_ref_log_probs", "true")


def command(module: str, *flags: str) -> None:
    """Run a module of the adapter with one thread; its output goes to the terminal only if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    line = [sys.executable, "-m", module, *flags]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def make_data() -> tuple[Path, Path]:
    """Sample the pairs that are missing; return the files of training and held-out pairs."""
    with jsonl.appending(records.SAMPLED) as file:
        for name, task in (plan.TASKS | plan.STARVED).items():
            if name in records.sampled():
                continue

            print(f"sampling {name}", flush=True)
            out = (DATA if name in plan.TASKS else plan.BUILD) / f"{name}.jsonl"
            model = ["--model", str(plan.gguf())]
            command("llm_adapter.pairs", *model, *plan.SAMPLING, *task, "--out", str(out))
            stats = out.with_suffix(".stats.json")
            jsonl.append(file, records.sampling(name, json.loads(stats.read_text())))
            stats.unlink()

    pairs = [line for name in plan.TASKS for line in lines_of(DATA / f"{name}.jsonl")]
    held_out = set(range(0, len(pairs), plan.HELD_OUT))
    return split(pairs, held_out, "arithmetic")


def spread_gsm8k(source: Path) -> tuple[Path, Path]:
    """Take problems evenly from a file; return the files of training and held-out ones."""
    problems = lines_of(source)
    count = plan.STEPS["gsm8k"] * plan.BATCH, plan.GSM8K_HELD_OUT
    taken = [problems[i * len(problems) // sum(count)] for i in range(sum(count))]
    held_out = {i * sum(count) // count[1] for i in range(count[1])}
    return split(taken, held_out, "gsm8k")


def lines_of(path: Path) -> list[str]:
    """Return a file's lines with their ends."""
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def split(lines: list[str], held_out: set[int], name: str) -> tuple[Path, Path]:
    """Write the training lines and the held-out ones into files of their own."""
    files = plan.BUILD / f"{name}-train.jsonl", plan.BUILD / f"{name}-held_out.jsonl"
    for path, keep in zip(files, (False, True), strict=True):
        kept = [line for k, line in enumerate(lines) if (k in held_out) is keep]
        path.write_text("".join(kept), encoding="utf-8")
    return files


def train(run: plan.Run, data: tuple[Path, Path]) -> jsonl.Row:
    """Train a run, ask its model, and return its line; the weights are deleted."""
    steps = plan.STEPS[run.data]
    print(f"training {run.folder.name}", flush=True)
    command(
        "llm_adapter.train",
        *("--model", str(plan.gguf()), "--train_data", str(data[0]), "--eval_data", str(data[1])),
        *("--max_negatives", f"{plan.NEGATIVES}", "--max_steps", f"{steps}"),
        *("--per_device_train_batch_size", f"{plan.BATCH}"),
        *("--per_device_eval_batch_size", f"{plan.BATCH}"),
        *("--lr_scheduler_type", "constant_with_warmup", "--warmup_steps", "2"),
        *("--eval_strategy", "steps", "--eval_steps", f"{steps // 2}", "--logging_steps", "1"),
        *("--diagnostics_steps", "5", "--save_strategy", "no", "--disable_tqdm", "true"),
        *(CHAT if run.data == "gsm8k" else ()),
        *run.flags(),
        *("--output_dir", str(run.folder)),
    )

    rates = evaluate(str(run.folder), run.folder, run.tasks)
    for weights in run.folder.glob("*.safetensors"):
        weights.unlink()

    return records.record(run, read_run(run.folder), rates)


def evaluate(model: str, folder: Path, tasks: dict[str, list[str]]) -> dict[str, Any]:
    """Ask a model held-out questions of every task; return its rates by task."""
    folder.mkdir(parents=True, exist_ok=True)
    rates = {}
    for name, task in tasks.items():
        out = folder / f"{name}.json"
        command(
            "llm_adapter.evaluate",
            *("--model", model, *task[: task.index("--count")]),
            *("--samples", f"{plan.SAMPLES}", "--k", "1", f"{plan.SAMPLES}"),
            *("--max_new_tokens", "24", "--out", str(out)),
        )

        rates[name] = json.loads(out.read_text())["task"]
        for path in folder.glob(f"{name}*"):
            path.unlink()

    return rates


def run_missing(options: argparse.Namespace) -> None:
    """Make the data, train the runs that have no line yet, and ask the base model."""
    plan.BUILD.mkdir(exist_ok=True)
    files = {"arithmetic": make_data()}
    if options.gsm8k is not None:
        files["gsm8k"] = spread_gsm8k(options.gsm8k)
    if options.only is not None:
        files = {name: data for name, data in files.items() if name == options.only}

    done = records.finished()
    runs = [run for run in islice(plan.runs(), options.limit) if run.data in files]
    missing = [run for run in runs if run not in done]

    with ThreadPoolExecutor(options.jobs) as pool, jsonl.appending(records.RUNS) as file:
        for future in as_completed([pool.submit(train, run, files[run.data]) for run in missing]):
            jsonl.append(file, future.result())
        if records.base_rates() is None:
            print("asking the base model", flush=True)
            rates = evaluate(str(plan.gguf()), plan.BUILD / "runs" / "base", plan.TASKS)
            jsonl.append(file, records.rounded({"arm": records.BASE, "rates": rates}))


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.smollm2_arithmetic", description=__doc__
    )
    parser.add_argument("--limit", type=int, help="train only the first N runs of the plan")
    parser.add_argument(
        "--gsm8k",
        type=Path,
        metavar="FILE",
        help="file of preferences of GSM8K problems, one JSON object per line",
    )

    parser.add_argument(
        "--only", choices=plan.STEPS, help="train on this data only (default: all available data)"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        help="number of runs at a time, one thread each (default: %(default)s)",
    )

    parser.add_argument(
        "--tables",
        action="store_true",
        help="write tables and figures from runs.jsonl; run nothing",
    )

    options = parser.parse_args()
    if not options.tables:
        run_missing(options)

    write_tables()


if __name__ == "__main__":
    main()
