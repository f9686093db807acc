"""The command line: its commands, its errors, and what it does not import."""

import dataclasses
import re
import subprocess
import sys

import pytest

from toy import experiment, report, rows
from toy.__main__ import main
from toy.collapse.run import Lazy
from toy.escape.run import EscapeFlow
from toy.experiment import experiments


def test_report_rebuilds_from_the_rows_alone(folder, nothing_runs, capsys):
    page = (folder / report.FILE).read_text()
    (folder / report.FILE).unlink()
    assert main(["page", "--out", str(folder)]) == 0
    assert (folder / report.FILE).read_text() == page
    *_, seen, last = capsys.readouterr().out.splitlines()
    assert seen.startswith(f"{folder / 'lead.png'}: DPO sinks the chosen answer")
    assert last.endswith(f"next: open {folder / report.FILE}")


def test_one_experiment_alone(tmp_path, monkeypatch, capsys):
    shortened = experiments()
    shortened["collapse"] = dataclasses.replace(shortened["collapse"], quick=(Lazy("dv", 1.0),))
    monkeypatch.setattr(experiment, "experiments", lambda: shortened)
    assert (
        main(["collapse", "--quick", "--out", str(tmp_path / "new" / "folder"), "--seed", "3"]) == 0
    )
    (row,) = rows.read(tmp_path / "new" / "folder" / rows.FILE)
    assert (row["suite"], row["seed"]) == ("quick", 3)
    *_, seen, last = capsys.readouterr().out.splitlines()
    assert "lead.png" not in seen
    assert "next: open " in last


def test_a_report_without_rows_says_what_to_do(tmp_path, capsys):
    assert main(["page", "--out", str(tmp_path)]) == 1
    assert re.search(
        r"expected results or runs in .*got none; run `python -m toy demo`", capsys.readouterr().err
    )


def test_an_out_that_is_a_file_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--quick", "--out", str(tmp_path / "file" / "below")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("toy: ")
    assert error.count("\n") == 1


def test_damaged_rows_and_bad_seeds_are_named(tmp_path, capsys):
    (tmp_path / rows.FILE).write_text('{"no": "row"}\n')
    assert main(["page", "--out", str(tmp_path)]) == 1
    assert "expected a row of results in line 1" in capsys.readouterr().err
    assert main(["demo", "--seed", "-1", "--out", str(tmp_path)]) == 1
    assert "seed: expected an integer of at least 0, got -1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["escape", "--help"], 0), (["dance"], 2), (["escape", "--qiuck"], 2)],
)
def test_help_and_mistakes_import_nothing_heavy(arguments, code):
    program = f"""
import sys
from toy.__main__ import main
try:
    main({arguments})
finally:
    print({{"torch", "numpy", "matplotlib", "mi_estimators"}} & set(sys.modules), file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == code
    assert result.stderr.endswith("set()\n")
    assert "usage: python -m toy" in result.stdout + result.stderr


def test_help_names_every_experiment_by_what_it_shows():
    command = [sys.executable, "-m", "toy", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    help_text = " ".join(result.stdout.split())
    for name, about in experiment.abouts().items():
        assert f"{name} {about}" in help_text


def test_interruption_at_the_command_line(tmp_path, monkeypatch, capsys):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments()["escape"].runs, EscapeFlow, stop)
    assert main(["escape", "--quick", "--out", str(tmp_path)]) == 130
    assert "Run the same command again" in capsys.readouterr().err
