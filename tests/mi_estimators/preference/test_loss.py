"""Preference losses against the formulas published for them, and the constants of the theory."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid

import mi_estimators as mi

# Published formulas, of T = βz. sp(t) = −ln σ(−t).
PUBLISHED = {
    # Rafailov et al. 2023, eq. 7
    ("dv", 0.5): lambda w, l: -logsigmoid(w - l),
    # linear: DV without the half-mix
    ("dv", 1.0): lambda w, l: l - w,
    # Chen et al. 2024, pairwise NCA: −ln σ(r_w) − ½ ln σ(−r_w) − ½ ln σ(−r_l)
    ("js", 0.5): lambda w, l: -logsigmoid(w) - 0.5 * logsigmoid(-w) - 0.5 * logsigmoid(-l),
    # binary cross-entropy
    ("js", 1.0): lambda w, l: -logsigmoid(w) - logsigmoid(-l),
    # Plackett–Luce with two candidates is Bradley–Terry
    ("infonce", 0.5): lambda w, l: -logsigmoid(w - l),
}


@given(pairs=st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60)), min_size=1, max_size=8))
@pytest.mark.parametrize("cell", PUBLISHED, ids=str)
def test_cells_are_their_published_formulas(cell, pairs):
    chosen, rejected = torch.tensor(pairs).T
    loss = mi.preference_loss(chosen, rejected, *cell)
    torch.testing.assert_close(loss, PUBLISHED[cell](chosen, rejected), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        mi.preference_loss(chosen, rejected[:, None], *cell), loss, rtol=0, atol=0
    )


def test_dil_unnormalised_kl_is_nwj_without_the_mix():
    w, l = torch.randn(2, 9)
    loss = mi.preference_loss(w, l, "nwj", 1.0)
    torch.testing.assert_close(loss, -w + l.exp() - 1)  # Xiao et al. 2025, up to the constant


@given(
    mix=st.floats(0.01, 1.0),
    w=st.floats(-40, 40),
    l=st.lists(st.floats(-40, 40), min_size=1, max_size=4),
)
def test_js_family_with_k_negatives_of_equal_weight(mix, w, l):
    def sp(t):
        return max(t, 0) + math.log1p(math.exp(-abs(t)))

    expected = sp(-w) + (1 - mix) * sp(w) + mix * sum(map(sp, l)) / len(l)
    loss = mi.preference_loss(torch.tensor([w]), torch.tensor([l]), "js", mix)
    assert float(loss) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_infonce_is_plackett_luce_and_dv_at_its_mix(k):
    w, l = torch.randn(7), torch.randn(7, k)
    expected = -torch.cat([w[:, None], l], 1).log_softmax(1)[:, 0]
    torch.testing.assert_close(
        mi.preference_loss(w, l, "infonce"), expected, rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        mi.preference_loss(w, l, "dv", k / (k + 1)), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("mix", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_every_cell_is_its_constant_minus_the_bound_on_the_mixed_law(bound, mix):
    w, l = torch.randn(4, 1), torch.randn(4, 3)
    share = 3 / 4 if bound == "infonce" else mix
    log_q = torch.tensor([1 - share] + [share / 3] * 3).log()
    rows = {**mi.BOUNDS, "infonce": mi.dv}
    value = rows[bound](w, torch.cat([w, l], 1), log_q=log_q)
    loss = mi.preference_loss(w[:, 0], l, bound, mix)
    start = mi.preference_loss(torch.zeros(1), torch.zeros(1, 3), bound, mix)
    torch.testing.assert_close(loss, start - value)
    assert float(start) == pytest.approx(
        {
            "js": 2 * math.log(2),
            "infonce": math.log(4),
            "dv": -math.log1p(-mix) if mix < 1 else 0,
        }.get(bound, 0)
    )


@pytest.mark.parametrize("bound", mi.preference.PREFERENCE_BOUNDS)
def test_masked_negatives_do_not_exist(bound):
    w, l = torch.randn(2), torch.randn(2, 3)
    mask = torch.tensor([[True, False, True], [True, True, True]])
    l = l.masked_fill(~mask, 1e4).requires_grad_()
    loss = mi.preference_loss(w, l, bound, 0.7, mask=mask)
    torch.testing.assert_close(loss[:1], mi.preference_loss(w[:1], l[:1, [0, 2]], bound, 0.7))
    torch.testing.assert_close(loss[1:], mi.preference_loss(w[1:], l[1:], bound, 0.7))
    (gradient,) = torch.autograd.grad(loss.sum(), l)
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()


@pytest.mark.parametrize("mix", [0.25, 0.5, 0.9, 1.0])
def test_gradients_and_hessian_of_the_js_family(mix):
    w, l = torch.randn(2, 6).requires_grad_().unbind()
    gw, gl = torch.autograd.grad(mi.preference_loss(w, l, "js", mix).sum(), (w, l))
    torch.testing.assert_close(gw, (2 - mix) * w.sigmoid() - 1)
    torch.testing.assert_close(gl, mix * l.sigmoid())


def test_mio_first_gradient_is_half_of_dpos():
    zero = torch.zeros(2, requires_grad=True)
    dpo, mio = (
        torch.autograd.grad(mi.preference_loss(zero[:1], zero[1:], bound).sum(), zero)[0]
        for bound in ("dv", "js")
    )
    torch.testing.assert_close(dpo, 2 * mio)


def test_dpo_has_a_flat_direction_and_mio_has_none():
    def loss(bound):
        return lambda z: mi.preference_loss(z[:1], z[1:], bound).sum()

    z = torch.tensor([0.3, -0.8])
    common = torch.ones(2)
    dpo, mio = (torch.autograd.functional.hessian(loss(bound), z) for bound in ("dv", "js"))
    assert (dpo @ common).abs().max() < 1e-12
    assert torch.linalg.eigvalsh(mio).min() > 0.05
    torch.testing.assert_close(
        mio, torch.diag(torch.tensor([1.5, 0.5]) * z.sigmoid() * (1 - z.sigmoid()))
    )


# The interval to all digits that a double has.
INTERVALS = {
    0.25: (-0.652991, 1.271780),
    0.5: (-0.854526701159521, 2.54621524878583),
    0.75: (-0.992030, 5.525294),
    0.9: (-1.058704, 13.862933),
    1.0: (-math.log(3), math.inf),
}


@pytest.mark.parametrize("mix", INTERVALS)
def test_no_collapse_interval(mix):
    assert mi.no_collapse_interval(mix) == pytest.approx(INTERVALS[mix], abs=6e-7)


@given(mix=st.floats(0.001, 0.999))
def test_anchor_floor_and_interval_belong_to_one_convex_function(mix):
    def chosen_term(u):
        return float(mi.preference_loss(torch.tensor([u]), torch.tensor([-1e4]), "js", mix))

    anchor, (low, high) = mi.preference_anchor(mix), mi.no_collapse_interval(mix)
    assert low < anchor < high
    assert chosen_term(anchor) == pytest.approx(mi.preference_loss_floor(mix), abs=1e-9)
    assert chosen_term(low) == pytest.approx(2 * math.log(2), abs=1e-9)
    assert chosen_term(high) == pytest.approx(2 * math.log(2), abs=1e-9)


def test_mio_floor_and_anchor():
    assert mi.preference_loss_floor(0.5) == pytest.approx(math.log(3 * math.sqrt(3) / 2), abs=1e-15)
    assert mi.preference_anchor(0.5) == pytest.approx(math.log(2), abs=1e-15)
    assert mi.preference_loss_floor(1.0) == 0
    assert mi.preference_anchor(1.0) == math.inf


ONE = torch.zeros(2)
BAD_CALLS = [
    ("bound: expected one of .* got 'ppo'", (ONE, ONE, "ppo"), {}),
    ("bound: expected one of", (ONE, ONE, "smile"), {}),
    (r"mix: expected a number in \(0, 1\], got 0", (ONE, ONE, "js", 0), {}),
    ("mix: expected", (ONE, ONE, "js", 1.5), {}),
    ("mix: expected", (ONE, ONE, "js", math.nan), {}),
    ("chosen: expected finite", (torch.tensor([0.0, math.nan]), ONE), {}),
    ("rejected: expected finite", (ONE, torch.tensor([0.0, math.inf])), {}),
    ("rejected: expected shape", (ONE, torch.zeros(3)), {}),
    ("rejected: expected shape", (ONE, torch.zeros(3, 2)), {}),
    ("chosen: expected at least one entry", (torch.zeros(0), torch.zeros(0)), {}),
    ("rejected: expected at least one entry", (ONE, torch.zeros(2, 0)), {}),
    ("mask: expected a bool tensor", (ONE, torch.zeros(2, 3)), {"mask": torch.ones(2, 3)}),
    ("mask: expected a bool tensor", (ONE, torch.zeros(2, 3)), {"mask": [[True] * 3] * 2}),
    (
        "mask: expected a bool tensor",
        (ONE, torch.zeros(2, 3)),
        {"mask": torch.ones(2, 2, dtype=torch.bool)},
    ),
    (
        "mask: expected at least one negative",
        (ONE, torch.zeros(2, 3)),
        {"mask": torch.zeros(2, 3, dtype=torch.bool)},
    ),
]


@pytest.mark.parametrize(("message", "args", "kwargs"), BAD_CALLS)
def test_bad_calls_are_refused_by_name(message, args, kwargs):
    with pytest.raises(ValueError, match=message):
        mi.preference_loss(*args, **kwargs)


@pytest.mark.parametrize(
    "function", [mi.preference_anchor, mi.preference_loss_floor, mi.no_collapse_interval]
)
@pytest.mark.parametrize("mix", [0, -0.5, 1.0001, math.nan, "half", None, True])
def test_constants_refuse_a_mix_outside_the_unit_interval(function, mix):
    with pytest.raises(ValueError, match="mix: expected a number in"):
        function(mix)
