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


def test_report_alone(folder, nothing_runs, capsys):
    """The report is rebuilt from the rows alone."""
    page = (folder / report.FILE).read_text()
    (folder / report.FILE).unlink()

    assert main(f"page --out {folder}".split()) == 0
    assert (folder / report.FILE).read_text() == page

    *_, seen, last = capsys.readouterr().out.splitlines()
    assert seen.startswith(f"{folder / 'lead.png'}: DPO sinks the chosen answer")
    assert last.endswith(f"next: open {folder / report.FILE}")


def test_one_experiment(tmp_path, monkeypatch, capsys):
    shortened = experiments()
    shortened["collapse"] = dataclasses.replace(shortened["collapse"], quick=(Lazy("dv", 1.0),))
    monkeypatch.setattr(experiment, "experiments", lambda: shortened)

    assert main(f"collapse --quick --out {tmp_path / 'new' / 'folder'} --seed 3".split()) == 0

    (row,) = rows.read(tmp_path / "new" / "folder" / rows.FILE)
    assert (row["suite"], row["seed"]) == ("quick", 3)

    *_, seen, last = capsys.readouterr().out.splitlines()
    assert "lead.png" not in seen
    assert "next: open " in last


def test_missing_rows(tmp_path, capsys):
    """A report without rows says what to do."""
    assert main(f"page --out {tmp_path}".split()) == 1
    assert re.search(
        r"expected results or runs in .*got none; run `python -m toy demo`", capsys.readouterr().err
    )


def test_out_is_a_file(tmp_path, capsys):
    """An `--out` that is a file is refused in one line."""
    (tmp_path / "file").write_text("")
    assert main(f"demo --quick --out {tmp_path / 'file' / 'below'}".split()) == 1
    error = capsys.readouterr().err
    assert error.startswith("toy: ")
    assert error.count("\n") == 1


def test_damaged_rows(tmp_path, capsys):
    """Damaged rows and bad seeds are named."""
    (tmp_path / rows.FILE).write_text('{"no": "row"}\n')
    assert main(f"page --out {tmp_path}".split()) == 1
    assert "expected a row of results in line 1" in capsys.readouterr().err
    assert main(f"demo --seed -1 --out {tmp_path}".split()) == 1
    assert "seed: expected an integer of at least 0, got -1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["escape", "--help"], 0), (["dance"], 2), (["escape", "--qiuck"], 2)],
)
def test_light_help(arguments, code):
    """Help and mistakes import nothing heavy."""
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


def test_help_text():
    """Help names every experiment by what it shows."""
    command = [sys.executable, "-m", "toy", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    help_text = " ".join(result.stdout.split())
    for name, about in experiment.abouts().items():
        assert f"{name} {about}" in help_text


def test_interruption(tmp_path, monkeypatch, capsys):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setitem(experiments()["escape"].runs, EscapeFlow, stop)
    assert main(f"escape --quick --out {tmp_path}".split()) == 130
    assert "Run the same command again" in capsys.readouterr().err
