"""Batches of preference rows: an example gives 1 + K padded rows, and K may differ between the examples of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .data import TokenizedExample


def collate(examples: Sequence[TokenizedExample], pad_id: int = 0) -> dict[str, Tensor]:
    """Pad B examples into R = Σ (1 + K_b) rows: the B chosen responses first, then the rejected, example by example.

    Masks follow positions, never ids, so a `pad_id` equal to EOS is as good as any other.

    Returns:
        input_ids and attention_mask, shape (R, T); for each of the S response tokens, row after row, `sources`, the
        flat index into R·T of the position that predicts it, and `targets`, its id, both (S,); `lengths`, tokens of
        each response, (R,); `negatives`, (B, max K), True where that negative exists; `reference`, (R,), nats, if
        every example has it.
    """
    rows = [(example.prompt, example.completions[0]) for example in examples]
    rows += [(example.prompt, completion) for example in examples for completion in example.completions[1:]]
    length = max(len(prompt) + len(completion) for prompt, completion in rows)
    input_ids = torch.full((len(rows), length), pad_id)
    position = torch.arange(length)
    start = torch.tensor([len(prompt) for prompt, _ in rows]).unsqueeze(1)
    lengths = torch.tensor([len(completion) for _, completion in rows])
    end = start + lengths.unsqueeze(1)
    for row, (prompt, completion) in zip(input_ids, rows, strict=True):
        row[: len(prompt) + len(completion)] = torch.tensor(prompt + completion)
    completion_mask = (position >= start) & (position < end)
    counts = torch.tensor([len(example.completions) - 1 for example in examples])
    batch = {
        "input_ids": input_ids,
        "attention_mask": (position < end).long(),
        "sources": completion_mask.flatten().nonzero().squeeze(1) - 1,
        "targets": input_ids[completion_mask],
        "lengths": lengths,
        "negatives": torch.arange(int(counts.max())) < counts.unsqueeze(1),
    }
    if all(example.reference for example in examples):
        chosen = [example.reference[0] for example in examples]
        rejected = [value for example in examples for value in example.reference[1:]]
        batch["reference"] = torch.tensor(chosen + rejected)
    return batch


def sum_responses(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Return the sum of each response's token log-probabilities, (S,) → (R,), in a fixed order of addition."""
    return torch.segment_reduce(log_probs, "sum", lengths=lengths)


def split_rows(values: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Split per-row values, shape (N,), into chosen, (B,), and rejected, (B, K), with 0 where there is no negative."""
    size = len(negatives)
    rejected = values.new_zeros(negatives.shape).masked_scatter(negatives, values[size:])
    return values[:size], rejected
