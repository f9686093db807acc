"""What no command needs torch for: --help, a mistyped flag, a value out of range, data that cannot be read."""

import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("command", ["train", "pairs", "evaluate", "report"])
@pytest.mark.parametrize("flags", [["--help"], ["--betaa", "0.1"]], ids=" ".join)
def test_help_and_a_mistyped_flag_load_neither_torch_nor_transformers(tmp_path, command, flags):
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
def test_unreadable_data_are_refused_before_torch_is_loaded(tmp_path, command, flag, name):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "2 + 2?", "chosen": "4"}\n')
    (tmp_path / "empty.jsonl").write_text("")
    done = run(tmp_path, command, f"--{flag}", name, *(["--out", "e.json"] * (command != "train")))
    assert done.returncode == 2
    assert f"error: {name}" in done.stderr
    assert done.stderr.splitlines()[-1] == "loaded:"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.jsonl", "rows.jsonl"]
