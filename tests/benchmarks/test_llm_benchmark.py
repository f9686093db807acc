"""The benchmark against TRL: its tables say what its rows hold, and a run replaces its earlier row."""

import json
import sys

import pytest

from benchmarks.llm import __main__ as command
from benchmarks.llm import diagnostics, layouts, probe, runs, start_noise, tables
from llm_adapter.data.sources import PAIRS
from llm_adapter.training.trainer import START_NOISE


def row(side, shift, seconds, peak):
    """A run of three steps whose rewards are `shift` off."""
    names = ("loss", "rewards/chosen", "rewards/rejected", "logps/chosen", "logps/rejected")
    logs = [
        dict.fromkeys(names, 1.0 - step / 10) | {"rewards/chosen": step * (1 + shift)}
        for step in range(3)
    ]
    return {
        "model": "builtin",
        "side": side,
        "loss_type": "sigmoid",
        "round": 0,
        "data": "d",
        "steps": 3,
        "batch": 4,
        "dtype": "float32",
        "cpu_seconds": [9.0, seconds, seconds],
        "peak_bytes": peak * 2**30,
        "logs": logs,
        "version": "trl 0",
    }


def test_tables():
    """Tables hold the largest difference and the ratios."""
    text = tables.page(
        [row("TRL", 0.0, 3.0, 2), row("ours, padded rows", 0.25, 2.0, 1)], [], "command"
    )
    gaps = "0.0e+00 | 5.0e-01 | 0.0e+00 | 0.0e+00 | 0.0e+00 | 1.2e-07"
    assert f"| sigmoid | ours, padded rows | 3 | 1.000000 | 0.800000 | {gaps} |" in text
    assert (
        "| builtin | d | ours, padded rows | 1 | 2.00 | 1.50 (1.50 to 1.50) | 1.00 | 2.00 (2.00 to 2.00) |"
        in text
    )


def test_a_run_replaces_its_earlier_row(tmp_path, capsys):
    for seconds in (5.0, 2.0):
        command._append(tmp_path, row("TRL", 0.0, seconds, 1))
    command._append(tmp_path, row("ours, padded rows", 0.0, 1.0, 1))
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["cpu_seconds"][1] for line in rows] == [2.0, 1.0]
    assert command.main(f"--tables --out {tmp_path}".split()) == 0
    assert (tmp_path / "tables.md").read_text() == capsys.readouterr().out[:-1]


def test_both_sides_get_the_same_pairs(tmp_path):
    runs.write_pairs(PAIRS, 5, True, tmp_path / "pairs.jsonl")
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    first = json.loads(PAIRS.read_text().splitlines()[0])
    assert len(pairs) == 5
    assert pairs[0]["prompt"] == [{"role": "user", "content": first["prompt"]}]
    assert pairs[0]["rejected"] == [{"role": "assistant", "content": first["rejected"][0]}]


def test_layouts_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    few = tmp_path / "few.jsonl"
    few.write_text("".join(PAIRS.read_text().splitlines(keepends=True)[:6]))
    measured = layouts.measure(runs.saved_model("builtin"), few, 3, 2)
    assert measured["positions"]["shared"] < measured["positions"]["padded"]
    assert all(measured["real"][name] <= measured["positions"][name] for name in measured["real"])
    assert measured["agree"] < 1e-3
    assert [len(values) for values in measured["cpu_seconds"].values()] == [2, 2]
    assert "| builtin | few.jsonl | 6, 4 a batch | ≤ 3 |" in tables.savings([measured])


def test_a_failed_run_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command.environment, "prepare", lambda *_: "no network")
    assert command.main(["--out", str(tmp_path)]) == 1
    assert "benchmarks.llm: TRL: no network" in capsys.readouterr().err
    monkeypatch.setitem(runs.SIDES, "TRL", ("absent.py", {}))
    monkeypatch.setattr(runs, "BUILD", tmp_path)
    monkeypatch.setattr(runs.environment, "python_of", lambda _: sys.executable)
    with pytest.raises(RuntimeError, match=r"TRL: .*absent\.py"):
        runs.run("TRL", "builtin", "sigmoid", PAIRS, 1)


def test_a_stopped_run_is_no_row(tmp_path):
    """A training that a signal ended early is refused: its steps are not those that were asked for."""
    script = tmp_path / "stopped.py"
    script.write_text("print('{\"cpu_seconds\": [1.0]}')")
    fields = {"out": str(tmp_path), "training": {"max_steps": 2}}
    with pytest.raises(RuntimeError, match="ours: stopped after 1 of 2 steps"):
        runs.launch(str(script), False, fields, "ours")


def test_small_measurements(
    capsys,
):
    """The cost of diagnostics and the noise of a start are measured on the built-in model."""
    flags = f"--model builtin --data {PAIRS} --batches 2"
    assert diagnostics.main(flags.split()) == 0
    rows = [
        line.split("|")[1:4]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("| ")
    ]
    assert [name.strip() for name, *_ in rows[1:]] == list(diagnostics.WAYS)
    assert all(float(seconds) > 0 for _, seconds, _ in rows[1:])
    trainer = probe.prepared("builtin", PAIRS, 2, row_layout="padded")
    check, logged, noise = start_noise.deviations(trainer).unbind(-1)
    assert check.max() < 1e-6
    assert logged.max() < 1e-5
    assert noise.max() < START_NOISE[True]
