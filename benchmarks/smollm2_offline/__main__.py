"""Run part 1 of llm_adapter/PROTOCOL.md: does the chosen likelihood rise and fall, and is it the bound?

Every run is a line of rows.jsonl (full size) or quick.jsonl; runs that are there are skipped, so the same command goes
on. --quick takes a small transformer that is taught here: minutes on one core, and evidence about no language model.
--pilot times the full size.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.environment import require

require("llm", "benchmarks.smollm2_offline")  # before the imports that need it

from benchmarks import planned
from benchmarks.smollm2_arithmetic.records import rounded
from llm_adapter.arguments.training import read_values
from llm_adapter.data.load import prepare
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import Options
from llm_adapter.evaluation.sampling import sample_ids
from llm_adapter.models import load_model, load_tokenizer
from llm_adapter.training.arguments import make_arguments
from llm_adapter.training.run import Run as Training
from mi_estimators.display import jsonl

from . import kernel, plan
from .data import BUILD, Data, data_of, facts, start_of
from .measures import Bench, Probe
from .tables import tables

COMMAND = "python -m benchmarks.smollm2_offline"


def predictions(size: plan.Size, start: str, data: Data) -> dict[str, Any]:
    """Return what `late_decline` says of the first held-out prompts, before any arm is trained."""
    model, tokenizer = load_model(start).eval(), load_tokenizer(start)
    pairs = prepare(open_source(data.held_out), tokenizer, Options(1024))

    turns = []
    for place, example in enumerate(pairs.examples[: size.predicted]):
        (drawn,) = sample_ids(
            model, tokenizer, [example.prompt], size.samples, 1.0, size.new_tokens, seed=place
        )
        turns.append(kernel.predicted_turn(model, example, [list(row.ids) for row in drawn]))

    finite = [margin for star, margin in turns if star not in (0.0, float("inf"))]
    return {
        "turns": len(finite) / len(turns),
        "falls_at_once": sum(star == 0 for star, _ in turns) / len(turns),
        "margin": median(finite) if finite else None,
        "margins": sorted(finite),
        "prompts": len(turns),
    }


def step_row(name: str, size: plan.Size, bench: Bench, data: Data) -> dict[str, Any]:
    """Return how DPO's first step moves the held-out pairs of that prediction: to first order, or by its size."""
    model = load_model(bench.start).eval()
    examples = prepare(open_source(data.train), bench.tokenizer, Options(1024)).examples
    training, held_out = examples[: 16 * size.batch], bench.pairs[: size.predicted]

    if name == "first steps":
        moved = rounded(kernel.first_steps(model, training, held_out, size.batch), 5)
    else:
        rates = [share * size.learning_rate for share in (0.01, 0.1, 0.5, 1, 2)]
        sizes = kernel.step_sizes(model, training, held_out, size.batch, rates)
        moved = {"moved": rounded(sizes, 5)}

    return {
        **{"size": size.name, "arm": name, **moved},
        **{"training": len(training), "prompts": len(held_out)},
        "command": COMMAND + planned.flag_of_size(size.name),
    }


def add_readings_of_start(book: planned.Book, size: plan.Size, bench: Bench, data: Data) -> None:
    """Add the rows that speak of the start itself, where they are missing."""
    if not book.has({"arm": "T1"}):
        command = COMMAND + planned.flag_of_size(size.name)
        row = {"size": size.name, "arm": "T1", **predictions(size, bench.start, data)}
        book.add(rounded({**row, "command": command}, 5))

    for name in ("first steps", "step sizes"):
        if not book.has({"arm": name}):
            book.add(step_row(name, size, bench, data))

    if not book.has({"arm": "start"}):
        book.add(start_row(size, bench, data))


def train(size: plan.Size, run: plan.Run, start: str, data: Data, bench: Bench) -> dict[str, Any]:
    """Train a run while it is measured; return its row.

    Raises:
        SystemExit: a signal has ended the training early.
    """
    folder = BUILD / f"{size.name}-run-{run.name.replace('/', '-').replace(' ', '')}"
    flags = ["--model", start, "--train_data", data.train.as_posix()]
    flags += ["--learning_rate", f"{size.learning_rate}", "--max_steps", f"{size.steps}"]
    flags += [*plan.common(size), *run.flags(size), "--save_final_model", "false"]
    flags += ["--output_dir", folder.as_posix()]
    shutil.rmtree(folder, ignore_errors=True)  # what a stopped run has left
    began, cpu = time.monotonic(), time.process_time()
    command = f'{COMMAND}{planned.flag_of_size(size.name)} --only "{run.name}"'
    training, probe = Training(make_arguments(read_values(flags)), command), Probe(bench, run.seed)
    training.trainer.add_callback(probe)
    whole = training.train()
    shutil.rmtree(folder, ignore_errors=True)
    if not whole:  # a signal has ended it
        raise SystemExit(f"{run.name}: stopped before its end; the same command begins it again")

    row = {
        **run.key(size),
        "model": size.model,
        "own_beta": run.own_beta(size.negatives),
        **probe.row(),
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "command": command,
    }

    return rounded(row, 5)


def start_row(size: plan.Size, bench: Bench, data: Data) -> dict[str, Any]:
    """Return the row of the start itself, measured as a run's end is."""
    return {
        **{"size": size.name, "arm": "start", "model": size.model, **facts(size, data)},
        **rounded(bench.finish(bench.reference, 0), 5),
        "command": COMMAND + planned.flag_of_size(size.name),
    }


def pilot(size: plan.Size) -> str:
    """Return the hours of all runs of the size, from a few steps, questions and looks that are timed here.

    It makes the start if that is missing, and samples a few pairs from it.
    """
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        seconds[name] = time.process_time() - began
        return result

    few = tuple(replace(task, train=12, held_out=8) for task in size.tasks)
    tried = replace(
        size, name="pilot", steps=3, every=3, tasks=few, least=1, curve=4, probes=4, seeds=1
    )
    start = timed("start", lambda: start_of(size))
    data = timed("data", lambda: data_of(tried, start))
    bench = Bench(tried, start, data)
    timed("look", lambda: bench.look(bench.reference, 0, 0))
    timed("end", lambda: bench.finish(bench.reference, 0))
    timed("run", lambda: train(tried, plan.Run("DPO"), start, data, bench))

    return hours(size, tried, seconds, len(bench.asked))


def hours(size: plan.Size, tried: plan.Size, seconds: dict[str, float], asked: int) -> str:
    """Return what the parts of a size take, from those of a smaller one that was timed."""

    def questions(of: plan.Size) -> int:
        return sum(task.train + task.held_out for task in of.tasks)

    def responses(of: plan.Size) -> int:
        return of.curve + 2 * of.probes

    looks = size.steps // size.every + 1
    held_out = sum(task.held_out for task in size.tasks)
    a_step = (seconds["run"] - 2 * seconds["look"] - seconds["end"]) / tried.steps  # start included
    a_look = seconds["look"] * responses(size) / responses(tried)
    end = seconds["end"] * held_out / max(1, asked)
    a_run = size.steps * a_step + looks * a_look + end

    data = seconds["data"] * questions(size) / questions(tried)
    runs = list(plan.runs(size))
    main = sum(run.beta == plan.BETA and run.arm in plan.MAIN for run in runs)
    total = len(runs) * a_run + data + seconds["start"]

    return (
        f"a step {a_step:.1f} s, a look {a_look:.0f} s ({looks} a run), the end {end:.0f} s, a run "
        f"{a_run / 60:.1f} min, the data {data / 60:.0f} min\n"
        f"{len(runs)} runs: {total / 3600:.1f} hours of one core; the {main} of the main arms "
        f"{main * a_run / 3600:.1f}; one seed of them {main / size.seeds * a_run / 3600:.1f}"
    )


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, then print the tables."""
    options = planned.parser(COMMAND, __doc__, plan.SIZES).parse_args(argv)
    size = planned.size_of(options, plan.SIZES)
    BUILD.mkdir(exist_ok=True)
    if options.pilot:
        print(pilot(size))
        return 0

    path = planned.rows_of(plan.HERE, size.name)
    if not options.table:
        book = planned.Book(path, options)
        start = start_of(size)
        data = data_of(size, start)
        bench = Bench(size, start, data)

        if not size.twin:
            add_readings_of_start(book, size, bench, data)
        for run in book.missing(list(plan.runs(size)), lambda run: run.key(size)):
            book.add(train(size, run, start, data, bench))

    print(tables(jsonl.read(path, ["arm"]), size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
