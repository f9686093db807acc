"""The two-level law: its table, its batches, and values from counts."""

import pytest
import torch

import mi_estimators as mi
from toy.models import two_level
from toy.models.two_level import TwoLevel


@pytest.mark.parametrize("law", [TwoLevel(2, 0.3), TwoLevel(7, 0.9)])
def test_two_values(law):
    """The two values are the table's."""
    table = law.table()
    assert law.mutual_information == pytest.approx(table.mutual_information, abs=1e-12)
    assert law.chi2 == pytest.approx(table.chi2, abs=1e-12)
    assert float(table.log_ratio_matrix[0, 0]) == pytest.approx(float(law.log_ratio[0]))
    assert float(table.log_joint.exp().diagonal().sum()) == pytest.approx(law.hit)
    assert float(table.log_product.exp().diagonal().sum()) == pytest.approx(law.region)


@pytest.mark.parametrize(("size", "share"), [(1, 0.5), (16, 0.1), (64, 1 / 1024), (1024, 0.95)])
def test_all_batches(size, share):
    """All batches are there with their chances."""
    logs, chance = two_level.batches(size, share)
    shares = logs[:, 0].exp()
    assert float(chance.sum()) == pytest.approx(1, abs=1e-12)
    assert float(chance @ shares) == pytest.approx(share)
    assert float(chance @ (shares - share) ** 2) == pytest.approx(share * (1 - share) / size)


@pytest.mark.parametrize("bound", two_level.BOUNDS)
def test_counts(bound):
    """Counts give the value and the weights of the samples."""
    critic = torch.tensor([1.3, -0.4], dtype=torch.float64)
    in_a = torch.tensor([1, 1, 0, 1])
    in_a_too = torch.tensor([0, 1, 0, 0])
    joint, product = (critic[1 - where] for where in (in_a, in_a_too))
    logs = [two_level.log_shares(where.sum(), 4) for where in (in_a, in_a_too)]
    sides = [critic.clone().requires_grad_() for _ in range(2)]
    value = two_level.value(bound, *sides, *logs, 4, 0.9)
    rows = product.expand(4, 4)

    if bound == "relative":
        scores = [mi.bounds.log_ratio_to_relative(part, 0.9) for part in (joint, product)]
        assert value.item() == pytest.approx(float(mi.bounds.relative(mi.dv, 0.9)(*scores)))
        return

    weights = mi.score_weights(bound, joint, rows if bound == "infonce" else product)
    direct = [weights[0], weights[1].sum(0) if bound == "infonce" else weights[1]]
    for gradient, weight, where in zip(
        torch.autograd.grad(value, sides), direct, (in_a, in_a_too), strict=True
    ):
        assert gradient.tolist() == pytest.approx(
            [float(weight[where == 1].sum()), float(weight[where == 0].sum())]
        )


def test_overstated_ess():
    """The ESS over all batches overstates its limit most where the region is missed."""
    laws = [TwoLevel(symbols, 0.5) for symbols in (4, 16, 64, 256, 1024)]
    excess = [two_level.mean_ess(law, 16) * (1 + law.chi2) for law in laws]
    assert all(value > 1 for value in excess)
    assert excess == sorted(excess)
    assert two_level.mean_ess(laws[0], 4096) * (1 + laws[0].chi2) == pytest.approx(1, abs=0.01)


def test_bad_names():
    with pytest.raises(ValueError, match="symbols: expected"):
        TwoLevel(1, 0.5)
    with pytest.raises(ValueError, match="copy: expected"):
        TwoLevel(2, 1.0)
    with pytest.raises(ValueError, match="bound: expected"):
        two_level.value("none", *[torch.zeros(2)] * 4, 4, 0.5)
