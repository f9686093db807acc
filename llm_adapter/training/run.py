"""Run a training from its arguments: load data and model, train, and write the files of the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from transformers import PrinterCallback, ProgressCallback, set_seed
from transformers.utils import logging

from mi_estimators.display import versions, write_json

from ..arguments.command import complain
from ..arguments.names import ADAPTER
from ..arguments.training import COMMAND
from ..data.collate import collate
from ..data.load import Data, check_fit, load_data
from ..data.sources import PAIRS
from ..data.tokens import TokenizedExample
from ..loss.probes import refuse_random, short_row
from ..models import disable_dropout, gguf_read_once, load_model, load_tokenizer, with_lora
from . import precision
from .arguments import PreferenceArguments
from .completions import complete, write_completions
from .layouts import beginning
from .rehearsal import rehearse
from .resume import compare, settings_of
from .runlog import Bar, Table, headline, summary
from .sharding import receives_weights, together
from .trainer import PreferenceTrainer


def read_data(args: PreferenceArguments):
    """Return the tokenizer, the training data and the evaluation data (None without `eval_data`)."""
    tokenizer = load_tokenizer(args.model, args.trust_remote_code, args.chat_template)
    return tokenizer, *load_data(args, tokenizer)


def read_model(args: PreferenceArguments):
    """Return the model to train; warn of what the precision of its weights will lose."""
    set_seed(args.seed)  # the built-in model's weights
    dtype = precision.WEIGHTS[args.weights]
    options = (args.attn_implementation, dtype, args.trust_remote_code, receives_weights(args))
    model = together(lambda: load_model(args.model, *options), args)

    if args.lora_rank:
        if (Path(args.model) / ADAPTER).is_file() and args.process_index == 0:
            complain(
                COMMAND,
                f"lora_rank: the adapter in {args.model} is merged into its base model, and the new "
                f"one is trained on top: it needs {args.model} to be loaded",
                "warning",
            )

        alpha = args.lora_alpha or 2 * args.lora_rank
        model = with_lora(model, args.model, args.lora_rank, alpha, args.lora_targets)

    precision.optimizer(args)  # the package that it needs
    if args.process_index == 0:
        for line in precision.warnings(args, model):
            complain(COMMAND, line, "warning")

    return model


def describe(args: PreferenceArguments, data: Data, command: str) -> dict[str, object]:
    """Return the fields of run.json that are known before training."""
    counts = data.examples.negatives
    return {
        "model": args.model,
        "train_data": args.train_data or f"llm_adapter/data/{PAIRS.name}",
        "eval_data": args.eval_data,
        **{name: value for name, value in asdict(args.objective()).items() if hasattr(args, name)},
        **dict.fromkeys(
            ("learning_rate", "weight_decay", "lr_scheduler_type", "warmup_steps"), None
        ),
        **dict.fromkeys(("examples_per_step", "train_tokens"), None),
        "examples": len(counts),
        "dropped": data.counts,
        "negatives_min": min(counts),
        "negatives_max": max(counts),
        "row_layout": args.row_layout,
        "truncated_responses": data.examples.truncated,
        **args.objective().theory(counts),
        "seed": args.seed,
        "versions": versions("transformers"),
        "command": command,
        "steps": None,
        "seconds": None,
    }


class Run:
    """A run that is ready to train.

    Args:
        args: the run's arguments.
        command: the shell command that repeats it.

    Raises:
        ValueError: data, a model or settings that cannot be trained or saved; nothing is written then.
    """

    def __init__(self, args: PreferenceArguments, command: str) -> None:
        if args.disable_tqdm:
            logging.disable_progress_bar()  # of weights that are read and written
        with gguf_read_once():
            tokenizer, self.data, self.eval_data = read_data(args)
            model = read_model(args)

        rehearse(args, model, tokenizer)
        self.settings = settings_of(args, self.data.examples, model)
        if args.resume_from_checkpoint:
            self.settings, changes = compare(args.resume_from_checkpoint, self.settings)
            if changes and args.process_index == 0:
                complain(COMMAND, f"resume_from_checkpoint: {changes}", "warning")

        self.args, self.command, self.tokenizer = args, command, tokenizer
        self.started = time.monotonic()
        self.trainer = make_trainer(args, model, tokenizer, self.data, self.eval_data)
        self.trainer.settings = self.settings

    def train(self) -> Path | None:
        """Train, and write metrics.jsonl, run.json and the final model into `args.output_dir`.

        Returns:
            The run's folder in the process that writes it, if training came to its end; else None.
        """
        args, trainer = self.args, self.trainer
        facts = describe(args, self.data, self.command) | {"row_layout": trainer.row_layout}
        facts |= {name: self.settings[name] for name in facts.keys() & self.settings.keys()}
        writes = trainer.is_world_process_zero()
        if writes:
            self._begin(facts)

        before = self._completions()
        trainer.train(resume_from_checkpoint=args.resume_from_checkpoint)
        if trainer.stopped_by:
            if writes:
                self._say_stopped()
            return None

        if args.save_final_model:
            trainer.save_final_model()  # before anything else can fail
        if self.eval_data and args.eval_strategy == "no":
            trainer.evaluate()
        if after := self._completions():
            asked = self._asked()
            write_completions(trainer.output, self.tokenizer, asked, before, after)

        seconds = round(time.monotonic() - self.started, 2)
        facts |= {"steps": trainer.state.global_step, "seconds": seconds}
        if not writes:
            return None

        write_json(trainer.output / "run.json", facts)
        logs = [log for log in trainer.state.log_history if "loss" in log]
        print(f"\n{summary(facts, logs)}" if logs else "")
        print(f"\n{facts['steps']} steps in {seconds} s")

        return trainer.output

    def _asked(self) -> Sequence[TokenizedExample]:
        """Return the examples whose prompts are completed, held-out ones if there are any."""
        return (self.eval_data or self.data).examples[: self.args.completions]

    def _completions(self) -> list[str]:
        """Return completions of the model as it is; nothing from one that is shared by processes."""
        if self.args.world_size > 1 or self.args.torch_compile:
            return []

        try:
            return complete(self.trainer.model, self.tokenizer, self._asked())
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:  # a model's own code
            complain(COMMAND, f"completions: none, because of {error}", "warning")
            self.args.completions = 0
            return []

    def _begin(self, facts: dict[str, object]) -> None:
        """Write run.json and an empty metrics.jsonl, or continue those of a stopped run; print the headline."""
        output = self.trainer.output
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "run.json", facts)  # first: it says whose the folder is
        metrics = output / "metrics.jsonl"

        if self.args.resume_from_checkpoint:
            metrics.touch()  # another folder's checkpoint may leave no step to log
        else:
            metrics.write_text("")

        print(headline(facts), flush=True)

    def _say_stopped(self) -> None:
        """Print how to continue a run that a signal stopped."""
        step, signal = self.trainer.state.global_step, self.trainer.stopped_by
        assert signal is not None  # as the run was stopped
        print(f"\n{signal.name}: stopped after step {step}. checkpoint-{step} is complete.")
        print(f"To continue:\n  {self.command} --resume_from_checkpoint true", flush=True)


def make_trainer(
    args: PreferenceArguments, model, tokenizer, data: Data, eval_data: Data | None
) -> PreferenceTrainer:
    """Return the trainer of a run, with our progress bar and table.

    Raises:
        ValueError: examples that do not fit into the model; with `dataloader_drop_last`, fewer examples than a batch
            has; settings that an engine refuses.
    """
    for part in filter(None, (data, eval_data)):
        check_fit(part.examples, part.source.files, model)

    size = args.train_batch_size * args.world_size
    if args.dataloader_drop_last and len(data.examples) < size:
        raise ValueError(
            f"dataloader_drop_last: expected false, or at least {size} examples (one batch), got "
            f"{len(data.examples)}"
        )

    if args.disable_dropout:
        disable_dropout(model)
    trainer = PreferenceTrainer(
        model, args, data.examples, eval_data and eval_data.examples, tokenizer
    )
    if args.disable_dropout:
        row = short_row(collate([beginning(data.examples[0])]))
        refuse_random(trainer.model, row.to(args.device))
    trainer.remove_callback(PrinterCallback if args.disable_tqdm else ProgressCallback)

    for callback in (Table,) if args.disable_tqdm else (Bar, Table):
        trainer.add_callback(callback)
    return trainer
