"""Gradients of objectives: what each row contributes, what a minibatch gets wrong on average."""

import math

import pytest
import torch
from torch import nn

import mi_estimators as mi
from mi_estimators.bounds.expectation import mean
from mi_estimators.bounds.scores import joint_and_product
from mi_estimators.diagnostics.gradients import (
    gradient_statistics,
    jackknife_statistics,
    matrix_objective,
    sample_gradients,
)
from mi_estimators.estimation.critics import Separable

OBJECTIVES = {"dv": mi.dv, **mi.DIVERGENCES, "infonce": mi.infonce, "smile": mi.smile}
objectives = pytest.mark.parametrize("name", OBJECTIVES)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, rho: float = 0.6, dim: int = 2, seed: int = 0):
    return mi.laws.Gaussian(rho, dim).sample(n, seeded(seed))


def value(name: str, scores: torch.Tensor) -> torch.Tensor:
    return mi.infonce(scores) if name == "infonce" else OBJECTIVES[name](*joint_and_product(scores))


def gradient(name: str, critic: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the plain gradient by autograd, flat."""
    return torch.cat(
        [
            g.flatten()
            for g in torch.autograd.grad(value(name, critic(x, y)), list(critic.parameters()))
        ]
    )


class Quadratic(nn.Module):
    """T = θ·(xy, x² − 1, y² − 1): a critic with three parameters."""

    def __init__(self, *theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, x, y):
        parts = torch.stack(torch.broadcast_tensors(x * y.mT, x**2 - 1, (y**2 - 1).mT), -1)
        return parts @ self.theta


@objectives
def test_contributions_sum_to_the_gradient(name):
    (x, y), critic = rows(12), Separable(2, 2, hidden=6, zero_start=False)
    found = sample_gradients(OBJECTIVES[name], critic, x, y)
    assert found.shape == (12, sum(p.numel() for p in critic.parameters()))
    torch.testing.assert_close(found.sum(0), gradient(name, critic, x, y), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(
        sample_gradients(OBJECTIVES[name], critic, x, y, chunk_size=5), found
    )


@objectives
def test_a_contribution_is_the_effect_of_weighing_the_row_more(name):
    (x, y), critic, step = rows(6), Quadratic(0.3, -0.1, 0.2), 1e-5
    (x, y) = x[:, :1], y[:, :1]
    found = sample_gradients(OBJECTIVES[name], critic, x, y)
    objective = matrix_objective(OBJECTIVES[name])

    def weighted(i: int, log_weight: float) -> torch.Tensor:
        log_weights = log_weight * torch.eye(6)[i]
        return torch.autograd.grad(
            objective(critic(x, y), log_weights.log_softmax(0)), critic.theta
        )[0]

    for i in range(6):
        slope = (weighted(i, step) - weighted(i, -step)) / (2 * step)
        torch.testing.assert_close(found[i] - found.mean(0), slope, rtol=1e-6, atol=1e-8)


def test_contributions_to_a_mean_over_rows_are_the_plain_sample_gradients():
    (x, y), critic = rows(7), Separable(2, 2, hidden=6, zero_start=False)
    found = sample_gradients(
        lambda joint, product, log_p=None, log_q=None: mean(joint, log_p), critic, x, y
    )
    for i in range(7):
        score = critic(x[i : i + 1], y[i : i + 1]).squeeze()
        own = torch.cat(
            [g.flatten() for g in torch.autograd.grad(score, list(critic.parameters()))]
        )
        torch.testing.assert_close(found[i], own / 7)


@objectives
def test_contributions_follow_their_rows(name):
    (x, y), critic, order = rows(9), Separable(2, 2, hidden=6, zero_start=False), torch.randperm(9)
    found = sample_gradients(OBJECTIVES[name], critic, x, y)
    torch.testing.assert_close(
        sample_gradients(OBJECTIVES[name], critic, x[order], y[order]), found[order]
    )


@pytest.mark.parametrize("name", ["dv", "nwj", "js", "infonce"])
def test_one_minibatch_tells_the_noise_of_many(name):
    n, critic = 64, Quadratic(0.3, -0.05, -0.05)
    x, y = rows(300 * n, dim=1)
    many = gradient_statistics(OBJECTIVES[name], critic, x, y, batch_size=n)
    single = [
        jackknife_statistics(sample_gradients(OBJECTIVES[name], critic, a, b))
        for a, b in list(zip(x.split(n), y.split(n), strict=True))[:60]
    ]
    assert sum(s.trace_covariance for s in single) / 60 == pytest.approx(
        many.trace_covariance, rel=0.15
    )
    mean_square = sum(s.mean_norm**2 - s.trace_covariance for s in single) / 60
    assert mean_square == pytest.approx(many.mean_norm**2, rel=0.25)
    assert all(s.batches == 1 for s in single)


def test_gradient_statistics_take_infonce_too():
    (x, y), critic = rows(96), Separable(2, 2, hidden=6, zero_start=False)
    found = gradient_statistics(mi.infonce, critic, x, y, batch_size=16)
    stacked = torch.stack(
        [gradient("infonce", critic, a, b) for a, b in zip(x.split(16), y.split(16), strict=True)]
    )
    assert found.mean_norm == pytest.approx(float(stacked.mean(0).norm()))
    assert found.trace_covariance == pytest.approx(float(stacked.var(0).sum()))


X, CRITIC = torch.zeros(6, 1), Quadratic(0.1, 0.1, 0.1)
BAD_CALLS = [
    ("x, y: expected at least 2 paired", lambda: sample_gradients(mi.dv, CRITIC, X[:1], X[:1])),
    ("x, y: expected at least 2 paired", lambda: sample_gradients(mi.dv, CRITIC, X, X[:3])),
    ("x: expected finite", lambda: sample_gradients(mi.dv, CRITIC, X + math.nan, X)),
    ("y: expected finite", lambda: sample_gradients(mi.dv, CRITIC, X, X + math.nan)),
    (r"gradients: expected shape \(n, p\)", lambda: jackknife_statistics(torch.zeros(1, 3))),
    (r"gradients: expected shape \(n, p\)", lambda: jackknife_statistics(torch.zeros(4, 3, 2))),
    ("gradients: expected at least 2 dim", lambda: jackknife_statistics(torch.zeros(4))),
    ("gradients: expected finite", lambda: jackknife_statistics(torch.full((4, 2), math.inf))),
]


@pytest.mark.parametrize(
    ("message", "call"), BAD_CALLS, ids=[str(i) for i in range(len(BAD_CALLS))]
)
def test_bad_calls_are_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()
