"""What diagnostics cost a training step: `python -m benchmarks.llm.diagnostics --data FILE.jsonl`.

On each batch three forward and backward passes take turns: of the loss alone; with the sums of every log line; and with
the reading of gradient noise, too, which a run makes at every `diagnostics_steps`-th step only.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import torch
from tqdm import tqdm

from llm_adapter.loss.logprobs import split_rows, sum_responses
from llm_adapter.training.trainer import PreferenceTrainer
from mi_estimators.display import Table

from .layouts import SIZE
from .probe import batches_of, parse, prepared


def loss_alone(trainer: PreferenceTrainer, batch: dict[str, torch.Tensor]) -> None:
    """Forward and backward pass of the loss."""
    log_probs = sum_responses(trainer.log_probs(trainer.model, batch), batch["lengths"])
    scores = split_rows(log_probs - batch["reference"], batch["negatives"])
    trainer.objective.losses(*scores, batch["negatives"]).mean().backward()


def step(
    trainer: PreferenceTrainer, batch: dict[str, torch.Tensor], diagnostics_steps: int
) -> None:
    """Forward and backward pass as the trainer makes them."""
    trainer.args.diagnostics_steps = diagnostics_steps
    loss = trainer.compute_loss(trainer.model, batch)
    assert isinstance(loss, torch.Tensor)  # as no outputs are asked for
    loss.backward()


def with_sums(trainer: PreferenceTrainer, batch: dict[str, torch.Tensor]) -> None:
    """What the trainer does at a step without a reading."""
    step(trainer, batch, diagnostics_steps=0)


def with_reading(trainer: PreferenceTrainer, batch: dict[str, torch.Tensor]) -> None:
    """What the trainer does at a step with a reading."""
    step(trainer, batch, diagnostics_steps=1)
    assert trainer._head_gradients.statistics(lambda rows: rows)


WAYS = {
    "the loss alone": loss_alone,
    "with the sums": with_sums,
    "with a reading, too": with_reading,
}


def main(argv: list[str] | None = None) -> int:
    """Measure and print the table."""
    options = parse("benchmarks.llm.diagnostics", __doc__, argv)
    trainer = prepared(options.model, options.data, options.batches)
    trainer.model.train()
    trainer._checked = True  # the start-up check is made once a run
    first, *later = batches_of(trainer)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}

    for turn, batch in enumerate(tqdm([first, first, *later], options.model, leave=False)):
        for name in list(WAYS)[turn % 3 :] + list(WAYS)[: turn % 3]:
            trainer.model.zero_grad()
            started = time.process_time()
            WAYS[name](trainer, batch)
            if turn:  # the first batch warms up
                seconds[name].append(time.process_time() - started)

    body = []
    for name, times in seconds.items():
        ratios = [
            total / alone for total, alone in zip(times, seconds["the loss alone"], strict=True)
        ]
        low, high = min(ratios), max(ratios)
        body.append(
            [name, f"{median(times):.3g}", f"{median(ratios):.3f} ({low:.3f} to {high:.3f})"]
        )

    print(
        f"{options.model}, {options.data.name}, {len(seconds['with the sums'])} batches of {SIZE}\n"
    )
    head = ["pass", "CPU s", "ratio to the loss alone, median (range)"]
    print(Table(head, body).markdown())

    return 0


if __name__ == "__main__":
    sys.exit(main())
