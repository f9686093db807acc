"""Print, or run, the published setting at 7–8 B: DPO and MIO on UltraFeedback, then reasoning suites, IFEval and chats.

Without flags it prints the commands and the GPU-hours that they should take, and whether the training fits the GPUs by
llm_adapter.plan. --run runs them, one after another; a stage whose results are there is not run again. --dry_run runs
the same stages at a tiny size, on a CPU: the built-in model and the shipped pairs. Never run at size here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from mi_estimators.display import Table, jsonl

from . import recipe

COMMAND = "python -m benchmarks.published"


def overview(setting: recipe.Setting, out: Path) -> str:
    """Return the commands, the hours, and whether the training fits."""
    from transformers import LlamaConfig

    from llm_adapter.plan import PlanArguments, plan

    config = LlamaConfig.from_dict(recipe.LLAMA3_8B)
    count = recipe.weights(config)
    assumptions = recipe.Assumptions()
    hours = recipe.gpu_hours(count, assumptions, setting)
    total = len(recipe.ARMS) * sum(hours.values())
    rows = [
        [name, f"{value:.1f}", f"{value * len(recipe.ARMS):.1f}"] for name, value in hours.items()
    ]
    rows.append(["all", f"{sum(hours.values()):.1f}", f"{total:.1f}"])
    asked = PlanArguments(
        model="llama3-8b", gpu_memory=setting.gpu_memory, gpus=setting.gpus, max_length=2048
    )
    checkpointed = next(p for p in plan(config, asked) if p.name == "exact, checkpointing")
    fits = 4 * checkpointed.tokens <= checkpointed.largest
    lines = [f"# {stage.name}\n{stage.line}" for stage in recipe.stages(setting, out)]
    lines += [
        "",
        f"{count / 1e9:.2f} billion weights on {setting.gpus} GPUs of {setting.gpu_memory:g} GB; a pass of "
        f"4 pairs of 2 × 2048 tokens {'fits' if fits else 'does not fit'}: at most {checkpointed.largest} tokens.",
        f"Expected GPU-hours, calculated, not measured ({assumptions}):",
        Table(["stage", "an arm", f"{len(recipe.ARMS)} arms"], rows).markdown(1),
    ]

    return "\n".join(lines)


def run(setting: recipe.Setting, out: Path) -> list[dict]:
    """Run the stages that have no row yet; return the rows. A stage whose package is missing is named and left out."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "stages.jsonl"
    done = {row["stage"] for row in jsonl.read(path, ["stage", "status"]) if row["status"] == 0}

    for stage in recipe.stages(setting, out):
        if stage.name in done:
            continue
        if stage.needs and find_spec(stage.needs) is None:
            print(
                f"{stage.name}: not run, {stage.needs} is not installed\n  {stage.line}", flush=True
            )
            continue

        print(f"{stage.name}\n  {stage.line}", flush=True)
        command = list(stage.command)
        if command[0] == "python":
            command[0] = sys.executable

        status = subprocess.run(command, check=False).returncode
        with jsonl.appending(path) as file:
            jsonl.append(file, {"stage": stage.name, "status": status, "command": stage.line})
        if status:
            raise SystemExit(f"{stage.name}: failed with status {status}")

    return jsonl.read(path)


def main(argv: list[str] | None = None) -> int:
    """Print the recipe, or run it."""
    flags = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--run", action="store_true", help="run the stages")
    flags.add_argument("--dry_run", action="store_true", help="run them at a tiny size, on a CPU")
    flags.add_argument("--gpus", type=int, default=8, help="number of GPUs (default: %(default)s)")
    flags.add_argument("--gpu_memory", type=float, default=80.0, help="of one, in GB")
    flags.add_argument(
        "--out", type=Path, default=Path("runs/published"), help="folder of the runs"
    )
    options = flags.parse_args(argv)
    setting = replace(recipe.PUBLISHED, gpus=options.gpus, gpu_memory=options.gpu_memory)

    if options.dry_run:
        run(recipe.TINY, options.out)
    elif options.run:
        run(setting, options.out)
    else:
        print(overview(setting, options.out))

    return 0


if __name__ == "__main__":
    raise SystemExit(main())
