"""Dependence between rows: series are recognised, independent and sorted rows are not; copies are counted."""

import math

import pytest
import torch

from mi_estimators.diagnostics.dependence import entropy, repeated_rows, row_dependence
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


def test_sorted_labels():
    """Labels in blocks are sorting."""
    labels = torch.tensor([3, 1, 2]).repeat_interleave(100)[:, None].double()
    y = labels + series(300, 0.0)
    assert row_dependence(labels, y).sorted_by == "x"
    assert row_dependence(y, labels).sorted_by == "y"


def test_counted_copies():
    """Copies are counted where both sides are measured."""
    rows = series(200, 0.0, 2)
    drawn = torch.randint(
        200,
        (4000,),
        generator=seeded(),
    )
    x, y = rows[drawn, :1], rows[drawn, 1:]

    assert repeated_rows(x, y) == 4000 - len(drawn.unique())
    assert repeated_rows(x, (y > 0).double()) == 0
    assert repeated_rows((x * 10).round() / 10, (y * 10).round() / 10) == 0


@pytest.mark.parametrize("copies", [2, 3, 5])
@pytest.mark.parametrize("digits", [0, 1])
def test_coarse_copies(digits, copies):
    """Copies of coarse numbers are counted where they are too even."""
    rows = (series(300, 0.0, 4) * 10 * 10**digits).round() / 10**digits
    kinds = len(rows.unique(dim=0))
    copied = rows.repeat(copies, 1)
    assert repeated_rows(copied[:, :2], copied[:, 2:]) == len(copied) - kinds
    assert repeated_rows(rows[:, :2], rows[:, 2:]) == 0


@pytest.mark.parametrize("kinds", [30, 300, 3000])
def test_chance_copies(kinds):
    """Draws that are equal by chance are no copies."""
    for seed in range(100):
        weights = torch.rand(kinds, generator=seeded(seed))
        for law in (weights, torch.ones(kinds)):
            draws = law.multinomial(1000, True, generator=seeded(seed))
            rows = draws[:, None].double()
            assert repeated_rows(rows, rows % 7) == 0


@pytest.mark.parametrize("kinds", [2, 10, 300])
def test_equal_kinds(kinds):
    """The entropy of equal kinds is within its error."""
    values = []
    for seed in range(40):
        draws = torch.randint(
            kinds,
            (3000,),
            generator=seeded(seed),
        )
        values.append(entropy(draws)[0])
    bias = sum(values) / len(values) - math.log(kinds)

    assert abs(bias) < 0.2 * (kinds - 1) / 6000 + 1e-4


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
