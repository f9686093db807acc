"""Bound the tokens of a pass: Trainer's steps and evaluations in as many passes as `max_tokens_per_batch` asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Sized
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from ..data.corpus import Corpus
from ..data.tokens import TokenizedExample
from . import passes
from .arguments import PreferenceArguments
from .checkpoints import ResumableTrainer


class BoundedTrainer(ResumableTrainer):
    """Trainer whose batches are computed in passes of bounded size; a step is the mean over its examples."""

    args: PreferenceArguments
    collate_rows: Callable[[Sequence[TokenizedExample]], dict[str, Tensor]]
    row_layout: str

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._evaluated = 0  # batches of this evaluation

    def bound_passes(self, collate_rows: Any, layout: str, parts: Sequence[Corpus | None]) -> None:
        """Make batches by `collate_rows`: at once, or where passes are bounded when their number is agreed on.

        Raises:
            ValueError: an example that is longer than a pass; DeepSpeed, which counts the passes of a step itself.
        """
        self.collate_rows = self.data_collator = collate_rows
        tokens = self.args.max_tokens_per_batch
        if not tokens:
            return

        for part in filter(None, parts):
            passes.check(part, tokens, layout)
        if self.is_deepspeed_enabled:
            raise ValueError(f"max_tokens_per_batch: expected none under DeepSpeed, got {tokens}")

        self.data_collator = _examples_alone

    def get_train_dataloader(self):
        """Return Trainer's, with like numbers of tokens in all processes where passes are bounded."""
        loader = super().get_train_dataloader()
        args = self.args
        if args.max_tokens_per_batch and args.world_size > 1:
            shard: Any = loader.batch_sampler
            sampler = shard.batch_sampler  # of all processes, in accelerate's shard
            data: Any = self.train_dataset  # Trainer's annotation allows other data sets
            sizes = passes.costs(data, self.row_layout).tolist()
            sampler.sampler = passes.Balanced(
                sampler.sampler, sizes, args.train_batch_size, args.world_size
            )

        return loader

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        """Return the loss of a batch after its backward pass, in as many passes as `max_tokens_per_batch` asks for."""
        if "examples" not in inputs:
            return super().training_step(model, inputs, num_items_in_batch)

        examples: Any = inputs["examples"]
        *groups, last = self._groups(examples)

        total = torch.zeros((), device=self.args.device)
        for group in (*groups, last):
            batch = self.collate_rows([examples[i] for i in group])
            with nullcontext() if group is last else self.accelerator.no_sync(model):
                total += super().training_step(model, batch, num_items_in_batch)

        return total

    def _groups(self, examples: Sequence[TokenizedExample]) -> list[list[int]]:
        """Return the indices of the examples of each pass; equally many passes in all processes."""
        tokens = self.args.max_tokens_per_batch or math.inf
        groups = passes.passes(examples, tokens, self.row_layout)
        if self.args.world_size > 1:
            own = torch.tensor([len(groups)], device=self.args.device)
            counts = self.accelerator.gather(own)
            assert isinstance(counts, Tensor)  # as a tensor went in
            groups = passes.passes(examples, tokens, self.row_layout, int(counts.max()))

        return groups

    def loss_in_passes(self, model, examples: Any, return_outputs: bool):
        """Return the mean loss of a batch of an evaluation, in passes."""
        counted = self.first_seen(len(examples))
        total = torch.zeros((), device=self.args.device)
        for group in self._groups(examples):
            batch = self._prepare_inputs(self.collate_rows([examples[i] for i in group]))
            batch["counted"] = counted[group]
            loss: Any = self.compute_loss(model, batch)
            total += loss * (len(group) / len(examples))

        return (total, {}) if return_outputs else total

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor | None:
        """Return the examples of an optimiser step in all processes: its gradient is the mean over them."""
        if not batch_samples:
            return None

        counts = [len(batch.get("examples", batch.get("negatives"))) for batch in batch_samples]
        own = torch.tensor([sum(counts)], device=device)
        counts = self.accelerator.gather(own) if self.args.world_size > 1 else own
        assert isinstance(counts, Tensor)  # as a tensor went in

        return counts.sum()

    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """Evaluate as Trainer does; each example counts once, however many processes share them."""
        self._evaluated = 0
        return super().evaluate(*args, **kwargs)

    def first_seen(self, count: int) -> Tensor:
        """Return True for the examples of an evaluation batch that are no padding of the last batches, shape (B,).

        accelerate hands out batches in turn and fills the last ones with the first examples.
        """
        size, rank = self.args.eval_batch_size, self.args.process_index
        start = (self._evaluated * self.args.world_size + rank) * size
        self._evaluated += 1
        places = torch.arange(start, start + count, device=self.accelerator.device)
        total = len(self.eval_dataset) if isinstance(self.eval_dataset, Sized) else math.inf

        return places < total


def _examples_alone(examples: Sequence[TokenizedExample]) -> dict[str, Any]:
    """Return a batch of examples that are no tensors yet; Trainer asks for `targets` in every batch."""
    return {"examples": list(examples), "targets": torch.zeros(0)}
