"""Evaluate a model: python -m llm_adapter.evaluate --model DIR --task products --k 1 4 16 --out FILE.json.

On held-out questions with one right number it measures greedy accuracy and pass@k; on a file of preferences (`--pairs`)
how often the chosen response is more likely than a rejected one. Journals of all responses go beside FILE.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .arguments.command import run_command
from .arguments.fields import DataFields
from .arguments.flags import COUNT, SHARE, flag, flag_of, require
from .arguments.outputs import DROPPED, QUESTIONS, begins_as, results_of
from .arguments.rollouts import TASKS, RolloutArguments, facts, parse, refuse_taken
from .data.load import (
    check_fit,
    options_of,
    prepare,
    read_rows,
    refuse_unreadable,
    settle,
    with_counterparts,
)
from .data.sources import open_source
from .evaluation.advice import uniform
from .evaluation.rates import curve, wilson
from .evaluation.tasks import draw_questions

COMMAND = "llm_adapter.evaluate"
DESCRIPTION = "Measure a model's accuracy and pass@k on held-out questions, and how well it ranks preferences."
EXAMPLES = """\
examples:
  python -m llm_adapter.evaluate --model DIR --task products --out rates.json
      Measure greedy accuracy and pass@k on held-out products, from 16 samples.
  python -m llm_adapter.evaluate --model DIR --pairs pairs.jsonl --out ranking.json
      Only rank the responses in a file of preferences.
"""
KS = (1, 4, 16)  # of pass@k, unless the user gives others


@dataclass(frozen=True, kw_only=True)
class EvaluationArguments(RolloutArguments):
    """Evaluation: what to measure on the responses and on a file of preferences."""

    task: str | None = flag(None, "Task that gives the held-out questions.", choices=tuple(TASKS))
    samples: int = flag(16, "Number of responses to each question.", rule=COUNT)
    k: tuple[int, ...] = flag((), "Values of k in pass@k.", shown="1, 4 and 16, up to samples")
    pairs: str | None = flag(
        None,
        "Preferences to rank: how often is the chosen response more likely than a rejected one?",
    )
    max_length: int = flag_of(DataFields, "max_length")
    truncation: str = flag_of(DataFields, "truncation")
    chat: bool = flag_of(DataFields, "chat")
    max_dropped: float = flag(
        DataFields.max_dropped,
        "Maximum share of unusable pairs. Dropped ones are listed next to out.",
        rule=SHARE,
    )
    train_data: str | None = flag(
        None,
        "Preferences that the model was trained on. The command stops if a held-out question is "
        "among them.",
    )

    def check(self) -> None:
        """Raise the ValueError of the first field outside its range."""
        super().check()
        require(
            self,
            (
                "task",
                bool(self.task or self.pairs),
                "a task to ask, or pairs to rank",
            ),
            (
                "k",
                all(1 <= k <= self.samples for k in self.k),
                f"integers from 1 to samples={self.samples}",
            ),
            ("out", self.out.endswith(".json"), "a file.json to write"),
        )


def refuse_overlap(questions: Sequence[str], path: str) -> None:
    """Raise if a prompt of the preferences at `path` is one of the questions.

    Raises:
        ValueError: the number of such rows, and the first one; a file that cannot be read.
    """
    texts = set(questions)
    examples, _ = read_rows(open_source(path))
    shared = [example for example in examples if example.question.strip() in texts]

    if shared:
        file = open_source(path).files[shared[0].file]
        raise ValueError(
            f"train_data: expected none of the {len(texts)} questions asked here, got {len(shared)}, "
            f"the first in {file}:{shared[0].line}"
        )


def summarise(
    greedy: Sequence[dict], sampled: Sequence[dict], arguments: EvaluationArguments
) -> dict:
    """Return greedy accuracy with Wilson's interval, and pass@k with the bootstrap's over questions."""
    right = sum(record["responses"][0]["right"] for record in greedy)
    counts = [sum(response["right"] for response in record["responses"]) for record in sampled]
    responses = [response for record in sampled for response in record["responses"]]
    ks = sorted({*arguments.k} or {k for k in KS if k <= arguments.samples})
    interval = wilson(right, len(greedy))

    finished = sum(response["finished"] for response in responses) / len(responses)

    return {
        "questions": len(greedy),
        "accuracy": {"right": right, "mean": right / len(greedy), "interval": interval},
        "pass_at_k": curve(counts, arguments.samples, ks),
        "finished": finished,
        "advice": uniform(sum(counts), len(responses), finished, "or more --samples"),
    }


def report(arguments: EvaluationArguments, results: dict) -> str:
    """Return the results as a table."""
    rows = []
    if task := results.get("task"):
        rows.append((f"greedy accuracy, {task['questions']} held-out questions", task["accuracy"]))
        law = f"{arguments.samples} samples, temperature {arguments.temperature:g}"
        rows += [(f"pass@{k}, {law}", value) for k, value in task["pass_at_k"].items()]

    if ranking := results.get("ranking"):
        for name, label in (("sum", "ln π"), ("per_token", "ln π per token")):
            pairs, first = ranking[name]["pairs"], ranking[name]["first"]
            rows.append(
                (f"rejected responses with a lower {label}, of {ranking['rejected']}", pairs)
            )
            rows.append(
                (f"chosen responses with the highest {label}, of {ranking['examples']}", first)
            )

    width = max(len(label) for label, _ in rows)
    title = str(arguments) if arguments.task else ""
    lines = [f"{title:<{width}}    mean  95 % interval"]

    for label, value in rows:
        low, high = value["interval"]
        lines.append(f"{label:<{width}}  {value['mean']:.4f}  [{low:.4f}, {high:.4f}]")

    lines += [
        results[name]["advice"]
        for name in ("task", "ranking")
        if name in results and results[name]["advice"]
    ]
    return "\n".join(lines)


def evaluate(argv: Sequence[str]) -> None:
    """Ask, rank, write and print."""
    arguments = parse(EvaluationArguments, argv, COMMAND, DESCRIPTION, EXAMPLES)
    path, out = arguments.pairs, Path(arguments.out)
    dropped = out.with_suffix(".dropped.jsonl")
    journals = {name: out.with_suffix(f".{name}.journal.jsonl") for name in ("greedy", "sampled")}
    outputs = {out: results_of(COMMAND), dropped: begins_as(DROPPED)}
    outputs |= dict.fromkeys(journals.values(), begins_as(QUESTIONS))
    refuse_taken(arguments, outputs, "pairs", "train_data")

    questions = []
    if arguments.task:
        questions = draw_questions(arguments, "held_out", arguments.count, arguments.seed)
    if arguments.train_data:
        refuse_overlap([question.text for question in questions], arguments.train_data)
    if path:
        refuse_unreadable(path)

    from mi_estimators.display import write_json

    from .evaluation.ranking import rank  # torch and transformers: seconds
    from .evaluation.rollouts import collect, load
    from .models import load_tokenizer

    tokenizer = load_tokenizer(
        arguments.model, arguments.trust_remote_code, arguments.chat_template
    )
    data = prepare(open_source(path), tokenizer, options_of(arguments)) if path else None
    if data:
        data = with_counterparts(data, across=False)
        settle([data], arguments, dropped, speaks=True)

    model = load(arguments)
    if data:
        check_fit(data.examples, data.source.files, model)

    out.parent.mkdir(parents=True, exist_ok=True)
    results = facts(COMMAND, argv, arguments)
    if questions:
        laws = {"greedy": replace(arguments, temperature=0.0), "sampled": arguments}
        greedy, sampled = (
            collect(law, questions, model, tokenizer, journals[name]) for name, law in laws.items()
        )
        results["task"] = summarise(greedy, sampled, arguments)

    if data:
        cut = data.examples.truncated
        results["data"] = {"dropped": data.counts, "notes": data.notes, "truncated": cut}
        results["ranking"] = rank(data.examples, model, arguments.batch, arguments.disable_tqdm)

    write_json(out, results)
    print(report(arguments, results))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
