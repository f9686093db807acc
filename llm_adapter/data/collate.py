"""Batches of preference examples: rows of tokens, and where in them each response's tokens are predicted.

Two layouts of one contract. `collate` gives each response a row of its own, prompt included. `collate_shared`
writes a prompt once, its responses after it as branches that do not see one another, and several examples into one row:
the same log-probabilities and gradients from fewer positions (Wang and Hegde 2024, "Accelerating Direct Preference
Optimization with Prefix Sharing", https://arxiv.org/abs/2410.20305, for one pair a row). K may differ between examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .tokens import TokenizedExample

Rows = list[list[int]]
Place = tuple[
    int, int, int
]  # of a response: its row, the position before its first token, that of its first token


def collate(examples: Sequence[TokenizedExample], pad_id: int = 0) -> dict[str, Tensor]:
    """Pad B examples into R = Σ (1 + K_b) rows: the B chosen responses first, then the rejected, example by example.

    Masks follow positions, never ids, so a `pad_id` equal to EOS is as good as any other.

    Returns:
        input_ids and attention_mask, shape (R, T); for each of the S response tokens, response after response,
        `sources`, the flat index into R·T of the position that predicts it, and `targets`, its id, both (S,);
        `lengths`, tokens of each response, (Σ (1 + K_b),); `negatives`, (B, max K), True where that negative exists;
        `reference`, like `lengths`, nats, if every example has it.

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
    """Write each example once, [prompt | y₀ | y₁ | …], and as many of them into a row as fit.

    Args:
        examples: B tokenised examples.
        pad_id: what fills the rows' ends.
        row_length: the most tokens of a row (default: those of the longest example, so that no row grows by packing).

    Returns:
        The names of `collate`, with fewer rows; the responses come in the same order. `attention_mask`,
        (R, 1, T, T), is True where a position (third index) sees another (fourth): an earlier one, or itself, of its
        own example, in the prompt or in its own response. `position_ids`, (R, T), go on from the prompt's end in each
        response.

    >>> batch = collate_shared([TokenizedExample(1, [7, 8], ([1, 2], [3]))])
    >>> batch["input_ids"].tolist(), batch["sources"].tolist(), batch["position_ids"].tolist()
    ([[7, 8, 1, 2, 3]], [1, 2, 1], [[0, 1, 2, 3, 2]])
    """
    sizes = [len(each.prompt) + sum(map(len, each.completions)) for each in examples]
    rows: Rows = []
    labels: list[
        list[tuple[int, int, int]]
    ] = []  # of each token: its example, its branch (0: prompt), its position
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
    batch = _batch(examples, rows, [placed[each] for each in _order(examples)], pad_id)
    length = batch["input_ids"].shape[1]
    padded = [
        label + [(-1, 0, 0)] * (length - len(label)) for label in labels
    ]  # padding: an example of its own
    example, branch, position = torch.tensor(padded).unbind(-1)
    seen = example.unsqueeze(2) == example.unsqueeze(1)
    seen &= (branch.unsqueeze(1) == 0) | (branch.unsqueeze(2) == branch.unsqueeze(1))
    return batch | {"attention_mask": seen.tril().unsqueeze(1), "position_ids": position}


LAYOUTS = {"padded": collate, "shared": collate_shared}


def _order(examples: Sequence[TokenizedExample]) -> list[tuple[int, int]]:
    """Return (example, response) of all responses: the chosen first, then the rejected, example by example."""
    rejected = [(b, k) for b, each in enumerate(examples) for k in range(1, len(each.completions))]
    return [(b, 0) for b in range(len(examples))] + rejected


def _packed(sizes: Sequence[int], room: int) -> list[list[int]]:
    """Return rows of indices whose sizes sum to at most `room`: longest first, each into the first row with room."""
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
    """Return what the layouts have in common."""
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
    counts = torch.tensor([len(each.completions) - 1 for each in examples])
    batch = {
        "input_ids": input_ids,
        "sources": torch.tensor(sources),
        "targets": torch.tensor([token for response in responses for token in response]),
        "lengths": torch.tensor([len(response) for response in responses]),
        "negatives": torch.arange(int(counts.max())) < counts.unsqueeze(1),
    }
    if all(each.reference for each in examples):
        batch["reference"] = torch.tensor([examples[b].reference[k] for b, k in _order(examples)])
    return batch


def sum_responses(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Return the sum of each response's token log-probabilities, (S,) → (R,), in a fixed order of addition."""
    return torch.segment_reduce(log_probs, "sum", lengths=lengths)


def split_rows(values: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Split values of the responses, shape (N,), into chosen, (B,), and rejected, (B, K), 0 where there is none.

    >>> chosen, rejected = split_rows(torch.arange(5.0), torch.tensor([[True, True], [True, False]]))
    >>> chosen.tolist(), rejected.tolist()
    ([0.0, 1.0], [[2.0, 3.0], [4.0, 0.0]])
    """
    size = len(negatives)
    rejected = values.new_zeros(negatives.shape).masked_scatter(negatives, values[size:])
    return values[:size], rejected
