"""Decoding: an item of an array is read, or refused, as the same object on a line."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_adapter.data.decoding import decode, items
from llm_adapter.data.load import read_examples
from tests.llm_adapter.data.shared import GOOD, lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(values=st.lists(VALUES, max_size=5), indent=st.sampled_from([None, 0, 2]))
def test_items(values, indent):
    text = json.dumps(values, indent=indent, ensure_ascii=False)
    assert [decode(item) for item in items(f" {text}\n")] == values


@given(values=st.lists(VALUES, min_size=1, max_size=3), place=st.integers(0, 99))
def test_damaged_array(values, place):
    """An array with a character missing at either end, or one too many, is refused."""
    text = json.dumps(values)
    for other in (text[:-1], text[1:], f"{text}]", f"[{text[1:-1]},]"):
        with pytest.raises(ValueError, match="expected a JSON array, got unparsable text"):
            list(items(other))


FAULTY = {
    "a key twice": '{"prompt": "?", "chosen": "4", "rejected": "5", "chosen": "6"}',
    "a key twice, inside": '{"prompt": "?", "chosen": "4", "rejected": "5", "a": {"b": 1, "b": 2}}',
    "digits": json.dumps(GOOD)[:-1] + f', "n": {"9" * 5000}}}',
    "no object": "[1]",
    "half a pair": json.dumps(GOOD | {"chosen": "\ud800"}),
    "a missing key": "{}",
}


@pytest.mark.parametrize("name", FAULTY)
def test_both_forms(tmp_path, name):
    """A line and an item of an array are refused by the same words."""
    rows = [json.dumps(GOOD), FAULTY[name]]
    messages = []
    for path in (tmp_path / "data.jsonl", tmp_path / "data.json"):
        path.write_text("\n".join(rows) if path.suffix == ".jsonl" else f"[{','.join(rows)}]")
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}:2: ") as error:
            read_examples(path)
        messages.append(str(error.value).removeprefix(str(path)))

    assert messages[0] == messages[1]


def test_deep_array(tmp_path):
    path = tmp_path / "data.json"
    path.write_text(f"[{json.dumps(GOOD)},\n{'[' * 100_000}")
    with pytest.raises(ValueError, match=r"data.json: .* array, got objects nested .* \(line 2\)$"):
        read_examples(path)


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("key", ["tools", "chat_template_kwargs"])
@pytest.mark.parametrize("text", [DEEP, "{", '{"a": 1, "a": 2}', "9" * 5000])
def test_text_in_row(tmp_path, key, text):
    """JSON text inside a row is decoded, and named, in the same way."""
    path = lines(tmp_path / "data.jsonl", GOOD, GOOD | {key: text})
    with pytest.raises(ValueError, match=rf"data.jsonl:2: {key}: (\w+: )?expected"):
        read_examples(path)
