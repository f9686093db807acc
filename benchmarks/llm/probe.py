"""A trainer that has not begun, on batches spread over a file: what commands that time or compare passes read."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from llm_adapter.models import disable_dropout
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.run import read_data, read_model
from llm_adapter.training.trainer import PreferenceTrainer

from . import runs
from .layouts import SIZE


def parse(command: str, description: str | None, argv: list[str] | None) -> argparse.Namespace:
    """Return a command's flags: the pairs, the model and how many batches of SIZE examples; compute in one thread."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {command}", description=(description or "").split(":")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="preferences, JSON lines")
    parser.add_argument(
        "--model", default="SmolLM2-135M", help="builtin or SmolLM2-135M (the default)"
    )
    parser.add_argument(
        "--batches", type=int, default=12, help=f"of {SIZE} examples, spread over the file"
    )
    torch.set_num_threads(1)

    return parser.parse_args(argv)


def prepared(model: str, data: Path, batches: int, **flags: str) -> PreferenceTrainer:
    """Return a trainer that has not begun, with the examples of so many batches of SIZE, spread over the file."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = {
            "model": runs.saved_model(model),
            "train_data": data,
            "output_dir": folder,
            "use_cpu": "true",
        }

        fixed |= {
            "token_cache": "none",
            "reference_cache": "none",
            "max_dropped": 1,
            "disable_tqdm": "true",
        }

        args = parse_arguments([f"--{name}={value}" for name, value in (fixed | flags).items()])
        tokenizer, read, _ = read_data(args)

    every = max(1, len(read.examples) // (SIZE * batches))
    network = read_model(args)
    disable_dropout(network)

    return PreferenceTrainer(
        network, args, read.examples[::every][: SIZE * batches], None, tokenizer
    )


def batches_of(trainer: PreferenceTrainer) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the batches of SIZE examples as the trainer's model takes them."""
    for start in range(0, len(trainer.train_dataset), SIZE):
        yield trainer._prepare_inputs(
            trainer.data_collator(trainer.train_dataset[start : start + SIZE])
        )
