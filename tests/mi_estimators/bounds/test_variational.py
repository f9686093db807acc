"""The laws of the bounds, over tables of bounds × laws, exact on finite laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.bounds.variational import BOUNDS
from proofs.engine.rows import ROWS as PROVED

ROWS = sorted(mi.DIVERGENCES)


def random_law(seed: int, nx: int = 3, ny: int = 4) -> mi.laws.Finite:
    generator = torch.Generator().manual_seed(seed)
    return mi.laws.Finite(
        torch.randn(nx * ny, generator=generator, dtype=torch.float64)
        .mul(1.5)
        .log_softmax(0)
        .reshape(nx, ny)
    )


def random_critic(seed: int, law: mi.laws.Finite) -> torch.Tensor:
    return law.log_ratio_matrix + torch.randn(
        law.log_joint.shape,
        generator=torch.Generator().manual_seed(seed + 999),
        dtype=torch.float64,
    )


# The published divergences by brute force, from the proofs' rows: they share nothing with the bounds.
DIVERGENCE = {"dv": PROVED["nwj"].divergence} | {
    name: row.divergence for name, row in PROVED.items()
}
laws = pytest.mark.parametrize(
    "law", [random_law(s) for s in range(6)], ids=lambda law: f"I={law.mutual_information:.2f}"
)


@pytest.mark.parametrize("name", ROWS)
def test_penalty_slope_is_ratio_times_reward_slope(name):
    t = torch.linspace(-8, 8, 401, requires_grad=True)
    row = mi.DIVERGENCES[name]
    (reward,) = torch.autograd.grad(row.reward(t).sum(), t)
    (penalty,) = torch.autograd.grad((row.penalty(t) + 0 * t).sum(), t)
    torch.testing.assert_close(penalty, t.detach().exp() * reward, rtol=1e-12, atol=1e-12)
    assert (reward > 0).all()


@pytest.mark.parametrize("name", sorted(BOUNDS))
@laws
def test_tight_at_the_log_ratio_and_below_elsewhere(name, law):
    p, q = (log_law.exp().flatten().tolist() for log_law in (law.log_joint, law.log_product))
    exact = DIVERGENCE[name](p, q)
    assert float(law.exact(BOUNDS[name], law.log_ratio_matrix)) == pytest.approx(exact, rel=1e-12)
    for seed in range(5):
        assert law.exact(BOUNDS[name], random_critic(seed, law)) < exact


@pytest.mark.parametrize("name", ROWS)
@laws
def test_gradient_vanishes_at_the_log_ratio_only(name, law):
    for critic, stationary in ((law.log_ratio_matrix, True), (law.log_ratio_matrix + 0.1, False)):
        critic = critic.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(law.exact(BOUNDS[name], critic), critic)
        assert bool(gradient.abs().max() < 1e-12) is stationary


@laws
def test_order_nwj_dv_information(law):
    for seed in range(5):
        critic = random_critic(seed, law)
        nwj, dv = law.exact(mi.nwj, critic), law.exact(mi.dv, critic)
        assert nwj <= dv <= law.mutual_information
        shift = mi.log_mean_exp(critic.flatten(), law.log_product.flatten())
        torch.testing.assert_close(
            law.exact(mi.nwj, critic - shift), dv
        )  # DV is NWJ at its best shift


@laws
@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_only_dv_is_shift_invariant(name, law):
    critic = random_critic(0, law)
    same = torch.isclose(
        law.exact(BOUNDS[name], critic + 3), law.exact(BOUNDS[name], critic), rtol=1e-12, atol=1e-12
    )
    assert bool(same) is (name == "dv")


@laws
def test_dv_gap_is_the_divergence_to_the_tilted_law(law):
    critic, p, log_q = random_critic(1, law), law.log_joint.exp(), law.log_product
    log_tilted = (log_q + critic).flatten().log_softmax(0).reshape(critic.shape)
    gap = (p * (law.log_joint - log_tilted)).sum()
    torch.testing.assert_close(law.mutual_information - law.exact(mi.dv, critic), gap)


def test_additive_over_product_laws():
    first, second = random_law(1), random_law(2)
    n, m = first.log_joint.shape
    k, o = second.log_joint.shape
    both = mi.laws.Finite(
        (first.log_joint[:, None, :, None] + second.log_joint[None, :, None, :]).reshape(
            n * k, m * o
        )
    )
    assert both.mutual_information == pytest.approx(
        first.mutual_information + second.mutual_information, abs=1e-12
    )
    a, b = random_critic(0, first), random_critic(0, second)
    total = both.exact(mi.dv, (a[:, None, :, None] + b[None, :, None, :]).reshape(n * k, m * o))
    torch.testing.assert_close(total, first.exact(mi.dv, a) + second.exact(mi.dv, b))


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_permuting_and_repeating_samples_changes_nothing(name):
    joint, product = torch.randn(5), torch.randn(7)
    value = BOUNDS[name](joint, product)
    torch.testing.assert_close(
        BOUNDS[name](joint[torch.randperm(5)], product[torch.randperm(7)]), value
    )
    torch.testing.assert_close(BOUNDS[name](joint.repeat(3), product.repeat(2)), value)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_uniform_log_weights_are_no_weights_and_batches_are_rows(name):
    joint, product = torch.randn(4, 5), torch.randn(4, 7)
    value = BOUNDS[name](joint, product)
    weighted = BOUNDS[name](
        joint, product, torch.full((5,), -math.log(5)), torch.full((7,), -math.log(7))
    )
    torch.testing.assert_close(weighted, value)
    torch.testing.assert_close(
        value, torch.stack([BOUNDS[name](j, p) for j, p in zip(joint, product, strict=True)])
    )


@given(k=st.integers(1, 9), scale=st.floats(0, 50), seed=st.integers(0, 10**6))
def test_infonce_is_capped_by_ln_k_and_invariant_under_row_shifts(k, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(k, k, generator=generator)
    value = mi.infonce(scores)
    assert value <= math.log(k) + 1e-9
    torch.testing.assert_close(mi.infonce(scores + torch.randn(k, 1, generator=generator)), value)
    expected = (scores.diagonal() - scores.logsumexp(1) + math.log(k)).mean()
    torch.testing.assert_close(value, expected)


def test_infonce_row_weights_equal_repeated_rows():
    scores = torch.randn(2, 2)
    repeated = scores[[0, 1, 1]][:, [0, 1, 1]]
    torch.testing.assert_close(
        mi.infonce(scores, torch.tensor([1 / 3, 2 / 3]).log()), mi.infonce(repeated)
    )


def test_smile_tends_to_dv_and_can_exceed_the_information():
    law = random_law(3)
    critic = random_critic(0, law)
    args = dict(log_p=law.log_joint.flatten(), log_q=law.log_product.flatten())
    flat = critic.flatten()
    for clip in (50.0, math.inf):
        torch.testing.assert_close(
            mi.smile(flat, flat, clip=clip, **args), mi.dv(flat, flat, **args)
        )
    assert mi.smile(flat + 9, flat + 9, clip=1.0, **args) > law.mutual_information


@pytest.mark.parametrize("name", ["dv", "js"])
def test_float32_is_right_for_scores_of_ten_thousand(name):
    joint, product = torch.tensor([1e4, -1e4]), torch.tensor([1e4, -1e4, 9999.0])
    exact = BOUNDS[name](joint, product)
    single = [t.float().requires_grad_() for t in (joint, product)]
    value = BOUNDS[name](*single)
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=1e-6)
    assert all(g.isfinite().all() for g in torch.autograd.grad(value, single))


def test_dv_keeps_small_differences_of_large_scores_in_float32():
    joint = torch.tensor([10000.0], dtype=torch.float32)
    product = torch.tensor([10000.0, 9999.0], dtype=torch.float32)
    assert float(mi.dv(joint, product)) == pytest.approx(
        math.log(2) - math.log1p(math.exp(-1)), abs=1e-6
    )


def test_atoms_without_mass_do_not_count():
    joint, product = torch.tensor([0.3, 800.0]), torch.tensor([0.1, 900.0])
    log_p = torch.tensor([0.0, -math.inf])
    for name, bound in BOUNDS.items():
        scores = [joint.clone().requires_grad_(), product.clone().requires_grad_()]
        value = bound(*scores, log_p=log_p, log_q=log_p)
        torch.testing.assert_close(value, bound(joint[:1], product[:1]), msg=name)
        assert all(g.isfinite().all() for g in torch.autograd.grad(value, scores))


PAIR = (torch.zeros(3), torch.zeros(4))
BAD_CALLS = {
    "joint: expected a torch tensor": ([0.0], PAIR[1]),
    "joint: expected a floating-point tensor": (torch.zeros(3, dtype=torch.int64), PAIR[1]),
    "joint: expected at least 1 dimension": (torch.tensor(0.0), PAIR[1]),
    "joint: expected at least one entry": (torch.zeros(0), PAIR[1]),
    "product: expected at least one entry": (PAIR[0], torch.zeros(2, 0)),
    "joint: expected finite scores": (torch.tensor([0.0, math.nan]), PAIR[1]),
    "product: expected finite scores": (PAIR[0], torch.tensor([math.inf])),
    "joint, product: expected batch dimensions": (torch.zeros(2, 3), torch.zeros(5, 4)),
    "log_p: expected log-weights with logsumexp 0": (*PAIR, torch.zeros(3)),
    "log_q: expected log-weights for shape": (*PAIR, None, torch.zeros(3)),
    "log_q: expected log-weights with logsumexp": (*PAIR, None, torch.full((4,), math.nan)),
    "log_p: expected a torch tensor": (*PAIR, [0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("message", BAD_CALLS)
@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_bad_scores_are_refused_by_name(name, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        BOUNDS[name](*BAD_CALLS[message])


@pytest.mark.parametrize("clip", [0, -1.0, math.nan, "5"])
def test_smile_refuses_a_clip_that_is_not_positive(clip):
    with pytest.raises(ValueError, match="clip: expected a number"):
        mi.smile(*PAIR, clip=clip)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.zeros(3), "at least 2"),
        (torch.zeros(2, 3), "square"),
        (torch.full((2, 2), math.nan), "finite"),
    ],
)
def test_infonce_refuses_what_is_not_a_square_matrix_of_scores(scores, message):
    with pytest.raises(ValueError, match=f"scores: .*{message}"):
        mi.infonce(scores)


def test_mean_and_log_mean_exp_refuse_bad_weights_and_empty_values():
    for function in (mi.mean, mi.log_mean_exp):
        with pytest.raises(ValueError, match="values: expected at least one entry"):
            function(torch.zeros(0))
        with pytest.raises(ValueError, match="log_weights: expected log-weights with logsumexp 0"):
            function(torch.zeros(2), torch.tensor([0.5, 0.5]))
        with pytest.raises(ValueError, match="values: expected values without NaN"):
            function(torch.tensor([math.nan]))


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_bounds_work_inside_functional_transforms(name):
    joint, product = torch.randn(4, 5), torch.randn(4, 7)
    torch.testing.assert_close(
        torch.func.vmap(BOUNDS[name])(joint, product), BOUNDS[name](joint, product)
    )
    gradient = torch.func.vmap(torch.func.grad(BOUNDS[name]))(joint, product)
    torch.testing.assert_close(gradient, mi.score_weights(name, joint, product)[0])


def test_numpy_numbers_are_numbers():
    for number in (np.float32(0.5), np.float64(0.5)):
        assert mi.preference_anchor(number) == pytest.approx(mi.preference_anchor(0.5))
    assert mi.laws.Gaussian(np.float64(0.5), np.int64(3)).sample(np.int64(4))[0].shape == (4, 3)
