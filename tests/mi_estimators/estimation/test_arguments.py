"""The typed front door: names that equal the tables' keys, and a type checker that sees a user's mistakes."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import mi_estimators as mi
from mi_estimators import estimation
from mi_estimators.estimation import arguments
from mi_estimators.estimation.estimator import EFFORTS
from mi_estimators.estimation.transforms import TRANSFORMS

ROOT = Path(__file__).parents[3]
NAMES = [
    (estimation.EstimatorName, mi.ESTIMATORS),
    (estimation.CriticName, mi.CRITICS),
    (arguments.TransformName, TRANSFORMS),
    (arguments.EffortName, EFFORTS),
]


@pytest.mark.parametrize(
    ("names", "table"), NAMES, ids=["estimator", "critic", "transform", "effort"]
)
def test_names(names, table):
    typed = get_args(names)
    assert set(table) - set(typed) == set(), "keys that the type lacks"
    assert set(typed) - set(table) == set(), "names that the table lacks"


def test_settings():
    """The settings are the constructor's arguments."""
    own = get_type_hints(mi.MIEstimator.__init__)
    del own["estimator"], own["return"]
    assert get_type_hints(arguments.Arguments) == own


@pytest.mark.parametrize(
    ("function", "own"),
    [
        (mi.estimate_mi, set()),
        (mi.pairwise_mi, {"discrete"}),
        (mi.conditional_mi, {"discrete"}),
    ],
)
def test_help(function, own):
    """Help and completion see every setting."""
    shown = inspect.signature(function).parameters
    constructor = inspect.signature(mi.MIEstimator).parameters
    for name in set(constructor) - own:
        assert shown[name].default == constructor[name].default
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in shown.values())


RIGHT = """
import numpy as np
import torch

import mi_estimators as mi

x = np.random.default_rng(0).normal(size=(100, 2))
y = torch.ones(100, 2)

estimate = mi.estimate_mi(x, y, "infonce", seed=None, critic="separable", negatives="all", groups=5)
low, high = estimate.interval
print(estimate.nats + estimate.stderr + low + high, estimate.verdict.upper())
print(estimate.history[0][0]["step"], estimate.readouts["dv"], *estimate.warnings)

fitted = mi.MIEstimator("dv", anchor="none", transform="standard", device="cpu").fit(x, y)
scores = fitted.score_matrix(x, y).mean() + fitted.pointwise(x, y).mean()
fitted.save("fit.npz")
again = mi.MIEstimator.load("fit.npz", lambda dim_x, dim_y: torch.nn.Bilinear(dim_x, dim_y, 1))
print(again.estimate_.nats, again.score(x, y), scores)

table = mi.pairwise_mi({"a": x, "b": y}, discrete=["a"], steps=100)
print(table["a", "b"].bits, table.nats[0, 1].item(), table.verdicts[0][1].upper(), table.to_dict())

for name in mi.ESTIMATORS:
    print(mi.estimate_mi(x, y, name).nats)
for critic in mi.CRITICS:
    print(mi.estimate_mi(x, y, critic=critic).nats)
"""

WRONG = [
    'mi.estimate_mi(x, y, estimatr="js")',
    'mi.estimate_mi(x, y, estimator="nope")',
    'mi.estimate_mi(x, y, "nope")',
    'mi.estimate_mi(x, y, steps="many")',
    'mi.estimate_mi(x, y, critic="nope")',
    'mi.estimate_mi(x, y, anchor="nope")',
    'mi.estimate_mi(x, y, transform="nope")',
    'mi.estimate_mi(x, y, discrete="z")',
    'mi.estimate_mi(x, y, effort="much")',
    'mi.estimate_mi(x, y, negatives="some")',
    "mi.estimate_mi(x)",
    'mi.MIEstimator("nope")',
    "mi.MIEstimator(stpes=3)",
    "mi.estimate_mi(x, y).bit",
    "mi.pairwise_mi(x, stpes=3)",
    'mi.pairwise_mi(x, "nope")',
    "fitted.point_wise(x, y)",
    'mi.MIEstimator.load("fit.npz", "encoded")',
]


def test_type_checker(tmp_path):
    """A type checker refuses wrong calls of a user and passes right ones."""
    pytest.importorskip("pyright", reason="needs pyright (pip install --group dev)")
    pyright = [sys.executable, "-m", "pyright"]
    if subprocess.run([*pyright, "--version"], capture_output=True).returncode:
        pytest.skip("pyright cannot start here: it downloads node when it runs first")

    options = {
        "include": ["script.py"],
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT)],
        "reportUnusedExpression": "none",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(options))
    (tmp_path / "script.py").write_text("\n".join([RIGHT.strip(), *WRONG]))
    command = [*pyright, "-p", str(tmp_path), "--outputjson", "--pythonpath", sys.executable]
    result = subprocess.run(command, capture_output=True, text=True)
    report = json.loads(result.stdout)["generalDiagnostics"]

    start = len(RIGHT.strip().splitlines())
    lines = {error["range"]["start"]["line"]: error["message"] for error in report}

    assert {line: message for line, message in lines.items() if line < start} == {}
    assert {call for k, call in enumerate(WRONG, start) if k not in lines} == set()
