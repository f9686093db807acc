"""The bias of the minibatch gradient, sampled and exact."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

import mi_estimators as mi
from mi_estimators.bounds.scores import joint_and_product
from mi_estimators.diagnostics.bias import exact_minibatch_bias, minibatch_bias

OBJECTIVES = {"dv": mi.dv, **mi.DIVERGENCES, "infonce": mi.infonce, "smile": mi.smile}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, rho: float = 0.6, dim: int = 2, seed: int = 0):
    return mi.laws.Gaussian(rho, dim).sample(n, seeded(seed))


def value(name: str, scores: torch.Tensor) -> torch.Tensor:
    return mi.infonce(scores) if name == "infonce" else OBJECTIVES[name](*joint_and_product(scores))


def gradient(name: str, critic: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the plain gradient by autograd, flat."""
    return torch.cat(
        [
            g.flatten()
            for g in torch.autograd.grad(value(name, critic(x, y)), list(critic.parameters()))
        ]
    )


class Quadratic(nn.Module):
    """T = θ·(xy, x² − 1, y² − 1): a critic with three parameters."""

    def __init__(self, *theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, x, y):
        parts = torch.stack(torch.broadcast_tensors(x * y.mT, x**2 - 1, (y**2 - 1).mT), -1)
        return parts @ self.theta


UNBIASED = sorted(mi.DIVERGENCES)  # sums over positives and negatives
NORMALISED = ("dv", "infonce")  # normalised within the minibatch


class Table(nn.Module):
    """The tabular critic of a finite law, on one-hot rows."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, x, y):
        return x @ self.table @ y.mT


def finite_law(seed: int, nx: int = 2, ny: int = 3) -> tuple[mi.laws.Finite, torch.Tensor]:
    law = mi.laws.Finite(
        torch.randn(nx * ny, generator=seeded(seed)).log_softmax(0).reshape(nx, ny)
    )
    return law, law.log_ratio_matrix + torch.randn(nx, ny, generator=seeded(seed + 99))


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", UNBIASED)
def test_sums_over_positives_and_negatives_have_no_bias(name, seed, size):
    found = exact_minibatch_bias(OBJECTIVES[name], *finite_law(seed), batch_size=size)
    assert found.relative < 1e-12
    assert found.cosine == pytest.approx(1, abs=1e-12)
    assert (found.noise, found.along_stderr, found.batches) == (0, 0, 6**size)


@pytest.mark.parametrize("seed", range(6))
def test_donsker_varadhan_is_biased_and_less_so_in_larger_minibatches(seed):
    law, critic = finite_law(seed)
    bias = [
        exact_minibatch_bias(mi.dv, law, critic, batch_size=size).relative for size in (2, 3, 4, 5)
    ]
    assert all(larger < smaller for smaller, larger in pairwise(bias))
    assert bias[-1] > 1e-3


def test_donsker_varadhan_is_unbiased_at_a_constant_critic():
    """Only there: all weights of the softmax are alike, whichever negatives were drawn."""
    law, _ = finite_law(0)
    assert exact_minibatch_bias(mi.dv, law, torch.full((2, 3), 4.0)).relative < 1e-12


def test_exact_bias_against_a_loop_over_minibatches():
    law, critic = finite_law(1)
    critic.requires_grad_()
    expected = torch.zeros(2, 3)
    for i in range(6):
        for j in range(6):
            x, y = torch.tensor([i // 3, j // 3]), torch.tensor([i % 3, j % 3])
            (own,) = torch.autograd.grad(mi.dv(*joint_and_product(critic[x][:, y])), critic)
            expected += (law.log_joint.flatten()[i] + law.log_joint.flatten()[j]).exp() * own
    (full,) = torch.autograd.grad(law.exact(mi.dv, critic), critic)
    found = exact_minibatch_bias(mi.dv, law, critic.detach())
    assert found.relative == pytest.approx(float((expected - full).norm() / full.norm()))
    assert found.along == pytest.approx(float(((expected - full) * full).sum() / full.norm() ** 2))
    cosine = float((expected * full).sum() / expected.norm() / full.norm())
    assert found.cosine == pytest.approx(cosine)


def test_sampled_bias_tends_to_the_exact_one():
    law, critic = finite_law(2)
    x, y = law.sample(1000, seeded())
    one_hot = torch.eye(2)[x], torch.eye(3)[y]
    empirical = torch.zeros(2, 3).index_put((x, y), torch.tensor(1 / 1000), accumulate=True)
    exact = exact_minibatch_bias(mi.dv, mi.laws.Finite(empirical.log()), critic)
    found = minibatch_bias(
        mi.dv, Table(critic), *one_hot, batch_size=2, batches=4000, generator=seeded(1)
    )
    # Rows are drawn without replacement and pairs of a row with itself left out: an effect of order 1/1000.
    assert found.along == pytest.approx(
        exact.along, abs=4 * found.along_stderr + 0.005 * abs(exact.along)
    )
    assert found.relative == pytest.approx(exact.relative, abs=4 * found.noise)
    assert exact.relative > 8 * found.noise  # the test can tell


@pytest.mark.parametrize("name", ["nwj", "js", "dv", "infonce"])
def test_sampled_bias_stands_out_of_the_noise_where_there_is_one(name):
    critic, (x, y) = Quadratic(0.5, -0.1, -0.1), rows(200, rho=0.8, dim=1)
    found = minibatch_bias(
        OBJECTIVES[name], critic, x, y, batch_size=4, batches=1000, generator=seeded()
    )
    assert found.batches == 1000
    if name in NORMALISED:
        assert found.relative > 3 * found.noise
    else:
        assert found.relative < 2.5 * found.noise
        assert abs(found.along) < 3 * found.along_stderr
        assert found.cosine > 1 - 3 * found.noise**2


def test_minibatch_bias_against_a_loop():
    critic, (x, y) = Quadratic(0.5, -0.1, -0.1), rows(20, dim=1)
    found = minibatch_bias(mi.dv, critic, x, y, batch_size=5, batches=37, generator=seeded())
    generator = seeded()
    batches = [torch.randperm(20, generator=generator)[:5] for _ in range(37)]
    stacked = torch.stack([gradient("dv", critic, x[b], y[b]) for b in batches])
    full = gradient("dv", critic, x, y)
    apart, norm = stacked.mean(0) - full, float(full.norm())
    assert found.relative == pytest.approx(float(apart.norm()) / norm)
    assert found.noise == pytest.approx(float((stacked.var(0).sum() / 37).sqrt()) / norm)
    assert found.along == pytest.approx(float(apart @ full) / norm**2)
    assert found.along_stderr == pytest.approx(float((stacked @ full).std()) / 37**0.5 / norm**2)
    assert found.cosine == pytest.approx(
        float(torch.cosine_similarity(stacked.mean(0), full, dim=0))
    )


def test_the_whole_sample_as_a_minibatch_has_no_bias():
    critic, (x, y) = Quadratic(0.5, -0.1, -0.1), rows(10, dim=1)
    found = minibatch_bias(mi.dv, critic, x, y, batch_size=10, batches=3)
    assert found.relative < 1e-12
    assert found.noise < 1e-12


def flat(joint, product, log_p=None, log_q=None):
    return 0 * joint.sum(-1)


X, CRITIC, LAW = torch.zeros(6, 1), Quadratic(0.1, 0.1, 0.1), finite_law(0)
BAD_CALLS = [
    ("x: expected finite", lambda: minibatch_bias(mi.dv, CRITIC, X + math.nan, X)),
    ("y: expected finite", lambda: minibatch_bias(mi.dv, CRITIC, X, X + math.nan)),
    ("x, y: expected at least 2 paired", lambda: minibatch_bias(mi.dv, CRITIC, X, X[:3])),
    (
        "batch_size: expected an integer of at most 6",
        lambda: minibatch_bias(mi.dv, CRITIC, X, X, batch_size=7),
    ),
    (
        "batches: expected an integer of at least 2",
        lambda: minibatch_bias(mi.dv, CRITIC, X, X, batch_size=2, batches=1),
    ),
    (
        "critic: expected a full gradient other than 0",
        lambda: minibatch_bias(flat, CRITIC, X, X, batch_size=2),
    ),
    (
        "batch_size: expected at most 1000000",
        lambda: exact_minibatch_bias(mi.dv, *LAW, batch_size=8),
    ),
    (
        "batch_size: expected an integer of at least 2",
        lambda: exact_minibatch_bias(mi.dv, *LAW, batch_size=1),
    ),
    (
        "objective: expected a bound of .* got infonce",
        lambda: exact_minibatch_bias(mi.infonce, *LAW),
    ),
    ("critic: expected .* scores", lambda: exact_minibatch_bias(mi.dv, LAW[0], torch.zeros(3, 3))),
    (
        "critic: expected finite",
        lambda: exact_minibatch_bias(mi.dv, LAW[0], torch.full((2, 3), math.nan)),
    ),
    ("critic: expected a full gradient other than 0", lambda: exact_minibatch_bias(flat, *LAW)),
]


@pytest.mark.parametrize(
    ("message", "call"), BAD_CALLS, ids=[str(i) for i in range(len(BAD_CALLS))]
)
def test_bad_calls_are_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()
