"""All examples of a source over one flat array of tokens, which processes share where it is mapped from a file."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from operator import eq
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from .tokens import TokenizedExample

COLUMNS = ("file", "line", "truncated", "label", "notes", "first", "headed", "responses")
RECORD = np.dtype([(name, np.int32) for name in COLUMNS])
"""Of an example: `label` and `notes` are places in tables, `first` is the place of its first piece."""
LABELS = (None, False, True)  # of a response alone


class Shapes(NamedTuple):
    """`TokenizedExample.size`, `.length` and the number of responses of all examples, each (B,)."""

    sizes: np.ndarray
    lengths: np.ndarray
    responses: np.ndarray


@dataclass(frozen=True, eq=False)
class Corpus(Sequence[TokenizedExample]):
    """Examples whose lists are made when they are asked for; a slice shares the arrays.

    Args:
        tokens: the token ids, (N,), int32.
        pieces: begin and end of P runs of `tokens`, (P, 2). Those of an example follow one another: its prompt, its
            responses, and a prompt of its own for each response where it has `heads`.
        rows: the examples, (B,), as `RECORD`.
        notes: the distinct `notes` of examples; the first has none.
        reference: for each piece that is a response, ln π_ref in nats, (P,), or None.
        mismatched: for each example its `mismatched` one, or None.

    >>> rows = [TokenizedExample(1, [7, 8], ([1, 2], [3])), TokenizedExample(2, [9], ([4], [5]))]
    >>> corpus = Corpus.of(rows)
    >>> corpus.tokens.tolist(), corpus[-1] == rows[1], corpus[:1] == rows[:1]
    ([7, 8, 1, 2, 3, 9, 4, 5], True, True)
    """

    tokens: np.ndarray
    pieces: np.ndarray
    rows: np.ndarray
    notes: tuple[tuple[str, ...], ...] = ((),)
    reference: np.ndarray | None = None
    mismatched: Corpus | None = None

    @classmethod
    def of(cls, examples: Iterable[TokenizedExample]) -> Corpus:
        """Return the examples over an array of their own; a corpus stays as it is.

        Raises:
            ValueError: some examples have `reference` or `mismatched`, others have not.
        """
        if isinstance(examples, Corpus):
            return examples

        tokens, ends, rows, values = array("i"), array("q", [0]), array("i"), array("d")
        notes: dict[tuple[str, ...], int] = {(): 0}
        others = []
        for row in examples:
            label, kind = LABELS.index(row.label), notes.setdefault(row.notes, len(notes))
            counts = (len(ends) - 1, bool(row.heads), len(row.completions))
            rows.extend((row.file, row.line, row.truncated, label, kind, *counts))
            for ids in (row.prompt, *row.completions, *row.heads):
                tokens.extend(ids)
                ends.append(len(tokens))
            values.extend(row.reference)
            others += [row.mismatched] if row.mismatched else []

        records = np.asarray(rows).view(RECORD)
        pieces = np.stack([ends[:-1], ends[1:]], 1)
        corpus = cls(np.asarray(tokens), pieces, records, tuple(notes))
        if others:
            if len(others) < len(records):
                raise ValueError("mismatched: expected one of each example or of none, got some")
            corpus = replace(corpus, mismatched=cls.of(others))

        return corpus.with_reference(np.asarray(values)) if values else corpus

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> TokenizedExample: ...
    @overload
    def __getitem__(self, place: slice) -> Corpus: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            others = self.mismatched and self.mismatched[place]
            return replace(self, rows=self.rows[place], mismatched=others)

        file, line, truncated, label, notes, first, headed, count = self.rows[place].item()
        bounds = self.pieces[first : first + 1 + count * (1 + headed)].tolist()
        tokens = np.asarray(self.tokens)  # a slice of a mapped array costs twice as much
        prompt, *texts = [tokens[start:end].tolist() for start, end in bounds]
        values = ()
        if self.reference is not None:
            values = tuple(self.reference[first + 1 : first + 1 + count].tolist())

        return TokenizedExample(
            line,
            prompt,
            tuple(texts[:count]),
            truncated,
            values,
            file,
            self.notes[notes],
            tuple(texts[count:]),
            LABELS[label],
            self.mismatched[place] if self.mismatched else None,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a worker process, which maps the file of the tokens itself."""
        name = getattr(self.tokens, "filename", None)
        return self.__dict__ | ({"tokens": name} if name and Path(name).exists() else {})

    def __setstate__(self, state: dict[str, Any]) -> None:
        if not isinstance(state["tokens"], np.ndarray):
            state["tokens"] = np.load(state["tokens"], mmap_mode="r")
        self.__dict__.update(state)

    @property
    def negatives(self) -> list[int]:
        """The number of rejected responses of each example."""
        return (self.rows["responses"] - 1).tolist()

    @property
    def truncated(self) -> int:
        """The number of sequences that were cut."""
        return int(self.rows["truncated"].sum())

    @property
    def shapes(self) -> Shapes:
        """What the examples take of a batch, without their lists."""
        _, places, heads = self._responses()
        counts, texts = self.rows["responses"], self._spans[places] + heads
        prompts, starts = self._spans[self.rows["first"]], counts.cumsum() - counts
        sizes = prompts + np.add.reduceat(texts, starts)

        return Shapes(sizes, prompts + np.maximum.reduceat(texts, starts), counts)

    @property
    def _spans(self) -> np.ndarray:
        """The tokens of each piece."""
        return self.pieces[:, 1] - self.pieces[:, 0]

    def _responses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return, for each response, the place of its example and of its piece, and the tokens of its head."""
        counts, headed = self.rows["responses"], self.rows["headed"]
        owners = np.repeat(np.arange(len(self)), counts)
        numbers = np.arange(len(owners)) - (counts.cumsum() - counts)[owners]
        places = self.rows["first"][owners] + 1 + numbers
        heads = headed[owners] * self._spans[places + (counts * headed)[owners]]

        return owners, places, heads

    def with_reference(self, values: np.ndarray) -> Corpus:
        """Return the examples with ln π_ref of all responses, in nats, example by example, (S,).

        Raises:
            ValueError: another number of values.
        """
        _, places, _ = self._responses()
        if len(values) != len(places):
            raise ValueError(f"values: expected one a response, {len(places)}, got {len(values)}")
        reference = np.zeros(len(self.pieces))
        reference[places] = values

        return replace(self, reference=reference)

    def with_pairs(self, good: np.ndarray, bad: np.ndarray) -> Corpus:
        """Return the examples of several responses, then pairs of those alone, each response after its own prompt.

        Args:
            good, bad: places of examples with either label, (n,); one may stand several times.
        """
        one, two = self.rows[good], self.rows[bad]
        firsts = np.stack([one["first"] + 1, two["first"] + 1, one["first"], two["first"]], 1)
        empty = np.zeros((len(good), 1, 2), np.int64)  # their common prompt
        pieces = np.concatenate([empty, self.pieces[firsts]], 1).reshape(-1, 2)

        notes = {kind: place for place, kind in enumerate(self.notes)}
        kinds = []
        for pair in zip(one["notes"].tolist(), two["notes"].tolist(), strict=True):
            kind = dict.fromkeys(("across", *(note for i in pair for note in self.notes[i])))
            kinds.append(notes.setdefault(tuple(kind), len(notes)))

        pairs = one.copy()
        pairs["truncated"] += two["truncated"]
        pairs["label"], pairs["headed"], pairs["responses"], pairs["notes"] = 0, 1, 2, kinds
        pairs["first"] = len(self.pieces) + 5 * np.arange(len(pairs))
        rows = np.concatenate([self.rows[self.rows["label"] == 0], pairs])

        return Corpus(self.tokens, np.concatenate([self.pieces, pieces]), rows, tuple(notes))

    def with_mismatched(self, limit: int) -> Corpus:
        """Return the examples, each with responses of an earlier one after its own prompts, cut at `limit` tokens.

        Responses to other prompts estimate how far the policy has moved from the reference. Where all prompts are the
        same there are none, and the examples stay as they are.

        Reference: Ethayarajh et al. 2024 (arXiv 2402.01306), section 4.1, z₀.

        >>> rows = [TokenizedExample(1, [7], ([1], [2])), TokenizedExample(2, [8], ([3], [4]))]
        >>> [(row.mismatched.prompt, row.mismatched.completions) for row in Corpus.of(rows).with_mismatched(9)]
        [([7], ([3], [4])), ([8], ([1], [2]))]
        """
        contexts = [sha256(array("i", row.context)).digest() for row in self]
        if len({*contexts}) < 2:
            return self

        earlier = [
            next(i - step for step in range(1, len(self)) if contexts[i - step] != contexts[i])
            for i in range(len(self))
        ]
        owners, places, heads = self._responses()
        others = self.rows[earlier][owners]
        numbers = places - self.rows["first"][owners] - 1
        texts = self.pieces[others["first"] + 1 + numbers % others["responses"]]

        counts = self.rows["responses"]
        longest = np.maximum.reduceat(heads, counts.cumsum() - counts)
        room = np.maximum(1, limit - self._spans[self.rows["first"]] - longest)[owners]
        texts[:, 1] = np.minimum(texts[:, 1], texts[:, 0] + room)

        pieces, rows = self.pieces.copy(), self.rows.copy()
        pieces[places] = texts
        rows["truncated"] = rows["label"] = rows["notes"] = 0
        return replace(self, mismatched=Corpus(self.tokens, pieces, rows))
