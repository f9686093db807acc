"""conditional_mi: laws of exact conditional information, strong confounding without any, and what both parts share."""

import math

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.estimation.neighbours import cheap_conditional, normal_scores

FAST = dict(steps=50, hidden=8, folds=2)


def gaussian(rho, columns, rng, n=1000):
    """Return rows whose x and y have correlation rho given z, and the exact information."""
    z, x, noise = rng.normal(size=(3, n, columns))
    y = rho * x + math.sqrt(1 - rho**2) * noise
    return (x + z, y - 2 * z, z), -columns / 2 * math.log(1 - rho**2)


def finite(table, rng):
    """Return rows of a law p(x, y, z) on a small table, and its exact information."""
    p = table / table.sum()
    ratio = p * p.sum((0, 1)) / (p.sum(1)[:, None] * p.sum(0))
    cells = rng.choice(p.size, 3000, p=p.ravel())
    x, y, z = np.unravel_index(cells, p.shape)
    return (x, y, z), float((p * np.log(ratio)).sum())


LAWS = {
    "one column": lambda rng: gaussian(0.7, 1, rng),
    "two columns": lambda rng: gaussian(0.6, 2, rng),
    "independent given z": lambda rng: gaussian(0.0, 1, rng),
    "a table": lambda rng: finite(rng.random((3, 3, 4)) ** 3, rng),
    "opposite signs": lambda rng: finite(
        np.array([[[8.0, 1.0], [1.0, 8.0]], [[1.0, 8.0], [8.0, 1.0]]]), rng
    ),
    "a noisy label": lambda rng: (
        lambda rows, truth: ((*rows[:2], np.array(list("abcd"))[rows[2]]), truth)
    )(*finite(rng.random((2, 4, 4)) ** 2, rng)),
}


@pytest.mark.parametrize("name", LAWS)
def test_interval(name):
    """The interval holds the information."""
    rows, truth = LAWS[name](np.random.default_rng(3))
    estimate = mi.conditional_mi(*rows, **FAST)
    low, high = estimate.interval

    assert (estimate.verdict == "nothing_found") is (truth == 0)
    assert low - 0.02 <= truth <= high + 0.02
    assert estimate.nats == pytest.approx(truth, abs=0.1)


def test_low_neighbours():
    """Nearest neighbours that read low in many columns are no objection."""
    rows, truth = gaussian(0.7, 3, np.random.default_rng(0), n=4000)
    estimate = mi.conditional_mi(*rows, **FAST)
    assert estimate.diagnostics["ksg"] < truth - 0.5
    assert estimate.verdict == "ok"


def confounded(name, rng):
    """Return rows whose x and y share nothing but z."""
    z, a, b = rng.normal(size=(3, 2000))
    if name == "linear":
        return z + 0.2 * a, z + 0.2 * b, z
    if name == "a proxy of a wave":  # y shows a critic what of z matters to x
        return np.sin(5 * z) + 0.2 * a, np.sin(5 * z) + 0.2 * b, z
    if name == "squares":
        return z**2 + 0.2 * a, z**2 + 0.2 * b, z

    labels = rng.integers(5, size=2000)
    if name == "labels":
        return labels + 0.2 * a, (labels == 2) + 0.2 * b, labels.astype(str)

    return labels, 4 * (labels == 2) + b, labels  # x is a function of z


@pytest.mark.parametrize(
    "name", ["linear", "a proxy of a wave", "squares", "labels", "a function of z"]
)
def test_confounding(name):
    """Confounding is not information."""
    estimate = mi.conditional_mi(*confounded(name, np.random.default_rng(0)), **FAST)
    assert estimate.verdict != "ok"
    assert estimate.interval[0] <= 0
    if name != "a proxy of a wave":
        assert estimate.nats == pytest.approx(0.0, abs=0.03)


def test_shared_part():
    """What both parts share cancels."""
    rows, _ = gaussian(0.5, 1, np.random.default_rng(1))
    x, y, z = rows
    estimate = mi.conditional_mi(x + 5 * z, y, z, **FAST)
    total, shared = estimate.parts.values()

    assert estimate.nats == pytest.approx(total.nats - shared.nats)
    assert estimate.stderr < 0.9 * math.hypot(total.stderr, shared.stderr)

    for text in ("I(X; Y | Z) =", "I(X; (Y, Z)) =", "I(X; Z) ="):
        assert text in str(estimate)


def test_strata():
    """Strata are estimates of their own."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 1200))
    z = np.repeat(["near", "far", "never"], [300, 300, 600])
    effect = np.where(
        z == "near",
        x,
        np.where(z == "far", 2 * noise + x, noise),
    )
    y = effect + 0.3 * noise
    estimate = mi.conditional_mi(x, y, z, **FAST)

    assert {*estimate.parts} == {f"I(X; Y | Z = {name})" for name in ("near", "far", "never")}

    shares = {"near": 0.25, "far": 0.25, "never": 0.5}
    parts = {name: estimate.parts[f"I(X; Y | Z = {name})"] for name in shares}
    mean = sum(share * parts[name].nats for name, share in shares.items())

    assert estimate.nats == pytest.approx(mean)
    assert (
        estimate.parts["I(X; Y | Z = near)"].nats > estimate.parts["I(X; Y | Z = never)"].nats + 1
    )


@pytest.mark.parametrize("name", ["one column", "a table"])
def test_row_order(name):
    """The order of the rows changes nothing."""
    rows, _ = LAWS[name](np.random.default_rng(2))
    mixed = np.random.default_rng(3).permutation(len(rows[0]))
    first = mi.conditional_mi(*rows, **FAST)
    again = mi.conditional_mi(*(side[mixed] for side in rows), **FAST)
    assert (first.nats, first.stderr, first.interval) == (again.nats, again.stderr, again.interval)


def test_groups():
    kinds = np.random.default_rng(0).integers(150, size=1500)
    x, y, z = np.random.default_rng(1).normal(size=(3, 150))[:, kinds]

    assert mi.conditional_mi(x, y, z, **FAST).verdict == "repeated_rows"

    own, other = np.random.default_rng(2).normal(size=(2, 1500))
    x, y = z + own, x + other
    alone, grouped = (mi.conditional_mi(x, y, z, **FAST, groups=g) for g in (None, kinds))

    assert grouped.verdict == "nothing_found"
    assert grouped.parts["I(X; Z)"].stderr > 1.3 * alone.parts["I(X; Z)"].stderr


def by_definition(x, y, z, k):
    """Frenzel and Pompe's estimate, a row at a time."""
    x, y, z = (normal_scores(side) for side in (x, y, z))
    total = 0.0
    for i in range(len(x)):
        others = torch.arange(len(x)) != i
        of_x, of_y, of_z = ((side[others] - side[i]).abs().amax(-1) for side in (x, y, z))
        radius = torch.stack([of_x, of_y, of_z]).amax(0).sort().values[k - 1]
        counts = [
            (distance < radius).sum() + 1
            for distance in (of_z, torch.maximum(of_x, of_z), torch.maximum(of_y, of_z))
        ]
        first, second, third = torch.stack(counts).double().digamma()
        total += float(first - second - third)

    return float(torch.tensor(k).digamma()) + total / len(x)


@pytest.mark.parametrize("k", [1, 3])
def test_frenzel_pompe(k):
    sides = torch.randn(3, 90, 2)
    expected = by_definition(*sides, k)
    assert cheap_conditional(*sides, k=k).value == pytest.approx(expected, abs=1e-12)
    assert cheap_conditional(*torch.randn(3, 90, 4)) is None


X, Y, Z = np.random.default_rng(0).normal(size=(3, 100))
BAD_CALLS = [
    (r"z: expected as many rows as x \(100\), got 99", Z[:99], {}),
    ("z: expected finite entries", Z * math.nan, {}),
    ("z: expected a column that varies", 0 * Z, {}),
    ("discrete: expected letters of 'xyz', got 'w'", Z, {"discrete": "w"}),
    ("folds: expected", Z, {"folds": 1}),
    ("groups: expected a label", Z, {"groups": [1, 2]}),
]


@pytest.mark.parametrize(("message", "z", "settings"), BAD_CALLS)
def test_bad_calls(message, z, settings):
    with pytest.raises(ValueError, match=message):
        mi.conditional_mi(X, Y, z, **settings)


def test_unknown_setting():
    with pytest.raises(TypeError, match="unexpected keyword argument 'stps'"):
        mi.conditional_mi(X, Y, Z, stps=3)
