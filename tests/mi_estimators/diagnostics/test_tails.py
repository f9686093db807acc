"""The Pareto shape of importance weights: known tails, two other fits, and no tail at all."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import mi_estimators as mi
from mi_estimators.diagnostics.tails import pareto_k
from tests.mi_estimators.shared import refused, seeded


def pareto_scores(k, m):
    """Return T whose weights e^T are the quantiles of an exact Pareto law of shape k."""
    return -k * ((torch.arange(m) + 0.5) / m).log()


def tail(scores):
    """Return the excesses of the largest min(m/5, 3√m) weights over the next one, in units of it."""
    ordered = np.sort(scores.numpy())[::-1]
    count = int(min(len(ordered) / 5, 3 * math.sqrt(len(ordered))))
    return np.expm1(ordered[:count] - ordered[count])[::-1]


def unshrunk(k, n):
    return (k * (n + 10) - 5) / n


def zhang_and_stephens(x):
    """Their 2009 posterior mean, one line an equation, for excesses x in increasing order."""
    n, m = len(x), 30 + int(math.sqrt(len(x)))
    j = np.arange(1, m + 1)
    theta = 1 / x[-1] + (1 - np.sqrt(m / (j - 0.5))) / (3 * x[int(n / 4 + 0.5) - 1])
    k = -np.array([np.mean(np.log1p(-t * x)) for t in theta])
    log_likelihood = n * (np.log(theta / k) + k - 1)
    weights = np.array([1 / np.sum(np.exp(log_likelihood - one)) for one in log_likelihood])

    return np.mean(np.log1p(-np.sum(theta * weights) * x))


@pytest.mark.parametrize("k", [0.2, 0.5, 0.7, 1.0, 1.5])
def test_pareto_quantiles(k):
    """`pareto_k` recovers the shape of exact Pareto quantiles."""
    assert unshrunk(pareto_k(pareto_scores(k, 4000)), 189) == pytest.approx(k, rel=0.03)
    assert pareto_k(pareto_scores(k, 10**6)) == pytest.approx(k, abs=0.015)


@pytest.mark.parametrize("k", [0.2, 0.7, 1.5])
@pytest.mark.parametrize("m", [200, 3000])
def test_other_fits(k, m):
    """`pareto_k` agrees with other fits of random draws."""
    uniform = torch.rand(m, generator=seeded(m))
    scores = torch.log1p((uniform**-k - 1) / k)  # a generalised Pareto weight, plus one
    x = tail(scores)
    shape = unshrunk(pareto_k(scores), len(x))

    assert shape == pytest.approx(zhang_and_stephens(x), abs=1e-9)

    likelihood, _, _ = stats.genpareto.fit(x, floc=0)
    assert shape == pytest.approx(likelihood, abs=0.3 / math.sqrt(len(x)) + 0.03)


def test_gaussian_weights():
    """The weights of a Gaussian law have the shape of its moments.

    Under Q the ratio of `Gaussian(rho)` has moments below 1 + 1/rho, so that k tends to rho/(1 + rho).
    """
    generator = seeded()
    for rho in (0.3, 0.9):
        law = mi.laws.Gaussian(rho)
        x, y = (law.sample(10**6, generator)[k] for k in (0, 1))  # two samples: independent rows
        assert pareto_k(law.log_ratio(x, y)) == pytest.approx(rho / (1 + rho), abs=0.13)


def test_scale_and_order():
    """`pareto_k` does not change with the scale or the order of the weights."""
    scores = pareto_scores(0.8, 500)
    for shift in (1e4, -1e4):
        assert pareto_k(scores + shift) == pytest.approx(pareto_k(scores), abs=1e-8)
    shuffled = scores[torch.randperm(500)]
    assert pareto_k(shuffled) == pytest.approx(pareto_k(scores), abs=1e-12)
    assert pareto_k(scores.float()) == pytest.approx(pareto_k(scores), abs=1e-3)


def test_temperature():
    """`pareto_k` increases with the temperature."""
    scores = torch.randn(2000)
    shapes = [pareto_k(scale * scores) for scale in (0.1, 1, 3, 10, 30, 100, 1000, 1e5)]
    assert shapes == sorted(shapes)
    assert shapes[0] < 0.5 < 0.7 < shapes[3]


def test_equal_weights():
    """Equal weights have no tail."""
    assert pareto_k(torch.zeros(100)) == -math.inf
    assert pareto_k(torch.full((100,), 1e4).float()) == -math.inf
    assert pareto_k(torch.randn(1000).clamp(max=0.0)) == -math.inf
    assert pareto_k(1e-9 * torch.randn(1000)) == -math.inf  # equal but for rounding


def test_few_large_weights():
    """A handful of large weights is no light tail."""
    few = torch.cat([torch.zeros(1000), torch.full((4,), 20.0)])
    assert pareto_k(few) == math.inf
    assert pareto_k(torch.cat([few, torch.tensor([40.0])])) > 0.7


@pytest.mark.parametrize("span", [400.0, 600.0, 2000.0, 1e4, 1e6])
@pytest.mark.parametrize("m", [25, 400, 10_000])
def test_overflow(span, m):
    """`pareto_k` is a large number for scores that overflow when exponentiated."""
    for scores in (torch.linspace(0, span, m), torch.randn(m) * span):
        assert 1 < pareto_k(scores) < math.inf


@pytest.mark.parametrize("m", [25, 26, 30])
def test_fewest_scores(m):
    """The fewest scores give a number."""
    assert math.isfinite(pareto_k(torch.randn(m)))


test_bad_scores = refused(
    [
        (
            r"scores: expected shape \(m,\) with m at least 25, got \(24,\)",
            pareto_k,
            torch.zeros(24),
        ),
        (
            r"scores: expected shape \(m,\) with m at least 25, got \(30, 30\)",
            *(pareto_k, torch.zeros(30, 30)),
        ),
        ("scores: expected finite scores", pareto_k, torch.full((30,), math.nan)),
        ("scores: expected finite scores", pareto_k, torch.full((30,), -math.inf)),
        ("scores: expected a floating-point tensor", pareto_k, torch.zeros(30, dtype=torch.int64)),
        ("scores: expected a torch tensor", pareto_k, [0.0] * 30),
    ]
)
