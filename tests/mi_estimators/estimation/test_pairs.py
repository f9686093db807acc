"""Which rows are read of many: a function of their set and the seed, whatever holds them; all are checked."""

import math

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation import order
from mi_estimators.estimation.pairs import fit_pairs, read_pairs

FAST = dict(steps=50, hidden=8, folds=2)


def rows(n=1000, columns=3):
    x, noise = np.random.default_rng(0).normal(size=(2, n, columns))
    return x, x + noise


def drawn(x, y, groups=None, seed=0, max_rows=100):
    return fit_pairs(x, y, groups, discrete=None, seed=seed, max_rows=max_rows)[1]


@pytest.mark.parametrize("columns", [1, 3, 70])
@pytest.mark.parametrize("grouped", [False, True])
def test_drawn_rows(columns, grouped):
    """The rows read depend on the set and the seed."""
    x, y = rows(columns=columns)
    groups = np.random.default_rng(1).integers(90, size=1000)
    mixed = np.random.default_rng(2).permutation(1000)
    first = drawn(x, y, groups if grouped else None)
    again = drawn(x[mixed], y[mixed], groups[mixed] if grouped else None)
    other = drawn(x, y, groups if grouped else None, seed=1)

    assert first.x.shape == (100, columns)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)
    assert torch.equal(first.x, torch.from_numpy(x[first.order.numpy()]))

    if grouped:
        assert torch.equal(first.labels, again.labels)
        names = groups[first.order.numpy()]
        assert len(set(names)) == len({*zip(names, first.labels.tolist(), strict=True)})
        assert int(first.labels.max()) + 1 == len(set(names))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_memory_map(tmp_path, dtype, monkeypatch):
    """A memory map is read as an array is."""
    x, y = ((10 * values).astype(dtype) for values in rows())
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    expected = drawn(x.tolist(), y, max_rows=None)
    monkeypatch.setattr(order, "_ENTRIES", 500)  # some rows at a time, hashed by value
    read = drawn(mapped, y, max_rows=None)
    kept = torch.from_numpy(x[:, 0].astype(float)).sort().values

    for pairs in (expected, read):
        assert torch.equal(pairs.x[:, 0].sort().values, kept)
        assert torch.equal(pairs.x[:, 0], kept.new_tensor(x[pairs.order.numpy(), 0]))

    assert torch.equal(drawn(torch.from_numpy(x), y, max_rows=None).x, read.x)


def test_unread_rows():
    """Rows that are not read are checked."""
    x, y = rows()
    unread = np.setdiff1d(np.arange(1000), drawn(x, y).order.numpy())[0]
    x[unread, 1] = math.nan
    with pytest.raises(ValueError, match="x: expected finite entries"):
        drawn(x, y)


def test_unread_labels():
    """Labels of rows that are not read are known."""
    x, y = rows()
    labels = np.where(
        np.arange(1000) == 0,
        "rare",
        np.where(x[:, 0] > 0, "high", "low"),
    )
    sides, pairs = fit_pairs(labels, y, None, discrete=None, seed=0, max_rows=100)

    assert pairs.x.shape == (100, 3)
    assert read_pairs(sides, labels, y, None, 0, 100).x.shape == (100, 3)
    assert sides[0].read(["rare"]).sum() == 1


def test_note():
    """An estimate of many rows says how many it read."""
    x, y = rows(columns=1)
    estimator = mi.MIEstimator(**FAST, max_rows=300).fit(x, y)

    assert any("300 of 1000 rows" in warning for warning in estimator.estimate_.warnings)
    assert sum(len(fold[2]) for fold in estimator.folds_) == 300
    assert any("300 of 1000 rows" in text for text in estimator.estimate(x, y).warnings)
    assert not mi.estimate_mi(x, y, **FAST, max_rows=None).warnings
    assert not mi.estimate_mi(x, y, **FAST).warnings


def test_constant_draw():
    """A side that is constant in the rows read is no error."""
    x, y = rows(columns=1)
    unread = np.setdiff1d(np.arange(1000), drawn(x, y).order)
    rare = (np.arange(1000) == unread[0]).astype(float)
    estimate = mi.estimate_mi(np.c_[rare], y, **FAST, max_rows=64)
    assert estimate.verdict == "nothing_found"


def test_long_memory():
    """Only a long memory survives a draw."""
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(2, 20_000))

    assert drawn(*steps.cumsum(1), max_rows=1000).sample.dependence.dependent

    smooth = steps[:, 1:] + steps[:, :-1]
    assert drawn(*smooth, max_rows=None).sample.dependence.dependent
    assert not drawn(*smooth, max_rows=1000).sample.dependence.dependent


@pytest.mark.parametrize("value", [0, 63, 2.5, "all"])
def test_max_rows(value):
    with pytest.raises(ValueError, match="max_rows: expected an integer of at least 64"):
        mi.estimate_mi(*rows(), max_rows=value)
