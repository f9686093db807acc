"""Gradients of objectives: what each row contributes, what a minibatch gets wrong on average."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

import mi_estimators as mi
from mi_estimators.bounds.expectation import mean
from mi_estimators.bounds.scores import joint_and_product
from mi_estimators.diagnostics.bias import exact_minibatch_bias, minibatch_bias
from mi_estimators.diagnostics.gradients import (
    gradient_statistics,
    jackknife_statistics,
    matrix_objective,
    sample_gradients,
)
from mi_estimators.diagnostics.table import gradient_table
from mi_estimators.estimation.critics import Separable

OBJECTIVES = {"dv": mi.dv, **mi.DIVERGENCES, "infonce": mi.infonce, "smile": mi.smile}
UNBIASED = sorted(mi.DIVERGENCES)  # sums over positives and negatives
NORMALISED = ("dv", "infonce")  # normalised within the minibatch
objectives = pytest.mark.parametrize("name", OBJECTIVES)


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


class Table(nn.Module):
    """The tabular critic of a finite law, on one-hot rows."""

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, x, y):
        return x @ self.table @ y.mT


@objectives
def test_contributions_sum_to_the_gradient(name):
    (x, y), critic = rows(12), Separable(2, 2, hidden=6, zero_start=False)
    found = sample_gradients(OBJECTIVES[name], critic, x, y)
    assert found.shape == (12, sum(p.numel() for p in critic.parameters()))
    torch.testing.assert_close(found.sum(0), gradient(name, critic, x, y), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(
        sample_gradients(OBJECTIVES[name], critic, x, y, chunk_size=5), found
    )


@objectives
def test_a_contribution_is_the_effect_of_weighing_the_row_more(name):
    (x, y), critic, step = rows(6), Quadratic(0.3, -0.1, 0.2), 1e-5
    (x, y) = x[:, :1], y[:, :1]
    found = sample_gradients(OBJECTIVES[name], critic, x, y)
    objective = matrix_objective(OBJECTIVES[name])

    def weighted(i: int, log_weight: float) -> torch.Tensor:
        log_weights = log_weight * torch.eye(6)[i]
        return torch.autograd.grad(
            objective(critic(x, y), log_weights.log_softmax(0)), critic.theta
        )[0]

    for i in range(6):
        slope = (weighted(i, step) - weighted(i, -step)) / (2 * step)
        torch.testing.assert_close(found[i] - found.mean(0), slope, rtol=1e-6, atol=1e-8)


def test_contributions_to_a_mean_over_rows_are_the_plain_sample_gradients():
    (x, y), critic = rows(7), Separable(2, 2, hidden=6, zero_start=False)
    found = sample_gradients(
        lambda joint, product, log_p=None, log_q=None: mean(joint, log_p), critic, x, y
    )
    for i in range(7):
        score = critic(x[i : i + 1], y[i : i + 1]).squeeze()
        own = torch.cat(
            [g.flatten() for g in torch.autograd.grad(score, list(critic.parameters()))]
        )
        torch.testing.assert_close(found[i], own / 7)


@objectives
def test_contributions_follow_their_rows(name):
    (x, y), critic, order = rows(9), Separable(2, 2, hidden=6, zero_start=False), torch.randperm(9)
    found = sample_gradients(OBJECTIVES[name], critic, x, y)
    torch.testing.assert_close(
        sample_gradients(OBJECTIVES[name], critic, x[order], y[order]), found[order]
    )


@pytest.mark.parametrize("name", ["dv", "nwj", "js", "infonce"])
def test_one_minibatch_tells_the_noise_of_many(name):
    n, critic = 64, Quadratic(0.3, -0.05, -0.05)
    x, y = rows(300 * n, dim=1)
    many = gradient_statistics(OBJECTIVES[name], critic, x, y, batch_size=n)
    single = [
        jackknife_statistics(sample_gradients(OBJECTIVES[name], critic, a, b))
        for a, b in list(zip(x.split(n), y.split(n), strict=True))[:60]
    ]
    assert sum(s.trace_covariance for s in single) / 60 == pytest.approx(
        many.trace_covariance, rel=0.15
    )
    mean_square = sum(s.mean_norm**2 - s.trace_covariance for s in single) / 60
    assert mean_square == pytest.approx(many.mean_norm**2, rel=0.25)
    assert all(s.batches == 1 for s in single)


def test_gradient_statistics_take_infonce_too():
    (x, y), critic = rows(96), Separable(2, 2, hidden=6, zero_start=False)
    found = gradient_statistics(mi.infonce, critic, x, y, batch_size=16)
    stacked = torch.stack(
        [gradient("infonce", critic, a, b) for a, b in zip(x.split(16), y.split(16), strict=True)]
    )
    assert found.mean_norm == pytest.approx(float(stacked.mean(0).norm()))
    assert found.trace_covariance == pytest.approx(float(stacked.var(0).sum()))


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


def test_gradient_table_holds_what_the_functions_say():
    (x, y), critic, names = (
        rows(140),
        Separable(2, 2, hidden=6, zero_start=False),
        ("dv", "nwj", "js", "infonce", "smile"),
    )
    table = gradient_table(critic, x, y, names, batch_size=16)
    assert [row.bound for row in table] == list(names)
    for row in table:
        statistics = gradient_statistics(OBJECTIVES[row.bound], critic, x, y, batch_size=16)
        assert {key: getattr(row, key) for key in vars(statistics)} == vars(statistics)
        scores = [
            critic(a, b).detach() for a, b in zip(x[:128].split(16), y[:128].split(16), strict=True)
        ]
        assert row.value == pytest.approx(sum(float(value(row.bound, s)) for s in scores) / 8)
        assert row.negatives == 16 * 15
    dv = [mi.effective_sample_size(joint_and_product(s)[1]) for s in scores]
    assert table[0].effective_negatives == pytest.approx(float(torch.stack(dv).mean()))


class Tilted(nn.Module):
    """T = ln dP/dQ + θ·(1, x·y), at θ = 0."""

    def __init__(self, law: mi.laws.Gaussian) -> None:
        super().__init__()
        self.law, self.theta = law, nn.Parameter(torch.zeros(2))

    def forward(self, x, y):
        return self.law.log_ratio(x[:, None], y) + self.theta[0] + self.theta[1] * (x @ y.mT)


def test_gradient_table_tells_who_starves():
    """At the log-ratio of 5 nats, fewer negatives carry the gradient of DV and NWJ than that of JS: it is noisier."""
    law = mi.laws.Gaussian.with_information(5.0, 20)
    dv, nwj, js = gradient_table(Tilted(law), *law.sample(6400, seeded()), ("dv", "nwj", "js"))
    assert max(dv.effective_negatives, nwj.effective_negatives) < js.effective_negatives / 3
    assert js.trace_covariance < 0.01 * min(nwj.trace_covariance, dv.trace_covariance)


def test_no_weight_is_no_effective_negative():
    x, y = rows(32, dim=1)
    (row,) = gradient_table(Quadratic(0.0, 0.0, 1e9), x, y, ("smile",), batch_size=16)
    assert row.effective_negatives == 0


def test_gradient_table_prints_every_bound_on_a_line():
    (x, y), critic = rows(64), Separable(2, 2, hidden=6, zero_start=False)
    lines = str(gradient_table(critic, x, y, batch_size=16)).splitlines()
    assert [line.split()[0] for line in lines] == ["bound", "dv", "nwj", "js", "infonce"]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("of 240")


def flat(joint, product, log_p=None, log_q=None):
    return 0 * joint.sum(-1)


X, CRITIC, LAW = torch.zeros(6, 1), Quadratic(0.1, 0.1, 0.1), finite_law(0)
BAD_CALLS = [
    ("x, y: expected at least 2 paired", lambda: sample_gradients(mi.dv, CRITIC, X[:1], X[:1])),
    ("x, y: expected at least 2 paired", lambda: sample_gradients(mi.dv, CRITIC, X, X[:3])),
    ("x: expected finite", lambda: sample_gradients(mi.dv, CRITIC, X + math.nan, X)),
    ("y: expected finite", lambda: sample_gradients(mi.dv, CRITIC, X, X + math.nan)),
    (r"gradients: expected shape \(n, p\)", lambda: jackknife_statistics(torch.zeros(1, 3))),
    (r"gradients: expected shape \(n, p\)", lambda: jackknife_statistics(torch.zeros(4, 3, 2))),
    ("gradients: expected at least 2 dim", lambda: jackknife_statistics(torch.zeros(4))),
    ("gradients: expected finite", lambda: jackknife_statistics(torch.full((4, 2), math.inf))),
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
    ("bounds: expected one of", lambda: gradient_table(CRITIC, X, X, ("nwj?",))),
    ("x, y: expected paired rows for at least 2 batches", lambda: gradient_table(CRITIC, X, X)),
]


@pytest.mark.parametrize(
    ("message", "call"), BAD_CALLS, ids=[str(i) for i in range(len(BAD_CALLS))]
)
def test_bad_calls_are_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()
