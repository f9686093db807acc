"""Starvation of an estimator: closed forms of the Gaussian law against samples."""

import pytest

from toy.starvation import run as gaussian
from toy.starvation.run import EffectiveSampleSize, GradientVariance


def test_ess_in_theory():
    """ESS meets theory on a large sample with light tails."""
    measured, theory = gaussian.effective_sample_size(
        EffectiveSampleSize(20, 20_000, 8, (0.0, 0.25)), 0
    )

    for (_, middle, _), expected in zip(
        measured["fraction_quartiles"], theory["fraction"], strict=True
    ):
        assert middle == pytest.approx(expected, rel=0.03)


def test_finite_sample():
    """A finite sample overstates the ESS."""
    measured, theory = gaussian.effective_sample_size(
        EffectiveSampleSize(1, 500, 16, (3.0, 5.0)), 0
    )

    for (low, _, _), expected in zip(
        measured["fraction_quartiles"], theory["fraction"], strict=True
    ):
        assert low > 3 * expected


def test_chunks(monkeypatch):
    """Chunks do not change the number of repeats."""
    monkeypatch.setattr(gaussian, "_CHUNK", 100)
    measured, _ = gaussian.effective_sample_size(EffectiveSampleSize(2, 50, 5, (0.0,)), 0)
    assert measured["fraction_quartiles"] == [pytest.approx([1, 1, 1])]


def test_gradient_traces():
    spec = GradientVariance(("dv", "nwj", "js"), 20, 128, 2000, (0.25,))
    measured, theory = gaussian.gradient_variance(spec, 0)

    assert measured["trace"]["nwj"][0] == pytest.approx(theory["trace"]["nwj"][0], rel=0.1)
    assert measured["trace"]["dv"][0] == pytest.approx(theory["trace"]["dv"][0], rel=0.15)
    assert measured["nwj_value_variance"][0] == pytest.approx(
        theory["nwj_value_variance"][0], rel=0.1
    )


@pytest.mark.parametrize("nats", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("dim", [1, 5])
def test_js_gradient(nats, dim):
    measured, theory = gaussian.gradient_variance(
        GradientVariance(("js", "dv", "nwj"), dim, 32, 300, (nats,)), 0
    )
    assert measured["trace"]["js"][0] <= theory["trace"]["js"][0]
