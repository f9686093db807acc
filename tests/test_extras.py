"""A bare install: each command says in one line which extra is missing, before it has done anything."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mi_estimators.display import theme
from mi_estimators.extras import GROUPS, MODULES, absent, install, need

ROOT = Path(__file__).parents[1]
WITHOUT = """
import runpy, sys
from importlib.machinery import PathFinder
absent, module, *sys.argv[1:] = sys.argv[1:]
find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in absent.split(",") else find(name, path, target)

PathFinder.find_spec = staticmethod(find_spec)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
COMMANDS = {  # command → the extras or groups that it needs
    "toy starvation --quick --out out": ("lab",),
    "proofs dv_shift_nwj": ("proofs",),
    "llm_adapter.train --output_dir out": ("llm",),
    "llm_adapter.train --config {configs}/demo-dpo.yaml --output_dir out": ("llm",),
    "llm_adapter.report out": ("llm",),
    "llm_adapter.plan --model builtin --gpu_memory 80": ("llm",),
    "llm_adapter.online --task products --out out.json": ("llm", "tasks"),
    "llm_adapter.pairs --task products --out pairs.jsonl": ("llm", "tasks"),
    "llm_adapter.evaluate --task products --k 1 --out rates.json": ("llm", "tasks"),
    "benchmarks.estimators --quick --out out": ("plot",),
    "benchmarks.llm": ("llm",),
    "benchmarks.llm.speed": ("llm",),
    "benchmarks.llm.gpu --stage exact --tiny": ("llm",),
    "benchmarks.smollm2_arithmetic": ("llm",),
    "benchmarks.smollm2_offline --quick": ("llm",),
}
NEEDED_BY_TORCH = "sympy"


def run(absent, command, folder):
    """Run a command where some modules cannot be found, as if they were not installed."""
    words = command.format(configs=ROOT / "llm_adapter/configs").split()
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, absent, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("command", "extra"), [(command, extra) for command in COMMANDS for extra in COMMANDS[command]]
)
def test_missing_extra(tmp_path, command, extra):
    """A command names the extra that is missing."""
    modules = [name for name in MODULES[extra] if name != NEEDED_BY_TORCH]
    done = run(",".join(modules), command, tmp_path)

    assert done.returncode in (1, 2)

    message = done.stderr.splitlines()[-1]
    assert all(name in message for name in modules)
    assert message.endswith(f"run {install(extra)}")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_needs_of_the_end(tmp_path):
    """What a run needs at its end stops it before it begins."""
    module = "matplotlib"
    done = run(module, "llm_adapter.train --output_dir out", tmp_path)

    assert done.returncode == 2
    assert (
        done.stderr == f"llm_adapter.train: error: {module}: not installed; run {install('llm')}\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_bare_estimate(tmp_path):
    """An estimate needs no extra."""
    everything = {name for modules in MODULES.values() for name in modules} - {NEEDED_BY_TORCH}
    rows = "".join(f"{k % 17},{k % 17 + k % 5}\n" for k in range(200))
    (tmp_path / "few.csv").write_text(f"a,b\n{rows}")
    command = "mi_estimators few.csv --x a --y b --effort fast"
    done = run(",".join(everything), command, tmp_path)

    assert (done.returncode, done.stderr) in ((0, ""), (1, ""))
    assert "\nnext: " in done.stdout


def test_missing_matplotlib(monkeypatch):
    """A figure without matplotlib names the extra."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    expected = r"^matplotlib: not installed; run pip install .*\[plot\]"
    with pytest.raises(ImportError, match=expected), theme():
        pass


def test_extras_table():
    """The table is that of the metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]
    assert set(MODULES) - set(GROUPS) == set(extras)
    assert set(GROUPS) <= set(groups)


@pytest.mark.parametrize("extra", MODULES)
def test_silence(extra):
    if message := absent(extra):
        with pytest.raises(ImportError, match="not installed"):
            need(extra)
        pytest.skip(message)
    need(extra)
