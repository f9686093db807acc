"""Rows: the forms that a row may have, and what is wrong with the others."""

import re

import pytest

from llm_adapter.data.examples import SHOWN, Unusable
from llm_adapter.data.load import read_examples
from llm_adapter.data.rows import parse_row
from llm_adapter.data.sources import PAIRS
from tests.llm_adapter.data.shared import ASKED, GOOD, RIGHT, WRONG, lines, said


def test_bad_lines(tmp_path):
    """All bad lines are counted, and some listed."""
    path = lines(tmp_path / "data.jsonl", *[GOOD | {"rejected": ["5", "4"]}] * (SHOWN + 3), GOOD)
    with pytest.raises(ValueError, match=rf"^{SHOWN + 3} bad lines: ") as error:
        read_examples(path)
    assert str(error.value).count("identical") == SHOWN
    assert str(error.value).endswith("and 3 more")


def test_rejected_forms(tmp_path):
    """All forms of rejected responses are read, up to max_negatives."""
    other = [said("assistant", "6")]
    rejected = ["5", ["5", "6", "7"], WRONG, [WRONG, other]]
    path = lines(
        tmp_path / "data.jsonl",
        *(GOOD | {"prompt": str(form), "rejected": form} for form in rejected),
    )

    assert [len(example.rejected) for example in read_examples(path)] == [1, 3, 1, 2]
    assert [len(example.rejected) for example in read_examples(path, max_negatives=2)] == [
        1,
        2,
        1,
        2,
    ]
    assert read_examples(path)[3].rejected == (WRONG, other)


@pytest.mark.parametrize(
    "prompt", [{}, {"prompt": "2 + 2?"}, {"prompt": ASKED}], ids=["left out", "text", "messages"]
)
def test_repeated_prompt(prompt):
    """Conversations may repeat their prompt.

    TRL's implicit prompt, and data sets that give the prompt both apart and within the conversations.
    """
    row = {"chosen": ASKED + RIGHT, "rejected": [ASKED + WRONG, [*ASKED, said("assistant", "6")]]}
    example = parse_row(prompt | row)
    assert example.prompt == prompt.get("prompt", ASKED)
    assert (example.chosen, example.rejected) == (RIGHT, (WRONG, [said("assistant", "6")]))


HELLO = [said("assistant", "Hello!"), *ASKED]
AGAIN = [*RIGHT, said("user", "Sure?"), said("assistant", "Yes.")]
SET = [said("system", "Add.")]
GREETINGS = {  # prompt, chosen and rejected response: the prompt, and what is left of the response
    "in both": (HELLO, HELLO + RIGHT, HELLO + WRONG, HELLO, RIGHT, WRONG),
    "in one": (HELLO, HELLO + RIGHT, WRONG, HELLO, RIGHT, WRONG),
    "in none": (HELLO, RIGHT, WRONG, HELLO, RIGHT, WRONG),
    "and several turns": (HELLO, HELLO + AGAIN, HELLO + WRONG, HELLO, AGAIN, WRONG),
    "and several turns alone": (HELLO, AGAIN, WRONG, HELLO, AGAIN, WRONG),
    "after a system turn": (SET + HELLO, SET + HELLO + RIGHT, WRONG, SET + HELLO, RIGHT, WRONG),
    "before a text": ("2 + 2?", HELLO + RIGHT, HELLO + WRONG, HELLO, RIGHT, WRONG),
    "before a text, in one": ("2 + 2?", HELLO + RIGHT, "5", HELLO, RIGHT, "5"),
    "left out": (None, HELLO + RIGHT, HELLO + WRONG, HELLO, RIGHT, WRONG),
}


@pytest.mark.parametrize("name", GREETINGS)
def test_greeting(name):
    """A prompt that begins with the assistant is written once."""
    prompt, chosen, rejected, *expected = GREETINGS[name]
    example = parse_row({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    assert [example.prompt, example.chosen, *example.rejected] == expected


def test_another_greeting():
    """A conversation without the system turn of its prompt is refused, as it is where the user begins."""
    for asked in (HELLO, ASKED):
        row = {"prompt": SET + asked, "chosen": asked + RIGHT, "rejected": WRONG}
        with pytest.raises(Unusable, match="chosen: expected a conversation that begins with the"):
            parse_row(row)


def test_responses_in_a_row(tmp_path):
    """Several messages of the assistant are one response or several: the row says which."""
    both = [*WRONG, said("assistant", "6")]
    for rejected in (both, [{"from": "gpt", "value": "5"}, *WRONG]):
        path = lines(tmp_path / "data.jsonl", GOOD, GOOD | {"prompt": "?", "rejected": rejected})
        with pytest.raises(
            ValueError, match=r"data.jsonl:2: rejected: .* got 2 .*\[\[…\], \[…\]\]"
        ):
            read_examples(path)

    apart, together = [[message] for message in both], [both]
    assert parse_row(GOOD | {"rejected": apart}).rejected == tuple(apart)
    assert parse_row(GOOD | {"rejected": together}).rejected == (both,)
    assert parse_row(GOOD | {"rejected": ASKED + both}).rejected == (both,)
    assert parse_row(GOOD | {"chosen": both}).chosen == both


def test_implicit_prompt():
    """An implicit prompt holds all turns in common."""
    turns = [said("system", "Add."), *ASKED, said("assistant", "4"), said("user", "Sure?")]
    row = {
        "chosen": [*turns, said("assistant", "Yes.")],
        "rejected": [*turns, said("assistant", "No.")],
    }
    example = parse_row(row)

    assert example.prompt == turns
    assert (example.chosen, *example.rejected) == (
        [said("assistant", "Yes.")],
        [said("assistant", "No.")],
    )


def test_duplicate(tmp_path):
    """A duplicate is named across files."""
    lines(tmp_path / "a.jsonl", GOOD)
    lines(tmp_path / "b.jsonl", GOOD | {"prompt": "1?"}, GOOD)

    with pytest.raises(
        ValueError, match=r"b.jsonl:2: prompt: expected a new example, got a copy of a.jsonl:1$"
    ):
        read_examples(tmp_path)


def test_shipped_pairs():
    """Shipped pairs are right and wrong worked answers."""
    examples = read_examples(PAIRS)
    assert len(examples) == 200
    assert {len(example.rejected) for example in examples} == {1, 2, 3}

    for example in examples:
        *steps, right = re.findall(r"[^.:]+", example.chosen)
        for step in steps[:-1]:
            left, result = step.split("=")
            assert eval(left) == int(result)
        right = right.strip()
        assert int(result) == int(right)
        assert right not in {text.rsplit(" ", 1)[1] for text in example.rejected}
