"""`python -m proofs`: what it prints, what it exits with, and that it leaves nothing behind."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proofs import __main__ as command
from proofs import ledger
from proofs.engine import tested
from proofs.engine.strategies import scores
from proofs.engine.theorem import Part
from proofs.theorems.bounds.dv_shift_nwj import THEOREM

ROOT = Path(__file__).parents[2]
TRUE = tested.Tested(
    "true",
    {"t": scores()},
    lambda t: True,
    examples=3,
)
FALSE = tested.Tested("false", {"t": scores()}, lambda t: t < 1)


PLAIN = replace(THEOREM, setting="a setting", formula="x = x", false_neighbours=(FALSE,))


def theorem(slug, check=TRUE, uses=()):
    part = Part("a", "a statement", checks=(check,), by_hand=("a step",))
    return replace(PLAIN, slug=slug, parts=(part,), uses=uses)


@pytest.fixture
def shelf(monkeypatch):
    """The ledger's theorems, to be replaced."""
    theorems = {"good": theorem("good")}
    monkeypatch.setattr(ledger, "load", lambda: theorems)
    monkeypatch.setattr(command, "modules", lambda: theorems)
    return theorems


def test_json(tmp_path):
    """Strict JSON on stdout alone, the bar on stderr, exit 0, no file left, whatever the terminal can print."""
    result = subprocess.run(
        [sys.executable, "-m", "proofs", "dv_shift_nwj", "--json"],
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert result.returncode == 0, result.stderr

    (row,) = json.loads(
        result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
    )

    assert (row["slug"], row["ok"]) == ("dv_shift_nwj", True)
    assert "theorem" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_ledger(shelf, capsys):
    shelf["better"] = theorem("better", uses=("good",))
    assert command.main([]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["theorem", "good", "better", "2"]
    assert lines[2].endswith(f"yes    {PLAIN.title} (rests on good)")
    assert lines[1].split()[1:6] == ["tested", "+", "hand,", "in", "words"]
    assert lines[-1].startswith(
        "2 theorems: 0 symbolic, 0 certified, 2 tested, 2 with a step by hand; "
    )
    assert lines[-1].endswith(" s")


def test_one_theorem(shelf, capsys):
    """One theorem in full."""
    shelf["better"] = theorem("better", uses=("good",))
    assert command.main(["better"]) == 0

    text = capsys.readouterr().out
    heads = (
        f"better [tested + hand, in words]: {PLAIN.title}",
        "Part (a) [tested + hand, in words]",
    )
    fields = (
        "a setting",
        "a statement",
        "a step",
        PLAIN.proof,
        PLAIN.reference,
        *PLAIN.assumptions,
    )
    for part in (*heads, "good", *fields):
        assert " ".join(part.split()) in " ".join(text.split())

    assert "[tested] true: survived" in text
    assert "[tested] false: refuted at t = 1" in text


@pytest.mark.parametrize("arguments", [[], ["--json"], ["bad"], ["bad", "--json"]])
def test_failed_theorem(shelf, capsys, arguments):
    """A theorem that is not ok is exit 1."""
    shelf["bad"] = theorem("bad", check=FALSE)
    assert command.main(arguments) == 1

    out = capsys.readouterr().out
    assert "t = 1" in out

    if "--json" in arguments:
        assert [row["ok"] for row in json.loads(out) if row["slug"] == "bad"] == [False]
    elif not arguments:
        assert out.splitlines()[-1].startswith(
            "2 theorems: 0 symbolic, 0 certified, 1 tested, 1 FAILED, 1 with a step by hand; "
        )


def test_write(shelf, tmp_path, capsys):
    page = tmp_path / "page.md"
    assert command.main(["--write", str(page)]) == 0

    text = page.read_text()
    parts = "1 theorems in 1 parts: 1 tested", "[`good`](#good)", "`mi.dv`"
    for part in (*parts, "a statement", "$$\nx = x\n$$"):
        assert part in text

    shelf["bad"] = theorem("bad", check=FALSE)
    assert command.main(["--write", str(page)]) == 1
    assert page.read_text() == text, "a page of theorems that do not hold was written"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good", "--write"], "--write: expected no SLUG"),
        (["good", "goood"], "SLUG: expected the name of a theorem, got 'goood'"),
        (["--write", "nowhere/page.md"], "--write: expected a folder that exists, got nowhere"),
        (["goood"], "SLUG: expected the name of a theorem, got 'goood'; did you mean good?"),
        (
            ["xy", "--json"],
            "SLUG: expected the name of a theorem, got 'xy'; `python -m proofs` lists",
        ),
    ],
)
def test_wrong_command(shelf, capsys, arguments, message):
    """A wrong command is refused before anything runs."""
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2

    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_missing_package(shelf, monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "flint" else True)
    with pytest.raises(SystemExit):
        command.main([])
    message = "flint: not installed; run pip install --group proofs"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--help", "--jsn", "mio_ancor"])
def test_light_help(flag):
    """Help and mistyped arguments load nothing heavy."""
    code = f"""
import sys
from proofs.__main__ import main
try:
    main([{flag!r}])
except SystemExit as stopped:
    print("exit", stopped.code)
print(*({{"torch", "sympy", "numpy", "hypothesis"}} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )

    assert result.stdout.endswith(f"exit {0 if flag == '--help' else 2}\n\n")


def test_failed_import(shelf, capsys):
    """A module that does not import is exit 1."""
    shelf["broken"] = "SyntaxError: no"
    assert command.main([]) == 1
    assert "! SyntaxError: no" in capsys.readouterr().out
    assert command.main(["broken"]) == 1
    assert "! SyntaxError: no" in capsys.readouterr().out
    assert command.main(["good"]) == 0


def test_no_theorem(shelf, capsys):
    """No theorem at all is exit 1."""
    shelf.clear()
    assert command.main(["--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


def test_stray_prints(shelf, capsys):
    """What a theorem prints does not reach stdout."""
    shelf["loud"] = theorem(
        "loud",
        check=tested.Tested("loud", {"t": scores()}, lambda t: print("noise") is None, examples=2),
    )

    assert command.main(["--json"]) == 0
    assert "noise" not in json.dumps(json.loads(capsys.readouterr().out))
