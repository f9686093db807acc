"""estimate_mi: accuracy on exact laws, held-out honesty, seeds, the standard error, and what it refuses."""

import math

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimators import on_matrix

FAST = dict(steps=400, hidden=32, batch_size=128, learning_rate=2e-3)


@pytest.mark.parametrize("name", sorted(mi.ESTIMATORS))
def test_every_estimator_finds_the_information_of_a_gaussian(name):
    law = mi.laws.Gaussian(0.8)
    x, y = law.sample(2000, torch.Generator().manual_seed(0))
    estimate = mi.estimate_mi(x, y, name, **FAST)
    assert abs(estimate.nats - law.mutual_information) < 0.15
    assert estimate.interval == pytest.approx(
        (estimate.nats - 1.96 * estimate.stderr, estimate.nats + 1.96 * estimate.stderr)
    )
    assert estimate.interval[0] < law.mutual_information < estimate.interval[1] + 0.1
    assert estimate.history[0]["step"] == 0
    assert estimate.diagnostics["held_out_rows"] == 500
    assert f"{estimate.nats:.3f} nats" in str(estimate)


def test_overfitting_does_not_reach_the_reported_value():
    x, y = mi.laws.Gaussian(0.6, 10).sample(600, torch.Generator().manual_seed(0))  # few rows for 20 dimensions
    estimate = mi.estimate_mi(x, y, "infonce", patience=3)
    assert estimate.diagnostics["kept_step"] > 0
    assert estimate.diagnostics["train_nats"] > estimate.nats + 0.3
    assert estimate.diagnostics["train_gap"] == pytest.approx(estimate.diagnostics["train_nats"] - estimate.nats)
    assert estimate.nats < mi.laws.Gaussian(0.6, 10).mutual_information


def test_an_untrained_critic_is_said_to_be_one():
    x, y = np.random.default_rng(0).normal(size=(2, 200, 10))  # independent: nothing to find, the critic overfits
    estimate = mi.estimate_mi(x, y, "dv", patience=3)
    assert estimate.diagnostics["kept_step"] == 0
    assert any("untrained" in text for text in estimate.warnings)


def test_training_that_overflows_says_so_and_keeps_the_last_good_critic():
    x, y = mi.laws.Gaussian.with_information(5.0, 4).sample(400, torch.Generator().manual_seed(0))
    estimate = mi.estimate_mi(x, y, "nwj", learning_rate=1e30, steps=60)
    assert math.isfinite(estimate.nats)
    assert any("overflowed" in text for text in estimate.warnings)


def test_steps_are_the_most_steps_taken(monkeypatch):
    taken = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self, *args: (taken.append(1), step(self, *args))[1])
    x, y = mi.laws.Gaussian(0.5).sample(100)
    estimate = mi.estimate_mi(x, y, steps=5, hidden=8)
    assert len(taken) == 5
    assert estimate.history[-1]["step"] == 5


def test_numpy_and_torch_vectors_and_columns_agree_and_seeds_are_bit_equal():
    x, y = (v.numpy() for v in mi.laws.Gaussian(0.5).sample(200, torch.Generator().manual_seed(0)))
    state = torch.random.get_rng_state()
    first = mi.estimate_mi(x, y, **FAST)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert mi.estimate_mi(torch.as_tensor(x[:, 0]), torch.as_tensor(y[:, 0]), **FAST).nats == first.nats
    assert mi.estimate_mi(x, y, seed=1, **FAST).nats != first.nats


def test_any_memory_layout_and_grad_mode():
    x, y = (v.numpy() for v in mi.laws.Gaussian(0.5).sample(200, torch.Generator().manual_seed(0)))
    nats = mi.estimate_mi(x, y, seed=np.int64(3), **FAST).nats
    assert mi.estimate_mi(x[::-1][::-1].astype(">f4"), y * 1e200, seed=3, **FAST).nats == pytest.approx(nats, abs=1e-3)
    with torch.no_grad():
        assert mi.estimate_mi(x, y, seed=3, **FAST).nats == nats


def test_invariant_under_affine_maps_and_leaves_arguments_alone():
    x, y = (v.numpy() for v in mi.laws.Gaussian(0.5).sample(200, torch.Generator().manual_seed(0)))
    copy = x.copy()
    estimate = mi.estimate_mi(x, y, **FAST)
    assert np.array_equal(x, copy)
    assert mi.estimate_mi(1e6 * x + 3e8, -y, **FAST).nats == pytest.approx(estimate.nats, abs=0.1)


@pytest.mark.parametrize("bound", ["dv", "nwj", "js"])
def test_the_standard_error_is_that_of_repeated_samples(bound):
    """With the exact critic, the spread over fresh samples is what the infinitesimal jackknife predicts."""
    law, n, generator = mi.laws.Gaussian(0.6), 200, torch.Generator().manual_seed(0)
    values, predicted = [], []
    for _ in range(300):
        x, y = law.sample(n, generator)
        weights = torch.zeros(n, requires_grad=True)
        value = on_matrix(mi.BOUNDS[bound])(law.log_ratio(x[:, None], y), weights.log_softmax(-1))
        predicted.append(float((torch.autograd.grad(value, weights)[0] ** 2).sum().sqrt()))
        values.append(float(value.detach()))
    assert np.mean(predicted) == pytest.approx(np.std(values), rel=0.15)
    target = {"dv": law.mutual_information, "nwj": law.mutual_information, "js": np.mean(values)}[bound]
    covered = np.mean(np.abs(np.array(values) - target) < 1.96 * np.array(predicted))
    assert 0.9 < covered < 0.99


def test_long_held_out_samples_are_read_in_blocks():
    law = mi.laws.Gaussian(0.5)
    x, y = law.sample(20_000, torch.Generator().manual_seed(0))  # 5000 held-out rows: three blocks
    estimate = mi.estimate_mi(x, y, **FAST)
    assert estimate.nats == pytest.approx(law.mutual_information, abs=0.05)
    assert estimate.stderr < 0.02
    assert 0 < estimate.diagnostics["effective_sample_fraction"] <= 1


def test_blocks_report_their_own_size():
    x, y = mi.laws.Gaussian(0.0).sample(8200, torch.Generator().manual_seed(0))  # 2050 held-out rows: two blocks
    estimate = mi.estimate_mi(x, y, steps=1, hidden=4)
    assert estimate.diagnostics["effective_sample_fraction"] == pytest.approx(1, abs=0.1)


def test_warnings_say_when_not_to_believe_it():
    x = np.random.default_rng(0).normal(size=(2000, 1))
    close = mi.estimate_mi(x, x + 1e-3 * np.random.default_rng(1).normal(size=x.shape), "infonce", **FAST)
    assert any("½ ln n" in text for text in close.warnings)
    assert "warning" in str(close)


GOOD = np.random.default_rng(0).normal(size=(100, 2))
BAD_CALLS = [
    ("x: expected a numpy array or a torch tensor, got list", ([1.0] * 100, GOOD), {}),
    ("x: expected real numbers", (np.array(["a"] * 100), GOOD), {}),
    ("x: expected real numbers", (GOOD + 1j, GOOD), {}),
    ("x: expected real numbers", (torch.as_tensor(GOOD) + 1j, GOOD), {}),
    ("x: expected a numpy array .* got MaskedArray", (np.ma.masked_array(GOOD), GOOD), {}),
    ("seed: expected an integer of at most", (GOOD, GOOD), {"seed": 2**32}),
    ("estimator: expected one of", (GOOD, GOOD), {"estimator": ["js"]}),
    ("x: expected finite", (np.where(GOOD > 2, math.nan, GOOD) * math.inf, GOOD), {}),
    (r"x: expected shape \(n,\) or \(n, d\)", (np.zeros((100, 2, 2)), GOOD), {}),
    (r"x: expected columns that vary, got constant column\(s\) \[1\]", (GOOD * [1, 0], GOOD), {}),
    ("y: expected as many rows", (GOOD, GOOD[:90]), {}),
    ("x: expected at least 64 rows, got 0", (GOOD[:0], GOOD[:0]), {}),
    ("x: expected at least 64 rows, got 10", (GOOD[:10], GOOD[:10]), {}),
    ("estimator: expected one of", (GOOD, GOOD), {"estimator": "ksg"}),
    ("seed: expected an integer", (GOOD, GOOD), {"seed": 0.5}),
    ("steps: expected an integer", (GOOD, GOOD), {"steps": 0}),
    ("batch_size: expected an integer of at least 2", (GOOD, GOOD), {"batch_size": 1}),
    ("learning_rate: expected a number", (GOOD, GOOD), {"learning_rate": 0.0}),
    ("hidden: expected an integer", (GOOD, GOOD), {"hidden": 0}),
    ("patience: expected an integer", (GOOD, GOOD), {"patience": -1}),
]


@pytest.mark.parametrize(("message", "args", "kwargs"), BAD_CALLS)
def test_bad_calls_are_refused_by_name(message, args, kwargs):
    with pytest.raises(ValueError, match=message):
        mi.estimate_mi(*args, **kwargs)
