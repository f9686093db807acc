"""MINE's objective and the logistic one: value and gradient, their ends, and the arguments they refuse."""

import math
from functools import partial

import pytest
import torch
from torch.testing import assert_close

import mi_estimators as mi


def gradients(objective, *scores):
    return torch.autograd.grad(objective.sum(), scores)


def test_mine_gradient():
    """MINE has the value of DV, and the gradient of NWJ with a baseline."""
    joint = torch.randn(3, 5).requires_grad_()
    product = torch.randn(3, 7).requires_grad_()
    log_ema = torch.randn(3)
    objective, new = mi.mine(joint, product, log_ema, decay=0.9)

    assert_close(
        objective,
        mi.dv(joint, product),
        rtol=0,
        atol=0,
    )

    batch = product.detach().exp().mean(-1)
    assert_close(
        new,
        (0.9 * log_ema.exp() + 0.1 * batch).log(),
    )
    assert not new.requires_grad

    log_a = new.unsqueeze(-1)
    expected = gradients(mi.nwj(joint - log_a, product - log_a), joint, product)

    assert_close(gradients(objective, joint, product), expected)


@pytest.mark.parametrize("arguments", [{}, {"log_ema": torch.tensor(3.0), "decay": 0.0}])
def test_mine_start(arguments):
    joint = torch.randn(5).requires_grad_()
    product = torch.randn(7).requires_grad_()
    objective, new = mi.mine(joint, product, **arguments)

    assert_close(new, mi.log_mean_exp(product.detach()))
    assert_close(
        gradients(objective, joint, product), gradients(mi.dv(joint, product), joint, product)
    )


def test_bounded_weights():
    """The weights of the negatives are bounded in float32, whatever the past."""
    joint, product = (
        t.float().requires_grad_()
        for t in (torch.tensor([1e4, -1e4]), torch.tensor([1e4, -1e4, 0.0]))
    )

    for log_ema in (-1e4, 0.0, 1e4):
        objective, new = mi.mine(
            joint, product, torch.tensor(log_ema, dtype=torch.float32), decay=0.99
        )
        assert new.dtype == torch.float32
        assert objective == mi.dv(joint, product)
        _, negative = gradients(objective, joint, product)
        assert -100.1 < negative.sum() <= 0


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (r"decay: expected a number in \[0, 1\)", {"decay": 1.0}),
        ("decay: expected a number", {"decay": -0.1}),
        ("log_ema: expected finite", {"log_ema": torch.tensor(math.inf)}),
        ("log_ema: expected a torch tensor", {"log_ema": 0.0}),
        (r"log_ema: expected shape \(\), got \(3,\)", {"log_ema": torch.zeros(3)}),
    ],
)
def test_refusals(message, arguments):
    with pytest.raises(ValueError, match=message):
        mi.mine(torch.zeros(2), torch.zeros(2), **arguments)
    with pytest.raises(ValueError, match="product: expected at least one"):
        mi.mine(torch.zeros(2), torch.zeros(0))


LAW = mi.laws.Finite(
    torch.tensor([[0.4, 0.05, 0.05], [0.02, 0.3, 0.18]], dtype=torch.float64).log()
)


@pytest.mark.parametrize("odds", [0.1, 1.0, 7.0, 1e6])
def test_logistic_maximum(odds):
    """It is largest at the log-ratio, and there a divergence from the mixture of both laws."""
    p, q = LAW.log_joint.exp().flatten(), LAW.log_product.exp().flatten()
    mixture = (p + odds * q) / (1 + odds)
    divergence = (p * (p / mixture).log()).sum() + odds * (q * (q / mixture).log()).sum()

    scores = LAW.log_ratio_matrix.clone().requires_grad_()
    value = LAW.exact(partial(mi.bounds.logistic, odds=odds), scores)
    assert_close(value, divergence)

    (gradient,) = gradients(value, scores)
    assert gradient.abs().max() < 1e-9


def test_logistic_ends():
    """At odds of one it is `js`, and at large ones `nwj`."""
    joint, product = torch.randn(2, 50, dtype=torch.float64)
    assert_close(mi.bounds.logistic(joint, product, 1.0), mi.js(joint, product))
    assert_close(mi.bounds.logistic(joint, product, 1e7), mi.nwj(joint, product), rtol=0, atol=1e-5)


@pytest.mark.parametrize("odds", [0.0, -1.0, math.inf, math.nan])
def test_logistic_odds(odds):
    with pytest.raises(ValueError, match="odds: expected"):
        mi.bounds.logistic(torch.zeros(2), torch.zeros(2), odds)
