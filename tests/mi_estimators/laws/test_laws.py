"""Laws of known information: each task's sampler against its log-ratio, each closed form against one computed apart.

Two identities tie the sampler, the log-ratio T and the information of every law: E_P T = I, and E_P g σ(−T) =
E_Q g σ(T) for every bounded g of (x, y), whose terms are bounded whatever the tails. With g = 1 alone a log-ratio that
sees only a part of the dependence would pass; with waves of (x, y) for g, a law in the place of its neighbour does not.
"""

import math
import re
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.laws import (
    ASINH,
    CUBIC,
    HALF_CUBE,
    IDENTITY,
    NORMAL_CDF,
    SWISS_ROLL,
    TASKS,
    AdditiveNoise,
    Finite,
    Gaussian,
    GaussianChannel,
    GaussianMixture,
    Law,
    MixedUniform,
    MultivariateGaussian,
    ProductLaw,
    StudentT,
    Transformed,
    embedding,
    mixture_quantile,
    spiral,
    wiggly,
)
from mi_estimators.laws.quadrature import normal_rule, solve_increasing
from tests.mi_estimators.shared import refused, seeded

ALL_TASKS = pytest.mark.parametrize(  # every fourth, and the others in the broad run
    "name",
    [
        pytest.param(name, marks=[pytest.mark.broad] if k % 4 else [])
        for k, name in enumerate(TASKS)
    ],
)
N = 40_000


def column(*values):
    return torch.tensor(values).unsqueeze(-1)


def draw(law, n=N):
    """Return n rows (x, y) of the joint, and y of an independent draw: (x, other) has the law Q."""
    generator = seeded()
    x, y = law.sample(n, generator)
    _, other = law.sample(n, generator)
    return x, y, other


def waves(x, y):
    """Return bounded functions of (x, y): 1, and cosines of several frequencies of one entry of x and one of y."""
    x, y = x.atan(), y.atan()
    frequencies = (0.5, 1, 2, 3, 4, 6, 8, 11)
    pairs = [(f, x[:, k % x.shape[1]], y[:, k % y.shape[1]]) for k, f in enumerate(frequencies)]

    cosines = [torch.cos(f * (a + sign * b)) for f, a, b in pairs for sign in (1, -1)]
    return torch.stack([torch.ones(len(x)), *cosines])


def sigmoid_gaps(law, x, y, other):
    """Return E_P g σ(−T) − E_Q g σ(T) over its standard error, for each of the waves g."""
    joint = waves(x, y) * (-law.log_ratio(x, y)).sigmoid()
    product = waves(x, other) * law.log_ratio(x, other).sigmoid()
    error = ((joint.var(-1) + product.var(-1)) / len(x)).sqrt()
    return (joint.mean(-1) - product.mean(-1)) / (error + 1e-12)


def test_table_size():
    """The table has at least 24 laws, each with its information."""
    assert len(TASKS) >= 24
    for law in TASKS.values():
        assert isinstance(law, Law)
        assert isinstance(law.mutual_information, float)
        assert 0 <= law.mutual_information < 11


BEYOND_NORMAL = {
    "1v1-normal-0.75": 0.41,
    "1v1-additive-0.1": 1.71,
    "wiggly-normal-0.75": 0.41,
    "swissroll-normal-0.75": 0.41,
    "multinormal-sparse-5-5-2-2.0": 1.02,
    "multinormal-sparse-25-25-2-2.0": 1.02,
    "half_cube-multinormal-sparse-5-5-2-2.0": 1.02,
    "student-identity-3-3-2": 0.29,
    "asinh-student-identity-2-2-1": 0.43,
    "multinormal-20-5nats": 5.0,
    # further tasks of the benchmark, from the closed forms
    "1v1-additive-0.75": 0.33,
    "student-identity-1-1-1": 0.22,
    "student-identity-2-2-2": 0.19,
    "student-identity-3-3-3": 0.18,
    "student-identity-5-5-2": 0.45,
    "student-identity-5-5-3": 0.30,
    "multinormal-dense-2-2-0.5": 0.29,
    "multinormal-dense-3-3-0.5": 0.41,
    "multinormal-dense-5-5-0.5": 0.59,
    "multinormal-dense-25-25-0.5": 1.29,
    "multinormal-dense-50-50-0.5": 1.62,
}


@pytest.mark.parametrize("name", BEYOND_NORMAL)
def test_published_values(name):
    """The laws have the information that the benchmark publishes."""
    assert round(TASKS[name].mutual_information, 2) == BEYOND_NORMAL[name]


@pytest.mark.parametrize(
    "name", [name for name in TASKS if re.search(r"-\d+-\d+(?!\d*nats)", name)]
)
def test_names(name):
    dim_x, dim_y = re.search(r"-(\d+)-(\d+)", name).groups()
    law = TASKS[name]
    assert (law.dim_x, law.dim_y) == (int(dim_x), int(dim_y))


@ALL_TASKS
def test_mean_log_ratio(name):
    """The log-ratio averages to the information."""
    law = TASKS[name]
    ratio = law.log_ratio(*law.sample(N, seeded()))

    assert ratio.shape == (N,)
    assert (
        abs(float(ratio.mean()) - law.mutual_information)
        <= 4.5 * float(ratio.std()) / N**0.5 + 1e-12
    )


@ALL_TASKS
def test_sigmoid_identity(name):
    assert sigmoid_gaps(TASKS[name], *draw(TASKS[name])).abs().max() < 4.5


SIGNS = GaussianChannel((-1.0, 1.0), 1.0)
NEIGHBOURS = [
    (Gaussian(0.75), Gaussian(0.7)),
    (MultivariateGaussian.dense(3, 3, 0.5), MultivariateGaussian.sparse(3, 3, 3, 0.5)),
    (StudentT.identity(3, 3, 2), StudentT.identity(3, 3, 4)),
    (StudentT.identity(3, 3, 2), MultivariateGaussian(torch.eye(6), 3)),
    (AdditiveNoise(0.1), AdditiveNoise(0.15)),
    (MixedUniform(4), MixedUniform(5)),
    (SIGNS, GaussianChannel((-1.0, 1.0), 0.8)),
    (TASKS["1v1-mixture-two"], TASKS["1v1-mixture-cross"]),
    (Transformed(Gaussian(0.75), CUBIC), Transformed(Gaussian(0.75), HALF_CUBE)),
    (Transformed(Gaussian(0.75, 2), spiral(1.0)), Transformed(Gaussian(0.75, 2), spiral(1.3))),
]


@pytest.mark.parametrize("pair", NEIGHBOURS, ids=lambda pair: f"{type(pair[0]).__name__}")
def test_false_neighbour(pair):
    """The log-ratio of a neighbouring law is refused."""
    law, neighbour = pair
    assert sigmoid_gaps(neighbour, *draw(law)).abs().max() > 6


@ALL_TASKS
def test_samples(name):
    """Samples are reproducible, and have the law's shapes."""
    law = TASKS[name]
    x, y = law.sample(7, seeded(3))
    again_x, again_y = law.sample(7, seeded(3))

    assert x.shape == (7, law.dim_x)
    assert y.shape == (7, law.dim_y)
    assert x.dtype == y.dtype == torch.get_default_dtype()
    assert torch.equal(x, again_x)
    assert torch.equal(y, again_y)
    assert not torch.equal(x, law.sample(7, seeded(4))[0])


@ALL_TASKS
def test_broadcasting(name):
    """Log-ratios broadcast to a matrix."""
    law = TASKS[name]
    x, y = law.sample(6, seeded())
    matrix = law.log_ratio(x[:, None], y[None])
    assert matrix.shape == (6, 6)
    assert_close(matrix.diagonal(), law.log_ratio(x, y))


@ALL_TASKS
def test_single_precision(name):
    """Samples in single precision stay on the support."""
    law = TASKS[name]
    torch.set_default_dtype(torch.float32)
    x, y = law.sample(N, seeded())
    ratio = law.log_ratio(x, y)

    assert x.dtype == y.dtype == ratio.dtype == torch.float32
    assert bool(torch.isfinite(ratio).all())

    error = 5 * float(ratio.double().std()) / N**0.5 + 1e-5
    assert float(ratio.double().mean()) == pytest.approx(law.mutual_information, abs=error)


SMOOTH = [
    *(
        "multinormal-dense-3-3-0.5",
        "student-identity-3-3-2",
        "student-sparse-2-2-2-1",
        "1v1-mixture-cross",
    ),
    *("wiggly-normal-0.75", "1v1-bimodal-0.75", "spiral-normal_cdf-multinormal-sparse-3-3-2-2.0"),
    *("asinh-student-identity-2-2-1", "half_cube-normal-0.75", "spiral-normal-2-2-0.75"),
]


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients(name):
    law = TASKS[name]
    x, y = (v.requires_grad_() for v in law.sample(5, seeded()))
    assert torch.autograd.gradcheck(law.log_ratio, (x, y))


def random_covariance(dim, seed):
    root = torch.randn(dim, 2 * dim, generator=seeded(seed))
    return root @ root.mT


@pytest.mark.parametrize(("dim_x", "dim_y", "seed"), [(1, 1, 0), (2, 3, 1), (4, 1, 2)])
def test_scipy_densities(dim_x, dim_y, seed):
    matrix = random_covariance(dim_x + dim_y, seed)
    blocks = [matrix, matrix[:dim_x, :dim_x], matrix[dim_x:, dim_x:]]
    x, y = (
        torch.randn(20, dim_x, generator=seeded(seed)),
        torch.randn(20, dim_y, generator=seeded(seed + 1)),
    )
    points = [torch.cat([x, y], -1), x, y]
    log_dets = [np.linalg.slogdet(block.numpy())[1] for block in blocks]
    normal = MultivariateGaussian(matrix, dim_x)

    assert normal.mutual_information == pytest.approx(
        (log_dets[1] + log_dets[2] - log_dets[0]) / 2, abs=1e-12
    )

    for law, frozen in (
        (normal, stats.multivariate_normal),
        (StudentT(matrix, dim_x, 3.5), partial(stats.multivariate_t, df=3.5)),
    ):
        densities = [
            frozen(np.zeros(len(block)), block.numpy()).logpdf(point.numpy())
            for block, point in zip(blocks, points, strict=True)
        ]
        joint, of_x, of_y = map(torch.as_tensor, densities)
        assert_close(law.log_ratio(x, y), joint - of_x - of_y)


def test_covariances():
    """Multivariate samples have their covariance."""
    matrix = random_covariance(5, 0)
    law = MultivariateGaussian(matrix, 2)
    xy = torch.cat(law.sample(200_000, seeded()), -1)
    scale = matrix.diagonal().sqrt()

    assert_close(
        xy.T.cov() / torch.outer(scale, scale),
        matrix / torch.outer(scale, scale),
        atol=0.02,
        rtol=0,
    )


@pytest.mark.parametrize("pairs", [0, 1, 3])
def test_sparse_law(pairs):
    """A sparse law is a product of pairs."""
    law = MultivariateGaussian.sparse(4, 3, pairs, -0.7)
    alone = Gaussian(-0.7, dim=max(pairs, 1))

    assert law.mutual_information == pytest.approx(
        alone.mutual_information * (pairs > 0), abs=1e-14
    )

    x, y = law.sample(50, seeded())
    if pairs:
        own = x[:, :pairs], y[:, :pairs]
        assert_close(law.log_ratio(x, y), alone.log_ratio(*own))
    else:
        assert law.log_ratio(x, y).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("dim_x", "dim_y", "nu"), [(1, 1, 1.0), (2, 2, 1.0), (3, 3, 2.0), (2, 5, 0.5), (4, 1, 30.0)]
)
def test_student_entropies(dim_x, dim_y, nu):
    """The information of Student laws is that of their entropies."""
    matrix = random_covariance(dim_x + dim_y, 7)
    blocks = (matrix, matrix[:dim_x, :dim_x], matrix[dim_x:, dim_x:])
    entropies = [
        float(stats.multivariate_t(np.zeros(len(block)), block.numpy(), df=nu).entropy())
        for block in blocks
    ]
    law = StudentT(matrix, dim_x, nu)

    assert law.mutual_information == pytest.approx(
        entropies[1] + entropies[2] - entropies[0], abs=1e-9
    )


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.5, 0.75, 3.0])
def test_additive_noise(epsilon):
    def density(y):
        share = stats.uniform.cdf(y + epsilon) - stats.uniform.cdf(y - epsilon)
        return share / (2 * epsilon)

    corners = sorted({-epsilon, epsilon, 1 - epsilon, 1 + epsilon})
    parts = [
        integrate.quad(lambda y: special.entr(density(y)), *span)[0] for span in pairwise(corners)
    ]
    entropy = sum(parts)
    law = AdditiveNoise(epsilon)

    assert law.mutual_information == pytest.approx(entropy - math.log(2 * epsilon), abs=1e-9)

    x, y = law.sample(1000, seeded())
    ratio = torch.as_tensor(density(y.numpy()) * 2 * epsilon)
    expected = -torch.log(ratio).squeeze(-1)

    assert_close(law.log_ratio(x, y), expected)


def test_additive_support():
    """Additive noise has no mass off its support."""
    law = AdditiveNoise(0.25)
    x = column(0.5, 0.5, -0.1, 1.1, 0.0)
    y = column(0.76, 0.2, 0.0, 1.0, -0.25)
    assert law.log_ratio(x, y).tolist() == [-math.inf] * 5
    inside = law.log_ratio(column(0.5), column(0.75))
    assert inside.tolist() == pytest.approx([math.log(2)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding(dtype):
    """Rounding takes no sample off the support."""
    x = torch.rand(10_000, 1, dtype=dtype, generator=seeded())
    for law in (AdditiveNoise(0.1), AdditiveNoise(0.7), AdditiveNoise(33.3)):
        assert bool(torch.isfinite(law.log_ratio(x, x + law.epsilon)).all())
        assert bool(torch.isfinite(law.log_ratio(x, x - law.epsilon)).all())

    whole = (5 * x).floor()
    assert bool(torch.isfinite(MixedUniform(5).log_ratio(whole, whole + 2)).all())

    far = NORMAL_CDF.forward(torch.tensor([-40.0, 40.0], dtype=dtype))
    assert bool((far > 0).all() & (far < 1).all())

    eps = torch.finfo(dtype).eps
    near_ends = torch.tensor([0.0, -8 * eps, 1.0, 1 + 8 * eps], dtype=dtype)
    ends = NORMAL_CDF.inverse(near_ends)

    assert ends.abs().tolist() == pytest.approx([stats.norm.isf(eps / 2)] * 4, rel=1e-4)


@pytest.mark.parametrize("m", [1, 2, 5, 9])
def test_mixed_uniform(m):
    law = MixedUniform(m)
    # Of x and ⌊y⌋.
    cells = np.array([[0.5 * (k in (x, x + 1)) / m for k in range(m + 1)] for x in range(m)])
    product = np.outer(cells.sum(1), cells.sum(0))
    masses = zip(cells.flat, product.flat, strict=True)
    expected = sum(p * math.log(p / q) for p, q in masses if p)

    assert law.mutual_information == pytest.approx(expected, abs=1e-12)

    x = torch.arange(m).double()[:, None, None]
    y = (torch.arange(m + 1) + 0.3)[None, :, None]
    np.testing.assert_allclose(
        law.log_ratio(x, y).exp(),
        cells / product,
        atol=1e-12,
    )


CHANNELS = [
    SIGNS,
    GaussianChannel((-1.0, 1.0), 0.2),
    GaussianChannel((-3.0, 0.0, 0.5), 0.7, (0.2, 0.3, 0.5)),
    TASKS["mixed-four-0.3"],
]


@pytest.mark.parametrize("law", CHANNELS, ids=range(len(CHANNELS)))
def test_gaussian_channels(law):
    p = law.probabilities or [1 / len(law.alphabet)] * len(law.alphabet)

    def density(y):
        symbols = zip(p, law.alphabet, strict=True)
        return sum(w * stats.norm.pdf(y, a, law.sigma) for w, a in symbols)

    y = np.linspace(
        min(law.alphabet) - 12 * law.sigma,
        max(law.alphabet) + 12 * law.sigma,
        4001,
    )
    entropy = integrate.simpson(-density(y) * np.log(density(y)), x=y)
    expected = entropy - math.log(2 * math.pi * math.e * law.sigma**2) / 2

    assert law.mutual_information == pytest.approx(expected, abs=1e-10)
    assert law.quadrature(0.005) == pytest.approx(law.mutual_information, abs=1e-13)
    assert 0 < law.mutual_information < stats.entropy(p)

    x, y = law.sample(100, seeded())
    symbol = torch.as_tensor(stats.norm.logpdf(y, x, law.sigma)).squeeze(-1)

    log_density = torch.as_tensor(np.log(density(y.numpy()))).squeeze(-1)
    assert_close(law.log_ratio(x, y), symbol - log_density)


MIXTURES = [
    TASKS["1v1-mixture-two"],
    TASKS["1v1-mixture-cross"],
    GaussianMixture((1.0,), ((0.5, -2.0),), ((2.0, 0.5),), (0.75,)),
    GaussianMixture((0.2, 0.8), ((-3.0, 1.0), (1.0, 0.0)), ((0.3, 2.0), (1.0, 0.5)), (-0.95, 0.4)),
    GaussianMixture((0.5, 0.5), ((0.0, 0.0), (0.0, 0.0)), ((0.3, 3.0), (3.0, 0.3)), (0.8, -0.8)),
]


@pytest.mark.parametrize("k", range(len(MIXTURES)))
def test_resolutions(k):
    finer = (0.03, 0.03, 0.03, 0.02, 0.014)[k]  # than what the law takes of itself
    law = MIXTURES[k]
    assert law.quadrature(finer) == pytest.approx(law.mutual_information, abs=1e-10)


@pytest.mark.parametrize("law", MIXTURES[:4], ids=range(4))
def test_mixtures(law):
    def density(points):
        total = 0
        for w, mean, (a, b), rho in zip(
            law.weights, law.means, law.scales, law.correlations, strict=True
        ):
            covariance = [[a * a, rho * a * b], [rho * a * b, b * b]]
            total = total + w * stats.multivariate_normal(mean, covariance).pdf(points)

        return total

    def margin(values, k):
        components = zip(law.weights, law.means, law.scales, strict=True)
        return sum(w * stats.norm.pdf(values, mean[k], scale[k]) for w, mean, scale in components)

    spread = list(zip(law.means, law.scales, strict=True))
    spans = [
        (min(m[k] - 9 * s[k] for m, s in spread), max(m[k] + 9 * s[k] for m, s in spread))
        for k in (0, 1)
    ]
    x, y = (np.linspace(*span, 1501) for span in spans)
    p = density(np.stack(np.meshgrid(x, y, indexing="ij"), -1))
    q = np.outer(margin(x, 0), margin(y, 1))
    ratio = np.log(np.where(p > 0, p, 1)) - np.log(np.where(p > 0, q, 1))
    value = integrate.simpson(integrate.simpson(p * ratio, x=y), x=x)

    assert law.mutual_information == pytest.approx(value, abs=1e-8)

    x, y = law.sample(50, seeded())
    expected = (
        density(np.concatenate([x, y], -1))
        / margin(x.numpy()[:, 0], 0)
        / margin(y.numpy()[:, 0], 1)
    )

    np.testing.assert_allclose(
        law.log_ratio(x, y),
        np.log(expected),
        atol=1e-10,
    )


def test_xor():
    """The XOR task hides its information from each bit."""
    x, y = TASKS["finite-xor-0.9"].sample(N, seeded())
    assert abs(np.corrcoef(torch.cat([x, y], -1).T)[2, :2]).max() < 0.02
    expected = math.log(2) + 0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    assert TASKS["finite-xor-0.9"].mutual_information == pytest.approx(expected, abs=1e-12)


def test_products():
    parts = (StudentT.identity(2, 1, 2), MixedUniform(3), Gaussian(0.5, 2))
    law = ProductLaw(parts)

    assert (law.dim_x, law.dim_y) == (5, 4)
    assert law.mutual_information == pytest.approx(
        sum(part.mutual_information for part in parts), abs=1e-14
    )

    x, y = law.sample(30, seeded())
    expected = (
        parts[0].log_ratio(x[:, :2], y[:, :1])
        + parts[1].log_ratio(x[:, 2:3], y[:, 1:2])
        + parts[2].log_ratio(x[:, 3:], y[:, 2:])
    )

    assert_close(law.log_ratio(x, y), expected)

    moved = y.clone()
    moved[:, 1] = x[:, 2] + 2.5  # out of one law's support, out of the product's

    assert law.log_ratio(x, moved).tolist() == [-math.inf] * 30


WAVES = ((0.4, 1.0, 0.0), (0.2, 1.7, 1.0), (0.03, 3.3, -2.5))
INCREASING = {
    "identity": IDENTITY,
    "asinh": ASINH,
    "half_cube": HALF_CUBE,
    "cubic": CUBIC,
    "normal_cdf": NORMAL_CDF,
    "wiggly": wiggly(WAVES),
    "wiggly, nearly flat": wiggly(((0.0099, 100.0, 0.3),)),
    "mixture": mixture_quantile((0.3, 0.7), (0.0, 5.0)),
    "mixture, far apart": mixture_quantile((0.5, 0.5), (-40.0, 40.0)),
}
OTHERS = {
    "spiral": spiral(3.0),
    "spiral, squared": spiral(-1 / 3, plane=(2, 1), power=2),
}


@pytest.mark.parametrize("name", INCREASING)
def test_increasing_maps(name):
    """Increasing maps increase and come back."""
    bend, t = INCREASING[name], torch.linspace(-5, 5, 401)
    image = bend.forward(t)

    assert bool((image.diff() > 0).all())
    assert_close(bend.inverse(image), t, rtol=0, atol=1e-9)
    assert_close(
        bend.inverse(bend.forward(t.float())),
        t.float(),
        rtol=0,
        atol=0.05,
    )
    assert bend.forward(t.float()).dtype == torch.float32
    assert bend.inverse(image.float()).dtype == torch.float32


@pytest.mark.parametrize("name", OTHERS)
def test_spirals(name):
    """Spirals turn and come back."""
    turn, x = OTHERS[name], torch.randn(200, 4, generator=seeded())
    image = turn.forward(x)

    assert_close(
        image.norm(dim=-1),
        x.norm(dim=-1),
    )
    assert_close(turn.inverse(image), x)
    assert (image - x).abs().max() > 1

    plane = (0, 1) if name == "spiral" else (1, 2)
    still = [k for k in range(4) if k not in plane]
    assert torch.equal(image[:, still], x[:, still])


def test_swiss_roll():
    """The swiss roll comes back and is injective."""
    u = torch.linspace(0.0005, 0.9995, 2000).unsqueeze(-1)
    image = SWISS_ROLL.forward(u)

    assert_close(SWISS_ROLL.inverse(image), u)
    assert_close(
        SWISS_ROLL.inverse(image.float()).double(),
        u,
        rtol=0,
        atol=1e-5,
    )

    steps = image.diff(dim=0).norm(dim=-1).min()
    assert torch.pdist(image).min() >= 0.99 * steps


def test_embeddings():
    points = torch.tensor([[0.1, 1 / 3], [0.2, 5.0], [0.1, 0.0]])
    rows = embedding(points)
    index = torch.tensor([2, 0, 1, 1])
    assert torch.equal(rows.forward(index), points[index])
    assert torch.equal(rows.inverse(points[index].float()), index)


@pytest.mark.parametrize("name", INCREASING)
def test_maps(name):
    """Maps leave the information and carry the log-ratio."""
    law, bend = Gaussian(0.75, dim=2), INCREASING[name]
    moved = Transformed(law, bend, INCREASING["wiggly"])

    assert moved.mutual_information == law.mutual_information

    x, y = law.sample(500, seeded())
    a, b = moved.sample(500, seeded())
    assert_close(a, bend.forward(x))
    assert_close(
        moved.log_ratio(a, b),
        law.log_ratio(x, y),
        rtol=0,
        atol=1e-8,
    )


def test_dimensions():
    """Dimensions follow the maps."""
    assert (TASKS["swissroll-normal-0.75"].dim_x, TASKS["swissroll-normal-0.75"].dim_y) == (2, 1)

    equal = Finite(torch.eye(2).div(2).log())
    one_sided = Transformed(equal, embedding(torch.eye(2)))

    assert (one_sided.dim_x, one_sided.dim_y) == (2, 0)

    x, y = one_sided.sample(9, seeded())
    assert (x.shape, y.shape) == ((9, 2), (9,))
    assert_close(
        one_sided.log_ratio(x, y),
        torch.full((9,), math.log(2)),
    )

    bare = Transformed(equal)
    assert bare.log_ratio(*bare.sample(9)).tolist() == pytest.approx([math.log(2)] * 9)


def test_quadrature():
    """The quadrature rule integrates normal moments."""
    z, log_weights = normal_rule(0.05)
    moments = [float((log_weights.exp() * z**k).sum()) for k in (0, 1, 2, 4, 6)]
    assert moments == pytest.approx([1, 0, 1, 3, 15], abs=1e-12)


def test_roots():
    target = torch.tensor([2.0, 5.0], requires_grad=True)
    root = solve_increasing(
        torch.square,
        lambda t: 2 * t,
        target,
        torch.zeros(2),
        torch.full((2,), 10.0),
    )

    assert_close(root, target.sqrt())

    (gradient,) = torch.autograd.grad(root.sum(), target)
    assert_close(gradient, 0.5 / target.sqrt())


EYE = torch.eye(4)
ONES = (1.0, 1.0)
PAIR = Gaussian(0.5)
ONE_COLUMN = torch.zeros(3, 1)
ONE_ATOM = Finite(torch.zeros(1, 1))
BAD_CALLS = [
    ("rho: expected a number in", Gaussian, 1.0),
    ("dim: expected an integer", Gaussian, 0.5, 0),
    ("nats: expected a number in", Gaussian.with_information, -1.0),
    ("x: expected last dimension 1", PAIR.log_ratio, EYE, ONE_COLUMN),
    ("log_joint: expected a matrix", Finite, torch.zeros(1, 1, 1)),
    ("log_joint: expected log-weights with logsumexp 0", Finite, torch.zeros(2, 2)),
    ("critic: expected", ONE_ATOM.exact, mi.dv, torch.zeros(2, 1)),
    ("y: expected integer indices", ONE_ATOM.log_ratio, torch.tensor(0), torch.tensor(1)),
    ("covariance: expected a square matrix", MultivariateGaussian, torch.ones(2, 3), 1),
    ("covariance: expected a square matrix of 2 rows", MultivariateGaussian, torch.ones(1, 1), 1),
    ("covariance: expected a square matrix", MultivariateGaussian, torch.ones(2, 2, 2), 1),
    (
        "covariance: expected a floating",
        MultivariateGaussian,
        torch.ones(2, 2, dtype=torch.int64),
        1,
    ),
    ("covariance: expected finite", MultivariateGaussian, EYE / 0, 1),
    (
        "covariance: expected a symmetric",
        MultivariateGaussian,
        torch.tensor([[1, 0.5], [0.4, 1]]),
        1,
    ),
    ("covariance: expected a positive definite", MultivariateGaussian, torch.ones(2, 2), 1),
    ("covariance: expected a positive definite", MultivariateGaussian, -EYE, 1),
    ("dim_x: expected an integer of at least 1", MultivariateGaussian, EYE, 0),
    ("dim_x: expected an integer of at most 3", MultivariateGaussian, EYE, 4),
    ("dim_y: expected an integer", MultivariateGaussian.dense, 2, 0, 0.5),
    ("correlation: expected a number in", MultivariateGaussian.dense, 2, 2, -0.4),
    ("correlation: expected a number in", MultivariateGaussian.sparse, 2, 2, 1, 1.0),
    ("pairs: expected an integer of at most 2", MultivariateGaussian.sparse, 2, 3, 3, 0.5),
    (
        "y: expected last dimension 3",
        MultivariateGaussian(EYE, 1).log_ratio,
        ONE_COLUMN,
        ONE_COLUMN,
    ),
    ("x, y: expected batch", PAIR.log_ratio, ONE_COLUMN, torch.zeros(2, 1)),
    ("dispersion: expected a symmetric", StudentT, torch.tensor([[1, 0.5], [0.4, 1]]), 1, 3),
    ("degrees_of_freedom: expected a number in", StudentT.identity, 1, 1, 0.0),
    ("dim_x: expected an integer", StudentT.identity, 0, 1, 2.0),
    ("x: expected last dimension 1", StudentT.identity(1, 1, 2.0).log_ratio, EYE, EYE),
    ("epsilon: expected a number in", AdditiveNoise, 0.0),
    ("y: expected finite", AdditiveNoise(0.5).log_ratio, ONE_COLUMN, ONE_COLUMN / 0),
    ("m: expected an integer", MixedUniform, 0),
    (
        "x: expected whole numbers from 0 to 1",
        MixedUniform(2).log_ratio,
        ONE_COLUMN + 2,
        ONE_COLUMN,
    ),
    (
        "x: expected whole numbers from 0 to 1",
        MixedUniform(2).log_ratio,
        ONE_COLUMN + 0.5,
        ONE_COLUMN,
    ),
    ("alphabet: expected a tuple", GaussianChannel, (), 1.0),
    ("alphabet: expected a number in", GaussianChannel, (1.0, -1.0), 1.0),
    ("sigma: expected a number in", GaussianChannel, ONES[:1], 0.0),
    ("probabilities: expected 2", GaussianChannel, (-1.0, 1.0), 1.0, (1.0,)),
    (
        "probabilities: expected probabilities that sum",
        GaussianChannel,
        (-1.0, 1.0),
        1.0,
        (0.5, 0.4),
    ),
    ("step: expected a number in", SIGNS.quadrature, 0.0),
    ("x: expected values of the 2 atoms", SIGNS.log_ratio, *[ONE_COLUMN] * 2),
    ("weights: expected a tuple", GaussianMixture, [1.0], (ONES,), (ONES,), (0.0,)),
    (
        "weights: expected a number in",
        GaussianMixture,
        (0.0, 1.0),
        (ONES,) * 2,
        (ONES,) * 2,
        (0.0,) * 2,
    ),
    ("means: expected a tuple of 1", GaussianMixture, (1.0,), (ONES, ONES), (ONES,), (0.0,)),
    ("means: expected pairs", GaussianMixture, (1.0,), ((1.0,),), (ONES,), (0.0,)),
    ("means: expected a number in", GaussianMixture, (1.0,), ((1.0, math.nan),), (ONES,), (0.0,)),
    ("scales: expected a number in", GaussianMixture, (1.0,), (ONES,), ((1.0, 0.0),), (0.0,)),
    ("correlations: expected a number in", GaussianMixture, (1.0,), (ONES,), (ONES,), (1.0,)),
    (
        "scales, correlations: expected widths",
        GaussianMixture,
        (0.5, 0.5),
        (ONES,) * 2,
        (ONES, (30.0, 1.0)),
        (0.0,) * 2,
    ),
    ("step: expected a number in", MIXTURES[0].quadrature, 2.0),
    ("x: expected last dimension 1", MIXTURES[0].log_ratio, EYE, ONE_COLUMN),
    ("laws: expected a tuple", ProductLaw, [PAIR]),
    ("laws: expected a tuple", ProductLaw, ()),
    ("laws: expected laws whose x and y have columns", ProductLaw, (ONE_ATOM,)),
    ("x: expected last dimension 2", ProductLaw((PAIR, PAIR)).log_ratio, ONE_COLUMN, ONE_COLUMN),
    ("law: expected a law", Transformed, 0.5),
    ("map_y: expected an InjectiveMap", partial(Transformed, map_y=torch.asinh), PAIR),
    (
        "map_x: expected a map of 1 columns, got spiral, which takes at least 2",
        Transformed,
        PAIR,
        spiral(1.0),
    ),
    ("map_x: expected a map of 2 columns", Transformed, Gaussian(0.5, 2), SWISS_ROLL),
    ("map_y: expected a map of 0 columns", partial(Transformed, map_y=ASINH), ONE_ATOM),
    ("y: expected last dimension 1", Transformed(PAIR, ASINH).log_ratio, ONE_COLUMN, EYE),
    (
        "normal_cdf: expected values in",
        Transformed(PAIR, NORMAL_CDF).log_ratio,
        *[ONE_COLUMN + 1.1] * 2,
    ),
    ("swiss_roll: expected values in", SWISS_ROLL.forward, ONE_COLUMN - 0.1),
    ("swiss_roll: expected values in", SWISS_ROLL.inverse, torch.zeros(1, 2)),
    ("swiss_roll: expected points of the curve", SWISS_ROLL.inverse, torch.tensor([[0.0, 0.5]])),
    ("embedding: expected values of the 4 atoms", embedding(EYE).inverse, EYE / 2),
    ("points: expected a matrix", embedding, torch.zeros(1, 1, 1)),
    ("points: expected rows that differ", embedding, torch.zeros(2, 1)),
    ("waves: expected a tuple of triples", wiggly, ((0.1, 1.0),)),
    ("waves: expected a number", wiggly, ((0.1, 1.0, math.inf),)),
    ("waves .*: expected a number in", wiggly, ((0.5, 2.0, 0.0),)),
    ("weights: expected probabilities that sum", mixture_quantile, (0.5,), (0.0,)),
    ("means: expected a number in", mixture_quantile, (0.5, 0.5), (1.0, 1.0)),
    ("means: expected 2 numbers", mixture_quantile, (0.5, 0.5), (1.0,)),
    ("speed: expected a number in", spiral, math.nan),
    ("plane: expected two different columns", spiral, 1.0, (1, 1)),
    ("plane: expected an integer", spiral, 1.0, (0, -1)),
    ("power: expected an integer of at most 2", partial(spiral, power=3), 1.0),
]


test_bad_calls = refused(BAD_CALLS)


@ALL_TASKS
def test_empty_samples(name):
    """No law samples less than a row."""
    with pytest.raises(ValueError, match="n: expected an integer"):
        TASKS[name].sample(0)
