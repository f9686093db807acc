"""What rounding may not do: padding that counts, gradients that vanish or turn to NaN, weights that do not sum to 1."""

import math

import pytest
import torch
from torch.testing import assert_close

import mi_estimators as mi

LOW = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])


@LOW
@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_padding(bound, dtype):
    """Padding has no part in the loss."""
    chosen = torch.tensor([0.3], dtype=dtype)
    rejected = torch.tensor([[0.1]], dtype=dtype)
    padded = torch.tensor([[0.1, 1e4]], dtype=dtype)
    mask = torch.tensor([[True, False]])
    loss = mi.preference_loss(chosen, padded, bound, mask=mask)
    assert_close(loss, mi.preference_loss(chosen, rejected, bound))


@LOW
def test_massless_atoms(dtype):
    """Atoms without mass have no part in DV and in starvation."""
    log_q = torch.tensor([0.5, 0.5, 0.0]).log().to(dtype)
    scores = torch.tensor([0.3, 1.7, 1e4], dtype=dtype)

    assert_close(
        mi.dv(scores[:1], scores, log_q=log_q),
        mi.dv(scores[:1], scores[:2], log_q=log_q[:2]),
    )
    assert_close(
        mi.starvation_index(scores, log_q),
        mi.starvation_index(scores[:2], log_q[:2]),
    )


@pytest.mark.parametrize(
    ("dtype", "margin"), [(torch.bfloat16, 6.0), (torch.float32, 17.0), (torch.float64, 40.0)]
)
@pytest.mark.parametrize("bound", ["dv", "infonce"])
def test_dpo_gradients(bound, dtype, margin):
    """DPO's gradients stay equal and opposite."""
    scores = torch.tensor([margin, 0.0], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        mi.preference_loss(scores[:1], scores[1:], bound).sum(), scores
    )
    expected = 1 / (1 + math.exp(margin))

    assert gradient.tolist() == pytest.approx(
        [-expected, expected], rel=4 * torch.finfo(dtype).eps ** 0.5
    )


@pytest.mark.parametrize(
    ("bound", "joint", "product"), [("nwj", 1.0, 100.0), ("chi2", 1.0, 60.0), ("chi2", 99.0, 99.0)]
)
def test_overflow(bound, joint, product):
    """Overflow is minus infinity and has no weights."""
    scores = (
        torch.tensor([0.0, joint], dtype=torch.float32),
        torch.tensor([0.0, product], dtype=torch.float32),
    )

    assert mi.BOUNDS[bound](*scores) == -math.inf
    with pytest.raises(
        ValueError, match=r"joint, product: expected scores whose .* value is finite"
    ):
        mi.score_weights(bound, *scores)


def test_reward_overflow():
    """A reward that overflows alone is no reason to report minus infinity."""
    scores = [torch.tensor([0.0, top], dtype=torch.float32) for top in (99.0, 1.0)]
    assert mi.BOUNDS["chi2"](*scores) == math.inf


@pytest.mark.parametrize("total", [1.001, 0.999])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_near_unit_weights(total, dtype):
    """Weights that nearly sum to one are refused."""
    log_weights = torch.tensor([0.5 * total, 0.5 * total], dtype=dtype).log()
    with pytest.raises(ValueError, match="log_q: expected log-weights with logsumexp 0"):
        mi.dv(
            torch.zeros(1, dtype=dtype),
            torch.zeros(2, dtype=dtype),
            log_q=log_weights,
        )
    table = torch.randn(100, 100, dtype=dtype).flatten().log_softmax(0).reshape(100, 100)
    assert mi.laws.Finite(table).mutual_information > 0  # what a log-softmax rounds off is accepted


@pytest.mark.parametrize(
    ("dtype", "m"), [(torch.bfloat16, 1000), (torch.float16, 4096), (torch.float32, 10**6)]
)
def test_dominant_score(dtype, m):
    """One dominant score is one effective sample."""
    scores = torch.zeros(m, dtype=dtype)
    scores[0] = 100
    assert float(mi.effective_sample_size(scores)) == pytest.approx(1, rel=0.02)
    assert 0 <= float(mi.starvation_index(torch.full((m,), 3.0, dtype=dtype))) < 0.02


def test_smile_clip():
    """SMILE clips at both ends, and by five nats."""
    joint, product = torch.zeros(1), torch.tensor([-20.0, 20.0])
    expected = -math.log((math.exp(-5) + math.exp(5)) / 2)
    assert float(mi.smile(joint, product)) == pytest.approx(expected)
    assert float(mi.smile(joint, product[:1], clip=2.0)) == pytest.approx(2.0)
    assert mi.smile(joint, product, clip=math.inf) == mi.dv(joint, product)


def test_gaussian_digits():
    """The Gaussian log-ratio keeps its digits at high information."""
    law = mi.laws.Gaussian.with_information(7.0)
    x, y = (v.double() for v in law.sample(100, torch.Generator().manual_seed(0)))
    rho = law.rho
    exponent = (rho**2 * (x**2 + y**2) - 2 * rho * x * y).sum(-1)
    exact = law.mutual_information - exponent / (2 * (1 - rho**2))

    assert_close(
        law.log_ratio(x, y),
        exact,
        rtol=1e-6,
        atol=1e-6,
    )

    mirrored = mi.laws.Gaussian(-rho).log_ratio(x, -y)
    assert_close(mirrored, law.log_ratio(x, y))
    assert mi.laws.Gaussian(0.9, 1000).chi2 == math.inf

    with pytest.raises(ValueError, match="nats: expected a number in"):
        mi.laws.Gaussian.with_information(20.0)


@pytest.mark.parametrize(
    "index", [torch.tensor([True, False]), torch.tensor([0.0, 1.0]), [0, 1], None]
)
def test_finite_indices(index):
    law = mi.laws.Finite(torch.full((2, 2), 0.25).log())
    with pytest.raises(ValueError, match="x: expected a tensor of integer indices"):
        law.log_ratio(index, torch.tensor([0, 1]))

    kinds = torch.tensor([1, 0], dtype=torch.uint8), torch.tensor([0, 1])
    assert law.log_ratio(*kinds).shape == (2,)

    with pytest.raises(ValueError, match="x, y: expected batch dimensions that broadcast"):
        law.log_ratio(torch.tensor([0, 1, 1]), torch.tensor([0, 1]))
