"""Gradients of objectives: what each row contributes, what a minibatch gets wrong on average, and their table."""

import itertools
import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import mi_estimators as mi
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
from tests.mi_estimators.shared import refused, seeded

OBJECTIVES = {"dv": mi.dv, **mi.DIVERGENCES, "infonce": mi.infonce, "smile": mi.smile}
objectives = pytest.mark.parametrize("name", OBJECTIVES)


def rows(n: int, dim: int = 2):
    return mi.laws.Gaussian(0.6, dim).sample(n, seeded())


def separable() -> Separable:
    return Separable(2, 2, hidden=6, zero_start=False)


def value(name: str, scores: torch.Tensor) -> torch.Tensor:
    return mi.infonce(scores) if name == "infonce" else OBJECTIVES[name](*joint_and_product(scores))


def gradient(
    name: str,
    critic: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
) -> torch.Tensor:
    """Return the plain gradient by autograd, flat."""
    parts = torch.autograd.grad(value(name, critic(x, y)), list(critic.parameters()))
    return torch.cat([part.flatten() for part in parts])


class Quadratic(nn.Module):
    """T = θ·(xy, x² − 1, y² − 1): a critic with three parameters."""

    def __init__(self, *theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, x, y):
        parts = torch.stack(torch.broadcast_tensors(x * y.mT, x**2 - 1, (y**2 - 1).mT), -1)
        return parts @ self.theta


@objectives
def test_contributions(name):
    """Contributions sum to the gradient."""
    x, y = rows(12)
    critic = separable()
    measured = sample_gradients(OBJECTIVES[name], critic, x, y)

    parameters = sum(parameter.numel() for parameter in critic.parameters())
    assert measured.shape == (12, parameters)
    assert_close(
        measured.sum(0),
        gradient(name, critic, x, y),
        rtol=1e-11,
        atol=1e-12,
    )
    assert_close(sample_gradients(OBJECTIVES[name], critic, x, y, chunk_size=5), measured)


@objectives
def test_weighted_row(name):
    """A contribution is the effect of weighing the row more."""
    x, y = rows(6)
    critic = Quadratic(0.3, -0.1, 0.2)
    step = 1e-5
    (x, y) = x[:, :1], y[:, :1]
    measured = sample_gradients(OBJECTIVES[name], critic, x, y)
    objective = matrix_objective(OBJECTIVES[name])

    def weighted(i: int, log_weight: float) -> torch.Tensor:
        log_weights = log_weight * torch.eye(6)[i]
        return torch.autograd.grad(
            objective(critic(x, y), log_weights.log_softmax(0)), critic.theta
        )[0]

    for i in range(6):
        slope = (weighted(i, step) - weighted(i, -step)) / (2 * step)
        assert_close(
            measured[i] - measured.mean(0),
            slope,
            rtol=1e-6,
            atol=1e-8,
        )


@pytest.mark.parametrize("name", ["dv", "nwj", "js", "infonce"])
def test_one_minibatch(name):
    """One minibatch tells the noise of many."""
    n, critic = 64, Quadratic(0.3, -0.05, -0.05)
    x, y = rows(300 * n, dim=1)
    many = gradient_statistics(OBJECTIVES[name], critic, x, y, batch_size=n)
    batches = list(zip(x.split(n), y.split(n), strict=True))[:60]
    single = [
        jackknife_statistics(sample_gradients(OBJECTIVES[name], critic, *batch))
        for batch in batches
    ]

    assert sum(s.trace_covariance for s in single) / 60 == pytest.approx(
        many.trace_covariance, rel=0.15
    )

    mean_square = sum(s.mean_norm**2 - s.trace_covariance for s in single) / 60
    assert mean_square == pytest.approx(many.mean_norm**2, rel=0.25)
    assert all(s.batches == 1 for s in single)


@pytest.mark.parametrize("name", ["dv", "nwj", "js", "infonce"])
def test_statistics_loop(name):
    x, y = rows(96)
    critic = separable()
    measured = gradient_statistics(OBJECTIVES[name], critic, x, y, batch_size=16)
    batches = zip(x.split(16), y.split(16), strict=True)
    stacked = torch.stack([gradient(name, critic, *batch) for batch in batches])
    norm = float(stacked.mean(0).norm())
    trace = float(stacked.var(0).sum())
    noise_scale = 16 * trace / (norm**2 - trace / 6)

    assert vars(measured) == pytest.approx(
        dict(
            mean_norm=norm,
            trace_covariance=trace,
            snr=norm / trace**0.5,
            noise_scale=noise_scale,
            batches=6,
        )
    )


def finite_law(seed: int) -> tuple[mi.laws.Finite, torch.Tensor]:
    logits = torch.randn(6, generator=seeded(seed))
    law = mi.laws.Finite(logits.log_softmax(0).reshape(2, 3))
    return law, law.log_ratio_matrix + torch.randn(2, 3, generator=seeded(seed + 99))


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(mi.DIVERGENCES))
def test_unbiased_sums(name, seed, size):
    """Sums over positives and negatives have no bias."""
    measured = exact_minibatch_bias(OBJECTIVES[name], *finite_law(seed), batch_size=size)
    assert measured.relative < 1e-12
    assert measured.cosine == pytest.approx(1, abs=1e-12)
    assert (measured.noise, measured.along_stderr, measured.batches) == (0, 0, 6**size)


@pytest.mark.parametrize("seed", range(6))
def test_dv_bias(seed):
    """Donsker–Varadhan is biased, and less so in larger minibatches."""
    law, critic = finite_law(seed)
    bias = [
        exact_minibatch_bias(mi.dv, law, critic, batch_size=size).relative for size in (2, 3, 4, 5)
    ]

    assert all(larger < smaller for smaller, larger in itertools.pairwise(bias))
    assert bias[-1] > 1e-3


def test_constant_critic():
    """Donsker–Varadhan is unbiased at a constant critic.

    Only there: all weights of the softmax are alike, whichever negatives were drawn.
    """
    law, _ = finite_law(0)
    assert exact_minibatch_bias(mi.dv, law, torch.full((2, 3), 4.0)).relative < 1e-12


def test_exact_bias():
    law, critic = finite_law(1)
    critic.requires_grad_()

    expected = torch.zeros(2, 3)
    for i in range(6):
        for j in range(6):
            x = torch.tensor([i // 3, j // 3])
            y = torch.tensor([i % 3, j % 3])
            bound = mi.dv(*joint_and_product(critic[x][:, y]))
            (own,) = torch.autograd.grad(bound, critic)
            log_mass = law.log_joint.flatten()
            expected += (log_mass[i] + log_mass[j]).exp() * own

    (full,) = torch.autograd.grad(law.exact(mi.dv, critic), critic)
    measured = exact_minibatch_bias(mi.dv, law, critic.detach())

    apart = float((expected - full).norm() / full.norm())
    assert measured.relative == pytest.approx(apart)
    assert measured.along == pytest.approx(
        float(((expected - full) * full).sum() / full.norm() ** 2)
    )

    cosine = float((expected * full).sum() / expected.norm() / full.norm())
    assert measured.cosine == pytest.approx(cosine)


def test_minibatch_bias():
    critic = Quadratic(0.5, -0.1, -0.1)
    x, y = rows(20, dim=1)
    measured = minibatch_bias(
        mi.dv,
        critic,
        x,
        y,
        batch_size=5,
        batches=37,
        generator=seeded(),
    )
    generator = seeded()
    batches = [torch.randperm(20, generator=generator)[:5] for _ in range(37)]
    stacked = torch.stack([gradient("dv", critic, x[b], y[b]) for b in batches])
    full = gradient("dv", critic, x, y)
    apart, norm = stacked.mean(0) - full, float(full.norm())

    assert measured.relative == pytest.approx(float(apart.norm()) / norm)
    noise = float((stacked.var(0).sum() / 37).sqrt())
    assert measured.noise == pytest.approx(noise / norm)
    assert measured.along == pytest.approx(float(apart @ full) / norm**2)
    stderr = float((stacked @ full).std()) / 37**0.5
    assert measured.along_stderr == pytest.approx(stderr / norm**2)
    assert measured.cosine == pytest.approx(
        float(torch.cosine_similarity(stacked.mean(0), full, dim=0))
    )


def test_whole_sample():
    """The whole sample as a minibatch has no bias."""
    critic = Quadratic(0.5, -0.1, -0.1)
    x, y = rows(10, dim=1)
    measured = minibatch_bias(mi.dv, critic, x, y, batch_size=10, batches=3)
    assert measured.relative < 1e-12
    assert measured.noise < 1e-12


def test_table_entries():
    """The gradient table holds what the functions return."""
    (x, y), critic, names = (
        rows(140),
        separable(),
        ("dv", "nwj", "js", "infonce", "smile"),
    )
    table = gradient_table(critic, x, y, names, batch_size=16)

    assert [row.bound for row in table] == list(names)

    for row in table:
        statistics = gradient_statistics(OBJECTIVES[row.bound], critic, x, y, batch_size=16)
        assert {key: getattr(row, key) for key in vars(statistics)} == vars(statistics)
        batches = zip(
            x[:128].split(16),
            y[:128].split(16),
            strict=True,
        )
        scores = [critic(*batch).detach() for batch in batches]
        values = [float(value(row.bound, matrix)) for matrix in scores]
        assert row.value == pytest.approx(sum(values) / 8)
        assert row.negatives == 16 * 15

    dv = [mi.effective_sample_size(joint_and_product(s)[1]) for s in scores]
    assert table[0].effective_negatives == pytest.approx(float(torch.stack(dv).mean()))


class Tilted(nn.Module):
    """T = ln dP/dQ + θ·(1, x·y), at θ = 0."""

    def __init__(self, law: mi.laws.Gaussian) -> None:
        super().__init__()
        self.law, self.theta = law, nn.Parameter(torch.zeros(2))

    def forward(self, x, y):
        tilt = self.theta[0] + self.theta[1] * (x @ y.mT)
        return self.law.log_ratio(x[:, None], y) + tilt


def test_starvation():
    """At the log-ratio of 5 nats, fewer negatives carry the gradient of DV and NWJ than that of JS: it is noisier."""
    law = mi.laws.Gaussian.with_information(5.0, 20)
    x, y = law.sample(6400, seeded())
    dv, nwj, js = gradient_table(
        Tilted(law),
        x,
        y,
        ("dv", "nwj", "js"),
    )
    assert max(dv.effective_negatives, nwj.effective_negatives) < js.effective_negatives / 3
    assert js.trace_covariance < 0.01 * min(nwj.trace_covariance, dv.trace_covariance)


class Steep(nn.Module):
    """T = θ (y² − 1) at θ = 10⁹: every score is beyond SMILE's clip."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([1e9]))

    def forward(self, x, y):
        return self.theta * (y**2 - 1).mT.expand(len(x), -1)


def test_no_weight():
    """No weight is no effective negative."""
    x, y = rows(32, dim=1)
    (row,) = gradient_table(Steep(), x, y, ("smile",), batch_size=16)
    assert row.effective_negatives == 0


def test_table_lines():
    """The gradient table prints every bound on a line."""
    x, y = rows(64)
    critic = separable()
    lines = str(gradient_table(critic, x, y, batch_size=16)).splitlines()
    assert [line.split()[0] for line in lines] == ["bound", "dv", "nwj", "js", "infonce"]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("of 240")


def flat(joint, product, log_p=None, log_q=None):
    return 0 * joint.sum(-1)


X = torch.zeros(6, 1)
CRITIC = Quadratic(0.1, 0.1, 0.1)
LAW = finite_law(0)
PAIRED = "x, y: expected at least 2 paired"
BAD_CALLS = [
    (PAIRED, sample_gradients, mi.dv, CRITIC, X[:1], X[:1]),
    (PAIRED, sample_gradients, mi.dv, CRITIC, X, X[:3]),
    (PAIRED, minibatch_bias, mi.dv, CRITIC, X, X[:3]),
    ("x, y: expected paired rows", gradient_statistics, mi.dv, CRITIC, X, X),
    ("x, y: expected paired rows for at least 2 batches", gradient_table, CRITIC, X, X, ("js",)),
    ("bounds: expected one of", gradient_table, CRITIC, X, X, ("nwj?",)),
    ("x: expected finite", sample_gradients, mi.dv, CRITIC, X + math.nan, X),
    ("y: expected finite", sample_gradients, mi.dv, CRITIC, X, X + math.nan),
    ("x: expected finite", minibatch_bias, mi.dv, CRITIC, X + math.nan, X),
    ("y: expected finite", minibatch_bias, mi.dv, CRITIC, X, X + math.nan),
    (r"gradients: expected shape \(n, p\)", jackknife_statistics, torch.zeros(1, 3)),
    (r"gradients: expected shape \(n, p\)", jackknife_statistics, torch.zeros(4, 3, 2)),
    ("gradients: expected at least 2 dim", jackknife_statistics, torch.zeros(4)),
    ("gradients: expected finite", jackknife_statistics, torch.full((4, 2), math.inf)),
    (
        "batch_size: expected an integer of at most 6",
        partial(minibatch_bias, batch_size=7),
        mi.dv,
        CRITIC,
        X,
        X,
    ),
    (
        "batches: expected an integer of at least 2",
        partial(minibatch_bias, batch_size=2, batches=1),
        mi.dv,
        CRITIC,
        X,
        X,
    ),
    (
        "critic: expected a full gradient other than 0",
        partial(minibatch_bias, batch_size=2),
        flat,
        CRITIC,
        X,
        X,
    ),
    (
        "batch_size: expected at most 1000000",
        partial(exact_minibatch_bias, batch_size=8),
        mi.dv,
        *LAW,
    ),
    (
        "batch_size: expected an integer of at least 2",
        partial(exact_minibatch_bias, batch_size=1),
        mi.dv,
        *LAW,
    ),
    ("objective: expected a bound of .* got infonce", exact_minibatch_bias, mi.infonce, *LAW),
    ("critic: expected .* scores", exact_minibatch_bias, mi.dv, LAW[0], torch.zeros(3, 3)),
    ("critic: expected finite", exact_minibatch_bias, mi.dv, LAW[0], LAW[1] + math.nan),
    ("critic: expected a full gradient other than 0", exact_minibatch_bias, flat, *LAW),
]


test_bad_calls = refused(BAD_CALLS)
