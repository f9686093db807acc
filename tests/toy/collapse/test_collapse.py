"""The collapse toy: matched gradients, the no-collapse interval, and the tabular control."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from toy.collapse.run import LOSSES, Collapse, base_law, collapse, preference_pairs
from toy.models.training import descend

SMALL = Collapse(betas=(0.1,), prompts=8, replicas=6, sft_steps=200, steps=120)


@pytest.fixture(scope="module")
def small():
    return collapse(SMALL, 0)


def test_first_gradients_are_matched():
    zero = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    gradients = []
    for bound, factor in LOSSES.values():
        loss = mi.preference_loss(factor * 0.3 * zero[0], factor * 0.3 * zero[1], bound=bound)
        gradients.append(torch.autograd.grad(loss, zero)[0])
    assert torch.allclose(gradients[0], gradients[1])
    assert gradients[0].tolist() == pytest.approx([-0.15, 0.15])


def test_both_losses_start_at_the_base_policy_and_theory_start(small):
    measured, said = small
    for name in LOSSES:
        curve = measured[name][0]
        assert curve["loss"][0] == pytest.approx([said["loss_start"][name]] * 3, abs=1e-5)
        assert curve["z_chosen"][0] == pytest.approx([0] * 3, abs=1e-5)
        for quantity in ("chosen", "rejected", "unseen"):
            assert curve[quantity][0] == measured["dpo"][0][quantity][0]


def test_masses_add_up(small):
    for curves in small[0].values():
        curve = curves[0]
        total = [sum(curve[q][0][1] for q in ("chosen", "rejected", "unseen"))]
        assert total == pytest.approx(
            [1], abs=0.15
        )  # medians of three masses need not add to one exactly


def test_mio_never_leaves_the_interval_and_dpo_has_none(small):
    measured, said = small
    curve = measured["mio"][0]
    assert curve["outside_interval"] == said["outside_interval"] == 0
    assert curve["steps_above_start"] == 0
    assert curve["steps_seen"] == SMALL.replicas * (SMALL.steps + 1)
    assert said["interval"] == pytest.approx([-0.854526701, 2.546215249])
    assert all(loss[0] >= said["loss_floor"]["mio"] for loss in curve["loss"])


def test_shared_features_collapse_dpo_but_not_mio():
    """Median over seeds and the sign only: the size depends on the network."""
    measured, _ = collapse(
        dataclasses.replace(SMALL, prompts=16, replicas=8, activation="relu", steps=100), 0
    )
    dpo, mio = (torch.tensor(measured[name][0]["final_z_chosen"]) for name in ("dpo", "mio"))
    assert dpo.median() < 0 < mio.median()


def test_a_tabular_policy_never_falls():
    measured, _ = collapse(dataclasses.replace(SMALL, policy="tabular"), 0)
    assert min(measured["dpo"][0]["lowest_z_chosen"]) >= -1e-6
    assert max(fallen[2] for fallen in measured["dpo"][0]["fallen"]) == 0


def test_pairs_are_distinct_and_exclusive_ones_do_not_overlap():
    generator = torch.Generator().manual_seed(0)
    _, law = base_law(SMALL, generator)
    chosen, rejected = preference_pairs(SMALL, law.log(), generator)
    assert (chosen != rejected).all()
    exclusive = dataclasses.replace(SMALL, pairs="exclusive")
    chosen, rejected = preference_pairs(exclusive, law.log(), generator)
    assert not set(chosen.flatten().tolist()) & set(rejected.flatten().tolist())


def test_chosen_responses_are_a_fair_coin():
    """On-policy pairs: the chosen and the rejected response are equally likely under the base policy on average."""
    spec = dataclasses.replace(SMALL, replicas=200)
    generator = torch.Generator().manual_seed(1)
    _, law = base_law(spec, generator)
    pair = preference_pairs(spec, law.log(), generator)
    mass = [float(law.gather(-1, index).mean()) for index in pair]
    assert mass[0] == pytest.approx(mass[1], abs=0.03)


def test_descend_is_plain_descent_per_replica():
    """Two parabolas of different curvature: θ ← (1 − ηk)θ each."""
    curvature = torch.tensor([1.0, 3.0])
    (end,) = descend(lambda p: (curvature * p[0] ** 2 / 2, None), [torch.ones(2)], 4, 0.1)
    assert end.tolist() == pytest.approx([0.9**4, 0.7**4])


def test_descend_stops_when_asked_and_leaves_its_input():
    start, steps = torch.ones(1), []

    def observe(step, losses, seen):
        steps.append((step, float(losses), seen))
        return step == 2

    descend(lambda p: (p[0].sum(0, keepdim=True), "seen"), [start], 100, 0.5, observe)
    assert steps == [(0, 1.0, "seen"), (1, 0.5, "seen"), (2, 0.0, "seen")]
    assert float(start) == 1


def test_anchor_is_reached_where_the_policy_allows_it():
    """Tabular, one pair likely enough: βz_w ends near ln 2."""
    spec = Collapse(
        betas=(1.0,), policy="tabular", prompts=2, replicas=4, steps=400, reward_rate=1.0
    )
    measured, said = collapse(spec, 0)
    end = torch.tensor(measured["mio"][0]["final_z_chosen"]) * 2
    assert float(end.median()) == pytest.approx(math.log(2), abs=0.05)
    assert said["anchor"] == pytest.approx(math.log(2))
