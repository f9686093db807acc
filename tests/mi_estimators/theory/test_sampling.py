"""What sampling costs, and what it reaches: Gaussian laws, minibatches, groups of answers."""

import math

import pytest
import torch

from mi_estimators import theory
from mi_estimators.laws import Gaussian


@pytest.mark.parametrize(("rho", "dim"), [(0.6, 1), (-0.3, 4), (0.0, 2)])
def test_gaussian_law(rho, dim):
    """The law of `laws` has the same moments."""
    law = Gaussian(rho, dim)
    assert law.mutual_information == theory.gaussian_information(rho, dim)
    assert law.chi2 == pytest.approx((1 - rho**2) ** -dim - 1)
    assert law.log_ratio_variance == dim * rho**2


def test_infinite_chi2():
    """Information beyond the floats is an infinite χ²."""
    assert theory.gaussian_chi2(400.0) == math.inf


def test_gradient_traces():
    """r = 1 and Var φ = (0, 1, 2, 2) on both sides."""
    for trace in (theory.nwj_gradient_trace, theory.dv_gradient_trace):
        assert trace(0.0, 3, 10) == pytest.approx(1)
    assert theory.js_gradient_bound(0.0, 3, 12) == pytest.approx(1)


def test_in_batch_negatives():
    """In-batch negatives cost more than independent ones.

    Pairs (i, j) and (j, i) are correlated, for n − 1 negatives a row.
    """
    for rho in (0.3, 0.6, 0.9):
        nats = theory.gaussian_information(rho)
        independent = theory.nwj_value_variance(rho**2, theory.gaussian_chi2(nats), 8, 56)
        assert theory.nwj_in_batch_variance(rho, 1, 8) > independent


def test_bias_factor():
    """The bias factor tends to one and falls."""
    assert theory.dv_bias_factor(1.001) == pytest.approx(1, abs=1e-3)
    factors = [theory.dv_bias_factor(x) for x in (0.1, 0.9, 2.0, 50.0)]
    assert factors == sorted(factors, reverse=True)


def test_groups():
    assert theory.steps_to_first_signal(0.1, 1) == pytest.approx(10)
    assert theory.steps_to_first_signal(1e-3, 16) == pytest.approx(1 / (1 - 0.999**16))
    assert theory.zero_gradient_probability(0.25, 3) == pytest.approx(0.75**3 + 0.25**3)
    assert theory.missed_mass(0.25, 3) == 0.75**3


def test_reach():
    assert theory.pass_at_k(0.0, 5) == 0
    assert theory.pass_at_k(0.3, 2) == pytest.approx(1 - 0.49)
    assert theory.drawn_js_weight(1e-6) == pytest.approx(1.4e-5, rel=0.02)


def test_rlhf_odds():
    p = torch.tensor([1e-6, 1e-2, 0.5])
    after = theory.rlhf_success(p, 0.5)
    assert (after / (1 - after) * (1 - p) / p).tolist() == pytest.approx([math.e**2] * 3)
