"""The gated critic: its formula, its members, and what it sees."""

import math

import pytest
import torch
from torch.testing import assert_close

from mi_estimators.estimation.gated import Gated
from mi_estimators.estimation.table import ESTIMATORS
from mi_estimators.estimation.training import Member, fit_critics


def randomised(critic):
    for parameter in critic.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return critic


def test_formula():
    """It is a mixture of dot products and weighted anchors."""
    critic = randomised(Gated(3, 2, 8))
    x = torch.randn(5, 3)
    y = torch.randn(7, 2)
    anchor = torch.randn(5, 7)
    f, a = critic.x(x)
    g, b = critic.y(y)

    by_hand = torch.empty(5, 7)
    for i in range(5):
        for j in range(7):
            heads = []
            for k in range(4):
                bilinear = f[k, i] @ g[k, j] + a[k, i, 0] + b[k, j, 0]
                heads.append(bilinear + critic.anchor_weight[k] * anchor[i, j])
            by_hand[i, j] = torch.stack(heads).exp().mean().log()

    assert_close(critic(x, y, anchor), by_hand)


def test_start():
    """At its start it is the anchor."""
    anchor = torch.randn(4, 6)
    assert_close(
        Gated(2, 3)(torch.randn(4, 2), torch.randn(6, 3), anchor),
        anchor,
    )


def test_members():
    """Members are critics of their own."""
    critics = randomised(Gated(3, 2, 8, members=3))
    x = torch.randn(3, 2, 5, 3)
    y = torch.randn(3, 2, 5, 2)
    anchor = torch.randn(3, 2, 5, 5)
    together = critics(x, y, anchor)

    for k in range(3):
        alone = critics.member(k)
        assert_close(
            alone(x[k], y[k], anchor[k]),
            together[k],
        )


def test_columns_aside():
    """Columns aside are not seen."""
    critic = randomised(Gated(2, 2, 8))
    x, y = torch.randn(4, 2), torch.randn(4, 2)
    assert torch.equal(critic(torch.cat([x, torch.randn(4, 1)], 1), y), critic(x, y))


@pytest.mark.parametrize("name", ["js", "infonce", "mine"])
def test_lone_member(name):
    """A member is trained as if it were alone.

    Other members change the batches that are drawn, and nothing else: here all rows are the batch.
    """
    z = torch.randn(2, 40, 1)
    rows = [(side, side + 0.5 * torch.randn(40, 1)) for side in z]
    settings = dict(
        steps=20,
        batch_size=40,
        negatives="all",
        learning_rate=1e-2,
        weight_decay=0.0,
        patience=5,
        generator=torch.Generator().manual_seed(0),
    )
    both = randomised(Gated(1, 1, 8, members=2))
    single = Gated(1, 1, 8, members=1)

    for own, shared in zip(single.parameters(), both.parameters(), strict=True):
        own.data.copy_(shared.data[1:])

    members = [Member(train=pair, valid=pair, anchor=None) for pair in rows]
    together = fit_critics(ESTIMATORS[name], both, members, **settings)[1]
    alone = fit_critics(ESTIMATORS[name], single, members[1:], **settings)[0]

    assert together.score == pytest.approx(alone.score, abs=1e-4)
    assert_close(
        together.critic(*rows[1]),
        alone.critic(*rows[1]),
        atol=1e-3,
        rtol=1e-3,
    )
    assert math.isfinite(alone.score)
