"""Training: which negatives a critic sees and at what cost, how long it takes, and which weights are kept."""

import math
from operator import itemgetter

import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation.critics import Concatenated, Separable
from mi_estimators.estimation.making import make_critic
from mi_estimators.estimation.scoring import grouped_scores, held_out_scores
from tests.mi_estimators.shared import sample

FAST = dict(steps=60, hidden=16, batch_size=128, folds=2)
VALIDATION = itemgetter("validation")


@pytest.fixture
def counted(monkeypatch):
    """Count the pairs that `Concatenated` scores, as one list entry a call."""
    calls, forward = [], Concatenated.forward

    def counting(self, x, y):
        scores = forward(self, x, y)
        calls.append(scores.numel())
        return scores

    monkeypatch.setattr(Concatenated, "forward", counting)
    return calls


def test_critic_class(counted):
    """A class as critic costs what its name costs and says the same."""
    law = mi.laws.Gaussian(0.8)
    settings = FAST | dict(anchor="none", learning_rate=1e-2)
    settings.pop("hidden")

    estimates, costs = [], []
    for critic in ("concatenated", Concatenated, lambda *columns: Concatenated(*columns)):
        counted.clear()
        estimate = mi.estimate_mi(*sample(law, 300), critic=critic, **settings)
        estimates.append(estimate.nats)
        costs.append(sum(counted))

    assert estimates[0] > 0.05  # the network was kept
    assert len(set(estimates)) == len(set(costs)) == 1


class Undeclared(torch.nn.Module):
    """A pairwise critic that does not say so and takes matrices only."""

    def __init__(self, *dims):
        super().__init__()
        self.critic = Concatenated(*dims)

    def forward(self, x, y):
        assert x.dim() == y.dim() == 2
        return self.critic(x, y)


@pytest.mark.parametrize(("estimator", "few"), [("js", 7), ("infonce", 31)])
def test_negatives(counted, estimator, few):
    """Negatives are few unless the critic or its user says so."""
    rows = sample(mi.laws.Gaussian(0.6), 800)
    settings = FAST | dict(estimator=estimator, steps=5)
    cases = [
        (Concatenated, None, few),
        (Undeclared, None, few),
        ("separable", None, 127),
        (Separable, None, 127),
        (Concatenated, 15, 15),
        (Undeclared, "all", 127),
        ("separable", 3, 3),
        ("concatenated", 10**6, 127),
    ]

    costs = {}
    for critic, negatives, expected in cases:
        counted.clear()
        estimate = mi.estimate_mi(*rows, critic=critic, negatives=negatives, **settings)
        assert estimate.diagnostics["training_negatives"] == expected
        costs[critic, negatives] = sum(counted)

    assert costs[Undeclared, None] < costs[Undeclared, "all"] / 2


class NoCopy(Undeclared):
    """A pairwise critic that cannot be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("cannot copy")


class ByCount(torch.nn.Module):
    """A critic whose scores depend on the number of rows that it takes for a group's."""

    def __init__(self, *dims):
        super().__init__()
        self.critic = Concatenated(*dims)

    def forward(self, x, y):
        return self.critic(x, y) / len(x)


@pytest.mark.parametrize("critic", [Undeclared, NoCopy, ByCount])
def test_critic_of_matrices(critic):
    """A critic of matrices gets one group at a time."""
    x = torch.randn(3, 5, 2).float()
    y = torch.randn(3, 5, 3).float()
    made, architecture = make_critic(critic, (x[0], y[0]), hidden=4)

    assert architecture.pairwise

    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    groups = [made(a, b) for a, b in zip(x, y, strict=True)]

    torch.testing.assert_close(made(x, y), torch.stack(groups))


def test_equal_training():
    """A critic of matrices is trained as one of batches."""
    law = mi.laws.Gaussian(0.8)
    settings = FAST | dict(anchor="none", steps=30)
    one, other = (
        mi.estimate_mi(*sample(law, 200), critic=critic, **settings)
        for critic in (Concatenated, Undeclared)
    )

    assert other.nats == pytest.approx(one.nats, abs=1e-3)


def test_overflow():
    """Training that overflows keeps the last good critic and says so."""
    x, y = sample(mi.laws.Gaussian.with_information(5.0, 4), 400)
    estimate = mi.estimate_mi(x, y, "nwj", learning_rate=1e30, anchor="none", steps=60)
    assert math.isfinite(estimate.nats)
    assert any("overflow" in text for text in estimate.warnings)


def test_steps(monkeypatch):
    """`steps` bounds the number of steps."""
    taken = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, *args: (taken.append(1), step(self, *args))[1],
    )
    estimate = mi.estimate_mi(*sample(mi.laws.Gaussian(0.5), 100), steps=5, folds=2)

    assert len(taken) == 5  # of both folds, and of half the rows, at once
    assert [history[-1]["step"] for history in estimate.history] == [5, 5]


def test_held_out_scores():
    """Held-out scores are those of groups and of the whole matrix."""
    law = mi.laws.Gaussian(0.5)
    x, y = sample(law, 520)

    def critic(x, y):
        return law.log_ratio(x.unsqueeze(-2), y.unsqueeze(-3))

    joint, product = held_out_scores(critic, x, y)
    assert joint.shape == (520,)
    assert product.shape == (520, 259)  # two groups
    assert torch.allclose(joint, law.log_ratio(x, y).double())

    whole = grouped_scores(critic, x[:40], y[:40], 100)
    matrix = critic(x[:40], y[:40])

    assert torch.equal(whole[0], matrix.diagonal())
    assert torch.equal(whole[1], matrix[~torch.eye(40, dtype=torch.bool)].view(40, 39))


def test_evaluation_mode():
    """A critic validates in evaluation mode."""
    modes = []

    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, y):
            modes.append((self.training, torch.is_grad_enabled()))
            return self.weight * x @ y.mT

    rows = sample(mi.laws.Gaussian(0.5), 200)
    mi.estimate_mi(*rows, critic=Noisy().eval(), anchor="none", **FAST)

    assert {(True, True), (False, False)} == set(modes)


@pytest.mark.parametrize("steps", [1, 9, 10])
def test_few_steps(steps):
    rows = sample(mi.laws.Gaussian(0.5), 100)
    estimate = mi.estimate_mi(*rows, steps=steps, folds=2)
    assert math.isfinite(estimate.nats)


def test_chance_gain():
    """Where the copula fits, a gain that chance gives does not prolong the training."""
    law = mi.laws.TASKS["multinormal-sparse-5-5-2-2.0"]
    estimate = mi.estimate_mi(*sample(law, 1000, seed=8))
    best = [max(history, key=VALIDATION)["step"] for history in estimate.history]

    assert max(best) > 0
    assert max(history[-1]["step"] for history in estimate.history) == 150
