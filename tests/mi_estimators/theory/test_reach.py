"""RLHF's optimum: the slope of the library's log-mean, and a factor on the odds."""

import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators import theory


def test_the_optimum_is_the_slope_of_the_log_mean_and_keeps_zero():
    beta = 0.3
    p = torch.tensor([0.0, 1e-4, 0.5, 1.0], dtype=torch.float64)
    inverse = torch.full_like(p, 1 / beta).requires_grad_()
    log_law = torch.stack([p, 1 - p], -1).log()
    reward = torch.tensor([1.0, 0.0], dtype=torch.float64)
    total = mi.log_mean_exp(inverse[:, None] * reward, log_law).sum()
    (slope,) = torch.autograd.grad(total, inverse)
    assert theory.rlhf_success(p, beta).tolist() == pytest.approx(slope.tolist(), rel=1e-12)
    assert float(theory.rlhf_success(p, beta)[0]) == 0


def test_rlhf_multiplies_the_odds():
    p = torch.tensor([1e-6, 1e-2, 0.5], dtype=torch.float64)
    after = theory.rlhf_success(p, 0.5)
    assert (after / (1 - after) * (1 - p) / p).tolist() == pytest.approx([math.e**2] * 3)
