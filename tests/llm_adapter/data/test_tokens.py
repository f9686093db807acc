"""Tokens: special tokens, templates, and what each policy cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from llm_adapter.arguments.fields import TRUNCATIONS
from llm_adapter.data.examples import Unusable
from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.data.tokens import (
    Options,
    _fit,
    prompt_ids,
    tokenize_examples,
)
from llm_adapter.models import load_tokenizer
from tests.llm_adapter.data.shared import GOOD, LONG, TEMPLATE, lines
from tests.llm_adapter.data.test_joint import byte_pairs


class Beginning(ByT5Tokenizer):
    """A tokenizer that begins a text with BOS, as Llama's do."""

    def __init__(self, **options):
        super().__init__(bos_token="<extra_id_0>", **options)

    def build_inputs_with_special_tokens(self, ids, more=None):
        return [self.bos_token_id, *ids]


def decoded(tokenizer, example):
    return [tokenizer.decode(ids) for ids in (example.prompt, *example.completions)]


def one(tmp_path, row, tokenizer, max_length=64, **options):
    path = lines(tmp_path / "data.jsonl", row)
    (example,) = tokenize(read_examples(path), tokenizer, max_length, path, **options)
    return example


def test_plain_text(tmp_path):
    """Plain text gets the end-of-text token, and no other special token."""
    tokenizer = ByT5Tokenizer()
    assert decoded(tokenizer, one(tmp_path, GOOD, tokenizer)) == ["2 + 2?", "4</s>", "5</s>"]

    tokenizer = Beginning()
    assert decoded(tokenizer, one(tmp_path, GOOD, tokenizer)) == [
        "<extra_id_0>2 + 2?",
        "4</s>",
        "5</s>",
    ]
    assert one(tmp_path, GOOD | {"prompt": ""}, tokenizer).prompt == [tokenizer.bos_token_id]


def test_conversations(tmp_path):
    """Conversations follow the template."""
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    answer = [{"role": "assistant", "content": "5"}]
    for row in (
        {"prompt": [{"role": "user", "content": "2 + 2?"}], "chosen": "4", "rejected": [answer]},
        GOOD | {"rejected": answer},
        GOOD,
    ):
        example = one(tmp_path, row, tokenizer, chat=row is GOOD)
        assert decoded(tokenizer, example) == ["<user>2 + 2?</s><assistant>", "4</s>", "5</s>"]


def test_refused_tokenizers(tmp_path):
    """Tokenizers that cannot be used are refused."""
    with pytest.raises(
        ValueError, match=r"data.jsonl:1: prompt: expected a tokenizer with a chat template"
    ):
        one(tmp_path, GOOD, ByT5Tokenizer(), chat=True)

    backwards = "{% for m in messages | reverse %}{{ m.content }}{% endfor %}"
    with pytest.raises(
        ValueError, match=r"data.jsonl:1: prompt: expected a chat template that begins"
    ):
        one(tmp_path, GOOD, ByT5Tokenizer(chat_template=backwards), chat=True)

    swallowing = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}"
    )
    with pytest.raises(
        ValueError,
        match=r"data.jsonl:1: prompt: expected turns that the chat template accepts, got: the same text",
    ):
        one(tmp_path, GOOD, ByT5Tokenizer(chat_template=swallowing), chat=True)

    endless = ByT5Tokenizer()
    endless.eos_token = None
    with pytest.raises(
        ValueError, match=r"data.jsonl:1: tokenizer: expected an EOS token to end a plain response"
    ):
        one(tmp_path, GOOD, endless)


@pytest.mark.parametrize(
    ("truncation", "max_length", "expected", "truncated"),
    [
        *(
            (name, 14, ["abcd", "12345678</s>", "12</s>", "987654321</s>"], 0)
            for name in TRUNCATIONS
        ),
        ("right", 10, ["abcd", "123456", "12</s>", "987654"], 2),
        ("left_prompt", 12, ["cd", "12345678</s>", "12</s>", "987654321</s>"], 1),
    ],
)
def test_truncation(tmp_path, truncation, max_length, expected, truncated):
    """Truncation cuts what it says."""
    tokenizer = ByT5Tokenizer()
    example = one(tmp_path, LONG, tokenizer, max_length, truncation=truncation)
    assert decoded(tokenizer, example) == expected
    assert example.truncated == truncated


@pytest.mark.parametrize(
    ("truncation", "max_length", "message"),
    [
        ("right", 4, "prompt: expected fewer than max_length=4 tokens, got 4"),
        ("right", 6, "chosen: expected tokens that differ .* same 2 .*room for 2"),
        (
            "left_prompt",
            10,
            "chosen, rejected: expected room for the prompt within max_length=10, got 10 tokens",
        ),
        ("drop", 13, "prompt: expected at most max_length=13 tokens with the response, got 14"),
        ("refuse", 13, "prompt: expected at most max_length=13 tokens with the response, got 14"),
    ],
)
def test_no_fit(tmp_path, truncation, max_length, message):
    """What does not fit is named."""
    row = LONG if max_length != 6 else {"prompt": "abcd", "chosen": "1234", "rejected": "1256"}
    path = lines(tmp_path / "data.jsonl", row)

    with pytest.raises(ValueError, match=rf"data.jsonl:1: {message}"):
        tokenize(read_examples(path), ByT5Tokenizer(), max_length, path, truncation=truncation)

    (fault,) = tokenize_examples(
        read_examples(path), ByT5Tokenizer(), Options(max_length, truncation)
    )

    assert fault.reason == {6: "identical"}.get(
        max_length, "" if truncation == "refuse" else "too_long"
    )


@given(
    prompt=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    whole=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=2, max_size=4),
    limit=st.integers(2, 24),
    truncation=st.sampled_from(list(TRUNCATIONS)),
    keep=st.integers(0, 1),
)
def test_cut_laws(prompt, whole, limit, truncation, keep):
    """All fits, nothing is lost that fits, and only the side that the policy names loses tokens, as few as it must."""
    longest = max(map(len, whole))
    fits = len(prompt) + longest <= limit
    try:
        head, tails, truncated = _fit(prompt, whole, Options(limit, truncation), keep)
    except ValueError as error:
        kind = type(error)
        assert not fits
        assert (kind is Unusable) == (truncation != "refuse")
        assert {"right": len(prompt) >= limit, "left_prompt": keep + longest >= limit}.get(
            truncation, True
        )
        return

    assert len(head) + max(map(len, tails)) == (len(prompt) + longest if fits else limit)
    assert (truncated == 0) == fits

    if truncation == "left_prompt" and not fits:
        assert list(tails) == whole
        assert head[:keep] == prompt[:keep]
        assert head[keep:] == prompt[len(prompt) - len(head) + keep :] != []
    else:
        assert head == prompt
        assert all(
            tail == ids[: limit - len(prompt)] != [] for tail, ids in zip(tails, whole, strict=True)
        )
        assert truncated == sum(
            len(tail) < len(ids) for tail, ids in zip(tails, whole, strict=True)
        )


BEGINNINGS = {  # who writes BOS: the tokenizer, its template, the row's text, what the kept prompt then is
    "tokenizer": (Beginning(), LONG, 13, "<extra_id_0>cd"),
    "template": (
        ByT5Tokenizer(bos_token="<extra_id_0>", chat_template="{{ bos_token }}" + TEMPLATE),
        LONG,
        16,
        "<extra_id_0>tant>",
    ),
    "both": (
        Beginning(chat_template="{{ bos_token }}" + TEMPLATE),
        LONG,
        16,
        "<extra_id_0>tant>",
    ),
    "text": (
        ByT5Tokenizer(bos_token="<extra_id_0>"),
        LONG | {"prompt": "<extra_id_0>abcd"},
        13,
        "<extra_id_0>cd",
    ),
    "nobody": (ByT5Tokenizer(bos_token="<extra_id_0>"), LONG, 12, "cd"),
    "no BOS": (ByT5Tokenizer(), LONG, 12, "cd"),
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_kept_beginning(tmp_path, name):
    """A cut prompt keeps its beginning of text, whoever writes it."""
    tokenizer, row, room, kept = BEGINNINGS[name]
    chat = bool(tokenizer.chat_template)
    example = one(tmp_path, row, tokenizer, room, chat=chat, truncation="left_prompt")
    assert decoded(tokenizer, example)[0] == kept
    assert example.length == room


PREFIXES = {  # what a tokenizer writes around a text, and the part of it before the text
    "BOS": ("<s> $A", "<s>"),
    "two marks, as GLM's": ("[gMASK] <sop> $A", "[gMASK]<sop>"),
    "a mark after BOS": ("<s> <sop> $A", "<s><sop>"),
    "not BOS": ("<sop> $A", "<sop>"),
    "both sides": ("<s> $A </s>", "<s>"),
    "an end": ("$A </s>", ""),
}


def beginning(pattern, template=None):
    """Return a tokenizer that writes special tokens around a text."""
    tokenizer = byte_pairs.__wrapped__()
    tokenizer.chat_template = template
    tokenizer.add_special_tokens({"additional_special_tokens": ["[gMASK]", "<sop>"]})
    marks = [(mark, tokenizer.convert_tokens_to_ids(mark)) for mark in pattern.split()]
    marks = [pair for pair in marks if pair[0] != "$A"]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(pattern, special_tokens=marks)
    return tokenizer


@pytest.mark.parametrize("name", PREFIXES)
def test_prefix(tmp_path, name):
    """A plain prompt begins with all that the tokenizer writes before a text, once, in training and in sampling."""
    pattern, prefix = PREFIXES[name]
    tokenizer = beginning(pattern)
    for prompt in {"2 + 2?\n", f"{prefix}2 + 2?\n"}:
        example = one(tmp_path, GOOD | {"prompt": prompt}, tokenizer)
        assert decoded(tokenizer, example) == [f"{prefix}2 + 2?\n", "4</s>", "5</s>"]
        assert prompt_ids(prompt, tokenizer) == example.prompt
        assert "control_text" not in example.notes if prefix else True

    room = example.length - 3
    cut = one(tmp_path, GOOD, tokenizer, room, truncation="left_prompt")
    assert decoded(tokenizer, cut)[0].startswith(prefix)

    tokenizer = beginning(pattern, prefix + TEMPLATE)  # a template writes its own
    chat = one(tmp_path, GOOD, tokenizer, chat=True)
    assert decoded(tokenizer, chat)[0] == f"{prefix}<user>2 + 2?</s><assistant>"


def test_half_a_prefix(tmp_path):
    """A text that begins with a part of it gets the whole."""
    tokenizer = beginning("<s> <sop> $A")
    example = one(tmp_path, GOOD | {"prompt": "<s>2 + 2?"}, tokenizer)
    assert decoded(tokenizer, example)[0] == "<s><sop>2 + 2?"


def test_dropout(tmp_path, capsys):
    """A tokenizer that draws its tokens at random is told not to."""
    backend = Tokenizer(models.BPE(dropout=0.5))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(["the answer is"] * 9, trainers.BpeTrainer(show_progress=False))
    PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')

    tokenizer = load_tokenizer(str(tmp_path))
    assert len({tuple(tokenizer("the answer is")["input_ids"]) for _ in range(20)}) == 1
    assert capsys.readouterr().err.startswith("tokenizer: warning: BPE dropout 0.5 is switched off")

    load_tokenizer("builtin")
    assert capsys.readouterr().err == ""
