"""Arguments of a run: transformers' TrainingArguments and ours, from YAML defaults and command-line flags."""

from __future__ import annotations

import json
from argparse import SUPPRESS
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
import yaml
from transformers import TrainingArguments
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)
from transformers.trainer_utils import IntervalStrategy, SchedulerType, get_last_checkpoint

from ..loss.objective import Objective
from .fields import Check, DataArguments, ModelArguments, ObjectiveArguments
from .parser import Parser, about

HERE = Path(__file__).parents[1]
DEMO = HERE / "configs" / "demo-mio.yaml"
PAIRS = HERE / "data" / "pairs.jsonl"
USAGE = "python -m llm_adapter.train [--config FILE.yaml] [--FIELD VALUE ...]"
DESCRIPTION = (
    "Fine-tune a causal LM by a preference loss. Below: the fields of llm_adapter and the most used ones of "
    "transformers; each other field of transformers.TrainingArguments is a flag, too, and all may stand in FILE.yaml."
)
USUAL = (  # of TrainingArguments, in --help
    *(
        "output_dir",
        "resume_from_checkpoint",
        "seed",
        "max_steps",
        "num_train_epochs",
        "learning_rate",
        "warmup_steps",
    ),
    *(
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "gradient_accumulation_steps",
        "bf16",
        "use_cpu",
    ),
    *(
        "gradient_checkpointing",
        "logging_steps",
        "eval_strategy",
        "eval_steps",
        "save_strategy",
        "save_steps",
    ),
    *("lr_scheduler_type", "report_to", "disable_tqdm"),
)


@dataclass
class PreferenceArguments(ObjectiveArguments, DataArguments, ModelArguments, TrainingArguments):
    """TrainingArguments with the fields of preference training; names as in TRL where they coincide.

    The defaults suit a billion-parameter model; configs/ has recipes for smaller ones.
    """

    output_dir: str | None = field(
        default=None, metadata=about("Folder of the run (default: runs/MODEL-LOSS).")
    )
    resume_from_checkpoint: str | None = field(
        default=None,
        metadata=about(
            "true: go on from the last checkpoint in output_dir; or a checkpoint's folder."
        ),
    )
    learning_rate: float = field(
        default=1e-6, metadata=about("Of AdamW, at the top of its schedule.")
    )
    lr_scheduler_type: str = field(
        default="cosine", metadata=about("How the rate falls after the warm-up.")
    )
    warmup_steps: float = field(
        default=0.1, metadata=about("Steps in which the rate rises from 0; below 1: a share.")
    )
    num_train_epochs: float = field(
        default=1.0, metadata=about("Passes over the data, where max_steps says nothing.")
    )
    logging_steps: float = field(
        default=10, metadata=about("Steps between two log lines; below 1: a share.")
    )
    logging_first_step: bool = True
    report_to: str = field(
        default="none", metadata=about("Trackers, tensorboard for one; none, or all installed.")
    )
    remove_unused_columns: bool = False
    dataloader_pin_memory: bool = torch.cuda.is_available()
    ddp_find_unused_parameters: bool | None = False  # every weight is trained

    def checks(self) -> Iterator[Check]:
        """Yield the conditions on our fields and on those of transformers that we rely on."""
        for group in (ObjectiveArguments, DataArguments, ModelArguments):
            yield from group.checks(self)
        kept = self.rounding == "nearest" or "adamw_torch" in str(self.optim)
        yield "optim", kept, "the default, adamw_torch…, with rounding"
        yield (
            "bf16",
            self.weights == "fp32" or not (self.bf16 or self.fp16),
            "false with bf16 weights",
        )
        yield "remove_unused_columns", not self.remove_unused_columns, "false"
        for name in (
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
        ):
            yield name, getattr(self, name) >= 1, "an integer ≥ 1"
        ordered = self.train_sampling_strategy in ("random", "sequential")
        yield (
            "train_sampling_strategy",
            ordered,
            "random or sequential (rows are packed in any case)",
        )
        yield "seed", 0 <= self.seed < 2**32, "an integer from 0 to 2^32 - 1"
        yield (
            "enable_jit_checkpoint",
            not self.enable_jit_checkpoint,
            "false (SIGTERM saves one in any case)",
        )
        schedules = [each.value for each in SchedulerType]
        yield (
            "lr_scheduler_type",
            self.lr_scheduler_type in schedules,
            f"one of {', '.join(schedules)}",
        )
        yield "learning_rate", 0 <= self.learning_rate < float("inf"), "a finite number ≥ 0"

    def objective(self) -> Objective:
        """Return the objective that the fields describe."""
        return Objective(**{entry.name: getattr(self, entry.name) for entry in fields(Objective)})

    def __post_init__(self) -> None:
        """Check our fields before transformers touches a device.

        Raises:
            ValueError: a value outside its range, named with what was expected.
        """
        for name, ok, expected in self.checks():
            if not ok:
                raise ValueError(f"{name}: expected {expected}, got {getattr(self, name)}")
        self.output_dir = self.output_dir or f"runs/{Path(self.model).stem}-{self.objective().name}"
        if Path(self.output_dir).exists() and not Path(self.output_dir).is_dir():
            raise ValueError(f"output_dir: expected a folder, got the file {self.output_dir}")
        self.resume_from_checkpoint = _checkpoint(self.resume_from_checkpoint, self.output_dir)
        if not self.resume_from_checkpoint and (left := _last_checkpoint(self.output_dir)):
            raise ValueError(
                f"output_dir: expected a folder without checkpoints of another run, got {left} (to go on with it: "
                "--resume_from_checkpoint true; else remove it, or choose another output_dir)"
            )
        super().__post_init__()
        for name in set(self.report_to) - {
            *get_available_reporting_integrations(),
            "flyte",
        }:  # which is never listed
            known = ", ".join(INTEGRATION_TO_CALLBACK)
            raise ValueError(
                f"report_to: expected none, all or an installed one of {known}, got {name}"
            )
        if self.n_gpu > 1:
            raise ValueError(
                f"devices: expected one GPU a process (torchrun or accelerate launch), got {self.n_gpu}"
            )
        if self.eval_strategy != "no" and not self.eval_data:
            raise ValueError(
                f"eval_data: expected a file with eval_strategy {IntervalStrategy(self.eval_strategy).value}, got none"
            )


def _checkpoint(value: str | None, output_dir: str) -> str | None:
    """Return the checkpoint folder that `value` names: a path, 'true' for the last one in `output_dir`, or none."""
    if value is None or value.lower() == "false":
        return None
    found = value
    if value.lower() == "true":
        found = _last_checkpoint(output_dir)
    if found is None or not (Path(found) / "trainer_state.json").is_file():
        where = output_dir if value.lower() == "true" else value
        raise ValueError(f"resume_from_checkpoint: expected a checkpoint, got none in {where}")
    return found


def _last_checkpoint(output_dir: str) -> str | None:
    return get_last_checkpoint(output_dir) if Path(output_dir).is_dir() else None


def parse_arguments(argv: list[str]) -> PreferenceArguments:
    """Return the arguments of `--config FILE.yaml` overridden by the other flags.

    With neither `--config` nor `--model` the config is the shipped demo-mio.yaml, for the built-in model.

    Raises:
        ValueError: an unreadable config, an unknown key or flag, a value of the wrong type or outside its range.
    """
    parser = Parser(PreferenceArguments, "llm_adapter.train", usage=USAGE, description=DESCRIPTION)
    _shorten_help(parser)
    parser.add_argument(
        "--config",
        metavar="FILE.yaml",
        help="Defaults for any of these fields; flags override them.",
    )
    given = parser.parse_known_args(argv)[0]
    config = given.config or (
        DEMO if not any(arg.split("=")[0] == "--model" for arg in argv) else None
    )
    defaults = _config_flags(config, parser) if config else []
    return parser.read(defaults + argv)


def _shorten_help(parser: Parser) -> None:
    """Leave out of --help the hundred fields of TrainingArguments that few runs set; they are flags all the same."""
    groups = (ObjectiveArguments, DataArguments, ModelArguments)
    ours = {entry.name for group in groups for entry in fields(group)}
    for action in parser._actions:
        if action.dest not in {"help", "config", *USUAL, *ours}:
            action.help = SUPPRESS


def _config_flags(path: str | Path, parser: Parser) -> list[str]:
    """Return a YAML file's fields as flags, so that they are read by the same rules; null leaves the default."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        config, node = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(
            f"config: expected a readable YAML file, got {path} ({' '.join(str(error).split())})"
        ) from None
    if not isinstance(config, dict):
        raise ValueError(
            f"{path}: expected YAML of 'field: value' lines, got {type(config).__name__}"
        )
    known = {entry.name for entry in fields(PreferenceArguments) if entry.init}
    lines: dict[str, int] = {}
    for key, line in ((each.value, each.start_mark.line + 1) for each, _ in node.value):
        if key not in known:
            raise ValueError(
                f"{path}:{line}: expected known fields, got {key}{parser.nearest(key)}"
            )
        if key in lines:
            raise ValueError(
                f"{path}:{line}: {key}: expected it once, got it again (first in line {lines[key]})"
            )
        lines[key] = line
    flags = []
    for key, value in config.items():
        if value is None:
            continue
        if value is False and key.endswith("_strategy"):
            value = "no"  # YAML 1.1 reads a bare no so
        if isinstance(value, list):
            given = [f"--{key}", *map(str, value)]
        else:
            given = [f"--{key}={json.dumps(value) if isinstance(value, dict | bool) else value}"]
        try:
            parser.parse_args(given)
        except ValueError as error:
            named = "" if f"--{key}" in str(error) else f"{key}: "
            raise ValueError(f"{path}:{lines[key]}: {named}{error}") from None
        flags += given
    return flags
