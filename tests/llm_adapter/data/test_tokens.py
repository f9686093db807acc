"""Tokens: what the tokenizer and the template say, cut as asked; the same from the cache and from any worker."""

import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

from llm_adapter.arguments.fields import TRUNCATIONS
from llm_adapter.data import cache as token_cache
from llm_adapter.data import load as data
from llm_adapter.data.collate import collate
from llm_adapter.data.examples import Fault, Unusable
from llm_adapter.data.load import load_data, prepare, read_examples, tokenize
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import (
    CHUNK,
    Options,
    TokenizedExample,
    _fit,
    tokenize_examples,
)
from llm_adapter.training.arguments import parse_arguments

GOOD = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
LONG = {"prompt": "abcd", "chosen": "12345678", "rejected": ["12", "987654321"]}


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def byte_level(folder, **special):
    """Return a fast tokenizer with a token a byte, and save it: what a model directory carries."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<end>", chat_template=TEMPLATE, **special
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


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


def test_plain_text_gets_eos_and_no_other_special_token(tmp_path):
    tokenizer = ByT5Tokenizer()
    assert decoded(tokenizer, one(tmp_path, GOOD, tokenizer)) == ["2 + 2?", "4</s>", "5</s>"]
    tokenizer = Beginning()
    assert decoded(tokenizer, one(tmp_path, GOOD, tokenizer)) == [
        "<extra_id_0>2 + 2?",
        "4</s>",
        "5</s>",
    ]
    assert one(tmp_path, GOOD | {"prompt": ""}, tokenizer).prompt == [tokenizer.bos_token_id]


def test_conversations_follow_the_template(tmp_path):
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    answer = [{"role": "assistant", "content": "5"}]
    for row in (
        {"prompt": [{"role": "user", "content": "2 + 2?"}], "chosen": "4", "rejected": [answer]},
        GOOD | {"rejected": answer},
        GOOD,
    ):
        example = one(tmp_path, row, tokenizer, chat=row is GOOD)
        assert decoded(tokenizer, example) == ["<user>2 + 2?</s><assistant>", "4</s>", "5</s>"]


def test_tokenizers_that_cannot_be_used_are_refused(tmp_path):
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
        match=r"data.jsonl:1: chosen, rejected: expected at least one token each, got none",
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
def test_truncation_cuts_what_it_says(tmp_path, truncation, max_length, expected, truncated):
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
def test_what_does_not_fit_is_named(tmp_path, truncation, max_length, message):
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
def test_laws_of_the_cut(prompt, whole, limit, truncation, keep):
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


def test_a_cut_prompt_keeps_its_beginning_of_text(tmp_path):
    example = one(tmp_path, LONG, Beginning(), 13, truncation="left_prompt")
    assert decoded(Beginning(), example)[0] == "<extra_id_0>cd"


def test_refusing_stops_the_run_before_anything_is_written(tmp_path):
    path = lines(tmp_path / "data.jsonl", GOOD, LONG)
    flags = [
        "--output_dir",
        str(tmp_path / "out"),
        "--token_cache",
        str(tmp_path / "cache"),
        "--max_dropped",
        "1",
    ]
    args = parse_arguments(
        ["--train_data", str(path), "--max_length", "13", "--truncation", "refuse", *flags]
    )
    with pytest.raises(
        ValueError, match=rf"^{path}:2: prompt: expected at most max_length=13 tokens"
    ):
        load_data(args, ByT5Tokenizer())
    assert [each.name for each in tmp_path.iterdir()] == ["data.jsonl"]


def test_a_pad_id_that_is_eos_or_text_hides_nothing(tmp_path):
    tokenizer = ByT5Tokenizer()
    example = one(tmp_path, LONG, tokenizer)
    for pad in (tokenizer.pad_token_id, tokenizer.eos_token_id, example.completions[0][0]):
        batch = collate([example], pad)
        assert batch["targets"].tolist() == [token for ids in example.completions for token in ids]
        assert batch["attention_mask"].sum() == sum(
            len(example.prompt) + len(ids) for ids in example.completions
        )


def rows(count):
    """Return rows of every outcome: kept, cut, too long, identical once cut, empty, duplicate."""
    kinds = (
        lambda n: GOOD | {"prompt": f"{n} + 2?"},
        lambda n: LONG | {"prompt": f"é abcdefgh {n}"},
        lambda n: GOOD | {"prompt": "2" * 30 + str(n)},
        lambda n: {"prompt": f"{n}" * 5, "chosen": "4" * 30, "rejected": "4" * 31},
        lambda n: GOOD | {"prompt": f"{n}", "chosen": " "},
        lambda n: GOOD,
    )
    return [kinds[n % len(kinds)](n) for n in range(count)]


def prepared(path, tokenizer, folder=None, workers=1, **options):
    return prepare(
        open_source(path), tokenizer, Options(**{"max_length": 20} | options), None, folder, workers
    )


@pytest.mark.parametrize("kind", ["bytes", "fast"])
def test_one_worker_two_workers_and_the_cache_give_the_same(tmp_path, kind, capfd, monkeypatch):
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    tokenizer = ByT5Tokenizer() if kind == "bytes" else byte_level(tmp_path / "model")
    path = lines(tmp_path / "data.jsonl", *rows(3 * CHUNK))
    made = prepared(path, tokenizer, tmp_path / "cache")
    again = prepared(path, tokenizer, tmp_path / "cache")
    parallel = prepared(path, tokenizer, workers=2)
    assert (made.cached, again.cached, parallel.cached) == (False, True, False)
    assert (
        replace(again, cached=False, source=made.source)
        == made
        == replace(parallel, source=made.source)
    )
    assert set(made.counts) == {"too_long", "identical", "empty", "duplicate"}
    assert sum(each.truncated for each in made.examples)
    assert [each.line for each in made.dropped] == sorted(each.line for each in made.dropped)
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    assert capfd.readouterr().err == ""


class Dying(ByT5Tokenizer):
    """A tokenizer whose process is ended by the system."""

    def __call__(self, *args, **options):
        if os.getpid() != self.parent:
            os._exit(1)
        return super().__call__(*args, **options)


def test_a_worker_that_dies_is_one_message(tmp_path):
    path = lines(tmp_path / "data.jsonl", *rows(3 * CHUNK))
    tokenizer = Dying()
    tokenizer.parent = os.getpid()
    with pytest.raises(
        ValueError, match=r"tokenize_workers: expected 2 processes to finish, got one that died"
    ):
        prepared(path, tokenizer, workers=2)


def test_the_bar_counts_examples(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        data, "tqdm", lambda values, *args, **options: seen.append(options) or values
    )
    path = lines(tmp_path / "data.jsonl", *rows(7))
    for progress in (True, False):
        prepare(open_source(path), ByT5Tokenizer(), Options(20), progress=progress)
    assert [(each["total"], each["disable"]) for each in seen] == [
        (6, False),
        (6, True),
    ]  # one of seven is empty


def test_the_key_is_the_content_and_nothing_else(tmp_path):
    """Another place is the same key; another text, tokenizer, template, option or code is another."""
    path = lines(tmp_path / "data.jsonl", GOOD)
    (tmp_path / "moved").mkdir()
    moved = lines(tmp_path / "moved" / "renamed.jsonl", GOOD)
    plain, dates = ByT5Tokenizer(), ByT5Tokenizer(chat_template="{{ strftime_now('%d') }}")

    def key(path=path, tokenizer=plain, max_negatives=None, **options):
        return token_cache.content_key(
            open_source(path).digest,
            tokenizer,
            Options(**{"max_length": 9} | options),
            max_negatives,
        )

    def fast(folder, **special):
        byte_level(tmp_path / folder, **special)
        return AutoTokenizer.from_pretrained(tmp_path / folder)

    assert key() == key(moved) == key(tokenizer=ByT5Tokenizer())
    assert key(tokenizer=fast("a")) == key(tokenizer=fast("b"))
    today = key(tokenizer=dates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_cache, "date", SimpleNamespace(today=lambda: date(2030, 1, 1)))
        tomorrow = key(tokenizer=dates)
        assert key() == key(moved)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_cache, "FORMAT", token_cache.FORMAT + 1)
        other_format = key()
    others = [
        key(lines(tmp_path / "other.jsonl", GOOD | {"chosen": "Four"})),
        key(tokenizer=fast("a")),
        key(tokenizer=fast("c", bos_token="<begin>")),
        key(tokenizer=ByT5Tokenizer(chat_template=TEMPLATE)),
        key(max_negatives=1),
        key(max_length=10),
        key(chat=True),
        key(truncation="drop"),
        today,
        tomorrow,
        other_format,
    ]
    assert len({key(), *others}) == 1 + len(others)


def damage(path: Path, kind: str) -> None:
    """Spoil a cache file: cut it, flip a bit of its last token, or put a foreign one in its place."""
    content = bytearray(path.read_bytes())
    if kind == "cut":
        content = content[: len(content) // 2]
    elif kind == "bit":
        with np.load(path) as arrays:
            content[content.index(arrays["tokens"].tobytes()) + 4] ^= 1
    elif kind == "pickle":
        np.savez(path, header=np.array([{"key": path.stem}], dtype=object))
        return
    else:
        content = bytearray(b"not an archive")
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["cut", "bit", "pickle", "text"])
def test_a_damaged_cache_is_made_anew_and_said_so(tmp_path, capsys, kind):
    path, folder = lines(tmp_path / "data.jsonl", *rows(12)), tmp_path / "cache"
    made = prepared(path, ByT5Tokenizer(), folder)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    damage(file, kind)
    again = prepared(path, ByT5Tokenizer(), folder)
    assert again.cached is False
    assert (again.examples, again.dropped) == (made.examples, made.dropped)
    error = capsys.readouterr().err
    assert error.startswith(f"cache: warning: expected a complete file, got {file} (")
    assert error.count("\n") == 1
    assert file.read_bytes() == whole
    assert prepared(path, ByT5Tokenizer(), folder).cached


def test_a_cache_of_another_key_is_not_believed(tmp_path, capsys):
    path, folder = lines(tmp_path / "data.jsonl", GOOD), tmp_path / "cache"
    prepared(path, ByT5Tokenizer(), folder)
    (file,) = folder.iterdir()
    lines(path, LONG)
    prepared(path, ByT5Tokenizer(), folder=folder)
    (other,) = set(folder.iterdir()) - {file}
    file.rename(other)
    assert prepared(path, ByT5Tokenizer(), folder).cached is False
    assert "the content of another key" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said_and_left_alone(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    made = prepared(
        lines(tmp_path / "data.jsonl", GOOD), ByT5Tokenizer(), tmp_path / "file" / "cache"
    )
    assert len(made.examples) == 1
    assert "cache: warning: expected a folder to write to, got " in capsys.readouterr().err


def test_packed_and_unpacked_examples_are_equal():
    examples = [
        TokenizedExample(3, [1, 2], ([70_000, 4], [5], [6]), 2, file=1),
        TokenizedExample(9, [7], ([8], [9, 10]), 0, file=2),
    ]
    faults = [Fault(1, 4, "empty", "chosen: é")]
    assert token_cache._unpack(token_cache._pack(examples, faults, "k"), "k") == (examples, faults)
    assert token_cache._unpack(token_cache._pack([], faults, "k"), "k") == ([], faults)


def test_a_run_says_where_its_tokens_come_from(tmp_path, capsys):
    flags = [
        "--output_dir",
        str(tmp_path / "out"),
        "--token_cache",
        str(tmp_path / "cache"),
        "--max_length",
        "90",
    ]
    args = parse_arguments([*flags, "--max_dropped", "0.5"])
    for source in ("tokenised now", "tokens from the cache"):
        load_data(args, ByT5Tokenizer())
        line = capsys.readouterr().out
        assert line.startswith(
            "data pairs.jsonl: 129 examples; rejected responses each: 1 to 3; dropped rows: 71 (71 identical); "
        )
        assert line.endswith(f" (max_length 90); {source}\n")
    assert (tmp_path / "out" / "dropped.jsonl").is_file()
