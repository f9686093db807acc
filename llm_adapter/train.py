"""Fine-tune a causal LM by a preference loss: python -m llm_adapter.train [--config FILE.yaml] [--any_field VALUE].

Without arguments: the small built-in model on the shipped pairs, on a CPU, offline. What a user can get wrong is
checked before the model is loaded and before anything is written; such errors are one line and exit status 2. A run
that must not go on (the first loss is not theory's, numbers are no longer finite) stops with one line and status 1.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import PrinterCallback, ProgressCallback, set_seed
from transformers.utils import logging

from .arguments.parser import command_line
from .arguments.training import PAIRS, PreferenceArguments, parse_arguments
from .data.load import Data, check_fit, load_data
from .models import disable_dropout, gguf_read_once, load_model, load_tokenizer, with_lora
from .report import write_report
from .training import precision
from .training.runlog import Bar, Table, strict, summary, versions, write_json
from .training.trainer import PreferenceTrainer, RunFailed

COMMAND = "llm_adapter.train"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parse_arguments(argv)
        if args.disable_tqdm:
            logging.disable_progress_bar()  # of weights that are read and written
        with gguf_read_once():
            data = read_data(args)
            set_seed(args.seed)  # the built-in model's weights
            model = read_model(args)
        started = time.monotonic()
        trainer = make_trainer(args, model, *data)
    except (
        ValueError,
        ImportError,
        OSError,
    ) as error:  # what a field asks for is wrong, not installed, not there
        print("llm_adapter.train: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("llm_adapter.train: stopped before the first step", file=sys.stderr)
        return 128 + signal.SIGINT
    try:
        train(args, trainer, *data[1:], command_line(COMMAND, argv), started)
    except (RunFailed, ImportError) as error:
        print("llm_adapter.train: stopped:", " ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("llm_adapter.train: stopped without a checkpoint", file=sys.stderr)
        return 128 + signal.SIGINT
    return 128 + trainer.stopped_by if trainer.stopped_by else 0


def read_data(args: PreferenceArguments):
    """Return the tokenizer, the training data and the evaluation data (None without `eval_data`)."""
    tokenizer = load_tokenizer(args.model, args.trust_remote_code)
    return tokenizer, *load_data(args, tokenizer, PAIRS)


def read_model(args: PreferenceArguments):
    """Return the model to train; say in words what the precision of its weights will lose."""
    model = load_model(
        args.model,
        args.attn_implementation,
        precision.WEIGHTS[args.weights],
        args.trust_remote_code,
    )
    if args.lora_rank:
        model = with_lora(
            model,
            args.model,
            args.lora_rank,
            args.lora_alpha or 2 * args.lora_rank,
            args.lora_targets,
        )
    precision.optimizer(args)  # the package that it needs
    if args.process_index == 0:
        for line in precision.warnings(args, model):
            print("llm_adapter.train: warning:", line, file=sys.stderr)
    return model


def describe(args: PreferenceArguments, data: Data, command: str) -> dict[str, object]:
    """Return the fields of run.json that are known before training."""
    counts = [len(example.completions) - 1 for example in data.examples]
    return {
        "model": args.model,
        "train_data": args.train_data or f"llm_adapter/data/{PAIRS.name}",
        "eval_data": args.eval_data,
        **asdict(args.objective()),
        "learning_rate": args.learning_rate,
        "examples": len(counts),
        "dropped": data.counts,
        "negatives_min": min(counts),
        "negatives_max": max(counts),
        "row_layout": args.row_layout,
        "truncated_responses": sum(example.truncated for example in data.examples),
        **args.objective().theory(counts),
        "seed": args.seed,
        "versions": versions(),
        "command": command,
        "steps": None,
        "seconds": None,
    }


def make_trainer(
    args: PreferenceArguments, model, tokenizer, data: Data, eval_data: Data | None
) -> PreferenceTrainer:
    """Return the trainer of a run, with our bar and table in place of transformers' own.

    Raises:
        ValueError: examples that the model has no room for; fewer examples than a batch, where `dataloader_drop_last`
            drops smaller ones; what engines refuse.
    """
    for each in filter(None, (data, eval_data)):
        check_fit(each.examples, each.source.files, model)
    size = args.train_batch_size * args.world_size
    if args.dataloader_drop_last and len(data.examples) < size:
        raise ValueError(
            f"dataloader_drop_last: expected false or the {size} examples of a batch, got {len(data.examples)}"
        )
    if args.disable_dropout:
        disable_dropout(model)
    trainer = PreferenceTrainer(
        model, args, data.examples, eval_data and eval_data.examples, tokenizer
    )
    trainer.remove_callback(PrinterCallback if args.disable_tqdm else ProgressCallback)
    for callback in (Table,) if args.disable_tqdm else (Bar, Table):
        trainer.add_callback(callback)
    return trainer


def train(
    args: PreferenceArguments,
    trainer: PreferenceTrainer,
    data: Data,
    eval_data: Data | None,
    command: str,
    started: float,
) -> None:
    """Train, and write metrics.jsonl, run.json and the final model into `args.output_dir`.

    Args:
        args: the run's arguments.
        trainer: as `make_trainer` returns it.
        data: what is trained on.
        eval_data: what is evaluated on, at the end at least.
        command: the shell command of the run.
        started: when its `seconds` began, by time.monotonic().
    """
    run = describe(args, data, command) | {"row_layout": trainer.row_layout}
    main_process = trainer.is_world_process_zero()
    output = trainer.output
    if main_process:
        output.mkdir(parents=True, exist_ok=True)
        if args.resume_from_checkpoint:
            warn_of_changes(output / "run.json", run)
        else:
            (output / "metrics.jsonl").write_text("")
        (output / "metrics.jsonl").touch()  # another folder's checkpoint may leave no step to log
        write_json(output / "run.json", run)
        print(headline(run), flush=True)
    trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
    if trainer.stopped_by:
        if main_process:
            step = trainer.state.global_step
            print(
                f"\n{trainer.stopped_by.name}: stopped after step {step}, checkpoint-{step} is whole; to go on:"
            )
            print(f"  {command} --resume_from_checkpoint true", flush=True)
        return
    if eval_data and args.eval_strategy == "no":
        trainer.evaluate()
    if args.save_final_model:
        trainer.save_final_model()
    run |= {"steps": trainer.state.global_step, "seconds": round(time.monotonic() - started, 2)}
    if main_process:
        write_json(output / "run.json", run)
        write_report([output], output / "report.html")
        logs = [log for log in trainer.state.log_history if "loss" in log]
        print(f"\n{summary(run, logs)}" if logs else "")
        print(f"{run['steps']} steps in {run['seconds']} s; open {output / 'report.html'}")


def warn_of_changes(path: Path, run: dict[str, object]) -> None:
    """Say which settings of a resumed run are not those that the stopped one left at `path`."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = {"command", "versions", "steps", "seconds"}  # may well be others
    changed = [
        name for name in run.keys() & before.keys() - kept if strict(run[name]) != before[name]
    ]
    if changed:
        said = "; ".join(f"{name} was {before[name]}, is {run[name]}" for name in sorted(changed))
        print(f"llm_adapter.train: warning: resume_from_checkpoint: {said}", file=sys.stderr)


def headline(run: dict) -> str:
    """Return what is trained, by which loss, in which unit, and what its anchor means; the data's line is above it."""
    loss = f"loss {run['loss']}" if run["loss"] else f"loss {run['bound']}, mix {run['mix']:g}"
    mean = run["log_ratio"] == "mean"
    lines = [
        f"model {run['model']}; {loss}, beta {run['beta']:g}; rewards in nats{' a token' if mean else ''}"
    ]
    if run["anchor"] is not None:
        each = "averaged over its tokens" if mean else "summed over its tokens"
        lines.append(
            f"anchor: a chosen response's ln π/π_ref, {each}, tends to −ln(1 − mix)/beta = "
            f"{run['anchor'] / run['beta']:+.4g} nats{' a token' if mean else ''}"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
