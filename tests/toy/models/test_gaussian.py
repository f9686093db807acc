"""Gaussian pairs: moments of the features, and the gradients that they give."""

import pytest
import torch

import mi_estimators as mi
from mi_estimators.laws import Gaussian
from mi_estimators.theory.gaussian import _moments as closed_moments
from toy.models.gaussian import draw, features


@pytest.mark.parametrize("law", [Gaussian(0.6), Gaussian(-0.3, 4)])
def test_feature_moments(law):
    generator = torch.Generator().manual_seed(0)
    moments = closed_moments(law.rho, law.dim)
    joint = features(*draw(law, (400_000,), generator, joint=True))
    product = features(*draw(law, (400_000,), generator, joint=False))

    assert joint.mean(0).tolist() == pytest.approx(moments[0], abs=0.02)
    assert joint.square().mean(0).tolist() == pytest.approx(moments[1], rel=0.03)
    assert product.square().mean(0).tolist() == pytest.approx(moments[2], rel=0.03)


def test_tilted_moments():
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


def test_bound_gradient():
    """Weights and features give the gradient of the bound."""
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


def test_constant_direction():
    """DV has no gradient in the constant direction."""
    law, generator = Gaussian(0.7, 3), torch.Generator().manual_seed(0)
    pairs = [draw(law, (16,), generator, joint) for joint in (True, False)]
    positive, negative = mi.score_weights("dv", *(law.log_ratio(*pair) for pair in pairs))
    assert float(positive.sum() + negative.sum()) == pytest.approx(0, abs=1e-12)
