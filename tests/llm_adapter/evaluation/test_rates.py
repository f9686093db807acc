"""Rates: unbiasedness over exact binomial laws, intervals against their definitions and coverage, starvation's law."""

import itertools
import math

import numpy as np
import pytest

from llm_adapter.evaluation.rates import Z, bootstrap, curve, pass_at_k, powers, starvation, wilson


def binomial(n, p):
    return [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]


@pytest.mark.parametrize("p", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (8, 1), (8, 3), (8, 8), (16, 4)])
def test_unbiased_pass_at_k(n, k, p):
    """pass@k is unbiased, and the plug-in is not."""
    law = binomial(n, p)
    exact = 1 - (1 - p) ** k

    assert math.fsum(w * pass_at_k(c, n, k) for c, w in enumerate(law)) == pytest.approx(
        exact, abs=1e-12
    )

    plug_in = math.fsum(w * (1 - (1 - c / n) ** k) for c, w in enumerate(law))
    assert (plug_in < exact - 1e-4) == (k > 1 and 0 < p < 1)


def test_large_pass_at_k():
    """pass@k holds where products of floats overflow."""
    assert pass_at_k(1, 5000, 2500) == 0.5
    assert pass_at_k(0, 5000, 5000) == 0
    assert pass_at_k(2501, 5000, 2500) == 1


@pytest.mark.parametrize(("right", "total"), [(0, 10), (3, 10), (10, 10), (46, 96)])
def test_wilson_ends(right, total):
    """Wilson's ends are z standard errors from the share."""
    share = right / total
    for end in wilson(right, total):
        assert (share - end) ** 2 == pytest.approx(Z**2 * end * (1 - end) / total, abs=1e-12)


def test_wilson_coverage():
    for p in (0.05, 0.3, 0.61):
        law = binomial(50, p)
        ends = [wilson(count, 50) for count in range(51)]
        inside = [low <= p <= high for low, high in ends]
        covered = math.fsum(itertools.compress(law, inside))
        assert 0.92 < covered < 0.99


def test_bootstrap():
    """The bootstrap is that of a mean and of a ratio."""
    rng = np.random.default_rng(0)
    values = rng.random(400)
    low, high = bootstrap(values)
    error = values.std() / 20

    assert low == pytest.approx(values.mean() - Z * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + Z * error, abs=0.1 * error)
    assert bootstrap(values) == (low, high)

    sizes = rng.integers(1, 4, 400)
    low, high = bootstrap(values * sizes, sizes)
    ratio = (values * sizes).sum() / sizes.sum()
    error = (sizes * (values - ratio)).std() / sizes.mean() / 20  # the delta method

    assert high - low == pytest.approx(2 * Z * error, rel=0.05)
    assert bootstrap([0.5] * 7) == (0.5, 0.5)


def test_curve():
    """The curve is the mean over questions."""
    points = curve([0, 4, 2], 4, [1, 4])
    assert points[1]["mean"] == pytest.approx(0.5)
    assert points[4]["mean"] == pytest.approx(2 / 3)
    assert points[1]["interval"][0] < 0.5 < points[1]["interval"][1]


def test_powers():
    assert powers(8) == [1, 2, 4, 8]
    assert powers(6) == [1, 2, 4, 6]
    assert powers(1) == [1]


def test_starvation():
    """Starvation of equal prompts is the theory's, and that of unequal ones is above it."""
    n, rate = 8, 0.25
    law = binomial(n, rate)
    for m in (1, 2, 4, 8):
        expected = math.fsum(
            w * row["measured"]
            for c, w in enumerate(law)
            for row in starvation([c], n)
            if row["samples"] == m
        )
        assert expected == pytest.approx((1 - rate) ** m, abs=1e-12)

    for row in starvation([0, 8, 0, 8], 8):  # half the prompts hopeless, half certain
        assert row["measured"] == pytest.approx(0.5)
        assert row["theory"] == pytest.approx(0.5 ** row["samples"])
        assert row["steps"] == pytest.approx(2)

    assert starvation([0, 0], 4)[-1]["steps"] is None
