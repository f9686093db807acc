"""Sources: JSON lines, parquet, folders and the hub give the same rows; what cannot be read is named."""

import sys

import pytest
from transformers import ByT5Tokenizer

from llm_adapter.data.load import load_data, read_examples
from llm_adapter.data.rows import parse_row
from llm_adapter.data.sources import open_source
from tests.llm_adapter.data.shared import (
    ALTERNATING,
    ASKED,
    GOOD,
    RIGHT,
    WRONG,
    arguments,
    lines,
    refused,
    said,
    without,
)


def parquet(path, *rows, names=None):
    from pyarrow import Table
    from pyarrow.parquet import write_table

    table = Table.from_pylist(rows)
    write_table(table.rename_columns(names) if names else table, path)
    return path


def test_bad_sources(tmp_path, capsys, monkeypatch):
    """Missing, empty and unreadable sources are named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}\n')
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    parquet(tmp_path / "column.parquet", GOOD, without("rejected"))
    parquet(tmp_path / "columns.parquet", without("rejected"))
    parquet(tmp_path / "twins.parquet", GOOD, names=["prompt", "chosen", "chosen"])
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
        ("twins.parquet", "twins.parquet: expected distinct column names, got 'chosen' twice"),
    ):
        assert refused(capsys, f"--train_data {name} --token_cache none").startswith(message)

    assert sorted(tmp_path.iterdir()) == before


def test_absent_packages(tmp_path, capsys, monkeypatch):
    """Absent packages are named with their cure."""
    path = parquet(tmp_path / "data.parquet", GOOD)
    for module in ("pyarrow", "datasets"):
        monkeypatch.setitem(sys.modules, module, None)

    cure = "(pip install 'mi-estimators[hub]')"
    line = refused(capsys, f"--train_data {path}")

    assert line == f"{path}: expected the package pyarrow to read parquet, got none {cure}"

    line = refused(capsys, "--train_data someone/pairs")
    assert line.startswith(
        "someone/pairs: expected an existing path, or the package datasets to read the hub, got neither"
    )
    assert line.endswith(cure)


def texts(examples):
    return [(example.prompt, example.chosen, example.rejected) for example in examples]


def test_same_examples(tmp_path, monkeypatch):
    """Lines, Parquet, folders and the hub give the same examples."""
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
    # Its `name: null` is left out
    assert texts(read_examples(parquet(tmp_path / "two.parquet", *rows))) == expected

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
    flags = "--train_data someone/pairs --dataset_config hard --dataset_train_split train[1:]"
    data, _ = load_data(arguments(tmp_path, flags), ByT5Tokenizer(chat_template=ALTERNATING))

    assert asked == [("someone/pairs", "hard", "train[1:]")]
    assert data.source.files == ("someone/pairs[train[1:]]",)
    assert [(example.file, example.line) for example in data.examples] == [(0, 1)]
    assert [parse_row(row.value).prompt for row in data.source.rows()] == [expected[1][0]]

    with pytest.raises(
        ValueError,
        match=r"^someone/pairs: expected .* reachable data set with split none, got: .*none",
    ):
        open_source("someone/pairs", split="none")


def test_skipped_files(tmp_path, capsys):
    """What a folder holds beside its rows is named, hidden files apart."""
    (tmp_path / "data").mkdir()
    folder = tmp_path / "data"
    lines(folder / "a.jsonl", GOOD)
    for name in ("more.json", "README.md", ".hidden.jsonl"):
        lines(folder / name, GOOD)
    (folder / "old.jsonl").mkdir()

    for source, named in (
        (folder, "; skipped files: README.md, more.json, old.jsonl/; "),
        (folder / "a.jsonl", ""),
    ):
        load_data(arguments(tmp_path, f"--train_data {source}"), ByT5Tokenizer())
        line = capsys.readouterr().out
        assert named in line
        assert ("skipped" in line) == bool(named)
