"""One estimate: invertible maps, and an interval around the value."""

import pytest
import torch

from toy.estimate.run import TRANSFORMS, Estimate, estimate


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_increasing_hence_invertible(name):
    points = torch.linspace(-4, 4, 1001)
    for transform in TRANSFORMS[name]:
        assert (transform(points).diff() > 0).all()


def test_estimate_reports_an_interval_around_its_value():
    measured, theory = estimate(Estimate(0.5, 1, 400), 0)
    low, high = measured["interval"]
    assert low < measured["nats"] < high
    assert theory["nats"] == pytest.approx(0.5)
    assert (measured["kind"], measured["verdict"]) == ("neither", "ok")
