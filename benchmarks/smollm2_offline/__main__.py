"""Run part 1 of llm_adapter/PROTOCOL.md: does the chosen likelihood rise and fall, and is it the bound?

Every run is a line of rows.jsonl; runs that are there are skipped, so the same command goes on. --quick is the same
plan at a tiny size, on the built-in model and the shipped pairs, in build/quick.jsonl: it shows that the code runs,
and is evidence about no language model.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import require

require("llm", "benchmarks.smollm2_offline")  # before the imports that need it

from benchmarks.smollm2_arithmetic import plan as arithmetic
from llm_adapter import pairs as pairs_command
from llm_adapter.data.load import prepare
from llm_adapter.data.sources import PAIRS, open_source
from llm_adapter.data.tokens import Options
from llm_adapter.evaluation.sampling import sample_ids
from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.train import main as train_command
from mi_estimators.display import jsonl
from mi_estimators.display.runs import read_run

from . import compare, plan

BUILD = plan.HERE / "build"
HELD_OUT = 5  # every 5th pair


def rows_of(size: plan.Size) -> Path:
    """Return the file of rows."""
    return (BUILD / "quick.jsonl") if size is plan.QUICK else plan.HERE / "rows.jsonl"


def succeed(status: int, name: str) -> None:
    """Stop where a command has failed."""
    if status:
        raise SystemExit(f"{name}: failed with status {status}")


def format_only(line: dict, law: random.Random) -> dict:
    """Return a pair whose responses have random numbers in place of theirs: it teaches a format, and to stop."""

    def anew(text: str) -> str:
        return re.sub(
            r"\d+", lambda m: str(law.randrange(10 ** (len(m[0]) - 1), 10 ** len(m[0]))), text
        )

    def changed(response: Any) -> Any:
        if isinstance(response, str):
            return anew(response)
        return [message | {"content": anew(message["content"])} for message in response]

    wrong = changed(line["rejected"][0])
    if isinstance(wrong, str):
        wrong += " "  # never the same as the other
    return {"prompt": line["prompt"], "chosen": changed(line["chosen"]), "rejected": wrong}


def sampled(size: plan.Size, model: str, name: str) -> list[dict]:
    """Return pairs: the shipped ones at the tiny size, else those that the model samples on the tasks."""
    if size is plan.QUICK:
        return jsonl.read(PAIRS)
    lines = []
    for task, flags in arithmetic.TASKS.items():
        out = BUILD / f"{name}-{task}.jsonl"
        if not out.exists():
            command = ["--model", model, *arithmetic.SAMPLING, *flags, "--out", str(out)]
            succeed(pairs_command.main(command), "pairs")
        lines += jsonl.read(out)
    return lines


def start_of(size: plan.Size) -> str:
    """Train the common start on formats alone, once; return its folder."""
    folder = BUILD / f"{size.name}-start"
    if (folder / "model.safetensors").exists():
        return str(folder)
    model = "builtin" if size is plan.QUICK else str(arithmetic.gguf())
    law = random.Random(0)
    data = BUILD / f"{size.name}-format.jsonl"
    jsonl.write(data, [format_only(line, law) for line in sampled(size, model, "base")])
    flags = ["--model", model, "--train_data", str(data), "--loss", "sft", "--max_dropped", "0.5"]
    flags += ["--learning_rate", f"{size.learning_rate}", "--num_train_epochs", "1"]
    succeed(train_command([*flags, *common(size), "--output_dir", str(folder)]), "start")
    return str(folder)


def common(size: plan.Size) -> list[str]:
    """Return the flags that all trainings share."""
    return [
        *("--per_device_train_batch_size", f"{size.batch}", "--lr_scheduler_type"),
        *("constant_with_warmup", "--warmup_steps", "5", "--save_strategy", "no"),
        *("--completions", "0", "--diagnostics_steps", "0", "--disable_tqdm", "true"),
        *("--max_negatives", f"{size.negatives}", "--use_cpu", "true"),
    ]


def data_of(size: plan.Size, start: str) -> tuple[Path, Path]:
    """Return the files of training and held-out pairs, which the start has sampled."""
    files = BUILD / f"{size.name}-train.jsonl", BUILD / f"{size.name}-held_out.jsonl"
    if not all(path.exists() for path in files):
        lines = sampled(size, start, "start")
        for path, held_out in zip(files, (False, True), strict=True):
            jsonl.write(
                path, [row for k, row in enumerate(lines) if (k % HELD_OUT == 0) is held_out]
            )
    return files


def predictions(size: plan.Size, start: str, held_out: Path) -> dict:
    """Return what T1 says of the first held-out prompts, before any arm is trained."""
    model, tokenizer = load_model(start).eval(), load_tokenizer(start)
    data = prepare(open_source(held_out), tokenizer, Options(1024))
    turns = []
    for place, example in enumerate(data.examples[: size.predicted]):
        (drawn,) = sample_ids(model, tokenizer, [example.prompt], size.samples, 1.0, 32, seed=place)
        turns.append(compare.predicted_turn(model, example, [list(row.ids) for row in drawn]))
    finite = sorted(margin for star, margin in turns if star not in (0.0, float("inf")))
    return {
        "turns": len(finite) / len(turns),
        "falls_at_once": sum(star == 0 for star, _ in turns) / len(turns),
        "margin": finite[len(finite) // 2] if finite else None,
        "prompts": len(turns),
    }


def train(size: plan.Size, run: plan.Run, start: str, data: tuple[Path, Path]) -> dict:
    """Train a run; return its row."""
    folder = BUILD / "run"
    flags = ["--model", start, "--train_data", str(data[0]), "--eval_data", str(data[1])]
    flags += ["--learning_rate", f"{size.learning_rate}", "--max_steps", f"{size.steps}"]
    flags += ["--eval_strategy", "steps", "--eval_steps", f"{size.every}"]
    flags += ["--logging_steps", f"{size.every}", "--save_final_model", "false"]
    began = time.monotonic()
    command = [*flags, *common(size), *run.flags(size), "--output_dir", str(folder)]
    shutil.rmtree(folder, ignore_errors=True)  # what a stopped run has left
    succeed(train_command(command), run.arm)
    logs, beta = read_run(folder), run.own_beta(size.negatives)
    steps, chosen = logs.curve("eval_rewards/chosen")
    _, rejected = logs.curve("eval_rewards/rejected")
    z = [[0.0, *(round(value / beta, 4) for value in curve)] for curve in (chosen, rejected)]
    _, accuracy = logs.curve("eval_rewards/accuracies")
    return {
        **run.key(size),
        "own_beta": beta,
        "steps": [0, *steps],
        "z_chosen": z[0],
        "z_rejected": z[1],
        "accuracy": accuracy[-1],
        "seconds": round(time.monotonic() - began, 1),
    }


def table(size: plan.Size, rows: list[dict], prediction: dict) -> str:
    """Return the comparison at equal displacement, arm by arm, against DPO with the same seed and matching."""
    heads = ["arm", "matching", "seeds", "top of z_w", "fall"]
    heads += [f"z_w − DPO's at z_l = −{depth:g}" for depth in size.depths]
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    main = [row for row in rows if row["beta"] == plan.BETA]
    dpo = {
        row["seed"]: row for row in main if row["arm"] == "DPO" and row["matching"] == "gradient"
    }
    for arm, matching in dict.fromkeys((row["arm"], row["matching"]) for row in main):
        own = [row for row in main if (row["arm"], row["matching"]) == (arm, matching)]
        turns = [compare.turn(row["steps"], row["z_chosen"], row["z_rejected"]) for row in own]
        cells = [arm, matching, str(len(own))]
        cells += [f"{sum(t.top for t in turns) / len(turns):+.2f}"]
        cells += [f"{sum(t.fall for t in turns) / len(turns):.2f}"]
        for depth in size.depths:
            cells.append(difference(own, dpo, depth))
        lines.append(" | ".join(cells))
    title = f"T1 before the arms: {json.dumps(prediction)}"
    return "\n".join([title, "", *lines])


def difference(own: list[dict], dpo: dict[int, dict], depth: float) -> str:
    """Return the paired difference in z_w at a fall of z_l, with its interval; a dash where a run never gets there."""
    pairs = []
    for row in own:
        if row["seed"] not in dpo:
            continue
        here, there = (
            compare.at_depth(side["z_chosen"], side["z_rejected"], depth)
            for side in (row, dpo[row["seed"]])
        )
        if here is not None and there is not None:
            pairs.append(here - there)
    if not pairs:
        return "–"
    mean, low, high = compare.paired(pairs)
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}] ({len(pairs)})"


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.smollm2_offline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="the tiny size")
    parser.add_argument("--limit", type=int, help="only the first N runs of the plan")
    parser.add_argument("--table", action="store_true", help="print the table; run nothing")
    options = parser.parse_args()
    size = plan.QUICK if options.quick else plan.FULL
    BUILD.mkdir(exist_ok=True)
    path = rows_of(size)
    rows = jsonl.read(path, ["arm"])
    if not options.table:
        with jsonl.appending(path) as file:
            start = start_of(size)
            data = data_of(size, start)
            if not any(row["arm"] == "T1" for row in rows):
                rows.append({"arm": "T1", **predictions(size, start, data[1])})
                jsonl.append(file, rows[-1])
                file.flush()
            for run in list(plan.runs(size))[: options.limit]:
                key = run.key(size)
                if any(key.items() <= row.items() for row in rows):
                    continue
                rows.append(train(size, run, start, data))
                jsonl.append(file, rows[-1])
                file.flush()
    prediction = next((row for row in rows if row["arm"] == "T1"), {})
    print(table(size, [row for row in rows if row["arm"] != "T1"], prediction))


if __name__ == "__main__":
    main()
