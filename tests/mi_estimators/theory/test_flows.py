"""The flow of one pair: the library's gradients, DPO's clock and its inverse, MIO's barrier and dips."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators import theory


@pytest.mark.parametrize("mix", [0.25, 0.5, 1.0])
def test_pull_and_push(mix):
    """Pull and push are the gradients of the loss."""
    rewards = torch.tensor([[-1.5, 0.25], [0.75, -2.0]], requires_grad=True)
    loss = mi.preference_loss(rewards[:, 0], rewards[:, 1], "js", mix).sum()
    (gradient,) = torch.autograd.grad(loss, rewards)
    chosen, rejected = rewards.detach().unbind(-1)

    assert_close(-gradient[:, 0], theory.chosen_pull(chosen, mix))
    assert_close(gradient[:, 1], theory.rejected_push(rejected, mix))


@pytest.mark.parametrize("time", [0.0, 1e-3, 1.0, 37.0, 1e9])
def test_dpo_margin(time):
    """DPO's margin inverts its time."""
    margin = theory.dpo_margin(time, beta=0.3, kernel=5.0)
    assert theory.dpo_time(margin, beta=0.3, kernel=5.0) == pytest.approx(time, rel=1e-12)


@pytest.mark.parametrize("spent", [-700.0, -3.0, 0.5, 1.0, 40.0, 1e12])
def test_log_odds(spent):
    """`log_odds_at` solves its equation."""
    u = theory.log_odds_at(spent)
    assert u + math.exp(u) == pytest.approx(spent, rel=1e-14, abs=1e-14)
    assert theory.log_odds_at(np.array([spent, 1.0])).tolist() == [u, 0.0]


def test_barrier():
    """The barrier lies below the deepest dip."""
    for ratio in (1.0, 1.5, 2.2, 3.9):
        assert theory.mio_barrier(ratio) <= theory.mio_deepest_dip(ratio) <= 0
