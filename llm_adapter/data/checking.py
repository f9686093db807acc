"""Check all rows of a source: those that are examples, and what is wrong with the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from .examples import Example, Fault, Unusable
from .rows import decode, parse_row
from .sources import Row, Source

UNPAIRED = "label: expected a row of the other label with the same prompt, got none"


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
    labelled: dict[
        bytes, list[tuple[Row, dict]]
    ] = {}  # rows of one response and its label, by prompt

    def check(row: Row, value: object) -> Example:
        example = _kept(parse_row(value), max_negatives)
        example = replace(example, line=row.line, file=row.file)
        prompt, chosen, rejected = example.prompt, example.chosen, example.rejected
        here = (row.file, row.line)
        content = _hash(example.system, example.tools, prompt, chosen, rejected)
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
        value = _try_decode(row.value)
        if isinstance(value, dict) and "label" in value and "completion" in value:
            key = _hash(*(value.get(name) for name in ("system", "tools", "prompt")))
            labelled.setdefault(key, []).append((row, value))
        else:
            add(row, row.value)
    for group in labelled.values():
        for row, value in _paired(group):
            if "chosen" in value:
                add(row, value)
            else:
                faults.append(Fault(row.file, row.line, "unpaired", UNPAIRED))
    examples.sort(key=lambda example: (example.file, example.line))
    faults.sort(key=lambda fault: (fault.file, fault.line))
    return examples, faults


def _try_decode(value: object) -> object:
    """Return the object that JSON bytes hold, or nothing: the check of the row names what is wrong."""
    try:
        return decode(value) if isinstance(value, bytes) else value
    except ValueError:
        return None


def _paired(group: list[tuple[Row, dict]]) -> Iterator[tuple[Row, dict]]:
    """Yield each response with a good label, against all with a bad one; rows without a counterpart as they are."""
    good = [(row, value) for row, value in group if value["label"]]
    bad = [value["completion"] for _, value in group if not value["label"]]
    if not good or not bad:
        yield from group
        return
    for row, value in good:
        others = {key: part for key, part in value.items() if key not in ("completion", "label")}
        yield row, others | {"chosen": value["completion"], "rejected": bad}


def _kept(example: Example, max_negatives: int | None) -> Example:
    """Return the example with at most the first `max_negatives` rejected responses."""
    sampled = example.sampled
    if sampled and max_negatives:
        sampled = replace(sampled, completions=sampled.completions[: 1 + max_negatives])
    return replace(example, rejected=example.rejected[:max_negatives], sampled=sampled)


def _hash(*content: object) -> bytes:
    return hashlib.sha256(json.dumps(content, default=str).encode()).digest()
