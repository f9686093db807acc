"""Interval, verdict and report: what is said of estimates that are right, and of those that are not."""

from dataclasses import replace

import pytest
import torch

import mi_estimators as mi

FAST = dict(steps=60, hidden=16, batch_size=128, folds=2)


def sample(law, n, seed=0):
    return law.sample(n, torch.Generator().manual_seed(seed))


def test_the_interval_reaches_as_far_as_the_learning_curve():
    law = mi.laws.TASKS["spiral-multinormal-sparse-3-3-2-2.0"]
    estimator = mi.MIEstimator(steps=150, folds=2).fit(*sample(law, 1000))
    estimate = estimator.estimate_
    missing = estimate.diagnostics["learning_shortfall"]
    assert missing > 0.1
    assert estimate.interval[1] >= estimate.nats + 1.96 * estimate.stderr + missing - 1e-12
    assert estimate.interval[0] < law.mutual_information
    assert estimate.verdict == "overfit"
    assert (
        estimator.estimate(*sample(law, 500, seed=1)).diagnostics["learning_shortfall"] == missing
    )


def test_magnitudes_that_tell_what_no_network_learned_are_a_disagreement():
    law = mi.laws.TASKS["spiral-multinormal-sparse-25-25-2-2.0"]
    estimate = mi.estimate_mi(*sample(law, 5000), steps=60, folds=2)
    assert estimate.verdict == "disagreement"
    assert "magnitudes" in estimate.warnings[0]
    assert estimate.nats > 4 * estimate.stderr  # and without them nothing is found


VERDICTS = [
    ("ok", mi.laws.Gaussian(0.6, 2), 1000, {}),
    ("overfit", mi.laws.TASKS["multinormal-20-2nats"], 300, {}),
    ("ceiling", mi.laws.TASKS["multinormal-20-10nats"], 1000, {"estimator": "infonce"}),
    ("low_ess", mi.laws.TASKS["multinormal-20-10nats"], 1000, {"estimator": "js_dv"}),
    (
        "drift",
        mi.laws.Gaussian.with_information(5.0, 4),
        400,
        {"learning_rate": 1e30, "anchor": "none"},
    ),
]


@pytest.mark.parametrize(
    ("verdict", "law", "rows", "settings"), VERDICTS, ids=[case[0] for case in VERDICTS]
)
def test_verdicts(verdict, law, rows, settings):
    estimate = mi.estimate_mi(*sample(law, rows), **FAST | settings)
    assert estimate.verdict == verdict
    assert (len(estimate.warnings) == 0) == (verdict == "ok")
    assert f"verdict: {verdict}" in str(estimate)
    if verdict == "ok":
        assert abs(estimate.nats - law.mutual_information) < 0.1


def test_nothing_found_is_said():
    estimate = mi.estimate_mi(*sample(mi.laws.Gaussian(0.0, 3), 300), **FAST)
    assert "no evidence of independence" in str(estimate)
    assert "no evidence of independence" not in str(
        replace(estimate, verdict="low_ess")
    )  # no number to believe
