"""The guides: their Python blocks run from top to bottom and print what stands under them."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from llm_adapter.arguments.training import read_values

ROOT = Path(__file__).parents[1]
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
