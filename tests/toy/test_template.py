"""The template, used: a copy of the folder is an experiment, and no other file changes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_copied_folder(tmp_path):
    """A copied folder is an experiment."""
    for room in ("mi_estimators", "toy", "tests/toy"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, tmp_path / room, ignore=ignored)

    shutil.copytree(tmp_path / "toy/_template", tmp_path / "toy/shift")

    def python(*arguments):
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *arguments]
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=environment
        )

        assert result.returncode == 0, result.stdout + result.stderr

        return result.stdout

    assert "What a constant added to the critic costs NWJ" in python("-m", "toy", "--help")
    assert "next: open results/report.html" in python("-m", "toy", "shift", "--out", "results")

    (row,) = map(json.loads, (tmp_path / "results/results.jsonl").read_text().splitlines())
    assert row["experiment"] == "shift"
    assert row["measured"]["nwj"] == pytest.approx(row["theory"]["nwj"], abs=1e-12)

    nats = [row["theory"]["nats"]] * len(row["spec"]["shifts"])
    assert row["measured"]["dv"] == pytest.approx(nats, abs=1e-12)
    assert "A critic off by a constant" in (tmp_path / "results/report.html").read_text()
    assert (tmp_path / "results/shift.png").exists()

    options = ("--import-mode=importlib", "-q", "-p", "no:cacheprovider", "-k", "shift or order")
    assert "4 passed" in python("-m", "pytest", *options, "tests/toy/test_experiment.py")
