"""Rows that repeat: copies are counted, with a jitter, too; subjects are recognised; chance repeats are not."""

import math

import pytest
import torch

from mi_estimators.diagnostics.repeats import (
    entropy,
    few_measurements,
    near_copies,
    repeated_rows,
)
from tests.mi_estimators.shared import seeded


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def test_counted_copies():
    """Copies are counted where both sides are measured."""
    rows = normal(200, 2)
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
    rows = (normal(300, 4) * 10 * 10**digits).round() / 10**digits
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


@pytest.mark.parametrize("copies", [2, 3, 5, 10])
@pytest.mark.parametrize("jitter", [1e-6, 0.001, 0.01])
@pytest.mark.parametrize("columns", [1, 3])
def test_jittered_copies(copies, jitter, columns):
    """Copies with a jitter are clusters with a gap around, and tell how large they are."""
    for seed in range(3):
        rows = normal(160, 2 * columns, seed=seed).repeat(copies, 1)
        rows = rows + jitter * normal(*rows.shape, seed=50 + seed)
        rows = rows[torch.randperm(len(rows), generator=seeded(seed))]
        assert near_copies(rows[:, :columns], rows[:, columns:]) == copies


SMOOTH = {
    "independent": lambda x, e: e,
    "a line": lambda x, e: x + 0.01 * e,
    "a curve": lambda x, e: torch.sin(3 * x) + 0.001 * e,
    "heavy tails": lambda x, e: (x + e).exp() ** 3,
    "five clusters": lambda x, e: x.round() + 0.01 * e,
    "one of both": lambda x, e: torch.where(e > 0, x, e),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("columns", [1, 5])
@pytest.mark.parametrize("n", [200, 2000])
def test_no_copies(name, columns, n):
    """Smooth laws, thin ones and clusters of many rows have no such gap."""
    for seed in range(10):
        x, e = normal(n, columns, seed=seed), normal(n, columns, seed=50 + seed)
        assert near_copies(x, SMOOTH[name](x, e)) == 0


def test_jitter_of_counts():
    """Coarse numbers are equal by chance, and are not looked at."""
    counts = torch.poisson(3 * torch.ones(1000, 2), generator=seeded()).double()
    assert near_copies(counts[:, :1], counts[:, 1:]) == 0


@pytest.mark.parametrize("visits", [2, 5, 16])
def test_subjects(visits):
    """A measured number that stands in equally many rows is a subject's; beside other columns, too."""
    ages = normal(50, 1).repeat(visits, 1)
    assert few_measurements(ages) == 50
    assert few_measurements(torch.cat([normal(50 * visits, 1), ages], 1)) == 50


@pytest.mark.parametrize("seed", range(5))
def test_subjects_of_unequal_visits(seed):
    """Subjects whose rows are of very different number are subjects, too."""
    visits = torch.randint(1, 40, (250,), generator=seeded(seed))
    ages = normal(250, 1, seed=seed).repeat_interleave(visits, 0)
    subjects = few_measurements(ages)
    assert 240 < subjects <= 250
    assert few_measurements(torch.cat([normal(len(ages), 1), ages], 1)) == subjects


CODED = {
    "logarithms of counts": lambda counts: counts.log1p(),
    "roots of counts": lambda counts: counts.sqrt(),
    "standardised counts": lambda counts: (counts - counts.mean()) / counts.std(),
    "shares": lambda counts: counts / (counts % 7 + 13),
    "levels of a sensor": lambda counts: (counts / 255) ** 2.2,
}


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("seed", range(5))
def test_codes_are_no_subjects(name, seed):
    """Functions of counts have a law of a few values with many digits."""
    rates = torch.distributions.Gamma(2.0, 0.1).sample
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        counts = torch.poisson(rates((3000, 1)).double())
    assert few_measurements(CODED[name](counts)) == 0


def test_no_subjects():
    """Labels, rounded numbers, clipped ones and draws from a law of a few measured values are no subjects."""
    values = normal(50, 1)
    for seed in range(50):
        drawn = torch.randint(50, (800,), generator=seeded(seed))
        assert few_measurements(values[drawn]) == 0

    x = normal(1000, 1)
    balanced = (torch.arange(1000) % 10)[:, None].double()
    for rows in (
        x,
        x.round(decimals=2),
        x.clamp(-1.123456789, 1.123456789),
        balanced,
        balanced.log1p()[:, :0],
    ):
        assert few_measurements(rows) == 0
