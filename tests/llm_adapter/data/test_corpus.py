"""A corpus is the list of its examples, in memory and mapped from the cache."""

import pickle
import tempfile
from dataclasses import replace
from itertools import cycle, islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_adapter.data import cache as token_cache
from llm_adapter.data.corpus import LABELS, Corpus
from llm_adapter.data.examples import NOTES, Fault
from llm_adapter.data.load import Data, with_counterparts
from llm_adapter.data.tokens import TokenizedExample

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=4)
SMALL = st.integers(0, 9)


@st.composite
def example(draw, label=None):
    """Draw a response with a label, or an example of 2 to 5 responses after one prompt or their own."""
    pair = label is None
    count, own = (draw(st.integers(2, 5)), draw(st.booleans())) if pair else (1, False)
    texts = st.lists(IDS, min_size=count, max_size=count).map(tuple)

    return TokenizedExample(
        draw(SMALL),
        [] if own else draw(IDS),
        draw(texts),
        draw(SMALL),
        file=draw(SMALL),
        notes=tuple(draw(st.lists(st.sampled_from([*NOTES]), max_size=3))),
        heads=draw(texts) if own else (),
        label=label,
    )


ANY = st.lists(st.sampled_from(LABELS).flatmap(lambda label: example(label)), max_size=7)
PLACES = st.none() | st.integers(-9, 9)


@given(rows=ANY, bounds=st.tuples(PLACES, PLACES, PLACES.filter(bool)), place=st.integers(-9, 9))
@settings(max_examples=100, deadline=None)
def test_list_of_examples(rows, bounds, place):
    """Length, places, slices, iteration, search and equality are the list's."""
    corpus = Corpus.of(row for row in rows)

    assert len(corpus) == len(rows)
    assert list(corpus) == rows
    assert list(reversed(corpus)) == rows[::-1]
    assert corpus == rows == corpus
    assert corpus[slice(*bounds)] == rows[slice(*bounds)]
    assert corpus[slice(*bounds)].tokens is corpus.tokens
    assert Corpus.of(corpus) is corpus

    if -len(rows) <= place < len(rows):
        assert corpus[place] == rows[place]
        assert corpus.index(rows[place]) == rows.index(rows[place])
    else:
        with pytest.raises(IndexError):
            corpus[place]


@given(rows=ANY)
@settings(max_examples=50, deadline=None)
def test_shapes(rows):
    """Sizes and numbers come from the arrays, and are the examples' own."""
    corpus = Corpus.of(rows)
    sizes, lengths, responses = (values.tolist() for values in corpus.shapes)

    assert sizes == [row.size for row in rows]
    assert lengths == [row.length for row in rows]
    assert responses == [len(row.completions) for row in rows]
    assert corpus.negatives == [count - 1 for count in responses]
    assert corpus.truncated == sum(row.truncated for row in rows)


@given(rows=ANY)
@settings(max_examples=50, deadline=None)
def test_round_trip(rows):
    """The cache returns what it was given, mapped read-only; another process maps the same file."""
    others = [Fault(1, 4, "empty", "chosen: é")], {"id": 2}, 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token_cache.save(folder, "k", (Corpus.of(rows), *others))
        again = token_cache.load(folder, "k")
        assert again is not None
        corpus, *kept = again
        sent = pickle.loads(pickle.dumps(corpus))

        for mapped in (corpus, sent):
            assert isinstance(mapped.tokens, np.memmap)
            assert not mapped.tokens.flags.writeable
            assert mapped == rows

        assert tuple(kept) == others
        token_cache.save(folder, "k", (corpus[::2], *others))  # over the file that is mapped
        assert corpus == rows

    assert pickle.loads(pickle.dumps(corpus)) == rows  # the file is gone


def values_of(rows):
    return np.arange(float(sum(len(row.completions) for row in rows))) / 8


@given(rows=st.lists(example(), min_size=1, max_size=6), limit=st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_overlays(rows, limit):
    """What is attached is attached to the examples, in slices, too."""
    corpus = Corpus.of(rows).with_mismatched(limit)
    others = [strange(rows, place, limit) for place in range(len(rows))]
    expected = [replace(row, mismatched=other) for row, other in zip(rows, others, strict=True)]
    assert corpus == expected

    if others[0]:
        assert corpus.mismatched.tokens is corpus.tokens
        inner = corpus.mismatched.with_reference(values_of(rows) - 1)
        corpus = replace(corpus, mismatched=inner)
        others = with_values(others, values_of(rows) - 1)

    corpus = corpus.with_reference(values_of(rows))
    expected = [
        replace(row, mismatched=other)
        for row, other in zip(with_values(rows, values_of(rows)), others, strict=True)
    ]

    assert corpus == expected
    assert corpus[1::2] == expected[1::2]
    assert Corpus.of(expected) == expected


def with_values(rows, values):
    bounds = pairwise(np.cumsum([0, *(len(row.completions) for row in rows)]))
    return [
        replace(row, reference=tuple(values[start:end]))
        for row, (start, end) in zip(rows, bounds, strict=True)
    ]


def strange(rows, place, limit):
    """Return the responses of the last earlier example with another prompt, counted round, after this one's."""
    row = rows[place]
    earlier = [rows[place - step] for step in range(1, len(rows))]
    others = [other for other in earlier if other.context != row.context]
    if not others:
        return None

    texts = others[0].completions
    room = limit - len(row.prompt) - max((len(head) for head in row.heads), default=0)
    count = len(row.completions)
    cut = tuple(texts[k % len(texts)][: max(1, room)] for k in range(count))
    return TokenizedExample(row.line, row.prompt, cut, file=row.file, heads=row.heads)


def test_overlay_of_some():
    """Values of some examples alone are refused."""
    rows = [TokenizedExample(1, [7], ([1], [2])), TokenizedExample(2, [8], ([3], [4]))]
    valued = replace(rows[0], reference=(-1.0, -2.0))
    with pytest.raises(ValueError, match=r"values: expected one a response, 4, got 2"):
        Corpus.of([valued, rows[1]])
    with pytest.raises(ValueError, match=r"mismatched: expected one of each example or of none"):
        Corpus.of([replace(rows[0], mismatched=rows[1]), rows[1]])


@given(rows=ANY, across=st.booleans())
@settings(max_examples=100, deadline=None)
def test_counterparts(rows, across):
    """Responses alone are paired, the rarer label repeated, after the other examples; or they are dropped."""
    data = with_counterparts(Data(None, Corpus.of(rows), [], {}, len(rows)), across)
    good, bad = ([row for row in rows if row.label is label] for label in (True, False))
    others = [row for row in rows if row.label is None]

    if not (across and good and bad):
        assert data.examples == others
        assert len(data.dropped) == len(rows) - len(others)
        return

    count = max(len(good), len(bad))
    pairs = [
        replace(
            one,
            prompt=[],
            completions=one.completions + two.completions,
            heads=(one.prompt, two.prompt),
            truncated=one.truncated + two.truncated,
            notes=tuple(dict.fromkeys(("across", *one.notes, *two.notes))),
            label=None,
        )
        for one, two in islice(zip(cycle(good), cycle(bad), strict=False), count)
    ]

    assert data.examples == [*others, *pairs]
    assert data.examples.tokens.size == sum(row.size for row in rows)  # no token is copied
