"""Evaluate a model: python -m llm_adapter.evaluate --model DIR --task products --k 1 4 16 --out FILE.json.

On held-out questions with one right number: greedy accuracy and pass@k from `samples` responses a question. On a file
of preferences (`--pairs`): how often the chosen response is more likely than a rejected one. Beside FILE.json lie the
journals of all responses.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from .arguments.parser import about
from .data.cache import whole_file
from .data.collate import collate, split_rows, sum_responses
from .data.load import TokenizedExample, check_fit, read_examples, tokenize
from .data.sources import open_source
from .evaluation.rates import bootstrap, curve, wilson
from .evaluation.rollouts import RolloutArguments, ask, collect, load, parse, run
from .loss.logprobs import choose_log_probs
from .models import load_tokenizer

COMMAND = "llm_adapter.evaluate"
KS = (1, 4, 16)  # of pass@k, unless said


@dataclass(frozen=True)
class EvaluationArguments(RolloutArguments):
    """Ask a model held-out questions, and rank preferences by its log-probabilities."""

    task: str | None = field(default=None, metadata=about("Whose held-out questions are asked."))
    samples: int = field(default=16, metadata=about("Responses drawn for each question."))
    k: list[int] = field(
        default_factory=list,
        metadata=about("The k of pass@k (default: 1, 4 and 16, as far as the samples go)."),
    )
    train_data: str | None = field(
        default=None,
        metadata=about(
            "Preferences trained on: refused if one of them asks a question asked here."
        ),
    )
    pairs: str | None = field(
        default=None, metadata=about("Preferences whose responses are ranked.")
    )
    max_length: int = field(
        default=1024, metadata=about("Most tokens of prompt and response when ranking.")
    )
    chat: bool = field(
        default=False, metadata=about("Put plain strings, too, through the chat template.")
    )

    def check(self) -> None:
        """Raise the ValueError of the first field outside its range."""
        super().check()
        if self.task is None and self.pairs is None:
            raise ValueError("task: expected a task to ask, or pairs to rank, got neither")
        if not all(1 <= k <= self.samples for k in self.k):
            raise ValueError(f"k: expected integers from 1 to samples={self.samples}, got {self.k}")
        if not self.out.endswith(".json"):
            raise ValueError(f"out: expected a file.json to write, got {self.out!r}")


def refuse_overlap(questions: Sequence[str], path: str) -> None:
    """Raise if a prompt of the preferences at `path` is one of the questions.

    Raises:
        ValueError: the first such line, and how many there are; a file that cannot be read.
    """
    examples = read_examples(path)
    said = [
        (each, each.prompt if isinstance(each.prompt, str) else each.prompt[-1]["content"])
        for each in examples
    ]
    asked = set(questions)
    found = [each for each, prompt in said if prompt.strip() in asked]
    if found:
        raise ValueError(
            f"train_data: expected none of the {len(asked)} questions asked here, got {len(found)}, "
            f"the first in {open_source(path).files[found[0].file]}:{found[0].line}"
        )


def summarise(
    greedy: Sequence[dict], sampled: Sequence[dict], arguments: EvaluationArguments
) -> dict:
    """Return greedy accuracy with Wilson's interval, and pass@k with the bootstrap's over questions."""
    right = sum(record["responses"][0]["right"] for record in greedy)
    counts = [sum(response["right"] for response in record["responses"]) for record in sampled]
    responses = [response for record in sampled for response in record["responses"]]
    return {
        "questions": len(greedy),
        "accuracy": {
            "right": right,
            "mean": right / len(greedy),
            "interval": wilson(right, len(greedy)),
        },
        "pass_at_k": curve(
            counts,
            arguments.samples,
            sorted({*arguments.k} or {k for k in KS if k <= arguments.samples}),
        ),
        "finished": sum(response["finished"] for response in responses) / len(responses),
    }


@torch.no_grad()
def rank(
    examples: Sequence[TokenizedExample], model: nn.Module, batch: int, disable_tqdm: bool = False
) -> dict:
    """Return how often a rejected response has the lower ln π than the chosen one, summed and per token.

    Returns:
        `examples`, `rejected` (their number) and, for `sum` and `per_token`: `pairs`, the share of rejected responses
        that rank below their chosen one, with the bootstrap's interval over prompts; `first`, the share of prompts
        whose chosen response ranks above all rejected ones, with Wilson's; `margin`, the mean difference in nats.
    """
    device = next(model.parameters()).device
    log_probs, below = None, {"sum": [], "per_token": []}
    margins: dict[str, list[float]] = {"sum": [], "per_token": []}
    counts = [len(example.completions) - 1 for example in examples]
    for start in tqdm(
        range(0, len(examples), batch), "ranking", unit="batch", disable=disable_tqdm
    ):
        rows = {
            name: value.to(device)
            for name, value in collate(examples[start : start + batch]).items()
        }
        log_probs = log_probs or choose_log_probs(model, rows)
        sums = sum_responses(log_probs(model, rows), rows["lengths"])
        for name, values in (("sum", sums), ("per_token", sums / rows["lengths"])):
            chosen, rejected = split_rows(values, rows["negatives"])
            margin = torch.where(rows["negatives"], chosen.unsqueeze(1) - rejected, 0.0)
            below[name] += (margin > 0).sum(-1).tolist()
            margins[name] += margin.sum(-1).tolist()

    def shares(name: str) -> dict:
        first = sum(found == count for found, count in zip(below[name], counts, strict=True))
        return {
            "pairs": {
                "mean": sum(below[name]) / sum(counts),
                "interval": bootstrap(below[name], counts),
            },
            "first": {"mean": first / len(counts), "interval": wilson(first, len(counts))},
            "margin": sum(margins[name]) / sum(counts),
        }

    return {"examples": len(counts), "rejected": sum(counts)} | {
        name: shares(name) for name in below
    }


def report(arguments: EvaluationArguments, found: dict) -> str:
    """Return the results as a table: what, mean, 95 % interval."""
    rows = []
    if task := found.get("task"):
        rows += [
            (
                f"{arguments}: greedy accuracy, {task['questions']} held-out questions",
                task["accuracy"],
            )
        ]
        law = f"{arguments.samples} samples at temperature {arguments.temperature:g}"
        rows += [(f"{arguments}: pass@{k}, {law}", value) for k, value in task["pass_at_k"].items()]
    if ranking := found.get("ranking"):
        for name, label in (("sum", "ln π"), ("per_token", "ln π per token")):
            rows += [
                (f"{ranking['rejected']} rejected with the lower {label}", ranking[name]["pairs"]),
                (f"{ranking['examples']} chosen with the highest {label}", ranking[name]["first"]),
            ]
    width = max(len(label) for label, _ in rows)
    return "\n".join(
        f"{label:<{width}}  {value['mean']:.4f}  [{value['interval'][0]:.4f}, {value['interval'][1]:.4f}]"
        for label, value in rows
    )


def evaluate(argv: Sequence[str]) -> None:
    """Ask, rank, write and print."""
    arguments = parse(EvaluationArguments, argv, COMMAND)
    questions = ask(arguments, "held_out") if arguments.task else []
    if arguments.train_data:
        refuse_overlap([question.text for question in questions], arguments.train_data)
    tokenizer = load_tokenizer(arguments.model, arguments.trust_remote_code)
    path, out = arguments.pairs, Path(arguments.out)
    examples = (
        tokenize(read_examples(path), tokenizer, arguments.max_length, path, arguments.chat)
        if path
        else []
    )
    model = load(arguments)
    if path:
        check_fit(examples, open_source(path).files, model)
    out.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "command": shlex.join(["python", "-m", COMMAND, *argv]),
        "arguments": asdict(arguments),
    }
    if questions:
        greedy, sampled = (
            collect(law, questions, model, tokenizer, out.with_suffix(f".{name}.journal.jsonl"))
            for name, law in (
                ("greedy", replace(arguments, temperature=0.0)),
                ("sampled", arguments),
            )
        )
        found["task"] = summarise(greedy, sampled, arguments)
    if examples:
        found["ranking"] = rank(examples, model, arguments.batch, arguments.disable_tqdm)
    with whole_file(out) as file:
        file.write(f"{json.dumps(found, indent=1)}\n".encode())
    print(report(arguments, found))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run(COMMAND, evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
