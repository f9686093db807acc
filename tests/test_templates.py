"""The templates, used: in a copy of the project a bound is a row and its proof row, a critic a row, and a copied
theorem holds.

The lab's template has its test in `tests/toy/test_template.py`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("mi_estimators", "proofs", "toy", "llm_adapter", "tests/mi_estimators")
THEOREM = "proofs/theorems/bounds/hellinger_below_kl.py"

# Le Cam's divergence, and a critic: file → the line of the table that the row follows, and the row.
ROWS = {
    "mi_estimators/bounds/divergences.py": (
        "    for row in (\n",
        """
        FDivergence(
            name="le_cam",
            divergence="Le Cam's E_Q (r − 1)²/(r + 1)",
            reward=lambda t: 1 - 4 * torch.sigmoid(-t) ** 2,
            penalty=lambda t: 4 * torch.sigmoid(t) ** 2 - 1,
            reference="Le Cam 1986; the Brier score of σ(T), Brier 1950",
        ),
""",
    ),
    "proofs/engine/rows.py": (
        "ROWS = {\n",
        """
    "le_cam": Row(
        reward=1 - 4 / (1 + sp.exp(t)) ** 2,
        penalty=4 / (1 + sp.exp(-t)) ** 2 - 1,
        integrand=(r - 1) ** 2 / (r + 1),
        divergence=lambda p, q: sum((a - b) ** 2 / (a + b) for a, b in zip(p, q, strict=True)),
    ),
""",
    ),
    "mi_estimators/estimation/table.py": (
        "    for row in (\n",
        """
        Estimator(
            name="le_cam",
            objective=_ascend(over_rows(DIVERGENCES["le_cam"])),
            reported=READOUTS["bridge"],
            kind="neither",
            bias="as js",
            use="beside js: its gradient also fades where the critic is sure and wrong",
            reference="Le Cam 1986; Bennett 1976",
            calibrated=True,
        ),
""",
    ),
    "mi_estimators/estimation/critics.py": (
        "    for row in (\n",
        """
        Architecture(
            name="narrow",
            make=lambda dim_x, dim_y, hidden: Separable(dim_x, dim_y, hidden, embedding=2),
            pairwise=Separable.pairwise,
        ),
""",
    ),
}

SEEN = """
import json, pytest, sys, torch, mi_estimators as mi
from pathlib import Path
from llm_adapter.training.arguments import parse_arguments
from toy.variance import figures, run
assert Path(mi.__file__).is_relative_to(Path.cwd()), mi.__file__
law = mi.laws.Gaussian(0.8)
x, y = law.sample(1000, torch.Generator().manual_seed(0))
estimate = mi.estimate_mi(x, y, "le_cam", critic="narrow", steps=50, folds=2)
zero = torch.zeros(1, dtype=torch.float64)
positive, negative = mi.score_weights("le_cam", torch.zeros(4), torch.zeros(4))
measured, theory = run.exact_noise(run.ExactNoise(symbols=(2, 8), batches=(8, 16)), 0)
figure = figures.exact_figure({"spec": {"batches": [8, 16]}, "measured": measured, "theory": theory})
arguments = parse_arguments(["--bound", "le_cam", "--output_dir", "run", "--use_cpu", "true"])
objective = arguments.objective()
print(json.dumps({
    "bounds": list(mi.BOUNDS), "nats": estimate.nats, "exact": law.mutual_information,
    "loss": float(mi.preference_loss(zero, zero, bound="le_cam")),
    "falls": float(mi.preference_loss(zero + 1, zero - 1, bound="le_cam")),
    "weights": [float(positive.sum()), float(negative.sum())],
    "variance": measured["variance"]["le_cam"],
    "labels": [text.get_text() for text in figure.legends[0].get_texts()],
    "adapter": float(objective.losses(zero, zero[:, None], torch.ones(1, 1, dtype=torch.bool))),
    "says": objective.theory([1])["bounds"],
}))
"""

LEDGER = """
import json, os, sys
from hypothesis.configuration import set_hypothesis_home_dir
from importlib import import_module
from proofs.engine.theorem import noticed
from proofs.ledger import ledger, modules
set_hypothesis_home_dir(os.devnull)
entries = ledger({slug: import_module(modules()[slug]).THEOREM for slug in sys.argv[1:]})
print(json.dumps({
    e.slug: {
        "tier": e.tier,
        "problems": e.problems,
        "checks": [check.name for check in e.theorem.checks],
        "noticed": noticed(e.theorem, e.theorem.mutants[0]),
    }
    for e in entries
}))
"""


def copy(folder: Path, *without: str) -> Path:
    """Copy the rooms, and add the new rows to all files but these."""
    for room in COPIED:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file, (line, row) in ROWS.items():
        if file not in without:
            text = (folder / file).read_text()
            assert text.count(line) == 1, file
            (folder / file).write_text(text.replace(line, line + row.lstrip("\n")))

    return folder


def python(folder: Path, *arguments: str) -> str:
    """Run Python in the copy, whose modules come before the installed ones, and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=environment
    )

    assert result.returncode == 0, result.stdout + result.stderr

    return result.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy with the rows, and with the template of a theorem under a slug of its own."""
    folder = copy(tmp_path_factory.mktemp("project"))
    template = (folder / "proofs/theorems/_template.py").read_text()
    (folder / THEOREM).write_text(template.replace('slug="_template"', 'slug="hellinger_below_kl"'))
    return folder


@pytest.fixture(scope="module")
def seen(project):
    """What one process finds of the bound in the library, the lab and the adapter."""
    return json.loads(python(project, "-c", SEEN))


@pytest.fixture(scope="module")
def proved(project):
    """What the ledger says of the three theorems."""
    slugs = ("log_ratio_optimality", "score_weights", "hellinger_below_kl")
    return json.loads(python(project, "-c", LEDGER, *slugs))


def test_bound_in_estimates(seen):
    """The estimator takes the new bound and the new critic."""
    assert "le_cam" in seen["bounds"]
    # 1000 rows: standard error about 0.03
    assert seen["nats"] == pytest.approx(seen["exact"], abs=0.1)


def test_bound_as_a_loss(seen):
    """A bound is a preference loss in the library and the adapter."""
    assert seen["loss"] == seen["adapter"] == 0 > seen["falls"]
    assert seen["weights"] == pytest.approx([1, -1])  # reward'(0) = penalty'(0) = 8 σ(0)³ = 1
    assert seen["says"].startswith("Le Cam's E_Q (r − 1)²/(r + 1), Q = 0.5 P + 0.5 R")


def test_bound_in_the_lab(seen):
    assert min(value for row in seen["variance"] for value in row) > 0
    assert "Le cam" in seen["labels"]


def test_bound_in_the_table(project):
    """A bound passes the tests of the table."""
    tests = "tests/mi_estimators/bounds/test_variational.py"
    options = ("--import-mode=importlib", "-q", "-p", "no:cacheprovider", "-k", "le_cam")
    printed = python(project, "-m", "pytest", *options, tests)
    assert int(re.findall(r"(\d+) passed", printed)[0]) > 20


def test_proved_bound(proved):
    for slug in ("log_ratio_optimality", "score_weights"):
        assert proved[slug]["tier"] in ("symbolic", "kernel"), proved[slug]["problems"]
        assert sum("le_cam" in check for check in proved[slug]["checks"]) >= 3


def test_copied_theorem(proved):
    """A copy of the template is a theorem."""
    entry = proved["hellinger_below_kl"]
    assert entry["tier"] == "symbolic", entry["problems"]
    assert entry["noticed"]


def test_unproved_bound(tmp_path):
    """A bound without its proof row fails the ledger."""
    folder = copy(tmp_path, "proofs/engine/rows.py")
    (entry,) = json.loads(python(folder, "-c", LEDGER, "log_ratio_optimality")).values()
    assert entry["tier"] == "none"
    (problem,) = entry["problems"]
    assert "no row of mi.DIVERGENCES is without a proof here" in problem
