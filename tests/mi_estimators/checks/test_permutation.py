"""permutation_test: a uniform p-value whatever the critic, power, the statistic, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

import mi_estimators as mi
from mi_estimators.checks.permutation import pairing_statistics, permutation_test
from mi_estimators.estimation.grouping import group_labels
from tests.mi_estimators.shared import refused, seeded

TINY = dict(steps=50, hidden=8, folds=2)


def uniformity(p_values, permutations: int) -> float:
    """Return the Kolmogorov–Smirnov p-value against the uniform law; ranks are spread over their steps."""
    jitter = np.random.default_rng(0).uniform(size=len(p_values)) / (permutations + 1)
    return kstest(np.array(p_values) - jitter, "uniform").pvalue


def rank_p(statistics, generator) -> float:
    first, *null = statistics
    above = sum(v > first for v in null)
    ties = sum(v == first for v in null)
    rank = 1 + above + int(torch.randint(ties + 1, (), generator=generator))
    return rank / (len(null) + 1)


@pytest.mark.parametrize("seeds", [15, pytest.param(60, marks=pytest.mark.broad)])
def test_uniform_p(seeds):
    """p is uniform for independent columns."""
    law, p_values, constant = mi.laws.Gaussian(0.0, 2), [], 0
    for seed in range(seeds):
        x, y = law.sample(200, seeded(seed))
        kind = dict(anchor="none", critic="bilinear")
        if seed % 3 == 0:
            kind = dict(anchor="copula")
        estimator = mi.MIEstimator(**TINY, **kind)
        test = permutation_test(x, y, estimator, permutations=99, seed=1000 + seed)
        p_values.append(test.p_value)
        constant += len(set(test.null)) == 1

    assert constant > 0  # some critics say "independent" everywhere
    assert uniformity(p_values, 99) > 0.01
    # binomial(n, 0.05): above the bound once in 350 at n = 60, and once in 1600 at n = 15
    assert sum(p <= 0.05 for p in p_values) <= {15: 4, 60: 8}[seeds]


SCORES = {
    "correlation": lambda x, y: x @ y.mT,
    "constant": lambda x, y: torch.zeros(len(x), len(y)),
    "mostly tied": lambda x, y: (x @ y.mT).clamp(min=2.0),
    "huge": lambda x, y: -1e4 * (x - y.mT) ** 2,
}


@pytest.mark.parametrize("name", SCORES)
def test_critics_level(name):
    """p is uniform whatever the critic."""
    generator, p_values = seeded(1), []
    for _ in range(400):
        x, y = torch.randn(2, 30, 1, generator=generator)
        statistics = pairing_statistics(SCORES[name], x, y, 39, generator)
        p_values.append(rank_p(statistics, generator))
    assert uniformity(p_values, 39) > 0.01


def test_cross_fit_level():
    """Summed over the folds of a cross-fit, p would not be uniform.

    The false neighbour: each fold read by the sign of the other's correlation rejects twice too often.
    """
    rng, permutations, runs = np.random.default_rng(0), 99, 1500
    x, y = rng.normal(size=(2, runs, 2, 40))
    observed = (x * y).sum(-1)  # (runs, folds)
    signs = np.sign(observed[:, ::-1])  # the critic of a fold, trained on the other
    null = np.stack([(x * rng.permuted(y, axis=-1)).sum(-1) for _ in range(permutations)])
    summed = 1 + ((signs * null).sum(-1) >= (signs * observed).sum(-1)).sum(0)
    single = 1 + ((signs * null)[..., 0] >= (signs * observed)[..., 0]).sum(0)
    level, noise = 0.05, 4 * math.sqrt(0.05 * 0.95 / runs)

    assert abs((single <= level * (permutations + 1)).mean() - level) < noise
    assert (summed <= level * (permutations + 1)).mean() > level + noise


@pytest.mark.parametrize("seed", range(3))
def test_least_p(seed):
    """p is the least where columns depend."""
    x, y = mi.laws.Gaussian(0.7, 2).sample(200, seeded(seed))
    test = permutation_test(
        x.numpy(),
        y.numpy(),
        mi.MIEstimator(**TINY),
        permutations=99,
    )

    assert test.p_value == 0.01
    assert test.statistic > max(test.null)
    assert len(test.null) == 99
    assert str(test).startswith("p = 0.01 ")


def test_uncorrelated_columns():
    """Dependence without correlation is found."""
    x = torch.randn(400, generator=seeded(1))
    y = x**2 + 0.3 * torch.randn(400, generator=seeded(2))

    estimator = mi.MIEstimator(**{**TINY, "steps": 200})
    assert permutation_test(x, y, estimator, permutations=99).p_value <= 0.02


def test_unseen_rows():
    """The critics never see the rows that are tested."""
    x, y = mi.laws.Gaussian(0.7).sample(200, seeded())
    trained = []

    class Watched(mi.MIEstimator):
        def fit(self, x, y, groups=None):
            trained.append(x)
            return super().fit(x, y, groups)

        def score_matrix(self, x, y):
            assert not bool(torch.isin(x, trained[0]).any())
            assert len(x) == len(y) == 100
            return super().score_matrix(x, y)

    estimator = Watched(**TINY)
    first = permutation_test(x, y, estimator, permutations=9, seed=5)

    assert len(trained[0]) == 100
    assert not hasattr(estimator, "folds_")

    trained.clear()
    assert permutation_test(x, y, estimator, permutations=9, seed=5) == first


@pytest.mark.parametrize("n", [7, 512, 1300])
def test_statistic(n):
    """The statistic is the mean reward of the pairs."""
    x, y = torch.randn(2, n, 1, generator=seeded(4))
    sizes = []

    def score_matrix(a, b):
        sizes.append(len(a))
        return a @ b.mT

    observed, *null = pairing_statistics(score_matrix, x, y, 50, seeded())
    assert sum(sizes) == n
    assert max(sizes) <= 512
    rewards = torch.nn.functional.logsigmoid(x * y)
    assert observed == pytest.approx(float(rewards.mean()))

    if n <= 512:  # a single group: random pairings average to the mean over the whole matrix
        matrix = torch.nn.functional.logsigmoid(x @ y.mT).mean()
        error = np.std(null) / math.sqrt(50)
        assert np.mean(null) == pytest.approx(float(matrix), abs=4 * error)


def autoregressive(n, rho, rng, runs=1):
    """Return independent series, shape (runs, n)."""
    from scipy.signal import lfilter

    noise = rng.normal(size=(runs, n + 200)) * math.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], noise)[:, 200:]


# Rows that depend on one another, x independent of y: (x, y, the right groups).
def blocks(rng):
    return *autoregressive(400, 0.9, rng, 2), 40


def unequal_series(rng):
    sizes = rng.integers(3, 15, 40)
    series = autoregressive(15, 0.95, rng, 80).reshape(2, 40, 15)
    x, y = (np.concatenate([row[:k] for row, k in zip(s, sizes, strict=True)]) for s in series)
    return x, y, np.repeat(np.arange(40), sizes)


def copies(rng):
    kinds = rng.integers(40, size=300)
    x, y = rng.normal(size=(2, 40))
    return x[kinds], y[kinds], kinds.astype(str)


def one_trend(rng):  # shared by all groups: no dependence between groups
    x, y = rng.normal(size=(2, 60, 5)) + np.arange(5)
    return x.ravel(), y.ravel(), 5


DEPENDENT = {f.__name__: f for f in (blocks, unequal_series, copies, one_trend)}


@pytest.mark.parametrize("name", DEPENDENT)
def test_grouped_level(name):
    """p is uniform for dependent rows whose groups are known."""
    rng, generator = np.random.default_rng(0), seeded(1)
    p_values, ignorant = [], []
    for _ in range(400):
        x, y, groups = DEPENDENT[name](rng)
        x = torch.as_tensor(x)[:, None]
        y = torch.as_tensor(y)[:, None]
        labels, score = group_labels(groups, len(x)), SCORES["correlation"]
        p_values.append(rank_p(pairing_statistics(score, x, y, 39, generator, labels), generator))
        ignorant.append(rank_p(pairing_statistics(score, x, y, 39, generator), generator))

    assert uniformity(p_values, 39) > 0.01
    assert uniformity(ignorant, 39) < 1e-6  # the false neighbour: without groups it is not


@pytest.mark.broad
@pytest.mark.parametrize("name", DEPENDENT)
def test_trained_level(name):
    """Trained critics keep the level."""
    p_values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        parts = [DEPENDENT[name](rng) for _ in range(6 if name == "blocks" else 2)]
        x, y = (np.concatenate([part[k] for part in parts]) for k in range(2))
        groups = parts[0][2]
        if not isinstance(groups, int):
            groups = [f"{k} {label}" for k, part in enumerate(parts) for label in part[2]]

        test = permutation_test(
            x, y, mi.MIEstimator(**TINY), permutations=99, seed=seed, groups=groups
        )
        p_values.append(test.p_value)

    assert uniformity(p_values, 99) > 1e-3


@pytest.mark.parametrize("rows", [2, 25])
def test_grouped_power(rows):
    rng = np.random.default_rng(rows)
    shared = autoregressive(150 * rows, 0.9, rng)[0]
    x, y = shared + rng.normal(size=(2, 150 * rows))
    test = permutation_test(x, y, mi.MIEstimator(**TINY), permutations=99, groups=rows)
    assert test.p_value <= 0.02


def test_groups_in_halves():
    """Groups do not straddle the halves."""
    groups = np.random.default_rng(0).integers(60, size=300)
    x = torch.arange(300.0)
    y = torch.randn(300, generator=seeded(0))
    trained = []

    class Watched(mi.MIEstimator):
        def fit(self, x, y, groups=None):
            trained.append((x, groups))
            return super().fit(x, y, groups)

        def score_matrix(self, x, y):
            rows = x[:, 0].long()
            seen = trained[0][0][:, 0].long()
            assert not set(groups[rows]) & set(groups[seen])
            assert len(set(groups[rows])) == len(rows)  # one row a group at a time
            return super().score_matrix(x, y)

    permutation_test(x, y, Watched(**TINY), permutations=9, groups=groups)
    rows, labels = trained[0]

    owners = groups[rows[:, 0].long()].tolist()
    assert len({*zip(owners, labels.tolist(), strict=True)}) == 30


def test_dependent_rows():
    """Dependent rows without groups are named."""
    rng = np.random.default_rng(3)
    walks = rng.normal(size=(2, 400)).cumsum(1)
    estimator = mi.MIEstimator(**TINY)
    (warning,) = permutation_test(*walks, estimator, permutations=9).warnings

    assert "groups=" in warning
    assert not permutation_test(*walks, estimator, permutations=9, groups=10).warnings
    noise = rng.normal(size=(2, 400))
    assert not permutation_test(*noise, estimator, permutations=9).warnings


def test_constant_half():
    """A side that is constant in a half tells nothing."""
    y = torch.randn(200, generator=seeded(0))
    x = (torch.arange(200) == 5).double()  # one row differs, in the one half or the other
    tests = [
        permutation_test(x, y, mi.MIEstimator(**TINY), permutations=9, seed=seed)
        for seed in range(6)
    ]

    assert all(abs(test.nats) < 0.05 for test in tests)
    assert len({test.p_value for test in tests}) > 2  # ties are ranked at random


def test_sparse_columns():
    """Sparse columns and rare labels are tested."""
    rng = np.random.default_rng(0)
    pixels = (rng.random((300, 60)) < 0.02) * rng.normal(size=(300, 60))
    labels = np.where(
        rng.random(300) < 0.03,
        rng.integers(5, 50, 300),
        rng.integers(5, size=300),
    )

    for x in (pixels, np.eye(50)[labels], labels.astype(str)):
        for estimator in (mi.MIEstimator(**TINY), mi.MIEstimator(**TINY, discrete="y")):
            test = permutation_test(x, labels, estimator, permutations=9)
            assert 0.1 <= test.p_value <= 1


X, Y = torch.randn(
    2,
    200,
    generator=seeded(),
)
BAD_CALLS = [
    (
        "x, y: expected at least 128 rows to cut in halves, got 127",
        permutation_test,
        X[:127],
        Y[:127],
    ),
    (r"y: expected as many rows as x \(200\), got 150", permutation_test, X, Y[:150]),
    ("y: expected finite", permutation_test, X, Y * math.inf),
    (
        r"groups: expected a label for each of 200 rows, got shape \(199,\)",
        lambda: permutation_test(X, Y, groups=range(199)),
    ),
    ("groups: expected at least 6 groups in each of", lambda: permutation_test(X, Y, groups=20)),
    (
        "permutations: expected an integer of at least 1",
        lambda: permutation_test(X, Y, permutations=0),
    ),
    ("seed: expected an integer of at least 0", lambda: permutation_test(X, Y, seed=-1)),
    ("estimator: expected an MIEstimator, got str", permutation_test, X, Y, "js"),
    (
        "estimator: expected finite scores of the tested rows",
        lambda: pairing_statistics(
            lambda x, y: torch.full((9, 9), math.inf), X[:9], Y[:9], 3, seeded()
        ),
    ),
]


test_bad_calls = refused(BAD_CALLS)
