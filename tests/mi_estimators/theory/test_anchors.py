"""Anchors, ceilings and the no-collapse interval: check values and ends."""

import math

import pytest

from mi_estimators import theory


@pytest.mark.parametrize(
    ("eps", "beta", "end"),
    [(1e-3, 1.0, 0.002), (1e-3, 0.5, 0.004), (1e-6, 0.1, 0.001024), (1e-3, 0.1, 1.0)],
)
def test_mio_ceiling(eps, beta, end):
    assert theory.mio_ceiling(eps, beta) == pytest.approx(end, rel=1e-9)
    assert theory.mio_target(eps, beta) == pytest.approx(2 ** (1 / beta) * eps, rel=1e-9)


def test_lifted_ceiling():
    """A mix of 1 − ε^β lifts the ceiling."""
    eps, beta = 1e-4, 0.7
    assert theory.mio_target(eps, beta, theory.freeing_mix(eps, beta)) == pytest.approx(1)
    assert theory.mio_ceiling(eps, beta, mix=1 - 0.999 * eps**beta) == 1
    assert theory.mio_ceiling(eps, beta, mix=1 - 1.1 * eps**beta) < 1
    assert theory.mio_ceiling(eps, beta, mix=1.0) == 1


@pytest.mark.parametrize(
    ("mix", "low", "high"),
    [
        (0.25, -0.652991, 1.271780),
        (0.5, -0.854526701159521, 2.54621524878583),
        (0.75, -0.992030, 5.525294),
        (0.9, -1.058704, 13.862933),
        (1.0, -math.log(3), math.inf),
    ],
)
def test_no_collapse_interval(mix, low, high):
    assert theory.no_collapse_interval(mix) == pytest.approx((low, high), abs=1e-6)
    for end in theory.no_collapse_interval(mix):
        if end < math.inf:
            assert theory.chosen_term(end, mix) == pytest.approx(2 * math.log(2), rel=1e-13)


def test_no_anchor():
    """Without a mix there is no anchor."""
    assert theory.preference_anchor(1.0) == math.inf
    assert theory.preference_loss_floor(1.0) == 0
