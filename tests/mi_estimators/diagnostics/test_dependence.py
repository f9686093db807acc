"""Dependence between rows: series are recognised, independent and sorted rows are not."""

import math

import pytest
import torch

from mi_estimators.diagnostics.dependence import row_dependence
from tests.mi_estimators.shared import seeded


def series(n, memory, columns=1, seed=0):
    """A Gaussian autoregression of unit variance; a random walk for memory 1."""
    noise = torch.randn(n, columns, generator=seeded(seed))
    if memory == 1:
        return noise.cumsum(0)

    rows = noise.clone()
    for t in range(1, n):
        rows[t] = memory * rows[t - 1] + math.sqrt(1 - memory**2) * noise[t]
    return rows


@pytest.mark.parametrize("memory", [0.5, 0.95, 0.99, 1])
@pytest.mark.parametrize("seed", range(3))
def test_two_series(memory, seed):
    """Two series with memory depend."""
    x = series(2000, memory, seed=seed)
    y = series(2000, memory, seed=100 + seed)
    assert row_dependence(x, y).dependent


def test_one_of_ten():
    """One column of ten is enough."""
    x, y = (series(2000, 0.0, 10, seed) for seed in (0, 1))
    x[:, 3:4] = series(2000, 0.95, seed=2)
    y[:, 7:8] = series(2000, 0.95, seed=3)
    assert row_dependence(x, y).dependent


def test_bursts():
    """Series whose magnitudes come in bursts depend."""
    x, y = (series(2000, 0.0, seed=s) * series(2000, 0.98, seed=10 + s).exp() for s in (0, 1))
    assert row_dependence(x, y).dependent


@pytest.mark.parametrize("shape", [(64, 1), (300, 5), (2000, 30)])
@pytest.mark.parametrize("seed", range(10))
def test_independent_rows(shape, seed):
    """Independent rows do not depend on one another."""
    x = series(shape[0], 0.0, shape[1], seed)
    y = series(shape[0], 0.0, shape[1], 100 + seed)
    assert not row_dependence(x, y).dependent


@pytest.mark.parametrize("ones", [999, 1000, 1001])
def test_balanced_labels(ones):
    """Two labels of equal distance from the middle hide no dependence.

    Their magnitudes are constant at 1001 ones of 2000: no autocorrelation, and no NaN beside those of the ranks.
    """
    label = (torch.arange(2000) // 10 % 2).double()[:, None]
    label[0] += ones - 1000 if ones > 1000 else 0
    label[10] -= 1000 - ones if ones < 1000 else 0
    assert label.sum() == ones
    assert row_dependence(label, label + series(2000, 0.0)).dependent


def test_one_series():
    """A series beside independent rows does no harm."""
    assert not row_dependence(series(2000, 0.0), series(2000, 0.99, seed=1)).dependent


def test_sorted_rows():
    """Sorting is no dependence."""
    x = series(2000, 0.0)
    y = x + series(2000, 0.0, seed=1)
    order = x[:, 0].argsort()
    sorting = row_dependence(x[order], y[order])
    assert (sorting.dependent, sorting.sorted_by) == (False, "x")


@pytest.mark.parametrize("columns", ["clock, series", "series, last", "clock"])
@pytest.mark.parametrize("memory", [0.9, 0.99, 1])
@pytest.mark.parametrize("seed", range(3))
def test_series_beside_order(columns, memory, seed):
    """A column in order removes only its own evidence: the series beside it, and on the other side, still depend."""
    n = 800
    last = torch.zeros(n, 1)
    last[-1] = 1
    parts = {
        "clock": torch.arange(n)[:, None].float(),
        "series": series(n, memory, seed=seed),
        "last": last,
    }
    x = torch.cat([parts[name] for name in columns.split(", ")], 1)
    found = row_dependence(x, series(n, memory, seed=100 + seed))
    assert (found.dependent, found.sorted_by) == (True, "x")


SORTED = {
    "a line": (lambda c, e: c, lambda c, e: c + e[:, :1]),
    "a fast wave": (lambda c, e: c, lambda c, e: torch.sin(5 * c) + 0.3 * e[:, :1]),
    "two columns that follow": (
        lambda c, e: torch.cat([c, c**2 + e[:, 1:2]], 1),
        lambda c, e: torch.cos(3 * c) + 0.3 * e[:, :1],
    ),
    "noisy bands": (
        lambda c, e: c,
        lambda c, e: (torch.floor(2 * c) + (e[:, :1] > 1)) % 2,
    ),
}


@pytest.mark.parametrize("name", SORTED)
@pytest.mark.parametrize("n", [800, 3000])
@pytest.mark.parametrize("seed", range(5))
def test_sorted_draws(name, n, seed):
    """Independent rows that were sorted are no series, however one side follows the other."""
    of_x, of_y = SORTED[name]
    key, noise = series(n, 0.0, seed=seed), series(n, 0.0, 3, 100 + seed)
    order = key[:, 0].argsort()
    x, y = of_x(key, noise)[order], of_y(key, noise)[order]
    assert not row_dependence(x, y).dependent


@pytest.mark.parametrize("kinds", [3, 10, 50])
def test_sorted_classes(kinds):
    """A class in blocks, as a number or as one-hot columns beside others, hides no series and makes none."""
    label = torch.arange(1000) * kinds // 1000
    hot = torch.nn.functional.one_hot(label, kinds).float()
    for seed in range(5):
        y = torch.cos(7.0 * label)[:, None] + 0.5 * series(1000, 0.0, seed=seed)
        for x in (label[:, None].float(), torch.cat([hot, series(1000, 0.0, 2, 50 + seed)], 1)):
            assert not row_dependence(x, y).dependent


def test_sorted_labels():
    """Labels in blocks are sorting."""
    labels = torch.tensor([3, 1, 2]).repeat_interleave(100)[:, None].double()
    y = labels + series(300, 0.0)
    assert row_dependence(labels, y).sorted_by == "x"
    assert row_dependence(y, labels).sorted_by == "y"


@pytest.mark.parametrize("bursts", [False, True])
def test_one_of_hundreds(bursts):
    """One column of hundreds is enough."""
    x, y = (series(1000, 0.0, 300, seed) for seed in (0, 1))
    assert not row_dependence(x, y).dependent

    for side, column in ((x, 171), (y, 44)):
        slow = series(1000, 0.97, seed=column)
        effect = series(1000, 0.0, seed=column + 1) * (2 * slow).exp() if bursts else slow
        side[:, column : column + 1] = effect

    assert row_dependence(x, y).dependent


def test_drawn_rows():
    """Few rows of many are less dependent."""
    x, y = series(4000, 0.9), series(4000, 0.9, seed=1)
    whole, few = row_dependence(x, y), row_dependence(x, y, share=0.01)
    assert few.inflation - 1 == pytest.approx(0.01 * (whole.inflation - 1))
    assert (whole.dependent, few.dependent) == (True, False)


@pytest.mark.parametrize("kinds", [2, 20, 60])
def test_rare_labels(kinds):
    """Rare labels that agree are not dependent rows.

    The two sides are one series: their noises add up, and chance neighbours of a rare label are Poisson.
    """
    for seed in range(10):
        label = torch.randint(
            kinds,
            (5000,),
            generator=seeded(seed),
        )
        rows = torch.nn.functional.one_hot(label, kinds).double()
        assert not row_dependence(rows, rows).dependent
