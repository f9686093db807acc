"""The staircase: every estimator read, ceilings and orderings at every reading, and the ideal critic's moments."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators import laws
from mi_estimators.display.files import strict
from mi_estimators.display.page import Page
from toy.models.critics import Replicas
from toy.models.training import descend
from toy.rows import identity
from toy.staircase import page as staircase_page
from toy.staircase import run as staircase
from toy.staircase.run import MAPS, QUICK, RUNS

SPEC = dataclasses.replace(QUICK[0], steps=20)


@pytest.fixture(scope="module")
def found():
    return staircase.staircase(SPEC, 0)


def test_every_estimator_is_read_and_a_critic_is_trained_once_for_an_objective(found):
    assert set(found[0]["readings"]) == set(mi.ESTIMATORS)
    groups = staircase.objectives()
    assert sum(map(len, groups)) == len(mi.ESTIMATORS)
    assert (
        len(groups[0])
        == sum(row.objective is mi.ESTIMATORS["js"].objective for row in mi.ESTIMATORS.values())
        > 1
    )
    for maps in found[0]["readings"].values():
        assert set(maps) == set(SPEC.maps)
        for lines in maps.values():
            assert [len(line) for line in lines] == [
                len(SPEC.nats) * SPEC.steps // SPEC.every
            ] * SPEC.replicas
            assert lines[0] != lines[1]


def test_ceilings_and_orderings_hold_at_every_reading(found):
    readings, control = (
        {k: torch.tensor(v) for k, v in part.items()}
        for part in (_flat(found), found[0]["control"])
    )
    assert readings["infonce"].max() <= math.log(SPEC.batch) + 1e-3
    assert (readings["js_nwj"] <= readings["js_dv"] + 2e-3).all()
    assert readings["js_certificate"].min() >= 0
    assert control["infonce"].max() <= math.log(SPEC.batch) + 1e-3
    assert (control["nwj"] <= control["dv"] + 2e-3).all()


def _flat(found):
    return {name: list(maps.values()) for name, maps in found[0]["readings"].items()}


def test_the_ideal_critic_at_low_information_has_the_exact_moments(monkeypatch):
    monkeypatch.setattr(
        staircase, "READOUTS", {name: staircase.READOUTS[name] for name in ("nwj", "plug_in")}
    )
    spec = dataclasses.replace(SPEC, nats=(0.5,), dim=20, steps=300, every=1, late=1.0)
    summary = {
        name: staircase._summary(v, spec)[0] for name, v in staircase._control(spec, 0).items()
    }
    law = laws.Gaussian.with_information(0.5, 20)
    variance = {
        "nwj": staircase.theory.nwj_in_batch_variance(law.rho, law.dim, spec.batch),
        "plug_in": law.log_ratio_variance / spec.batch,
    }
    for name, expected in variance.items():
        bias, spread, error, _ = summary[name]
        assert spread == pytest.approx(expected, rel=0.25)
        assert abs(bias) < 4 * (expected / 600) ** 0.5
        assert error == pytest.approx(bias**2 + spread * 599 / 600)


def test_the_summary_pools_replicas_and_its_standard_error_is_between_them():
    spec = dataclasses.replace(SPEC, nats=(1.0, 2.0), steps=4, every=1, late=0.5)
    readings = torch.tensor(
        [[9.0, 9, 1, 2, 9, 9, 2, 2], [9, 9, 3, 4, 9, 9, 4, 4]], dtype=torch.float64
    )
    first, second = staircase._summary(readings, spec)
    assert first == pytest.approx([1.5, 5 / 3, 3.5, 1.0])
    assert second == pytest.approx([1.0, 4 / 3, 2.0, 1.0])


@pytest.mark.parametrize("name", MAPS)
def test_maps_leave_the_ideal_critics_scores(name):
    law = laws.Gaussian.with_information(2.0, 3)
    x, y = (rows.double() for rows in law.sample(50, torch.Generator().manual_seed(0)))
    seen = laws.Transformed(law, laws.IDENTITY, MAPS[name])
    assert torch.allclose(seen.log_ratio(x, MAPS[name].forward(y)), law.log_ratio(x, y), atol=1e-8)
    assert seen.mutual_information == law.mutual_information


@pytest.mark.parametrize("name", ["nwj", "mine"])
def test_a_broken_critic_is_told_and_does_not_touch_the_others(monkeypatch, name):
    broken = laws.InjectiveMap("broken", lambda y: y * math.nan, lambda y: y)
    monkeypatch.setitem(MAPS, "cubic", broken)
    spec = dataclasses.replace(SPEC, maps=("none", "cubic"), steps=10)
    group = [mi.ESTIMATORS[name]]
    readings, steps = staircase._train(group, spec, 0)
    alone, _ = staircase._train(group, dataclasses.replace(spec, maps=("none",)), 0)
    assert steps == [[None] * spec.replicas, [0] * spec.replicas]
    assert readings[name][1].isnan().all()
    torch.testing.assert_close(readings[name][0], alone[name][0], atol=1e-3, rtol=0)


def test_adam_keeps_replicas_apart():
    replicas = Replicas(
        lambda: mi.estimation.critics.Separable(2, 2, 4, 1, 2, zero_start=False), 2, seed=0
    )
    x, y = laws.Gaussian(0.8, 2).sample(16, torch.Generator().manual_seed(0))

    def ascend(parameters):
        def loss(p):
            scores = replicas.scores(p, x.expand(len(p[0]), -1, -1), y.expand(len(p[0]), -1, -1))
            return -mi.js(*mi.joint_and_product(scores)), None

        return descend(loss, parameters, 20, 1e-2, adam=True)

    both, one = ascend(replicas.parameters), ascend([p[:1] for p in replicas.parameters])
    for together, alone in zip(both, one, strict=True):
        assert torch.allclose(together[:1], alone, atol=1e-5)
        assert not torch.allclose(together[:1], together[1:])
    stacked = replicas.scores(both, *(rows.expand(2, -1, -1) for rows in (x, y)))
    assert torch.allclose(replicas.one(both, 0)(x, y), stacked[0], atol=1e-5)


def test_every_figure_has_its_caption(found):
    measured, said = found
    assert set(RUNS) == {type(SPEC)}
    row = identity("staircase", SPEC, "quick", 0) | {
        "measured": strict(measured),
        "theory": strict(said),
    }
    staircase_page.section(page := Page("test"), [row])
    assert list(page.figures) == ["staircase", "staircase_control"]
    assert "".join(page.parts).count("<figcaption>") == 2
    staircase_page.section(empty := Page("test"), [])
    assert not empty.parts
