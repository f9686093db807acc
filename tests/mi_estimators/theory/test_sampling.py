"""What sampling costs, and what it reaches: Gaussian laws, minibatches, groups of answers, ceilings."""

import math

import pytest

from mi_estimators import theory
from mi_estimators.laws import Gaussian


def test_gaussian_check_values():
    """ρ = 0.6, d = 1."""
    nats = theory.gaussian_information(0.6)
    assert nats == pytest.approx(0.223144, abs=1e-6)
    assert theory.gaussian_chi2(nats) == pytest.approx(0.5625)
    assert theory.gaussian_log_ratio_variance(0.6) == pytest.approx(0.36)
    assert theory.ess_fraction(theory.gaussian_chi2(nats)) == pytest.approx(math.exp(-2 * nats))


@pytest.mark.parametrize(("rho", "dim"), [(0.6, 1), (-0.3, 4), (0.0, 2)])
def test_the_law_says_the_same(rho, dim):
    law = Gaussian(rho, dim)
    assert law.mutual_information == theory.gaussian_information(rho, dim)
    assert law.chi2 == pytest.approx((1 - rho**2) ** -dim - 1)
    assert law.log_ratio_variance == dim * rho**2


def test_information_beyond_the_floats_is_an_infinite_chi2():
    assert theory.gaussian_chi2(400.0) == math.inf


def test_gradient_traces_under_independence():
    """r = 1 and Var φ = (0, 1, 2, 2) on both sides."""
    for trace in (theory.nwj_gradient_trace, theory.dv_gradient_trace):
        assert trace(0.0, 3, 10) == pytest.approx(1)
    assert theory.js_gradient_bound(0.0, 3, 12) == pytest.approx(1)


def test_in_batch_negatives_cost_more_than_independent_ones():
    """Pairs (i, j) and (j, i) are correlated, for n − 1 negatives a row."""
    for rho in (0.3, 0.6, 0.9):
        nats = theory.gaussian_information(rho)
        independent = theory.nwj_value_variance(rho**2, theory.gaussian_chi2(nats), 8, 56)
        assert theory.nwj_in_batch_variance(rho, 1, 8) > independent


def test_the_bias_factor_tends_to_one_and_falls():
    assert theory.dv_bias_factor(1.001) == pytest.approx(1, abs=1e-3)
    factors = [theory.dv_bias_factor(x) for x in (0.1, 0.9, 2.0, 50.0)]
    assert factors == sorted(factors, reverse=True)


def test_groups_of_answers():
    assert theory.steps_to_first_signal(0.1, 1) == pytest.approx(10)
    assert theory.steps_to_first_signal(1e-3, 16) == pytest.approx(1 / (1 - 0.999**16))
    assert theory.zero_gradient_probability(0.25, 3) == pytest.approx(0.75**3 + 0.25**3)
    assert theory.missed_mass(0.25, 3) == 0.75**3


def test_reach():
    assert theory.pass_at_k(0.0, 5) == 0
    assert theory.pass_at_k(0.3, 2) == pytest.approx(1 - 0.49)
    odds = [p / (1 - p) for p in (0.2, theory.rlhf_success(0.2, 0.5))]
    assert odds[1] / odds[0] == pytest.approx(math.exp(2))
    assert theory.drawn_js_weight(1e-6) == pytest.approx(1.4e-5, rel=0.02)


def test_ceilings():
    assert theory.infonce_ceiling(8) == pytest.approx(math.log(8))
    assert theory.interpolated_ceiling(8, 0.5) == pytest.approx(1 + math.log(16))
    assert theory.jsd_shortfall(50.0) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.ess_fraction(-1.0), "chi2: expected"),
        (lambda: theory.nwj_value_variance(-1.0, 1.0), "log_ratio_variance: expected"),
        (lambda: theory.nwj_value_variance(1.0, 1.0, 0), "positives: expected"),
        (lambda: theory.nwj_value_variance(1.0, 1.0, 1, 0), "negatives: expected"),
        (lambda: theory.least_negative_variance(-1.0), "nats: expected"),
        (lambda: theory.dv_bias(-1.0, 1), "relative_variance: expected"),
        (lambda: theory.dv_bias(1.0, 0), "negatives: expected"),
        (lambda: theory.dv_bias_factor(0.0), "ratio: expected"),
        (lambda: theory.gaussian_information(1.0), "rho: expected"),
        (lambda: theory.gaussian_information(0.5, 0), "dim: expected"),
        (lambda: theory.gaussian_chi2(-0.1), "nats: expected"),
        (lambda: theory.nwj_in_batch_variance(0.5, 1, 1), "batch: expected"),
        (lambda: theory.nwj_gradient_trace(0.5, 1, 0), "batch: expected"),
        (lambda: theory.steps_to_first_signal(0.1, 0), "samples: expected"),
        (lambda: theory.steps_to_first_signal(1.5, 4), "eps: expected"),
        (lambda: theory.missed_mass(0.5, 0), "draws: expected"),
        (lambda: theory.drawn_js_weight(0.0), "p: expected"),
        (lambda: theory.drawn_js_weight(0.5, 1.1), "target: expected"),
        (lambda: theory.rlhf_success(1.1, 1.0), "p: expected"),
        (lambda: theory.rlhf_success(0.5, 0.0), "beta: expected"),
        (lambda: theory.pass_at_k(0.5, 0), "k: expected"),
        (lambda: theory.infonce_ceiling(0), "candidates: expected"),
        (lambda: theory.interpolated_ceiling(2, 1.0), "alpha: expected"),
        (lambda: theory.jsd_shortfall(-1.0), "nats: expected"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=f"^{message}.*got"):
        call()
