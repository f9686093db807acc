"""Self-consistency: which rows each check pairs, what it makes of the estimates, and what it refuses."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.checks.consistency import (
    Check,
    additivity,
    data_processing,
    fit_clone,
    independence,
    self_consistency,
)
from mi_estimators.estimation.pairs import paired_rows
from tests.mi_estimators.shared import refused, seeded

TINY = dict(steps=50, hidden=8, folds=2)


class Scripted(mi.MIEstimator):
    """An estimator that keeps the rows it is given and answers by a list."""

    seen: list
    groups: list
    answers: list

    def fit(self, x, y, groups=None):
        self.seen.append((x, y))
        self.groups.append(groups)
        nats, stderr = self.answers[len(self.seen) - 1]
        self.estimate_ = SimpleNamespace(
            nats=nats, stderr=stderr, estimator=mi.ESTIMATORS[self.estimator], verdict="drift"
        )

        return self


FIVE = ((1.0, 0.1), (1.0, 0.1), (0.6, 0.1), (2.1, 0.1), (0.2, 0.01))
"""Answers to the five fits of `self_consistency`, which break its first law alone."""


def scripted(*answers):
    return type("Scripted", (Scripted,), {"seen": [], "groups": [], "answers": list(answers)})()


def with_whole(check, x, y, estimator, setting, groups=None):
    """Return a check of ratios, after a fit to all rows."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    return check(
        x,
        y,
        estimator,
        fit_clone(estimator, x, y, groups).estimate_,
        setting,
        groups,
    )


X = torch.arange(200.0)[:, None] + torch.tensor([0.0, 1000.0])  # entries tell their row and column
Y = -torch.arange(200.0)[:, None] - torch.tensor([0.0, 1000.0, 2000.0])


def test_independence_pairs():
    """Independence pairs no row with itself."""
    estimator = scripted((0.03, 0.02))
    check = independence(X, Y, estimator, seed=3)
    ((x, y),) = estimator.seen

    assert torch.equal(x.sort(0).values, X)
    assert torch.equal(y.sort(0, descending=True).values, Y)
    assert bool((y[:, 0] != -x[:, 0]).all())
    assert bool((y - y[:, :1] == Y - Y[:, :1]).all())  # rows stay whole
    assert (check.value, check.expected, check.stderr) == (0.03, 0.0, 0.02)
    assert check.z == pytest.approx(1.5)


LABELS = np.repeat(np.arange(70), [3] * 60 + [2] * 10).astype(str)  # 200 rows, sizes 2 and 3


def test_independence_groups():
    """Independence lets whole groups change partners."""
    estimator = scripted((0.03, 0.02))
    independence(X, Y, estimator, groups=LABELS)
    ((x, y),), (pairs,) = estimator.seen, estimator.groups
    own, other = x[:, 0].long(), -y[:, 0].long()  # entries tell their row

    assert len(own) == 180  # of three rows a group; the others could not be exchanged with them

    for pair in pairs.unique():
        rows = pairs == pair
        for members in (LABELS[own[rows]], LABELS[other[rows]]):
            assert len(set(members)) == 1
        assert not set(LABELS[own[rows]]) & set(LABELS[other[rows]])
        assert (own[rows].diff() == 1).all()
        assert (other[rows].diff() == 1).all()

    for side in (own, other):
        assert len(side.unique()) == len(side)


def test_additivity_groups():
    """Additivity makes halves of groups."""
    estimator = scripted((1.0, 0.05), (1.9, 0.1))
    with_whole(additivity, X, Y, estimator, 0, groups=4)
    (_, (x, y)), (whole, pairs) = estimator.seen, estimator.groups

    assert whole == 4

    first = x[:, 0].long()
    second = x[:, 2].long()
    assert len(torch.cat([first, second]).unique()) == 200
    assert torch.equal(y[:, 0], -x[:, 0])  # true pairs stay pairs
    assert torch.equal(y[:, 3], -x[:, 2])

    for pair in pairs.unique():
        for side in (first, second):
            assert len((side[pairs == pair] // 4).unique()) == 1

    assert (pairs.bincount() == 4).all()


def test_passed_groups():
    """Every fit knows the groups."""
    estimator = scripted(*FIVE)
    self_consistency(X, Y, estimator, groups=LABELS)
    assert len(estimator.groups) == 5
    assert not any(groups is None for groups in estimator.groups)


SPARSE = {
    "sparse pixels": lambda rng: (rng.random((300, 40)) < 0.01) * rng.normal(size=(300, 40)),
    "rare one-hot labels": lambda rng: np.eye(30)[np.minimum(rng.geometric(0.15, 300), 30) - 1],
    "rare labels": lambda rng: rng.geometric(0.3, 300).astype(str),
    "one entry": lambda rng: (np.arange(300) == 7).astype(float),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.broad) if name == "sparse pixels" else name
        for name in SPARSE
    ],
)
def test_constant_half(name):
    """A column that is constant in a half carries nothing there."""
    rng = np.random.default_rng(0)
    x = SPARSE[name](rng)
    if x.ndim == 1:
        _, number = np.unique(x, return_inverse=True)
    else:
        number = x.sum(1)
    y = number[:, None] + rng.normal(size=(300, 2))

    estimator, whole = mi.MIEstimator(**TINY), SimpleNamespace(nats=1.0, stderr=0.1)
    rows = paired_rows(x, y)[:2]
    checks = [
        independence(x, y, estimator),
        *data_processing(*rows, estimator, whole, None),
        *(additivity(*rows, estimator, whole, seed) for seed in range(2)),
        additivity(*rows, estimator, whole, 0, groups=2),
    ]

    assert all(math.isfinite(check.value) for check in checks)


def test_label_reading():
    codes = np.random.default_rng(0).geometric(0.3, 300)  # rare codes are missing from a half
    estimator = scripted(*[(1.0, 0.1)] * 5)
    self_consistency(codes, codes % 3, estimator.set_params(discrete="xy"))
    x, y = estimator.seen[0]

    assert x.shape[1] == len(np.unique(codes))
    assert y.shape[1] == 3
    sides = [side for pair in estimator.seen for side in pair]
    assert all(len(set(side.flatten().tolist())) == 2 for side in sides)


def test_data_processing():
    """Data processing gives y with and without its function."""
    estimator = scripted((2.0, 0.1), (2.2, 0.2), (1.0, 0.1))
    added, alone = with_whole(data_processing, X, Y, estimator, None)
    (_, whole), (x, both), (_, coarse) = estimator.seen

    assert torch.equal(whole, Y)
    assert torch.equal(x, X)
    assert torch.equal(both, torch.cat([Y, Y[:, :2]], 1))
    assert torch.equal(coarse, Y[:, :2])  # of three columns the last is dropped
    assert (added.value, added.expected, added.relation) == (pytest.approx(1.1), 1, "=")
    assert (alone.value, alone.expected, alone.relation) == (0.5, 1, "≤")
    assert added.stderr == pytest.approx(1.1 * math.hypot(0.2 / 2.2, 0.1 / 2.0))


def test_own_function():
    """The function may be the user's own."""
    estimator = scripted((2.0, 0.1), (2.0, 0.1), (2.0, 0.1))
    with_whole(
        data_processing,
        X,
        Y,
        estimator,
        lambda y: y[:, 2].numpy() // 50,
    )
    assert torch.equal(estimator.seen[2][1], Y[:, 2:] // 50)


@pytest.mark.parametrize(("share", "levels"), [(0.5, {1, 3}), (0.1, {1, 3}), (0.95, {0, 2})])
def test_quarters_of_ranks(share, levels):
    """A single column is cut into quarters of its ranks."""
    estimator = scripted(*[(2.0, 0.1)] * 6)
    with_whole(data_processing, X, Y[:, :1] ** 3, estimator, None)

    _, counts = estimator.seen[2][1].unique(return_counts=True)
    assert counts.tolist() == [50] * 4

    with_whole(
        data_processing,
        X,
        1.0 * (torch.arange(200)[:, None] < share * 200),
        estimator,
        None,
    )

    assert set(estimator.seen[5][1].flatten().tolist()) <= levels | {0, 1, 2, 3}
    assert len(estimator.seen[5][1].unique()) == 2  # two values stay two


def test_disjoint_halves():
    """Additivity puts two disjoint halves side by side."""
    estimator = scripted((1.0, 0.05), (1.9, 0.1))
    check = with_whole(additivity, X[:199], Y[:199], estimator, 0)
    (_, _), (x, y) = estimator.seen

    assert x.shape == (99, 4)
    assert y.shape == (99, 6)

    first, second = x[:, 0], x[:, 2]
    assert len(torch.cat([first, second]).unique()) == 198
    assert torch.equal(y[:, 0], -first)  # true pairs stay pairs
    assert torch.equal(y[:, 3], -second)
    assert (check.value, check.expected) == (1.9, 2.0)
    assert check.stderr == pytest.approx(math.hypot(0.1, 1.9 * 0.05))


@pytest.mark.parametrize(
    ("check", "z", "ok"),
    [
        (Check("", 0.04, 0.0, 0.001), 40, True),  # within the tolerance of 0.05 nats
        (Check("", 0.06, 0.0, 0.001), 60, False),
        (Check("", -0.06, 0.0, 0.001), -60, False),
        (Check("", 0.06, 0.0, 0.03), 2, True),
        (Check("", 2.09, 2.0, 0.01), 9, True),  # within 5 %
        (Check("", 1.85, 2.0, 0.01), -15, False),
        (Check("", 0.2, 1.0, 0.01, "≤"), -80, True),
        (Check("", 1.2, 1.0, 0.01, "≤"), 20, False),
        (Check("", 0.0, 0.0, 0.0), 0, True),
        (Check("", 0.1, 0.0, 0.0), math.inf, False),
        (Check("", -0.1, 0.0, 0.0), -math.inf, False),
    ],
)
def test_tolerance(check, z, ok):
    """`ok` allows three standard errors, or the tolerance."""
    assert check.z == pytest.approx(z)
    assert check.ok is ok


def test_table():
    estimator = scripted(*FIVE)
    table = self_consistency(X, Y, estimator)

    assert table.estimate.nats == 1.0
    assert [check.expected for check in table.checks] == [0, 1, 1, 2]
    assert [check.ok for check in table.checks] == [False, True, True, True]
    assert not table.ok

    lines = str(table).splitlines()
    assert lines[0] == "js: 1.000 ± 0.100 nats, verdict: drift"
    assert [line.split()[-1] for line in lines[2:]] == ["no", "yes", "yes", "yes"]
    assert len({line.rindex(" ") for line in lines[1:]}) == 1  # columns are aligned


def test_gaussian_passes():
    """The default estimator passes on a Gaussian."""
    x, y = mi.laws.Gaussian(0.7, 2).sample(600, seeded())
    estimator = mi.MIEstimator(**TINY)
    table = self_consistency(x.numpy(), y.numpy(), estimator)

    assert table.ok, str(table)
    assert not hasattr(estimator, "folds_")  # the estimator given is not fitted
    assert independence(x, y, estimator) == table.checks[0]


def test_saturated_bound():
    """A saturated lower bound fails additivity."""
    x, y = mi.laws.Gaussian.with_information(6.0, 10).sample(600, seeded())
    check = with_whole(additivity, x, y, mi.MIEstimator("infonce", **TINY), 0)
    assert not check.ok
    assert check.value < 1.5


Z = torch.randn(
    200,
    generator=seeded(8),
    dtype=torch.float64,
)
BAD_CALLS = [
    (r"y: expected as many rows as x \(200\), got 199", independence, X, Y[:199], scripted()),
    ("x: expected finite", independence, X * math.nan, Y, scripted()),
    (
        "x, y: expected at least 128 rows to cut in halves, got 127",
        self_consistency,
        X[:127],
        Y[:127],
        scripted(),
    ),
    ("estimator: expected an MIEstimator, got str", independence, X, Y, "js"),
    ("seed: expected an integer of at least 0", lambda: independence(X, Y, scripted(), seed=-1)),
    ("seed: expected an integer", lambda: with_whole(additivity, X, Y, scripted((1.0, 0.1)), 0.5)),
    (
        r"coarsen: expected as many rows as y \(200\), got 100",
        lambda: with_whole(data_processing, X, Y, scripted((1.0, 0.1)), lambda y: y[:100]),
    ),
    (
        "coarsen: expected a column that varies",
        lambda: with_whole(data_processing, X, Y, scripted((1.0, 0.1)), lambda y: 0 * y),
    ),
    (
        "coarsen: expected rows as an array",
        lambda: with_whole(data_processing, X, Y, scripted((1.0, 0.1)), lambda y: None),
    ),
    (
        "x, y: expected an estimate of I.X; Y. more than 2 standard errors above 0",
        lambda: with_whole(additivity, X, Y, scripted((0.1, 0.06), (0.2, 0.1)), 0),
    ),
    (
        "x, y: expected an estimate .* got 1e-15 ± 1e-17",
        lambda: with_whole(
            data_processing, X, Y, scripted((1e-15, 1e-17), (1.0, 0.1), (1.0, 0.1)), None
        ),
    ),
    (
        "x, y: expected an estimate",
        lambda: self_consistency(Z, np.roll(Z.numpy(), 1), mi.MIEstimator(**TINY)),
    ),
]


test_bad_calls = refused(BAD_CALLS)
