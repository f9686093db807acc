"""The guides: their Python blocks run and print what stands under them; flags and guides name one another."""

import contextlib
import io
import re
import shlex
import sys
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from llm_adapter.arguments import trl
from llm_adapter.arguments.training import read_values

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs/sphinx"))
from reference import COMMANDS, usage  # noqa: E402

GUIDES = sorted(ROOT.glob("docs/guides/*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
NUMBER = re.compile(r"[+-]?\d+\.\d+")


def programs(path):
    """Return the Python blocks of a guide, each with what stands under it as its output, or None."""
    blocks = BLOCK.findall(path.read_text(encoding="utf-8"))
    after = [*blocks[1:], ("", "")]
    return [
        (code, under if kind == "text" else None)
        for (language, code), (kind, under) in zip(blocks, after, strict=False)
        if language == "python"
    ]


LONG = {"images_and_sequences", "estimates", "diagnostics", "big_data"}
"""Guides whose fits take more than ten seconds."""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.broad] * (path.stem in LONG))
        for path in GUIDES
        if programs(path)
    ],
)
def test_printed_output(path, tmp_path, monkeypatch):
    """The code runs and prints what stands under it."""
    pytest.importorskip(
        "sklearn", reason="the guides load scikit-learn's data; it is in the group test"
    )
    monkeypatch.chdir(tmp_path)

    names: dict[str, object] = {}
    for code, expected in programs(path):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(path), "exec"), names)

        plt.close("all")
        if expected is not None:
            got = printed.getvalue()
            assert NUMBER.sub("#", got).split() == NUMBER.sub("#", expected).split()
            # another processor may round a training run otherwise
            assert [float(n) for n in NUMBER.findall(got)] == pytest.approx(
                [float(n) for n in NUMBER.findall(expected)], abs=0.11, rel=0.1
            )


RUNS = [
    shlex.split(line.partition("-m llm_adapter.train")[2], comments=True)
    for path in GUIDES
    for language, text in BLOCK.findall(path.read_text(encoding="utf-8"))
    for line in text.replace("\\\n", " ").splitlines()
    if language in ("sh", "bash") and "-m llm_adapter.train" in line
]


@pytest.mark.parametrize("flags", RUNS, ids=" ".join)
def test_existing_flags(flags, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert read_values(flags) is not None
    with pytest.raises(ValueError, match="known flag"):
        read_values([*flags, "--no_such_flag", "1"])


FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)")
COMMAND = re.compile(r"-m ((?:mi_estimators|toy|proofs|llm_adapter)[.\w]*)([^\n`|#]*)")
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
    if "build" not in path.parts
)
TRL = {*trl.NAMES, *trl.REMEDIES, *trl.SPECIAL, *trl.TABLES}


@cache
def flags_of(command):
    """Return the names of the flags that a command knows."""
    train = command == "llm_adapter.train"
    return set(FLAG.findall(usage(command, "--help_all" if train else "--help")))


GIVEN: dict[str, set[str]] = {}
"""Command → names of the flags that some page gives it; an experiment of the lab has the flags of its report."""
for page in PAGES:
    for command, words in COMMAND.findall(page.read_text().replace("\\\n", " ")):
        name = "toy report" if command == "toy" else command
        GIVEN.setdefault(name, set()).update(FLAG.findall(words))


@pytest.mark.parametrize("command", sorted(GIVEN))
def test_known_flags(command):
    """A command knows every flag that a page gives it."""
    theirs = TRL if command == "llm_adapter.train" else set()
    assert GIVEN[command] <= flags_of(command) | theirs


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_flags_in_sentences(path):
    """A flag that stands alone in a sentence is one of ours, or one of TRL's that we read."""
    sentences = BLOCK.sub("", path.read_text())
    known = set().union(*map(flags_of, COMMANDS), flags_of("toy report"))
    assert set(re.findall(r"`--(\w+)", sentences)) <= known | TRL


@pytest.mark.parametrize("command", [name for name in COMMANDS if name.startswith("llm_adapter")])
def test_flags_on_pages(command):
    """Some guide names every flag that --help shows."""
    text = "\n".join(path.read_text() for path in GUIDES)
    assert set(FLAG.findall(usage(command))) - {"help"} <= set(re.findall(r"\w+", text))
