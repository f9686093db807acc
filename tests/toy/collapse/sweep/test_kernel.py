"""Frozen kernels against closed forms, and the plane of the losses."""

import math

import pytest
import torch

from toy.collapse.sweep.kernel import Kernel, Plane, kernel, plane

KAPPAS = (0.0, 0.9, 1.0, 1.1, 2.0, 3.5, 6.0)
BETAS = (0.5, 1.0)


def test_dpo_turn():
    """DPO meets its closed form, and turns at c = a."""
    measured, theory = kernel(Kernel("dv", KAPPAS, BETAS, horizon=100.0), 0)
    for kappa, row, expected in zip(KAPPAS, measured["final"], theory["final"], strict=True):
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-12)
        assert all(math.copysign(1, 1 - kappa) * end > 0 or kappa == 1 for end in row)


@pytest.mark.parametrize("excess", [0.01, 1.0])
def test_mio_dip(excess):
    """MIO dips no deeper than theory at any β."""
    measured, theory = kernel(Kernel("js", KAPPAS, BETAS, excess, horizon=100.0), 0)
    for kappa, row, deepest in zip(KAPPAS, measured["lowest"], theory["dip"], strict=True):
        depths = [low * beta for low, beta in zip(row, BETAS, strict=True)]
        assert min(depths) >= deepest - 1e-4
        assert depths[0] == pytest.approx(depths[1], abs=3e-3)  # βz_w does not depend on β
        if excess == 0.01:
            assert min(depths) == pytest.approx(deepest, abs=0.01)
        if kappa <= 1:
            assert depths == [0, 0]

    assert measured["highest_rejected"] <= 0


def test_curvature():
    measured, theory = plane(Plane(points=5, steps=60, rate=0.05), 0)
    for name, curvature in theory["common_curvature"].items():
        assert measured["fields"][name]["common_curvature"] == pytest.approx(curvature, abs=1e-12)

    up, down = torch.tensor(measured["fields"]["dpo"]["descent"])
    torch.testing.assert_close(up, -down)
    # a, c, d = 1, 3, 10
    assert measured["fields"]["mio"]["lowest"] == pytest.approx(-0.280, abs=3e-3)
    assert measured["fields"]["dpop"]["lowest"] > -0.1
