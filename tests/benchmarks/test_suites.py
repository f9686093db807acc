"""The suites of laws: every truth agrees with a route of its own, and every row can be drawn."""

import math

import pytest
import torch

from benchmarks.estimators.suites import SUITES, TASKS
from benchmarks.estimators.suites.labels import SpikeCounts
from benchmarks.estimators.suites.order import Copies
from benchmarks.estimators.suites.pictures import documents, sentences
from benchmarks.estimators.suites.shapes import Stable, network

DRAWN = 2000
GATE = [
    *("regimes-5-5", "ring-0.1", "stable-1.2", "networks-5-5", "volatility-1", "saw-16"),
    *("blobs-16x16", "rectangles-16x16", "spike-counts-10", "60-classes-in-the-plane"),
    *("log-gamma-5-nats", "smoothed-8-nats", "sentences-label", "rare-count", "several-labels"),
    *("turned-by-a-column", "one-of-four-classes"),
]
"""The rows that the gate draws; the others are for the broad run."""


def rows_of(names):
    return [
        pytest.param(TASKS[name], id=name, marks=[] if name in GATE else [pytest.mark.broad])
        for name in names
    ]


def drawn(task, n=DRAWN):
    if not task.present():
        pytest.skip("scikit-learn's digits are not installed")
    generator = torch.Generator().manual_seed(20)
    return *task.sample(n, generator), torch.randperm(n, generator=generator)


@pytest.mark.parametrize("task", rows_of(TASKS))
def test_truth(task):
    """The truth is the mean of the exact log-ratio."""
    if isinstance(task.law, Copies) or getattr(task.law, "phi", 0) > 0.9:
        pytest.skip("the rows are no independent draws")
    x, y, _ = drawn(task)

    assert x.shape == (len(x), task.columns[0])
    assert y.shape == (len(x), task.columns[1])

    ratios = task.law.log_ratio(x, y).double()
    noise = float(ratios.std()) / math.sqrt(len(ratios))

    assert float(ratios.mean()) == pytest.approx(task.truth, abs=5 * noise + 1e-3)


@pytest.mark.parametrize("task", rows_of(TASKS))
def test_densities(task):
    """The log-ratio is one of densities.

    Its exponential averages to one over unrelated pairs: no other function of the rows does that and fits them.
    """
    x, y, other = drawn(task)
    if task.truth > 2.5:
        pytest.skip("a few pairs carry the average")
    ratios = task.law.log_ratio(x, y[other]).double().exp()
    noise = float(ratios.std()) / math.sqrt(len(ratios))

    assert float(ratios.mean()) == pytest.approx(1, abs=5 * noise + 1e-3)


def test_suites():
    """The suites hold what they promise."""
    assert {name: len(rows) for name, rows in SUITES.items() if name in ("tasks", "grid")} == {
        "tasks": 10,
        "grid": 60,
    }
    assert len(SUITES["beyond_normal"]) == 40
    assert len(SUITES["published"]) >= 60

    continuous = [row for row in SUITES["published"] if row.discrete is None]
    assert sum(row.copula is None for row in continuous) >= 25
    assert len(SUITES["narrow"]) >= 10
    assert all(row.columns == (1, 1) for row in SUITES["narrow"])

    assert set(SUITES["published"]) <= set(SUITES["fast"])
    names = {row.name for row in SUITES["published"] if row.groups is None}
    assert {row.name for row in SUITES["few_rows"]} == names
    assert {row.rows for row in SUITES["few_rows"]} == {500}

    for rows in SUITES.values():
        assert len({row.name for row in rows}) == len(rows)


def test_classes_in_the_plane():
    """The information of classes in the plane agrees with a quadrature over it."""
    law = TASKS["60-classes-in-the-plane"].law
    step = law.sigma / 5
    ends = [(float(v.min()) - 8 * law.sigma, float(v.max()) + 8 * law.sigma) for v in law.centres.T]
    axes = [torch.arange(*end, step, dtype=torch.float64) for end in ends]
    points = torch.cartesian_prod(*axes)
    log_density = -(torch.cdist(points, law.centres) ** 2) / (2 * law.sigma**2)
    log_density = torch.logsumexp(log_density, 1) - math.log(60 * 2 * math.pi * law.sigma**2)
    entropy = -float((log_density.exp() * log_density).sum()) * step**2
    of_noise = math.log(2 * math.pi * math.e * law.sigma**2)

    assert law.mutual_information == pytest.approx(entropy - of_noise, abs=0.01)


def test_neuron_counts():
    """The counts of one neuron agree with the sum over counts."""
    law = SpikeCounts(1, 4.0, width=0.5)
    x = (2 * torch.arange(2000, dtype=torch.float64).unsqueeze(-1) + 1) / 2000 - 1
    counts = torch.arange(40, dtype=torch.float64)
    rate = 4 * (-((x + 1) ** 2) / (2 * 0.5**2)).exp() + 0.2
    mass = (counts * rate.log() - rate - torch.lgamma(counts + 1)).exp()
    marginal = mass.mean(0)
    theory = float(torch.special.xlogy(mass, mass / marginal).sum(1).mean())

    assert law.mutual_information == pytest.approx(theory, abs=0.01)


def test_stable_noise():
    """Stable noise has its characteristic function."""
    law = Stable(1.2, 0.4)
    x, y = law.sample(50_000, torch.Generator().manual_seed(1))
    for values, scale in ((x, 1.0), (y - x, 0.4), (y, (1 + 0.4**1.2) ** (1 / 1.2))):
        for t in (0.3, 1.0, 2.0):
            theory = math.exp(-((scale * t) ** 1.2))
            assert float((t * values).cos().mean()) == pytest.approx(theory, abs=0.015)


@pytest.mark.parametrize("name", ["blobs-16x16", "rectangles-16x16"])
def test_picture(name):
    """A picture gives its place back."""
    law = TASKS[name].law
    places, _ = law.law.sample(500, torch.Generator().manual_seed(2))
    pictures = law.x.show(places, None)
    assert torch.allclose(law.x.read(pictures), places.double(), atol=1e-8)
    assert len(pictures.unique(dim=0)) == 500


def test_document():
    """A document gives its topic back."""
    for side in (documents(10), sentences(10)):
        topics = torch.arange(10).repeat(50)
        assert side.read(side.show(topics, torch.Generator().manual_seed(3))).equal(topics)


def test_network():
    """A network is undone by its inverse."""
    net = network(5, 20)
    x = torch.randn(
        200,
        20,
        generator=torch.Generator().manual_seed(4),
        dtype=torch.float64,
    )
    assert torch.allclose(net.inverse(net.forward(x)), x, atol=1e-9)


def test_arranged_rows():
    """Rows that depend or are sorted look so."""
    walk, _ = drawn(TASKS["walks"])[:2]
    assert float(walk[1:].sub(walk[:-1]).std()) == pytest.approx(1, abs=0.1)

    copies, _ = drawn(TASKS["copies-1-1"])[:2]
    assert len(copies.unique()) == 200

    x, _ = drawn(TASKS["sorted-by-x"])[:2]
    assert x[:, 0].equal(x[:, 0].sort().values)

    _, y = drawn(TASKS["sorted-by-label"])[:2]
    assert y[:, 0].equal(y[:, 0].sort().values)
