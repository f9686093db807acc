"""Exact laws against quadrature and enumeration; weights, effective sample sizes and gradients against theory §2."""

import math

import numpy as np
import pytest
import torch

import mi_estimators as mi
from mi_estimators.bounds.scores import joint_and_product
from mi_estimators.estimation.critics import Separable


def test_gaussian_check_values():
    law = mi.laws.Gaussian(0.6, dim=1)
    assert law.mutual_information == pytest.approx(0.223144, abs=5e-7)
    assert law.chi2 == pytest.approx(0.5625, abs=1e-12)
    assert law.log_ratio_variance == pytest.approx(0.36, abs=1e-12)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.6])
def test_gaussian_moments_of_the_log_ratio_by_quadrature(rho):
    law = mi.laws.Gaussian(rho)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    u, v = torch.as_tensor(np.stack(np.meshgrid(nodes, nodes, indexing="ij")))
    weight = torch.as_tensor(np.outer(weights, weights) / (2 * math.pi))
    y = rho * u + math.sqrt(1 - rho**2) * v  # (u, y) ~ P when (u, v) are independent normals
    log_ratio = law.log_ratio(u.unsqueeze(-1), y.unsqueeze(-1))
    mean = (weight * log_ratio).sum()
    assert float(mean) == pytest.approx(law.mutual_information, abs=1e-12)
    assert float((weight * (log_ratio - mean) ** 2).sum()) == pytest.approx(
        law.log_ratio_variance, abs=1e-10
    )
    under_q = law.log_ratio(u.unsqueeze(-1), v.unsqueeze(-1))
    assert float((weight * under_q.exp()).sum()) == pytest.approx(1, abs=1e-6)


def test_gaussian_samples_have_their_correlation_and_are_reproducible():
    law = mi.laws.Gaussian(0.8, dim=3)
    x, y = law.sample(20_000, torch.Generator().manual_seed(1))
    assert x.shape == y.shape == (20_000, 3)
    np.testing.assert_allclose(
        np.corrcoef(x.T, y.T), np.kron([[1, 0.8], [0.8, 1]], np.eye(3)), atol=0.03
    )
    again = law.sample(20_000, torch.Generator().manual_seed(1))
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])


@pytest.mark.parametrize("nats", [0.0, 0.5, 2.0, 10.0])
def test_gaussian_with_information(nats):
    assert mi.laws.Gaussian.with_information(nats, dim=20).mutual_information == pytest.approx(
        nats, abs=1e-12
    )


def test_finite_law_against_enumeration():
    p = np.array([[0.3, 0.0, 0.1], [0.05, 0.35, 0.2]])
    law = mi.laws.Finite(torch.tensor(p).log())
    q = np.outer(p.sum(1), p.sum(0))
    assert law.mutual_information == pytest.approx(
        sum(a * math.log(a / b) for a, b in zip(p.flat, q.flat, strict=True) if a), abs=1e-14
    )
    assert law.chi2 == pytest.approx(((p - q) ** 2 / q).sum(), abs=1e-12)
    assert law.log_ratio(torch.tensor([0, 1]), torch.tensor([1, 2])).tolist() == pytest.approx(
        [-math.inf, math.log(0.2 / (0.6 * 0.3))]
    )
    x, y = law.sample(50_000, torch.Generator().manual_seed(0))
    counts = np.zeros_like(p)
    np.add.at(counts, (x.numpy(), y.numpy()), 1 / 50_000)
    np.testing.assert_allclose(counts, p, atol=0.01)


WEIGHTS = {
    "dv": (lambda t: torch.ones_like(t) / len(t), lambda t: -t.softmax(0)),
    "nwj": (lambda t: torch.ones_like(t) / len(t), lambda t: -t.exp() / len(t)),
    "js": (lambda t: (-t).sigmoid() / len(t), lambda t: -t.sigmoid() / len(t)),
}


@pytest.mark.parametrize("bound", WEIGHTS)
def test_score_weights_are_the_table(bound):
    joint, product = torch.randn(5), torch.randn(9)
    positive, negative = mi.score_weights(bound, joint, product)
    torch.testing.assert_close(positive, WEIGHTS[bound][0](joint))
    torch.testing.assert_close(negative, WEIGHTS[bound][1](product))


def test_score_weights_of_infonce():
    joint, product = torch.randn(5), torch.randn(5, 9)
    positive, negative = mi.score_weights("infonce", joint, product)
    w = torch.cat([joint[:, None], product], 1).softmax(1)
    torch.testing.assert_close(positive, (1 - w[:, 0]) / 5)
    torch.testing.assert_close(negative, -w[:, 1:] / 5)


@pytest.mark.parametrize("bound", [*mi.BOUNDS, "smile"])
def test_score_weights_leave_their_arguments_alone_and_work_under_no_grad(bound):
    joint, product = torch.randn(3), torch.randn(4)
    with torch.no_grad():
        positive, negative = mi.score_weights(bound, joint, product)
    assert positive.shape == joint.shape
    assert negative.shape == product.shape
    assert not joint.requires_grad


def test_effective_sample_size_by_its_definition():
    scores = torch.randn(3, 50)
    w = scores.softmax(-1)
    torch.testing.assert_close(mi.effective_sample_size(scores), 1 / (w**2).sum(-1))
    torch.testing.assert_close(mi.starvation_index(scores), 1 - 1 / (w**2).sum(-1) / 50)
    torch.testing.assert_close(
        mi.effective_sample_size(scores + 1e4), mi.effective_sample_size(scores)
    )


@pytest.mark.parametrize("seed", range(4))
def test_population_starvation_at_the_log_ratio_is_chi2(seed):
    table = (
        torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
        .flatten()
        .log_softmax(0)
        .reshape(4, 5)
    )
    law = mi.laws.Finite(table)
    index = mi.starvation_index(law.log_ratio_matrix.flatten(), law.log_product.flatten())
    assert float(index) == pytest.approx(law.chi2 / (1 + law.chi2), abs=1e-12)
    assert 1 - float(index) <= math.exp(-law.mutual_information)


def test_gaussian_effective_sample_fraction_is_exp_minus_two_information():
    law = mi.laws.Gaussian(
        0.3
    )  # E_Q r⁴ is finite only for ρ < 1/3: beyond, sample moments of r² do not settle
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 400_000, 1, generator=generator)
    fraction = 1 - float(mi.starvation_index(law.log_ratio(x, y)))
    assert fraction == pytest.approx(math.exp(-2 * law.mutual_information), rel=0.01)


def test_nwj_variance_at_the_log_ratio():
    law, n = mi.laws.Gaussian(0.3), 64  # ρ < 1/3, so that the sample variance of r settles
    generator = torch.Generator().manual_seed(0)
    x, y = law.sample(20_000 * n, generator)
    joint = law.log_ratio(x, y).reshape(-1, n)
    product = law.log_ratio(x, torch.randn(x.shape, generator=generator)).reshape(-1, n)
    measured = n * float(mi.nwj(joint, product).var())
    assert measured == pytest.approx(law.log_ratio_variance + law.chi2, rel=0.05)


def test_joint_and_product_split_a_matrix():
    matrix = torch.randn(2, 6, 6)
    joint, product = joint_and_product(matrix)
    off = ~torch.eye(6, dtype=torch.bool)
    assert torch.equal(joint, torch.stack([m.diagonal() for m in matrix]))
    assert torch.equal(product, torch.stack([m[off] for m in matrix]))


@pytest.mark.parametrize("bound", ["dv", "nwj", "js"])
def test_gradient_statistics_against_a_loop(bound):
    x, y = mi.laws.Gaussian(0.7, 2).sample(96)
    critic = Separable(2, 2, hidden=8, zero_start=False)
    found = mi.gradient_statistics(mi.BOUNDS[bound], critic, x, y, batch_size=16)
    gradients = []
    for a, b in zip(x.split(16), y.split(16), strict=True):
        value = mi.BOUNDS[bound](*joint_and_product(critic(a, b)))
        gradients.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(value, list(critic.parameters()))])
        )
    stacked = torch.stack(gradients)
    norm, trace = float(stacked.mean(0).norm()), float(torch.cov(stacked.T).trace())
    assert (found.mean_norm, found.trace_covariance) == pytest.approx((norm, trace))
    assert (found.snr, found.noise_scale, found.batches) == pytest.approx(
        (
            norm / trace**0.5,
            16 * trace / (norm**2 - trace / 6),
            6,
        )
    )


BAD_CALLS = [
    ("rho: expected a number in", lambda: mi.laws.Gaussian(1.0)),
    ("dim: expected an integer", lambda: mi.laws.Gaussian(0.5, 0)),
    ("nats: expected a number in", lambda: mi.laws.Gaussian.with_information(-1.0)),
    ("n: expected an integer", lambda: mi.laws.Gaussian(0.5).sample(0)),
    (
        "x: expected last dimension 2",
        lambda: mi.laws.Gaussian(0.5, 2).log_ratio(torch.zeros(3), torch.zeros(2)),
    ),
    ("log_joint: expected a matrix", lambda: mi.laws.Finite(torch.zeros(1, 1, 1))),
    ("log_joint: expected log-weights with logsumexp 0", lambda: mi.laws.Finite(torch.zeros(2, 2))),
    ("critic: expected", lambda: mi.laws.Finite(torch.zeros(1, 1)).exact(mi.dv, torch.zeros(2, 1))),
    (
        "y: expected integer indices",
        lambda: mi.laws.Finite(torch.zeros(1, 1)).log_ratio(torch.tensor(0), torch.tensor(1)),
    ),
    ("bound: expected one of", lambda: mi.score_weights("club", torch.zeros(2), torch.zeros(2))),
    (
        "product: expected shape",
        lambda: mi.score_weights("infonce", torch.zeros(2), torch.zeros(3)),
    ),
    (
        "joint: expected finite",
        lambda: mi.score_weights("dv", torch.full((2,), math.nan), torch.zeros(3)),
    ),
    ("scores: expected finite", lambda: mi.effective_sample_size(torch.full((2,), math.inf))),
    ("scores: expected at least one", lambda: mi.starvation_index(torch.zeros(0))),
    ("log_q: expected log-weights", lambda: mi.starvation_index(torch.zeros(2), torch.zeros(2))),
    (
        "x, y: expected paired rows",
        lambda: mi.gradient_statistics(
            mi.dv, Separable(1, 1), torch.zeros(9, 1), torch.zeros(9, 1)
        ),
    ),
]


@pytest.mark.parametrize(("message", "call"), BAD_CALLS, ids=[message for message, _ in BAD_CALLS])
def test_bad_calls_are_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()
