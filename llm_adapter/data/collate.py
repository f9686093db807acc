"""Collate preference examples into batches: rows of tokens, and the positions that predict each response's tokens.

There are two layouts. `collate` writes a row for each response, with its prompt. `collate_shared` writes a prompt once
and its responses after it, as branches that do not see one another, and packs several examples into one row. Both give
the same log-probabilities and gradients; shared rows have fewer positions. K may differ between examples.

Reference: Wang and Hegde 2024 (arXiv 2410.20305), prefix sharing for one pair in a row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .tokens import TokenizedExample

# Of a response: row, position before its first token, position of that token
Place = tuple[int, int, int]


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
    examples = list(examples)  # a corpus makes an example each time
    pieces = [(examples[b].prompt, *examples[b].continuations[k]) for b, k in _order(examples)]
    pairs = [(prompt + head, completion) for prompt, head, completion in pieces]
    ends = [len(prompt) + len(completion) for prompt, completion in pairs]
    input_ids = np.full((len(pairs), max(ends)), pad_id)

    for row, (prompt, completion) in zip(input_ids, pairs, strict=True):
        row[: len(prompt)] = prompt
        row[len(prompt) : len(prompt) + len(completion)] = completion

    places = [(row, len(prompt) - 1, len(prompt)) for row, (prompt, _) in enumerate(pairs)]
    mask = np.arange(max(ends)) < np.array(ends)[:, None]
    batch = _batch(examples, input_ids, places)

    return batch | {"attention_mask": torch.from_numpy(mask).long()}


def collate_shared(
    examples: Sequence[TokenizedExample],
    pad_id: int = 0,
    row_length: float | None = None,
    multiple: int = 1,
) -> dict[str, Tensor]:
    """Write each example once, [prompt | y₀ | y₁ | …], and pack examples into rows.

    Args:
        examples: B tokenised examples.
        pad_id: the id that fills the ends of rows.
        row_length: the maximum length of a row, ∞ for a single row; by default that of the longest example.
        multiple: the length of the rows is made a multiple of this.

    Returns:
        What `collate` returns, with fewer rows; the responses have the same order. In place of a mask there are
        `branches`, (R, 1, 3, T): the example of each position (−1: padding), its branch (0: the prompt, k: response
        k) and its place in the text. `loss.attention.dense_mask` is what they mean. `position_ids`, (R, T), are the
        places: they continue from the prompt's end in each response.

    >>> batch = collate_shared([TokenizedExample(1, [7, 8], ([1, 2], [3]))])
    >>> batch["input_ids"].tolist(), batch["sources"].tolist(), batch["position_ids"].tolist()
    ([[7, 8, 1, 2, 3]], [1, 2, 1], [[0, 1, 2, 3, 2]])
    >>> batch["branches"][0, 0, 1].tolist()
    [0, 0, 1, 1, 2]
    """
    examples = list(examples)
    sizes = [example.size for example in examples]
    rows = packed(sizes, max(sizes) if row_length is None else row_length)
    longest = max(sum(sizes[b] for b in members) for members in rows)
    length = -(-longest // multiple) * multiple
    input_ids = np.full((len(rows), length), pad_id)
    branches = np.zeros((len(rows), 3, length), np.int32)
    branches[:, 0] = -1  # padding is an example of its own

    placed: dict[tuple[int, int], Place] = {}
    alone = itertools.count(len(examples))  # a response with a prompt of its own is an example, too
    for row, members in enumerate(rows):
        end = 0
        for b in members:
            prompt, begin = len(examples[b].prompt), end
            pieces = [([], examples[b].prompt), *examples[b].continuations]
            for k, (head, ids) in enumerate(pieces):
                start, end, first = end, end + len(head) + len(ids), prompt if k else 0
                before = start + len(head) - 1 if head else begin + prompt - 1
                placed[b, k - 1] = (row, before, start + len(head))
                input_ids[row, start:end] = head + ids
                branches[row, 0, start:end] = next(alone) if head else b
                branches[row, 1, start:end] = 0 if head else k
                branches[row, 2, start:end] = np.arange(first, first + end - start)

    batch = _batch(examples, input_ids, [placed[key] for key in _order(examples)])
    labels = torch.from_numpy(branches)
    return batch | {"branches": labels.unsqueeze(1), "position_ids": labels[:, 2].long()}


def with_mismatched(
    layout: Callable[[Sequence[TokenizedExample]], dict[str, Tensor]],
    examples: Sequence[TokenizedExample],
) -> dict[str, Any]:
    """Collate examples by a layout; their `mismatched` responses, if they have them, are a batch in the batch."""
    others = [example.mismatched for example in examples if example.mismatched]
    return layout(examples) | ({"mismatched": layout(others)} if others else {})


LAYOUTS = {"padded": collate, "shared": collate_shared}


def _order(examples: Sequence[TokenizedExample]) -> list[tuple[int, int]]:
    """Return (example, response) of all responses: the chosen first, then the rejected, example by example."""
    rejected = [(b, k) for b, row in enumerate(examples) for k in range(1, len(row.completions))]
    return [(b, 0) for b in range(len(examples))] + rejected


def packed(sizes: Sequence[int], room: float) -> list[list[int]]:
    """Return rows of indices whose sizes sum to at most `room`: the longest first, into the first row with room.

    >>> packed([5, 2, 3, 9], 10), packed([5, 2, 3], float("inf"))
    ([[3], [0, 2, 1]], [[0, 2, 1]])
    """
    rows: list[list[int]] = []
    left: list[float] = []
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        row = next((row for row, free in enumerate(left) if free >= sizes[index]), len(rows))
        if row == len(rows):
            rows.append([])
            left.append(room)
        rows[row].append(index)
        left[row] -= sizes[index]

    return rows


def _batch(
    examples: Sequence[TokenizedExample], input_ids: np.ndarray, places: Sequence[Place]
) -> dict[str, Tensor]:
    """Return the part of a batch that both layouts share."""
    length = input_ids.shape[1]
    responses = [examples[b].completions[k] for b, k in _order(examples)]

    sources = []
    for (row, before, first), response in zip(places, responses, strict=True):
        own = np.arange(row * length + first - 1, row * length + first - 1 + len(response))
        own[0] = row * length + before
        sources.append(own)

    counts = torch.tensor([len(row.completions) - 1 for row in examples])
    batch = {
        "input_ids": torch.from_numpy(input_ids),
        "sources": torch.from_numpy(np.concatenate(sources)),
        "targets": torch.from_numpy(np.concatenate(responses).astype(np.int64)),
        "lengths": torch.tensor([len(response) for response in responses]),
        "negatives": torch.arange(int(counts.max())) < counts.unsqueeze(1),
    }

    if all(row.reference for row in examples):
        batch["reference"] = torch.tensor([examples[b].reference[k] for b, k in _order(examples)])
    return batch
