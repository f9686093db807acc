"""Preference losses against their formulas and against the bounds that they are."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators import preference_loss
from tests.mi_estimators.shared import refused, seeded


@given(
    mix=st.floats(0.01, 1.0),
    w=st.floats(-40, 40),
    l=st.lists(st.floats(-40, 40), min_size=1, max_size=4),
)
def test_js_family(mix, w, l):
    def sp(t):
        return max(t, 0) + math.log1p(math.exp(-abs(t)))

    pushed = sum(map(sp, l)) / len(l)
    expected = sp(-w) + (1 - mix) * sp(w) + mix * pushed
    loss = preference_loss(
        torch.tensor([w]),
        torch.tensor([l]),
        "js",
        mix,
    )

    assert float(loss) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("mix", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_cells(bound, mix):
    """Every cell is its constant minus the bound on the mixed law."""
    w, l = torch.randn(4, 1), torch.randn(4, 3)
    share = 3 / 4 if bound == "infonce" else mix
    log_q = torch.tensor([1 - share] + [share / 3] * 3).log()
    rows = {**mi.BOUNDS, "infonce": mi.dv}
    value = rows[bound](
        w,
        torch.cat([w, l], 1),
        log_q=log_q,
    )
    loss = preference_loss(w[:, 0], l, bound, mix)
    start = preference_loss(
        torch.zeros(1),
        torch.zeros(1, 3),
        bound,
        mix,
    )

    assert_close(loss, start - value)

    one = preference_loss(
        w[:, 0],
        l[:, :1],
        bound,
        mix,
    )
    assert_close(
        preference_loss(w[:, 0], l[:, 0], bound, mix),
        one,
    )
    assert float(start) == pytest.approx(
        {
            "js": 2 * math.log(2),
            "infonce": math.log(4),
            "dv": -math.log1p(-mix) if mix < 1 else 0,
        }.get(bound, 0)
    )


@given(
    mask=st.lists(st.booleans(), min_size=1, max_size=5).filter(any),
    filling=st.sampled_from([math.nan, math.inf, -math.inf, 1e300, 1e4, 0.0]),
    mix=st.sampled_from([0.3, 0.5, 1.0]),
    seed=st.integers(0, 10**6),
)
@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_masked_negatives(bound, mask, filling, mix, seed):
    """Masked negatives do not exist, whatever they are."""
    w, l = torch.randn(
        2,
        3,
        len(mask),
        generator=seeded(seed),
    )
    w, mask = w[:, 0].requires_grad_(), torch.tensor(mask)
    padded, short = (values.requires_grad_() for values in (l.where(mask, filling), l[:, mask]))

    loss = preference_loss(
        w,
        padded,
        bound,
        mix,
        mask=mask.expand(3, -1),
    )
    exact = preference_loss(w, short, bound, mix)

    assert_close(loss, exact)

    chosen, rejected = torch.autograd.grad(loss.sum(), (w, padded))
    expected = torch.autograd.grad(exact.sum(), (w, short))

    assert_close((chosen, rejected[:, mask]), expected)
    assert (rejected[:, ~mask] == 0).all()


@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_ragged_negatives(bound):
    """The number of negatives may differ between examples."""
    w, l = torch.randn(2), torch.randn(2, 3)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    loss = preference_loss(
        w,
        l.masked_fill(~mask, math.nan),
        bound,
        0.7,
        mask=mask,
    )
    assert_close(
        loss[:1],
        preference_loss(w[:1], l[:1, [0, 2]], bound, 0.7),
    )
    assert_close(
        loss[1:],
        preference_loss(w[1:], l[1:], bound, 0.7),
    )


def masked(mask):
    return partial(preference_loss, mask=torch.tensor(mask))


ONE = torch.zeros(2)
THREE = torch.zeros(2, 3)
BAD_CALLS = [
    ("bound: expected one of .* got 'ppo'", preference_loss, ONE, ONE, "ppo"),
    ("bound: expected one of", preference_loss, ONE, ONE, "smile"),
    (r"mix: expected a number in \(0, 1\], got 0", preference_loss, ONE, ONE, "js", 0),
    ("mix: expected", preference_loss, ONE, ONE, "js", 1.5),
    ("mix: expected", preference_loss, ONE, ONE, "js", math.nan),
    ("chosen: expected finite", preference_loss, torch.tensor([0.0, math.nan]), ONE),
    ("rejected: expected finite", preference_loss, ONE, torch.tensor([0.0, math.inf])),
    ("rejected: expected finite", masked([[True, False]] * 2), ONE, THREE[:, :2] + math.nan),
    ("rejected: expected shape", preference_loss, ONE, torch.zeros(3)),
    ("rejected: expected shape", preference_loss, ONE, torch.zeros(3, 2)),
    ("chosen: expected at least one entry", preference_loss, ONE[:0], ONE[:0]),
    ("rejected: expected at least one entry", preference_loss, ONE, THREE[:, :0]),
    ("mask: expected a bool tensor", partial(preference_loss, mask=THREE + 1), ONE, THREE),
    ("mask: expected a bool tensor", partial(preference_loss, mask=[[True] * 3] * 2), ONE, THREE),
    ("mask: expected a bool tensor", masked([[True] * 2] * 2), ONE, THREE),
    ("mask: expected at least one negative", masked([[False] * 3] * 2), ONE, THREE),
]
test_bad_calls = refused(BAD_CALLS)
