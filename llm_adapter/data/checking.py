"""Check all rows of a source: those that are examples, and what is wrong with the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from .examples import Example, Fault, Unusable
from .layouts import labelled, one_layout
from .rows import decode, parse_row
from .sources import Row, Source


def check_rows(
    source: Source, max_negatives: int | None, rows: int | None = None
) -> tuple[list[Example], list[Fault]]:
    """Return the examples and the faults of a source, in order.

    Args:
        source: where the rows are read.
        max_negatives: rejected responses that are kept of each row; None: all.
        rows: how many rows are read; None: all.
    """
    examples: list[Example] = []
    faults: list[Fault] = []
    seen: dict[bytes, tuple[int, int]] = {}
    preferred: set[bytes] = set()  # hashes of prompt, chosen and rejected response
    groups: dict[bytes, list[tuple[Row, dict, bool]]] = {}  # rows of one response, by prompt

    def check(row: Row, value: object) -> Example:
        example = _kept(parse_row(value), max_negatives)
        example = replace(example, line=row.line, file=row.file)
        prompt, chosen, rejected = example.prompt, example.chosen, example.rejected
        here = (row.file, row.line)
        content = _hash(example.system, example.tools, prompt, chosen, rejected, example.label)
        file, line = seen.setdefault(content, here)
        if (file, line) != here:
            where = f"{Path(source.files[file]).name}:{line}"
            raise Unusable("duplicate", f"prompt: expected a new example, got a copy of {where}")
        if any(_hash(prompt, other, chosen) in preferred for other in rejected):
            example = replace(example, notes=(*example.notes, "reversed"))

        preferred.update(_hash(prompt, chosen, other) for other in rejected)
        return example

    def add(row: Row, value: object) -> None:
        try:
            examples.append(check(row, value))
        except ValueError as error:
            faults.append(Fault(row.file, row.line, getattr(error, "reason", ""), str(error)))

    for row in islice(source.rows(), rows):
        alone = _try_labelled(row.value)
        if alone is None:
            add(row, row.value)
        else:
            groups.setdefault(_asked(alone[0]), []).append((row, *alone))

    for group in groups.values():
        for row, value in _paired(group):
            add(row, value)

    examples.sort(key=lambda example: (example.file, example.line))
    faults.sort(key=lambda fault: (fault.file, fault.line))
    return examples, faults


def _try_labelled(value: object) -> tuple[dict, bool] | None:
    """Return a row of one response and its label, or nothing: the check of the row names what is wrong."""
    try:
        return labelled(decode(value) if isinstance(value, bytes) else value)
    except ValueError:
        return None


def _asked(value: dict) -> bytes:
    """Return a hash of all that comes before the response."""
    row = one_layout(value)
    prompt, response = row.get("prompt"), row["chosen"]
    if prompt is None and isinstance(response, list):
        prompt = response[:-1]
    return _hash(prompt, [row.get(key) for key in ("system", "tools", "chat_template_kwargs")])


def _paired(group: list[tuple[Row, dict, bool]]) -> Iterator[tuple[Row, object]]:
    """Yield each response with a good label, against all with a bad one; rows without a counterpart as they are."""
    good = [(row, value) for row, value, label in group if label]
    bad = [value["chosen"] for _, value, label in group if not label]
    if not good or not bad:
        yield from ((row, row.value) for row, _, _ in group)
        return

    for row, value in good:
        yield row, value | {"rejected": bad}


def _kept(example: Example, max_negatives: int | None) -> Example:
    """Return the example with at most the first `max_negatives` rejected responses."""
    sampled = example.sampled
    if sampled and max_negatives:
        sampled = replace(sampled, completions=sampled.completions[: 1 + max_negatives])
    return replace(example, rejected=example.rejected[:max_negatives], sampled=sampled)


def _hash(*content: object) -> bytes:
    text = json.dumps(content, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()
