"""The running statistics of a gradient: their limit, their bias, and what a fit keeps of them."""

import pytest
import torch
from torch import nn

import mi_estimators as mi
from mi_estimators.bounds.scores import joint_and_product
from mi_estimators.diagnostics.gradients import gradient_statistics
from mi_estimators.diagnostics.monitor import GradientMonitor
from mi_estimators.estimation.critics import Separable
from tests.mi_estimators.shared import seeded


@pytest.mark.parametrize("name", ["dv", "js", "infonce"])
def test_limit(name):
    """It tends to the statistics of the gradient."""
    critic = Separable(2, 2, hidden=6, layers=1, zero_start=False)
    x, y = mi.laws.Gaussian(0.6, 2).sample(400 * 8, seeded())
    objective = getattr(mi, name)
    expected = gradient_statistics(objective, critic, x, y, batch_size=8)

    monitor = GradientMonitor(batch_size=8, decay=1.0)
    for a, b in zip(x.split(8), y.split(8), strict=True):
        scores = critic(a, b)
        value = objective(scores) if name == "infonce" else objective(*joint_and_product(scores))
        parts = torch.autograd.grad(value, list(critic.parameters()))
        monitor(nn.utils.parameters_to_vector(parts))

    measured = monitor.statistics()
    assert measured.mean_norm == pytest.approx(expected.mean_norm)  # the plain mean
    assert measured.trace_covariance == pytest.approx(expected.trace_covariance, rel=0.1)
    assert measured.snr == pytest.approx(expected.snr, rel=0.06)
    assert measured.noise_scale == pytest.approx(expected.noise_scale, rel=0.15)
    assert measured.batches == expected.batches == 400


def test_unbiased_window():
    """Over many windows of decay 0.9 the corrected ‖m‖² and the trace are right on average."""
    mu, sigma, decay, steps = torch.linspace(-1, 1, 8), torch.linspace(0.5, 3, 8), 0.9, 40
    weights = decay ** torch.arange(steps)
    batches = float(weights.sum() ** 2 / (weights**2).sum())

    signals, traces = [], []
    for _ in range(200):
        monitor = GradientMonitor(batch_size=32, decay=decay)
        for _ in range(steps):
            monitor(mu + sigma * torch.randn(8))
        measured = monitor.statistics()
        signals.append(measured.mean_norm**2 - measured.trace_covariance / batches)
        traces.append(measured.trace_covariance)

    assert measured.batches == round(batches) == 18  # (1 + decay)/(1 − decay) = 19 in the end
    assert measured.noise_scale == pytest.approx(32 * measured.trace_covariance / signals[-1])

    for estimates, expected in ((signals, (mu**2).sum()), (traces, (sigma**2).sum())):
        estimates = torch.tensor(estimates)
        error = float(estimates.std()) / 200**0.5
        assert float(estimates.mean()) == pytest.approx(float(expected), abs=4 * error)


def test_drift():
    """Under drift the monitor is off by what its docstring says."""
    drift, decay = torch.tensor([0.3, -0.1]), 0.9
    monitor = GradientMonitor(batch_size=1, decay=decay)
    for step in range(400):
        monitor(step * drift)
    measured = monitor.statistics()

    assert measured.trace_covariance == pytest.approx(float(drift @ drift) / 2)
    expected = float(drift.norm()) * (399 - decay / (1 - decay))
    assert measured.mean_norm == pytest.approx(expected)


def test_fit_history():
    """A fit keeps signal and noise of its gradient."""
    law = mi.laws.Gaussian(0.8)
    x, y = law.sample(300, seeded())
    estimate = mi.estimate_mi(
        x,
        y,
        steps=100,
        folds=2,
        anchor="none",
        batch_size=64,
    )

    for first, *later in estimate.history:
        assert set(first) == {"step", "train", "validation"}  # no gradient yet
        assert later
        for row in later:
            assert set(row) == {*first, "gradient_snr", "noise_scale"}
            assert row["gradient_snr"] > 0
            assert row["noise_scale"] > 0


def test_bad_calls():
    with pytest.raises(ValueError, match="batch_size: expected an integer of at least 1"):
        GradientMonitor(batch_size=0)
    with pytest.raises(ValueError, match="decay: expected a number in"):
        GradientMonitor(batch_size=1, decay=0.0)

    monitor = GradientMonitor(batch_size=1)
    monitor(torch.zeros(3))

    with pytest.raises(ValueError, match="monitor: expected at least 2 recorded gradients, got 1"):
        monitor.statistics()
