"""Make on-policy preferences: python -m llm_adapter.pairs --model M --task products --out FILE.jsonl.

It samples the model on questions with one right number, verifies the responses, and writes a line for each question
with both kinds: `prompt`, `chosen` (the first right response), `rejected` (up to K different wrong ones) and `tokens`,
their ids as sampled: a model of the same vocabulary is trained on these. Beside FILE.jsonl go FILE.journal.jsonl, with
all responses, and FILE.stats.json, with pass rates and starvation.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .arguments.command import run_command
from .arguments.flags import COUNT, flag, require
from .arguments.outputs import QUESTIONS, begins_as, beside, results_of
from .arguments.rollouts import RolloutArguments, facts, parse, refuse_taken
from .data.rows import visible
from .evaluation.advice import without_pair
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
    """Return what the responses to a question give: a pair, or the reason for none (one of `OUTCOMES`).

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


def _wrong(record: dict) -> list[dict]:
    """Return the wrong responses of different texts that are finished and not empty, in the order drawn."""
    texts: dict[str, dict] = {}
    for row in record["responses"]:
        if row["finished"] and not row["right"] and visible(row["text"]):
            texts.setdefault(row["text"], row)
    return list(texts.values())


def preference(record: dict, negatives: int, chat: bool, vocabulary: str = "") -> dict:
    """Return the preference that a record gives: as messages for a chat model, else as plain text.

    `vocabulary` is the digest of the tokenizer whose ids the record has.
    """
    question = record["question"]
    chosen = next(response for response in record["responses"] if response["right"])
    responses = [chosen, *_wrong(record)[:negatives]]
    ids = [response.get("ids") for response in responses]
    tokens = {}

    if all(ids):
        prompt = record["prompt_ids"]
        pieces = {"prompt": prompt, "chosen": ids[0], "rejected": ids[1:]}
        tokens = {"tokens": {"vocabulary": vocabulary, **pieces}}

    texts = [response["text"] for response in responses]
    if not chat:
        return {"prompt": f"{question}\n", "chosen": texts[0], "rejected": texts[1:], **tokens}

    def message(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return {
        "prompt": message("user", question),
        "chosen": message("assistant", texts[0]),
        "rejected": [message("assistant", text) for text in texts[1:]],
        **tokens,
    }


def statistics(records: Sequence[dict], samples: int) -> dict:
    """Return counts, pass@k with an interval, and starvation, measured and in theory."""
    responses = [response for record in records for response in record["responses"]]
    questions = []
    for record in records:
        right = sum(response["right"] for response in record["responses"])
        questions.append(
            {
                "question": record["question"],
                "answer": record["answer"],
                "right": right,
                "rate": right / samples,
                "outcome": outcome(record),
            }
        )

    right = [row["right"] for row in questions]
    outcomes = [row["outcome"] for row in questions]
    return {
        "questions": len(records),
        "outcomes": {name: outcomes.count(name) for name in OUTCOMES},
        "responses": len(responses),
        "finished": sum(row["finished"] for row in responses) / len(responses),
        "tokens_per_response": sum(row["tokens"] for row in responses) / len(responses),
        "pass_at_k": curve(right, samples, powers(samples)),
        "starvation": starvation(right, samples),
        "per_question": questions,
    }


def advice(stats: dict) -> str | None:
    """Return a line on a file without a pair, and what to do next; None where there is a pair."""
    if stats["outcomes"]["pair"]:
        return None

    right = sum(row["right"] for row in stats["per_question"])
    reason = without_pair(right, stats["responses"], stats["finished"], "or more --samples")
    return f"no pair: {reason}"


def report(arguments: PairArguments, stats: dict) -> str:
    """Return what was measured, in a few lines."""
    counts, single = stats["outcomes"], stats["pass_at_k"][1]
    low, high = single["interval"]
    lines = [
        f"{arguments}: {stats['questions']} questions, {arguments.samples} responses each at "
        f"temperature {arguments.temperature:g}",
        f"right {single['mean']:.3f} [{low:.3f}, {high:.3f}], finished {stats['finished']:.3f}, "
        f"{stats['tokens_per_response']:.1f} tokens per response",
        f"pairs written: {counts['pair']}; questions skipped: {counts['none_right']} without a right "
        f"response, {counts['all_right']} without a wrong one, {counts['no_wrong_finished']} without "
        "a wrong one that is finished",
        *filter(None, [advice(stats)]),
        "starvation: how often none of m responses is right, and the draws of m until one is",
        "    m  measured  theory (1 − ε)^m   draws",
    ]

    for row in stats["starvation"]:
        steps = "never" if row["steps"] is None else f"{row['steps']:.2f}"
        lines.append(
            f"{row['samples']:>5}  {row['measured']:>8.4f}  {row['theory']:>16.4f}  {steps:>6}"
        )

    return "\n".join(lines)


def make(argv: Sequence[str]) -> None:
    """Sample, verify and write."""
    arguments = parse(PairArguments, argv, COMMAND, DESCRIPTION, EXAMPLES)
    out = Path(arguments.out)
    journal, stats_file = out.with_suffix(".journal.jsonl"), out.with_suffix(".stats.json")
    sampled, counted = begins_as(QUESTIONS), results_of(COMMAND)

    def made(path: Path) -> bool:  # pairs have no mark of their own
        return any(beside(*of)(path) for of in ((journal, sampled), (stats_file, counted)))

    refuse_taken(arguments, {out: made, journal: sampled, stats_file: counted})
    questions = draw_questions(arguments, "train", arguments.count, arguments.seed)

    from mi_estimators.display import jsonl, write_json

    from .data.tokens import vocabulary_digest
    from .evaluation.rollouts import collect, load  # torch and transformers: seconds
    from .models import load_tokenizer

    tokenizer = load_tokenizer(
        arguments.model, arguments.trust_remote_code, arguments.chat_template
    )
    model = load(arguments)
    out.parent.mkdir(parents=True, exist_ok=True)
    records = collect(arguments, questions, model, tokenizer, journal)

    pairs = [record for record in records if outcome(record) == "pair"]
    law = arguments.negatives, bool(tokenizer.chat_template), vocabulary_digest(tokenizer)
    jsonl.write(out, [preference(record, *law) for record in pairs])

    stats = statistics(records, arguments.samples)
    write_json(stats_file, facts(COMMAND, argv, arguments) | stats)
    print(report(arguments, stats))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, make, argv)


if __name__ == "__main__":
    sys.exit(main())
