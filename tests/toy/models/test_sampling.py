"""Gradients that the policy's own answers carry, against answers one by one and the exact law."""

import math

import pytest
import torch

from toy.models import sampling
from toy.models.two_level import log_shares

LOGITS = torch.tensor([[-2.0, 0.5], [0.3, -0.1]], dtype=torch.float64)


def gradient(objective, logits, hits, samples):
    logits = logits.clone().requires_grad_()
    shares = log_shares(torch.full((len(logits),), float(hits)), samples)
    surrogate = sampling.DRAWN[objective](logits.log_softmax(-1), shares, samples)
    return torch.autograd.grad(surrogate.sum(), logits)[0]


@pytest.mark.parametrize("hits", [0, 1, 3, 5])
def test_group_relative(hits):
    answers, reward = (
        torch.tensor([0] * hits + [1] * (5 - hits)),
        torch.zeros(5, dtype=torch.float64),
    )
    reward[:hits] = 1
    logits = LOGITS.clone().requires_grad_()
    advantage = (reward - reward.mean()) / 4
    (expected,) = torch.autograd.grad(
        (logits.log_softmax(-1)[:, answers] * advantage).sum(), logits
    )

    torch.testing.assert_close(gradient("rlhf", LOGITS, hits, 5), expected)
    assert (
        bool((expected == 0).all())
        == (hits in (0, 5))
        == (hits not in sampling.hits_that_move("rlhf", 5))
    )


def test_mean_over_groups():
    """The mean over all groups is the exact gradient of RLHF."""
    p = LOGITS.softmax(-1)[:, 0]
    groups = [math.comb(4, k) * p**k * (1 - p) ** (4 - k) for k in range(5)]
    mean = sum(w[:, None] * gradient("rlhf", LOGITS, k, 4) for k, w in enumerate(groups))
    assert mean[:, 0].tolist() == pytest.approx((p * (1 - p)).tolist())
