"""Estimates: an interval around the value, and a verdict on rows that look informative and are not."""

import math

import pytest

from toy.estimate.run import LAWS, Estimate, estimate


@pytest.mark.parametrize("law", [name for name in LAWS if "walks" not in name])
def test_interval(law):
    """An estimate reports an interval around its value."""
    measured, theory = estimate(Estimate(law, 800, steps=150), 0)
    low, high = measured["interval"]
    assert low <= measured["nats"] <= (math.inf if high is None else high)
    assert 0 < theory["nats"] < 2
    assert measured["kind"] == "neither"


def test_random_walks():
    measured, theory = estimate(Estimate("two independent random walks", 800, steps=100), 0)
    assert theory["nats"] == 0
    assert measured["verdict"] == "dependent_rows"
    assert "groups=" in measured["warnings"][0]
