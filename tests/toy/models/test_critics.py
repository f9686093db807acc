"""Replicas of a critic are apart, in training and in scores."""

import torch

import mi_estimators as mi
from mi_estimators import laws
from toy.models.critics import Replicas
from toy.models.training import descend


def test_adam():
    replicas = Replicas(
        lambda: mi.estimation.critics.Separable(2, 2, 4, 1, 2, zero_start=False),
        2,
        seed=0,
    )
    x, y = laws.Gaussian(0.8, 2).sample(16, torch.Generator().manual_seed(0))

    def ascend(parameters):
        def loss(p):
            scores = replicas.scores(
                p,
                x.expand(len(p[0]), -1, -1),
                y.expand(len(p[0]), -1, -1),
            )

            return -mi.js(*mi.joint_and_product(scores)), None

        return descend(loss, parameters, 20, 1e-2, adam=True)

    both = ascend(replicas.parameters)
    one = ascend([p[:1] for p in replicas.parameters])
    for together, alone in zip(both, one, strict=True):
        assert torch.allclose(together[:1], alone, atol=1e-5)
        assert not torch.allclose(together[:1], together[1:])

    stacked = replicas.scores(both, *(rows.expand(2, -1, -1) for rows in (x, y)))
    assert torch.allclose(replicas.one(both, 0)(x, y), stacked[0], atol=1e-5)
