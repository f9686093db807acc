"""Compute a batch in several passes through the model, each of at most so many tokens, and share them among processes.

An optimiser step keeps its examples, so its gradient, the mean over them, is the same whatever the number of passes. A
pass takes the longest examples first, so passes are full and, in padded rows, of like length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from ..data.collate import packed
from ..data.corpus import Corpus
from ..data.tokens import TokenizedExample


def costs(examples: Sequence[TokenizedExample], layout: str) -> np.ndarray:
    """Return the positions that each example takes by itself in a layout, (B,).

    >>> pair = TokenizedExample(1, [1, 2, 3], ([4, 5], [6]))
    >>> costs([pair], "shared").item(), costs([pair], "padded").item()
    (6, 10)
    """
    shapes = Corpus.of(examples).shapes
    return shapes.sizes if layout == "shared" else shapes.responses * shapes.lengths


def passes(
    examples: Sequence[TokenizedExample], tokens: float, layout: str, least: int = 1
) -> list[list[int]]:
    """Return indices of examples for each pass: at least `least` passes, of at most `tokens` positions.

    An example that is longer has a pass of its own: `check` refuses it at the start of a run.

    Args:
        examples: at least `least` of them.
        tokens: positions of a pass.
        layout: a key of `collate.LAYOUTS`.
        least: the number of passes in other processes, which must be met.

    >>> rows = [TokenizedExample(1, [1], ([1] * n, [2])) for n in (3, 9, 1, 6)]
    >>> passes(rows, 12, "shared"), passes(rows, 12, "shared", least=3)
    ([[1], [3, 2], [0]], [[1], [3, 2], [0]])
    """
    sizes, lengths, responses = (part.tolist() for part in Corpus.of(examples).shapes)
    if layout == "shared":
        groups = packed(sizes, tokens)
    else:
        groups, rows = [], 0
        for index in sorted(range(len(examples)), key=lambda index: -lengths[index]):
            rows += responses[index]
            if groups and rows * lengths[groups[-1][0]] <= tokens:
                groups[-1].append(index)
            else:
                groups.append([index])
                rows = responses[index]

    while len(groups) < min(least, len(examples)):
        largest = max(range(len(groups)), key=lambda group: len(groups[group]))
        group = groups[largest]
        groups[largest : largest + 1] = [group[::2], group[1::2]]

    return groups


def check(
    examples: Sequence[TokenizedExample], tokens: int | None, layout: str, name: str = "line"
) -> None:
    """Refuse an example that takes more positions than a pass may have.

    Raises:
        ValueError: the longest such example, by its line.
    """
    positions = costs(examples, layout)
    longest = examples[int(positions.argmax())]
    if tokens and positions.max() > tokens:
        raise ValueError(
            f"max_tokens_per_batch: expected at least {positions.max()}, the {layout} row of "
            f"{name} {longest.line} with {len(longest.completions)} responses, got {tokens} (a smaller "
            "--max_length or --max_negatives makes it shorter)"
        )


class Balanced(Sampler[int]):
    """Deal the examples of a round of batches out to the processes, so that all have like numbers of tokens.

    Every process has as many examples as before, and a round has the same examples.
    """

    def __init__(self, sampler: Any, sizes: Sequence[int], batch: int, processes: int) -> None:
        self.sampler, self.sizes, self.batch, self.processes = sampler, sizes, batch, processes

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        window: list[int] = []
        for index in self.sampler:
            window.append(index)
            if len(window) == self.batch * self.processes:
                yield from self._dealt(window)
                window = []

        yield from window

    def _dealt(self, window: list[int]) -> Iterator[int]:
        hands: list[list[int]] = [[] for _ in range(self.processes)]
        loads = [0] * self.processes
        for index in sorted(window, key=lambda index: -self.sizes[index]):
            free = [p for p in range(self.processes) if len(hands[p]) < self.batch]
            least = min(free, key=lambda p: loads[p])
            hands[least].append(index)
            loads[least] += self.sizes[index]

        for hand in hands:
            yield from hand

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to the sampler that draws the order."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)
