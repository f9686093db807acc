"""Bounds against the mixed product law: their inverse, and bounded critics."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.bounds import log_ratio_to_relative, relative, relative_to_log_ratio


def mixed_law(law: mi.laws.Finite, mix: float) -> torch.Tensor:
    return (1 - mix) * law.log_joint.exp() + mix * law.log_product.exp()


mixes = pytest.mark.parametrize("mix", [0.05, 0.5, 0.9, 1.0])


@mixes
@pytest.mark.parametrize("name", sorted(mi.BOUNDS))
def test_written_mixture(law, mix, name):
    """A relative bound is the bound on the written-out mixture."""
    critic = torch.randn(law.log_joint.shape)
    bound, log_mixed = mi.BOUNDS[name], mixed_law(law, mix).log()
    flat = critic.flatten()
    expected = bound(
        flat,
        flat,
        log_p=law.log_joint.flatten(),
        log_q=log_mixed.flatten(),
    )
    assert_close(law.exact(relative(bound, mix), critic), expected)


@mixes
@pytest.mark.parametrize("arc", [1, 2, 5])
def test_one_valued_ratio(mix, arc):
    """The inverse of the information is exact where the ratio takes one value."""
    table = sum(torch.eye(6).roll(k, 1) for k in range(arc))
    law = mi.laws.Finite((table / table.sum()).log())
    critic = log_ratio_to_relative(law.log_ratio_matrix, mix).clamp(min=-1e4)
    value = law.exact(relative(mi.dv, mix), critic)
    assert float(relative_to_log_ratio(value, mix)) == pytest.approx(law.mutual_information)


@given(t=st.floats(-1e4, 20), mix=st.floats(1e-3, 1.0))
def test_inverse_maps(t, mix):
    scores = torch.tensor(t, requires_grad=True)
    relative_scores = log_ratio_to_relative(scores, mix)

    assert relative_scores < mi.preference_anchor(mix)

    back = relative_to_log_ratio(relative_scores, mix)
    assert_close(back, scores, rtol=1e-9, atol=1e-6 if t > 10 else 1e-9)

    (gradient,) = torch.autograd.grad(back, scores)
    assert float(gradient) == pytest.approx(1, rel=1e-5)

    (slope,) = torch.autograd.grad(log_ratio_to_relative(scores, mix), scores)
    assert 0 < slope <= 1  # the share of Q in Q_α at that point


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_scores(dtype):
    scores = torch.tensor(
        [-math.inf, -1e4, 0.0, 1e4, math.inf],
        dtype=dtype,
        requires_grad=True,
    )
    value = log_ratio_to_relative(scores, 0.5)
    expected = torch.tensor(
        [-math.inf, -1e4 + math.log(2), 0.0, math.log(2), math.log(2)], dtype=dtype
    )

    assert_close(value, expected)

    (gradient,) = torch.autograd.grad(value[1:4].sum(), scores)
    assert gradient.isfinite().all()
    assert_close(log_ratio_to_relative(scores, 1.0), scores)

    low = torch.tensor(
        [-math.inf, -1e4, 0.0],
        dtype=dtype,
        requires_grad=True,
    )
    value = relative_to_log_ratio(low, 0.5)

    assert_close(
        value,
        torch.tensor([-math.inf, -1e4 - math.log(2), 0.0], dtype=dtype),
    )

    (gradient,) = torch.autograd.grad(value[1:].sum(), low)
    assert gradient.isfinite().all()
    assert_close(relative_to_log_ratio(low, 1.0), low)


def test_batches_and_weights():
    """Batches, weights and samples go together."""
    joint, product = torch.randn(4, 5), torch.randn(3, 1, 7)
    log_p = torch.randn(5).log_softmax(0)
    log_q = torch.randn(4, 7).log_softmax(-1)
    value = relative(mi.js, 0.3)(joint, product, log_p, log_q)

    assert value.shape == (3, 4)

    one = relative(mi.js, 0.3)(
        joint[2],
        product[1, 0],
        log_p,
        log_q[2],
    )
    assert_close(value[1, 2], one)

    uniform = relative(mi.nwj, 0.3)(
        joint,
        product[0, 0],
        torch.full((5,), -math.log(5)),
    )
    assert_close(
        relative(mi.nwj, 0.3)(joint, product[0, 0]),
        uniform,
    )

    mapped = torch.func.vmap(relative(mi.dv, 0.3))(joint, product.expand(3, 4, 7)[0])
    assert_close(
        mapped,
        relative(mi.dv, 0.3)(joint, product[0]),
    )


def test_relative_ceiling():
    """A sampled relative DV cannot exceed its ceiling, where a plain one does."""
    joint, product = 50 + torch.randn(20), -50 + torch.randn(30)
    assert relative(mi.dv, 0.5)(joint, product) <= math.log(2) + 1e-12
    assert mi.dv(joint, product) > 90


@pytest.mark.parametrize("mix", [0, -0.1, 1.1, math.nan, "half"])
def test_mix_range(mix):
    """A mix outside the unit interval is refused."""
    zero = torch.zeros(2)
    for call in (
        lambda: relative(mi.dv, mix),
        lambda: log_ratio_to_relative(zero, mix),
        lambda: relative_to_log_ratio(zero, mix),
    ):
        with pytest.raises(ValueError, match="mix: expected a number in"):
            call()


def test_bad_scores():
    with pytest.raises(ValueError, match="joint: expected finite"):
        relative(mi.dv, 0.5)(torch.tensor([math.nan]), torch.zeros(2))
    with pytest.raises(ValueError, match="log_q: expected log-weights with logsumexp 0"):
        relative(mi.dv, 0.5)(
            torch.zeros(2),
            torch.zeros(2),
            log_q=torch.zeros(2),
        )

    for function in (log_ratio_to_relative, relative_to_log_ratio):
        with pytest.raises(ValueError, match="scores: expected values without NaN"):
            function(torch.tensor(math.nan), 0.5)
        with pytest.raises(ValueError, match="scores: expected at least one entry"):
            function(torch.zeros(0), 0.5)

    for score in (math.log(2), 5.0, math.inf):
        with pytest.raises(
            ValueError, match=r"scores: expected log-ratios below −ln\(1 − mix\) = 0.693147"
        ):
            relative_to_log_ratio(torch.tensor(score), 0.5)
