"""Estimator starvation: closed forms of the Gaussian law against samples, and the library's weights."""

import pytest
import torch

import mi_estimators as mi
from mi_estimators.laws import Gaussian
from mi_estimators.theory.gaussian import _moments as closed_moments
from toy.estimate.run import TRANSFORMS, Estimate, estimate
from toy.models.gaussian import draw, features
from toy.starvation import run as gaussian
from toy.starvation.run import EffectiveSampleSize, GradientVariance

# Light tails: with d = 20 and 0.25 nats, ρ = 0.16 and E_Q r⁴ is finite, so that second moments can be measured.
LIGHT = Gaussian.with_information(0.25, 20)


def test_ess_meets_theory_on_a_large_sample_with_light_tails():
    measured, said = gaussian.effective_sample_size(
        EffectiveSampleSize(20, 20_000, 8, (0.0, 0.25)), 0
    )
    for (_, middle, _), expected in zip(
        measured["fraction_quartiles"], said["fraction"], strict=True
    ):
        assert middle == pytest.approx(expected, rel=0.03)


def test_a_finite_sample_overstates_the_ess():
    measured, said = gaussian.effective_sample_size(EffectiveSampleSize(1, 500, 16, (3.0, 5.0)), 0)
    for (low, _, _), expected in zip(measured["fraction_quartiles"], said["fraction"], strict=True):
        assert low > 3 * expected


def test_chunks_do_not_change_the_number_of_repeats(monkeypatch):
    monkeypatch.setattr(gaussian, "_CHUNK", 100)
    measured, _ = gaussian.effective_sample_size(EffectiveSampleSize(2, 50, 5, (0.0,)), 0)
    assert measured["fraction_quartiles"] == [pytest.approx([1, 1, 1])]


@pytest.mark.parametrize("law", [Gaussian(0.6), Gaussian(-0.3, 4)])
def test_feature_moments_under_both_laws_and_the_tilted_one(law):
    generator = torch.Generator().manual_seed(0)
    moments = closed_moments(law.rho, law.dim)
    joint = features(*draw(law, (400_000,), generator, joint=True))
    product = features(*draw(law, (400_000,), generator, joint=False))
    assert joint.mean(0).tolist() == pytest.approx(moments[0], abs=0.02)
    assert joint.square().mean(0).tolist() == pytest.approx(moments[1], rel=0.03)
    assert product.square().mean(0).tolist() == pytest.approx(moments[2], rel=0.03)


def test_tilted_moments_by_quadrature():
    """E_Q r²φ and E_Q r²φ² in one dimension on a grid, where no sample could be trusted."""
    law = Gaussian(0.6)
    axis = torch.linspace(-12, 12, 1201, dtype=torch.float64)
    x, y = (t.reshape(-1, 1) for t in torch.meshgrid(axis, axis, indexing="ij"))
    log_q = -(x**2 + y**2).squeeze(-1) / 2
    log_q = log_q - log_q.logsumexp(0)
    mass = (log_q + 2 * law.log_ratio(x, y)).exp()
    phi = features(x, y)
    _, _, _, mean, square = closed_moments(law.rho, law.dim)
    assert float(mass.sum()) == pytest.approx(1 + law.chi2, rel=1e-6)
    assert (mass @ phi).tolist() == pytest.approx(mean, rel=1e-6)
    assert (mass @ phi.square()).tolist() == pytest.approx(square, rel=1e-6)


def test_gradient_traces_against_theory():
    spec = GradientVariance(("dv", "nwj", "js"), 20, 128, 2000, (0.25,))
    measured, said = gaussian.gradient_variance(spec, 0)
    assert measured["trace"]["nwj"][0] == pytest.approx(said["trace"]["nwj"][0], rel=0.1)
    assert measured["trace"]["dv"][0] == pytest.approx(said["trace"]["dv"][0], rel=0.15)
    assert measured["nwj_value_variance"][0] == pytest.approx(
        said["nwj_value_variance"][0], rel=0.1
    )


@pytest.mark.parametrize("nats", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("dim", [1, 5])
def test_js_gradient_stays_within_its_bound(nats, dim):
    measured, said = gaussian.gradient_variance(
        GradientVariance(("js", "dv", "nwj"), dim, 32, 300, (nats,)), 0
    )
    assert measured["trace"]["js"][0] <= said["trace"]["js"][0]


def test_weights_and_features_give_the_gradient_of_the_bound():
    law, generator = Gaussian(0.7, 3), torch.Generator().manual_seed(0)
    pairs = [draw(law, (16,), generator, joint) for joint in (True, False)]
    scores = [law.log_ratio(*pair) for pair in pairs]
    phi = [features(*pair) for pair in pairs]
    for name in ("dv", "nwj", "js"):
        theta = torch.zeros(4, dtype=torch.float64, requires_grad=True)
        value = mi.BOUNDS[name](*(t + f @ theta for t, f in zip(scores, phi, strict=True)))
        (gradient,) = torch.autograd.grad(value, theta)
        weights = mi.score_weights(name, *scores)
        assert torch.allclose(gradient, sum(w @ f for w, f in zip(weights, phi, strict=True)))


def test_dv_has_no_gradient_in_the_constant_direction():
    law, generator = Gaussian(0.7, 3), torch.Generator().manual_seed(0)
    scores = [law.log_ratio(*draw(law, (16,), generator, joint)) for joint in (True, False)]
    positive, negative = mi.score_weights("dv", *scores)
    assert float(positive.sum() + negative.sum()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_increasing_hence_invertible(name):
    points = torch.linspace(-4, 4, 1001)
    for transform in TRANSFORMS[name]:
        assert (transform(points).diff() > 0).all()


def test_estimate_reports_an_interval_around_its_value():
    measured, said = estimate(Estimate(0.5, 1, 400), 0)
    low, high = measured["interval"]
    assert low < measured["nats"] < high
    assert said["nats"] == pytest.approx(0.5)
    assert (measured["kind"], measured["verdict"]) == ("neither", "ok")
