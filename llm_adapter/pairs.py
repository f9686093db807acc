"""Make on-policy preferences: python -m llm_adapter.pairs --model M --task products --out FILE.jsonl.

Samples the model on questions with one right number, verifies the responses and writes a line a question that has both
kinds: `prompt`, `chosen` (its first right response) and `rejected` (up to K different wrong ones). Beside FILE.jsonl:
FILE.journal.jsonl, every response of every question; FILE.stats.json, pass rates and starvation.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .arguments.command import run_command
from .arguments.flags import COUNT, flag, require
from .arguments.rollouts import RolloutArguments, parse
from .evaluation.rates import curve, powers, starvation
from .evaluation.tasks import draw_questions

COMMAND = "llm_adapter.pairs"
DESCRIPTION = """\
Ask a model arithmetic questions, verify its answers, and write preferences: for each question a
right response and up to K wrong ones."""
EXAMPLES = """\
examples:
  python -m llm_adapter.pairs --task products --out pairs.jsonl
      Ask the small built-in model for products of two digits.
  python -m llm_adapter.pairs --model DIR --task gcd --samples 16 --out gcd.jsonl
      Ask your own model for greatest common divisors, 16 times for each question.
"""
OUTCOMES = ("pair", "none_right", "all_right", "no_wrong_finished")


@dataclass(frozen=True, kw_only=True)
class PairArguments(RolloutArguments):
    """Preferences: what is written for a question with right and wrong responses."""

    negatives: int = flag(3, "Maximum number of rejected responses for each prompt.", rule=COUNT)

    def check(self) -> None:
        """Raise the ValueError of the first field outside its range."""
        super().check()
        require(self, ("out", self.out.endswith(".jsonl"), "a file.jsonl to write"))


def outcome(record: dict) -> str:
    """Return what a question's responses give: a pair, or why there is none, one of `OUTCOMES`.

    >>> right, wrong = {"text": "4", "right": True, "finished": True}, {"text": "5", "right": False, "finished": True}
    >>> drawn = [right, wrong], [wrong], [right], [right, wrong | {"finished": False}]
    >>> [outcome({"responses": responses}) for responses in drawn]
    ['pair', 'none_right', 'all_right', 'no_wrong_finished']
    """
    right = [response["right"] for response in record["responses"]]
    if not any(right):
        return "none_right"
    if all(right):
        return "all_right"
    return "pair" if _wrong(record) else "no_wrong_finished"


def _wrong(record: dict) -> list[str]:
    """Return the different wrong responses that came to an end and say something, in the order drawn."""
    rows = record["responses"]
    return list(
        dict.fromkeys(
            r["text"] for r in rows if r["finished"] and not r["right"] and r["text"].strip()
        )
    )


def preference(record: dict, negatives: int, chat: bool) -> dict:
    """Return the preference of a record that gives one: as messages for a chat model, else as plain text."""
    chosen = next(response["text"] for response in record["responses"] if response["right"])
    rejected = _wrong(record)[:negatives]
    if not chat:
        return {"prompt": record["question"] + "\n", "chosen": chosen, "rejected": rejected}

    def said(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return {
        "prompt": said("user", record["question"]),
        "chosen": said("assistant", chosen),
        "rejected": [said("assistant", text) for text in rejected],
    }


def statistics(records: Sequence[dict], samples: int) -> dict:
    """Return the counts, pass@k of the questions with an interval, and starvation, measured and in theory."""
    right = [sum(response["right"] for response in record["responses"]) for record in records]
    responses = [response for record in records for response in record["responses"]]
    outcomes = [outcome(record) for record in records]
    return {
        "questions": len(records),
        "outcomes": {name: outcomes.count(name) for name in OUTCOMES},
        "responses": len(responses),
        "finished": sum(r["finished"] for r in responses) / len(responses),
        "tokens_per_response": sum(r["tokens"] for r in responses) / len(responses),
        "pass_at_k": curve(right, samples, powers(samples)),
        "starvation": starvation(right, samples),
        "per_question": [
            {
                "question": record["question"],
                "answer": record["answer"],
                "right": c,
                "rate": c / samples,
                "outcome": o,
            }
            for record, c, o in zip(records, right, outcomes, strict=True)
        ],
    }


def report(arguments: PairArguments, stats: dict) -> str:
    """Return what was measured, in a few lines."""
    counts, single = stats["outcomes"], stats["pass_at_k"][1]
    lines = [
        f"{arguments}, {stats['questions']} questions, {arguments.samples} responses each at temperature "
        f"{arguments.temperature:g}: right {single['mean']:.3f} [{single['interval'][0]:.3f}, "
        f"{single['interval'][1]:.3f}], finished {stats['finished']:.3f}, {stats['tokens_per_response']:.1f} tokens",
        f"pairs written {counts['pair']}; skipped: none right {counts['none_right']}, all right "
        f"{counts['all_right']}, no wrong one finished {counts['no_wrong_finished']}",
        "starvation: no right response among m, measured; (1 − ε)^m at the mean rate; draws of m to the first signal",
    ]
    for row in stats["starvation"]:
        steps = "never" if row["steps"] is None else f"{row['steps']:.2f}"
        lines.append(
            f"  m = {row['samples']:>3}  {row['measured']:.4f}  {row['theory']:.4f}  {steps}"
        )
    return "\n".join(lines)


def make(argv: Sequence[str]) -> None:
    """Sample, verify and write."""
    arguments = parse(PairArguments, argv, COMMAND, DESCRIPTION, EXAMPLES)
    questions = draw_questions(arguments, "train", arguments.count, arguments.seed)
    out = Path(arguments.out)

    from mi_estimators.display import jsonl, write_json

    from .evaluation.rollouts import collect, load  # torch and transformers: seconds
    from .models import load_tokenizer

    tokenizer = load_tokenizer(arguments.model, arguments.trust_remote_code)
    model = load(arguments)
    out.parent.mkdir(parents=True, exist_ok=True)
    records = collect(arguments, questions, model, tokenizer, out.with_suffix(".journal.jsonl"))
    chat = bool(tokenizer.chat_template)
    rows = [
        preference(record, arguments.negatives, chat)
        for record in records
        if outcome(record) == "pair"
    ]
    stats = {
        "command": shlex.join(["python", "-m", COMMAND, *argv]),
        "arguments": asdict(arguments),
    }
    stats |= statistics(records, arguments.samples)
    write_json(out.with_suffix(".stats.json"), stats)
    jsonl.write(out, rows)
    print(report(arguments, stats))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, make, argv)


if __name__ == "__main__":
    sys.exit(main())
