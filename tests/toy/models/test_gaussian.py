"""Gaussian pairs: moments of the features."""

import pytest
import torch

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
