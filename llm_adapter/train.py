"""Fine-tune a causal LM by a preference loss: python -m llm_adapter.train [--config FILE.yaml] [--any_field VALUE].

Without arguments: the small built-in model on the shipped pairs, on a CPU, offline. What a user can get wrong is
checked before the model is loaded and before anything is written; such errors are one line and exit status 2.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import PrinterCallback, ProgressCallback, TrainerState, set_seed

from .arguments import PAIRS, PreferenceArguments, parse_arguments
from .data import TokenizedExample, read_examples, tokenize
from .models import disable_dropout, load_model, load_tokenizer
from .runlog import Bar, Table, keep_lines_until, summary, versions, write_json
from .trainer import PreferenceTrainer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parse_arguments(argv)
        data = read_data(args)
        set_seed(args.seed)  # the built-in model's weights
        model = load_model(args.model, args.attn_implementation)
    except ValueError as error:
        print("llm_adapter.train: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    train(args, model, *data, command=shlex.join(["python", "-m", "llm_adapter.train", *argv]))
    return 0


def read_data(args: PreferenceArguments):
    """Return the tokenizer, the tokenised training examples and the evaluation ones (None without `eval_data`)."""
    sources = [args.train_data or PAIRS, *([args.eval_data] if args.eval_data else [])]
    examples = [read_examples(path, args.max_negatives) for path in sources]
    tokenizer = load_tokenizer(args.model)
    tokenized = [
        tokenize(rows, tokenizer, args.max_length, path, args.chat)
        for path, rows in zip(sources, examples, strict=True)
    ]
    return tokenizer, tokenized[0], tokenized[1] if args.eval_data else None


def describe(args: PreferenceArguments, examples: list[TokenizedExample], command: str) -> dict[str, object]:
    """Return the fields of run.json that are known before training."""
    counts = [len(example.completions) - 1 for example in examples]
    return {
        "model": args.model,
        "train_data": args.train_data or f"llm_adapter/{PAIRS.name}",
        "eval_data": args.eval_data,
        **asdict(args.objective()),
        "learning_rate": args.learning_rate,
        "examples": len(examples),
        "negatives_min": min(counts),
        "negatives_max": max(counts),
        "truncated_responses": sum(example.truncated for example in examples),
        **args.objective().theory(counts),
        "seed": args.seed,
        "versions": versions(),
        "command": command,
        "steps": None,
        "seconds": None,
    }


def train(args: PreferenceArguments, model, tokenizer, examples, eval_examples, command: str) -> PreferenceTrainer:
    """Train, and write metrics.jsonl, run.json and the final model into `args.output_dir`."""
    started = time.monotonic()
    run = describe(args, examples, command)
    if args.disable_dropout:
        disable_dropout(model)
    trainer = PreferenceTrainer(model, args, examples, eval_examples, tokenizer)
    trainer.remove_callback(PrinterCallback if args.disable_tqdm else ProgressCallback)
    for callback in (Table,) if args.disable_tqdm else (Bar, Table):
        trainer.add_callback(callback)
    main_process = trainer.is_world_process_zero()
    output = Path(args.output_dir)
    if main_process:
        output.mkdir(parents=True, exist_ok=True)
        done = args.resume_from_checkpoint and TrainerState.load_from_json(
            str(Path(args.resume_from_checkpoint) / "trainer_state.json")
        )
        keep_lines_until(output / "metrics.jsonl", done.global_step if done else -1)
        write_json(output / "run.json", run)
        print(headline(run), flush=True)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    if eval_examples and args.eval_strategy == "no":
        trainer.evaluate()
    if args.save_final_model:
        trainer.save_model()
    run |= {"steps": trainer.state.global_step, "seconds": round(time.monotonic() - started, 2)}
    if main_process:
        write_json(output / "run.json", run)
        logs = [log for log in trainer.state.log_history if "loss" in log]
        print(f"\n{summary(run, logs)}" if logs else "")
        print(f"{run['steps']} steps in {run['seconds']} s; run.json, metrics.jsonl and the model are in {output}")
    return trainer


def headline(run: dict) -> str:
    """Return the run in two lines: what is trained on what, and by which loss."""
    low, high = run["negatives_min"], run["negatives_max"]
    cut = f"; {run['truncated_responses']} responses cut to max_length" if run["truncated_responses"] else ""
    return (
        f"model {run['model']}; {run['examples']} examples of {Path(run['train_data']).name}, "
        f"negatives each: {low if low == high else f'{low} to {high}'}{cut}\n"
        f"loss {run['bound']}, mix {run['mix']:g}, beta {run['beta']:g}; rewards in nats\n"
    )


if __name__ == "__main__":
    sys.exit(main())
