"""Noise while a critic learns: the family of critics, and the variance that it is held against."""

import pytest
import torch

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.laws import Gaussian
from toy.variance import training as variance_training
from toy.variance.training import TrainedNoise, trained_noise


def test_in_batch_variance():
    law, n = Gaussian.with_information(0.25, 4), 6
    x, y = (
        rows.view(-1, n, 4).double()
        for rows in law.sample(20_000 * n, torch.Generator().manual_seed(0))
    )
    scores = law.log_ratio(x.unsqueeze(-2), y.unsqueeze(-3))
    values = mi.nwj(*mi.joint_and_product(scores))

    assert float(values.var()) == pytest.approx(
        theory.nwj_in_batch_variance(law.rho, law.dim, n), rel=0.05
    )


def test_trained_family():
    """The trained family holds the log ratio."""
    law = Gaussian(0.5, 3)
    critic = variance_training.Quadratic()
    own = 1 - law.rho**2
    slope = -(law.rho**2) / (2 * own)
    theta = [
        law.mutual_information + 6 * slope,
        3**0.5 * law.rho / own,
        3**0.5 * slope,
        3**0.5 * slope,
    ]
    critic.theta.data = torch.tensor(theta)
    x, y = law.sample(5, torch.Generator().manual_seed(0))

    assert torch.allclose(critic(x, y), law.log_ratio(x.unsqueeze(-2), y.unsqueeze(-3)), atol=1e-5)


def test_one_critic():
    """All bounds are read from one critic that learns."""
    spec = TrainedNoise(
        replicas=2,
        batch=16,
        checkpoints=(0, 20, 60),
        probes=8,
    )
    value = trained_noise(spec, 0)[0]["value"]

    assert value["js"][0] == value["nwj"][0] == 0 < value["js"][-1] < value["nwj"][-1]
