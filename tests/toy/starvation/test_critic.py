"""A critic that starves: batches by their counts, the threshold of DV, and training on its theory."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators.display.files import strict
from mi_estimators.display.page import Page
from toy.models import two_level
from toy.models.flows import integrate
from toy.models.two_level import TwoLevel
from toy.rows import identity
from toy.starvation.critic import page as critic_starvation_page
from toy.starvation.critic import run as critic_starvation
from toy.starvation.critic.run import QUICK, RUNS, CriticStarvation

SMALL = CriticStarvation(
    symbols=(4, 64), replicas=16, steps=200, batch=16, learning_rate=0.2, every=100, shown=64
)


@pytest.fixture(scope="module")
def small():
    return critic_starvation.critic_starvation(SMALL, 0)


@pytest.mark.parametrize("law", [TwoLevel(2, 0.3), TwoLevel(7, 0.9)])
def test_the_two_values_are_the_tables(law):
    table = law.table()
    assert law.mutual_information == pytest.approx(table.mutual_information, abs=1e-12)
    assert law.chi2 == pytest.approx(table.chi2, abs=1e-12)
    assert float(table.log_ratio_matrix[0, 0]) == pytest.approx(float(law.log_ratio[0]))
    assert float(table.log_joint.exp().diagonal().sum()) == pytest.approx(law.hit)
    assert float(table.log_product.exp().diagonal().sum()) == pytest.approx(law.region)


@pytest.mark.parametrize(("size", "share"), [(1, 0.5), (16, 0.1), (64, 1 / 1024), (1024, 0.95)])
def test_all_batches_are_there_with_their_chances(size, share):
    logs, chance = two_level.batches(size, share)
    shares = logs[:, 0].exp()
    assert float(chance.sum()) == pytest.approx(1, abs=1e-12)
    assert float(chance @ shares) == pytest.approx(share)
    assert float(chance @ (shares - share) ** 2) == pytest.approx(share * (1 - share) / size)


@pytest.mark.parametrize("bound", two_level.BOUNDS)
def test_counts_give_the_value_and_the_weights_of_the_samples(bound):
    critic = torch.tensor([1.3, -0.4], dtype=torch.float64)
    in_a, in_a_too = torch.tensor([1, 1, 0, 1]), torch.tensor([0, 1, 0, 0])
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


@pytest.mark.parametrize("name", ["mine", "nwj", "js", "infonce"])
@pytest.mark.parametrize("symbols", [4, 64, 1024])
def test_the_log_ratio_is_a_zero_of_the_mean_gradient(name, symbols):
    law = TwoLevel(symbols, 0.5)
    field = critic_starvation.mean_gradient(name, [law], SMALL)
    assert field(law.log_ratio[None]).abs().max() < 1e-12


def test_dv_has_a_zero_only_where_a_batch_misses_the_region_rarely_enough():
    """The softmax's mass in A is at most 1 where the batch has a negative in A: its mean stays below 1 − (1 − ε)^M."""
    for symbols in (8, 16, 32, 64):
        law = TwoLevel(symbols, 0.5)
        field = critic_starvation.mean_gradient("dv", [law], SMALL)
        far = field(torch.tensor([[300.0, 0.0]], dtype=torch.float64))[0, 0]
        assert float(far) == pytest.approx(law.hit - 1 + (1 - law.region) ** SMALL.batch, abs=1e-9)


def test_a_shift_does_not_move_dv_and_infonce():
    law = TwoLevel(16, 0.5)
    for name in ("dv", "infonce"):
        field = critic_starvation.mean_gradient(name, [law], SMALL)
        one, other = (field(torch.tensor([[2.0 + c, c]], dtype=torch.float64)) for c in (0.0, 5.0))
        assert torch.allclose(one, other)
        assert float(one.sum()) == pytest.approx(0, abs=1e-12)


def test_training_follows_the_flow_of_the_mean_gradient(small):
    measured, theory = small
    for name in ("js", "relative"):  # bounded weights: little noise
        for (_, middle, _), line in zip(
            measured[name]["difference"], theory[name]["difference"], strict=True
        ):
            assert middle == pytest.approx(line, abs=0.25)
    runaway, line = measured["dv"]["gap"][-1][1], theory["dv"]["gap"][-1]
    assert line > 5
    assert runaway == pytest.approx(line, rel=0.2)


def test_nwj_mine_and_infonce_stay_near_the_log_ratio_where_dv_runs_off(small):
    measured, _ = small
    for name in ("mine", "nwj", "infonce", "js"):
        assert measured[name]["gap"][-1][1] < 0.2 < measured["dv"]["gap"][-1][1]


def test_the_share_of_batches_that_miss_the_region(small):
    measured, theory = small
    for seen, missed in zip(measured["dv"]["missed"], theory["missed"], strict=True):
        assert seen == pytest.approx(
            missed, abs=4 * math.sqrt(missed * (1 - missed) / measured["dv"]["batches"]) + 1e-6
        )


def test_ess_over_all_batches_overstates_its_limit_most_where_the_region_is_missed():
    laws = [TwoLevel(symbols, 0.5) for symbols in (4, 16, 64, 256, 1024)]
    excess = [two_level.mean_ess(law, 16) * (1 + law.chi2) for law in laws]
    assert all(value > 1 for value in excess)
    assert excess == sorted(excess)
    assert two_level.mean_ess(laws[0], 4096) * (1 + laws[0].chi2) == pytest.approx(1, abs=0.01)


def test_relative_critic_comes_to_rest():
    law = TwoLevel(64, 0.5)
    field = critic_starvation.mean_gradient("relative", [law], SMALL)
    ends = [
        integrate(field, torch.zeros(1, 2, dtype=torch.float64), time).state[0]
        for time in (200, 300)
    ]
    assert torch.allclose(*ends, atol=1e-2)
    assert float(ends[0][0] - ends[0][1]) < float(law.log_ratio[0] - law.log_ratio[1]) - 1


def test_the_quick_suite_runs_and_every_figure_has_its_caption():
    spec = dataclasses.replace(QUICK[0], steps=20, replicas=4)
    measured, theory = RUNS[type(spec)](spec, 0)
    row = identity("critic_starvation", spec, "quick", 0) | {
        "measured": strict(measured),
        "theory": strict(theory),
    }
    page = Page("test")
    critic_starvation_page.section(page, [row])
    assert list(page.figures) == ["critic_starvation", "critic_starvation_training"]
    assert "".join(page.parts).count("<figcaption>") == 2
    critic_starvation_page.section(empty := Page("test"), [])
    assert not empty.parts


def test_bad_laws_and_bounds_are_named():
    with pytest.raises(ValueError, match="symbols: expected"):
        TwoLevel(1, 0.5)
    with pytest.raises(ValueError, match="copy: expected"):
        TwoLevel(2, 1.0)
    with pytest.raises(ValueError, match="bound: expected"):
        two_level.value("none", *[torch.zeros(2)] * 4, 4, 0.5)
