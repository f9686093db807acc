"""MIEstimator and estimate_mi: accuracy on exact laws, held-out honesty, seeds, intervals, and what they refuse."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation import crossfit
from mi_estimators.estimation.critics import Separable
from mi_estimators.estimation.training import fit_critics
from mi_estimators.laws import TASKS, Gaussian
from tests.mi_estimators.shared import refused, sample, seeded

FAST = dict(steps=60, hidden=16, batch_size=128, folds=2)


def quick_fit(x, y, **settings):
    return mi.MIEstimator(**FAST | settings).fit(x, y)


@pytest.mark.parametrize("name", mi.ESTIMATORS)
def test_estimators(name):
    """Every estimator finds the information of a Gaussian."""
    law = Gaussian(0.8)
    estimate = mi.estimate_mi(*sample(law, 1000), name, **FAST)
    # The certificate is a bound for the worst law.
    loose = 0.35 if name == "js_certificate" else 0.1

    assert abs(estimate.nats - law.mutual_information) < loose

    held = estimate.diagnostics["held_out"]
    assert estimate.interval[0] == pytest.approx(held - 1.96 * estimate.stderr)
    assert estimate.interval[1] >= estimate.nats + 1.96 * estimate.stderr - 1e-12
    assert [history[0]["step"] for history in estimate.history] == [0, 0]
    assert set(estimate.readouts) == set(mi.estimation.READOUTS)
    assert f"{estimate.nats:.3f} nats" in str(estimate)
    # A critic that ran off.
    assert "nwj -1.2e+107\n" in str(replace(estimate, readouts={"nwj": -1.2e107}))


@pytest.mark.parametrize(
    "critic",
    ["separable", "bilinear", "concatenated", pytest.param("hybrid", marks=pytest.mark.broad)],
)
@pytest.mark.parametrize("estimator", ["js", "infonce"])
def test_critics(critic, estimator):
    law = Gaussian(0.6, 2)  # the bilinear critic lacks the squares: it finds most of it
    settings = dict(
        critic=critic,
        anchor="none",
        steps=150,
        learning_rate=1e-2,
        hidden=32,
        folds=2,
    )
    estimate = mi.estimate_mi(*sample(law, 1000), estimator, **settings)
    assert law.mutual_information - 0.2 < estimate.nats < law.mutual_information + 0.1


def test_own_critics():
    """A user's module and a user's function are critics."""

    class Product(torch.nn.Module):  # knows nothing of batch dimensions
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x, y):
            assert x.dim() == y.dim() == 2
            return self.weight * x[:, :1] @ y[:, :1].mT

    law, module = Gaussian(0.6), Product()
    settings = dict(anchor="none", steps=100, learning_rate=5e-2, folds=2)
    by_module = mi.estimate_mi(*sample(law, 1500), critic=module, **settings)

    assert module.weight.item() == 0  # each fold trains a copy
    assert 0.1 < by_module.nats < 0.3

    by_function = mi.estimate_mi(
        *sample(law, 1500), critic=lambda dim_x, dim_y: Product(), **settings
    )

    assert by_function.nats == by_module.nats


class ByRow(torch.nn.Module):
    """A score of each row, and of no pair."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, y):
        return self.weight * (x * y).sum(-1)


class OfX(torch.nn.Linear):
    """A network of x alone."""

    def forward(self, x, y):
        return super().forward(x)


@pytest.mark.parametrize(
    ("critic", "outcome"),
    [
        (ByRow(), "RuntimeError: The siz"),
        (Separable(2, 1), "RuntimeError: mat1"),
        (torch.nn.Linear(1, 1), "TypeError: .* given"),
        (OfX(1, 1), r"\(4, 1\)"),
    ],
)
def test_wrong_critic(critic, outcome):
    """A user's critic that does not score each pair is refused."""
    message = rf"critic: expected scores of shape \(4, 3\) for rows .* got {outcome}"
    with pytest.raises(ValueError, match=message):
        mi.estimate_mi(*sample(Gaussian(0.5), 200), critic=critic, **FAST)


def test_groups():
    """Groups stay within folds and count as one."""
    law, copies = Gaussian(0.6), 3
    x, y = (rows.repeat_interleave(copies, 0) for rows in sample(law, 400))
    labels = np.repeat(np.random.default_rng(0).permutation(400) - 7, copies)
    order = np.random.default_rng(1).permutation(len(labels))
    x, y, labels = x[order], y[order], labels[order]
    settings = FAST | dict(estimator="js_dv")  # reads its critics alone
    estimator = mi.MIEstimator(**settings).fit(x, y, groups=labels)
    parts = [labels[indices] for _, _, indices in estimator.folds_]

    assert sorted(np.concatenate(parts)) == sorted(labels)
    assert not set(parts[0]) & set(parts[1])

    clustered, naive = estimator.estimate_, mi.estimate_mi(x, y, **settings)
    assert 1.4 < clustered.stderr / naive.stderr < 2.1  # √3 of them, as each row stands three times
    assert abs(clustered.nats - law.mutual_information) < 3 * clustered.stderr
    assert "ksg" not in clustered.diagnostics
    assert (clustered.verdict, naive.verdict) == ("ok", "repeated_rows")

    alone = mi.estimate_mi(
        x,
        y,
        groups=torch.arange(len(x)),
        **settings,
    )
    assert (alone.nats, alone.stderr) == (naive.nats, pytest.approx(naive.stderr))
    with pytest.raises(
        ValueError,
        match="groups: expected at least 6 groups in each of 2 folds, got 4 in all; pass",
    ):
        mi.estimate_mi(x, y, groups=labels % 4, **FAST)


@pytest.mark.parametrize(
    "groups",
    [
        "subject",
        0,
        [1.0] * 99 + [math.nan],
        ["a"] * 99 + [None],
        np.zeros((100, 1), int),
        torch.zeros(99, dtype=torch.long),
    ],
)
def test_bad_groups(groups):
    """Groups that do not fit are refused."""
    with pytest.raises(ValueError, match="groups: expected"):
        mi.estimate_mi(GOOD, GOOD, groups=groups)


def test_large_group():
    """A group that leaves the others no rows is refused."""
    groups = np.maximum(np.arange(100) - 88, 0)  # 89 rows, and eleven of one row each
    with pytest.raises(ValueError, match="groups: expected at least 6 rows to train on and 6"):
        mi.estimate_mi(GOOD, GOOD, groups=groups, folds=2)


def test_default_device():
    """Another default device changes nothing."""
    x, y = sample(Gaussian(0.5), 200)
    here = quick_fit(x, y)
    torch.set_default_device("meta")

    try:
        there = quick_fit(x, y)
        scores = there.score_matrix(x, y)
        fresh = there.estimate(x, y).nats
        nearest = mi.ksg(x, y)
    finally:
        torch.set_default_device(None)

    assert there.estimate_.nats == here.estimate_.nats
    assert torch.equal(scores, here.score_matrix(x, y))
    assert (fresh, nearest) == (here.estimate(x, y).nats, mi.ksg(x, y))


@pytest.mark.parametrize("transform", ["none", "standard", "one_scale", "rank", "both"])
def test_transforms(transform):
    law = Gaussian(0.7)
    x, y = sample(law, 1500)
    estimate = mi.estimate_mi(x, y, transform=transform, **FAST)
    assert abs(estimate.nats - law.mutual_information) < 0.08


def test_overfitting():
    """Overfitting does not reach the reported value."""
    x, y = sample(Gaussian(0.0, 20), 300)  # independent, and few rows for 40 columns
    estimate = mi.estimate_mi(x, y, anchor="none", patience=50, steps=150)
    assert abs(estimate.nats) < 0.1
    assert estimate.interval[0] <= 0.02


def test_fresh_rows():
    """The value is that of fresh rows."""
    law = TASKS["half_cube-multinormal-sparse-5-5-2-2.0"]
    estimator = quick_fit(*sample(law, 1500))
    fresh = estimator.estimate(*sample(law, 4000, seed=1))

    assert abs(fresh.nats - estimator.estimate_.nats) < 3 * math.hypot(
        fresh.stderr, estimator.estimate_.stderr
    )


def test_held_out_rows(monkeypatch):
    """Every row is held out once and trains no critic that reads it."""
    x, y = sample(Gaussian(0.5), 200)
    estimator = quick_fit(x, y)
    parts = [indices for _, _, indices in estimator.folds_]

    assert torch.cat(parts).sort().values.tolist() == list(range(200))

    given = []

    def record(row, network, members, **settings):
        given.extend(torch.cat([member.train[0], member.valid[0]]) for member in members)
        return fit_critics(row, network, members, **settings)

    monkeypatch.setattr(crossfit, "fit_critics", record)
    estimator = quick_fit(x, y, transform="none")
    for (_, _, indices), rows in zip(estimator.folds_, given, strict=False):
        own, seen = x[indices].float().flatten(), rows.flatten()
        assert not set(own.tolist()) & set(seen.tolist())


def test_kinds_of_rows():
    """NumPy and torch, vectors and columns agree; equal seeds are equal to the bit."""
    x, y = (v.numpy() for v in sample(Gaussian(0.5), 200))
    state = torch.random.get_rng_state()
    first = mi.estimate_mi(x, y, **FAST)

    assert torch.equal(torch.random.get_rng_state(), state)

    again = mi.estimate_mi(
        torch.as_tensor(x[:, 0]),
        torch.as_tensor(y[:, 0]),
        **FAST,
    )
    assert (again.nats, again.stderr, again.readouts) == (first.nats, first.stderr, first.readouts)
    assert mi.estimate_mi(x, y, seed=1, **FAST).nats != first.nats


def test_memory_layouts():
    x, y = (v.numpy() for v in sample(Gaussian(0.5), 200))
    nats = mi.estimate_mi(x, y, seed=np.int64(3), **FAST).nats
    copy = x.copy()

    other = x[::-1][::-1].astype(">f4"), y * 1e200
    assert mi.estimate_mi(*other, seed=3, **FAST).nats == pytest.approx(nats, abs=1e-3)
    assert np.array_equal(x, copy)

    with torch.no_grad():
        assert mi.estimate_mi(x, y, seed=3, **FAST).nats == nats


def test_increasing_maps():
    """With ranks, increasing maps of a column change nothing."""
    x, y = (v.numpy().astype(np.float64) for v in sample(Gaussian(0.5), 300))
    warped = mi.estimate_mi(np.sinh(5 * x), y**3, **FAST)
    # Between ranks the maps bend.
    assert warped.nats == pytest.approx(mi.estimate_mi(x, y, **FAST).nats, abs=0.02)


def test_params():
    estimator = mi.MIEstimator("smile", seed=3, critic="hybrid")
    assert repr(estimator) == "MIEstimator(estimator='smile', critic='hybrid', seed=3)"

    clone = type(estimator)(**estimator.get_params())
    assert clone.get_params() == estimator.get_params()
    assert estimator.set_params(seed=4) is estimator
    assert estimator.seed == 4

    with pytest.raises(ValueError, match="set_params: expected one of estimator"):
        estimator.set_params(sede=4)


def test_score_matrix():
    """The score matrix is the mean of the folds' critics."""
    law = Gaussian(0.5)
    estimator = quick_fit(*sample(law, 300))
    x, y = sample(law, 9, seed=5)
    scores = estimator.score_matrix(x, y[:4])

    assert scores.shape == (9, 4)

    singles = [estimator.score_matrix(x[i], y[j])[0, 0] for i in range(2) for j in range(2)]
    assert torch.allclose(torch.stack(singles), scores[:2, :2].flatten(), atol=1e-5)


def test_not_fitted():
    """An estimator that is not fitted refuses to answer."""
    for call in (
        mi.MIEstimator().estimate,
        lambda: mi.MIEstimator().score_matrix(torch.ones(2), torch.ones(2)),
    ):
        with pytest.raises(ValueError, match=r"expected a fitted estimator, got one before fit"):
            call()

    estimator = quick_fit(*sample(Gaussian(0.5, 2), 200))
    with pytest.raises(ValueError, match=r"x: expected rows of shape \(2,\) as in fit, got \(1,\)"):
        estimator.estimate(torch.ones(100), torch.ones(100, 2))
    with pytest.raises(ValueError, match="y: expected as many rows as x"):
        estimator.estimate(torch.ones(100, 2), torch.ones(90, 2))


def test_ten_nats():
    law = TASKS["multinormal-20-10nats"]
    estimate = mi.estimate_mi(*sample(law, 4000), **FAST)
    assert abs(estimate.nats - 10) < 0.5


def test_pickling():
    """Fitted estimators and estimates can be saved and read again."""
    law = Gaussian(0.5)
    estimator = quick_fit(*sample(law, 200))
    again = pickle.loads(pickle.dumps(estimator))

    assert again.estimate_ == estimator.estimate_
    assert again.estimate_.estimator is mi.ESTIMATORS["js"]

    rows = sample(law, 20, seed=1)
    assert torch.equal(again.score_matrix(*rows), estimator.score_matrix(*rows))


def test_fresh_labels():
    """Fresh rows are read as the fitted ones were."""
    law = TASKS["multinormal-20-2nats"]
    estimator = quick_fit(*sample(law, 300))
    estimator.set_params(estimator="infonce")

    with torch.inference_mode():
        fresh = estimator.estimate(*sample(law, 600, seed=1))

    assert fresh.estimator.name == "js"
    assert fresh.diagnostics["held_out_rows"] > 590
    assert fresh.diagnostics["train_gap"] == estimator.estimate_.diagnostics["train_gap"]
    assert fresh.verdict == estimator.estimate_.verdict == "overfit"

    with pytest.raises(ValueError, match="x: expected at least 6 fresh rows, got 5"):
        estimator.estimate(*sample(law, 5))


def test_failed_fit():
    """A fit that fails leaves the last one whole."""

    def failing(dim_x, dim_y):
        raise RuntimeError("no such critic")

    law = Gaussian(0.5)
    estimator = quick_fit(*sample(law, 200))
    before = estimator.score_matrix(*sample(law, 9))
    estimator.set_params(critic=failing)

    with pytest.raises(RuntimeError, match="no such critic"):
        estimator.fit(*sample(Gaussian(0.5, 2), 200))
    assert torch.equal(estimator.score_matrix(*sample(law, 9)), before)


GOOD = np.random.default_rng(0).normal(size=(100, 2))
BAD_ROWS = [
    ("x: expected at least one column, got a table without columns", {}, GOOD),
    ("x: expected a column that varies", np.array(["a"] * 100), GOOD),
    ("x: expected real numbers", GOOD + 1j, GOOD),
    ("x: expected real numbers", torch.as_tensor(GOOD) + 1j, GOOD),
    ("x: expected no missing entries", np.ma.masked_greater(GOOD, 2), GOOD),
    ("x: expected finite", np.where(GOOD > 2, math.nan, GOOD) * math.inf, GOOD),
    ("x: expected a column that varies", 1 + 1e-14 * GOOD, GOOD),
    ("y: expected as many rows", GOOD, GOOD[:90]),
    ("x: expected at least 64 rows, got 0", GOOD[:0], GOOD[:0]),
    ("x: expected at least 64 rows, got 10", GOOD[:10], GOOD[:10]),
    ("x: expected a dense tensor", torch.as_tensor(GOOD).to_sparse(), GOOD),
]
test_bad_rows = refused([(message, mi.estimate_mi, *rows) for message, *rows in BAD_ROWS])


BAD_SETTINGS = [
    ("discrete: expected one of x, y, xy", {"discrete": "both"}),
    ("estimator: expected one of", {"estimator": ["js"]}),
    ("estimator: expected one of", {"estimator": "ksg"}),
    ("critic: expected one of", {"critic": "transformer"}),
    ("critic: expected a name, a module or a function, got int", {"critic": 3}),
    ("critic: expected a function .* got one that returns int", {"critic": lambda a, b: a * b}),
    ("anchor: expected one of copula, none", {"anchor": "gaussian"}),
    ("transform: expected one of none, standard, one_scale, rank", {"transform": "log"}),
    ("folds: expected an integer of at least 2", {"folds": 1}),
    ("folds: expected at least 6 rows a fold, got 100 in 20 folds", {"folds": 20}),
    ("seed: expected an integer of at most", {"seed": 2**32}),
    ("seed: expected an integer", {"seed": 0.5}),
    ("steps: expected an integer", {"steps": 0}),
    ("effort: expected one of fast, default, thorough", {"effort": "much"}),
    ("batch_size: expected an integer of at least 2", {"batch_size": 1}),
    ("negatives .* expected an integer of at least 1", {"negatives": 0}),
    ("negatives .* expected an integer of at least 1", {"negatives": "few"}),
    ("learning_rate: expected a number", {"learning_rate": 0.0}),
    ("weight_decay: expected a number", {"weight_decay": -1.0}),
    ("hidden: expected an integer", {"hidden": 0}),
    ("patience: expected an integer", {"patience": -1}),
    ("device: expected 'auto' or an available torch device", {"device": "gpu"}),
]


@pytest.mark.parametrize(("message", "settings"), BAD_SETTINGS)
def test_bad_settings(message, settings):
    with pytest.raises(ValueError, match=message):
        mi.estimate_mi(GOOD, GOOD, **settings)


def test_beyond_float32():
    with pytest.raises(ValueError, match="transform: expected columns that float32 can hold"):
        mi.estimate_mi(GOOD * 1e300, GOOD, transform="none")


def test_unknown_argument():
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'stpes'; expected estimator, critic"
    ):
        mi.estimate_mi(GOOD, GOOD, stpes=3)


ORDERED = [
    "js",
    "dv",
    "smile",
    *(
        pytest.param(name, marks=pytest.mark.broad)
        for name in ("mine", "nwj", "infonce", "relative")
    ),
]


@pytest.mark.parametrize("name", ORDERED)
def test_row_order(name):
    """The answer is a function of the set of rows.

    Not of the order in which they come, nor of the names of groups; fresh rows too.
    """
    x, y = sample(Gaussian(0.8), 300)
    labels = np.arange(300) // 3
    orders = [torch.arange(300), x[:, 0].argsort(), torch.randperm(300)]

    def fitted(rows):
        groups = [f"g{k}" for k in labels[rows]]
        return mi.MIEstimator(name, **FAST).fit(
            x[rows],
            y[rows],
            groups=groups,
        )

    fits = list(map(fitted, orders))
    fresh = sample(Gaussian(0.8), 300, seed=1)

    for read in (
        lambda fit: fit.estimate_,
        lambda fit: fit.estimate(*fresh),
        lambda fit: fit.estimate(*(rows[fresh[0][:, 0].argsort()] for rows in fresh)),
    ):
        answers = {(e.nats, e.stderr, e.interval) for e in map(read, fits)}
        assert len(answers) == 1


def test_fresh_blocks():
    """Fresh rows in blocks read as mixed ones.

    Ten classes, class by class: neighbours are no negatives.
    """
    generator = seeded()
    label = torch.randint(10, (600,), generator=generator).double()
    value = label + 0.1 * torch.randn(600, generator=generator)
    fitted = quick_fit(label, value)

    order = label.argsort(stable=True)
    blocks = fitted.estimate(label[order], value[order])
    assert blocks.nats == fitted.estimate(label, value).nats


def test_threads():
    """Threads that fit at once agree to the last digit."""
    x, y = sample(Gaussian(0.8), 200)

    def fit(seed):
        return mi.estimate_mi(x, y, anchor="none", seed=seed, **FAST).nats

    alone = [fit(seed) for seed in (0, 1, 0, 1)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fit, (0, 1, 0, 1))) == alone


def test_autocast():
    x, y = sample(Gaussian(0.8), 200)
    fitted = quick_fit(x, y)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = quick_fit(x, y)
        fresh = again.estimate(x, y).nats
        scores = again.score_matrix(x[:5], y[:5])

    assert again.estimate_.nats == fitted.estimate_.nats
    assert fresh == fitted.estimate(x, y).nats
    assert torch.equal(scores, fitted.score_matrix(x[:5], y[:5]))


def test_drawn_seed():
    """Without a seed one is drawn and kept."""
    x, y = sample(Gaussian(0.8), 200)
    drawn = quick_fit(x, y, seed=None)
    again = quick_fit(x, y, seed=drawn.seed_)
    assert again.estimate_.nats == drawn.estimate_.nats


def test_mixed_table():
    """A table of numbers and labels is read and read again."""
    pandas = pytest.importorskip("pandas")
    generator = np.random.default_rng(0)
    label = generator.choice(["red", "green"], 300)
    table = pandas.DataFrame({"noise": generator.normal(size=300), "label": label})
    value = generator.normal(size=300) + 4 * (label == "red")

    fitted = quick_fit(table, value.tolist())
    assert 0.4 < fitted.estimate_.nats <= math.log(2) + 0.01
    assert fitted.score_matrix(table[:3], value[:4]).shape == (3, 4)

    with pytest.raises(ValueError, match="y: expected the index of x"):
        fitted.fit(table, pandas.Series(value).sample(frac=1, random_state=0))


class Convolution(torch.nn.Module):
    """A critic of pictures (n, 1, 6, 6): the inner product of two convolutions."""

    pairwise = False

    def __init__(self, shape_x, shape_y):
        super().__init__()
        assert shape_x == shape_y == (1, 6, 6)
        self.f, self.g = (torch.nn.Conv2d(1, 2, 3, dtype=torch.float32) for _ in range(2))
        torch.nn.init.zeros_(self.g.weight)
        torch.nn.init.zeros_(self.g.bias)

    def forward(self, x, y):
        assert x.shape[1:] == y.shape[1:] == (1, 6, 6)
        return self.f(x).flatten(1) @ self.g(y).flatten(1).T / 8


def test_pictures():
    """A critic of pictures gets pictures at one scale."""
    generator = seeded()
    place = torch.randint(2, (400,), generator=generator)
    pictures = 0.1 * torch.randn(2, 400, 1, 6, 6, generator=generator)
    pictures[:, torch.arange(400), 0, 2 + place, 3] += 200.0
    pictures[:, :, 0, 0, 0] = 7.0  # a corner that does not vary

    estimator = mi.MIEstimator(critic=Convolution, steps=60, learning_rate=1e-2, folds=2)
    estimate = estimator.fit(*pictures).estimate_

    assert estimate.readouts["dv"] == pytest.approx(math.log(2), abs=0.1)
    assert estimate.nats <= estimate.interval[1]
    assert estimator.score_matrix(pictures[0, :3], pictures[1, :5]).shape == (3, 5)

    with pytest.raises(ValueError, match=r"x: expected rows of shape \(1, 6, 6\) as in fit"):
        estimator.score_matrix(pictures[0, :3].flatten(1), pictures[1, :5])


def test_very_wide_rows():
    """Very wide rows are read by their components."""
    generator = seeded()
    hidden = torch.randn(300, 2, generator=generator)
    sides = [
        hidden @ torch.randn(2, 600, generator=generator)
        + 0.1 * torch.randn(300, 600, generator=generator)
        for _ in range(2)
    ]
    estimate = mi.estimate_mi(*sides, steps=60, folds=2)

    assert estimate.nats > 1


def test_labels_of_groups():
    """A label of whole groups is not a class.

    No held-out group shows a label that the others have: a classifier could not tell them.
    """
    kinds = np.random.default_rng(0).integers(150, size=1500)
    own, effect = (
        np.random.default_rng(1).normal(size=1500),
        np.random.default_rng(2).normal(size=150),
    )
    estimate = mi.estimate_mi(
        effect[kinds] + own,
        effect[kinds],
        groups=kinds,
        **FAST,
    )

    assert abs(estimate.nats - 0.5 * math.log(2)) < 0.2
