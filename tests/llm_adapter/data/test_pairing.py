"""Rows of one response and a label: each ends as used or as dropped, by its own line, whatever stands beside it."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ByT5Tokenizer

from llm_adapter.data.load import prepare, read_examples
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import Options, vocabulary_digest
from tests.llm_adapter.data.shared import GOOD, lines

QUESTION = "1 + 1?"


def row(completion, label, prompt=QUESTION, **others):
    return {"prompt": prompt, "completion": completion, "label": label} | others


def outcome(path, max_negatives=None, **options):
    """Return the texts of chosen and rejected responses of each example, and the reasons of dropped lines."""
    tokenizer, options = ByT5Tokenizer(), Options(**{"max_length": 20} | options)
    data = prepare(open_source(path), tokenizer, options, max_negatives)
    texts = [
        (example.label, [tokenizer.decode(ids[:-1]) for ids in example.completions])
        for example in data.examples
    ]

    assert data.rows == len(path.read_text().splitlines())
    return texts, {fault.line: fault.reason for fault in data.dropped}


CASES = {  # rows → examples with the labels that they keep, and the reasons of dropped lines
    "an empty bad one": (
        [row("2", True), row(" ", False), row("3", False), row("two", True)],
        [(None, ["2", "3"]), (None, ["two", "3"])],
        {2: "empty"},
    ),
    "an image beside a bad one": (
        [row("2", True), row("3", False, images=["cat.png"]), row("4", False)],
        [(None, ["2", "4"])],
        {2: "images"},
    ),
    "the only bad one is empty": (
        [row("2", True), row(" ", False)],
        [(True, ["2"])],
        {2: "empty"},
    ),
    "the only good one is too long": (
        [row("2" * 30, True), row("3", False), row("4", False)],
        [(False, ["3"]), (False, ["4"])],
        {1: "too_long"},
    ),
    "a bad one is too long": (
        [row("2", True), row("3" * 30, False), row("4", False)],
        [(None, ["2", "4"])],
        {2: "too_long"},
    ),
    "both labels for one response": (
        [row("2", True), row("2", False), row("3", False), row("two", True)],
        [(None, ["two", "3"])],
        {1: "identical", 2: "identical"},
    ),
    "a copy": (
        [row("2", True), row("3", False), row("3", False), row("2", True)],
        [(None, ["2", "3"])],
        {3: "duplicate", 4: "duplicate"},
    ),
    "the prompt is too long": (
        [row("2", True, "1" * 30), row("3", False, "1" * 30)],
        [],
        {1: "too_long", 2: "too_long"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(tmp_path, name):
    rows, examples, reasons = CASES[name]
    path = lines(tmp_path / "data.jsonl", *rows)
    assert outcome(path, truncation="drop") == (examples, reasons)


def test_cut_pairs(tmp_path):
    """Responses that are the same once cut are dropped together, unless another pair has one of them."""
    rows = [row("3" * 30, True), row("3" * 31, False), row("4", False)]
    path = lines(tmp_path / "data.jsonl", *rows)
    assert outcome(path) == ([], dict.fromkeys((1, 2, 3), "identical"))

    path = lines(path, *rows, row("two", True))
    (example,), reasons = outcome(path)
    assert (example[1][0], reasons) == ("two", {1: "identical"})


KINDS = {  # name: the response of line n, and what else its row has
    "good": ("{:02}", {"label": True}),
    "bad": ("{:02}", {"label": False}),
    "empty": ("\t", {"label": False}),
    "long": ("{:02}" + "2" * 30, {"label": True}),
    "seen": ("{:02}", {"label": False, "images": ["cat.png"]}),
    "asks too long": ("{:02}", {"label": True, "prompt": "3" * 30}),
    "other": ("{:02}", {"label": True, "prompt": "2 + 2?"}),
    "pair": ("{:02}", {}),
}


@given(
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=8),
    truncation=st.sampled_from(["right", "left_prompt", "drop"]),
)
@settings(max_examples=60, deadline=None)
def test_every_line(kinds, truncation):
    """A row is used or dropped beside others as it is alone, and dropped for the same reason."""
    rows, texts = [], []
    for number, kind in enumerate(kinds):
        text, others = KINDS[kind]
        texts.append(text.format(number))
        rows.append(row(texts[-1], **{"label": None} | others))
        if kind == "pair":
            rows[-1] = GOOD | {"prompt": QUESTION, "chosen": texts[-1]}

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data.jsonl"
        alone = [outcome(lines(path, value), truncation=truncation)[1] for value in rows]
        used, dropped = outcome(lines(path, *rows), truncation=truncation)

    assert dropped == {line: reasons[1] for line, reasons in enumerate(alone, 1) if reasons}

    shown = [text for _, responses in used for text in responses]
    for line, text in enumerate(texts, 1):
        assert any(response.startswith(text[:2]) for response in shown) == (line not in dropped)


@pytest.mark.parametrize("bad", [5, None, [], [{"role": "assistant"}]])
def test_fatal_partner(tmp_path, bad):
    """A bad row that is no row is named by its own line."""
    path = lines(tmp_path / "data.jsonl", row("2", True), row("3", False) | {"completion": bad})
    with pytest.raises(ValueError, match=r"^\S*data.jsonl:2: (completion|chosen): expected"):
        read_examples(path)


def test_kept_partners(tmp_path):
    """What a bad row says beside its text is not lost: notes, ignored keys, sampled tokens."""
    tokenizer = ByT5Tokenizer()
    ids = {text: tokenizer(text)["input_ids"] for text in ("2", "3", QUESTION)}

    def tokens(text, name=None):
        own = {"vocabulary": name or vocabulary_digest(tokenizer)}
        return own | {"prompt": ids[QUESTION][:-1], "chosen": ids[text]}

    rows = [row("2", True, tokens=tokens("2")), row("3", False, tokens=tokens("3"), id=7)]
    path = lines(tmp_path / "data.jsonl", *rows)
    data = prepare(open_source(path), tokenizer, Options(20))
    assert (data.notes, data.ignored) == ({"sampled": 1}, {"id": 1})
    assert data.examples[0].completions == (ids["2"], ids["3"])

    for other in (row("3", False), row("3", False, tokens=tokens("3", "another"))):
        lines(path, rows[0], other)
        mixed = prepare(open_source(path), tokenizer, Options(20))
        assert mixed.notes == {"retokenised": 1}
        assert mixed.examples[0].completions == data.examples[0].completions


def test_fewer_partners(tmp_path):
    path = lines(tmp_path / "data.jsonl", *(row(text, text == "2") for text in "2345"))
    assert outcome(path, max_negatives=2) == ([(None, ["2", "3", "4"])], {})
