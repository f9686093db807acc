"""Data: every refusal names its file and line; token ids are what the tokenizer and the template say."""

import json

import pytest
from transformers import ByT5Tokenizer

from llm_adapter import make_pairs
from llm_adapter.arguments import PAIRS
from llm_adapter.data import SHOWN, read_examples, tokenize

GOOD = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def write(tmp_path, *rows):
    path = tmp_path / "data.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{not json", "expected a JSON object, got unparsable text"),
        ("[1]", "expected a JSON object, got a list"),
        ("null", "expected a JSON object, got null"),
        ({"prompt": "a", "chosen": "b"}, "rejected: expected this key"),
        (GOOD | {"prompt": 3}, "prompt: expected a string or a non-empty list of messages, got a number"),
        (GOOD | {"chosen": None}, "chosen: expected a string or a non-empty list of messages, got null"),
        (GOOD | {"rejected": []}, "rejected: expected a string or a non-empty list of messages, got an empty list"),
        (GOOD | {"rejected": ["5", 6]}, "rejected: expected a string or a non-empty list of messages, got a number"),
        (GOOD | {"chosen": [{"role": "assistant"}]}, "chosen: expected messages with string 'role' and 'content'"),
        (GOOD | {"prompt": ["a"]}, "prompt: expected messages with string 'role' and 'content', got a string"),
        (GOOD | {"chosen": " \n"}, "chosen: expected a response, got an empty one"),
        (GOOD | {"rejected": ["5", "\t"]}, "rejected: expected a response, got an empty one"),
        (GOOD | {"chosen": [{"role": "assistant", "content": ""}]}, "chosen: expected a response, got an empty one"),
        (GOOD | {"rejected": ["5", "4"]}, "chosen: expected a response that differs from every rejected one"),
        (
            '{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}',
            "prompt: expected text, got half of a surrogate pair",
        ),
    ],
)
def test_bad_line_is_named(tmp_path, row, message):
    path = write(tmp_path, GOOD, "", row)
    with pytest.raises(ValueError, match=r"data.jsonl:3: ") as error:
        read_examples(path)
    assert str(error.value).startswith(f"{path}:3: {message}")


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(ValueError, match=r"none.jsonl: expected a file of JSON lines, got no such file"):
        read_examples(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="got a folder"):
        read_examples(tmp_path)
    with pytest.raises(ValueError, match=r"data.jsonl: expected at least one example, got an empty file"):
        read_examples(write(tmp_path, "", ""))
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}\n')
    with pytest.raises(ValueError, match=r"latin.jsonl:1: expected UTF-8"):
        read_examples(tmp_path / "latin.jsonl")


def test_all_bad_lines_are_counted_and_some_listed(tmp_path):
    same = GOOD | {"rejected": ["5", "4"]}
    path = write(tmp_path, *[same] * (SHOWN + 3), GOOD)
    with pytest.raises(ValueError, match=rf"^{SHOWN + 3} bad lines: ") as error:
        read_examples(path)
    assert str(error.value).count("identical") == SHOWN
    assert str(error.value).endswith("and 3 more")


def test_rejected_forms_and_max_negatives(tmp_path):
    message = [{"role": "assistant", "content": "5"}]
    other = [{"role": "assistant", "content": "6"}]
    rejected = ["5", ["5", "6", "7"], message, [message, other]]
    path = write(tmp_path, *(GOOD | {"rejected": each} for each in rejected))
    assert [len(example.rejected) for example in read_examples(path)] == [1, 3, 1, 2]
    assert [len(example.rejected) for example in read_examples(path, max_negatives=2)] == [1, 2, 1, 2]
    assert read_examples(path)[3].rejected == (message, other)


def test_plain_text_gets_eos_and_no_other_special_token(tmp_path):
    tokenizer = ByT5Tokenizer()
    (example,) = tokenize(read_examples(write(tmp_path, GOOD)), tokenizer, 64, "data.jsonl")
    assert tokenizer.decode(example.prompt) == "2 + 2?"
    assert [tokenizer.decode(ids) for ids in example.completions] == ["4</s>", "5</s>"]


def test_conversations_follow_the_template(tmp_path):
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    path = write(
        tmp_path,
        {
            "prompt": [{"role": "user", "content": "2 + 2?"}],
            "chosen": "4",
            "rejected": [[{"role": "assistant", "content": "5"}]],
        },
        GOOD,
    )
    first, second = tokenize(read_examples(path), tokenizer, 64, path, chat=True)
    assert first.prompt == second.prompt
    assert first.completions == second.completions
    assert tokenizer.decode(first.prompt) == "<user>2 + 2?</s><assistant>"
    assert [tokenizer.decode(ids) for ids in first.completions] == ["4</s>", "5</s>"]


def test_templates_that_cannot_be_used_are_refused(tmp_path):
    path = write(tmp_path, GOOD)
    with pytest.raises(ValueError, match=r"data.jsonl:1: prompt: expected a tokenizer with a chat template"):
        tokenize(read_examples(path), ByT5Tokenizer(), 64, path, chat=True)
    backwards = "{% for m in messages | reverse %}{{ m.content }}{% endfor %}"
    with pytest.raises(ValueError, match=r"data.jsonl:1: prompt: expected a chat template that begins"):
        tokenize(read_examples(path), ByT5Tokenizer(chat_template=backwards), 64, path, chat=True)


def test_truncation_is_explicit(tmp_path):
    tokenizer = ByT5Tokenizer()
    path = write(tmp_path, {"prompt": "abcd", "chosen": "12345678", "rejected": ["12", "987654321"]})
    (example,) = tokenize(read_examples(path), tokenizer, 10, path)
    assert example.truncated == 2
    assert [tokenizer.decode(ids) for ids in example.completions] == ["123456", "12</s>", "987654"]
    with pytest.raises(ValueError, match=r"data.jsonl:1: prompt: expected fewer than max_length=4 tokens, got 4"):
        tokenize(read_examples(path), tokenizer, 4, path)
    with pytest.raises(ValueError, match=r"data.jsonl:1: chosen: expected tokens that differ .* room for 2"):
        tokenize(read_examples(path), tokenizer, 6, path)
    with pytest.raises(ValueError, match=r"data.jsonl:1: prompt: expected at least one token"):
        tokenize(read_examples(write(tmp_path, GOOD | {"prompt": ""})), tokenizer, 64, path)


def test_shipped_pairs_are_what_their_generator_writes():
    assert PAIRS.read_text(encoding="utf-8") == make_pairs.text()
    examples = read_examples(PAIRS)
    assert len(examples) == 200
    assert {len(example.rejected) for example in examples} == {1, 2, 3}
    for example in examples:
        right = example.chosen.rsplit(" ", 1)[1]
        assert right not in {text.rsplit(" ", 1)[1] for text in example.rejected}
