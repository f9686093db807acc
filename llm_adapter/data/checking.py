"""Check all rows of a source, each by itself: those that are examples, and what is wrong with the others."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from .examples import Example, Fault, Unusable
from .pairing import asked, content_hash
from .rows import parse_row
from .sources import Row, Source


def check_rows(
    source: Source, max_negatives: int | None, rows: int | None = None
) -> tuple[list[Example], list[Fault]]:
    """Return the examples and the faults of a source, in order: one or the other for each row.

    Args:
        source: where the rows are read.
        max_negatives: rejected responses that are kept of each row; None: all.
        rows: how many rows are read; None: all.
    """
    examples: list[Example] = []
    faults: list[Fault] = []
    seen: dict[bytes, tuple[int, int]] = {}

    def check(row: Row) -> Example:
        example = _kept(parse_row(row.value), max_negatives)
        here = (row.file, row.line)
        responses = (example.chosen, example.rejected, example.label, example.sampled)
        file, line = seen.setdefault(content_hash(asked(example), *responses), here)
        if (file, line) != here:
            where = f"{Path(source.files[file]).name}:{line}"
            raise Unusable("duplicate", f"prompt: expected a new example, got a copy of {where}")

        return replace(example, line=row.line, file=row.file)

    for row in islice(source.rows(), rows):
        try:
            examples.append(check(row))
        except Exception as error:  # of a value that nobody thought of: its row is named, too
            faults.append(Fault.of(row, error))

    return examples, faults


def _kept(example: Example, max_negatives: int | None) -> Example:
    """Return the example with at most the first `max_negatives` rejected responses."""
    sampled = example.sampled
    if sampled and max_negatives:
        sampled = replace(sampled, completions=sampled.completions[: 1 + max_negatives])
    return replace(example, rejected=example.rejected[:max_negatives], sampled=sampled)
