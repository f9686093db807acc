"""Train a model on its own verified answers: python -m llm_adapter.online --model M --task products --out FILE.json.

In each round it samples groups of answers, verifies them, and takes a step: by any preference loss of the right answers
of a group against its wrong ones, or by the group-relative policy gradient. Before and after, it is asked held-out
questions. Beside FILE.json go FILE.journal.jsonl, a line a round, and FILE.state.pt, from which a stopped run goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .arguments.command import complain, run_command
from .arguments.online import OnlineArguments
from .arguments.outputs import QUESTIONS, ROUNDS, Own, begins_as, beside, results_of
from .arguments.rollouts import facts, parse, refuse_taken
from .evaluation.advice import without_pair
from .evaluation.rates import curve, powers
from .evaluation.tasks import dataset, draw_questions

COMMAND = "llm_adapter.online"
DESCRIPTION = """\
Sample answers to arithmetic questions, verify them and train on them, round by round; compare
pass@k on held-out questions before and after."""
EXAMPLES = """\
examples:
  python -m llm_adapter.online --model DIR --task products --out mio.json
      MIO on pairs of the model's own answers, mix K/(K + 1).
  python -m llm_adapter.online --model DIR --task products --objective policy_gradient_normalised \\
      --samples 8 --out gradient.json
      The normalised group-relative policy gradient, on groups of eight.
  python -m llm_adapter.online --model DIR --task products --sampler base --positives supplied \\
      --out offline.json
      Offline MIO: the task's answer against what the model answered before training.
"""
HALF = 0.5
ASKED = ("before", "after")


def summarise(lines: Sequence[dict], samples: int) -> dict[str, Any]:
    """Return what the rounds came to: samples until success ½, and groups without a gradient beside theory.

    `theory` is (1 − ε)ⁿ + εⁿ at the mean success ε of each round. By Jensen's inequality it is at most the mean over
    questions, so questions that differ have more such groups.

    Theorem: group_relative_zero_gradient.

    >>> line = {"round": 1, "samples": 4, "questions": 2, "success": 0.5, "zero_gradient": 0.5}
    >>> summarise([line], samples=2)["zero_gradient"]
    {'measured': 0.5, 'theory': 0.5}
    """
    asked = sum(line["questions"] for line in lines)

    def mean(values: Sequence[float]) -> float:
        pairs = zip(values, lines, strict=True)
        return sum(value * line["questions"] for value, line in pairs) / asked

    rates = [line["success"] for line in lines]
    half = next((line for line in lines if line["success"] >= HALF), None)
    return {
        "rounds": len(lines),
        "samples": lines[-1]["samples"] if lines else 0,
        "success": {"first": rates[0], "last": rates[-1]} if lines else {},
        "until_half": {"round": half["round"], "samples": half["samples"]} if half else None,
        "zero_gradient": {
            "measured": mean([line["zero_gradient"] for line in lines]),
            "theory": mean([(1 - rate) ** samples + rate**samples for rate in rates]),
        },
    }


def advice(arguments: OnlineArguments, lines: Sequence[dict]) -> str | None:
    """Return a line on rounds in which no group had a gradient, and what to do next; None where one had."""
    if any(line["zero_gradient"] < 1 for line in lines):
        return None

    total = lines[-1]["samples"]
    right, finished = (
        sum(line[name] * line["questions"] for line in lines) * arguments.samples
        for name in ("success", "finished")
    )
    pairs = arguments.objective == "preference" and arguments.positives == "own"
    way_out = "more --samples, or --positives supplied" if pairs else "or more --samples"
    reason = without_pair(round(right), total, finished / total, way_out)

    return f"no group had a gradient, and the weights are unchanged; {reason}"


def report(arguments: OnlineArguments, results: dict[str, Any]) -> str:
    """Return the results as a few lines."""
    rounds = results["rounds"]
    zero, half = rounds["zero_gradient"], rounds["until_half"]
    lines = [
        f"{arguments}: {rounds['rounds']} rounds, {rounds['samples']} samples, groups of {arguments.samples}",
        f"success in the first round {rounds['success']['first']:.3f}, in the last "
        f"{rounds['success']['last']:.3f}; "
        + (f"½ in round {half['round']}" if half else "½ in no round"),
        f"groups without a gradient {zero['measured']:.3f}, (1 − ε)ⁿ + εⁿ {zero['theory']:.3f}",
    ]

    if results["advice"]:
        lines.append(results["advice"])

    for name in ASKED:
        for k, rate in results.get(name, {}).items():
            low, high = rate["interval"]
            lines.append(f"pass@{k} {name}  {rate['mean']:.4f}  [{low:.4f}, {high:.4f}]")

    return "\n".join(lines)


def outputs(out: Path) -> dict[Path, Own]:
    """Return what is written, with what tells whether an earlier one is of this command."""
    journal, trained = out.with_suffix(".journal.jsonl"), begins_as(ROUNDS)
    asked = {out.with_suffix(f".{name}.jsonl"): begins_as(QUESTIONS) for name in ASKED}
    others = {
        out.with_suffix(suffix): beside(journal, trained) for suffix in (".state.pt", ".model")
    }
    return {out: results_of(COMMAND), journal: trained, **asked, **others}


def train(argv: Sequence[str]) -> None:
    """Ask, train, ask again, write and print."""
    arguments = parse(OnlineArguments, argv, COMMAND, DESCRIPTION, EXAMPLES)
    out = Path(arguments.out)
    refuse_taken(arguments, outputs(out))
    questions = draw_questions(arguments, "train", arguments.count, arguments.seed)
    held_out = []

    if arguments.eval_count:
        count = arguments.count if arguments.eval_split == "train" else None
        held_out = draw_questions(arguments, arguments.eval_split, count, arguments.seed)
        held_out = held_out[: arguments.eval_count]  # a task may have fewer

    from mi_estimators.display import write_json

    from .data.load import template_arguments
    from .evaluation.rollouts import collect, load  # torch and transformers: seconds
    from .evaluation.rounds import Rounds
    from .models import load_tokenizer
    from .training.checkpoints import save_whole
    from .training.rehearsal import mend_generation_config, try_to_save

    tokenizer = load_tokenizer(
        arguments.model, arguments.trust_remote_code, arguments.chat_template
    )
    model: Any = load(arguments)
    mended = mend_generation_config(model)  # whether it is saved or not: it may end answers
    if arguments.save_model:
        if mended:
            complain(COMMAND, mended, "warning")
        try_to_save(arguments.model, model, tokenizer)

    out.parent.mkdir(parents=True, exist_ok=True)
    results = facts(COMMAND, argv, arguments)

    def ask(name: str) -> None:
        """Measure pass@k on the held-out questions."""
        law = replace(arguments, samples=arguments.eval_samples)
        journal = out.with_suffix(f".{name}.jsonl")
        records = collect(law, held_out, model, tokenizer, journal, anew=True)
        right = [sum(row["right"] for row in record["responses"]) for record in records]
        ks = powers(arguments.eval_samples)
        results[name] = curve(right, arguments.eval_samples, ks)

    template = template_arguments(arguments)
    rounds = Rounds(arguments, questions, model, tokenizer, dataset(arguments), template)
    if held_out:
        ask("before")

    lines = rounds.run()
    if arguments.save_model:  # before anything else can fail

        def save(folder: Path) -> None:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)

        save_whole(out.with_suffix(".model"), save)

    results["rounds"] = summarise(lines, arguments.samples)
    results["advice"] = advice(arguments, lines)
    if held_out:
        ask("after")

    write_json(out, results)
    print(report(arguments, results))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, train, argv)


if __name__ == "__main__":
    sys.exit(main())
