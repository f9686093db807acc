"""Checking: rows are copies, or one the reverse of another, only where all that shapes their tokens is the same."""

import pytest

from llm_adapter.data.checking import check_rows
from llm_adapter.data.load import read_examples
from llm_adapter.data.sources import open_source
from tests.llm_adapter.data.shared import GOOD, SPOKEN, lines, said

SHAPES = {  # two values of each key that shapes the tokens beside prompt and responses
    "system": ("Add.", "Lie."),
    "tools": ([{"name": "add"}], [{"name": "lie"}]),
    "chat_template_kwargs": ({"enable_thinking": True}, {"enable_thinking": False}),
}
TURNED = GOOD | {"chosen": GOOD["rejected"], "rejected": GOOD["chosen"]}


@pytest.mark.parametrize("key", SHAPES)
def test_shapes(tmp_path, key):
    one, two = SHAPES[key]
    copies = [GOOD, GOOD | {key: one}, GOOD | {key: two}, GOOD | {key: one, "id": 7}]
    examples, faults = check_rows(open_source(lines(tmp_path / "a.jsonl", *copies)), None)
    assert [example.line for example in examples] == [1, 2, 3]
    assert [(fault.line, fault.reason) for fault in faults] == [(4, "duplicate")]

    pairs = [GOOD | {key: one}, TURNED | {key: two}, TURNED | {key: one}]
    notes = [example.notes for example in read_examples(lines(tmp_path / "b.jsonl", *pairs))]
    assert notes == [(), (), ("reversed",)]


def test_fields_of_messages(tmp_path):
    """A name or a thought in a message is part of the row."""
    rows = [SPOKEN]
    rows += [SPOKEN | {"prompt": [said("user", "2 + 2?") | {"name": "Ada"}]}]
    rows += [SPOKEN | {"chosen": [said("assistant", "4") | {"reasoning_content": "Hm."}]}]
    assert len(read_examples(lines(tmp_path / "a.jsonl", *rows))) == 3


def test_sampled_copies(tmp_path):
    """The same text in other sampled tokens is another example."""
    tokens = {"vocabulary": "v", "prompt": [1], "chosen": [2], "rejected": [[3]]}
    rows = [GOOD | {"tokens": tokens}, GOOD | {"tokens": tokens | {"chosen": [4, 5]}}]
    assert len(read_examples(lines(tmp_path / "a.jsonl", *rows))) == 2
