"""ksg: the definition, Gaussians, what leaves it unchanged, rows that coincide, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

import mi_estimators as mi
from mi_estimators.estimation.neighbours import ksg, neighbours, normal_scores
from tests.mi_estimators.shared import refused, seeded


def definition(x: torch.Tensor, y: torch.Tensor, k: int) -> float:
    """Equation 8, a row at a time."""
    x, y = normal_scores(x), normal_scores(y)
    n, total = len(x), 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        in_x, in_y = ((rows[others] - rows[i]).abs().amax(-1) for rows in (x, y))
        epsilon = torch.maximum(in_x, in_y).sort().values[k - 1]
        counts = torch.stack([(in_x < epsilon).sum() + 1, (in_y < epsilon).sum() + 1])
        total += float(counts.double().digamma().sum())

    return float(torch.tensor(k).digamma() + torch.tensor(n).digamma()) - total / n


@pytest.mark.parametrize("k", [1, 3, 79])
@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (3, 2)])
def test_equation_8(dims, k):
    """`ksg` is equation 8 on normal scores."""
    x, y = (torch.randn(80, d, generator=seeded(d + i)) for i, d in enumerate(dims))
    assert ksg(x, y, k) == pytest.approx(definition(x, y, k), abs=1e-12)


@pytest.mark.parametrize(
    ("rho", "dim"),
    [(0.0, 1), (0.6, 1), (0.9, 1), (0.97, 1), (0.0, 2), (0.6, 2), (0.9, 2), (0.6, 3)],
)
def test_gaussian(rho, dim):
    """`ksg` finds the information of a Gaussian."""
    law = mi.laws.Gaussian(rho, dim)
    value = ksg(*law.sample(4000, seeded()))
    assert value == pytest.approx(law.mutual_information, abs=0.06)


def test_many_columns():
    """`ksg` falls short with many columns."""
    law = mi.laws.Gaussian(0.9, 10)
    assert ksg(*law.sample(1000, seeded())) < 0.6 * law.mutual_information


def test_increasing_maps():
    """Increasing maps and units leave it unchanged."""
    x, y = mi.laws.Gaussian(0.8, 2).sample(500, seeded())
    expected = ksg(x, y)

    assert ksg(1e-9 * x, 1e6 * y + 3) == expected
    assert ksg(x**3, y.exp()) == expected
    assert ksg(x.numpy(), y.numpy()) == expected
    assert ksg(y, x) == pytest.approx(expected, abs=1e-12)
    assert ksg(x.flip(1), y) == pytest.approx(expected, abs=1e-12)
    # Φ⁻¹(1 − p) rounds otherwise than −Φ⁻¹(p): distances tie.
    assert ksg(-x, y) == pytest.approx(expected, abs=1e-3)

    order = torch.randperm(500, generator=seeded())
    assert ksg(x[order], y[order]) == pytest.approx(expected, abs=1e-12)


def test_arguments():
    """Arguments stay as they are."""
    x, y = mi.laws.Gaussian(0.8).sample(100, seeded())
    before = x.clone(), y.clone()
    ksg(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize("step", [1.0, 0.5, 0.25, 0.1, 0.02])
@pytest.mark.parametrize("sides", [1, 2])
def test_rounded_columns(step, sides):
    """Rounding adds no information: independent columns read nothing, dependent ones no more than before."""
    rng = np.random.default_rng(0)
    readings = []
    for rho in (0.0, 0.6):
        values = []
        for _ in range(4):
            x, noise = rng.normal(size=(2, 400))
            y = rho * x + np.sqrt(1 - rho**2) * noise
            rounded = [np.round(side / step) for side in (x, y)]
            values.append(ksg(rounded[0], rounded[1] if sides == 2 else y))
        readings.append(np.mean(values))

    assert abs(readings[0]) < 0.08
    assert 0.1 < readings[1] < mi.laws.Gaussian(0.6).mutual_information + 0.08


def test_coincident_rows():
    """Rows that coincide give the plug-in value."""
    x = torch.arange(600) % 3
    psi = torch.tensor([600.0, 200.0]).digamma()

    assert ksg(x, x) == pytest.approx(float(psi[0] - psi[1]), abs=1e-12)  # ψ(n) − ψ(n_x), near ln 3
    assert ksg(x, x) == pytest.approx(math.log(3), abs=0.003)

    law = mi.laws.Finite(torch.tensor([[0.4, 0.1], [0.2, 0.3]]).log())
    value = ksg(*law.sample(4000, seeded()))
    assert value == pytest.approx(law.mutual_information, abs=0.015)


def test_mixed_columns():
    bit = (torch.rand(4000, generator=seeded(1)) < 0.5).double()
    noisy = 2 * bit + torch.randn(4000, generator=seeded(2))
    # 0.486 bits: two signals on Gaussian noise at 0 dB.
    assert ksg(noisy, bit) == pytest.approx(0.337, abs=0.04)


def left_out(
    x: torch.Tensor,
    y: torch.Tensor,
    k: int,
    labels: torch.Tensor,
) -> float:
    """The definition with neighbours of other groups, a row at a time."""
    x, y = normal_scores(x), normal_scores(y)
    total = 0.0
    for i in range(len(x)):
        others = labels != labels[i]
        in_x, in_y = ((rows[others] - rows[i]).abs().amax(-1) for rows in (x, y))
        epsilon = torch.maximum(in_x, in_y).sort().values[k - 1]
        counts = torch.stack([(in_x < epsilon).sum() + 1, (in_y < epsilon).sum() + 1])
        outside = float((others.sum() + 1).double().digamma())
        total += outside - float(counts.double().digamma().sum())

    return float(torch.tensor(k).digamma()) + total / len(x)


@pytest.mark.parametrize("kinds", [2, 7, 60])
@pytest.mark.parametrize("k", [1, 3, 10])
def test_foreign_neighbours(kinds, k):
    """Neighbours are of other groups."""
    x, y = (torch.randn(80, d, generator=seeded(d)) for d in (1, 2))
    labels = torch.randint(kinds, (80,), generator=seeded(kinds))
    x, y = x + 0.01 * labels[:, None], y + labels[:, None]  # near one another within a group
    expected = left_out(x, y, k, labels)

    named = [f"g{label}" for label in labels]
    assert ksg(x, y, k, groups=named) == pytest.approx(expected)
    assert ksg(x, y, k, groups=torch.arange(80)) == pytest.approx(ksg(x, y, k), abs=1e-12)


@pytest.mark.parametrize("columns", [1, 3])
def test_grouped_copies(columns):
    """Copies in one group are not information."""
    kinds = torch.randint(200, (2000,), generator=seeded(1))
    x, y = torch.randn(2, 200, columns, generator=seeded(2))

    assert ksg(x[kinds], y[kinds]) > 1
    value = ksg(x[kinds], y[kinds], 20 * 3, groups=kinds)  # each neighbour is there ten times
    assert abs(value) < 0.1

    estimate = neighbours(x[kinds], y[kinds], 20, kinds)
    assert estimate.stderr > 1.5 * neighbours(x[kinds], y[kinds], 20).stderr


def series(rho: float, n: int, count: int, seed: int) -> torch.Tensor:
    """Return independent standard autoregressive series, shape (count, n)."""
    noise = np.random.default_rng(seed).normal(size=(count, n + 300))
    noise = noise * math.sqrt(1 - rho**2)
    return torch.from_numpy(lfilter([1.0], [1.0, -rho], noise)[:, 300:].copy())


@pytest.mark.parametrize("seed", range(3))
def test_time_series(seed):
    """Neighbours in time are not information."""
    x, y = series(0.99, 3000, 2, seed)
    assert ksg(x, y, groups=200) < 0.03
    assert ksg(x, y) > 0.07


def test_blocks():
    """Blocks of a series leave its information."""
    values = []
    for seed in range(6):
        x, noise = series(0.9, 3000, 2, seed)
        values.append(ksg(x, 0.6 * x + 0.8 * noise, groups=50))
    assert np.mean(values) == pytest.approx(-0.5 * math.log(1 - 0.6**2), abs=0.03)


X = torch.arange(64.0)
BAD_CALLS = [
    ("x: expected at least one column", ksg, {}, X),
    ("x: expected at least 64 rows", ksg, X[:63], X[:63]),
    ("y: expected finite", ksg, X, X * math.nan),
    ("y: expected a column that varies", ksg, X, torch.ones(64)),
    (r"y: expected as many rows as x \(64\), got 65", ksg, X, torch.arange(65.0)),
    ("k: expected an integer of at least 1", ksg, X, X, 0),
    ("k: expected an integer of at most 63", ksg, X, X, 64),
    ("k: expected an integer", ksg, X, X, 2.5),
    ("k: expected an integer of at most 24", lambda: ksg(X, X, 25, groups=40)),
    ("groups: expected at least two groups, got one", lambda: ksg(X, X, groups=64)),
    (r"groups: expected a label for each of 64 rows", lambda: ksg(X, X, groups=[1, 2])),
]


test_bad_calls = refused(BAD_CALLS)


NOISELESS = {
    "a square": lambda x: x[:, :1].square(),
    "a wave": lambda x: (3 * x[:, :1]).sin(),
    "a ramp": lambda x: x[:, :1].relu(),
    "a product": lambda x: x.prod(1, keepdim=True),
    "a norm": lambda x: x.norm(dim=1, keepdim=True),
}


@pytest.mark.parametrize("name", NOISELESS)
@pytest.mark.parametrize("n", [512, 2000])
def test_functions_without_noise(name, n):
    """Where one side is a function of the other, each doubling of the rows adds as much to the value."""
    columns = 2 if name in ("a product", "a norm") else 1
    x = torch.randn(n, columns, generator=seeded(), dtype=torch.float64)
    assert neighbours(x, NOISELESS[name](x)).growing


@pytest.mark.parametrize("name", NOISELESS)
@pytest.mark.parametrize("seed", range(3))
def test_functions_with_noise(name, seed):
    """Of functions with noise the values do not grow without end, and neither do those of independent rows."""
    columns = 2 if name in ("a product", "a norm") else 1
    x = torch.randn(2000, columns, generator=seeded(seed), dtype=torch.float64)
    e = torch.randn(2000, 1, generator=seeded(10 + seed), dtype=torch.float64)
    assert not neighbours(x, NOISELESS[name](x) + 0.3 * e).growing
    assert not neighbours(x, e).growing
