"""Numbers lose nothing on the way to float64, and vary where they vary beyond their own rounding."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.estimation.numeric import extents_of, numbers
from mi_estimators.estimation.sides import fit_side

N = 80
STEPS = np.arange(N) % 4
WHOLE = st.integers(-(2**63), 2**63 - 1)


@given(WHOLE, st.lists(WHOLE, min_size=1))
def test_whole_numbers(origin, entries):
    """A difference of whole numbers is exact before it is float64."""
    expected = [float(entry - origin) for entry in entries]
    for column in (np.array(entries, np.int64), np.array(entries, object)):
        assert numbers("x", column, origin).tolist() == pytest.approx(expected, rel=1e-15)


@given(st.integers(0, 2**64 - 5), st.sampled_from([np.uint64, object]))
def test_any_offset(offset, dtype):
    """Whole numbers vary wherever they stand, and keep their steps."""
    column = np.array([offset + int(step) for step in STEPS], dtype)
    rows = fit_side("x", column)[1][:, 0]
    assert (rows - rows[0]).tolist() == STEPS.tolist()


SECONDS = np.random.default_rng(0).uniform(size=N)
CLOCK = 1_700_000_000
NARROW = {
    "float64": (1e13 + STEPS, STEPS),
    "seconds since 1970": (CLOCK + 1e-3 * SECONDS, 1e-3 * SECONDS),
    "float32": (np.float32(1e4) + np.float32(0.25) * STEPS.astype(np.float32), 0.25 * STEPS),
    "int64": (2**60 + STEPS, STEPS),
    "uint64": (np.uint64(2**64 - 9) + STEPS.astype(np.uint64), STEPS),
    "long integers": ([10**30 + int(step) for step in STEPS], STEPS),
    "nanoseconds": ((CLOCK * 10**9 + STEPS).astype("M8[ns]"), STEPS),
    "picoseconds": ((10**17 + 1000 * STEPS).astype("m8[ps]"), STEPS),
    "days of the year 9999": (np.datetime64("9999-12-28", "D") + STEPS, 86_400e9 * STEPS),
    "fractions": ([10**13 + Fraction(int(step), 2) for step in STEPS], STEPS / 2),
}


@pytest.mark.parametrize("case", NARROW)
def test_narrow_columns(case):
    """A column far from 0 varies, alone and beside others, and fresh rows are read as those of fit."""
    column, steps = NARROW[case]
    side, rows = fit_side("x", column)
    got = (rows - rows[:1])[:, 0].numpy()
    np.testing.assert_allclose(got, steps - steps[0], atol=4e-7 if "seconds since" in case else 0)
    assert torch.equal(side.read(column[:9]), rows[:9])

    beside, both = fit_side("x", {"other": SECONDS, "far": column})
    assert torch.equal(both[:, 1:], rows)
    assert torch.equal(
        torch.from_numpy(beside.keys(beside.open({"a": SECONDS, "b": column}))), both
    )


def test_narrow_in_matrix():
    """So does a column of a matrix."""
    side, rows = fit_side("x", np.c_[SECONDS, 1e13 + STEPS])
    assert torch.equal(rows, torch.tensor(np.c_[SECONDS, STEPS]))
    assert torch.equal(side.read(np.array([[1.0, 1e13 + 7]])), torch.tensor([[1.0, 7.0]]))
    assert "column(s) 1 vary by less than 10⁻¹² of their size" in side.notes[0]


@pytest.mark.parametrize("size", [1.0, 1e13, 1e-300, 1e300, -1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding(size, dtype):
    """What differs in the last bits alone is constant, and a note says so; a little more varies."""
    if dtype is np.float32 and not 1e-30 < abs(size) < 1e30:
        size = math.copysign(1e30, size)
    ulp = np.spacing(dtype(abs(size)))
    noise = (dtype(size) + STEPS.astype(dtype) * ulp).astype(dtype)
    with pytest.raises(ValueError, match="x: expected a column that varies, got 1 constant; they"):
        fit_side("x", noise)

    side, rows = fit_side("x", {"noise": noise, "other": SECONDS})
    assert rows.shape == (N, 1)
    assert "column(s) 0 vary by the rounding of their type alone" in side.notes[0]
    assert fit_side("x", (dtype(size) + 200 * STEPS.astype(dtype) * ulp).astype(dtype))[0].kept == 0


def test_sums():
    """One sum in another order is no column that varies."""
    terms = np.random.default_rng(0).uniform(size=20)
    sums = [np.random.default_rng(k).permutation(terms).sum() for k in range(N)]
    assert len(set(sums)) > 1
    assert extents_of("x", np.array(sums)).rounded.all()


@pytest.mark.parametrize("year", [1, 1677, 1970, 2262, 2263, 9999, 30_000])
@pytest.mark.parametrize("unit", ["D", "s", "us"])
def test_years(year, unit):
    """Dates of every year are read in order, whatever their unit."""
    days = (
        np.datetime64(f"{year:04d}-01-01", "D") if year < 10_000 else np.datetime64(10**7, "D")
    ) + np.arange(N)
    epoch = np.concatenate([days, [np.datetime64("1970-01-01", "D")]])
    side, rows = fit_side("x", epoch.astype(f"M8[{unit}]"))
    day = 86_400e9
    np.testing.assert_allclose(rows[:-1, 0].diff() / day, np.ones(N - 1), rtol=1e-6)
    np.testing.assert_allclose(rows[0, 0] - rows[-1, 0], days[0].astype(int) * day, rtol=1e-15)
    assert torch.equal(side.read(epoch), rows)


def test_months():
    """Months are dates; spans of months are counted by the mean year."""
    months = np.datetime64("2020-01", "M") + np.arange(N)
    expected = fit_side("x", months.astype("M8[D]"))[1]
    assert torch.equal(fit_side("x", months)[1], expected)
    spans = fit_side("x", np.arange(N).astype("m8[M]"))[1]
    assert spans[12] == fit_side("x", np.arange(N).astype("m8[Y]"))[1][1]


def test_units():
    """Fresh dates of another unit are those of fit."""
    days = np.datetime64("2020-01-01", "D") + np.arange(N)
    side, rows = fit_side("x", days.astype("M8[ns]"))
    for unit in ("D", "s", "us"):
        assert torch.equal(side.read(days.astype(f"M8[{unit}]")), rows)


def test_information():
    """A column far from 0 tells what it would tell near 0."""
    rng = np.random.default_rng(0)
    u, noise = rng.normal(size=(2, 1000))
    k = rng.integers(4, size=1000)
    y = u + 2 * k + 0.1 * noise
    near, far = (mi.estimate_mi(np.c_[u, offset + k], y, effort="fast") for offset in (0.0, 1e13))
    assert far.nats == pytest.approx(near.nats, abs=0.05)
    assert far.nats > 2.5


def test_saved_offset(tmp_path):
    """A saved fit knows what it subtracts."""
    x, y = 2**60 + np.arange(200) % 7, np.random.default_rng(0).normal(size=200)
    fitted = mi.MIEstimator(steps=5, folds=2).fit(x, y)
    fitted.save(tmp_path / "fit.npz")
    loaded = mi.MIEstimator.load(tmp_path / "fit.npz")
    assert loaded.sides_[0].origins == (2**60,)
    assert torch.equal(loaded.pointwise(x[:9], y[:9]), fitted.pointwise(x[:9], y[:9]))
