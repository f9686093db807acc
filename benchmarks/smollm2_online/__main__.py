"""Run part 2 of llm_adapter/PROTOCOL.md: who samples decides. Five arms from three levels of base success.

Every run is a line of rows.jsonl (full size) or quick.jsonl; runs that are there are skipped and a stopped one goes on,
so the same command is given again. --quick takes a small transformer that is taught here, with plain gradient steps, of
which the theorems speak: minutes on one core, and evidence about no language model. --pilot times the full size.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import require

require("llm", "benchmarks.smollm2_online")  # before the imports that need it

from benchmarks import planned, small_model
from benchmarks.smollm2_arithmetic.records import rounded
from benchmarks.smollm2_offline import plan as offline_plan
from benchmarks.smollm2_offline.data import start_of
from llm_adapter import online
from llm_adapter.arguments.online import OnlineArguments
from llm_adapter.arguments.rollouts import TaskArguments
from llm_adapter.evaluation.rates import bootstrap, pass_at_k
from llm_adapter.evaluation.rollouts import collect, load
from llm_adapter.evaluation.rounds import RECENT, recent_success
from llm_adapter.evaluation.tasks import draw_questions
from llm_adapter.models import load_tokenizer
from mi_estimators.display import jsonl

from . import plan
from .tables import tables

BUILD = plan.HERE / "build"
COMMAND = "python -m benchmarks.smollm2_online"
ASKED, DRAWN = 64, 16  # questions and responses by which a level is measured


def zero_share(right: list[int], samples: int, group: int) -> float:
    """Return the predicted share of groups without a gradient, the mean over questions of (1 − ε)ⁿ + εⁿ, unbiased.

    >>> zero_share([0, 2], 4, 2)  # never right; two of four: both right or both wrong in two of six pairs
    0.6666666666666667
    """
    shares = [
        1 - pass_at_k(count, samples, group) + 1 - pass_at_k(samples - count, samples, group)
        for count in right
    ]
    return sum(shares) / len(shares)


def ask(model: str, task: tuple[str, int, int], size: plan.Size, out: Path) -> list[int]:
    """Return how many of the responses to each training question are right."""
    kind, operands, digits = task
    arguments = OnlineArguments(
        model=model, task=kind, operands=operands, digits=digits, samples=DRAWN, out=str(out),
        max_new_tokens=size.new_tokens, disable_tqdm=True,
    )  # fmt: skip
    questions = draw_questions(arguments, "train", min(ASKED, size.count), 0)
    tokenizer = load_tokenizer(model)
    records = collect(arguments, questions, load(arguments), tokenizer, out)

    return [sum(row["right"] for row in record["responses"]) for record in records]


def weights_of(size: plan.Size, level: dict[str, Any]) -> str:
    """Return the weights that a level's runs start from: part 1's start, or the small model as the level taught it."""
    return start_of(offline_plan.FULL) if size is plan.FULL else level["model"]


def level_row(size: plan.Size, level: float, rows: list[dict]) -> dict[str, Any]:
    """Choose the model and the task whose base success is nearest to a level; return their row."""
    if size is plan.FULL:
        known = planned.row_named(rows, "candidates")
        assert known is not None  # they are asked first
        model, candidates = known["model"], known["right"]
    else:
        kind, operands, digits = plan.SMALL_TASK
        questions = draw_questions(
            TaskArguments(task=kind, operands=operands, digits=digits), "train", size.count, 0
        )
        folder = BUILD / f"{size.name}-taught-{level:g}"
        model = small_model.taught(questions, plan.TAUGHT[level], folder, size.teaching)
        out = BUILD / f"{size.name}-level-{level:g}.jsonl"
        candidates = {"0": ask(model, plan.SMALL_TASK, size, out)}

    def distance(name: str) -> float:
        right = candidates[name]
        return abs(math.log(max(sum(right), 0.5) / (len(right) * DRAWN) / level))

    chosen = min(candidates, key=distance)
    task = plan.SMALL_TASK if size is not plan.FULL else plan.CANDIDATES[int(chosen)]
    right = candidates[chosen]

    return {
        **{"size": size.name, "arm": "level", "level": level, "model": model, "task": list(task)},
        **{"success": sum(right) / (len(right) * DRAWN), "right": right, "samples": DRAWN},
        "interval": list(bootstrap([count / DRAWN for count in right])),
        "zero_gradient": {n: zero_share(right, DRAWN, n) for n in (2, size.group)},
        "command": COMMAND + planned.flag_of_size(size.name),
    }


def candidates_row(size: plan.Size) -> dict[str, Any]:
    """Ask the real model, as part 1 starts it, all candidate tasks; return what it answers right."""
    model, right = start_of(offline_plan.FULL), {}
    for k, task in enumerate(plan.CANDIDATES):
        right[str(k)] = ask(model, task, size, BUILD / f"candidate-{k}.jsonl")
    names = [list(task) for task in plan.CANDIDATES]

    return {
        **{"size": size.name, "arm": "candidates", "model": size.model},
        **{"tasks": names, "right": right, "samples": DRAWN, "command": COMMAND},
    }


def train(size: plan.Size, run: plan.Run, level: dict[str, Any]) -> dict[str, Any]:
    """Train a run; return its row."""
    out = BUILD / size.name / f"{run.name}.json"
    flags = run.flags(size, weights_of(size, level), tuple(level["task"]), out)
    began, cpu = time.monotonic(), time.process_time()
    planned.succeed(online.main(flags), run.name)
    journal = jsonl.read(out.with_suffix(".journal.jsonl"))
    command = json.loads(out.read_text(encoding="utf-8"))["command"]
    if size is plan.FULL:
        command = f'{COMMAND} --only "{run.name}"'
    row = {
        **run.key(size),
        "model": size.model,
        "optimizer": size.optimizer,
        **summary(journal),
        **{name: counts(out.with_suffix(f".{name}.jsonl")) for name in ("before", "after")},
        "samples": size.eval_samples,
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "command": command,
    }

    out.with_suffix(".state.pt").unlink(missing_ok=True)  # half a gigabyte
    return rounded(row, 6)


def counts(path: Path) -> list[int]:
    """Return the number of right responses to each question of a file of records."""
    return [sum(r["right"] for r in record["responses"]) for record in jsonl.read(path)]


def summary(journal: list[dict]) -> dict[str, Any]:
    """Return what the rounds came to.

    `until_half` is the round after which the mean success of the last 64 questions is ½, null if it never was.
    `first` are the groups of the first 64 questions: how many there are, and how many have no gradient.

    >>> line = {"questions": 64, "success": 0.5, "zero_gradient": 0.25, "samples": 128, "finished": 1.0, "tokens": 3.0}
    >>> summary([line])["until_half"], summary([line])["first"]
    (1, [64, 16])
    """
    half = None
    for end in range(1, len(journal) + 1):
        asked, success = recent_success(journal[:end])
        if asked >= RECENT and success >= 0.5:
            half = end
            break

    total = dead = 0
    for line in journal:
        if total >= RECENT:
            break
        total += line["questions"]
        dead += round(line["questions"] * line["zero_gradient"])

    return {
        "rounds": len(journal),
        "until_half": half,
        "drawn": journal[-1]["samples"],
        "first": [total, dead],
        "success": [line["success"] for line in journal],
        "zero_gradient": [line["zero_gradient"] for line in journal],
        "finished": [journal[0]["finished"], journal[-1]["finished"]],
        "tokens": [journal[0]["tokens"], journal[-1]["tokens"]],
    }


def pilot(size: plan.Size) -> str:
    """Time a round, an evaluation and the start of the size on this machine; return the hours of all its runs."""
    folder = BUILD / "pilot"
    folder.mkdir(parents=True, exist_ok=True)
    model = start_of(offline_plan.FULL)

    seconds = {}
    for name, rounds, asked in (("start", 1, 0), ("rounds", 4, 0), ("asking", 1, 16)):
        for path in folder.iterdir():
            path.unlink()
        flags = plan.Run("online MIO", plan.LEVELS[0]).flags(
            size, model, plan.SMALL_TASK, folder / "run.json"
        )
        flags += ["--rounds", f"{rounds}", "--eval_count", f"{asked}"]
        began = time.process_time()
        planned.succeed(online.main(flags), "pilot")
        seconds[name] = time.process_time() - began

    a_round = (seconds["rounds"] - seconds["start"]) / 3
    asking = (seconds["asking"] - seconds["start"]) / 32  # before and after
    a_run = seconds["start"] + size.rounds * a_round + 2 * size.eval_count * asking
    levels = len(plan.CANDIDATES) * min(ASKED, size.count) * asking
    total = len(list(plan.runs(size))) * a_run + levels

    return (
        f"a round {a_round:.1f} s, a question before and after {2 * asking:.1f} s, the start "
        f"{seconds['start']:.0f} s\na run of {size.rounds} rounds at most {a_run / 60:.0f} min; "
        f"{len(list(plan.runs(size)))} runs at most {total / 3600:.1f} hours of one core"
    )


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, then print the tables."""
    parser = planned.parser(COMMAND, __doc__, plan.SIZES)
    options = parser.parse_args(argv)
    size = planned.size_of(options, plan.SIZES)
    (BUILD / size.name).mkdir(parents=True, exist_ok=True)
    if options.pilot:
        print(pilot(size))
        return 0

    path = planned.rows_of(plan.HERE, size.name)
    if not options.table:
        book = planned.Book(path, options)
        if size is plan.FULL and not book.has({"arm": "candidates"}):
            book.add(candidates_row(size))

        for level in plan.LEVELS:
            if not book.has({"arm": "level", "level": level}):
                book.add(rounded(level_row(size, level, book.rows()), 6))

        levels = {row["level"]: row for row in book.rows() if row["arm"] == "level"}
        for run in book.missing(list(plan.runs(size)), lambda run: run.key(size)):
            book.add(train(size, run, levels[run.level]))

    print(tables(jsonl.read(path, ["arm"]), size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
