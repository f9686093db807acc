"""Say which settings are in force when a run goes on from a checkpoint, and refuse those that it cannot go on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

from torch import nn

from ..data.tokens import TokenizedExample
from .sharding import of_first_process

FILE = "settings.json"  # in a checkpoint's folder
STORED = ("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon")
"""They are in the optimiser's state, which a checkpoint restores: its values stay in force."""
FIXED = {  # what must not change, and why
    "model_weights": "its reference would be another model",
    "train_tokens": "the rows that are left would be others",
    "examples_per_step": "rows would be repeated or left out",
    "seed": "the order of the rows would be another",
    "data_seed": "the order of the rows would be another",
    "train_sampling_strategy": "the order of the rows would be another",
    "dataloader_drop_last": "rows would be repeated or left out",
    "optim": "its state is another optimiser's",
    "rounding": "its state is another optimiser's",
    "adam_states": "its state is another optimiser's",
    "weights": "the checkpoint's weights have another precision",
    "lora_rank": "the checkpoint's weights have other shapes",
    "lora_targets": "the checkpoint's weights have other names",
}
WEIGHTS = 64  # numbers of each weight that are looked at
FREE = (
    "model",
    "output_dir",
    "resume_from_checkpoint",
    "run_name",
    "report_to",
    "disable_tqdm",
    "use_cpu",
)
FREE += ("token_cache", "reference_cache", "tokenize_workers", "max_dropped", "train_data")
FREE_STEMS = ("logging_", "save_", "eval_", "hub_", "push_to", "dataloader_num", "log_", "ddp_")
FREE_STEMS += ("dataset_", "do_", "local_rank", "deepspeed_", "accelerator", "project", "trackio")


def settings_of(args, examples: Sequence[TokenizedExample], model: nn.Module) -> dict[str, Any]:
    """Return what decides the course of a run: the fields of its arguments, hashes of its tokens and its model."""
    values = {entry.name: getattr(args, entry.name) for entry in fields(args) if entry.init}
    values = {
        name: value.value if isinstance(value, Enum) else value
        for name, value in values.items()
        if name not in FREE and not name.startswith(FREE_STEMS)
    }

    step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    values["examples_per_step"] = step
    values |= of_first_process(  # the others may not have the weights
        lambda: {"train_tokens": _digest(examples), "model_weights": _weights(model)}, args
    )

    return json.loads(json.dumps(values, default=str))


def _digest(examples: Sequence[TokenizedExample]) -> str:
    tokens = hashlib.sha256()
    for example in examples:
        tokens.update(json.dumps(example.content).encode())
    return tokens.hexdigest()[:16]


def _weights(model: nn.Module) -> str:
    """Return a hash of the beginning of each weight: enough to tell two models apart; LoRA's start at random."""
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        if "lora_" not in name:
            first = weight.detach().reshape(-1)[:WEIGHTS].float().cpu()
            digest.update(f"{name} {tuple(weight.shape)} {first.tolist()}".encode())

    return digest.hexdigest()[:16]


def compare(checkpoint: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the settings in force, and what has changed in words, or nothing.

    Raises:
        ValueError: a setting that the run cannot go on with.
    """
    path = Path(checkpoint) / FILE
    if not path.is_file():
        return dict(settings), f"no {FILE} in {checkpoint}: its settings are not known"

    before = json.loads(path.read_text(encoding="utf-8"))
    names = sorted(name for name in before.keys() & settings.keys())
    changed = [name for name in names if before[name] != settings[name]]

    for name in changed:
        if name in FIXED:
            raise ValueError(
                f"resume_from_checkpoint: expected {name} {before[name]}, as the stopped run had, got "
                f"{settings[name]}: {FIXED[name]} (a new run can start from its weights: --model "
                f"{checkpoint})"
            )

    kept = {name: before[name] for name in changed if name in STORED}
    words = [
        f"{name} stays {before[name]}, not {settings[name]}"
        if name in kept
        else f"{name} was {before[name]}, is {settings[name]}"
        for name in changed
    ]

    return {**settings, **kept}, "; ".join(words)
