"""The suites of laws: every truth agrees with a route of its own, and every row can be drawn."""

import math

import pytest
import torch

from benchmarks.estimators.suites import SUITES, TASKS
from benchmarks.estimators.suites.order import Copies

DRAWN = 2000
GATE = [
    *("regimes-5-5", "ring-0.1", "stable-1.2", "networks-5-5", "volatility-1", "saw-16"),
    *("blobs-16x16", "rectangles-16x16", "spike-counts-10", "60-classes-in-the-plane"),
    *("log-gamma-5-nats", "smoothed-8-nats", "sentences-label", "rare-count", "several-labels"),
]
"""The rows that the gate draws; the others are for the broad run."""


def rows_of(names):
    return [
        pytest.param(TASKS[name], id=name, marks=[] if name in GATE else [pytest.mark.broad])
        for name in names
    ]


def drawn(task, n=DRAWN):
    if not task.present():
        pytest.skip("scikit-learn's digits are not installed")
    generator = torch.Generator().manual_seed(20)
    return *task.sample(n, generator), torch.randperm(n, generator=generator)


@pytest.mark.parametrize("task", rows_of(TASKS))
def test_the_truth_is_the_mean_of_the_exact_log_ratio(task):
    if isinstance(task.law, Copies) or getattr(task.law, "phi", 0) > 0.9:
        pytest.skip("the rows are no independent draws")
    x, y, _ = drawn(task)
    assert x.shape == (len(x), task.columns[0])
    assert y.shape == (len(x), task.columns[1])

    ratios = task.law.log_ratio(x, y).double()
    noise = float(ratios.std()) / math.sqrt(len(ratios))
    assert float(ratios.mean()) == pytest.approx(task.truth, abs=5 * noise + 1e-3)


@pytest.mark.parametrize("task", rows_of(TASKS))
def test_the_log_ratio_is_one_of_densities(task):
    """Its exponential averages to one over unrelated pairs: no other function of the rows does that and fits them."""
    x, y, other = drawn(task)
    if task.truth > 2.5:
        pytest.skip("a few pairs carry the average")
    ratios = task.law.log_ratio(x, y[other]).double().exp()
    noise = float(ratios.std()) / math.sqrt(len(ratios))
    assert float(ratios.mean()) == pytest.approx(1, abs=5 * noise + 1e-3)


def test_the_suites_hold_what_they_promise():
    assert {name: len(rows) for name, rows in SUITES.items() if name in ("tasks", "grid")} == {
        "tasks": 10,
        "grid": 60,
    }
    assert len(SUITES["beyond_normal"]) == 40
    assert len(SUITES["published"]) >= 60
    continuous = [row for row in SUITES["published"] if row.discrete is None]
    assert sum(row.copula is None for row in continuous) >= 25
    assert len(SUITES["narrow"]) >= 10
    assert all(row.columns == (1, 1) for row in SUITES["narrow"])
    for rows in SUITES.values():
        assert len({row.name for row in rows}) == len(rows)
