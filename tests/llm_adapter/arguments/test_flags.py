"""Flags: how their values are read, and one line on each mistake."""

import pytest

from llm_adapter.arguments.fields import RunFields
from llm_adapter.arguments.flags import MISSING, Flag, Parser, groups_of

FLAGS = [
    Flag("name", default=MISSING),
    Flag("max_steps", "int", 3),
    Flag("rate", "float", 0.1),
    Flag("quiet", "bool", False),
    Flag("save_all", "bool", True),
    Flag("shard", "switch"),
    Flag("k", "int", (), several=True),
]


def parser():
    return Parser("somewhere", {"": FLAGS[:1], "more": FLAGS[1:]})


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--max_steps 4", {"max_steps": 4}),
        ("--max-steps=4", {"max_steps": 4}),
        ("--rate 1e-3 --quiet", {"rate": 1e-3, "quiet": True}),
        ("--quiet no", {"quiet": False}),
        ("--no_save_all", {"save_all": False}),
        ("--no-save-all", {"save_all": False}),
        ("--shard", {"shard": True}),
        ("--shard TRUE", {"shard": True}),
        ("--shard full", {"shard": "full"}),
        ("--k 1 2", {"k": [1, 2]}),
    ],
)
def test_given_flags(line, values):
    """Only what is given is returned."""
    assert parser().read(["--name", "a-b", *line.split()]) == {"name": "a-b"} | values


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "name: expected a value (--name …), got none"),
        ("--name", "name: expected a value, got none"),
        ("--name a --k", "k: expected a value, got none"),
        ("--name a --max_steps 2.5", "max_steps: expected an integer, got 2.5"),
        ("--name a --quiet maybe", "quiet: expected true or false, got maybe"),
        (
            "--max_stepps 1",
            "--max_stepps: expected a known flag, got this one (did you mean max_steps?)",
        ),
        ("--name a b", "b: expected a known flag, got this one"),
    ],
)
def test_mistakes(line, message):
    """A mistake is named."""
    with pytest.raises(ValueError, match="expected") as error:
        parser().read(line.split())
    assert str(error.value) == message


def test_help_headings():
    """Help has each flag of a run once under its heading."""
    groups = groups_of(RunFields)
    assert list(groups) == [
        "data",
        "loss",
        "model",
        "memory and precision",
        "training",
        "logging and evaluation",
    ]

    names = [entry.name for flags in groups.values() for entry in flags]
    text = Parser("somewhere", groups).format_help()

    assert len(names) == len(set(names))

    for name in names:
        assert text.count(f"\n  --{name} ") == 1
