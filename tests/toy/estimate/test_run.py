"""Estimates: an interval around the value, and a verdict on rows that look informative and are not."""

import math

import pytest

from toy.estimate.run import LAWS, Estimate, estimate


@pytest.mark.parametrize("law", [name for name in LAWS if "walks" not in name])
def test_an_estimate_reports_an_interval_around_its_value(law):
    measured, theory = estimate(Estimate(law, 800, steps=150), 0)
    low, high = measured["interval"]
    assert low <= measured["nats"] <= (math.inf if high is None else high)
    assert 0 < theory["nats"] < 2
    assert measured["kind"] == "neither"


def test_independent_random_walks_are_refused():
    measured, theory = estimate(Estimate("two independent random walks", 800, steps=100), 0)
    assert theory["nats"] == 0
    assert measured["verdict"] == "dependent_rows"
    assert "groups=" in measured["warnings"][0]
