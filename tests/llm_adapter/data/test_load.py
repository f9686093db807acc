"""Loading: faults stop the run or are dropped and listed; processes and the cache change nothing."""

import json
import os
from dataclasses import fields, replace

import numpy as np
import pytest
from transformers import ByT5Tokenizer

from llm_adapter import models
from llm_adapter.arguments.fields import TRUNCATIONS, DataFields
from llm_adapter.arguments.training import HERE
from llm_adapter.data import load as data
from llm_adapter.data.examples import NOTES, REASONS, SHOWN
from llm_adapter.data.load import check_fit, load_data, prepare, read_examples, tokenize
from llm_adapter.data.rows import parse_row
from llm_adapter.data.sources import open_source
from llm_adapter.data.tokens import CHUNK, Options, TokenizedExample
from tests.llm_adapter.data.shared import (
    ALTERNATING,
    ASKED,
    GOOD,
    LONG,
    RIGHT,
    WRONG,
    arguments,
    lines,
    refused,
    said,
    without,
)

FATAL = [
    ("{not json", "expected a JSON object on one line, got unparsable text"),
    ("[" * 100_000, "expected a JSON object, got one nested too deeply"),
    ("[1]", "expected a JSON object, got a list"),
    ("null", "expected a JSON object, got null"),
    (without("rejected"), "rejected: expected this key, got only the keys ['chosen', 'prompt']"),
    (without("chosen"), "chosen: expected this key, got only the keys ['prompt', 'rejected']"),
    (without("prompt"), "prompt: expected this key (only conversations may leave it out)"),
    (
        GOOD | {"prompt": 3, "chosen": "5"},
        "prompt: expected a string or a non-empty list of messages, got a number",
    ),
    (
        GOOD | {"prompt": ["a"]},
        "prompt: expected messages with string 'role' and 'content', got a string",
    ),
    (
        GOOD | {"chosen": None},
        "chosen: expected a string or a non-empty list of messages, got null",
    ),
    (
        GOOD | {"chosen": [{"role": "assistant"}]},
        "chosen: expected messages with string 'role' and 'content'",
    ),
    (
        GOOD | {"rejected": []},
        "rejected: expected a string or a non-empty list of messages, got an empty list",
    ),
    (
        GOOD | {"rejected": ["5", 6]},
        "rejected: expected a string or a non-empty list of messages, got a number",
    ),
    (
        GOOD | {"rejected": ["5", RIGHT, None]},
        "rejected: expected a string or a non-empty list of messages, got null",
    ),
    (
        '{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}',
        "prompt: expected text, got half of a surrogate pair",
    ),
    (
        GOOD | {"prompt": ASKED},
        "prompt: expected a tokenizer with a chat template for messages, got one without",
    ),
]


@pytest.mark.parametrize(("row", "message"), FATAL, ids=range(len(FATAL)))
def test_fatal_row(tmp_path, capsys, row, message):
    """A fatal row is named, and nothing is written."""
    path = lines(tmp_path / "data.jsonl", GOOD, "", row)
    line = refused(
        capsys,
        f"--train_data {path} --output_dir {tmp_path / 'out'} --token_cache {tmp_path / 'cache'}",
    )

    assert line.startswith(f"{path}:3: {message}")
    assert [file.name for file in tmp_path.iterdir()] == ["data.jsonl"]


UNUSABLE = [
    ("empty", GOOD | {"chosen": " \n"}, "chosen: expected a response, got an empty one"),
    ("empty", GOOD | {"rejected": ["5", "\t"]}, "rejected: expected a response, got an empty one"),
    (
        "empty",
        GOOD | {"chosen": [said("assistant", "")]},
        "chosen: expected a response, got an empty one",
    ),
    (
        "empty",
        {"chosen": ASKED, "rejected": ASKED + WRONG},
        "chosen: expected a response, got an empty one",
    ),
    (
        "identical",
        GOOD | {"rejected": ["5", "4"]},
        "chosen: expected a response that differs from every rejected one",
    ),
    (
        "identical",
        GOOD | {"chosen": "4" * 99 + "1", "rejected": "4" * 99},
        "chosen: expected tokens that differ",
    ),
    ("duplicate", GOOD | {"id": 7}, "prompt: expected a new example, got a copy of data.jsonl:1"),
    (
        "too_long",
        GOOD | {"prompt": "2" * 40},
        "prompt: expected fewer than max_length=40 tokens, got 40",
    ),
    ("images", GOOD | {"images": ["cat.png"]}, "images: expected text alone, got a list"),
    (
        "unpaired",
        {"prompt": "2 + 2?", "completion": "4", "label": True},
        "label: expected rows of both labels, got only true",
    ),
    ("no_tokens", GOOD | {"prompt": ""}, "prompt: expected at least one token, got none"),
    (
        "conversation",
        GOOD | {"chosen": ASKED + RIGHT, "prompt": "3 + 3?"},
        "chosen: expected a conversation that beg",
    ),
    (
        "conversation",
        {"chosen": RIGHT, "rejected": WRONG},
        "prompt: expected conversations that begin with the same",
    ),
    (
        "conversation",
        GOOD | {"chosen": ASKED * 2},
        "chosen: expected a response that begins with role assistant",
    ),
    (
        "conversation",
        GOOD | {"prompt": ASKED * 2},
        "prompt: expected turns that the chat template accepts, got: roles",
    ),
]


@pytest.mark.parametrize(("reason", "row", "message"), UNUSABLE)
def test_unusable_row(tmp_path, capsys, reason, row, message):
    """An unusable row is dropped and listed, up to a share."""
    good = [
        GOOD | {"prompt": f"{n} + 2?", "chosen": str(n + 2), "rejected": "0"} for n in range(3, 21)
    ]
    path = lines(tmp_path / "data.jsonl", GOOD, row, *good)
    tokenizer = ByT5Tokenizer(chat_template=ALTERNATING)
    flags = f"--train_data {path} --max_length 40 --max_dropped"
    data, evaluation = load_data(arguments(tmp_path, f"{flags} 0.05"), tokenizer)

    assert evaluation is None
    assert len(data.examples) == 19
    assert data.counts == {reason: 1}
    assert (
        f"data data.jsonl: 19 examples; rejected responses each: 1; dropped rows: 1 (1 {reason}); "
        in capsys.readouterr().out
    )

    (listed,) = map(json.loads, (tmp_path / "out" / "dropped.jsonl").read_text().splitlines())
    assert listed.pop("message").startswith(message)
    assert listed == {"file": str(path), "line": 2, "reason": reason, "row": row}

    with pytest.raises(
        ValueError,
        match=rf"^max_dropped: expected at most 0.04 of the rows, got 1 of 20 dropped \(1 {reason};",
    ):
        load_data(arguments(tmp_path, f"{flags} 0.04"), tokenizer)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["cache", "data.jsonl", "out"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["dropped.jsonl"]


def test_reasons():
    """Every reason is tested."""
    of_other_tokenizers = {"no_boundary"}  # test_joint
    assert {reason for reason, *_ in UNUSABLE} | of_other_tokenizers == set(REASONS)


def test_too_many_unusable(tmp_path, capsys):
    """Too many unusable rows are one line, before anything else is written."""
    path = lines(tmp_path / "data.jsonl", GOOD, *[GOOD | {"chosen": " "}] * 2, *[GOOD] * SHOWN)
    line = refused(
        capsys, f"--train_data {path} --output_dir {tmp_path / 'out'} --token_cache none"
    )
    listed = tmp_path / "out/dropped.jsonl"
    counted = (
        f"got {SHOWN + 2} of {SHOWN + 3} dropped ({SHOWN} duplicate, 2 empty; all in {listed})"
    )

    assert line.startswith(
        f"max_dropped: expected at most 0.05 of the rows, {counted}: {path}:2: chosen: expected a resp"
    )
    assert line.endswith(
        f"{path}:{SHOWN + 1}: prompt: expected a new example, got a copy of data.jsonl:1; and 2 more"
    )
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["dropped.jsonl"]
    assert len((tmp_path / "out" / "dropped.jsonl").read_text().splitlines()) == SHOWN + 2

    line = refused(capsys, f"--max_length 20 --max_dropped 1 --output_dir {tmp_path / 'out'}")
    assert line.startswith(
        "max_dropped: expected at least one usable row, got 200 of 200 dropped (200 too_long; all in "
    )


def test_unwritable_output(tmp_path):
    """An output folder that cannot be written is one message."""
    path = lines(tmp_path / "data.jsonl", GOOD, GOOD)
    args = arguments(tmp_path, f"--train_data {path}")
    args.output_dir = str(path / "out")

    with pytest.raises(
        ValueError,
        match=r"^output_dir: expected a folder to write to, got .*data.jsonl/out \(Not a dir",
    ):
        load_data(args, ByT5Tokenizer())


def test_clean_run(tmp_path, capsys):
    """A clean run removes an earlier list."""
    args, tokenizer = arguments(tmp_path, "--max_dropped 0.5"), ByT5Tokenizer()
    args.train_data = lines(tmp_path / "a.jsonl", GOOD, GOOD)
    load_data(args, tokenizer)

    assert (tmp_path / "out" / "dropped.jsonl").is_file()

    args.train_data = lines(tmp_path / "b.jsonl", GOOD)
    load_data(args, tokenizer)

    assert list((tmp_path / "out").iterdir()) == []


def test_no_room(tmp_path):
    """A row without room is named across files."""
    lines(tmp_path / "a.jsonl", GOOD)
    lines(tmp_path / "b.jsonl", GOOD | {"prompt": "2" * 40})

    with pytest.raises(
        ValueError, match=r"b.jsonl:1: prompt: expected fewer than max_length=40 tokens, got 40$"
    ):
        tokenize(read_examples(tmp_path), ByT5Tokenizer(), 40, tmp_path)


def test_evaluation_share(tmp_path, capsys):
    """Evaluation data have their own share, and stand in the same list."""
    train = lines(tmp_path / "train.jsonl", GOOD, GOOD)
    test = lines(
        tmp_path / "test.jsonl",
        *(GOOD | {"prompt": str(n)} for n in range(4)),
        GOOD | {"chosen": "5"},
    )
    flags = f"--train_data {train} --eval_data {test} --max_dropped"
    _, evaluation = load_data(arguments(tmp_path, f"{flags} 0.5"), ByT5Tokenizer())

    assert len(evaluation.examples) == 4
    assert capsys.readouterr().out.count("\n") == 2

    listed = map(json.loads, (tmp_path / "out" / "dropped.jsonl").read_text().splitlines())
    assert [(row["file"], row["line"]) for row in listed] == [(str(train), 2), (str(test), 5)]
    with pytest.raises(ValueError, match=r"train.jsonl:2"):
        load_data(arguments(tmp_path, f"{flags} 0.4"), ByT5Tokenizer())


def test_document():
    """The document names every reason, policy and field, and its rows are read."""
    text = (HERE.parent / "docs/guides/data.md").read_text()
    assert all(f"| `{name}`" in text for name in (*REASONS, *NOTES, *TRUNCATIONS))
    assert all(f"`--{entry.name}" in text for entry in fields(DataFields))

    block, triples = text.split("```json\n")[1].split("```")[0], []
    while block.strip():
        row, end = json.JSONDecoder().raw_decode(block.lstrip())
        example = parse_row(row)
        triples.append((example.prompt, example.chosen, [*example.rejected]))
        block = block.lstrip()[end:]

    assert triples == [("2 + 2?", "4", ["5", "22"]), (ASKED, RIGHT, ["5"]), (ASKED, RIGHT, [WRONG])]


def test_refusing(tmp_path):
    """Refusing stops the run before anything is written."""
    path = lines(tmp_path / "data.jsonl", GOOD, LONG)
    flags = f"--train_data {path} --max_length 13 --truncation refuse --max_dropped 1"
    args = arguments(tmp_path, flags)

    with pytest.raises(
        ValueError, match=rf"^{path}:2: prompt: expected at most max_length=13 tokens"
    ):
        load_data(args, ByT5Tokenizer())

    assert [file.name for file in tmp_path.iterdir()] == ["data.jsonl"]


@pytest.mark.parametrize("kind", ["bytes", "fast"])
def test_workers_and_cache(rows, byte_level, prepared, tmp_path, kind, capfd, monkeypatch):
    """One worker, two workers and the cache give the same."""
    monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    tokenizer = ByT5Tokenizer() if kind == "bytes" else byte_level(tmp_path / "model")
    path = lines(tmp_path / "data.jsonl", *rows(3 * CHUNK))
    made = prepared(path, tokenizer, tmp_path / "cache")
    again = prepared(path, tokenizer, tmp_path / "cache")
    parallel = prepared(path, tokenizer, workers=2)

    assert (made.cached, again.cached, parallel.cached) == (False, True, False)
    mapped = [isinstance(part.examples.tokens, np.memmap) for part in (made, again, parallel)]
    assert mapped == [True, True, False]
    assert (
        replace(again, cached=False, source=made.source)
        == made
        == replace(parallel, source=made.source)
    )
    assert set(made.counts) == {"too_long", "identical", "empty", "duplicate"}
    assert sum(row.truncated for row in made.examples)
    assert [row.line for row in made.dropped] == sorted(row.line for row in made.dropped)
    assert "TOKENIZERS_PARALLELISM" not in os.environ
    assert capfd.readouterr().err == ""


class Dying(ByT5Tokenizer):
    """A tokenizer whose process is ended by the system."""

    def __call__(self, *args, **options):
        if os.getpid() != self.parent:
            os._exit(1)
        return super().__call__(*args, **options)


def test_dead_worker(rows, prepared, tmp_path):
    """A worker that dies is one message."""
    path = lines(tmp_path / "data.jsonl", *rows(3 * CHUNK))
    tokenizer = Dying()
    tokenizer.parent = os.getpid()

    with pytest.raises(
        ValueError, match=r"tokenize_workers: expected 2 processes to finish, got one that died"
    ):
        prepared(path, tokenizer, workers=2)


def test_progress_bar(rows, tmp_path, monkeypatch):
    """The bar counts examples."""
    seen = []
    monkeypatch.setattr(
        data, "tqdm", lambda values, *args, **options: seen.append(options) or values
    )
    path = lines(tmp_path / "data.jsonl", *rows(7))

    for progress in (True, False):
        prepare(open_source(path), ByT5Tokenizer(), Options(20), progress=progress)

    # One of seven is empty
    assert [(bar["total"], bar["disable"]) for bar in seen] == [(6, False), (6, True)]


def test_token_source(tmp_path, capsys):
    """A run says where its tokens come from."""
    args = arguments(tmp_path, "--max_length 90 --max_dropped 0.5")

    for source in ("tokenised now", "tokens from the cache"):
        load_data(args, ByT5Tokenizer())
        line = capsys.readouterr().out
        assert line.startswith(
            "data pairs.jsonl: 129 examples; rejected responses each: 1 to 3; dropped rows: 71 (71 identical); "
        )
        assert line.endswith(f" (max_length 90); {source}\n")

    assert (tmp_path / "out" / "dropped.jsonl").is_file()


def test_model_room(rows, folder):
    """Examples that the model has no room for are named."""
    model = models.load_model(str(folder))
    rows = [
        TokenizedExample(7, [1] * 500, ([2], [3] * 12)),
        TokenizedExample(9, [1], ([2], [383]), file=1),
    ]

    check_fit(rows, ("a", "b"), model)

    longer = replace(rows[0], completions=([2], [3] * 13))
    with pytest.raises(
        ValueError,
        match=r"^max_length: expected at most the model's 512 positions, got 513 .* in a:7$",
    ):
        check_fit([longer, rows[1]], ("a", "b"), model)

    other = replace(rows[1], completions=([384], [3]))
    with pytest.raises(
        ValueError, match=r"^model: expected token ids below its 384 embeddings, got 384 in b:9 \("
    ):
        check_fit([rows[0], other], ("a", "b"), model)
