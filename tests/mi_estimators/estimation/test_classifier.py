"""The classifier of a label as a critic: normalised, as good as it should be, and calm about what it has not seen."""

import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation.experts.classifier import Codes, fit_classifier
from mi_estimators.estimation.experts.counts import information_of_counts
from tests.mi_estimators.shared import seeded


def spots(n, kinds=3, seed=0):
    generator = seeded(seed)
    code = torch.randint(kinds, (n,), generator=generator)
    place = torch.stack([code.float(), (code == 1).float()], 1)
    return place + 0.3 * torch.randn(n, 2, generator=generator), code[:, None].float()


def test_codes():
    """`Codes` number rows, and mark those not seen."""
    rows = torch.tensor([[2.0, 0.0], [1.0, 5.0], [2.0, 0.0]])
    codes = Codes(rows)
    assert codes(rows).tolist() == [1, 0, 1]
    assert codes(torch.tensor([[[1.0, 5.0], [9.0, 9.0]]])).tolist() == [[0, -1]]


@pytest.mark.parametrize("label", [0, 1])
def test_normalised_scores(label):
    """It is normalised over the labels and near the log-ratio."""
    sides = [spots(n, seed=n) for n in (900, 300, 600)]
    train, valid, test = [rows[::-1] if label == 0 else rows for rows in sides]
    critic, history = fit_classifier(train, valid, label)
    kinds = torch.arange(3.0)[:, None]

    with torch.no_grad():
        scores = critic(kinds, test[1]).T if label == 0 else critic(test[0], kinds)
    shares = torch.bincount(train[label][:, 0].long()) / 900

    torch.testing.assert_close(scores.exp() @ shares, torch.ones(600))

    means = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    likelihood = -((test[1 - label][:, None] - means) ** 2).sum(-1) / (2 * 0.09)
    exact = likelihood.log_softmax(-1) + math.log(3)
    code = test[label][:, 0].long()
    value, truth = (s[torch.arange(600), code].mean() for s in (scores, exact))

    assert 0 <= truth - value < 0.03
    assert history[0]["step"] == 0


def test_unseen_label():
    """A label that training did not see says nothing."""
    x, y = spots(300)
    critic, _ = fit_classifier((x, y), (x, y), 1)
    assert critic(x[:2], torch.tensor([[7.0]])).tolist() == [[0.0], [0.0]]


def test_entropy_ceiling():
    """Labels are read by a classifier and stay below their entropy."""
    x, y = spots(900)
    estimate = mi.estimate_mi(x, y, steps=50, folds=2)
    assert (estimate.expert, estimate.verdict) == ("classifier", "ok")
    assert 0.95 < estimate.nats < math.log(3)


def test_full_counts():
    """Counts are used only where cells are full."""
    generator = seeded()
    few, many = (torch.randint(kinds, (2, 2000), generator=generator) for kinds in (4, 300))
    assert information_of_counts(*few).value == pytest.approx(0, abs=0.005)
    assert information_of_counts(*many) is None
