"""Bennett's acceptance ratio: where it is exact, its limits, and its equation at any scores."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.bounds import bridge


@pytest.mark.parametrize("log_odds", [-30.0, -1.0, 0.0, 2.0, 30.0])
def test_exact_bridge(law, random_critic, log_odds):
    """The bridge is exact at the log-ratio plus any constant, for any odds."""
    at_odds = partial(bridge, log_odds=log_odds)
    for shift in (0.0, 7.0, -1e4):
        value = law.exact(at_odds, law.log_ratio_matrix + shift)
        assert float(value) == pytest.approx(law.mutual_information, abs=1e-9)

    critic = random_critic(0, law)
    assert_close(*(law.exact(at_odds, critic + shift) for shift in (0.0, 5.0)))


def test_odds_limits(law, random_critic):
    """The bridge tends to DV and to its reverse."""
    for seed in range(3):
        critic = random_critic(seed, law).flatten()
        weights = dict(log_p=law.log_joint.flatten(), log_q=law.log_product.flatten())
        for log_odds in (40.0, 1e4):
            assert_close(
                bridge(critic, critic, **weights, log_odds=log_odds),
                mi.dv(critic, critic, **weights),
            )
            reverse = mi.mean(critic, weights["log_p"]) + mi.log_mean_exp(-critic, weights["log_p"])
            assert_close(bridge(critic, critic, **weights, log_odds=-log_odds), reverse)


def test_default_odds():
    """The default odds are the sample sizes."""
    joint, product = torch.randn(3), torch.randn(12)
    assert bridge(joint, product) == bridge(joint, product, log_odds=math.log(4))


@pytest.mark.parametrize("log_ratio_of_sizes", [-1.0, 0.0, 2.0])
def test_least_variance(random_law, log_ratio_of_sizes):
    """The odds of the sample sizes have the least variance."""
    law = random_law(1)
    critic = law.log_ratio_matrix.flatten()
    log_p, log_q = (w.flatten().clone().requires_grad_() for w in (law.log_joint, law.log_product))

    def variance(log_odds):
        c = mi.bounds.plug_in(critic, log_p=log_p) - bridge(
            critic, critic, log_p, log_q, log_odds=log_odds
        )

        total = 0.0
        for gradient, weights, size in zip(
            torch.autograd.grad(c, (log_p, log_q)),
            (log_p, log_q),
            (1.0, math.exp(log_ratio_of_sizes)),
            strict=True,
        ):
            mass = weights.detach().exp()
            influence = gradient / mass
            centred = influence - (mass * influence).sum()
            total += float((mass * centred**2).sum()) / size

        return total

    least = variance(log_ratio_of_sizes)
    assert all(variance(log_ratio_of_sizes + d) > least for d in (-3.0, -0.3, 0.3, 3.0))


@given(
    n=st.integers(1, 12),
    m=st.integers(1, 12),
    scale=st.floats(-2, 4),
    log_odds=st.floats(-40, 40),
    spread=st.sampled_from([0.0, 1.0, 100.0]),
    seed=st.integers(0, 10**6),
)
def test_shift_equation(n, m, scale, log_odds, spread, seed):
    """The shift solves Bennett's equation, whatever the scores."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((16, n), (16, m))
    joint, product = (
        (10**scale * torch.randn(s, generator=generator)).clamp(-1e4, 1e4) for s in sizes
    )
    log_p, log_q = ((spread * torch.randn(s, generator=generator)).log_softmax(-1) for s in sizes)
    value = bridge(joint, product, log_p, log_q, log_odds=log_odds)
    shift = mi.mean(joint, log_p) - value
    lowest, highest = (
        torch.cat([joint, product], -1).amin(-1),
        torch.cat([joint, product], -1).amax(-1),
    )

    assert (
        (shift >= lowest - 1e-9 * (1 + lowest.abs()))
        & (shift <= highest + 1e-9 * (1 + highest.abs()))
    ).all()

    def excess(c):
        accepted = torch.nn.functional.logsigmoid(product - c.unsqueeze(-1) - log_odds)
        missed = torch.nn.functional.logsigmoid(c.unsqueeze(-1) + log_odds - joint)
        return log_odds + mi.log_mean_exp(accepted, log_q) - mi.log_mean_exp(missed, log_p)

    # The sign changes across the shift, to the rounding of the equation itself.
    step = 1e-8 * (1 + shift.abs())

    assert (excess(shift - step) > -1e-10).all()
    assert (excess(shift + step) < 1e-10).all()


@pytest.mark.parametrize("log_odds", [math.inf, -math.inf, math.nan, "0", True])
def test_refused_odds(log_odds):
    with pytest.raises(ValueError, match="log_odds: expected a number"):
        bridge(torch.zeros(2), torch.zeros(2), log_odds=log_odds)
