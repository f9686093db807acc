"""What bf16 does to a run's first loss, on real batches: `python -m benchmarks.llm.start_noise --data FILE.jsonl`.

Two readings of unchanged weights are compared. `check`: the policy's and the reference's on the very same rows, which
is what the trainer's start-up check holds against theory. `logged`: the policy's on a training batch and the
reference's as it was precomputed, in batches of other sizes and order: what the first line of metrics.jsonl shows.
"""

from __future__ import annotations

import sys

import torch

from llm_adapter.loss.logprobs import split_rows, sum_responses
from llm_adapter.training.trainer import PreferenceTrainer
from mi_estimators.display import Table

from .probe import batches_of, parse, prepared

PRECISIONS = {  # name → flags
    "float32": {},
    "bf16 arithmetic": {"bf16": "true"},
    "bf16 weights": {"weights": "bf16"},
}
HEAD = [
    "precision",
    "rows",
    "batches",
    "check: Δ loss, max",
    "logged: Δ loss, mean of batches",
    "max",
    "noise, max",
]


@torch.no_grad()
def deviations(trainer: PreferenceTrainer) -> torch.Tensor:
    """Return |first loss − theory|, read both ways, and the noise in nats a √token, of each batch: (batches, 3)."""
    table = []
    for batch in batches_of(trainer):
        with trainer.accelerator.autocast():  # as the model is run in training
            log_probs = sum_responses(
                trainer.log_probs(trainer.model.train(), batch), batch["lengths"]
            )

        same_rows = trainer.reference.log_probs(trainer.model, batch, trainer.log_probs)
        negatives, theory = batch["negatives"], trainer.objective.start(batch["negatives"]).mean()

        row = []
        for reference in (same_rows, batch["reference"]):
            losses = trainer.objective.losses(
                *split_rows(log_probs - reference, negatives), negatives
            )
            row.append((losses.mean() - theory).abs().item())

        apart = (same_rows - batch["reference"]).square() / batch["lengths"]
        table.append([*row, apart.mean().sqrt().item()])

    return torch.tensor(table)


def main(argv: list[str] | None = None) -> int:
    """Measure and print the table."""
    options = parse("benchmarks.llm.start_noise", __doc__, argv)
    body = []
    for precision, flags in PRECISIONS.items():
        for row_layout in ("padded", "shared"):
            flags = flags | {"row_layout": row_layout}
            table = deviations(prepared(options.model, options.data, options.batches, **flags))
            check, logged, noise = table.unbind(-1)
            values = (check.max(), logged.mean(), logged.max(), noise.max())
            body.append(
                [precision, row_layout, str(len(table)), *(f"{value:.1e}" for value in values)]
            )
            print(body[-1], flush=True)

    print(f"\n{options.model}, {options.data.name}, js at beta 0.1, nats; noise in nats a √token\n")
    print(Table(HEAD, body).markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
