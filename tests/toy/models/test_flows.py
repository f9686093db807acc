"""Flows of the library's own gradients against the closed forms."""

import math

import pytest
import torch

from mi_estimators import theory
from toy.collapse.run import Lazy, lazy
from toy.escape import run as escape
from toy.escape.run import EscapeFlow, MioLift
from toy.models.flows import ascent, integrate
from toy.models.policies import OBJECTIVES, arms

EPS = (0.2, 1e-2, 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("objective", "betas", "mix"),
    [
        ("rlhf", (1.0,), 0.5),
        ("sft", (1.0,), 0.5),
        ("dpo", (0.1, 1.0), 0.5),
        ("mio", (0.2, 1.0), 0.5),
        ("drawn_dv", (1.0,), 0.5),
        ("drawn_js", (1.0,), 0.5),
    ],
)
def test_escape_times_meet_the_closed_forms(objective, betas, mix):
    measured, said = escape.escape_flow(EscapeFlow(objective, EPS, betas, mix), 0)
    for times, expected in zip(measured["time"], said["time"], strict=True):
        assert times == pytest.approx(expected, rel=1e-3)


def test_mio_passes_one_half_where_the_anchor_alone_would_stop_it():
    """Two arms, β = 0.2, ε = 0.01: 2⁵ε = 0.32 < ½, and yet the flow of the library's loss escapes."""
    measured, _ = escape.escape_flow(EscapeFlow("mio", (0.01,), (0.2,)), 0)
    assert measured["time"][0][0] == pytest.approx(105.9103, rel=1e-3)


def test_mio_ends_at_its_anchor_where_a_response_is_unseen_and_at_the_drifts_zero_where_none_is():
    eps, betas = (1e-3, 1e-5), (0.5, 1.0)
    for count, tolerance in ((2, 1e-4), (5, 1e-2)):
        measured, said = escape.mio_lift(MioLift(count, eps, betas), 0)
        for row, expected in zip(measured["lift"], said["lift"], strict=True):
            assert row == pytest.approx(expected, rel=tolerance)


def test_mio_may_overshoot_its_anchor_on_the_way():
    """Three arms, ε = 0.2, β = 1, most mass on the rejected one: p passes ½ and comes back to 2ε."""
    base = torch.tensor([[0.2, 0.75, 0.05]], dtype=torch.float64).log()
    field = ascent(OBJECTIVES["mio"](base, torch.ones(1, dtype=torch.float64), 0.5))
    seen = []
    flow = integrate(
        field, base, 500.0, observe=lambda time, state: seen.append(float(state.softmax(-1)[0, 0]))
    )
    assert max(seen) > 0.5
    assert float(flow.state.softmax(-1)[0, 0]) == pytest.approx(0.4, rel=1e-2)


def test_the_gradients_at_the_start_are_those_of_theory():
    base = arms(torch.tensor([0.1], dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    expected = {
        "rlhf": 0.1 * 0.9,
        "sft": 0.9,
        "dpo": 0.5,
        "mio": 0.25,
    }  # ∂J/∂θ_w; opposite for the other arm
    for name, slope in expected.items():
        gradient = ascent(OBJECTIVES[name](base, one, 0.5))(base)[0].tolist()
        assert gradient == pytest.approx([slope, -slope])


def test_an_unfinished_flow_says_so():
    with pytest.raises(RuntimeError, match="within 3 steps"):
        integrate(lambda x: x, torch.ones(1, 1, dtype=torch.float64), 10.0, max_steps=3)


def test_each_system_has_its_own_step_and_horizon():
    rate = torch.tensor([[1.0], [1e6]], dtype=torch.float64)
    horizon = torch.tensor([1.0, 1e-6], dtype=torch.float64)
    flow = integrate(lambda x: -rate * x, torch.ones(2, 1, dtype=torch.float64), horizon)
    assert flow.time.tolist() == pytest.approx(horizon.tolist())
    assert flow.state[:, 0].tolist() == pytest.approx([math.exp(-1)] * 2, rel=1e-4)
    assert not flow.arrived.any()


def test_frozen_kernel_check_values():
    """a, c, d = 1, 3, 10, β = 1, t = 1e5."""
    dpo, said = lazy(Lazy("dv", 1e5), 0)
    assert dpo["final"] == pytest.approx(-5.249, abs=5e-4)
    assert dpo["final"] == pytest.approx(said["final"], rel=1e-4)
    mio, said = lazy(Lazy("js", 1e5), 0)
    assert mio["final"] == pytest.approx(0.693, abs=5e-4)
    assert mio["final"] == pytest.approx(said["final"], abs=2e-4)
    assert mio["lowest"] == pytest.approx(-0.280, abs=1e-3)


def test_frozen_kernel_without_overlap_never_falls():
    """The false neighbour: c < a, and DPO's chosen reward rises."""
    for bound in ("dv", "js"):
        measured, _ = lazy(Lazy(bound, 1e2, c=0.5, d=1.0), 0)
        assert measured["lowest"] == 0
        assert measured["final"] > 0


def test_time_to_half_is_theirs_for_every_objective():
    assert set(escape.TIMES) == set(OBJECTIVES)
    assert escape.TIMES["mio"](1e-6, 1.0, 0.5) == math.inf
    assert escape.TIMES["rlhf"](0.1, 1.0, 0.5) == theory.escape_time_rlhf(0.1)


@pytest.mark.parametrize("mix", [0.9, None])
def test_escape_times_at_another_mix_meet_the_closed_form(mix):
    measured, said = escape.escape_flow(EscapeFlow("mio", (0.2, 1e-2), (1.0,), mix), 0)
    assert measured["time"][0] == pytest.approx(said["time"][0], rel=1e-3)


def test_a_fixed_mix_has_its_threshold_and_the_recommended_one_has_none():
    """β = 1, two arms: α ≥ ½ escapes iff (1 − ε)² + (1 − α)² < 1 (theorem escape_times)."""
    threshold = 1 - math.sqrt(1 - 0.1**2)
    assert math.isfinite(theory.escape_time_mio(threshold * 1.01, 1.0, 0.9))
    assert theory.escape_time_mio(threshold * 0.99, 1.0, 0.9) == math.inf
    for beta in (0.5, 1.0):
        slow, fast = (escape.TIMES["mio"](eps, beta, None) for eps in (1e-14, 1e-12))
        assert math.log(slow / fast, 100) == pytest.approx(beta / (1 + beta), abs=0.01)
