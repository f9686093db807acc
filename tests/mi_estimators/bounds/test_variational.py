"""Laws of every bound and read-out: exact on finite laws, derivatives, weights, rounding, refusals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.bounds.variational import BOUNDS
from proofs.engine.rows import ROWS as PROVED

READOUTS = {
    name: getattr(mi.bounds, name) for name in ("plug_in", "club", "jsd_certificate", "bridge")
}
FUNCTIONS = {**BOUNDS, **READOUTS}
functions = pytest.mark.parametrize("name", FUNCTIONS)

# The published divergences by brute force, from the proofs' rows: they share nothing with the bounds.
DIVERGENCE = {"dv": PROVED["nwj"].divergence} | {
    name: row.divergence for name, row in PROVED.items()
}


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_tightness(name, law, random_critic):
    """A bound is tight at the log-ratio and below elsewhere."""
    p, q = (log_law.exp().flatten().tolist() for log_law in (law.log_joint, law.log_product))
    exact = DIVERGENCE[name](p, q)
    value = float(law.exact(BOUNDS[name], law.log_ratio_matrix))
    assert value == pytest.approx(exact, rel=1e-12)
    for seed in range(5):
        assert law.exact(BOUNDS[name], random_critic(seed, law)) < exact


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_shift_invariance(name, law, random_critic):
    """Only DV is shift-invariant."""
    critic = random_critic(0, law)
    same = torch.isclose(
        law.exact(BOUNDS[name], critic + 3),
        law.exact(BOUNDS[name], critic),
        rtol=1e-12,
        atol=1e-12,
    )
    assert bool(same) is (name == "dv")


@functions
def test_batches_and_order(name):
    """A bound takes batches, weights, samples in any order, and functional transforms."""
    function = FUNCTIONS[name]
    joint, product = torch.randn(4, 5), torch.randn(4, 7)
    value = function(joint, product)

    assert_close(
        torch.stack(list(map(function, joint, product))),
        value,
    )
    assert_close(torch.func.vmap(function)(joint, product), value)

    uniform = torch.full((5,), -math.log(5)), torch.full((7,), -math.log(7))
    assert_close(function(joint, product, *uniform), value)

    shuffled = joint[:, torch.randperm(5)], product[:, torch.randperm(7)]
    assert_close(function(*shuffled), value)
    assert_close(
        function(joint.repeat(1, 3), product.repeat(1, 3)),
        value,
    )

    mapped = torch.func.vmap(torch.func.grad(function))(joint, product)
    (gradient,) = torch.autograd.grad(function(joint.requires_grad_(), product).sum(), joint)

    assert_close(mapped, gradient)


@functions
def test_derivatives(name):
    """Derivatives in scores and weights are finite differences."""
    scores = [torch.randn(2, 4).add(1).requires_grad_(), torch.randn(2, 6).sub(1).requires_grad_()]
    logits = [torch.randn(4).requires_grad_(), torch.randn(2, 6).requires_grad_()]

    def value(joint, product, p, q):
        return FUNCTIONS[name](
            joint,
            product,
            p.log_softmax(-1),
            q.log_softmax(-1),
        )

    assert (value(*scores, *logits) != 0).all()
    assert torch.autograd.gradcheck(value, (*scores, *logits))


@pytest.mark.parametrize("name", ["dv", "js", *READOUTS])
@pytest.mark.parametrize("sign", [1, -1])
def test_float32_scores(name, sign):
    """Scores of ten thousand are right in float32."""
    for joint, product in (
        ([1e4, 1e4], [-1e4, -1e4, -9999.0]),
        ([1e4, -1e4], [1e4, -1e4, 9999.0]),
        ([300.0], [-200.0]),
    ):
        joint, product = sign * torch.tensor(joint), sign * torch.tensor(product)
        single = [t.float().requires_grad_() for t in (joint, product)]
        value = FUNCTIONS[name](*single)
        assert value.dtype == torch.float32
        exact = FUNCTIONS[name](joint, product)
        assert_close(value.double(), exact, rtol=1e-6, atol=1e-6)
        gradient = torch.autograd.grad(value, single, materialize_grads=True)
        assert all(g.isfinite().all() for g in gradient)


@given(k=st.integers(1, 9), scale=st.floats(0, 50), seed=st.integers(0, 10**6))
def test_infonce_ceiling(k, scale, seed):
    """InfoNCE is capped by ln K and invariant under row shifts."""
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(k, k, generator=generator)
    value = mi.infonce(scores)

    assert value <= math.log(k) + 1e-9
    shift = torch.randn(k, 1, generator=generator)
    assert_close(mi.infonce(scores + shift), value)

    expected = (scores.diagonal() - scores.logsumexp(1) + math.log(k)).mean()
    assert_close(value, expected)


def test_infonce_weights():
    """Weights of rows equal repeated rows."""
    scores = torch.randn(2, 2)
    repeated = scores[[0, 1, 1]][:, [0, 1, 1]]
    assert_close(
        mi.infonce(scores, torch.tensor([1 / 3, 2 / 3]).log()),
        mi.infonce(repeated),
    )


def test_dv_differences():
    """DV keeps small differences of large scores in float32."""
    joint = torch.tensor([10000.0], dtype=torch.float32)
    product = torch.tensor([10000.0, 9999.0], dtype=torch.float32)
    assert float(mi.dv(joint, product)) == pytest.approx(
        math.log(2) - math.log1p(math.exp(-1)), abs=1e-6
    )


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (name, message)
        for name in FUNCTIONS
        for message in BAD_CALLS
        if name != "plug_in" or message.startswith(("joint: ", "log_p: "))  # all that it reads
    ],
)
def test_bad_scores(name, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        FUNCTIONS[name](*BAD_CALLS[message])


@pytest.mark.parametrize("clip", [0, -1.0, math.nan, "5"])
def test_smile_clip(clip):
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
def test_infonce_shape(scores, message):
    with pytest.raises(ValueError, match=f"scores: .*{message}"):
        mi.infonce(scores)


def test_bad_weights():
    """`mean` and `log_mean_exp` refuse bad weights and empty values."""
    for function in (mi.mean, mi.log_mean_exp):
        with pytest.raises(ValueError, match="values: expected at least one entry"):
            function(torch.zeros(0))
        with pytest.raises(ValueError, match="log_weights: expected log-weights with logsumexp 0"):
            function(torch.zeros(2), torch.tensor([0.5, 0.5]))
        with pytest.raises(ValueError, match="values: expected values without NaN"):
            function(torch.tensor([math.nan]))


def test_numpy_numbers():
    for number in (np.float32(0.5), np.float64(0.5)):
        assert mi.preference_anchor(number) == pytest.approx(mi.preference_anchor(0.5))
    law = mi.laws.Gaussian(np.float64(0.5), np.int64(3))
    assert law.sample(np.int64(4))[0].shape == (4, 3)
