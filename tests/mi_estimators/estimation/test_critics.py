"""Critics: the formula of each, pair by pair, and what starts at zero."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mi_estimators.estimation.critics import (
    CRITICS,
    Bilinear,
    Calibrated,
    Concatenated,
    Encoded,
    Separable,
    Sum,
    mlp,
    scores_each_pair,
)
from mi_estimators.estimation.gated import MemberLinear
from tests.mi_estimators.shared import seeded

critics = pytest.mark.parametrize("name", CRITICS)


X = torch.randn(5, 3, generator=seeded(), dtype=torch.float64)
Y = torch.randn(4, 2, generator=seeded(1), dtype=torch.float64)


def made(name: str) -> nn.Module:
    return CRITICS[name].make(3, 2, 8)


def randomised(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def pair_by_pair(score):
    rows = [torch.stack([score(a, b) for b in Y]) for a in X]
    return torch.stack(rows)


@critics
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_shapes(name, batch):
    """Scores are a matrix for every batch."""
    critic = randomised(made(name))
    x = torch.randn(*batch, 5, 3)
    y = torch.randn(*batch, 7, 2)
    scores = critic(x, y)

    assert scores.shape == (*batch, 5, 7)

    for row, (a, b) in enumerate(zip(x.reshape(-1, 5, 3), y.reshape(-1, 7, 2), strict=True)):
        assert_close(
            scores.reshape(-1, 5, 7)[row],
            critic(a, b),
        )


@critics
def test_single_pairs(name):
    """A score belongs to its pair alone."""
    critic = randomised(made(name))
    single = pair_by_pair(lambda a, b: critic(a[None], b[None])[0, 0])
    assert_close(critic(X, Y), single)


@critics
def test_zero_start(name):
    """Critics start at zero and can leave it."""
    critic = made(name)

    assert not critic(X, Y).any()

    optimizer = torch.optim.SGD(critic.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        critic(X, Y).diagonal().sum().neg().backward()
        optimizer.step()

    assert critic(X, Y).diagonal().sum() > 0


@pytest.mark.parametrize("make", [Separable, Concatenated, Encoded])
def test_other_start(make):
    """Without `zero_start` critics do not start at zero."""
    assert make(3, 2, hidden=8, zero_start=False)(X, Y).abs().min() > 0
    assert not make(3, 2, hidden=8)(X, Y).any()


@critics
def test_pairwise_cost(name):
    """A row of the table and the critic that it makes agree on the cost."""
    assert CRITICS[name].pairwise is scores_each_pair(made(name))
    assert scores_each_pair(nn.Linear(1, 1)) is True  # a critic that does not say


@critics
def test_evaluations(name):
    """A critic that is not pairwise evaluates its networks once a row."""
    critic, evaluated = made(name), []
    for layer in critic.modules():
        if isinstance(layer, nn.Linear | MemberLinear):
            layer.register_forward_hook(
                lambda *call: evaluated.append(call[-1][..., 0].numel()),
            )
    critic(torch.randn(20, 3), torch.randn(30, 2))

    assert max(evaluated) == (600 if CRITICS[name].pairwise else 30)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_concatenated(layers):
    """`Concatenated` is a network of the pair."""
    critic = randomised(Concatenated(3, 2, hidden=8, layers=layers))
    network = mlp(5, 1, 8, layers)
    network[0].weight.data = torch.cat([critic.x.weight, critic.y.weight], 1).data
    network[0].bias.data = critic.x.bias.data

    for ours, theirs in zip(network[2:].parameters(), critic.rest.parameters(), strict=True):
        ours.data = theirs.data
    expected = pair_by_pair(lambda a, b: network(torch.cat([a, b]))[0])

    assert_close(critic(X, Y), expected)


def test_separable():
    """`Separable` is an inner product of embeddings."""
    critic = randomised(Separable(3, 2, hidden=8, layers=1, embedding=4))

    assert_close(
        critic(X, Y),
        pair_by_pair(lambda a, b: critic.f(a) @ critic.g(b)),
    )
    scores = critic(torch.randn(20, 3), torch.randn(20, 2))
    assert torch.linalg.matrix_rank(scores) <= 4


def test_bilinear():
    critic = randomised(Bilinear(3, 2))
    w = critic.weight
    a = critic.a.weight[0]
    b = critic.b.weight[0]
    c = critic.a.bias[0]

    assert_close(
        critic(X, Y),
        pair_by_pair(lambda u, v: u @ w @ v + a @ u + b @ v + c),
    )


def test_sums():
    """ "sum" adds; "hybrid" is bilinear plus concatenated."""
    parts = (
        randomised(Bilinear(3, 2)),
        randomised(Concatenated(3, 2, hidden=8)),
        randomised(Separable(3, 2, hidden=8)),
    )

    expected = parts[0](X, Y) + parts[1](X, Y) + parts[2](X, Y)
    assert_close(Sum(*parts)(X, Y), expected)
    assert_close(Sum(parts[0])(X, Y), parts[0](X, Y))

    hybrid = randomised(made("hybrid"))
    assert [type(part) for part in hybrid.critics] == [Bilinear, Concatenated]
    first, second = hybrid.critics
    assert_close(hybrid(X, Y), first(X, Y) + second(X, Y))


@pytest.mark.parametrize(
    ("scale", "cap"), [(1.0, math.inf), (0.8, math.inf), (0.8, 0.5), (1.0, -2.0)]
)
def test_calibrated(scale, cap):
    """`Calibrated` scales, and then caps."""
    critic = randomised(Bilinear(3, 2))
    x = torch.randn(2, 4, 3)
    y = torch.randn(2, 6, 2)
    expected = torch.minimum(scale * critic(x, y), torch.tensor(cap))

    assert_close(
        Calibrated(critic, scale, cap)(x, y),
        expected,
        rtol=0,
        atol=0,
    )
    assert set(dict(Calibrated(critic, scale, cap).named_parameters())) == {
        "critic.weight",
        "critic.a.weight",
        "critic.a.bias",
        "critic.b.weight",
    }


def test_encoded():
    """`Encoded` is a network of two encodings."""
    critic = randomised(Encoded(3, 2, hidden=8, layers=3))

    assert [type(layer) for layer in critic.f].count(nn.SiLU) == 3

    def score(a, b):
        together = critic.x(a) + critic.f(a) + critic.y(b) + critic.g(b)
        return critic.rest(nn.functional.silu(together))[0]

    assert_close(critic(X, Y), pair_by_pair(score))
