"""Data: every refusal names its file and line; what is unusable is counted, listed and limited; the rest is kept."""

import json
import re
import sys
from dataclasses import fields

import pytest
from transformers import ByT5Tokenizer

from llm_adapter.arguments.fields import TRUNCATIONS, DataFields
from llm_adapter.arguments.training import HERE
from llm_adapter.data.examples import REASONS, SHOWN, parse_row
from llm_adapter.data.load import load_data, read_examples, tokenize
from llm_adapter.data.sources import PAIRS, open_source
from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments

GOOD = {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}
TEMPLATE = (  # of a model whose conversations alternate
    "{% for m in messages %}{% if m.role != ['user', 'assistant'][loop.index0 % 2] %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def said(role, content):
    return {"role": role, "content": content}


ASKED = [said("user", "2 + 2?")]
RIGHT, WRONG = [said("assistant", "4")], [said("assistant", "5")]


def lines(path, *rows):
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    )
    return path


def parquet(path, *rows):
    from pyarrow import Table
    from pyarrow.parquet import write_table

    write_table(Table.from_pylist(rows), path)
    return path


def without(key):
    return {name: value for name, value in GOOD.items() if name != key}


def arguments(folder, *flags):
    out = [
        "--output_dir",
        str(folder / "out"),
        "--token_cache",
        str(folder / "cache"),
        "--disable_tqdm",
        "true",
    ]
    return parse_arguments(["--model", "builtin", *out, *map(str, flags)])


def refused(capsys, *flags):
    """Return the one line of a command that is refused."""
    assert main([*map(str, flags), "--disable_tqdm", "true"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("llm_adapter.train: error: ").rstrip("\n")


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
def test_a_fatal_row_is_named_and_nothing_is_written(tmp_path, capsys, row, message):
    path = lines(tmp_path / "data.jsonl", GOOD, "", row)
    line = refused(
        capsys,
        "--train_data",
        path,
        "--output_dir",
        tmp_path / "out",
        "--token_cache",
        tmp_path / "cache",
    )
    assert line.startswith(f"{path}:3: {message}")
    assert [each.name for each in tmp_path.iterdir()] == ["data.jsonl"]


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
    (
        "duplicate",
        GOOD | {"id": 7},
        "prompt: expected a new example, got a copy of data.jsonl:1",
    ),
    (
        "too_long",
        GOOD | {"prompt": "2" * 40},
        "prompt: expected fewer than max_length=40 tokens, got 40",
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
def test_an_unusable_row_is_dropped_and_listed_up_to_a_share(
    tmp_path, capsys, reason, row, message
):
    good = [
        GOOD | {"prompt": f"{n} + 2?", "chosen": str(n + 2), "rejected": "0"} for n in range(3, 21)
    ]
    path = lines(tmp_path / "data.jsonl", GOOD, row, *good)
    tokenizer = ByT5Tokenizer(chat_template=TEMPLATE)
    flags = ("--train_data", path, "--max_length", 40)
    data, evaluation = load_data(arguments(tmp_path, *flags, "--max_dropped", 0.05), tokenizer)
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
        load_data(arguments(tmp_path, *flags, "--max_dropped", 0.04), tokenizer)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["cache", "data.jsonl", "out"]
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["dropped.jsonl"]


def test_every_reason_is_tested():
    assert {reason for reason, *_ in UNUSABLE} == set(REASONS)


def test_too_many_unusable_rows_are_one_line_before_anything_else_is_written(tmp_path, capsys):
    path = lines(tmp_path / "data.jsonl", GOOD, *[GOOD | {"chosen": " "}] * 2, *[GOOD] * SHOWN)
    line = refused(
        capsys, "--train_data", path, "--output_dir", tmp_path / "out", "--token_cache", "none"
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
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["dropped.jsonl"]
    assert len((tmp_path / "out" / "dropped.jsonl").read_text().splitlines()) == SHOWN + 2
    line = refused(capsys, "--max_length", 20, "--max_dropped", 1, "--output_dir", tmp_path / "out")
    assert line.startswith(
        "max_dropped: expected at least one usable row, got 200 of 200 dropped (200 too_long; all in "
    )


def test_an_output_folder_that_cannot_be_written_is_one_message(tmp_path):
    path = lines(tmp_path / "data.jsonl", GOOD, GOOD)
    args = arguments(tmp_path, "--train_data", path)
    args.output_dir = str(path / "out")
    with pytest.raises(
        ValueError,
        match=r"^output_dir: expected a folder to write to, got .*data.jsonl/out \(Not a dir",
    ):
        load_data(args, ByT5Tokenizer())


def test_a_clean_run_removes_an_earlier_list(tmp_path, capsys):
    args, tokenizer = arguments(tmp_path, "--max_dropped", 0.5), ByT5Tokenizer()
    args.train_data = lines(tmp_path / "a.jsonl", GOOD, GOOD)
    load_data(args, tokenizer)
    assert (tmp_path / "out" / "dropped.jsonl").is_file()
    args.train_data = lines(tmp_path / "b.jsonl", GOOD)
    load_data(args, tokenizer)
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_empty_and_unreadable_sources(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}\n')
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    parquet(tmp_path / "column.parquet", GOOD, without("rejected"))
    parquet(tmp_path / "columns.parquet", without("rejected"))
    lines(tmp_path / "empty.jsonl", "", "")
    before = sorted(tmp_path.iterdir())
    for name, message in (
        (
            "none.jsonl",
            "none.jsonl: expected a file of JSON lines or parquet, a folder of them or a hub name, got no such",
        ),
        (
            "./none",
            "./none: expected a file of JSON lines or parquet, a folder of them or a hub name, got no such path",
        ),
        ("folder", "folder: expected a folder with .jsonl or .parquet files, got none"),
        ("latin.jsonl", "latin.jsonl:1: expected UTF-8 text, got other bytes"),
        ("empty.jsonl", "empty.jsonl: expected at least one example, got an empty file"),
        ("broken.parquet", "broken.parquet:1: expected readable parquet, got: "),
        (
            "column.parquet",
            "column.parquet:2: rejected: expected a string or a non-empty list of messages, got null",
        ),
        (
            "columns.parquet",
            "columns.parquet:1: rejected: expected this key, got only the keys ['chosen', 'prompt']",
        ),
    ):
        assert refused(capsys, "--train_data", name, "--token_cache", "none").startswith(message)
    assert sorted(tmp_path.iterdir()) == before


def test_absent_packages_are_named_with_their_cure(tmp_path, capsys, monkeypatch):
    path = parquet(tmp_path / "data.parquet", GOOD)
    for module in ("pyarrow", "datasets"):
        monkeypatch.setitem(sys.modules, module, None)
    cure = "(pip install 'mi-estimators[hub]')"
    line = refused(capsys, "--train_data", path)
    assert line == f"{path}: expected the package pyarrow to read parquet, got none {cure}"
    line = refused(capsys, "--train_data", "someone/pairs")
    assert line.startswith(
        "someone/pairs: expected an existing path, or the package datasets to read the hub, got neither"
    )
    assert line.endswith(cure)


def test_all_bad_lines_are_counted_and_some_listed(tmp_path):
    path = lines(tmp_path / "data.jsonl", *[GOOD | {"rejected": ["5", "4"]}] * (SHOWN + 3), GOOD)
    with pytest.raises(ValueError, match=rf"^{SHOWN + 3} bad lines: ") as error:
        read_examples(path)
    assert str(error.value).count("identical") == SHOWN
    assert str(error.value).endswith("and 3 more")


def texts(examples):
    return [(example.prompt, example.chosen, example.rejected) for example in examples]


def test_lines_parquet_folders_and_the_hub_give_the_same_examples(tmp_path, monkeypatch):
    import datasets

    rows = [
        {
            "prompt": ASKED,
            "chosen": RIGHT,
            "rejected": [WRONG, [*WRONG, said("user", "Sure?"), *WRONG]],
        },
        {
            "prompt": [said("user", "3 + 3?") | {"name": "Ada"}],
            "chosen": [said("assistant", "6")],
            "rejected": [WRONG],
        },
    ]
    one = lines(tmp_path / "one.jsonl", *rows)
    expected = texts(read_examples(one))
    assert expected == [(row["prompt"], row["chosen"], tuple(row["rejected"])) for row in rows]
    assert (
        texts(read_examples(parquet(tmp_path / "two.parquet", *rows))) == expected
    )  # its `name: null` is left out
    folder = tmp_path / "folder"
    folder.mkdir()
    lines(folder / "a.jsonl", "", rows[0])
    parquet(folder / "b.parquet", rows[1])
    lines(folder / "README.md", "not data")
    lines(folder / "._a.jsonl", "nor is this")
    examples = read_examples(folder)
    assert texts(examples) == expected
    assert [(example.file, example.line) for example in examples] == [(0, 2), (1, 1)]
    asked, real = [], datasets.load_dataset

    def load_dataset(name, config, split):
        asked.append((name, config, split))
        return real(
            "json", data_files={"train": str(one)}, split=split, cache_dir=str(tmp_path / "hub")
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    flags = (
        "--train_data",
        "someone/pairs",
        "--dataset_config",
        "hard",
        "--dataset_train_split",
        "train[1:]",
    )
    data, _ = load_data(arguments(tmp_path, *flags), ByT5Tokenizer(chat_template=TEMPLATE))
    assert asked == [("someone/pairs", "hard", "train[1:]")]
    assert data.source.files == ("someone/pairs[train[1:]]",)
    assert [(example.file, example.line) for example in data.examples] == [(0, 1)]
    assert [parse_row(row.value)[0] for row in data.source.rows()] == [expected[1][0]]
    with pytest.raises(
        ValueError,
        match=r"^someone/pairs: expected .* reachable data set with split none, got: .*none",
    ):
        open_source("someone/pairs", split="none")


def test_rejected_forms_and_max_negatives(tmp_path):
    other = [said("assistant", "6")]
    rejected = ["5", ["5", "6", "7"], WRONG, [WRONG, other]]
    path = lines(
        tmp_path / "data.jsonl",
        *(GOOD | {"prompt": str(each), "rejected": each} for each in rejected),
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
def test_conversations_may_repeat_their_prompt(prompt):
    """TRL's implicit prompt, and data sets that give the prompt both apart and within the conversations."""
    row = {"chosen": ASKED + RIGHT, "rejected": [ASKED + WRONG, [*ASKED, said("assistant", "6")]]}
    asked, chosen, rejected = parse_row(prompt | row)
    assert asked == prompt.get("prompt", ASKED)
    assert (chosen, rejected) == (RIGHT, [WRONG, [said("assistant", "6")]])


def test_an_implicit_prompt_holds_all_turns_in_common():
    turns = [said("system", "Add."), *ASKED, said("assistant", "4"), said("user", "Sure?")]
    row = {
        "chosen": [*turns, said("assistant", "Yes.")],
        "rejected": [*turns, said("assistant", "No.")],
    }
    assert parse_row(row) == (turns, [said("assistant", "Yes.")], [[said("assistant", "No.")]])


def test_a_row_without_room_is_named_across_files(tmp_path):
    lines(tmp_path / "a.jsonl", GOOD)
    lines(tmp_path / "b.jsonl", GOOD | {"prompt": "2" * 40})
    with pytest.raises(
        ValueError, match=r"b.jsonl:1: prompt: expected fewer than max_length=40 tokens, got 40$"
    ):
        tokenize(read_examples(tmp_path), ByT5Tokenizer(), 40, tmp_path)


def test_a_duplicate_is_named_across_files(tmp_path):
    lines(tmp_path / "a.jsonl", GOOD)
    lines(tmp_path / "b.jsonl", GOOD | {"prompt": "1?"}, GOOD)
    with pytest.raises(
        ValueError, match=r"b.jsonl:2: prompt: expected a new example, got a copy of a.jsonl:1$"
    ):
        read_examples(tmp_path)


def test_evaluation_data_have_their_own_share_and_stand_in_the_same_list(tmp_path, capsys):
    train = lines(tmp_path / "train.jsonl", GOOD, GOOD)
    test = lines(
        tmp_path / "test.jsonl",
        *(GOOD | {"prompt": str(n)} for n in range(4)),
        GOOD | {"chosen": "5"},
    )
    flags = ("--train_data", train, "--eval_data", test, "--max_dropped")
    _, evaluation = load_data(arguments(tmp_path, *flags, 0.5), ByT5Tokenizer())
    assert len(evaluation.examples) == 4
    assert capsys.readouterr().out.count("\n") == 2
    listed = map(json.loads, (tmp_path / "out" / "dropped.jsonl").read_text().splitlines())
    assert [(row["file"], row["line"]) for row in listed] == [(str(train), 2), (str(test), 5)]
    with pytest.raises(ValueError, match=r"train.jsonl:2"):
        load_data(arguments(tmp_path, *flags, 0.4), ByT5Tokenizer())


def test_the_document_names_every_reason_policy_and_field_and_its_rows_are_read():
    text = (HERE.parent / "docs/guides/data.md").read_text()
    assert all(f"| `{name}`" in text for name in (*REASONS, *TRUNCATIONS))
    assert all(f"`--{each.name}" in text for each in fields(DataFields))
    block, found = text.split("```json\n")[1].split("```")[0], []
    while block.strip():
        row, end = json.JSONDecoder().raw_decode(block.lstrip())
        found.append(parse_row(row))
        block = block.lstrip()[end:]
    assert found == [("2 + 2?", "4", ["5", "22"]), (ASKED, RIGHT, ["5"]), (ASKED, RIGHT, [WRONG])]


def test_shipped_pairs_are_right_and_wrong_worked_answers():
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
