"""The README: its code runs and prints what it says, and so do its commands, made short by the flags below."""

import contextlib
import dataclasses
import io
import re
import runpy
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

import mi_estimators as mi
from llm_adapter.models import load_model, load_tokenizer
from toy import experiment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"[+-]?\d+\.\d+")
PYTHON = ".venv/bin/python"
SHORT = {  # by module
    "mi_estimators": "--effort fast",
    "proofs": "dv_shift_nwj",
    "toy": "--quick",
    "benchmarks.estimators": "--only mi-estimators --tasks 1v1-normal-0.75 --seeds 1 --stair_seeds 0 --rows 256 "
    "--steps 20 --out benchmark",
    "llm_adapter.train": "--max_steps 2 --chat false",
    "llm_adapter.pairs": "--count 4 --samples 2 --max_new_tokens 4",
    "llm_adapter.evaluate": "--count 4 --samples 2 --k 1 --max_new_tokens 4",
}
STANDS_FOR = {
    **{"MODEL": "small", "DIR": "small", "FILE.jsonl": "few.jsonl"},
    **{"FILE.csv": "few.csv", "A": "a", "B": "b"},
}
ELSEWHERE = {
    "make test": "it runs this test",
    "make help": "test_make_help",
    "make docs": "tests/test_site.py builds the site by the same script",
    "make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu": "make demo, with torch from another index",
    "make notebooks": "tests/test_notebooks.py executes each source by the same function",
    "pip install .": "tests/test_packaging.py installs the wheel into an empty environment",
    "pip install '.[llm]'": "the Makefile installs it, with the groups of a clone",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.M | re.S)


def test_printed_output():
    """The code prints what stands under it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), {})

    (expected,) = blocks("text")
    got = printed.getvalue()

    assert NUMBER.sub("#", got).split() == NUMBER.sub("#", expected).split()
    # another processor may round a training run otherwise
    assert [float(n) for n in NUMBER.findall(got)] == pytest.approx(
        [float(n) for n in NUMBER.findall(expected)], abs=0.03, rel=0.1
    )


def shown(text: str) -> list[str]:
    """Return the commands of a text's lines, each once, without comments."""
    return list(
        dict.fromkeys(
            shlex.join(shlex.split(line, comments=True)) for line in text.splitlines() if line
        )
    )


def dry_run(target: str) -> str:
    """Return what make would run in a checkout whose environment is there."""
    command = ["make", "-n", "-o", ".venv/.ready", target]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


INLINE = re.findall(rf"`((?:make|pip|{PYTHON} -m) [^`]+)`", README)
COMMANDS = shown("\n".join(["".join(blocks("sh")), *(" ".join(text.split()) for text in INLINE)]))
DEMO = re.findall(rf"{PYTHON} [^;>\n]+", dry_run("demo"))
RUN = shown("\n".join([line for line in COMMANDS if line.startswith(PYTHON)] + DEMO))


def test_known_commands():
    """Every command is run here or elsewhere."""
    assert set(COMMANDS) - set(RUN) == {"make demo", *ELSEWHERE}
    assert len(RUN) >= 10
    assert {line.split()[2] for line in RUN} == set(SHORT)
    assert all(name in "\n".join(RUN).split() for name in STANDS_FOR)

    for target in re.findall(
        r"\bmake (?!is\b)([a-z]+)", "\n".join(COMMANDS) + (ROOT / "CONTRIBUTING.md").read_text()
    ):
        assert dry_run(target)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small model, a few preferences, and the shipped settings where a checkout has them."""
    folder = tmp_path_factory.mktemp("checkout")
    load_model("builtin").save_pretrained(folder / "small")
    load_tokenizer("builtin").save_pretrained(folder / "small")
    (folder / "llm_adapter").symlink_to(ROOT / "llm_adapter")
    lines = (ROOT / "llm_adapter/data/pairs.jsonl").read_text().splitlines(keepends=True)
    (folder / "few.jsonl").write_text("".join(lines[:4]))
    x, y = mi.laws.Gaussian(0.8).sample(300, torch.Generator().manual_seed(1))
    table = torch.cat([x, y], 1).tolist()
    (folder / "few.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in table))

    return folder


@pytest.mark.parametrize("command", RUN, ids=lambda command: command.removeprefix(f"{PYTHON} -m "))
# Another test has imported it
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
# One spec leaves half of a figure empty
@pytest.mark.filterwarnings("ignore:No artists with labels:UserWarning")
def test_command_runs(command, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT))
    # one spec of some experiments: all of the quick ones take 90 s, and the tests of the lab run each kind
    rows = {
        name: dataclasses.replace(row, quick=row.quick[:1] if row.demo else ())
        for name, row in experiment.experiments().items()
    }
    monkeypatch.setattr(experiment, "experiments", lambda: rows)
    _, flag, module, *flags = shlex.split(command)

    assert flag == "-m"

    if "--task" in flags:
        pytest.importorskip(
            "reasoning_gym", reason="needs the package reasoning-gym (pip install .[tasks])"
        )

    monkeypatch.setattr(
        "sys.argv",
        [module, *(STANDS_FOR.get(word, word) for word in flags), *SHORT[module].split()],
    )

    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert not ended.value.code


def test_short_page():
    assert len(README.splitlines()) <= 110


def test_make_help():
    """`make help` names every target and its cost."""
    command = ["make", "help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    costs = dict(re.findall(r"^  make (\S+) +(\d+ minutes?|at once) ", shown, re.M))
    assert set(costs) == targets
