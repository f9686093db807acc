"""All commands: --help and refusals in one line, without torch, and a model's own code."""

import subprocess
import sys
from pathlib import Path

import pytest

from llm_adapter import evaluate, models, online, pairs
from llm_adapter.evaluation import rollouts
from llm_adapter.models import load_model, load_tokenizer

ROOT = Path(__file__).parents[2]


RUN = """
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    print("loaded:", *({"torch", "transformers"} & set(sys.modules)), file=sys.stderr)
"""


def run(tmp_path, command, *flags):
    """Run a command in a process of its own that lists on its last line which heavy packages it loaded."""
    return subprocess.run(
        [sys.executable, "-c", RUN, f"llm_adapter.{command}", *flags],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", ["train", "pairs", "evaluate", "online", "report", "plan"])
@pytest.mark.parametrize("flags", [["--help"], ["--betaa", "0.1"]], ids=" ".join)
def test_light_help(tmp_path, command, flags):
    """Help and a mistyped flag load neither torch nor transformers."""
    done = run(tmp_path, command, *flags)
    assert done.returncode == (0 if flags == ["--help"] else 2)

    if flags == ["--help"]:
        assert "\nexamples:\n" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 100
    else:
        assert "--betaa: expected a known flag" in done.stderr

    assert done.stderr.splitlines()[-1] == "loaded:"


DATA = ["rows.jsonl", "none.jsonl", "empty.jsonl"]


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(
    ("command", "flag"),
    [("train", "train_data"), ("train", "eval_data"), ("evaluate", "pairs")],
)
def test_light_refusal(tmp_path, command, flag, name):
    """Unreadable data are refused before torch is loaded."""
    (tmp_path / "rows.jsonl").write_text('{"prompt": "2 + 2?", "chosen": "4"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    done = run(tmp_path, command, f"--{flag}", name, *(["--out", "e.json"] * (command != "train")))

    assert done.returncode == 2
    assert f"error: {name}" in done.stderr
    assert done.stderr.splitlines()[-1] == "loaded:"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.jsonl", "rows.jsonl"]


pytest.importorskip(
    "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
)


@pytest.mark.parametrize(("command", "flags"), [(pairs, ""), (evaluate, "--k 1")])
def test_remote_code(make, tmp_path, calls, monkeypatch, command, flags):
    """A model's own code runs only if asked for."""
    asked = []
    monkeypatch.setattr(
        models,
        "load_tokenizer",
        lambda name, trust, _: asked.append(trust) or load_tokenizer(name),
    )
    monkeypatch.setattr(
        rollouts, "load_model", lambda name, **options: asked.append(options) or load_model(name)
    )
    out = tmp_path / ("p.jsonl" if command is pairs else "e.json")

    for trust in ("", "--trust_remote_code true"):
        assert make(out, f"--count 2 {flags} {trust}", command) == 0

    assert asked == [False, {"trust_remote_code": False}, True, {"trust_remote_code": True}]


@pytest.mark.parametrize(
    ("command", "flags", "message"),
    [
        (pairs, "--task sums", "task: expected one of products, chain_sum, gcd, lcm, got sums"),
        (pairs, "", "task: expected a value (--task …), got none"),
        (pairs, "--task gcd --samples 0", "samples: expected an integer ≥ 1, got 0"),
        (
            pairs,
            "--task gcd --temperature 0",
            "temperature: expected a finite number ≥ 1e-6, got 0.0",
        ),
        *(
            (
                command,
                f"--task gcd --seed {seed}",
                f"seed: expected an integer from 0 to 2^32 - 1, got {seed}",
            )
            for command in (pairs, evaluate, online)
            for seed in (-1, 2**32)
        ),
        (online, "--task gcd --temperature 1e-300", "temperature: expected a finite number ≥ 1e-6"),
        (pairs, "--task gcd --max_new_tokens 0", "max_new_tokens: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --batch 0", "batch: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --count 0", "count: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --negatives 0", "negatives: expected an integer ≥ 1, got 0"),
        (pairs, "--task gcd --out x.txt", "out: expected a file.jsonl to write, got x.txt"),
        (pairs, "--task gcd --out=", "out: expected a file to write, got none"),
        (pairs, "--task gcd --model ./none", "model: expected 'builtin', a directory"),
        (pairs, "--task gcd --sede 1", "expected a known flag, got this one (did you mean seed?)"),
        (evaluate, "--tesk gcd", "expected a known flag, got this one (did you mean task?)"),
        (evaluate, "", "task: expected a task to ask, or pairs to rank, got none"),
        (evaluate, "--task gcd --k 32", "k: expected integers from 1 to samples=16"),
        (
            evaluate,
            "--task gcd --out e.jsonl",
            "out: expected a file.json to write, got e.jsonl",
        ),
        (evaluate, "--pairs none.jsonl", "none.jsonl: expected"),
        (pairs, "--task gcd --count 1 --out /dev/null/x.jsonl", "/dev/null"),
    ],
)
def test_refusals(tmp_path, monkeypatch, capsys, command, flags, message):
    """Refusals are one line and write nothing."""
    monkeypatch.chdir(tmp_path)
    out = "p.jsonl" if command is pairs else "e.json"

    assert command.main([f"--out={out}", *flags.split()]) == 2

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.iterdir())
