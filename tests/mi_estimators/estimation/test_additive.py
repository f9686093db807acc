"""The anchor of additive noise: right for noise of any law, silent where there is none to fit."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_estimators.estimation.experts.additive import AdditiveModel, LogDensity
from mi_estimators.estimation.forms import Form
from tests.mi_estimators.shared import seeded

LAWS = {  # noise of mean about 0, and its entropy in nats
    "uniform": (lambda u: u - 0.5, 0.0),
    "exponential": (lambda u: -u.log() - 1, 1.0),
    "laplace": (lambda u: (u - 0.5).sign() * -(1 - 2 * (u - 0.5).abs()).log(), 1 + math.log(2)),
    "gumbel": (lambda u: -(-u.log()).log(), 1 + 0.5772156649),
    "lumps": (lambda u: (2 * u).floor() * 2 - 1 + 0.2 * ((2 * u) % 1), math.log(0.4)),
}
laws_of_noise = pytest.mark.parametrize("name", LAWS)


def pairs(name, rows=4000, seed=0):
    """Return x, and y = x + a tenth of the noise."""
    generator = seeded(seed)
    x = torch.randn(rows, 1, generator=generator)
    uniform = torch.rand(rows, 1, generator=generator).clamp(1e-9, 1 - 1e-9)

    return x, x + 0.1 * LAWS[name][0](uniform)


def entropy_of_sum(y):
    """Return the entropy of a column by spacings (Vasicek 1976), in nats."""
    ordered, m = y.flatten().sort().values, 60
    widths = ordered[2 * m :] - ordered[: -2 * m]
    return float((len(ordered) / (2 * m) * widths).log().mean())


def model_of(x, y, **settings):
    half = len(x) // 2
    return AdditiveModel(
        x[:half],
        y[:half],
        (x[half:], y[half:]),
        **settings,
    )


@laws_of_noise
@pytest.mark.parametrize("backwards", [False, True])
def test_mean_log_ratio(name, backwards):
    """The mean log-ratio is the information."""
    x, y = pairs(name, 8000)
    truth = entropy_of_sum(y) - LAWS[name][1] - math.log(0.1)
    if backwards:
        x, y = y, x

    model = model_of(x, y, backwards=backwards)
    fresh = pairs(name, 3000, seed=1)
    own = fresh[::-1] if backwards else fresh
    scores = model(*(side.float() for side in own))

    assert float(scores.diagonal().mean()) == pytest.approx(truth, abs=0.1)
    assert float(scores.exp().mean()) == pytest.approx(1, abs=0.1)  # a ratio of densities


def test_gaussian_noise():
    """Gaussian noise gains nothing from its own law."""
    x = torch.randn(4000, 2)
    y = x + torch.randn(4000, 2)
    model = model_of(x, y)
    assert model.gain < 0.01
    assert not model.applies
    assert float(model(x[:50], y[:50]).abs().max()) < 1e-6


@laws_of_noise
def test_other_noise(name):
    assert model_of(*pairs(name)).gain > 0.02


def test_copy():
    """A copy has no noise to fit."""
    x = torch.randn(400, 2)
    assert model_of(x, x @ torch.randn(2, 2)).gain == -math.inf


@settings(max_examples=20, deadline=None)
@given(
    dx=st.integers(1, 4),
    dy=st.integers(1, 4),
    backwards=st.booleans(),
    size=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_scores(dx, dy, backwards, size):
    """Scores are those of features; a floor of independence keeps them finite."""
    x = torch.randn(200, dx)
    y = x.sum(1, keepdim=True) + torch.rand(200, dy)
    model = model_of(size * x, y / size, backwards=backwards)
    a = torch.randn(2, 3, 5, dx) * size
    b = torch.randn(2, 3, 7, dy) * 100 / size
    scores = model(a, b)

    assert scores.shape == (2, 3, 5, 7)
    assert bool(torch.isfinite(scores).all())
    assert float(scores.min()) >= math.log(1e-4) - 1e-5
    assert torch.equal(model.scores(*model.features(a, b)), scores)
    torch.testing.assert_close(
        model(a[1, 2], b[1, 2]),
        scores[1, 2],
        rtol=1e-4,
        atol=1e-3,
    )


@pytest.mark.parametrize("heavy", [False, True])
def test_density_table(heavy):
    values = torch.randn(2000)
    if heavy:  # a Cauchy law
        values = values / torch.randn(2000)
    law = LogDensity(values[:1000], values[1000:])

    assert law.heavy is heavy

    grid = torch.linspace(-14, 14, 40_001).sinh()
    assert float(torch.trapezoid(law(grid).exp(), grid)) == pytest.approx(1, abs=1e-3)


def test_equal_correlations():
    """Pairs of equal correlation are parted.

    Canonical directions of equal correlation are arbitrary; those of the noise are not.
    """
    first, second = pairs("uniform", 8000), pairs("uniform", 8000, seed=2)
    x, y = (torch.cat(sides, 1) for sides in zip(first, second, strict=True))
    truth = 2 * (entropy_of_sum(y[:, 0]) - math.log(0.1))
    turn = torch.linalg.qr(torch.randn(2, 2))[0]
    scores = model_of(x @ turn, y)(x[:2000] @ turn, y[:2000])

    assert float(scores.diagonal().mean()) == pytest.approx(truth, abs=0.1)


def test_dependent_noise():
    """Noise that depends on its cause contradicts the form."""
    x, y = pairs("uniform")
    form = Form(margin="standard", noise="y")
    assert form.misfit(x, y) < 3
    assert form.misfit(x, x + (y - x) * x) > 20
    assert Form(margin="standard").misfit(x, y) > form.misfit(x, y)
