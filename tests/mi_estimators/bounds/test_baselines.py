"""What a baseline changes: the interpolated bound, over every batch of a small law."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

import mi_estimators as mi
from mi_estimators.bounds import interpolated
from mi_estimators.bounds.scores import joint_and_product
from tests.mi_estimators.shared import refused, seeded


def all_batches(
    law: mi.laws.Finite, critic: torch.Tensor, n: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the score matrices (B, n, n) of every batch of n pairs, its probability (B,), and its x (B, n)."""
    ny = law.log_joint.shape[1]
    support = (law.log_joint.flatten() > -math.inf).nonzero().flatten().tolist()
    atoms = torch.tensor(list(itertools.product(support, repeat=n)))
    x, y = atoms // ny, atoms % ny
    mass = law.log_joint.flatten()[atoms].sum(1).exp()
    return critic[x.unsqueeze(2), y.unsqueeze(1)], mass, x


def test_best_baseline(law, random_critic):
    """NWJ with a baseline is below the information, and best at the normaliser of each x."""
    for seed in range(5):
        critic = random_critic(seed, law)
        log_a = torch.randn(law.log_joint.shape[0], 1)
        value = law.exact(mi.nwj, critic - log_a)
        assert value <= law.mutual_information
        # There it is the DV bound of every x, at least DV itself.
        best = (critic + law.log_joint.logsumexp(0)).logsumexp(1, keepdim=True)
        assert law.exact(mi.nwj, critic - best) >= max(value, law.exact(mi.dv, critic))


def test_flo_baseline():
    """FLO is NWJ with the baseline of the row's positive."""
    scores, u = torch.randn(6, 6), torch.randn(6)  # u(x_i, y_i)
    off = ~torch.eye(6, dtype=torch.bool)
    exponents = -u[:, None] + scores - scores.diagonal()[:, None]
    ratio = exponents.exp()[off].reshape(6, 5)
    flo = 1 - u.mean() - ratio.mean()  # Guo et al. 2022
    log_a = (scores.diagonal() + u)[:, None]

    assert_close(mi.nwj(*joint_and_product(scores - log_a)), flo)


# The definition, one candidate set at a time; shares nothing with the shipped code.
def interpolated_by_definition(scores, alpha, log_a, weights):
    n = len(scores)
    pairs = {(i, j): weights[i] * weights[j] for i in range(n) for j in range(n) if i != j}

    total, value = sum(pairs.values()), 1.0
    for (i, j), weight in pairs.items():

        def baseline(left_out, i=i):
            kept = [k for k in range(n) if k != left_out]
            terms = [weights[k] * math.exp(scores[i][k]) for k in kept]
            m = sum(terms) / sum(weights[k] for k in kept)
            return alpha * m + (1 - alpha) * math.exp(log_a[i])

        reward = scores[i][i] - math.log(baseline(j))
        penalty = math.exp(scores[i][j]) / baseline(i)
        value += weight / total * (reward - penalty)

    return value


@given(
    n=st.integers(2, 5), alpha=st.floats(0, 1), scale=st.floats(0, 6), seed=st.integers(0, 10**6)
)
def test_interpolated_definition(n, alpha, scale, seed):
    generator = seeded(seed)
    scores = scale * torch.randn(n, n, generator=generator)
    log_a, log_weights = torch.randn(2, n, generator=generator)
    log_weights = log_weights.log_softmax(0)
    value = interpolated(scores, alpha, log_a, log_weights)
    expected = interpolated_by_definition(
        scores.tolist(), alpha, log_a.tolist(), log_weights.exp().tolist()
    )

    assert float(value) == pytest.approx(expected, rel=1e-10, abs=1e-10)

    uniform = torch.full((n,), -math.log(n))
    assert_close(
        interpolated(scores, alpha),
        interpolated(scores, alpha, 0 * log_a, uniform),
    )


@pytest.mark.parametrize("n", [2, 3])
def test_interpolated_expectation(law, random_critic, n):
    for seed in range(3):
        critic = random_critic(seed, law, scale=seed / 2)
        scores, probability, x = all_batches(law, critic, n)
        log_a = torch.randn(law.log_joint.shape[0])
        value = {
            a: (probability * interpolated(scores, a, log_a[x])).sum()
            for a in (0, 0.1, 0.5, 0.9, 1)
        }

        assert all(v <= law.mutual_information + 1e-12 for v in value.values())

        exact = law.exact(mi.nwj, critic - log_a[:, None])
        assert_close(value[0], exact)  # unbiased

        fewer, fewer_probability, _ = all_batches(law, critic, n - 1)
        assert_close(
            value[1],
            (fewer_probability * mi.infonce(fewer)).sum(),
        )


def test_kept_positive():
    """Keeping every candidate for the positive is not a bound."""
    law = mi.laws.Finite(torch.tensor([[0.499, 0.001], [0.001, 0.499]]).log())
    scores, probability, _ = all_batches(law, law.log_ratio_matrix, 3)
    alpha, off = 0.5, ~torch.eye(3, dtype=torch.bool)
    with_all = scores.exp().mean(-1)
    without = (scores.exp() * off).sum(-1) / 2
    reward = scores.diagonal(dim1=1, dim2=2) - (alpha * with_all + (1 - alpha)).log()
    false = 1 + (reward - without / (alpha * without + 1 - alpha)).mean(-1)

    assert (probability * false).sum() > law.mutual_information
    assert (probability * interpolated(scores, alpha)).sum() < law.mutual_information


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_large_scores(alpha):
    scores = torch.tensor([[1e4, 9999.0, -1e4], [-1e4, 1e4, 9998.0], [1e4, -1e4, 9999.5]])
    log_a = torch.tensor([9999.0, 1e4, 9998.5])
    single = scores.float().requires_grad_()
    value = interpolated(single, alpha, log_a.float())

    assert_close(
        value.double(),
        interpolated(scores, alpha, log_a),
        rtol=1e-5,
        atol=1e-5,
    )

    (gradient,) = torch.autograd.grad(value, single)
    assert gradient.isfinite().all()

    bound = interpolated(2 * single, max(alpha, 0.1))
    (extreme,) = torch.autograd.grad(bound, single)
    assert extreme.isfinite().all()


def test_derivatives():
    scores = torch.randn(4, 4, 4).requires_grad_()
    log_a = torch.randn(4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, a: interpolated(s, 0.3, a), (scores, log_a))

    logits = torch.zeros(4, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda w: interpolated(scores[0].detach(), 0.3, None, w.log_softmax(0)), logits
    )

    slope = torch.func.grad(lambda s: interpolated(s, 0.3))
    mapped = torch.func.vmap(slope)(scores.detach())
    bounds = interpolated(scores, 0.3)
    (gradient,) = torch.autograd.grad(bounds.sum(), scores)

    assert_close(mapped, gradient)


SCORES = torch.zeros(2, 2)
test_bad_calls = refused(
    [
        ("scores: expected square matrices of at least 2 rows", interpolated, SCORES[:1], 0.5),
        ("scores: expected square matrices of at least 2 rows", interpolated, SCORES[:1, :1], 0.5),
        ("scores: expected at least 2 dim", interpolated, torch.zeros(3), 0.5),
        ("scores: expected finite", interpolated, SCORES + math.nan, 0.5),
        (r"alpha: expected a number in \[0, 1\]", interpolated, SCORES, 1.1),
        ("alpha: expected a number", interpolated, SCORES, math.nan),
        (
            "log_baseline: expected a shape that broadcasts",
            *(interpolated, SCORES, 0.5, torch.zeros(3)),
        ),
        (
            "log_weights: expected log-weights with logsumexp 0",
            *(interpolated, SCORES, 0.5, None, torch.zeros(2)),
        ),
        (
            "log_weights: expected log-weights for shape",
            *(interpolated, SCORES, 0.5, None, torch.zeros(3)),
        ),
        (
            "log_weights: expected mass on at least two rows",
            *(interpolated, SCORES, 0.5, None, torch.tensor([0.0, 1]).log()),
        ),
    ]
)
