"""The staircase: every estimator read, ceilings and orderings at every reading, and the ideal critic's moments."""

import dataclasses
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators import laws
from toy.staircase import run as staircase
from toy.staircase.run import MAPS, QUICK

SPEC = dataclasses.replace(QUICK[0], steps=20)


@pytest.fixture(scope="module")
def climb():
    return staircase.staircase(SPEC, 0)


def test_readings(climb):
    """Every estimator is read, and a critic is trained once for an objective."""
    assert set(climb[0]["readings"]) == set(mi.ESTIMATORS)

    groups = staircase.objectives()
    assert sum(map(len, groups)) == len(mi.ESTIMATORS)
    assert (
        len(groups[0])
        == sum(row.objective is mi.ESTIMATORS["js"].objective for row in mi.ESTIMATORS.values())
        > 1
    )

    for maps in climb[0]["readings"].values():
        assert set(maps) == set(SPEC.maps)
        for lines in maps.values():
            assert [len(line) for line in lines] == [
                len(SPEC.nats) * SPEC.steps // SPEC.every
            ] * SPEC.replicas
            assert lines[0] != lines[1]


def test_order_of_bounds(climb):
    """Ceilings and orderings hold at every reading."""
    readings, control = (
        {k: torch.tensor(v) for k, v in part.items()}
        for part in (_flat(climb), climb[0]["control"])
    )

    assert readings["infonce"].max() <= math.log(SPEC.batch) + 1e-3
    assert (readings["js_nwj"] <= readings["js_dv"] + 2e-3).all()
    assert readings["js_certificate"].min() >= 0
    assert control["infonce"].max() <= math.log(SPEC.batch) + 1e-3
    assert (control["nwj"] <= control["dv"] + 2e-3).all()


def _flat(climb):
    return {name: list(maps.values()) for name, maps in climb[0]["readings"].items()}


def test_low_information(monkeypatch):
    """The ideal critic at low information has the exact moments."""
    monkeypatch.setattr(
        staircase, "READOUTS", {name: staircase.READOUTS[name] for name in ("nwj", "plug_in")}
    )
    spec = dataclasses.replace(
        SPEC,
        nats=(0.5,),
        dim=20,
        steps=300,
        every=1,
        late=1.0,
    )
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


def test_pooled_summary():
    """The summary pools replicas, and its standard error is between them."""
    spec = dataclasses.replace(
        SPEC,
        nats=(1.0, 2.0),
        steps=4,
        every=1,
        late=0.5,
    )
    readings = torch.tensor(
        [[9.0, 9, 1, 2, 9, 9, 2, 2], [9, 9, 3, 4, 9, 9, 4, 4]], dtype=torch.float64
    )
    first, second = staircase._summary(readings, spec)

    assert first == pytest.approx([1.5, 5 / 3, 3.5, 1.0])
    assert second == pytest.approx([1.0, 4 / 3, 2.0, 1.0])


@pytest.mark.parametrize("name", MAPS)
def test_mapped_rows(name):
    """Maps leave the ideal critic's scores."""
    law = laws.Gaussian.with_information(2.0, 3)
    x, y = (rows.double() for rows in law.sample(50, torch.Generator().manual_seed(0)))
    mapped = laws.Transformed(law, laws.IDENTITY, MAPS[name])

    assert torch.allclose(
        mapped.log_ratio(x, MAPS[name].forward(y)), law.log_ratio(x, y), atol=1e-8
    )
    assert mapped.mutual_information == law.mutual_information


@pytest.mark.parametrize("name", ["nwj", "mine"])
def test_broken_critic(monkeypatch, name):
    """A broken critic is told, and does not touch the others."""
    broken = laws.InjectiveMap("broken", lambda y: y * math.nan, lambda y: y)
    monkeypatch.setitem(MAPS, "cubic", broken)
    spec = dataclasses.replace(SPEC, maps=("none", "cubic"), steps=10)
    group = [mi.ESTIMATORS[name]]
    readings, steps = staircase._train(group, spec, 0)
    alone, _ = staircase._train(
        group,
        dataclasses.replace(spec, maps=("none",)),
        0,
    )

    assert steps == [[None] * spec.replicas, [0] * spec.replicas]
    assert readings[name][1].isnan().all()
    torch.testing.assert_close(
        readings[name][0],
        alone[name][0],
        atol=1e-3,
        rtol=0,
    )
