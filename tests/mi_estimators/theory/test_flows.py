"""The flow of one pair: the library's gradients, DPO's clock and its inverse, MIO's barrier and dips."""

import math

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators import theory


@pytest.mark.parametrize("mix", [0.25, 0.5, 1.0])
def test_pull_and_push_are_the_gradients_of_the_loss(mix):
    rewards = torch.tensor([[-1.5, 0.25], [0.75, -2.0]], requires_grad=True)
    loss = mi.preference_loss(rewards[:, 0], rewards[:, 1], "js", mix).sum()
    (gradient,) = torch.autograd.grad(loss, rewards)
    chosen, rejected = rewards.detach().unbind(-1)
    torch.testing.assert_close(-gradient[:, 0], theory.chosen_pull(chosen, mix))
    torch.testing.assert_close(gradient[:, 1], theory.rejected_push(rejected, mix))


@pytest.mark.parametrize("time", [0.0, 1e-3, 1.0, 37.0, 1e9])
def test_dpo_margin_inverts_its_time(time):
    margin = theory.dpo_margin(time, beta=0.3, kernel=5.0)
    assert theory.dpo_time(margin, beta=0.3, kernel=5.0) == pytest.approx(time, rel=1e-12)


@pytest.mark.parametrize("spent", [-700.0, -3.0, 0.5, 1.0, 40.0, 1e12])
def test_log_odds_at_solves_its_equation(spent):
    u = theory.log_odds_at(spent)
    assert u + math.exp(u) == pytest.approx(spent, rel=1e-14, abs=1e-14)
    assert theory.log_odds_at(np.array([spent, 1.0])).tolist() == [u, 0.0]


def test_dpo_of_the_lazy_example():
    """a, c, d = 1, 3, 10 at β = 1 and t = 10⁵."""
    margin = theory.dpo_margin(1e5, beta=1.0, kernel=5)
    assert theory.lazy_dpo_reward(margin, 1, 3, 10) == pytest.approx(-5.249, abs=5e-4)


def test_the_barrier_lies_below_the_deepest_dip():
    for ratio in (1.0, 1.5, 2.2, 3.9):
        assert theory.mio_barrier(ratio) <= theory.mio_deepest_dip(ratio) <= 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.chosen_pull(0.0, 0.0), "mix: expected"),
        (lambda: theory.rejected_push(0.0, 2.0), "mix: expected"),
        (lambda: theory.mio_barrier(4.0), "ratio: expected"),
        (lambda: theory.mio_barrier(0.5), "ratio: expected"),
        (lambda: theory.mio_deepest_dip(math.nan), "ratio: expected"),
        (lambda: theory.lazy_dpo_reward(1.0, 1, 1, 1), "own - 2 cross . other: expected"),
        (lambda: theory.dpo_time(1.0, 0.0), "beta: expected"),
        (lambda: theory.dpo_time(1.0, 1.0, 0.0), "kernel: expected"),
        (lambda: theory.dpo_margin(-1.0, 1.0), "time: expected"),
        (lambda: theory.dpo_margin(1e308, 10.0), "1 . beta..2 kernel time: expected"),
        (lambda: theory.log_odds_at(math.inf), "spent: expected"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}.*got"):
        call()
