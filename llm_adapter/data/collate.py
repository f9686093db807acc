"""Collate preference examples into batches: rows of tokens, and the positions that predict each response's tokens.

There are two layouts. `collate` writes a row for each response, with its prompt. `collate_shared` writes a prompt once
and its responses after it, as branches that do not see one another, and packs several examples into one row. Both give
the same log-probabilities and gradients; shared rows have fewer positions. K may differ between examples.

Reference: Wang and Hegde 2024 (arXiv 2410.20305), prefix sharing for one pair in a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .tokens import TokenizedExample

Rows = list[list[int]]
Place = tuple[
    int, int, int
]  # of a response: row, position before its first token, position of that token


def collate(examples: Sequence[TokenizedExample], pad_id: int = 0) -> dict[str, Tensor]:
    """Pad B examples into R = Σ (1 + K_b) rows: the B chosen responses first, then the rejected, example by example.

    Masks follow positions, never ids, so `pad_id` may equal EOS.

    Returns:
        `input_ids` and `attention_mask`, (R, T). For each of the S response tokens, response after response: `sources`,
        the flat index into R·T of the position that predicts it, and `targets`, its id, both (S,). `lengths`, the
        tokens of each response, (Σ (1 + K_b),). `negatives`, (B, max K), True where that negative exists.
        `reference`, the reference's log-probabilities in nats, like `lengths`, if all examples have them.

    >>> batch = collate([TokenizedExample(1, [7, 8], ([1, 2], [3]))])
    >>> batch["input_ids"].tolist(), batch["sources"].tolist(), batch["targets"].tolist()
    ([[7, 8, 1, 2], [7, 8, 3, 0]], [1, 2, 5], [1, 2, 3])
    """
    pairs = [(examples[b].prompt, examples[b].completions[k]) for b, k in _order(examples)]
    rows = [prompt + completion for prompt, completion in pairs]
    places = [(row, len(prompt) - 1, len(prompt)) for row, (prompt, _) in enumerate(pairs)]
    batch = _batch(examples, rows, places, pad_id)
    ends = torch.tensor([len(row) for row in rows]).unsqueeze(1)
    return batch | {"attention_mask": (torch.arange(batch["input_ids"].shape[1]) < ends).long()}


def collate_shared(
    examples: Sequence[TokenizedExample], pad_id: int = 0, row_length: int | None = None
) -> dict[str, Tensor]:
    """Write each example once, [prompt | y₀ | y₁ | …], and pack examples into rows.

    Args:
        examples: B tokenised examples.
        pad_id: the id that fills the ends of rows.
        row_length: the maximum length of a row; by default that of the longest example.

    Returns:
        What `collate` returns, with fewer rows; the responses have the same order. `attention_mask`, (R, 1, T, T), is
        True where a position (third index) sees another one (fourth): itself or an earlier one of its example, in the
        prompt or in its own response. `position_ids`, (R, T), continue from the prompt's end in each response.

    >>> batch = collate_shared([TokenizedExample(1, [7, 8], ([1, 2], [3]))])
    >>> batch["input_ids"].tolist(), batch["sources"].tolist(), batch["position_ids"].tolist()
    ([[7, 8, 1, 2, 3]], [1, 2, 1], [[0, 1, 2, 3, 2]])
    """
    sizes = [len(row.prompt) + sum(map(len, row.completions)) for row in examples]
    rows: Rows = []
    labels: list[list[Place]] = []  # of each token: example, branch (0: prompt), position
    placed: dict[tuple[int, int], Place] = {}
    for members in _packed(sizes, row_length or max(sizes)):
        tokens, label = [], []
        for b in members:
            prompt, begin = examples[b].prompt, len(tokens)
            tokens += prompt
            label += [(b, 0, position) for position in range(len(prompt))]
            for k, completion in enumerate(examples[b].completions):
                placed[b, k] = (len(rows), begin + len(prompt) - 1, len(tokens))
                tokens += completion
                label += [(b, k + 1, len(prompt) + position) for position in range(len(completion))]
        rows.append(tokens)
        labels.append(label)
    batch = _batch(examples, rows, [placed[key] for key in _order(examples)], pad_id)
    length = batch["input_ids"].shape[1]
    # padding is an example of its own
    padded = [label + [(-1, 0, 0)] * (length - len(label)) for label in labels]
    example, branch, position = torch.tensor(padded).unbind(-1)
    seen = example.unsqueeze(2) == example.unsqueeze(1)
    seen &= (branch.unsqueeze(1) == 0) | (branch.unsqueeze(2) == branch.unsqueeze(1))
    return batch | {"attention_mask": seen.tril().unsqueeze(1), "position_ids": position}


LAYOUTS = {"padded": collate, "shared": collate_shared}


def _order(examples: Sequence[TokenizedExample]) -> list[tuple[int, int]]:
    """Return (example, response) of all responses: the chosen first, then the rejected, example by example."""
    rejected = [(b, k) for b, row in enumerate(examples) for k in range(1, len(row.completions))]
    return [(b, 0) for b in range(len(examples))] + rejected


def _packed(sizes: Sequence[int], room: int) -> list[list[int]]:
    """Return rows of indices whose sizes sum to at most `room`: the longest first, into the first row with room."""
    rows, left = [], []
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        row = next((row for row, free in enumerate(left) if free >= sizes[index]), len(rows))
        if row == len(rows):
            rows.append([])
            left.append(room)
        rows[row].append(index)
        left[row] -= sizes[index]
    return rows


def _batch(
    examples: Sequence[TokenizedExample], rows: Rows, places: Sequence[Place], pad_id: int
) -> dict[str, Tensor]:
    """Return the part of a batch that both layouts share."""
    length = max(map(len, rows))
    input_ids = torch.full((len(rows), length), pad_id)
    for padded, row in zip(input_ids, rows, strict=True):
        padded[: len(row)] = torch.tensor(row)
    responses = [examples[b].completions[k] for b, k in _order(examples)]
    sources = [
        row * length + position
        for (row, before, first), response in zip(places, responses, strict=True)
        for position in (before, *range(first, first + len(response) - 1))
    ]
    counts = torch.tensor([len(row.completions) - 1 for row in examples])
    batch = {
        "input_ids": input_ids,
        "sources": torch.tensor(sources),
        "targets": torch.tensor([token for response in responses for token in response]),
        "lengths": torch.tensor([len(response) for response in responses]),
        "negatives": torch.arange(int(counts.max())) < counts.unsqueeze(1),
    }
    if all(row.reference for row in examples):
        batch["reference"] = torch.tensor([examples[b].reference[k] for b, k in _order(examples)])
    return batch


def sum_responses(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Sum the token log-probabilities of each response, (S,) → (R,), in a fixed order of addition."""
    return torch.segment_reduce(log_probs, "sum", lengths=lengths)


def split_rows(values: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Split values of the responses, shape (N,), into chosen, (B,), and rejected, (B, K), with 0 for absent ones.

    >>> chosen, rejected = split_rows(torch.arange(5.0), torch.tensor([[True, True], [True, False]]))
    >>> chosen.tolist(), rejected.tolist()
    ([0.0, 1.0], [[2.0, 3.0], [4.0, 0.0]])
    """
    size = len(negatives)
    rejected = values.new_zeros(negatives.shape).masked_scatter(negatives, values[size:])
    return values[:size], rejected
