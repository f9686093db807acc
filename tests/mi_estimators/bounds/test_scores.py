"""Where scores come from: partners, streamed read-outs against the whole matrix, and negatives across processes."""

import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import mi_estimators as mi
from mi_estimators.bounds.distributed import gather, gathered_scores
from mi_estimators.bounds.scores import (
    deranged,
    derangement,
    joint_and_product,
    pair_scores,
    product_scores,
    resampled,
    rolled,
)
from mi_estimators.bounds.streaming import score_blocks, streamed_values
from mi_estimators.estimation.critics import Separable

ROOT = Path(__file__).parents[3]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Together(nn.Module):
    """A critic that reads x and y together, with and without its own way to score pairs."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * dim, 7), nn.Tanh(), nn.Linear(7, 1))

    def forward(self, x, y):
        n, m = len(x), len(y)
        return self.net(torch.cat([x[:, None].expand(n, m, -1), y.expand(n, m, -1)], -1))[..., 0]


class Paired(Together):
    def pairs(self, x, y):
        return self.net(torch.cat([x, y], -1))[:, 0]


CRITICS = pytest.mark.parametrize("critic", [Separable, Together, Paired])


def make(critic, dim=2):
    critic = critic(dim, dim, hidden=8, zero_start=False) if critic is Separable else critic(dim)
    return critic.double()


@given(n=st.integers(2, 30), seed=st.integers(0, 10**6))
def test_a_derangement_is_a_permutation_without_fixed_points(n, seed):
    order = derangement(n, seeded(seed))
    assert sorted(order.tolist()) == list(range(n))
    assert not (order == torch.arange(n)).any()


def test_all_derangements_are_equally_likely():
    generator, draws = seeded(), 9000
    found = Counter(tuple(derangement(4, generator).tolist()) for _ in range(draws))
    assert len(found) == 9  # !4
    chi2 = sum((count - draws / 9) ** 2 / (draws / 9) for count in found.values())
    assert chi2 < 20.1  # 99 % of the law with 8 degrees of freedom


@given(n=st.integers(2, 12), data=st.data())
def test_rolled_partners_are_others_and_no_pair_comes_twice(n, data):
    k = data.draw(st.integers(1, n - 1))
    table = rolled(n, k, seeded(data.draw(st.integers(0, 99))))
    pairs = {(i, int(j)) for row in table for i, j in enumerate(row)}
    assert table.shape == (k, n)
    assert len(pairs) == k * n
    assert all(i != j for i, j in pairs)
    assert all(sorted(row.tolist()) == list(range(n)) for row in table)


def test_all_shifts_are_the_whole_matrix():
    critic, (x, y) = make(Together), mi.laws.Gaussian(0.6, 2).sample(9)
    joint, product = joint_and_product(critic(x, y))
    torch.testing.assert_close(pair_scores(critic, x, y), joint)
    scores = product_scores(critic, x, y, rolled(9, 8))
    torch.testing.assert_close(scores.flatten().sort().values, product.sort().values)


@CRITICS
@pytest.mark.parametrize("partners", [rolled(6, 3), deranged(6, 4)])
def test_product_scores_are_entries_of_the_matrix_with_their_gradient(critic, partners):
    critic, (x, y) = make(critic), mi.laws.Gaussian(0.6, 2).sample(6)
    scores = product_scores(critic, x, y, partners)
    entries = critic(x, y)[torch.arange(6), partners]
    torch.testing.assert_close(scores, entries)
    found, expected = (
        torch.autograd.grad((s**2).sum(), list(critic.parameters()), retain_graph=True)
        for s in (scores, entries)
    )
    torch.testing.assert_close(found, expected, msg="gradients")


def test_pairs_are_used_where_a_critic_has_them():
    critic = Paired(1)
    critic.forward = None  # the matrix is not asked for
    x = torch.randn(5, 1)
    torch.testing.assert_close(pair_scores(critic, x, x), critic.net(torch.cat([x, x], 1))[:, 0])


def test_a_law_is_a_critic_too():
    law = mi.laws.Finite(torch.randn(12).log_softmax(0).reshape(3, 4))
    x, y = law.sample(20, seeded())
    scores = pair_scores(lambda x, y: law.log_ratio_matrix[x][:, y], x, y)
    torch.testing.assert_close(scores, law.log_ratio(x, y))


def test_resampled_partners_are_distinct_rows_of_the_second_sample():
    table = resampled(5, 40, 7, seeded())
    assert table.shape == (40, 5)
    assert all(len(set(row.tolist())) == 5 for row in table)
    assert set(table.flatten().tolist()) == set(range(7))
    critic, x, y = make(Paired), torch.randn(5, 2), torch.randn(7, 2)
    torch.testing.assert_close(
        product_scores(critic, x, y, table), critic(x, y)[torch.arange(5), table]
    )


SOURCES = {
    "rolled": rolled,
    "deranged": deranged,
    "resampled": lambda n, k, generator: resampled(n, k, n, generator),
    "permuted": lambda n, k, generator: torch.stack(
        [torch.randperm(n, generator=generator) for _ in range(k)]
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_partners_are_unbiased_where_a_plain_permutation_adds_positives(source):
    """E of NWJ's penalty is E_Q r = 1; the fixed points of a permutation add (E_P r − 1)/n = χ²/n to it."""
    law, n, k, repeats, generator = mi.laws.Gaussian(0.3, 4), 3, 2, 2000, seeded()
    x, y = (v.unflatten(0, (repeats, n)) for v in law.sample(repeats * n, generator))
    if source == "resampled":
        y = law.sample(repeats * n, generator)[1].unflatten(0, (repeats, n))
    ratios = law.log_ratio(x[:, :, None], y[:, None]).exp()
    tables = torch.stack([SOURCES[source](n, k, generator) for _ in range(repeats)])
    means = ratios.gather(2, tables.mT).mean((1, 2))
    error = float(means.std()) / repeats**0.5
    assert float(means.mean()) - 1 == pytest.approx(
        law.chi2 / n if source == "permuted" else 0, abs=4 * error
    )
    assert law.chi2 / n > 8 * error  # the test can tell


def whole_matrix(scores: torch.Tensor) -> dict[str, float]:
    """Return what the whole score matrix says, by the shipped bounds."""
    joint, product = joint_and_product(scores)
    values = {name: float(mi.BOUNDS[name](joint, product)) for name in ("dv", *mi.DIVERGENCES)}
    return {
        **values,
        "infonce": float(mi.infonce(scores)),
        "effective_sample_size": float(mi.effective_sample_size(product)),
    }


BOUNDS = ("dv", "infonce", *mi.DIVERGENCES)


@CRITICS
@pytest.mark.parametrize("block", [64, 299, None])
def test_streamed_values_are_those_of_the_whole_matrix(critic, block):
    critic, (x, y) = make(critic), mi.laws.Gaussian(0.8, 2).sample(300, seeded())
    with torch.no_grad():
        expected = whole_matrix(critic(x, y))
    found = streamed_values(critic, x, y, BOUNDS, block=block)
    assert (found.rows, found.negatives) == (300, 299)
    assert found.effective_sample_size == pytest.approx(
        expected.pop("effective_sample_size"), rel=1e-10
    )
    assert found.values == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("k", [1, 7, 64, 298])
def test_streamed_values_of_a_few_negatives_are_the_bounds_of_those_scores(k):
    critic, (x, y) = make(Separable), mi.laws.Gaussian(0.8, 2).sample(300, seeded())
    found = streamed_values(critic, x, y, BOUNDS, negatives=k, block=64, generator=seeded(1))
    order = torch.randperm(300, generator=seeded(1))
    x, y = x[order], y[order]
    with torch.no_grad():
        joint = pair_scores(critic, x, y)
        table = (torch.arange(300) + torch.arange(1, k + 1)[:, None]) % 300
        product = product_scores(critic, x, y, table)
    expected = {
        name: float(mi.BOUNDS[name](joint, product.flatten()))
        for name in BOUNDS
        if name != "infonce"
    }
    expected["infonce"] = float(
        mi.dv(joint[:, None], torch.cat([joint[:, None], product.T], 1)).mean()
    )
    assert found.negatives == k
    assert found.values == pytest.approx(expected, abs=1e-10)
    assert found.effective_sample_size == pytest.approx(
        float(mi.effective_sample_size(product.flatten())), rel=1e-10
    )


def test_streamed_values_of_huge_scores_neither_overflow_nor_cancel():
    x = torch.randn(50, 1, generator=seeded())
    critic = lambda x, y: 1e4 + x @ y.mT  # noqa: E731
    found = streamed_values(critic, x, x, ("dv",), block=7)
    expected = whole_matrix(x @ x.mT)
    assert found.values["dv"] == pytest.approx(expected["dv"], abs=1e-9)
    assert found.effective_sample_size == pytest.approx(expected["effective_sample_size"], rel=1e-9)


def test_rows_that_come_sorted_are_shuffled_before_neighbours_serve_as_negatives():
    law = mi.laws.Gaussian(0.9)
    x, y = law.sample(2000, seeded())
    order = x[:, 0].argsort()
    found = streamed_values(
        lambda x, y: law.log_ratio(x[:, None], y), x[order], y[order], ("dv",), negatives=20
    )
    assert found.values["dv"] == pytest.approx(law.mutual_information, abs=0.15)


@pytest.mark.parametrize("block", [1, 4, 10, 99])
def test_score_blocks_keep_the_gradient(block):
    critic, (x, y) = make(Separable), mi.laws.Gaussian(0.8, 2).sample(10)
    blocks = list(score_blocks(critic, x, y, block=block))
    value = mi.dv(
        torch.cat([joint for joint, _ in blocks]),
        torch.cat([product.flatten() for _, product in blocks]),
    )
    whole = mi.dv(*joint_and_product(critic(x, y)))
    parameters = list(critic.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(value, parameters), torch.autograd.grad(whole, parameters)
    )


MEMORY = """
import resource, torch, mi_estimators as mi
from mi_estimators.estimation.critics import Separable
from mi_estimators.bounds.streaming import streamed_values
torch.manual_seed(0)
critic = Separable(2, 2, hidden=8, layers=1, embedding=4, zero_start=False)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def read(n):
    x, y = mi.laws.Gaussian(0.5, 2).sample(n)
    return streamed_values(critic, x, y, ("dv", "js"), negatives=64)
read(1000)
before = peak()
found = read(100_000)
print(found.rows, found.negatives, peak() - before)
"""


def test_a_hundred_thousand_rows_fit_in_memory_that_grows_with_the_rows():
    result = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    rows, negatives, mebibytes = result.stdout.split()
    assert (rows, negatives) == ("100000", "64")
    assert (
        float(mebibytes) < 64
    )  # 160 numbers a row; all 64 negatives in float64 alone are 49 MiB, all pairs 75 GiB


GLOO = """
import sys, torch, torch.distributed as dist, mi_estimators as mi
from mi_estimators.estimation.critics import Separable
from mi_estimators.bounds.distributed import gather, gathered_scores
from mi_estimators.bounds.expectation import log_mean_exp
from mi_estimators.bounds.scores import joint_and_product

rank, init = int(sys.argv[1]), sys.argv[2]
torch.set_default_dtype(torch.float64)
dist.init_process_group("gloo", init_method="file://" + init, rank=rank, world_size=2)
x, y = mi.laws.Gaussian(0.8, 3).sample(12, torch.Generator().manual_seed(0))
own = slice(6 * rank, 6 * rank + 6)
objectives = {
    "dv": lambda scores: mi.dv(*joint_and_product(scores)),
    "js": lambda scores: mi.js(*joint_and_product(scores)),
    "infonce": mi.infonce,
}

separable = lambda dim=2: Separable(dim, dim, 8, zero_start=False)

class Model(torch.nn.Module):  # the critic, behind encoders whose outputs are gathered with their gradient
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encode_x, self.encode_y, self.critic = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2), separable()

    def forward(self, x, y):
        return self.critic, self.encode_x(x), self.encode_y(y)

def gradient(model, value):
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))])

def averaged(gradient):
    dist.all_reduce(gradient)
    return gradient / 2

for name, objective in objectives.items():
    model = Model()
    critic, a, b = model(x, y)
    expected = objective(critic(a, b))
    single = gradient(model, expected)

    critic, a, b = model(x[own], y[own])
    value = objective(gathered_scores(critic, a, b))
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(averaged(gradient(model, value)), single, rtol=0, atol=1e-10)

    critic, a, b = model(x[own], y[own])  # embeddings gathered instead of scores
    value = objective(critic(gather(a), gather(b)))
    torch.testing.assert_close(averaged(gradient(model, value)), single, rtol=0, atol=1e-10)

    wrapped = torch.nn.parallel.DistributedDataParallel(separable(3), broadcast_buffers=False)
    value = objective(gathered_scores(wrapped, x[own], y[own]))
    value.backward()
    alone = separable(3)
    alone.load_state_dict(wrapped.module.state_dict())
    objective(alone(x, y)).backward()
    for p, q in zip(wrapped.parameters(), alone.parameters()):
        torch.testing.assert_close(p.grad, q.grad, rtol=0, atol=1e-10)

# A mean over rows needs no gathered matrix, and DV needs one number a row.
model = Model()
critic, a, b = model(x, y)
scores = critic(a, b)
single = gradient(model, mi.infonce(scores)), gradient(model, mi.dv(*joint_and_product(critic(*model(x, y)[1:]))))
critic, a, b = model(x[own], y[own])
rows = critic(a, gather(b))
positive = rows.diagonal(6 * rank)
value = mi.dv(positive[:, None], rows).mean()
torch.testing.assert_close(averaged(gradient(model, value)), single[0], rtol=0, atol=1e-10)
critic, a, b = model(x[own], y[own])
rows = critic(a, gather(b))
negatives = rows[torch.arange(12) != torch.arange(6 * rank, 6 * rank + 6)[:, None]].unflatten(0, (6, 11))
value = mi.dv(gather(rows.diagonal(6 * rank)), gather(log_mean_exp(negatives)))
torch.testing.assert_close(averaged(gradient(model, value)), single[1], rtol=0, atol=1e-10)

assert gather(torch.full((2, 3), float(rank)))[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
assert gather(torch.tensor([rank])).tolist() == [0, 1]
try:
    gather(torch.zeros(1 + rank, 2))
except ValueError as error:
    assert str(error) == "tensor: expected as many rows on every process, got [1, 2]", error
else:
    raise AssertionError("uneven rows were gathered")
dist.destroy_process_group()
print("ok")
"""


def test_two_processes_have_the_value_and_the_gradient_of_one(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GLOO, str(rank), str(tmp_path / "init")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for rank in range(2)
    ]
    try:
        results = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [out for out, _ in results] == ["ok\n", "ok\n"], "\n".join(error for _, error in results)


def test_one_process_gathers_nothing():
    critic, (x, y) = make(Separable), mi.laws.Gaussian(0.5, 2).sample(5)
    assert gather(x) is x
    torch.testing.assert_close(gathered_scores(critic, x, y), critic(x, y))


class Wrong(Together):
    def pairs(self, x, y):
        return torch.zeros(len(x), 1)


X = torch.zeros(4, 2)
BAD_CALLS = [
    ("n: expected an integer of at least 2", lambda: derangement(1)),
    ("k: expected an integer of at least 1", lambda: deranged(3, 0)),
    ("n: expected an integer of at least 2", lambda: rolled(1, 1)),
    ("k: expected an integer of at most 3", lambda: rolled(4, 4)),
    ("size: expected an integer of at least 4", lambda: resampled(4, 1, 3)),
    ("k: expected an integer of at least 1", lambda: resampled(4, 0, 4)),
    (
        r"x, y: expected at least 1 paired row\(s\), got 4 and 3",
        lambda: pair_scores(Paired(2), X, X[:3]),
    ),
    (r"critic: expected pairs\(x, y\) of shape \(4,\)", lambda: pair_scores(Wrong(2), X, X)),
    (r"partners: expected shape \(k, 4\)", lambda: product_scores(Paired(2), X, X, rolled(3, 1))),
    (
        r"partners: expected indices in \[0, 4\)",
        lambda: product_scores(Paired(2), X, X, resampled(4, 9, 99)),
    ),
    ("bounds: expected one of", lambda: streamed_values(Paired(2), X, X, ("smile",))),
    (
        "negatives: expected an integer of at most 3",
        lambda: streamed_values(Paired(2), X, X, negatives=4),
    ),
    ("block: expected an integer of at least 1", lambda: streamed_values(Paired(2), X, X, block=0)),
    ("x, y: expected at least 2", lambda: streamed_values(Paired(2), X[:1], X[:1])),
    ("x, y: expected at least 2", lambda: list(score_blocks(Paired(2), X, X[:3]))),
    (
        "joint: expected finite",
        lambda: streamed_values(lambda x, y: (x @ y.mT).fill_diagonal_(math.nan), X, X),
    ),
    ("product: expected finite", lambda: streamed_values(lambda x, y: x @ y.mT + math.inf, X, X)),
    ("tensor: expected at least 1 dimension", lambda: gather(torch.tensor(0.0))),
    ("x, y: expected at least 1", lambda: gathered_scores(Paired(2), X, X[:3])),
]


@pytest.mark.parametrize(
    ("message", "call"), BAD_CALLS, ids=[str(i) for i in range(len(BAD_CALLS))]
)
def test_bad_calls_are_refused_by_name(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_joint_and_product_refuses_a_matrix_that_is_not_square():
    for matrix in (torch.zeros(2, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match="matrix: expected square"):
            mi.joint_and_product(matrix)
