"""The examples of CONTRIBUTING, done as written: its code blocks edit a copy of the project, which is then asked."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
COPIED = ("mi_estimators", "proofs", "toy", "llm_adapter", "tests/mi_estimators")
EDIT = re.compile(
    r"(?:In `(?P<path>[^`]+)`, (?P<how>under|in place of)\s+`(?P<anchor>[^`]+)`"
    r"|New, `(?P<new>[^`]+)`"
    r"|At the end of `(?P<end>[^`]+)`)"
    r"[^`:]*(?:`[^`]*`[^`:]*)*:\n\n```python\n(?P<code>.*?)^```",
    flags=re.M | re.S,
)


def apply(folder: Path, section: str, leave_out: str = "nothing") -> list[str]:
    """Make a section's edits in a copy of the project, and return the files edited."""
    body = TEXT.split(f"## {section}\n")[1].split("\n## ")[0]
    edits = list(EDIT.finditer(body))
    assert len(edits) == body.count("```python"), (
        f"{section}: a code block without a place that can be read"
    )
    edited = []
    for edit in edits:
        path, code = folder / (edit["path"] or edit["new"] or edit["end"]), edit["code"]
        if str(path.relative_to(folder)).startswith(leave_out):
            continue
        edited.append(str(path.relative_to(folder)))
        if edit["new"]:
            assert not path.exists()
            path.write_text(code)
            continue
        text = path.read_text()
        if edit["end"]:
            path.write_text(text + code)
        elif edit["how"] == "under":
            (line,) = (
                line for line in text.splitlines(keepends=True) if line.startswith(edit["anchor"])
            )
            path.write_text(text.replace(line, line + code, 1))
        else:
            assert text.count(edit["anchor"]) == 1
            path.write_text(text.replace(edit["anchor"], code.strip()))
    return edited


def copy(folder: Path) -> Path:
    """Copy the rooms, and what one of them is tested by."""
    for room in COPIED:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python in the copy, whose modules come before the installed ones."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A copy in which both recipes were followed."""
    folder = copy(tmp_path_factory.mktemp("done"))
    assert {path.split("/")[0] for path in apply(folder, "Add a bound")} == {
        "mi_estimators",
        "proofs",
        "toy",
    }
    apply(folder, "Add a theorem")
    return folder


SEEN = """
import json, sys, pytest, torch, mi_estimators as mi
from pathlib import Path
from llm_adapter.training.arguments import parse_arguments
from toy.variance import figures as variance_plots, run as variance
assert Path(mi.__file__).is_relative_to(Path.cwd()), mi.__file__
law = mi.laws.Gaussian(0.8)
x, y = law.sample(1000, torch.Generator().manual_seed(0))
estimate = mi.estimate_mi(x, y, "le_cam", steps=50, folds=2)
zero = torch.zeros(1, dtype=torch.float64)
positive, negative = mi.score_weights("le_cam", torch.zeros(4), torch.zeros(4))
measured, theory = variance.exact_noise(variance.ExactNoise(symbols=(2, 8), batches=(8, 16)), 0)
figure = variance_plots.exact_figure({"spec": {"batches": [8, 16]}, "measured": measured, "theory": theory})
arguments = parse_arguments(["--bound", "le_cam", "--output_dir", "run", "--use_cpu", "true"])
objective = arguments.objective()
Path("seen.json").write_text(json.dumps({
    "nats": estimate.nats, "interval": estimate.interval, "exact": law.mutual_information,
    "loss": float(mi.preference_loss(zero, zero, bound="le_cam")),
    "falls": float(mi.preference_loss(zero + 1, zero - 1, bound="le_cam")),
    "weights": [float(positive.sum()), float(negative.sum())],
    "variance": measured["variance"]["le_cam"],
    "labels": [text.get_text() for text in figure.legends[0].get_texts()],
    "adapter": float(objective.losses(zero, zero[:, None], torch.ones(1, 1, dtype=torch.bool))),
    "name": objective.name, "bounds": objective.theory([1])["bounds"],
}))
tests = "tests/mi_estimators/bounds/test_variational.py"
sys.exit(pytest.main(["--import-mode=importlib", "-q", "-p", "no:cacheprovider", "-k", "le_cam", tests]))
"""

LEDGER = """
import json, os, sys
from hypothesis.configuration import set_hypothesis_home_dir
from proofs.ledger import ledger, load
set_hypothesis_home_dir(os.devnull)
theorems = load()
entries = ledger({slug: theorems[slug] for slug in sys.argv[1:]})
json.dump({e.slug: {"tier": e.tier, "problems": e.problems, "checks": [c.name for c in e.theorem.checks]}
           for e in entries}, sys.stdout)
"""


@pytest.fixture(scope="module")
def seen(done):
    """What one process finds in that copy: library, lab, adapter, and the tests of the table."""
    result = python(done, "-c", SEEN)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((done / "seen.json").read_text()) | {"printed": result.stdout}


def entries(folder: Path, *slugs: str) -> dict[str, dict]:
    """Run these theorems in a copy."""
    result = python(folder, "-c", LEDGER, *slugs)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_bound_is_estimated_with(seen):
    assert seen["nats"] == pytest.approx(
        seen["exact"], abs=0.1
    )  # 1000 rows: standard error about 0.03
    assert seen["interval"][0] < seen["nats"] < seen["interval"][1]


def test_a_bound_is_a_preference_loss_in_the_library_and_the_adapter(seen):
    assert seen["loss"] == seen["adapter"] == 0 > seen["falls"]
    assert seen["weights"] == pytest.approx([1, -1])  # reward'(0) = penalty'(0) = 8 σ(0)³ = 1
    assert seen["name"] == "le_cam"
    assert seen["bounds"].startswith("Le Cam's E_Q (r − 1)²/(r + 1), Q = 0.5 P + 0.5 R")


def test_a_bound_is_in_the_lab(seen):
    assert min(value for row in seen["variance"] for value in row) > 0
    assert "Le cam" in seen["labels"]


def test_a_bound_passes_the_tests_of_the_table(seen):
    assert int(re.findall(r"(\d+) passed", seen["printed"])[0]) > 20


def test_a_bound_has_its_proofs_and_the_new_theorem_holds(done):
    found = entries(done, "log_ratio_optimality", "score_weights", "le_cam_hellinger")
    assert len(found) == 3
    for slug, entry in found.items():
        assert entry["tier"] == "symbolic", (slug, entry["problems"])
    assert sum("le_cam" in check for entry in found.values() for check in entry["checks"]) >= 9


def test_a_bound_without_its_proof_fails_the_ledger(tmp_path):
    folder = copy(tmp_path)
    assert not any(
        path.startswith("proofs/") for path in apply(folder, "Add a bound", leave_out="proofs/")
    )
    (entry,) = entries(folder, "log_ratio_optimality").values()
    assert entry["tier"] == "none"
    assert len(entry["problems"]) == 1
    assert "no row of mi.DIVERGENCES is without a proof here: refuted" in entry["problems"][0]
