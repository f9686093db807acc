"""The common start, the pairs that it gives, and the questions that are held out: made once, kept under build/."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import planned, small_model
from benchmarks.smollm2_arithmetic import plan as arithmetic
from llm_adapter.arguments.rollouts import RolloutArguments
from llm_adapter.data.tokens import vocabulary_digest
from llm_adapter.evaluation.rollouts import collect, load
from llm_adapter.evaluation.tasks import Question, draw_questions
from llm_adapter.models import load_tokenizer
from llm_adapter.pairs import outcome, preference
from llm_adapter.train import main as train_command
from mi_estimators.display import jsonl

from . import plan

BUILD = plan.HERE / "build"


@dataclass(frozen=True)
class Data:
    """Files of pairs, and the held-out questions by task."""

    train: Path
    held_out: Path
    questions: tuple[tuple[plan.Task, tuple[Question, ...]], ...]


def rollout(task: plan.Task, model: str, size: plan.Size, samples: int, out: Path) -> Any:
    """Return the arguments by which a task is asked."""
    return RolloutArguments(
        task=task.task, operands=task.operands, digits=task.digits, model=model, samples=samples,
        temperature=1.0, max_new_tokens=size.new_tokens, disable_tqdm=True, out=str(out),
    )  # fmt: skip


def questions(task: plan.Task, split: str, size: plan.Size, model: str) -> list[Question]:
    """Return the questions of a task, at most as many as the size asks."""
    arguments = rollout(task, model, size, 1, BUILD / "none.jsonl")
    try:
        return draw_questions(arguments, split, getattr(task, split), 0)
    except ValueError:  # a task has fewer
        return draw_questions(arguments, split, None, 0)


def own_answers(line: dict, law: random.Random) -> Iterator[dict]:
    """Yield the finished answers of a shipped line, all wrong ones and right ones in the model's own share.

    Trained on them, the model learns to stop, and little else.
    """
    wrong = line["rejected"]
    odds = plan.EPSILON / (1 - plan.EPSILON)
    for response in wrong:
        yield {"prompt": line["prompt"], "chosen": response, "rejected": line["chosen"]}
    if law.random() < odds * len(wrong):
        yield {"prompt": line["prompt"], "chosen": line["chosen"], "rejected": wrong[0]}


def start_of(size: plan.Size) -> str:
    """Return the folder of the common start: SmolLM2 after its own finished answers, or the small model as taught."""
    folder = BUILD / f"{size.source}-start"
    if (folder / "model.safetensors").exists():
        return folder.as_posix()
    if size.small:
        asked = [q for task in size.tasks for q in questions(task, "train", size, "builtin")]
        return small_model.taught(asked, size.epsilon, folder, size.teaching)

    shipped = (arithmetic.HERE / "data").glob("*-2x1.jsonl")  # sampled from the base model
    lines = [line for path in sorted(shipped) for line in jsonl.read(path)]
    law = random.Random(0)
    answers = [answer for line in lines for answer in own_answers(line, law)]
    law.shuffle(answers)
    data = BUILD / f"{size.source}-answers.jsonl"
    jsonl.write(data, answers)
    flags = ["--model", arithmetic.gguf().as_posix(), "--train_data", data.as_posix()]
    flags += ["--loss", "sft", "--max_dropped", "0.5", "--num_train_epochs", "1"]
    flags += ["--learning_rate", "2e-5", *plan.common(size), "--output_dir", folder.as_posix()]
    planned.succeed(train_command(flags), "start")

    return folder.as_posix()


def pairs_of(size: plan.Size, start: str, split: str) -> list[dict]:
    """Return the preferences that the start's answers to a split's questions give."""
    tokenizer, model, lines = load_tokenizer(start), None, []
    for task in size.tasks:
        out = BUILD / f"{size.source}-{split}-{task.name}.jsonl"
        arguments = rollout(task, start, size, size.drawn, out)
        model = model or load(arguments)
        records = collect(arguments, questions(task, split, size, start), model, tokenizer, out)
        law = size.negatives, bool(tokenizer.chat_template), vocabulary_digest(tokenizer)
        lines += [preference(record, *law) for record in records if outcome(record) == "pair"]

    return lines


def data_of(size: plan.Size, start: str) -> Data:
    """Return the data of the size; training and held-out questions share no set of operands.

    Raises:
        SystemExit: fewer held-out pairs than the protocol asks for.
    """
    files = BUILD / f"{size.source}-train.jsonl", BUILD / f"{size.source}-held_out.jsonl"
    if not all(path.exists() for path in files):
        train, held_out = (pairs_of(size, start, split) for split in ("train", "held_out"))
        if size.seen:  # a model that knows nothing of other questions: other responses to the same
            held_out = train[:: size.seen]
            train = [row for k, row in enumerate(train) if k % size.seen]
        if len(held_out) < size.least:
            raise SystemExit(f"held-out pairs: expected {size.least}, got {len(held_out)}")

        law = random.Random(0)
        for path, lines in zip(files, (train, held_out), strict=True):
            law.shuffle(lines)
            jsonl.write(path, lines)

    split = "train" if size.seen else "held_out"
    asked = tuple((task, tuple(questions(task, split, size, start))) for task in size.tasks)
    return Data(*files, asked)


def facts(size: plan.Size, data: Data) -> dict[str, Any]:
    """Return how much data there is."""
    counts = [len(jsonl.read(path)) for path in (data.train, data.held_out)]
    asked = {task.name: len(several) for task, several in data.questions}
    return {"train_pairs": counts[0], "held_out_pairs": counts[1], "questions": json.dumps(asked)}
