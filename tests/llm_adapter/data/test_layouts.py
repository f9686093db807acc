"""Layouts of public sets are read as our own; what a row says is used, counted or refused, never dropped in silence."""

import gzip
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import ByT5Tokenizer

from llm_adapter.data.examples import Unusable
from llm_adapter.data.load import load_data, read_examples
from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, tokenize_example
from tests.llm_adapter.data.shared import (
    ASKED,
    GOOD,
    RIGHT,
    SPOKEN,
    TEMPLATE,
    WRONG,
    arguments,
    lines,
    said,
)

SYSTEM = said("system", "Add.")
PAIR = {"chosen": "4", "rejected": "5"}
OPENED = SPOKEN | {"prompt": [SYSTEM, *ASKED]}


def spoken(speaker, value):
    return {"from": speaker, "value": value}


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


LAYOUTS = {  # the row, and what it is in our layout
    "a question": ({"question": "2 + 2?"} | PAIR, GOOD),
    "an instruction": ({"instruction": "2 + 2?"} | PAIR, GOOD),
    "an instruction with input": (
        {"instruction": "Add.", "input": "2 + 2?"} | PAIR,
        GOOD | {"prompt": "Add.\n2 + 2?"},
    ),
    "an instruction with no input": ({"instruction": "2 + 2?", "input": ""} | PAIR, GOOD),
    "a prompt beside a question": (GOOD | {"question": "?"}, GOOD),
    "one message as an object": (
        {"prompt": ASKED[0], "chosen": RIGHT[0], "rejected": WRONG[0]},
        SPOKEN,
    ),
    "responses as objects": (
        {"prompt": ASKED, "chosen": RIGHT[0], "rejected": [WRONG, RIGHT[0] | {"content": "6"}]},
        SPOKEN | {"rejected": [WRONG, [said("assistant", "6")]]},
    ),
    "from and value": (
        {
            "conversations": [spoken("human", "2 + 2?")],
            "chosen": spoken("gpt", "4"),
            "rejected": spoken("gpt", "5"),
        },
        SPOKEN,
    ),
    "from and value with a system turn": (
        {
            "chosen": [spoken("system", "Add."), spoken("human", "2 + 2?"), spoken("gpt", "4")],
            "rejected": [spoken("system", "Add."), spoken("human", "2 + 2?"), spoken("gpt", "5")],
        },
        OPENED,
    ),
    "content parts": (
        {
            "prompt": [said("user", parts("2 ", "+ 2?"))],
            "chosen": [said("assistant", parts("4"))],
            "rejected": WRONG,
        },
        SPOKEN,
    ),
    "a prompt in text, conversations with a system turn": (
        {
            "prompt": "2 + 2?",
            "chosen": [SYSTEM, *ASKED, *RIGHT],
            "rejected": [SYSTEM, *ASKED, *WRONG],
        },
        OPENED,
    ),
    "the same, one rejected response apart": (
        {"prompt": "2 + 2?", "chosen": [SYSTEM, *ASKED, *RIGHT], "rejected": WRONG},
        OPENED,
    ),
    "system beside messages": (
        SPOKEN | {"system": "Add."},
        OPENED,
    ),
    "system beside messages that have it": (
        OPENED | {"system": "Add."},
        OPENED,
    ),
    "an empty system": (GOOD | {"system": ""}, GOOD),
    "a dialogue in text": (
        {
            "chosen": "\n\nHuman: 1?\n\nAssistant: 1\n\nHuman: 2 + 2?\n\nAssistant: 4",
            "rejected": "\n\nHuman: 1?\n\nAssistant: 1\n\nHuman: 2 + 2?\n\nAssistant: 5",
        },
        {
            "prompt": "\n\nHuman: 1?\n\nAssistant: 1\n\nHuman: 2 + 2?\n\nAssistant:",
            "chosen": " 4",
            "rejected": " 5",
        },
    ),
    "a null prompt": (
        {"prompt": None, "chosen": ASKED + RIGHT, "rejected": ASKED + WRONG},
        SPOKEN,
    ),
}


def content(row):
    example = parse_row(row)
    return example.prompt, example.chosen, example.rejected, example.system, example.tools


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name):
    """A layout is read as our own."""
    public, own = LAYOUTS[name]
    assert content(public) == content(own)


@pytest.mark.parametrize("kind", ["array", "pretty array", "gzip", "gzip array", "folder"])
def test_file_forms(tmp_path, kind):
    """Files are read whatever holds the rows."""
    rows = [GOOD, GOOD | {"prompt": "3 + 3?"}]
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    if "array" in kind:
        text = json.dumps(rows, indent=2 if "pretty" in kind else None)

    path = tmp_path / ("data.json" if "array" in kind else "data.jsonl")
    path.write_text(text)
    if "gzip" in kind or kind == "folder":
        packed = tmp_path / f"{path.name}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        path = tmp_path if kind == "folder" else packed

    examples = read_examples(path)
    assert [(example.line, example.prompt) for example in examples] == [
        (1, "2 + 2?"),
        (2, "3 + 3?"),
    ]


def test_damaged_files(tmp_path):
    """Damaged files are named."""
    short = tmp_path / "short.jsonl.gz"
    short.write_bytes(gzip.compress(json.dumps(GOOD).encode() * 99)[:-9])

    with pytest.raises(ValueError, match=r"short.jsonl.gz: expected a readable file"):
        read_examples(short)

    array = tmp_path / "array.json"
    array.write_text('[\n{"prompt": \n')

    with pytest.raises(
        ValueError, match=r"array.json: expected a JSON array, got unparsable text \(line"
    ):
        read_examples(array)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": "2 + 2?"} | PAIR, r"^prompt: .*\(rename query to prompt\)"),
        (
            {"prompt": "2 + 2?", "accepted": "4", "rejected": "5"},
            r"^chosen: .*\(rename accepted to chosen\)",
        ),
        (
            {"prompt": "2 + 2?", "chosen": "4", "losing": "5"},
            r"^rejected: .*\(rename losing to rejected\)",
        ),
        (GOOD | {"system": 3}, r"^system: expected a string, got a number"),
        (GOOD | {"tools": "{"}, r"^tools: expected JSON"),
        (GOOD | {"tools": {"a": 1}}, r"^tools: expected a list of schemas"),
        (GOOD | {"chat_template_kwargs": []}, r"^chat_template_kwargs: expected an object"),
    ],
)
def test_unreadable(row, message):
    """What cannot be read is one line."""
    with pytest.raises(ValueError, match=message) as error:
        parse_row(row)
    assert not isinstance(error.value, Unusable)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD | {"images": ["cat.png"]}, "images"),
        (GOOD | {"prompt": [said("user", [{"type": "image"}, *parts("?")])]}, "images"),
        (GOOD | {"chosen": "\u200b\u2060\ufeff"}, "empty"),
        (GOOD | {"rejected": ["5", "\u3164"]}, "empty"),
        ({"system": "Add.", "prompt": [said("system", "No."), *ASKED]} | PAIR, "conversation"),
    ],
)
def test_dropped_rows(row, reason):
    """What teaches nothing is dropped by name."""
    with pytest.raises(Unusable) as error:
        parse_row(row)
    assert error.value.reason == reason


def test_system():
    """System is used in plain text and in chat."""
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    example = parse_row(GOOD | {"system": "Add."})
    plain = tokenize_example(example, tokenizer, Options(99))
    chat = tokenize_example(example, tokenizer, Options(99, chat=True))

    assert tokenizer.decode(plain.prompt) == "Add.\n\n2 + 2?"
    assert tokenizer.decode(chat.prompt) == "<system>Add.</s><user>2 + 2?</s><assistant>"


NOTED = [
    ("tie", GOOD | {"margin": 0}),
    ("tie", GOOD | {"score_chosen": 7.0, "score_rejected": 7}),
    ("tie", GOOD | {"chosen_rating": 4, "rejected_rating": 4}),
    (None, GOOD | {"score_chosen": 7.0, "score_rejected": 6}),
    ("lower_score", GOOD | {"rejected": ["5", "6"], "score_chosen": 7, "score_rejected": [6, 8]}),
    ("lower_score", GOOD | {"rejected": ["5", "6"], "margin": ["1", "-1"]}),
    (
        "tie",
        GOOD | {"rejected": ["5", "6"], "score_chosen": 7, "score_rejected": [7, float("nan")]},
    ),
    (None, GOOD | {"rejected": ["5", "6"], "score_chosen": 7, "score_rejected": [6, 5]}),
    (None, GOOD | {"score_chosen": [], "score_rejected": [None]}),
    (None, GOOD | {"score_chosen": [7, 8], "score_rejected": [8, 7]}),  # of several judges
    ("lower_score", GOOD | {"Score_Chosen": 7, "Score_Rejected": 8}),
    ("tie", GOOD | {"Margin": 0}),
    ("lower_score", GOOD | {"score_chosen": Decimal(7), "score_rejected": Decimal("7.5")}),
    ("tie", GOOD | {"score_chosen": Decimal(7), "score_rejected": 7}),
    ("repeats_prompt", GOOD | {"chosen": "2 + 2? 4", "rejected": "2 + 2? 5"}),
    (None, GOOD | {"chosen": "2 + 2?", "rejected": "5"}),
    ("plain", GOOD),
]


@pytest.mark.parametrize(("note", "row"), NOTED)
def test_notes(note, row):
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE if note == "plain" else None)
    example = tokenize_example(parse_row(row), tokenizer, Options(99))
    assert example.notes == ((note,) if note else ())


def test_reversed_pair(tmp_path):
    """A pair and its reverse."""
    rows = [
        GOOD,
        {"prompt": "2 + 2?", "chosen": "5", "rejected": ["6", "4"]},
        GOOD | {"prompt": "?"},
    ]
    examples = read_examples(lines(tmp_path / "data.jsonl", *rows))

    assert [example.notes for example in examples] == [(), ("reversed",), ()]


def test_ignored_keys(tmp_path, capsys):
    """The line on the data lists what is ignored, and warns of what means something."""
    rows = [
        GOOD | {"id": 1, "score_chosen": 2.0},
        GOOD | {"prompt": "?", "id": 2, "weight": 0.5, "source": None},
    ]
    path = lines(tmp_path / "data.jsonl", *rows)

    for _ in range(2):  # the second time from the cache
        load_data(arguments(tmp_path, f"--train_data {path}"), ByT5Tokenizer())
        captured = capsys.readouterr()
        assert "; ignored keys: id (2), score_chosen (1), weight (1); " in captured.out
        assert captured.err == (
            "data: warning: score_chosen, weight: the rows have them, and neither a loss nor the chat template "
            "reads them\n"
        )


def test_fields_of_messages(tmp_path, capsys):
    """Fields of messages that the template does not write are listed with the ignored keys."""
    asked, right = (
        [ASKED[0] | {"name": "Ann", "id": 1}],
        [RIGHT[0] | {"weight": 0, "reasoning": ""}],
    )
    row = {"prompt": asked, "chosen": right, "rejected": WRONG}
    path = lines(tmp_path / "data.jsonl", row, SPOKEN)
    named = TEMPLATE.replace("{{ m.role }}", "{{ m.name or m.role }}")
    fields = "message.id (1), {}message.reasoning (1), message.weight (1); "
    for template, name in ((TEMPLATE, "message.name (1), "), (named, "")):
        for _ in range(2):  # the second time from the cache
            flags = f"--train_data {path} --max_dropped 0.9"
            load_data(arguments(tmp_path, flags), ByT5Tokenizer(chat_template=template))
            captured = capsys.readouterr()
            assert f"; ignored keys: {fields.format(name)}" in captured.out
            assert captured.err == (
                "data: warning: message.reasoning, message.weight: the rows have them, and neither a loss "
                "nor the chat template reads them\n"
            )


@given(
    written=st.sets(st.sampled_from("abc")),
    present=st.sets(st.sampled_from("abcd")),
    value=st.sampled_from(["x", 0, False, 1.5, [1]]),
)
def test_written_fields(written, present, value):
    """Those that the template writes are not listed."""
    fields = "".join(
        f"{{% if m.{name} is defined %}}{name}{{% endif %}}" for name in sorted(written)
    )
    tokenizer = ByT5Tokenizer(
        chat_template=TEMPLATE.replace("{{ m.content }}", fields + "{{ m.content }}")
    )
    row = SPOKEN | {"chosen": [RIGHT[0] | dict.fromkeys(present, value)]}
    example = tokenize_example(parse_row(row), tokenizer, Options(99))
    assert example.ignored == tuple(f"message.{name}" for name in sorted(present - written))


def test_paired_rows(tmp_path):
    """Rows of one response are paired by their prompts.

    Two good and two bad answers to one question give two examples of two rejected responses each.
    """
    answers = (("4", True), ("5", False), ("four", 1), ("6", 0))
    rows = [{"prompt": "2 + 2?", "completion": text, "label": label} for text, label in answers]
    path = lines(tmp_path / "data.jsonl", *rows, GOOD | {"prompt": "?"})
    examples = read_examples(path)

    assert [(example.line, example.chosen, example.rejected) for example in examples] == [
        (1, "4", ("5", "6")),
        (3, "four", ("5", "6")),
        (5, "4", ("5",)),
    ]

    chat = [{"prompt": ASKED, "completion": RIGHT, "label": True}]
    chat += [{"prompt": ASKED, "completion": WRONG, "label": False}]
    (example,) = read_examples(lines(tmp_path / "chat.jsonl", *chat))

    assert (example.prompt, example.chosen, example.rejected) == (ASKED, RIGHT, (WRONG,))


SAYING = st.text("ab 12?.\n:", min_size=1, max_size=8).map(str.strip).filter(bool)


def written(turns):
    """Return messages as a dialogue in plain text."""
    names = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{names[turn['role']]}: {turn['content']}" for turn in turns)


def alternating(texts):
    return [said(("user", "assistant")[n % 2], text) for n, text in enumerate(texts)]


@given(
    shared=st.lists(SAYING, min_size=1, max_size=5).filter(lambda texts: len(texts) % 2),
    tails=st.lists(st.lists(SAYING, min_size=1, max_size=3), min_size=2, max_size=2),
    apart=st.booleans(),
)
def test_dialogues(shared, tails, apart):
    """A dialogue in text, written by a chat template, is the same conversation; in text, turns of others are noted."""
    if tails[0][0][:1] == tails[1][0][:1]:
        return

    wholes = [alternating([*shared, *tail]) for tail in tails]
    prompt, (chosen, rejected) = alternating(shared), (whole[len(shared) :] for whole in wholes)
    row = {"chosen": written(wholes[0]), "rejected": written(wholes[1])}
    if apart:
        begun = f"{written(prompt)}\n\nAssistant:"
        row = {key: text.removeprefix(begun) for key, text in row.items()} | {"prompt": begun}

    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    text = tokenize_example(parse_row(row), tokenizer, Options(999))
    assert set(text.notes) == {"plain", "turns"} - (
        {"turns"} if max(map(len, tails)) < 2 else set()
    )

    own = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    if "user" in (chosen[-1]["role"], rejected[-1]["role"]):
        with pytest.raises(Unusable, match="expected a response that ends with role assistant"):
            tokenize_example(parse_row(row), tokenizer, Options(999, chat=True))
        return

    chat = tokenize_example(parse_row(row), tokenizer, Options(999, chat=True))
    messages = tokenize_example(parse_row(own), tokenizer, Options(999))
    assert (chat.prompt, chat.completions) == (messages.prompt, messages.completions)
    assert chat.notes == messages.notes


NO_DIALOGUES = {
    "no question": "\n\nAssistant: Hello.\n\nAssistant:",
    "no answer to come": "\n\nHuman: Hello.",
    "words": "What does Human: mean to an Assistant:",
}


@pytest.mark.parametrize("name", NO_DIALOGUES)
def test_no_dialogue(name):
    """Other text is one turn."""
    row = {"prompt": NO_DIALOGUES[name], "chosen": "4", "rejected": "5\n\nHuman: 6"}
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    chat = tokenize_example(parse_row(row), tokenizer, Options(999, chat=True))
    assert tokenizer.decode(chat.prompt) == f"<user>{NO_DIALOGUES[name]}</s><assistant>"
    assert chat.notes == ()
