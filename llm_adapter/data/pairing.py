"""Pair rows of one response and a label: each good response stands against all bad ones of its prompt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .examples import Example, Fault, Sampled


def pair(
    examples: Sequence[Example], max_negatives: int | None
) -> tuple[list[Example], list[Fault]]:
    """Return the examples in order, those with labels paired by their prompts, and the rows that contradict others.

    A row whose prompt has no row of the other label stays as it is. One that prefers what an earlier one rejects is
    noted.

    Args:
        examples: checked rows, each by itself.
        max_negatives: bad responses that are kept for each good one; None: all.
    """
    paired = [example for example in examples if example.label is None]
    faults: list[Fault] = []
    for group in _groups(examples):
        group, contradicted = _consistent(group)
        faults += contradicted
        good, bad = _by_label(group)
        if good and bad:
            paired += [_joined(one, bad[:max_negatives], good[0]) for one in good]
        else:
            paired += group

    return list(_with_reversed(sorted(paired, key=_place))), faults


def with_both_labels(examples: Sequence[Example]) -> list[Example]:
    """Return the rows whose prompt has rows of both labels."""
    return [row for group in _groups(examples) if all(_by_label(group)) for row in group]


def left_out(faults: Sequence[Fault], examples: Sequence[Example]) -> list[Fault]:
    """Return a fault for each bad row all of whose pairs are faulty, with the reason of one."""
    causes = {(fault.file, fault.line): fault for fault in faults}
    used = {
        place for example in examples if _place(example) not in causes for place in example.partners
    }
    lost = {
        place: causes[_place(example)]
        for example in examples
        if _place(example) in causes
        for place in example.partners
        if place not in used
    }

    return [replace(cause, file=file, line=line) for (file, line), cause in lost.items()]


def content_hash(*content: object) -> bytes:
    """Return a hash of values that JSON can write, and of others by their text."""
    text = json.dumps(content, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def asked(example: Example) -> bytes:
    """Return a hash of all that comes before the response."""
    return content_hash(example.system, example.tools, example.template, example.prompt)


def _place(row: Example | Fault) -> tuple[int, int]:
    return row.file, row.line


def _groups(examples: Sequence[Example]) -> list[list[Example]]:
    """Return the rows with labels, those of one prompt together."""
    groups: dict[bytes, list[Example]] = {}
    for example in examples:
        if example.label is not None:
            groups.setdefault(asked(example), []).append(example)

    return list(groups.values())


def _by_label(group: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the good rows and the bad ones."""
    return [row for row in group if row.label], [row for row in group if not row.label]


def _consistent(group: Sequence[Example]) -> tuple[list[Example], list[Fault]]:
    """Return the rows whose response has one label, and faults for the others."""
    good, bad = ([row.chosen for row in rows] for rows in _by_label(group))
    kept, faults = [], []
    for row in group:
        if row.chosen in (bad if row.label else good):
            message = (
                "completion: expected one label for a response, got both in rows of one prompt"
            )
            faults.append(Fault(row.file, row.line, "identical", message))
        else:
            kept.append(row)

    return kept, faults


def _joined(good: Example, bad: Sequence[Example], first: Example) -> Example:
    """Return a good row with bad ones as its rejected responses; the `first` good one counts their ignored keys."""
    rows = [good, *bad]
    ignored = [key for row in bad for key in row.ignored] if good is first else []
    return replace(
        good,
        label=None,
        rejected=tuple(row.chosen for row in bad),
        partners=tuple(map(_place, bad)),
        sampled=_sampled([row.sampled for row in rows]),
        notes=tuple(dict.fromkeys(note for row in rows for note in row.notes)),
        ignored=(*good.ignored, *ignored),
    )


def _sampled(pieces: Sequence[Sampled | None]) -> Sampled | None:
    """Return the sampled ids of all rows, which no vocabulary has where their prompts or vocabularies differ."""
    own = [piece for piece in pieces if piece]
    if not own:
        return None
    if len(own) < len(pieces) or any(
        (piece.vocabulary, piece.prompt) != (own[0].vocabulary, own[0].prompt) for piece in own
    ):
        return Sampled("", [], ())
    return replace(own[0], completions=tuple(piece.completions[0] for piece in own))


def _with_reversed(examples: Sequence[Example]) -> Iterator[Example]:
    """Yield the examples, with a note on one that prefers a response which an earlier one rejects."""
    preferred: set[bytes] = set()  # hashes of prompt, chosen and rejected response
    for example in examples:
        before, chosen = asked(example), example.chosen
        if any(content_hash(before, other, chosen) in preferred for other in example.rejected):
            yield replace(example, notes=(*example.notes, "reversed"))
        else:
            yield example
        preferred.update(content_hash(before, chosen, other) for other in example.rejected)
