"""Preference losses beside the table, against their published formulas written out independently."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.preference import ALTERNATIVES, bco, dpop, kto


def sigma(t):
    if t >= 0:
        return 1 / (1 + math.exp(-t))
    return math.exp(t) / (1 + math.exp(t))


def sp(t):
    return max(t, 0) + math.log1p(math.exp(-abs(t)))


# Of one pair (a batch of one, which is KTO's batch too).
PUBLISHED = {
    "ipo": lambda w, l, b: (w - l - 0.5 / b) ** 2,
    "kto": lambda w, l, b: (
        (1 - sigma(b * w - max(0, b * (w + l) / 2))) + (1 - sigma(max(0, b * (w + l) / 2) - b * l))
    ),
    "bco": lambda w, l, b: sp(-b * w) + sp(b * l),
    "cal_dpo": lambda w, l, b: sp(l - w) + (w - 0.5 / b) ** 2 + (l + 0.5 / b) ** 2,
    "dpop": lambda w, l, b: sp(-b * (w - l - 50 * max(0, -w))),
    "dpo_sft": lambda w, l, b: sp(b * (l - w)) - w,
    "sft": lambda w, l, b: -w,
}
# (∂/∂z_w, ∂/∂z_l) at z = 0
SLOPE = {
    "ipo": lambda b: (-1 / b, 1 / b),
    "kto": lambda b: (-b / 4, b / 4),
    "bco": lambda b: (-b / 2, b / 2),
    "cal_dpo": lambda b: (-0.5 - 1 / b, 0.5 + 1 / b),
    "dpop": lambda b: (-b / 2, b / 2),
    "dpo_sft": lambda b: (-b / 2 - 1, b / 2),
    "sft": lambda b: (-1.0, 0.0),
}


def slopes(name, w, l, beta, **kwargs):
    z = torch.tensor([[w], [l]], requires_grad=True)
    loss = ALTERNATIVES[name](z[0], z[1], beta, **kwargs)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    return gradient.flatten().tolist()


def test_table():
    for published in (PUBLISHED, SLOPE):
        assert set(published) == set(ALTERNATIVES), "expected a formula and a slope of each loss"

    for name, row in ALTERNATIVES.items():
        assert row.name == name
        assert getattr(mi.preference, name) is row.function
        assert row.start(0.3) == pytest.approx(PUBLISHED[name](0, 0, 0.3))


@given(w=st.floats(-40, 40), l=st.floats(-40, 40), beta=st.floats(0.01, 5))
@pytest.mark.parametrize(
    "name", [row.name for row in ALTERNATIVES.values() if row.floor is not None]
)
def test_floors(name, w, l, beta):
    """No loss is below its floor."""
    row = ALTERNATIVES[name]
    assert row(torch.tensor([w]), torch.tensor([l]), beta).item() >= row.floor


@given(w=st.floats(-40, 40), l=st.floats(-40, 40), beta=st.floats(0.01, 5))
@pytest.mark.parametrize("name", PUBLISHED)
def test_formulas(name, w, l, beta):
    loss = ALTERNATIVES[name](
        torch.tensor([w]),
        torch.tensor([l]),
        beta,
    )
    assert loss.item() == pytest.approx(PUBLISHED[name](w, l, beta), rel=1e-9, abs=1e-12)


@given(beta=st.floats(0.01, 5))
@pytest.mark.parametrize("name", PUBLISHED)
def test_start(name, beta):
    assert slopes(name, 0.0, 0.0, beta) == pytest.approx(SLOPE[name](beta))


@given(w=st.floats(-3, 3), l=st.floats(-3, 3))
@pytest.mark.parametrize("name", ["kto", "bco", "dpop", "dpo_sft", "sft"])
def test_pull_and_push(name, w, l):
    """The chosen is pulled up and the rejected pushed down."""
    own, other = slopes(name, w, l, 0.5)
    assert own < 0
    assert other > 0 or (name == "sft" and other == 0)


def test_bco():
    """BCO is the logistic cell, and its shift moves the threshold."""
    w, l = torch.randn(2, 5)
    assert_close(
        bco(w, l, 0.3),
        mi.preference_loss(0.3 * w, 0.3 * l, "js", 1.0),
    )
    assert_close(
        bco(w, l, 1.0, shift=0.7),
        bco(w - 0.7, l - 0.7, 1.0),
    )

    shift = torch.tensor(0.2, requires_grad=True)
    assert not bco(w, l, 1.0, shift=shift).requires_grad


def test_kto_reference():
    """KTO's reference point is the batch's mean reward, not below zero, and passes no gradient."""
    w = torch.tensor([[1.0, 3.0], [-1.0, -3.0]])
    l = torch.tensor([[0.0, 2.0], [0.0, -2.0]])
    by_hand = torch.tensor([[0.5 * 1.5], [0.0]])
    loss = kto(w, l, 0.5)

    expected = 2 - (0.5 * w - by_hand).sigmoid() - (by_hand - 0.5 * l).sigmoid()
    assert_close(loss, expected)
    assert_close(
        loss,
        kto(w, l, 0.5, reference_point=by_hand),
    )

    z = w.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(kto(z, l, 0.5).sum(), z)
    s = (0.5 * w - by_hand).sigmoid()

    assert_close(gradient, -0.5 * s * (1 - s))


def test_dpop():
    """DPOP is DPO above the reference, and lifts harder below it."""
    w, l = torch.rand(5), torch.randn(5)
    assert_close(
        dpop(w, l, 0.7),
        -logsigmoid(0.7 * (w - l)),
    )
    own, other = slopes("dpop", -0.01, 0.0, 0.7, weight=9.0)
    assert own == pytest.approx(-10 * other)


def test_betas():
    """One beta for each replica."""
    w = torch.randn(3, 4)
    l = torch.randn(3, 4)
    beta = torch.tensor([[0.1], [0.5], [2.0]])
    for function in ALTERNATIVES.values():
        rows = torch.stack([function(w[k], l[k], float(beta[k])) for k in range(3)])
        assert_close(function(w, l, beta), rows)


ONE, TWO = torch.zeros(1), torch.zeros(2)
BAD_CALLS = [
    ("chosen: expected finite", ONE + math.nan, ONE, 0.1),
    ("rejected: expected finite", ONE, ONE + math.inf, 0.1),
    (r"rejected: expected shape \(2,\), got \(3,\)", TWO, torch.zeros(3), 0.1),
    ("chosen: expected at least one entry", ONE[:0], ONE[:0], 0.1),
    (r"beta: expected a number in \(0, inf\), got 0", TWO, TWO, 0),
    ("beta: expected positive numbers", TWO[:, None], TWO[:, None], torch.tensor([[0.1], [-1.0]])),
    ("beta: expected finite", TWO, TWO, torch.tensor(math.nan)),
    ("chosen, beta: expected batch dimensions", TWO, TWO, torch.ones(3)),
]


@pytest.mark.parametrize(("message", "chosen", "rejected", "beta"), BAD_CALLS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_bad_calls(name, message, chosen, rejected, beta):
    with pytest.raises(ValueError, match=message):
        ALTERNATIVES[name](chosen, rejected, beta)


@pytest.mark.parametrize("name", ["cal_dpo", "dpop", "dpo_sft"])
def test_weights(name):
    with pytest.raises(ValueError, match="weight: expected a number in"):
        ALTERNATIVES[name](ONE, ONE, 0.1, weight=-1.0)


def test_kto_batch():
    with pytest.raises(ValueError, match="chosen: expected at least 1 dimension"):
        kto(torch.tensor(0.0), torch.tensor(0.0), 0.1)
