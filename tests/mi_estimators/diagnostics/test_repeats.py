"""Rows that repeat: copies are counted, with a jitter, too; subjects are recognised; chance repeats are not."""

import math

import pytest
import torch

from mi_estimators.diagnostics.repeats import (
    entropy,
    equal_entries,
    near_copies,
    repeated_rows,
)
from mi_estimators.diagnostics.subjects import few_measurements
from tests.mi_estimators.shared import seeded


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def counts_of(columns, n, seed=0):
    """Draws of dependent counts, shape (n, columns)."""
    rates = 10 * normal(n, 1, seed=seed).abs()
    return torch.poisson(rates.expand(n, columns), generator=seeded(seed))


CODED = {
    "logarithms of counts": lambda counts: counts.log1p(),
    "roots of counts": lambda counts: counts.sqrt(),
    "standardised counts": lambda counts: (counts - counts.mean()) / counts.std(),
    "shares": lambda counts: counts / (counts % 7 + 13),
    "levels of a sensor": lambda counts: (counts / 255) ** 2.2,
}


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


@pytest.mark.parametrize("name", CODED)
def test_codes_are_no_copies(name):
    """Codes with many digits, a limit, and a filled-in number are equal by chance."""
    codes = CODED[name](counts_of(2, 3000))
    assert repeated_rows(codes[:, :1], codes[:, 1:]) == 0


@pytest.mark.parametrize("limit", [0.5, 1.3])
def test_limits_are_no_copies(limit):
    """Rows at a sensor's limit on both sides, and missing rows of two standardised columns, are no copies."""
    x, e = normal(3000, 1), normal(3000, 1, seed=1)
    y = 0.9 * x + 0.4 * e
    assert repeated_rows(x.clamp(min=limit), y.clamp(min=limit)) == 0

    missing = torch.arange(3000)[:, None] % 10 == 0
    filled = [torch.where(missing, -999.0, side) for side in (x, y)]
    scaled = [(side - side.mean()) / side.std() for side in filled]
    assert repeated_rows(*scaled) == 0
    assert repeated_rows(*(torch.cat([side, side[:600]]) for side in scaled)) >= 540


@pytest.mark.parametrize("columns", [20, 200])
def test_copies_with_a_jitter_in_many_columns(columns):
    """Many columns are projected, which keeps near rows near."""
    originals = normal(400, 2 * columns).repeat_interleave(5, 0)
    rows = originals + 0.05 * normal(2000, 2 * columns, seed=1)
    x, y = rows[:, :columns], rows[:, columns:]
    assert near_copies(x, y) == 5
    assert near_copies(normal(2000, columns), normal(2000, columns, seed=1)) == 0


def test_copies_of_one_side():
    """Copies with a jitter are found beside a label, and beside what is measured anew."""
    x = normal(300, 8).repeat_interleave(5, 0) + 0.05 * normal(1500, 8, seed=1)
    labels = (torch.arange(1500) // 5 % 2)[:, None].double()
    for y in (labels, normal(1500, 1, seed=2), normal(1500, 8, seed=2)):
        assert near_copies(x, y) == near_copies(y, x) == 5


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_equal_entries(share):
    """A number that stands on both sides is found in any column; one that repeats, or is rounded, does not count."""
    x, y = normal(1000, 3), normal(1000, 2, seed=1)
    same = torch.arange(1000) < share * 1000
    y[same, 1] = x[same, 2]
    count = int(same.sum())
    assert equal_entries(x, y) == pytest.approx(count, abs=1)  # one may have few digits
    assert equal_entries(x.round(decimals=2), y.round(decimals=2)) == 0
    assert equal_entries(x.clamp(max=-1.0), y.clamp(max=-1.0)) < count / 2


def test_equal_entries_by_chance():
    """Among many columns in half precision numbers are equal by chance."""
    x, y = (normal(2000, 60, seed=seed).half().double() for seed in (0, 1))
    assert equal_entries(x, y) == 0


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


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("seed", range(5))
def test_codes_are_no_subjects(name, seed):
    """Functions of counts have a law of a few values with many digits."""
    assert few_measurements(CODED[name](counts_of(1, 3000, seed))) == 0


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
