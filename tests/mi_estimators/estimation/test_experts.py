"""The elliptical anchor: exact where the law's own scatter is plugged in, zero where there is nothing to find."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch.testing import assert_close

from mi_estimators import laws
from mi_estimators.estimation.experts.copula import (
    EllipticalCopula,
    student_scores,
)
from mi_estimators.estimation.transforms import Rank
from tests.mi_estimators.shared import seeded

DEGREES = (math.inf, 16, 8, 4, 2, 1)
degrees = pytest.mark.parametrize("nu", DEGREES)


def random_scatter(dim):
    """Return a random scatter with unit diagonal."""
    factor = torch.randn(dim, 2 * dim, generator=seeded())
    scatter = factor @ factor.mT
    return scatter / (scatter.diagonal()[:, None] * scatter.diagonal()).sqrt()


def inverse_root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.rsqrt()) @ vectors.mT


def plugged_in(scatter, dx, nu, dtype=torch.float64):
    """Return the copula whose buffers are a law's canonical directions and correlations."""
    dy = len(scatter) - dx
    copula = EllipticalCopula(torch.randn(8, dx), torch.randn(8, dy), nu)
    white_x = inverse_root(scatter[:dx, :dx])
    white_y = inverse_root(scatter[dx:, dx:])
    left, rho, right = torch.linalg.svd(white_x @ scatter[:dx, dx:] @ white_y)
    copula.left, copula.right, copula.rho = white_x @ left, white_y @ right.mT, rho
    copula.centre_x, copula.centre_y = torch.zeros(dx), torch.zeros(dy)
    if nu == math.inf:  # as the constructor does: directions without correlation are left out
        copula.left = copula.left[:, : len(rho)]
        copula.right = copula.right[:, : len(rho)]

    return copula.to(dtype)


def normal_scores_of_student(t, nu):
    """Return Φ⁻¹(F_ν(t)), tails kept."""
    size = -special.ndtri(special.stdtr(nu, -np.abs(t.numpy())))
    return torch.from_numpy(size) * t.sign()


# With the population's scatter.


@pytest.mark.parametrize(
    ("dx", "dy", "rho"),
    [(2, 2, None), (1, 3, None), (4, 2, None), *((1, 1, rho) for rho in (0.0, 0.3, -0.6, 0.99))],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_any_covariance(dx, dy, rho, dtype, tolerance):
    """The Gaussian form is the log-ratio of any covariance."""
    scatter = random_scatter(dx + dy) if rho is None else torch.tensor([[1, rho], [rho, 1]])
    size = 10 if rho is None else 1 / (1 - abs(rho))  # of the terms that cancel
    law = laws.MultivariateGaussian(scatter, dx)
    copula = plugged_in(scatter, dx, math.inf, dtype)
    x = torch.randn(2, 6, dx)
    y = torch.randn(2, 7, dy)
    expected = law.log_ratio(x[:, :, None], y[:, None])

    assert_close(
        copula(x.to(dtype), y.to(dtype)).double(),
        expected,
        atol=size * tolerance,
        rtol=(10 if rho is None else 1) * tolerance,
    )


@pytest.mark.parametrize("nu", [1, 2, 4])
@pytest.mark.parametrize(("dx", "dy"), [(1, 1), (3, 2), (5, 5)])
@pytest.mark.parametrize("correlated", [False, True])
def test_student_law(nu, dx, dy, correlated):
    """The Student form is the log-ratio of a Student law."""
    scatter = random_scatter(dx + dy) if correlated else torch.eye(dx + dy)
    law = laws.StudentT(scatter, dx, degrees_of_freedom=nu)
    x, y = (rows[:40] for rows in law.sample(40, seeded(nu)))
    z_x, z_y = normal_scores_of_student(x, nu), normal_scores_of_student(y, nu)

    assert max(z_x.abs().max(), z_y.abs().max()) < 6

    expected = law.log_ratio(x[:, None], y)
    assert_close(plugged_in(scatter, dx, nu)(z_x, z_y), expected, atol=1e-9, rtol=1e-9)

    copula = plugged_in(scatter, dx, nu, torch.float32)
    single = copula(z_x.float(), z_y.float()).double()
    assert_close(single, expected, atol=1e-4, rtol=1e-4)


def test_no_direction():
    """The Student form without a direction is that of the identity."""
    law = laws.StudentT.identity(2, 3, degrees_of_freedom=2)
    copula = plugged_in(torch.eye(5), 2, 2)
    copula.rho = copula.rho[:0]
    x, y = torch.randn(6, 2), torch.randn(7, 3)
    z_x, z_y = normal_scores_of_student(x, 2), normal_scores_of_student(y, 2)

    assert_close(
        copula(z_x, z_y),
        law.log_ratio(x[:, None], y),
        atol=1e-9,
        rtol=1e-9,
    )


def test_gaussian_limit():
    """The Student form tends to the Gaussian one."""
    scatter = random_scatter(5)
    x, y = (torch.randn(6, 2), torch.randn(7, 3))
    expected = plugged_in(scatter, 2, math.inf)(x, y)
    assert_close(
        plugged_in(scatter, 2, 1e7)(x, y),
        expected,
        atol=1e-4,
        rtol=1e-4,
    )


# Student scores.


@pytest.mark.parametrize("nu", [1, 2, 4])
def test_exact_scores(nu):
    z = torch.cat([torch.linspace(-6, 6, 401), torch.tensor([1e-12, 1e-6, -1e-4, 0.0])])
    exact = -special.stdtrit(nu, special.ndtr(-z.abs().numpy()))
    exact = torch.from_numpy(exact) * z.sign()

    # SciPy errs by as much about 0.
    assert_close(student_scores(z, nu), exact, rtol=1e-11, atol=1e-9)
    assert_close(
        student_scores(z.float(), nu).double(),
        exact,
        rtol=5e-6,
        atol=5e-7,
    )


@pytest.mark.parametrize(
    ("nu", "accuracy"),
    [(8, (3e-3, 0.02, 0.06)), (16, (2e-4, 2e-3, 6e-3)), (100, (1e-6, 1e-6, 1e-5))],
)
def test_cornish_fisher(nu, accuracy):
    """Cornish and Fisher's scores are near those of Student laws."""
    z = torch.linspace(0.01, 5, 200)
    exact = -special.stdtrit(nu, special.ndtr(-z.numpy()))
    error = (student_scores(z, nu) / torch.from_numpy(exact) - 1).abs()

    for bound, stated in zip((3, 4, 5), accuracy, strict=True):
        assert error[z <= bound].max() < stated


@degrees
def test_odd_scores(nu):
    """Student scores are odd, increasing and finite."""
    for dtype in (torch.float64, torch.float32):
        z = torch.linspace(-6, 6, 1001, dtype=dtype)
        scores = student_scores(z, nu)
        assert scores.dtype == dtype
        assert (scores.diff() > 0).all()
        assert torch.equal(student_scores(-z, nu), -scores)
        far = torch.tensor([-1e30, -40.0, -9.0, 9.0, 40.0, 1e30], dtype=dtype)
        assert student_scores(far, nu).isfinite().all()
        assert (student_scores(far, nu).diff() >= 0).all()


@pytest.mark.parametrize("nu", [0, 0.5, 3, 5, 7.99, -1, -math.inf, math.nan])
def test_degrees_of_freedom(nu):
    """Other degrees of freedom are refused."""
    with pytest.raises(ValueError, match="degrees_of_freedom: expected 1, 2, 4 or at least 8"):
        EllipticalCopula(torch.randn(20, 1), torch.randn(20, 1), nu)


def test_infinite_entries():
    """Entries that are not finite are refused."""
    for name, (x, y) in {"x": (math.nan, 0.0), "y": (0.0, math.inf)}.items():
        with pytest.raises(ValueError, match=f"{name}: expected finite scores"):
            EllipticalCopula(torch.full((20, 1), x), torch.full((20, 1), y))


# Fitted.


def test_fitted_law():
    scatter, generator = random_scatter(5), seeded()
    for nu, law in (
        (math.inf, laws.MultivariateGaussian(scatter, 2)),
        (4, laws.StudentT(scatter, 2, degrees_of_freedom=4)),
        (1, laws.StudentT(scatter, 2, degrees_of_freedom=1)),
    ):
        x, y = law.sample(4000, generator)
        rank_x, rank_y = Rank(x), Rank(y)
        copula = EllipticalCopula(rank_x(x), rank_y(y), nu)
        x, y = law.sample(400, generator)
        scores = copula(rank_x(x), rank_y(y)).diagonal()
        exact = law.log_ratio(x, y)
        assert (scores - exact).square().mean().sqrt() < 0.15 * exact.std()
        assert float(scores.mean()) == pytest.approx(float(exact.mean()), abs=0.03)


@degrees
@pytest.mark.parametrize("rho", [0.3, 0.7, 0.95])
def test_heavy_tails(nu, rho):
    """The correlation is found whatever the tails.

    Weights that left the correlation out of the radius would read 0.7 as 0.49 at one degree of freedom.
    """
    scatter, n = torch.tensor([[1, rho], [rho, 1]]), 4000
    law = (
        laws.MultivariateGaussian(scatter, 1)
        if nu > 4
        else laws.StudentT(scatter, 1, degrees_of_freedom=nu)
    )
    x, y = law.sample(n, seeded())
    if nu <= 4:
        x, y = normal_scores_of_student(x, nu), normal_scores_of_student(y, nu)

    correlation = float(EllipticalCopula(x, y, nu).rho[0])
    # A normal law read at 16 or 8 degrees of freedom has no parameter of its own: near is enough.
    error = 1.3 * (1 - rho**2) / math.sqrt(n)
    near = 0.02 if 4 < nu < math.inf else 0
    assert correlation == pytest.approx(rho, abs=4 * error + near)


def kept(n, dx, dy, nu, seeds):
    """Return how many directions are kept for each of as many independent samples."""
    counts = []
    for seed in range(seeds):
        generator = seeded(seed)
        x = torch.randn(n, dx, generator=generator)
        y = torch.randn(n, dy, generator=generator)
        copula = EllipticalCopula(Rank(x)(x), Rank(y)(y), nu)
        counts.append(len(copula.rho))

    return counts


def test_zero_anchor():
    """Independent columns have an anchor of exactly zero.

    One direction of independent columns passes 2.5 standard errors once in 160 times.
    """
    assert sum(kept(200, 1, 1, math.inf, 200)) <= 5
    assert sum(kept(200, 3, 2, math.inf, 60)) <= 4
    assert sum(kept(200, 1, 1, 4, 40)) <= 3

    x, y = torch.randn(200, 1), torch.randn(200, 1)
    copula = EllipticalCopula(x, y)

    assert copula.rho.numel() == 0
    assert not copula(x.float(), y.float()).any()


def test_fifty_columns():
    """Fifty independent columns keep next to nothing."""
    x, y = torch.randn(300, 50), torch.randn(300, 50)
    copula = EllipticalCopula(x, y)
    assert len(copula.rho) <= 3  # of 50, each with probability 1/160
    assert (copula.rho < 0.3).all()


@degrees
def test_degenerate_columns(nu):
    """Duplicated, constant and too many columns do no harm."""
    x, y = torch.randn(60, 2), torch.randn(60, 1)
    y = y + x[:, :1]
    cases = {
        "duplicated": (torch.cat([x, x], 1), torch.cat([y, y], 1)),
        "x is y": (x, x),
        "constant": (torch.zeros(60, 2), y),
        "one constant": (torch.cat([x, torch.zeros(60, 1)], 1), y),
        "both constant": (torch.zeros(60, 1), torch.zeros(60, 1)),
        "more columns than rows": (torch.randn(30, 20), torch.randn(30, 21)),
        "rare": ((torch.arange(60) == 7).double()[:, None], y),
        "large": (1e5 * x, 1e5 * y),
    }

    for name, (a, b) in cases.items():
        copula = EllipticalCopula(a, b, nu)
        for buffer in copula.buffers():
            assert buffer.isfinite().all(), name
        assert copula(a.float(), b.float()).isfinite().all(), name
        if "constant" in name and nu == math.inf and name != "one constant":
            assert not copula(a.float(), b.float()).any()


def test_shared_mean():
    """A shared mean is no correlation."""
    x = 100 + torch.randn(400, 1)
    y = 100 + torch.randn(400, 1)
    assert len(EllipticalCopula(x, y).rho) == 0


@degrees
@pytest.mark.parametrize(("dx", "dy"), [(1, 1), (3, 1), (2, 4)])
def test_scores_of_features(nu, dx, dy):
    """Scores are those of features for every batch."""
    x = torch.randn(80, dx)
    y = x.sum(1, keepdim=True) + torch.randn(80, dy)
    copula = EllipticalCopula(x, y, nu)

    assert 1 <= len(copula.rho) <= min(dx, dy)

    a = torch.randn(2, 3, 5, dx).float()
    b = torch.randn(2, 3, 7, dy).float()
    scores = copula(a, b)

    assert scores.shape == (2, 3, 5, 7)
    assert torch.equal(copula.scores(*copula.features(a, b)), scores)
    assert_close(
        copula(a[1, 2], b[1, 2]),
        scores[1, 2],
    )
    assert all(buffer.device.type == "meta" for buffer in copula.to("meta").buffers())


def scored(x, y):
    return EllipticalCopula(x, y)(x.float(), y.float())


def test_linear_maps():
    """Scores do not change under invertible linear maps of either side."""
    x = torch.randn(400, 3)
    y = x[:, :2] + torch.randn(400, 2)
    scores = scored(x, y)
    turn_x = torch.linalg.qr(torch.randn(3, 3)).Q
    turn_y = torch.linalg.qr(torch.randn(2, 2)).Q
    a, b = x @ turn_x, y @ turn_y

    assert_close(scored(a, b), scores, atol=1e-4, rtol=1e-4)

    a, b = (
        x @ torch.diag(torch.tensor([1.0, 2, 3])) @ turn_x,
        y @ torch.tensor([[2.0, 0.5], [0.0, -1.0]]),
    )

    assert_close(scored(a, b), scores, atol=1e-3, rtol=1e-3)

    a, b = -x, -y
    assert_close(scored(a, b), scores, atol=1e-4, rtol=1e-4)


def test_near_copies():
    """What only the difference of nearly equal columns tells is found."""
    z, w = torch.randn(2000, 1), torch.randn(2000, 1)
    y = 0.8 * w + 0.6 * torch.randn(2000, 1)
    copula = EllipticalCopula(torch.cat([z, z + 0.01 * w], 1), y)
    assert copula.rho.tolist() == pytest.approx([0.8], abs=0.05)


def test_joint_student():
    """Columns that are jointly Student need no scores.

    Two turned pairs: their ranks are no copula of the kind, the columns are.
    """
    turn = torch.linalg.qr(torch.randn(2, 2))[0]
    z, noise = torch.randn(2, 4000, 2)
    scale = torch.tensor([0.1, 1.0])
    x, y = z @ turn, (z + scale * noise) @ turn.T
    copula = EllipticalCopula(x, y, jointly=True)
    truth = 0.5 * math.log1p(100) + 0.5 * math.log(2)

    scores = copula(x.float(), y.float()).diagonal()
    assert float(scores.mean()) == pytest.approx(truth, abs=0.1)


def test_own_columns():
    """A copula reads its own columns among others."""
    x, y = torch.randn(500, 2), torch.randn(500, 3)
    copula = EllipticalCopula(
        x,
        y + 2 * x[:, :1],
        places=(1, 2),
    )
    beside = [
        torch.cat([torch.randn(500, k), side, torch.ones(500, 1)], 1)
        for k, side in ((1, x), (2, y))
    ]

    columns = copula.columns(*beside)
    assert all(torch.equal(a, b) for a, b in zip(columns, (x, y), strict=True))


@pytest.mark.parametrize("nats", [6, 8, 10])
def test_close_pair(nats):
    """A pair of many nats is within the form, beside one of few."""
    z, noise = torch.randn(2, 4000, 2)
    turn = torch.linalg.qr(torch.randn(2, 2))[0]
    x, y = z, (z + torch.tensor([math.exp(-nats), 1.0]) * noise) @ turn
    copula = EllipticalCopula(x, y, jointly=True)

    scores = copula(x.float(), y.float())
    assert scores.dtype == torch.float32
    assert float(scores.diagonal().mean()) == pytest.approx(nats + math.log(2) / 2, abs=0.1)
    assert math.isfinite(copula.shortfall)


def test_close_ranks():
    """Once two columns order all rows alike, ranks read a correlation of 1 − 10⁻⁶ and tell no more."""
    z = torch.randn(400, 1)
    x, y = (Rank(side)(side) for side in (z, z + 1e-6 * torch.randn(400, 1)))
    copula = EllipticalCopula(x, y)

    limit = -0.5 * math.log(2e-6)  # nats, and half a nat more on rows without any noise
    assert float(copula(x, y).diagonal().mean()) == pytest.approx(limit + 0.5, abs=0.1)
    assert copula.shortfall == math.inf


def test_copy():
    """A copy is beyond the form, and the verdict says so."""
    z = torch.randn(400, 2)
    assert EllipticalCopula(z, z, jointly=True).shortfall == math.inf
