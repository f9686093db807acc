"""The README: its code runs and prints what it says, its commands exist."""

import contextlib
import importlib.util
import io
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"[+-]?\d+\.\d+")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


def test_the_code_prints_what_stands_under_it():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), {})
    (expected,) = blocks("text")
    got = printed.getvalue()
    assert NUMBER.sub("#", got).split() == NUMBER.sub("#", expected).split()
    # another processor may round a training run otherwise
    assert [float(n) for n in NUMBER.findall(got)] == pytest.approx(
        [float(n) for n in NUMBER.findall(expected)], abs=0.03, rel=0.1
    )


def test_commands_exist():
    targets = subprocess.run(["make", "help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    named = set(re.findall(r"\bmake ([a-z]+)\b", "".join(blocks("sh")) + (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"demo", "test"} <= named
    for name in named - {"is"}:
        assert f"make {name}" in targets
    modules = set(re.findall(r"python -m ([\w.]+)", README))
    assert modules
    for module in modules:
        package = importlib.util.find_spec(module).submodule_search_locations is not None
        assert importlib.util.find_spec(f"{module}.__main__" if package else module), module


def test_it_is_short():
    assert len(README.splitlines()) <= 150
