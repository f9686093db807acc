"""Run the experiment: python -m benchmarks.smollm2_arithmetic [--only DATA] [--gsm8k FILE] [--jobs N] [--tables].

Samples SmolLM2-135M-Instruct on arithmetic, trains it on its own right and wrong answers by each arm of `plan.py`, and
asks the trained models held-out questions; trains it on preferences of GSM8K problems, too, where a file of them is
given; and writes rows.jsonl, the figures and the tables of docs/log/findings.md. Finished steps are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from . import plan
from .tables import write_tables

DATA = plan.HERE / "data"
GSM8K = plan.HERE / "build"


def command(module: str, *flags: str) -> None:
    """Run a module of the adapter with one thread; its output goes to the terminal only if it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    line = [sys.executable, "-m", module, *flags]
    done = subprocess.run(line, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def make_data() -> tuple[Path, Path]:
    """Sample the pairs that are missing; return the files of training and held-out pairs."""
    DATA.mkdir(exist_ok=True)
    for name, task in (plan.TASKS | plan.STARVED).items():
        out = DATA / f"{name}.jsonl"
        if not (DATA / f"{name}.stats.json").exists():
            print(f"sampling {name}", flush=True)
            command(
                "llm_adapter.pairs",
                "--model",
                str(plan.gguf()),
                *plan.SAMPLING,
                *task,
                "--out",
                str(out),
            )
    lines = [
        line
        for name in plan.TASKS
        for line in (DATA / f"{name}.jsonl").read_text().splitlines(keepends=True)
    ]
    files = DATA / "train.jsonl", DATA / "held_out.jsonl"
    for path, keep in zip(files, (False, True), strict=True):
        path.write_text(
            "".join(line for i, line in enumerate(lines) if (i % plan.HELD_OUT == 0) is keep)
        )
    return files


def spread_gsm8k(source: Path) -> tuple[Path, Path]:
    """Take problems evenly from a file; return the files of training and held-out ones."""
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    count = plan.STEPS["gsm8k"] * plan.BATCH, plan.GSM8K_HELD_OUT
    taken = [lines[i * len(lines) // sum(count)] for i in range(sum(count))]
    held_out = {i * sum(count) // count[1] for i in range(count[1])}
    GSM8K.mkdir(exist_ok=True)
    files = GSM8K / "gsm8k-train.jsonl", GSM8K / "gsm8k-held_out.jsonl"
    for path, keep in zip(files, (False, True), strict=True):
        path.write_text(
            "".join(line for i, line in enumerate(taken) if (i in held_out) is keep),
            encoding="utf-8",
        )
    return files


def train(run: plan.Run, data: tuple[Path, Path]) -> None:
    """Train a run and evaluate its model, unless that is done; the weights are deleted afterwards."""
    if (run.folder / "evaluation.json").exists():
        return
    steps = plan.STEPS[run.data]
    print(f"training {run.folder.name}", flush=True)
    command(
        "llm_adapter.train",
        *("--model", str(plan.gguf()), "--train_data", str(data[0]), "--eval_data", str(data[1])),
        *("--max_negatives", f"{plan.NEGATIVES}", "--max_steps", f"{steps}"),
        *(
            "--per_device_train_batch_size",
            f"{plan.BATCH}",
            "--per_device_eval_batch_size",
            f"{plan.BATCH}",
        ),
        *("--lr_scheduler_type", "constant_with_warmup", "--warmup_steps", "2"),
        *("--eval_strategy", "steps", "--eval_steps", f"{steps // 2}", "--logging_steps", "1"),
        *("--diagnostics_steps", "5", "--save_strategy", "no", "--disable_tqdm", "true"),
        *(
            ()
            if run.data == "arithmetic"
            else ("--chat", "true", "--precompute_ref_log_probs", "true")
        ),
        *run.flags(),
        *("--output_dir", str(run.folder)),
    )
    evaluate(str(run.folder), run.folder, run.tasks)
    for weights in run.folder.glob("*.safetensors"):
        weights.unlink()


def evaluate(model: str, folder: Path, tasks: dict[str, list[str]]) -> None:
    """Ask a model held-out questions of every task; evaluation.json holds the results by task."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, task in tasks.items():
        out = folder / f"{name}.json"
        flags = [*task[: task.index("--count")], "--samples", f"{plan.SAMPLES}"]
        ks = [f"{k}" for k in (1, plan.SAMPLES)]
        command(
            "llm_adapter.evaluate",
            "--model",
            model,
            *flags,
            "--k",
            *ks,
            "--max_new_tokens",
            "24",
            "--out",
            str(out),
        )
        found[name] = json.loads(out.read_text())["task"]
        for path in folder.glob(f"{name}*"):
            path.unlink()
    (folder / "evaluation.json").write_text(json.dumps(found, indent=1) + "\n")


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
        help="preferences of GSM8K problems, one JSON object a line",
    )
    parser.add_argument(
        "--only", choices=plan.STEPS, help="train on these data alone (default: all that there are)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="runs at a time, one thread each (default: %(default)s)"
    )
    parser.add_argument(
        "--tables",
        action="store_true",
        help="run nothing: write rows, tables and figures from the runs",
    )
    options = parser.parse_args()
    if not options.tables:
        files = {"arithmetic": make_data()}
        if options.gsm8k is not None:
            files["gsm8k"] = spread_gsm8k(options.gsm8k)
        if options.only is not None:
            files = {name: found for name, found in files.items() if name == options.only}
        runs = [run for run in islice(plan.runs(), options.limit) if run.data in files]
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda run: train(run, files[run.data]), runs))
        base = plan.HERE / "runs" / "base"
        if not (base / "evaluation.json").exists():
            print("asking the base model", flush=True)
            evaluate(str(plan.gguf()), base, plan.TASKS)
    write_tables()


if __name__ == "__main__":
    main()
