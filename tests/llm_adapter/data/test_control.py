"""Control text: special tokens that come from the text of a row are noted, those of template and tokenizer are not."""

from functools import cache

import pytest
from tokenizers import AddedToken

from llm_adapter.data.rows import parse_row
from llm_adapter.data.tokens import Options, tokenize_example
from llm_adapter.models import CHATML
from tests.llm_adapter.data.shared import ASKED, GOOD, RIGHT, SPOKEN, WRONG, said
from tests.llm_adapter.data.test_joint import prepending, trained

MARKS = ["<|im_start|>", "<|im_end|>"]
DEEP = "<｜User｜>"  # not flagged as special, in DeepSeek's files


@cache
def chatting():
    """Return a tokenizer with ChatML's marks, a mark that is not flagged, and a word of its own."""
    tokenizer = trained(*pieces())
    tokenizer.add_special_tokens({"additional_special_tokens": MARKS})
    plain = {"special": False, "normalized": False}
    tokenizer.add_tokens([AddedToken(DEEP, **plain), AddedToken("<think>", **plain)])
    tokenizer.chat_template = CHATML
    return tokenizer


def pieces():
    backend = prepending().backend_tokenizer
    return backend.normalizer, backend.pre_tokenizer, backend.decoder


def notes(row, tokenizer, **options):
    return tokenize_example(parse_row(row), tokenizer, Options(999, **options)).notes


def placed(text):
    """Return rows with a text in every place that reaches the tokens."""
    user = [said("user", f"What does {text} mean?")]
    yield GOOD | {"prompt": f"what is {text} ?"}
    yield GOOD | {"chosen": f"4{text}5"}
    yield GOOD | {"rejected": ["5", f"{text} 6"]}
    yield GOOD | {"system": f"Never say {text}."}
    yield SPOKEN | {"prompt": user}
    yield SPOKEN | {"prompt": [said("assistant", f"a {text}"), *ASKED]}
    yield SPOKEN | {"prompt": [said("system", text), *ASKED]}
    yield SPOKEN | {"system": f"{text}!"}
    yield SPOKEN | {"chosen": [said("assistant", f"4 {text} 5")]}
    yield SPOKEN | {"rejected": [*WRONG, *user, *RIGHT]}


@pytest.mark.parametrize("text", ["</s>", *MARKS, DEEP, "<s>"])
def test_noted(text):
    """A control token of the row's text is noted, wherever it stands; it is in the ids."""
    for row in placed(text):
        example = tokenize_example(parse_row(row), chatting(), Options(999))
        ids = example.prompt + [token for row in example.completions for token in row]
        assert chatting().convert_tokens_to_ids(text) in ids
        assert "control_text" in example.notes, row

    for row in placed(text):
        assert "control_text" in notes(row, chatting(), chat=True), row


@pytest.mark.parametrize("text", ["<think>", "s>", "<|im_en|>", "<unk>", "|"])
def test_other_text(text):
    """Other text is not, nor is what the template and the tokenizer write."""
    for chat in (False, True):
        for row in placed(text):
            assert "control_text" not in notes(row, chatting(), chat=chat), row


ENDS = {  # row, chat, whether it is noted
    "its own end": (GOOD | {"chosen": "4</s>"}, False, False),
    "two ends": (GOOD | {"chosen": "4</s></s>"}, False, True),
    "an end and a space": (GOOD | {"chosen": "4</s> "}, False, True),
    "another end": (GOOD | {"chosen": "4<|im_end|>"}, False, True),
    "the template's end": (SPOKEN | {"chosen": [said("assistant", "4<|im_end|>\n")]}, True, False),
    "the same twice": (
        SPOKEN | {"chosen": [said("assistant", "4<|im_end|><|im_end|>")]},
        True,
        True,
    ),
    "an end of the prompt": (GOOD | {"prompt": "2 + 2?</s>"}, False, True),
    "a beginning that the tokenizer does not write": (GOOD | {"prompt": "<s>2?"}, False, True),
}


@pytest.mark.parametrize("name", ENDS)
def test_ends(name):
    row, chat, noted = ENDS[name]
    assert ("control_text" in notes(row, chatting(), chat=chat)) == noted


def test_split_marks():
    """A tokenizer that is told to read marks as text has none to note."""
    row = GOOD | {"prompt": "a </s> b"}
    assert "control_text" in notes(row, trained(*pieces()))
    assert "control_text" not in notes(row, trained(*pieces(), split_special_tokens=True))
