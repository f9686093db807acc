"""Read-outs of a trained critic: what each bounds, where it is exact, and its derivative, on exact laws."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi

READOUTS = {
    "plug_in": mi.bounds.plug_in,
    "club": mi.bounds.club,
    "jsd_certificate": mi.bounds.jsd_certificate,
    "bridge": mi.bounds.bridge,
}
readouts = pytest.mark.parametrize("name", READOUTS)


def random_law(seed: int, scale: float = 2.0) -> mi.laws.Finite:
    generator = torch.Generator().manual_seed(seed)
    return mi.laws.Finite(
        (scale * torch.randn(12, generator=generator, dtype=torch.float64))
        .log_softmax(0)
        .reshape(3, 4)
    )


def random_critic(seed: int, law: mi.laws.Finite, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 999)
    return law.log_ratio_matrix + scale * torch.randn(law.log_joint.shape, generator=generator)


laws = pytest.mark.parametrize(
    "law", [random_law(s) for s in range(4)], ids=lambda law: f"I={law.mutual_information:.2f}"
)


# What all of them keep.


@readouts
def test_readouts_stand_where_a_bound_stands(name):
    read = READOUTS[name]
    joint, product = torch.randn(4, 5), torch.randn(4, 7)
    value = read(joint, product)
    torch.testing.assert_close(
        value, torch.stack([read(j, p) for j, p in zip(joint, product, strict=True)])
    )
    torch.testing.assert_close(torch.func.vmap(read)(joint, product), value)
    weighted = read(joint, product, torch.full((5,), -math.log(5)), torch.full((7,), -math.log(7)))
    torch.testing.assert_close(weighted, value)
    torch.testing.assert_close(
        read(joint[:, torch.randperm(5)], product[:, torch.randperm(7)]), value
    )
    torch.testing.assert_close(read(joint.repeat(1, 3), product.repeat(1, 3)), value)
    mapped = torch.func.vmap(torch.func.grad(read))(joint, product)
    (gradient,) = torch.autograd.grad(read(joint.requires_grad_(), product).sum(), joint)
    torch.testing.assert_close(mapped, gradient)


@readouts
def test_derivatives_in_scores_and_weights_are_finite_differences(name):
    read = READOUTS[name]
    scores = [torch.randn(2, 4).add(1).requires_grad_(), torch.randn(2, 6).sub(1).requires_grad_()]
    logits = [torch.randn(4).requires_grad_(), torch.randn(2, 6).requires_grad_()]

    def value(joint, product, p, q):
        return read(joint, product, p.log_softmax(-1), q.log_softmax(-1))

    assert (value(*scores, *logits) != 0).all()
    assert torch.autograd.gradcheck(value, (*scores, *logits))


@readouts
def test_atoms_without_mass_do_not_count(name):
    joint, product = torch.tensor([2.3, 800.0]), torch.tensor([0.1, -900.0])
    log_p = torch.tensor([0.0, -math.inf])
    scores = [joint.requires_grad_(), product.requires_grad_()]
    value = READOUTS[name](*scores, log_p=log_p, log_q=log_p)
    torch.testing.assert_close(value, READOUTS[name](joint[:1], product[:1]))
    gradient = torch.autograd.grad(value, scores, materialize_grads=True)
    assert all(g.isfinite().all() for g in gradient)


@readouts
@pytest.mark.parametrize("sign", [1, -1])
def test_float32_is_right_for_scores_of_ten_thousand(name, sign):
    for joint, product in (
        ([1e4, 1e4], [-1e4, -1e4, -9999.0]),
        ([1e4, -1e4], [1e4, -1e4, 9999.0]),
        ([300.0], [-200.0]),
    ):
        joint, product = sign * torch.tensor(joint), sign * torch.tensor(product)
        exact = READOUTS[name](joint, product)
        single = [t.float().requires_grad_() for t in (joint, product)]
        value = READOUTS[name](*single)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=1e-6)
        gradient = torch.autograd.grad(value, single, materialize_grads=True)
        assert all(g.isfinite().all() for g in gradient)


@readouts
@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("joint: expected finite scores", (torch.tensor([0.0, math.nan]), torch.zeros(4))),
        ("joint: expected a torch tensor", ([0.0], torch.zeros(4))),
        ("joint: expected at least one entry", (torch.zeros(0), torch.zeros(4))),
        (
            "log_p: expected log-weights with logsumexp 0",
            (torch.zeros(3), torch.zeros(4), torch.zeros(3)),
        ),
        ("log_p: expected log-weights for shape", (torch.zeros(3), torch.zeros(4), torch.zeros(4))),
    ],
)
def test_bad_scores_are_refused_by_name(name, message, arguments):
    with pytest.raises(ValueError, match=message):
        READOUTS[name](*arguments)


@pytest.mark.parametrize("name", ["club", "jsd_certificate", "bridge"])
def test_bad_product_scores_are_refused_by_name(name):
    with pytest.raises(ValueError, match="product: expected finite scores"):
        READOUTS[name](torch.zeros(2), torch.tensor([math.inf]))
    with pytest.raises(ValueError, match="log_q: expected log-weights"):
        READOUTS[name](torch.zeros(2), torch.zeros(2), log_q=torch.zeros(2))


# plug_in and club.


@laws
def test_plug_in_is_dv_and_the_normaliser(law):
    for seed in range(3):
        critic = random_critic(seed, law)
        log_z = mi.log_mean_exp(critic.flatten(), law.log_product.flatten())
        torch.testing.assert_close(
            law.exact(mi.bounds.plug_in, critic), law.exact(mi.dv, critic) + log_z
        )
        assert law.exact(mi.bounds.plug_in, critic - log_z.clamp(min=0)) <= law.mutual_information
    assert (
        law.exact(mi.bounds.plug_in, critic + 9) > law.mutual_information
    )  # neither: it believes the critic
    assert float(law.exact(mi.bounds.plug_in, law.log_ratio_matrix)) == pytest.approx(
        law.mutual_information
    )
    joint = torch.randn(3)
    assert mi.bounds.plug_in(joint) == joint.mean()


@laws
def test_club_is_jeffreys_divergence_at_the_conditional_and_blind_to_the_marginals(law):
    p, q = law.log_joint.exp(), law.log_product.exp()
    jeffreys = ((p - q) * (p / q).log()).sum()
    conditional = law.log_joint - law.log_joint.logsumexp(1, keepdim=True)
    for critic in (
        law.log_ratio_matrix,
        conditional,
        law.log_ratio_matrix + torch.randn(3, 1) + torch.randn(1, 4),
    ):
        torch.testing.assert_close(law.exact(mi.bounds.club, critic), jeffreys)
    assert jeffreys > law.mutual_information
    assert law.exact(mi.bounds.club, -law.log_ratio_matrix) < 0  # a poor critic: no upper bound


@given(scale=st.floats(0, 2), seed=st.integers(0, 10**6))
def test_club_with_a_fitted_conditional_is_an_upper_bound_under_its_condition(scale, seed):
    law = random_law(seed)
    conditional = (
        law.log_joint + scale * torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    ).log_softmax(1)
    fitted = conditional + law.log_joint.logsumexp(1, keepdim=True)
    p, q = law.log_joint.exp(), law.log_product.exp()
    from_joint, from_product = (
        (p * (law.log_joint - fitted)).sum(),
        (q * (law.log_product - fitted)).sum(),
    )
    if from_joint <= from_product:
        assert law.exact(mi.bounds.club, conditional) >= law.mutual_information - 1e-12


def test_preference_without_the_mix_is_minus_club():
    chosen, rejected = torch.randn(4), torch.randn(4)
    loss = mi.preference_loss(chosen, rejected, "dv", 1.0)
    torch.testing.assert_close(loss, -mi.bounds.club(chosen.unsqueeze(-1), rejected.unsqueeze(-1)))


# jsd_certificate.


@pytest.mark.parametrize("q", [1.0, 0.999, 0.5, 0.1, 1e-3, 1e-9, 1e-60, 1e-300])
def test_the_certificate_inverts_the_curve_of_two_valued_ratios(q):
    k = -math.log(q)
    joint, product = torch.tensor([k]), torch.tensor([k, -1e4])
    log_q = torch.tensor([q, 1 - q]).log()
    assert float(mi.bounds.jsd_certificate(joint, product, log_q=log_q)) == pytest.approx(
        k, rel=1e-12, abs=1e-12
    )
    if q > 1e-12:  # the curve as it is published; below, 2 ln 2 − 2·JSD is lost in rounding
        terms = math.log(2 / (1 + q)), q * math.log(2 * q / (1 + q)), (1 - q) * math.log(2)
        assert float(mi.js(joint, product, log_q=log_q)) == pytest.approx(sum(terms), abs=1e-14)


@pytest.mark.parametrize("arc", [1, 2, 5, 11, 12])
def test_the_certificate_is_tight_on_laws_whose_ratio_takes_one_value(arc):
    table = sum(torch.eye(12).roll(k, 1) for k in range(arc))
    law = mi.laws.Finite((table / table.sum()).log())
    value = law.exact(mi.bounds.jsd_certificate, law.log_ratio_matrix.clamp(min=-1e4))
    assert float(value) == pytest.approx(law.mutual_information, abs=1e-12)


@given(
    shape=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    scale=st.floats(0.1, 20),
    noise=st.sampled_from([0.0, 0.0, 0.1, 3.0]),
    seed=st.integers(0, 10**6),
)
def test_the_certificate_never_exceeds_the_information(shape, scale, noise, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(64, shape[0] * shape[1], generator=generator)
    log_joint = logits.log_softmax(-1).reshape(64, *shape)
    log_product = log_joint.logsumexp(2, keepdim=True) + log_joint.logsumexp(1, keepdim=True)
    p, q, t = (t.flatten(1) for t in (log_joint, log_product, log_joint - log_product))
    critic = t + noise * torch.randn(t.shape, generator=generator)
    information = (p.exp() * t).sum(-1)
    value = mi.bounds.jsd_certificate(critic, critic, p, q.log_softmax(-1))
    assert (value <= information + 1e-11).all()
    assert (value >= 0).all()


def test_the_certificate_bounds_kl_for_any_two_laws():
    generator = torch.Generator().manual_seed(3)
    for spread in (0.1, 1.0, 3.0, 8.0):
        p, q = (spread * torch.randn(2, 5000, 3, generator=generator)).log_softmax(-1)
        kl = (p.exp() * (p - q)).sum(-1)
        assert (mi.bounds.jsd_certificate(p - q, p - q, p, q) <= kl + 1e-11).all()


def test_the_certificate_is_zero_where_js_says_nothing_and_has_the_slope_of_the_curve():
    joint, product = torch.tensor([-1.0], requires_grad=True), torch.tensor([0.5])
    value = mi.bounds.jsd_certificate(joint, product)
    assert value == 0
    assert torch.autograd.grad(value, joint)[0] == 0
    assert mi.bounds.jsd_certificate(torch.zeros(1), torch.zeros(1)) == pytest.approx(0, abs=1e-12)
    joint = torch.tensor([2.0], requires_grad=True)
    k, js = mi.bounds.jsd_certificate(joint, -joint), mi.js(joint, -joint)
    slope, k = torch.autograd.grad(k, joint)[0] / torch.autograd.grad(js, joint)[0], k.detach()
    assert float(slope) == pytest.approx(float(k.exp() / (1 + k.exp()).log()))
    small = torch.tensor([1e-3])
    assert float(mi.bounds.jsd_certificate(small, -small)) == pytest.approx(
        float(mi.js(small, -small)) / math.log(2), rel=1e-3
    )


# bridge.
