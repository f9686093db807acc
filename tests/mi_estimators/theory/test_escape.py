"""Escape times: the integrals that they are, and their growth."""

import math

import numpy as np
import pytest

from mi_estimators import theory


@pytest.mark.parametrize("eps", [0.3, 1e-2, 1e-6])
def test_two_arm_flow(eps):
    """Escape times are integrals of the two-arm flow.

    u̇ = 2p(1 − p), 2(1 − p) and 2βσ(−β(u − u₀)): the factor 2 is that both logits move.
    """
    start = math.log(eps / (1 - eps))
    u = np.linspace(start, 0, 200_001)
    p = 1 / (1 + np.exp(-u))

    def time(speed):
        return np.trapezoid(1 / speed, u)

    assert theory.escape_time_rlhf(eps) == pytest.approx(time(2 * p * (1 - p)), rel=1e-6)
    assert theory.escape_time_sft(eps) == pytest.approx(time(2 * (1 - p)), rel=1e-6)

    for beta in (0.1, 1.0):
        speed = 2 * beta / (1 + np.exp(beta * (u - start)))
        for rejected in (None, 1 - eps):
            closed = theory.escape_time_dpo(eps, beta, rejected)
            assert closed == pytest.approx(time(speed), rel=1e-6)


def test_growth_rates():
    """RLHF 1/(2ε), DPO ε^{−β}/(2β²), SFT ½ ln 1/ε; DPO at β → 0 tends to L/β."""
    assert theory.escape_time_rlhf(1e-9) * 2e-9 == pytest.approx(1, rel=1e-6)
    assert theory.escape_time_dpo(1e-60, 0.5) / 1e30 == pytest.approx(2, rel=1e-6)
    assert theory.escape_time_sft(1e-60) / math.log(1e60) == pytest.approx(0.5, rel=1e-2)
    assert theory.escape_time_dpo(1e-3, 1e-6) * 1e-6 == pytest.approx(math.log(999), rel=1e-5)


@pytest.mark.parametrize(
    ("beta", "threshold"),
    [(1.0, 1 - math.sqrt(3) / 2), (0.1, 4.217e-5), (0.5, 0.0401825), (2.0, 0.270755)],
)
def test_mio_threshold(beta, threshold):
    """MIO escapes two arms above its threshold."""
    assert not theory.mio_escapes(threshold * 0.999, beta)
    assert theory.mio_escapes(threshold * 1.001, beta)
    assert theory.mio_ceiling(threshold, beta) < 0.5, "the anchor alone would ask for more"


@pytest.mark.parametrize("beta", [0.1, 0.5, 1.0, 2.0])
def test_mio_rest(beta):
    """MIO rests above its anchor."""
    for eps in (0.4, 0.1, 1e-2, 1e-4, 1e-8):
        stop = theory.mio_rest(eps, beta)
        assert stop > theory.mio_ceiling(eps, beta) * (1 - 1e-9)
        if theory.mio_ceiling(eps, beta) >= 0.5:
            assert theory.mio_escapes(eps, beta)
            assert theory.escape_time_mio(eps, beta) < math.inf
        if not theory.mio_escapes(eps, beta):
            assert theory.escape_time_mio(eps, beta) == math.inf


@pytest.mark.parametrize(
    ("eps", "time"), [(1e-2, 13.848085), (1e-4, 118.430671), (1e-6, 1122.689120)]
)
def test_alpha_mio(eps, time):
    mix = theory.freeing_mix(eps, 1.0)
    assert theory.escape_time_mio(eps, 1.0, mix) == pytest.approx(time, rel=1e-6)
