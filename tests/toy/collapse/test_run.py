"""Collapse: matched gradients, the no-collapse interval, the tabular control, and the frozen kernel."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from toy.collapse.run import LOSSES, Collapse, Lazy, base_law, collapse, lazy, preference_pairs

SMALL = Collapse(
    betas=(0.1,),
    prompts=8,
    replicas=6,
    sft_steps=200,
    steps=120,
)


@pytest.fixture(scope="module")
def small():
    return collapse(SMALL, 0)


def test_first_gradients():
    zero = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    gradients = []
    for bound, factor in LOSSES.values():
        loss = mi.preference_loss(
            factor * 0.3 * zero[0],
            factor * 0.3 * zero[1],
            bound=bound,
        )
        gradients.append(torch.autograd.grad(loss, zero)[0])

    assert torch.allclose(gradients[0], gradients[1])
    assert gradients[0].tolist() == pytest.approx([-0.15, 0.15])


def test_start(small):
    """Both losses start at the base policy and at theory's start."""
    measured, theory = small
    for name in LOSSES:
        curve = measured[name][0]
        assert curve["loss"][0] == pytest.approx([theory["loss_start"][name]] * 3, abs=1e-5)
        assert curve["z_chosen"][0] == pytest.approx([0] * 3, abs=1e-5)
        for quantity in ("chosen", "rejected", "unseen"):
            assert curve[quantity][0] == measured["dpo"][0][quantity][0]


def test_masses(small):
    for curves in small[0].values():
        curve = curves[0]
        total = [sum(curve[q][0][1] for q in ("chosen", "rejected", "unseen"))]
        # Medians of three masses need not add to one exactly
        assert total == pytest.approx([1], abs=0.15)


def test_interval(small):
    """MIO never leaves the interval, and DPO has none."""
    measured, theory = small
    curve = measured["mio"][0]

    assert curve["outside_interval"] == theory["outside_interval"] == 0
    assert curve["steps_above_start"] == 0
    assert curve["steps_seen"] == SMALL.replicas * (SMALL.steps + 1)
    assert theory["interval"] == pytest.approx([-0.854526701, 2.546215249])
    assert all(loss[0] >= theory["loss_floor"]["mio"] for loss in curve["loss"])


def test_shared_features():
    """Shared features collapse DPO, but not MIO.

    Median over seeds and the sign only: the size depends on the network.
    """
    measured, _ = collapse(
        dataclasses.replace(SMALL, prompts=16, replicas=8, activation="relu", steps=100), 0
    )
    dpo, mio = (torch.tensor(measured[name][0]["final_z_chosen"]) for name in ("dpo", "mio"))
    assert dpo.median() < 0 < mio.median()


def test_tabular_policy():
    """A tabular policy never falls."""
    measured, _ = collapse(dataclasses.replace(SMALL, policy="tabular"), 0)
    assert min(measured["dpo"][0]["lowest_z_chosen"]) >= -1e-6
    assert max(fallen[2] for fallen in measured["dpo"][0]["fallen"]) == 0


def test_pairs():
    """Pairs are distinct, and exclusive ones do not overlap."""
    generator = torch.Generator().manual_seed(0)
    _, law = base_law(SMALL, generator)
    chosen, rejected = preference_pairs(SMALL, law.log(), generator)

    assert (chosen != rejected).all()

    exclusive = dataclasses.replace(SMALL, pairs="exclusive")
    chosen, rejected = preference_pairs(exclusive, law.log(), generator)

    assert not set(chosen.flatten().tolist()) & set(rejected.flatten().tolist())


def test_fair_coin():
    """On-policy pairs: the chosen and the rejected response are equally likely under the base policy on average."""
    spec = dataclasses.replace(SMALL, replicas=200)
    generator = torch.Generator().manual_seed(1)
    _, law = base_law(spec, generator)
    pair = preference_pairs(spec, law.log(), generator)
    mass = [float(law.gather(-1, index).mean()) for index in pair]

    assert mass[0] == pytest.approx(mass[1], abs=0.03)


def test_anchor():
    """The anchor is reached where the policy allows it.

    Tabular, one pair likely enough: βz_w ends near ln 2.
    """
    spec = Collapse(
        betas=(1.0,),
        policy="tabular",
        prompts=2,
        replicas=4,
        steps=400,
        reward_rate=1.0,
    )
    measured, theory = collapse(spec, 0)
    end = torch.tensor(measured["mio"][0]["final_z_chosen"]) * 2

    assert float(end.median()) == pytest.approx(math.log(2), abs=0.05)
    assert theory["anchor"] == pytest.approx(math.log(2))


def test_frozen_kernel():
    """a, c, d = 1, 3, 10, β = 1, t = 1e5."""
    dpo, theory = lazy(Lazy("dv", 1e5), 0)
    assert dpo["final"] == pytest.approx(-5.249, abs=5e-4)
    assert dpo["final"] == pytest.approx(theory["final"], rel=1e-4)

    mio, theory = lazy(Lazy("js", 1e5), 0)
    assert mio["final"] == pytest.approx(0.693, abs=5e-4)
    assert mio["final"] == pytest.approx(theory["final"], abs=2e-4)
    assert mio["lowest"] == pytest.approx(-0.280, abs=1e-3)


def test_no_overlap():
    """A frozen kernel without overlap never falls.

    The false neighbour: c < a, and DPO's chosen reward rises.
    """
    for bound in ("dv", "js"):
        measured, _ = lazy(Lazy(bound, 1e2, c=0.5, d=1.0), 0)
        assert measured["lowest"] == 0
        assert measured["final"] > 0
