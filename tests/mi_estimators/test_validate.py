"""Arguments are checked once, at the public boundary: a loop makes no check of its own."""

from types import FunctionType

import pytest
import torch

import mi_estimators as mi
from mi_estimators import _validate
from mi_estimators.estimation.critics import Separable


@pytest.fixture
def checks(monkeypatch):
    """Every check that is made from here on, by name."""
    made = []

    def recording(name, check):
        return lambda *args, **kwargs: (made.append(name), check(*args, **kwargs))[1]

    for name, check in list(vars(_validate).items()):
        own = isinstance(check, FunctionType) and check.__module__ == _validate.__name__
        if own and name not in ("checked", "unchecked"):
            monkeypatch.setattr(_validate, name, recording(name, check))

    return made


def rows(n):
    return mi.laws.Gaussian(0.75).sample(n, torch.Generator().manual_seed(0))


def test_seen_check(checks):
    mi.dv(torch.zeros(3), torch.zeros(3))
    assert "scores" in checks


@pytest.mark.parametrize("name", mi.ESTIMATORS)
def test_checks_of_estimates(name, checks):
    """An estimate makes as many checks whatever its steps."""
    counts = []
    settings = dict(folds=2, hidden=8, batch_size=64, learning_rate=2e-2, anchor="none")
    for steps in (20, 60):
        checks.clear()
        mi.estimate_mi(*rows(200), name, steps=steps, **settings)
        counts.append(len(checks))

    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("objective", [mi.dv, mi.js, mi.infonce])
def test_checks_of_gradients(objective, checks):
    """Gradient diagnostics make as many checks whatever the minibatches."""
    critic, counts = Separable(1, 1, hidden=4, zero_start=False), []
    for n in (40, 160):
        checks.clear()
        mi.gradient_statistics(objective, critic, *rows(n), batch_size=8)
        mi.diagnostics.minibatch_bias(objective, critic, *rows(80), batch_size=8, batches=n)
        counts.append(len(checks))

    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_checks_of_losses(bound, checks):
    """A preference loss checks its scores once."""
    mi.preference_loss(torch.zeros(3), torch.zeros(3), bound=bound)
    assert checks.count("scores") == 2  # chosen and rejected
    assert "log_weights" not in checks


@pytest.mark.parametrize("bound", mi.BOUNDS.values(), ids=mi.BOUNDS)
def test_unchecked_bounds(bound, checks):
    """The core of a bound is the bound without checks."""
    joint, product = torch.randn(5), torch.randn(7)
    core = _validate.unchecked(bound)

    assert core(joint, product) == bound(joint, product)

    checks.clear()
    assert core(torch.tensor([torch.nan]), product).isnan()
    assert not checks
