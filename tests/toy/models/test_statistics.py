"""Exponents of power laws."""

import math

import pytest

from toy.models.statistics import fit_exponent


def test_power_law():
    eps = [1e-1, 1e-2, 1e-3, 1e-4]
    slope, half = fit_exponent(eps, [3 * e**-0.7 for e in eps])
    assert slope == pytest.approx(0.7)
    assert half == pytest.approx(0, abs=1e-9)
    assert math.isnan(fit_exponent(eps[:2], [1.0, 2.0])[1])
