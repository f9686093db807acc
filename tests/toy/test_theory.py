"""The closed forms: their check values, their limits, and the arguments they refuse."""

import doctest
import math

import numpy as np
import pytest

from mi_estimators.laws import Gaussian
from toy import theory


def test_doctests():
    result = doctest.testmod(theory)
    assert result.attempted >= 7
    assert result.failed == 0


@pytest.mark.parametrize(
    ("eps", "time"), [(0.1, 6.641669), (1e-3, 506.406254), (1e-5, 50011.012910)]
)
def test_rlhf_escape_time_check_values(eps, time):
    assert theory.escape_time_rlhf(eps) == pytest.approx(time, abs=1e-6)


@pytest.mark.parametrize(
    ("eps", "beta", "time"),
    [
        (1e-2, 0.1, 52.140655),
        (1e-6, 0.1, 218.131113),
        (1e-4, 0.5, 207.200240),
        (1e-2, 1.0, 51.297560),
    ],
)
def test_dpo_escape_time_check_values(eps, beta, time):
    assert theory.escape_time_dpo(eps, beta) == pytest.approx(time, abs=1e-6)


@pytest.mark.parametrize("eps", [0.3, 1e-2, 1e-6])
def test_escape_times_are_integrals_of_the_two_arm_flow(eps):
    """u̇ = 2p(1 − p), 2(1 − p) and 2βσ(−β(u − u₀)): the factor 2 is that both logits move."""
    start = math.log(eps / (1 - eps))
    u = np.linspace(start, 0, 200_001)
    p = 1 / (1 + np.exp(-u))

    def time(speed):
        return np.trapezoid(1 / speed, u)

    assert theory.escape_time_rlhf(eps) == pytest.approx(time(2 * p * (1 - p)), rel=1e-6)
    assert theory.escape_time_sft(eps) == pytest.approx(time(2 * (1 - p)), rel=1e-6)
    for beta in (0.1, 1.0):
        speed = 2 * beta / (1 + np.exp(beta * (u - start)))
        assert theory.escape_time_dpo(eps, beta) == pytest.approx(time(speed), rel=1e-6)


def test_growth_rates():
    """RLHF 1/(2ε), DPO ε^{−β}/(2β²), SFT ½ ln 1/ε; DPO at β → 0 tends to L/β."""
    assert theory.escape_time_rlhf(1e-9) * 2e-9 == pytest.approx(1, rel=1e-6)
    assert theory.escape_time_dpo(1e-60, 0.5) / 1e30 == pytest.approx(2, rel=1e-6)
    assert theory.escape_time_sft(1e-60) / math.log(1e60) == pytest.approx(0.5, rel=1e-2)
    assert theory.escape_time_dpo(1e-3, 1e-6) * 1e-6 == pytest.approx(math.log(999), rel=1e-5)


@pytest.mark.parametrize(
    ("eps", "beta", "end"),
    [(1e-3, 1.0, 0.002), (1e-3, 0.5, 0.004), (1e-6, 0.1, 0.001024), (1e-3, 0.1, 1.0)],
)
def test_mio_ceiling_check_values(eps, beta, end):
    assert theory.mio_ceiling(eps, beta) == pytest.approx(end, rel=1e-9)


def test_a_mix_of_one_minus_eps_to_the_beta_lifts_the_ceiling():
    eps, beta = 1e-4, 0.7
    assert theory.mio_ceiling(eps, beta, mix=1 - 0.999 * eps**beta) == 1
    assert theory.mio_ceiling(eps, beta, mix=1 - 1.1 * eps**beta) < 1
    assert theory.mio_ceiling(eps, beta, mix=1.0) == 1


def test_mio_escapes_two_arms_above_one_minus_half_root_three():
    """β = 1: the drift at ½ vanishes where 4ε² − 8ε + 1 = 0; the anchor alone would ask for 2ε ≥ ½."""
    threshold = 1 - math.sqrt(3) / 2
    assert not theory.mio_escapes(threshold - 1e-4, 1.0)
    assert theory.mio_escapes(threshold + 1e-4, 1.0)
    assert 2 * threshold < 0.5


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0, 2.0])
def test_two_arms_escape_where_the_anchor_is_above_half_and_rest_above_the_anchor_elsewhere(beta):
    for eps in (0.4, 0.1, 1e-2, 1e-4, 1e-8):
        rest = theory.mio_rest(eps, beta)
        assert rest > theory.mio_ceiling(eps, beta) * (1 - 1e-9)
        if theory.mio_ceiling(eps, beta) >= 0.5:
            assert theory.mio_escapes(eps, beta)
            assert theory.escape_time_mio(eps, beta) < math.inf
        if not theory.mio_escapes(eps, beta):
            assert theory.escape_time_mio(eps, beta) == math.inf


def test_steps_to_first_signal():
    assert theory.steps_to_first_signal(0.1, 1) == pytest.approx(10)
    assert theory.steps_to_first_signal(1e-3, 16) == pytest.approx(1 / (1 - 0.999**16))


def test_ess_fraction_and_value_variance():
    law = Gaussian(0.6)
    assert theory.ess_fraction(law.mutual_information) == pytest.approx(1 / (1 + law.chi2))
    assert theory.nwj_value_variance(law) == pytest.approx(0.36 + 0.5625)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.escape_time_rlhf(0.5), "eps: expected"),
        (lambda: theory.escape_time_rlhf(0.0), "eps: expected"),
        (lambda: theory.escape_time_sft(-0.1), "eps: expected"),
        (lambda: theory.escape_time_dpo(float("nan"), 1.0), "eps: expected"),
        (lambda: theory.escape_time_dpo(0.1, 0.0), "beta: expected"),
        (lambda: theory.mio_ceiling(0.1, -1.0), "beta: expected"),
        (lambda: theory.mio_ceiling(0.6, 1.0), "eps: expected"),
        (lambda: theory.mio_escapes(0.1, 1.0, mix=0.0), "mix: expected"),
        (lambda: theory.mio_rest(0.1, 1.0, mix=1.5), "mix: expected"),
        (lambda: theory.escape_time_mio(0.1, 0.0), "beta: expected"),
        (lambda: theory.steps_to_first_signal(0.1, 0), "samples: expected"),
        (lambda: theory.steps_to_first_signal(0.7, 4), "eps: expected"),
        (lambda: theory.ess_fraction(-1.0), "nats: expected"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=f"{message}.*got"):
        call()
