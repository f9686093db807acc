"""The arguments of a run: ours, and those of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainingArguments
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)
from transformers.trainer_utils import get_last_checkpoint

import mi_estimators as mi

from ..arguments.fields import RANGES, RunFields
from ..arguments.flags import require
from ..arguments.names import REGENERATE, generated
from ..arguments.outputs import of_training, refuse_outputs
from ..arguments.training import read_values
from ..loss.objective import Objective, read_terms
from .sharding import shard_on_cpus


@dataclass
class PreferenceArguments(RunFields, TrainingArguments):
    """TrainingArguments with the fields of preference training; names as in TRL where they coincide.

    The defaults suit a model with a billion parameters; configs/ has recipes for smaller ones.
    """

    remove_unused_columns: bool = False
    dataloader_pin_memory: bool = torch.cuda.is_available()
    ddp_find_unused_parameters: bool | None = False  # every weight is trained
    logging_nan_inf_filter: bool = (
        False  # such a number ends a run; to filter it waits for the device
    )

    def objective(self) -> Objective:
        """Return the objective that the fields describe."""
        names = {entry.name for entry in fields(Objective)} & {entry.name for entry in fields(self)}
        return Objective(**{name: getattr(self, name) for name in names})

    def check(self) -> None:
        """Check our fields, and those of transformers that we rely on."""
        super().check()
        require(
            self,
            *(
                (
                    name,
                    getattr(self, name) is None or rule.holds(getattr(self, name)),
                    rule.expected,
                )
                for name, rule in RANGES.items()
            ),
            (
                "optim",
                (
                    self.rounding == "nearest"
                    and self.adam_states == "weights"
                    and not self.release_gradients
                )
                or "adamw_torch" in str(self.optim),
                "the default, adamw_torch…, with rounding, adam_states or release_gradients",
            ),
            (
                "attn_implementation",
                self.attn_implementation != "flex_attention",
                "another one, such as sdpa (flex_attention cannot read these rows yet)",
            ),
            (
                "label_smoothing_factor",
                not self.label_smoothing_factor,
                "0 (it smooths a cross-entropy; label_smoothing is the preference loss's)",
            ),
            (
                "max_tokens_per_batch",
                not self.max_tokens_per_batch or not _of_batch(self.loss),
                f"none with loss {self.loss}, whose threshold is that of one pass",
            ),
            (
                "max_grad_norm",
                not self.release_gradients or not self.max_grad_norm,
                "0 with release_gradients: the norm of all gradients is not known in time",
            ),
            (
                "fp16",
                not self.release_gradients or not self.fp16,
                "false with release_gradients",
            ),
            ("fp16", self.weights == "fp32" or not self.fp16, "false with bf16 weights"),
            ("remove_unused_columns", not self.remove_unused_columns, "false"),
            (
                "train_sampling_strategy",
                self.train_sampling_strategy in ("random", "sequential"),
                "random or sequential (rows are packed in any case)",
            ),
            (
                "enable_jit_checkpoint",
                not self.enable_jit_checkpoint,
                "false (SIGTERM saves a checkpoint in any case)",
            ),
        )

    def __post_init__(self) -> None:
        """Check our fields before transformers touches a device.

        Raises:
            ValueError: a value outside its range, named with what was expected.
        """
        self.check()
        loss = self.objective().name
        self.output_dir = self.output_dir or f"runs/{Path(self.model).stem}-{loss}"
        output = Path(self.output_dir)
        require(self, ("output_dir", output.is_dir() or not output.exists(), "a folder"))

        self.resume_from_checkpoint = _checkpoint(self.resume_from_checkpoint, self.output_dir)
        if not self.resume_from_checkpoint and (last := _last_checkpoint(self.output_dir)):
            raise ValueError(
                f"output_dir: expected a folder without checkpoints of another run, got {last} "
                "(continue it with --resume_from_checkpoint true, or choose another output_dir)"
            )

        inputs = ("model", "train_data", "eval_data", "chat_template")
        refuse_outputs(
            "output_dir", of_training(output), {name: getattr(self, name) for name in inputs}
        )

        super().__post_init__()
        shard_on_cpus(self)
        installed = {*get_available_reporting_integrations(), "flyte"}  # flyte is never listed
        for name in set(self.report_to) - installed:
            known = ", ".join(INTEGRATION_TO_CALLBACK)
            raise ValueError(
                f"report_to: expected none, all or an installed one of {known}, got {name}"
            )

        if self.release_gradients and self.world_size > 1:
            raise ValueError(
                "release_gradients: expected false with several processes, whose gradients are "
                f"averaged after the backward pass, got {self.world_size} of them"
            )

        if self.n_gpu > 1:
            raise ValueError(
                "devices: expected one GPU for each process (start with torchrun or accelerate "
                f"launch), got {self.n_gpu}"
            )


def _of_batch(loss: str | None) -> bool:
    """Return whether a loss compares an example with the others of its batch."""
    rows = mi.preference.ALTERNATIVES
    return any(name in rows and rows[name].threshold for name, _ in read_terms(loss))


def _checkpoint(value: str | None, output_dir: str) -> str | None:
    """Return the checkpoint folder that `value` names: a path, 'true' for the last one in `output_dir`, or none."""
    if value is None or value.lower() == "false":
        return None

    last = value.lower() == "true"
    checkpoint = _last_checkpoint(output_dir) if last else value
    if checkpoint is None or not (Path(checkpoint) / "trainer_state.json").is_file():
        where = output_dir if last else value
        raise ValueError(f"resume_from_checkpoint: expected a checkpoint, got none in {where}")

    return checkpoint


def _last_checkpoint(output_dir: str) -> str | None:
    return get_last_checkpoint(output_dir) if Path(output_dir).is_dir() else None


def make_arguments(values: dict[str, Any]) -> PreferenceArguments:
    """Return the arguments with these values.

    Raises:
        ValueError: a value outside its range, or one that the installed transformers has no field for.
    """
    known = {entry.name for entry in fields(PreferenceArguments) if entry.init}
    for name in values.keys() - known:
        raise ValueError(
            f"{name}: expected a field of transformers {transformers.__version__}, got one of "
            f"{generated()['transformers']} ({REGENERATE} lists the installed fields anew)"
        )

    return PreferenceArguments(**values)


def parse_arguments(argv: Sequence[str]) -> PreferenceArguments:
    """Return the arguments of `--config FILE.yaml` overridden by the other flags.

    Raises:
        ValueError: an unreadable config, an unknown key or flag, a value of the wrong type or outside its range.
    """
    return make_arguments(read_values(argv))
