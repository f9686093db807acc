"""Groups of right and wrong responses: the policy gradient is a cell beside the preference losses."""

import math

import pytest
import torch
from torch.testing import assert_close

from llm_adapter.loss.groups import GroupObjective
from llm_adapter.loss.objective import Objective

Z = torch.tensor([0.4, -0.3, 0.1, 0.7, -0.2], dtype=torch.float64)
RIGHT = torch.tensor([True, False, False, True, False])
GROUPS = [
    GroupObjective(),
    GroupObjective(advantage="normalised"),
    GroupObjective(Objective("js", mix="auto")),
    GroupObjective(Objective("dv")),
    GroupObjective(Objective(loss="kto")),
]


def slope(objective, z, right):
    z = z.clone().requires_grad_()
    loss = objective.loss(z, right)
    (gradient,) = torch.autograd.grad(loss, z) if loss.requires_grad else (torch.zeros_like(z),)
    return gradient


@pytest.mark.parametrize("objective", GROUPS, ids=lambda objective: objective.name)
@pytest.mark.parametrize("right", [True, False])
def test_one_kind(objective, right):
    """A group of one kind has no gradient."""
    assert slope(objective, Z, torch.full((5,), right)).tolist() == [0.0] * 5


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_policy_gradient(count):
    """The policy gradient is the margin, with the group's variance.

    −p(1 − p)(mean over the right − mean over the wrong); its root where normalised. Its mean over groups is that of
    the theorems group_relative_zero_gradient and grpo_normalised_gradient.
    """
    share, right = count / 5, torch.arange(5) < count
    margin = torch.where(right, -1 / count, 1 / (5 - count)).double()
    plain, normalised = slope(GROUPS[0], Z, right), slope(GROUPS[1], Z, right)
    assert_close(plain, share * (1 - share) * margin)
    assert_close(normalised, math.sqrt(share * (1 - share)) * margin)


def test_dpo_at_reference():
    """At the reference, a pair's policy gradient is DPO's.

    β/2 of DPO's first gradient against p(1 − p) = ¼ of the policy gradient's.
    """
    zero, right = torch.zeros(2, dtype=torch.float64), torch.tensor([True, False])
    dpo = slope(GroupObjective(Objective("dv", beta=0.5)), zero, right)
    assert_close(slope(GroupObjective(), zero, right), dpo)


def test_group_preference():
    """A preference of a group is the mean over its right responses."""
    objective = Objective("js", mix="auto", beta=0.3)
    mask = torch.ones(1, 3, dtype=torch.bool)
    losses = [objective.losses(z.view(1), Z[~RIGHT].view(1, 3), mask) for z in Z[RIGHT]]
    total = GroupObjective(objective).loss(Z, RIGHT)
    assert_close(total, torch.cat(losses).mean())
