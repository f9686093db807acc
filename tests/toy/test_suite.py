"""Running a suite: rows, resumption, interruption."""

import signal
import subprocess
import sys
import time

import pytest

from toy import rows, suite
from toy.collapse.run import Lazy
from toy.escape.run import EscapeSampled
from toy.experiment import experiments


def test_rows_written(folder, tiny):
    """Rows say what was run, with what, and what came."""
    written = rows.read(folder / rows.FILE)
    assert len(written) == sum(map(len, tiny.values()))

    for row in written:
        assert row["experiment"] in tiny
        assert set(row["versions"]) == {"python", "torch", "mi-estimators"}
        assert {"spec", "seed", "measured", "theory", "seconds", "suite", "kind"} <= set(row)

    text = (folder / rows.FILE).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_never_is_null(folder):
    (row,) = rows.of(
        rows.read(folder / rows.FILE),
        "EscapeFlow",
        objective="mio",
    )

    assert row["measured"]["time"] == row["theory"]["time"] == [[None, None]]


def test_second_run(folder, tiny, nothing_runs):
    """A second run repeats nothing."""
    before = (folder / rows.FILE).read_bytes()
    assert len(suite.run(tiny, "tiny", 0, folder, bar=False)) == sum(map(len, tiny.values()))
    assert (folder / rows.FILE).read_bytes() == before


def test_new_specs(tmp_path):
    """Another seed or spec is run."""
    spec = EscapeSampled((0.1,), 8, replicas=2)
    suite.run({"escape": (spec,)}, "tiny", 0, tmp_path, bar=False)
    suite.run({"escape": (spec,)}, "tiny", 1, tmp_path, bar=False)
    suite.run(
        {"escape": (EscapeSampled((0.2,), 8, replicas=2),)},
        "tiny",
        1,
        tmp_path,
        bar=False,
    )
    written = rows.read(tmp_path / rows.FILE)

    assert [row["seed"] for row in written] == [0, 1, 1]
    assert len(rows.latest(written)) == 2


def test_interruption(tmp_path, monkeypatch):
    """An interrupted run keeps its rows and goes on."""
    group = {"collapse": (Lazy("dv", 1.0), Lazy("js", 1.0), Lazy("js", 2.0))}
    called, runs = [], experiments()["collapse"].runs
    real = runs[Lazy]

    def run(spec, seed):
        called.append(spec)
        if len(called) == 2:
            raise KeyboardInterrupt
        return real(spec, seed)

    monkeypatch.setitem(runs, Lazy, run)
    with pytest.raises(KeyboardInterrupt):
        suite.run(group, "tiny", 0, tmp_path, bar=False)

    path = tmp_path / rows.FILE
    assert len(rows.read(path)) == 1

    with path.open("a") as file:
        file.write('{"kind": "Lazy", "cut sho')  # a line that the interruption cut short

    assert len(suite.run(group, "tiny", 0, tmp_path, bar=False)) == 3
    assert called == [
        group["collapse"][0],
        group["collapse"][1],
        group["collapse"][1],
        group["collapse"][2],
    ]
    assert len(rows.read(path)) == len(path.read_text().splitlines()) == 3


PATIENT = """
import signal, sys, time
from toy.__main__ import main
from toy.experiment import experiments

runs = experiments()["collapse"].runs
for kind, run in runs.items():
    def patient(spec, seed, run=run):  # so that the signal comes before the last row
        time.sleep(2)
        return run(spec, seed)
    runs[kind] = patient
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)])
def test_killed_process(tmp_path, monkeypatch, how, code):
    """A killed process leaves its rows, and the same command goes on.

    A real process, stopped after its first row; what it finished is not run again.
    """
    path, errors = tmp_path / rows.FILE, tmp_path / "errors"
    command = [sys.executable, "-c", PATIENT, "collapse", "--quick", "--out", str(tmp_path)]
    with errors.open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        deadline = time.monotonic() + 300
        while not (path.exists() and b"\n" in path.read_bytes()):
            assert process.poll() is None, errors.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(how)
        assert process.wait(60) == code

    assert "collapse: " in errors.read_text()  # the progress bar

    if how == signal.SIGINT:
        assert "Run the same command again" in errors.read_text()
    before, called = path.read_bytes(), []
    finished = len(rows.read(path))
    collapse = experiments()["collapse"]

    assert 1 <= finished < len(collapse.quick)

    for kind in collapse.runs:
        monkeypatch.setitem(
            collapse.runs,
            kind,
            lambda spec, seed: (called.append(spec) or {}, {}),
        )

    again = suite.run({"collapse": collapse.quick}, "quick", 0, tmp_path, bar=False)
    assert called == list(collapse.quick[finished:])
    assert path.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert len(again) == len(rows.read(path)) == len(collapse.quick)
