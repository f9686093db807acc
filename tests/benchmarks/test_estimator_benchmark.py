"""The comparison of estimators: its laws, its file of rows, its tables. No peer is installed, nothing is downloaded."""

import json

import pytest

from benchmarks.estimators import figures, packages, plan, tables, tasks
from benchmarks.estimators.__main__ import main
from benchmarks.estimators.suites import SUITES, TASKS
from mi_estimators.laws import TASKS as LAWS

ONE = "--tasks 1v1-normal-0.75 --seeds 1 --stair_seeds 0 --rows 256 --steps 20"
FIT = dict.fromkeys(("held_out", "interval", "steps")) | {
    "estimate": 0.8,
    "reported": 0.8,
    "fresh": False,
    "cpu_seconds": 2.0,
}
ROW = FIT | {
    "suite": "tasks",
    "seed": 0,
    "rows": 9,
    "data": "d",
    "truth": 1.0,
    "task": "a",
    "version": "v 1",
}


def answered(package, estimator, task, seed, rows, steps):
    """Stand in for a fit."""
    return {name: value for name, value in FIT.items() if name != "steps"} | {
        "version": package.name
    }


def test_seeded_rows():
    """Rows are the seed's."""
    for task in SUITES["tasks"]:
        assert task.truth == LAWS[task.name].mutual_information
        digests = [tasks.digest(task, seed) for seed in (0, 0, 1)]
        assert digests[0] == digests[1] != digests[2]
        drawn = tasks.draw(task, 0, 100)
        assert len(drawn["x"]) == 100
        assert len(drawn["fresh_y"]) == tasks.FRESH_ROWS


def test_rows():
    """Whole numbers stay so and sorted rows come sorted."""
    labels = tasks.draw(TASKS["60-classes-codes"], 0, 100)
    assert labels["x"].dtype.kind == labels["fresh_y"].dtype.kind == "i"
    rows = tasks.draw(TASKS["sorted-by-x"], 0, 100)
    assert (rows["x"][1:] >= rows["x"][:-1]).all()
    assert not (rows["fresh_x"][1:] >= rows["fresh_x"][:-1]).all()


def test_one_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tasks, "FRESH_ROWS", 100)
    command = f"{ONE} --only mi-estimators --out {tmp_path}".split()

    assert main(command) == 0

    (row,) = plan.read(tmp_path / "results.jsonl")
    assert row["truth"] == pytest.approx(0.4133, abs=1e-4)
    assert row["estimate"] == row["reported"]
    assert row["interval"][0] < row["estimate"] < row["interval"][1]
    assert row["cpu_seconds"] > 0
    assert (tmp_path / "accuracy.png").stat().st_size > 0
    assert f"| mi-estimators | {row['estimate']:.2f} |" in (tmp_path / "tables.md").read_text()

    def never(*arguments):
        raise AssertionError("fitted again")

    monkeypatch.setattr(packages, "fit", never)
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"suite": "tasks", "cut sh')  # as an interruption leaves it

    capsys.readouterr()
    assert main(command) == 0
    assert plan.read(tmp_path / "results.jsonl") == [row]


def test_missing_peer(tmp_path, monkeypatch, capsys):
    """A peer that cannot be had leaves one line and the others."""
    monkeypatch.setattr(packages, "fit", answered)
    monkeypatch.setattr(
        packages,
        "prepare",
        lambda package, python: "no network" if "torch" in package.name else None,
    )

    assert main(f"{ONE} --out {tmp_path}".split()) == 0

    estimators = {row["estimator"] for row in plan.read(tmp_path / "results.jsonl")}
    assert {"mi-estimators", "benchmark-mi/cca", "scikit-learn/ksg"} <= estimators
    assert not any(name.startswith("torch-mist") for name in estimators)
    assert "torch-mist: left out, no network" in capsys.readouterr().err.splitlines()
    assert "Not finished: 6 of 9 fits" in (tmp_path / "tables.md").read_text()


def test_failed_fits(tmp_path, monkeypatch):
    """Failed fits are named and tried again."""
    command = f"{ONE} --only mi-estimators --out {tmp_path}".split()
    monkeypatch.setattr(packages, "fit", lambda *arguments: {"error": "out of memory"})

    assert main(command) == 1

    monkeypatch.setattr(packages, "fit", answered)
    assert main(command) == 0
    assert [row.get("error") for row in plan.read(tmp_path / "results.jsonl")] == [None]
    assert main([*command, "--redo", "mi-*"]) == 0
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1


def test_redo(tmp_path, monkeypatch):
    """What is run again loses its rows, once its environment is ready; all other rows stay."""
    monkeypatch.setattr(packages, "fit", answered)
    monkeypatch.setattr(packages, "prepare", lambda package, python: None)
    chosen = "--only mi-estimators scikit-learn/ksg"
    command = f"{ONE} {chosen} --seeds 2 --out {tmp_path}".split()
    assert main(command) == 0
    before = plan.read(tmp_path / "results.jsonl")
    assert len(before) == 4

    def other(*arguments):
        return answered(*arguments) | {"estimate": 0.5}

    def renewed(added):
        """Run again; return estimator and seed of the rows that changed."""
        main([*f"{ONE} {chosen} --out {tmp_path}".split(), *added])
        rows = plan.read(tmp_path / "results.jsonl")
        assert len(rows) == 4
        return [(row["estimator"], row["seed"]) for row in rows if row not in before]

    monkeypatch.setattr(packages, "fit", other)
    monkeypatch.setattr(packages, "prepare", lambda package, python: "no network")
    assert renewed(["--redo", "*"]) == []

    monkeypatch.setattr(packages, "prepare", lambda package, python: None)
    assert renewed(["--seeds", "1", "--redo", "mi-*"]) == [("mi-estimators", 0)]


def test_table_numbers():
    peer = {"estimator": "p", "estimate": 1.3, "reported": 1.5, "held_out": 1.3, "fresh": True}
    ours = {"estimator": "o", "interval": [0.7, 0.9], "verdict": "ok"}
    rows = [
        ROW | peer,
        ROW | ours,
        ROW | ours | {"seed": 1, "estimate": 0.9, "interval": [0.8, 1.0]},
    ]
    summary = tables.summary(rows)

    assert list(summary) == ["o", "p"]
    assert summary["o"]["mae"] == pytest.approx(0.15)
    assert summary["o"]["worst"] == pytest.approx(0.2)
    assert (summary["o"]["covered"], summary["o"]["intervals"]) == (1, 2)
    assert summary["o"]["spread"] == pytest.approx(0.1 / 2**0.5)
    assert summary["p"]["optimism"] == pytest.approx(0.2)
    assert summary["p"]["reported_mae"] == pytest.approx(0.5)
    assert summary["o"]["relative"] == pytest.approx(0.15)

    many = tables.page(
        "Suite",
        [ROW | ours | {"task": f"law {i}"} for i in range(30)],
        [],
        30,
        "c",
    )
    assert "| law 7 | – | 9 | – | 1.000 | 0.800 | 0.20 | 0 of 1 | 2.0 | ok 1 |" in many

    stairs = [row | {"suite": "staircase"} for row in rows[1:]]
    line = "| 1 | o | 9 | 2 | 0.85 | -0.15 | 0.0050 | 0.0250 | 1 of 2 | 2.0 | ok 2 |"

    assert line in tables.staircase(stairs)

    lost = [ROW | {"estimator": "x", "estimate": None, "reported": None}]
    assert tables.summary(lost)["x"]["mae"] == float("inf")
    assert "| x | ∞ |" in tables.estimates(lost)

    figures.accuracy([*rows, *lost])
    figures.laws([*rows, *lost])
    figures.staircase(stairs)
    at = {"suite": "cost", "interval": None, "rows": 5000}
    figures.cost([ROW | at | {"estimator": "o", "task": task.name} for task in SUITES["cost"]])


def test_best_peer():
    """Each law is set beside the best other estimator."""
    ours, near, far = ({"estimator": name} for name in ("mi-estimators", "near", "far"))
    rows = [
        *(
            ROW | of | {"task": "a", "estimate": e}
            for of, e in ((ours, 0.9), (near, 1.05), (far, 2))
        ),
        *(ROW | of | {"task": "b", "estimate": e} for of, e in ((ours, 1.0), (near, 0.99))),
        ROW | near | {"task": "c"},
    ]
    text = tables.beside(rows)

    assert "| a | near | 1.000 | 0.100 | 0.050 | -0.050 |" in text
    assert "| b | near | 1.000 | 0.000 | 0.010 | 0.010 |" in text
    assert "1 of 2 (50 %) laws. First: 1 of 2 (50 %)." in text
    assert tables.beside(rows[-1:]) == ""


def test_grid_averages():
    """The grid is averaged over laws at each information."""
    ours = {"estimator": "o", "suite": "grid", "interval": None}
    at = (("x-1-nats", 1.0, 1.2), ("x-8-nats", 8.0, 7.0), ("y-z-1-nats", 1.0, 1.0))
    rows = [ROW | ours | {"task": t, "truth": truth, "estimate": e} for t, truth, e in at]
    text = tables.page("Grid", rows, [], 3, "c")

    assert "| estimator | law | 1 | 8 |" in text
    assert "| o | y-z | 0.00 | – |" in text
    assert "| o | all | 0.10 | 1.00 |" in text


def test_verdicts():
    """A verdict is held to the error of its fit."""
    fit = {"estimator": "o", "rows": 1000, "truth": 2.0, "estimate": 2.0, "verdict": "ok"}
    fit = ROW | fit | {"interval": [1.9, None]}
    rows = [
        fit,
        fit | {"estimate": 1.5, "interval": [1.4, 1.6]},  # wrong, and says nothing
        fit | {"estimate": 1.65},  # above 0.3 nats, but within 20 %: neither wrong nor right
        fit | {"estimate": 1.95, "verdict": "drift"},  # right, and flagged
        fit | {"estimate": 1.99, "verdict": "nothing_found"},  # set aside
        fit | {"truth": 0.0, "estimate": 0.03, "interval": [0.0, 0.1]},  # above 0.02 nats
        fit | {"truth": 9.0, "estimate": 9.0},  # beyond ln 1000
        fit | {"task": "walks", "truth": 0.0, "estimate": 0.01, "verdict": "dependent_rows"},
        fit | {"task": "walks", "truth": 0.0, "estimate": 0.6},
    ]
    counts = {question: len(answers) for question, answers in tables.trust(rows).items()}

    assert counts == {
        "fits": 9,
        "ok": 5,
        "ok and covered": 3,
        "wrong": 2,
        "wrong and ok": 2,
        "right": 2,
        "right and flagged": 1,
        "beyond ln n": 1,
        "beyond ln n and ok": 1,
        "known": 2,
        "known and met": 1,
    }

    text = tables.page("Suite", rows, [], 9, "c")
    assert "| wrong (above 0.3 nats and 20 %) and `ok` | 2 of 2 (100 %) | none |" in text
    assert "* walks, seed 0, n = 1000: 0.600 [1.900, ∞] of 0.000, ok" in text


SCRIPT = """
import json, os, sys
from pathlib import Path
for line in sys.stdin:
    request = json.loads(line)
    print("a package prints, too")
    if request["seed"] == 1:
        sys.exit("out of memory")
    print(json.dumps({"pid": os.getpid(), "reported": 1.0, "held_out": None}), flush=True)
"""


def test_dead_process(tmp_path):
    """A process fits one after the other and its death is a row."""
    (tmp_path / "script.py").write_text(SCRIPT)
    package = packages.Package("stand-in", str(tmp_path / "script.py"), ("default",))
    (task,) = [task for task in SUITES["tasks"] if task.name == "1v1-normal-0.75"]

    try:
        first, second, dead, again = (
            packages.fit(package, "default", task, seed, 100, None) for seed in (0, 2, 1, 0)
        )
    finally:
        packages.close()

    assert first["pid"] == second["pid"] != again["pid"]
    assert dead == {"error": "out of memory"}
    assert first["estimate"] == 1.0


@pytest.mark.parametrize("wrong", ["--only mine", "--tasks nothing", "--rows 10", "--jobs 0"])
def test_refusals(tmp_path, capsys, wrong):
    """What makes no sense is refused in one line."""
    assert main(f"{ONE} {wrong} --out {tmp_path}".split()) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_other_file(tmp_path):
    """A file of something else is refused."""
    (tmp_path / "results.jsonl").write_text(json.dumps({"no": "row"}) + "\n")
    with pytest.raises(ValueError, match="line 1"):
        plan.read(tmp_path / "results.jsonl")
