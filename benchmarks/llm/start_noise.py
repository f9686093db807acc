"""What bf16 does to a run's first loss, on real batches: `python -m benchmarks.llm.start_noise --data FILE.jsonl`.

Two readings of unchanged weights are compared. `check`: the policy's and the reference's on the very same rows, which
is what the trainer's start-up check holds against theory. `logged`: the policy's on a training batch and the
reference's as it was precomputed, in batches of other sizes and order: what the first line of metrics.jsonl shows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from llm_adapter.arguments import parse_arguments
from llm_adapter.batching import split_rows, sum_responses
from llm_adapter.models import disable_dropout
from llm_adapter.train import read_data, read_model
from llm_adapter.trainer import PreferenceTrainer

from . import runs, tables

PRECISIONS = {  # name → flags
    "float32": {},
    "bf16 arithmetic": {"bf16": "true"},
    "bf16 weights": {"weights": "bf16"},
}
SIZE = 4  # examples a batch
HEAD = ["precision", "rows", "batches", "check: Δ loss, max", "logged: Δ loss, mean of batches", "max", "noise, max"]


def prepared(model: Path, data: Path, batches: int, **flags: str) -> PreferenceTrainer:
    """Return a trainer that has not begun, with the examples of so many batches of SIZE, spread over the file."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = {"model": model, "train_data": data, "output_dir": folder, "token_cache": "none", "use_cpu": "true"}
        fixed |= {"reference_cache": "none", "max_dropped": 1, "disable_tqdm": "true"}
        args = parse_arguments([f"--{name}={value}" for name, value in (fixed | flags).items()])
        tokenizer, read, _ = read_data(args)
    every = max(1, len(read.examples) // (SIZE * batches))
    network = read_model(args)
    disable_dropout(network)
    return PreferenceTrainer(network, args, read.examples[::every][: SIZE * batches], None, tokenizer)


@torch.no_grad()
def deviations(trainer: PreferenceTrainer) -> torch.Tensor:
    """Return |first loss − theory|, read both ways, and the noise in nats a √token, of each batch: (batches, 3)."""
    found = []
    for start in range(0, len(trainer.train_dataset), SIZE):
        batch = trainer._prepare_inputs(trainer.data_collator(trainer.train_dataset[start : start + SIZE]))
        with trainer.accelerator.autocast():  # as the model is run in training
            log_probs = sum_responses(trainer.log_probs(trainer.model.train(), batch), batch["lengths"])
        same_rows = trainer.reference.log_probs(trainer.model, batch, trainer.log_probs)
        negatives, theory = batch["negatives"], trainer.objective.start(batch["negatives"]).mean()
        row = []
        for reference in (same_rows, batch["reference"]):
            losses = trainer.objective.losses(*split_rows(log_probs - reference, negatives), negatives)
            row.append((losses.mean() - theory).abs().item())
        apart = (same_rows - batch["reference"]).square() / batch["lengths"]
        found.append([*row, apart.mean().sqrt().item()])
    return torch.tensor(found)


def main(argv: list[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.llm.start_noise", description=(__doc__ or "").split(":")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="preferences, JSON lines")
    parser.add_argument("--model", default="SmolLM2-135M", help="builtin or SmolLM2-135M (the default)")
    parser.add_argument("--batches", type=int, default=12, help=f"of {SIZE} examples, spread over the file")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    body = []
    for precision, flags in PRECISIONS.items():
        for row_layout in ("padded", "shared"):
            flags = flags | {"row_layout": row_layout}
            found = deviations(prepared(runs.saved_model(options.model), options.data, options.batches, **flags))
            check, logged, noise = found.unbind(-1)
            values = (check.max(), logged.mean(), logged.max(), noise.max())
            body.append([precision, row_layout, str(len(found)), *(f"{value:.1e}" for value in values)])
            print(body[-1], flush=True)
    print(f"\n{options.model}, {options.data.name}, js at beta 0.1, nats; noise in nats a √token\n")
    print(tables._table(HEAD, body))
    return 0


if __name__ == "__main__":
    sys.exit(main())
