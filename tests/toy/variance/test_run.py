"""Noise of the bounds: exact values over all batches, closed forms, floors and bounds."""

import math

import pytest
import torch

from toy.models.two_level import BOUNDS, TwoLevel
from toy.variance import run as variance
from toy.variance.run import ExactNoise, GaussianNoise

EXACT = ExactNoise(
    symbols=(2, 16, 256),
    copy=0.9,
    batches=(8, 32, 128),
)


@pytest.fixture(scope="module")
def exact():
    return variance.exact_noise(EXACT, 0)


def test_nwj(exact):
    """The variance and trace of NWJ are the closed forms at every batch."""
    measured, theory = exact
    for key, line in (("variance", "nwj"), ("trace", "nwj_trace")):
        for row, expected in zip(measured[key]["nwj"], theory[line], strict=True):
            assert [v * n for v, n in zip(row, EXACT.batches, strict=True)] == pytest.approx(
                [expected] * 3, rel=1e-8
            )


def test_biases(exact):
    """Unbiased bounds have no bias; DV overstates, and InfoNCE understates."""
    measured, theory = exact
    for k, nats in enumerate(theory["nats"]):
        assert measured["bias"]["nwj"][k] == pytest.approx([0] * 3, abs=1e-9)
        assert min(measured["bias"]["dv"][k]) > 0 > max(measured["bias"]["infonce"][k])
        for n, bias in zip(EXACT.batches, measured["bias"]["infonce"][k], strict=True):
            assert nats + bias <= math.log(n + 1)
        assert measured["bias"]["dv"][k] == sorted(measured["bias"]["dv"][k], reverse=True)


def test_floor_and_bounds(exact):
    """NWJ lies above the floor, and JS below its bounds."""
    measured, theory = exact
    for k, nats in enumerate(theory["nats"]):
        assert theory["chi2"][k] >= math.expm1(nats)
        for n, value, trace in zip(
            EXACT.batches, measured["variance"]["js"][k], measured["trace"]["js"][k], strict=True
        ):
            assert n * value <= theory["js"]
            assert n * trace <= theory["js_trace"]


def test_floor():
    """The floor is met where the ratio is one number on P."""
    law = TwoLevel(32, 1 - 1e-9)
    assert law.chi2 == pytest.approx(math.expm1(law.mutual_information), rel=1e-6)


def test_large_batches():
    """Large batches meet the limits of DV and of the relative law."""
    law = TwoLevel(4, 0.6)
    for bound, line in (
        ("dv", variance._spread(law.log_ratio, law.log_p) + law.chi2),
        ("relative", variance._relative(law, 0.9)),
    ):
        _, value, *_ = variance.enumerated(bound, law, 1.0, 1024, 0.9)
        assert 1024 * value == pytest.approx(line, rel=0.02)


def test_js_constant():
    t = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    most = float((torch.nn.functional.softplus(t).square() * (-t).exp()).max())
    assert pytest.approx(most, abs=2e-6) == variance.JS_VALUE_BOUND / 2
    assert most <= variance.JS_VALUE_BOUND / 2


@pytest.mark.parametrize("bound", ["nwj", "js"])
def test_half_trained(exact, bound):
    """Half-trained, signal to noise grows like the root of the batch."""
    for row in exact[0]["snr"][bound]:
        assert [v / n**0.5 for v, n in zip(row, EXACT.batches, strict=True)] == pytest.approx(
            [row[0] / 8**0.5] * 3
        )


def test_light_tails():
    """Gaussian noise with light tails meets its lines."""
    measured, theory = variance.gaussian_noise(
        GaussianNoise(nats=(0.25,), batches=(16, 64), repeats=2000), 0
    )

    for k, n in enumerate((16, 64)):
        assert n * measured["variance"]["nwj"][0][k] == pytest.approx(theory["nwj"][0], rel=0.15)
        assert n * measured["trace"]["nwj"][0][k] == pytest.approx(theory["nwj_trace"][0], rel=0.15)
        assert n * measured["variance"]["js"][0][k] <= theory["js"]
        assert n * measured["trace"]["js"][0][k] <= theory["js_trace"][0]

    for bound in BOUNDS:
        slope, half = measured["variance_slope"][bound][0]
        assert abs(slope + 1) < half + 0.15
