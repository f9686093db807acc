"""Escape times of the library's own gradients against the closed forms."""

import math

import pytest

from mi_estimators import theory
from toy.escape import run as escape
from toy.escape.run import EscapeFlow, EscapeSampled, MioLift
from toy.models.policies import OBJECTIVES

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
def test_escape_times(objective, betas, mix):
    """Escape times meet the closed forms."""
    measured, closed = escape.escape_flow(EscapeFlow(objective, EPS, betas, mix), 0)
    for times, expected in zip(measured["time"], closed["time"], strict=True):
        assert times == pytest.approx(expected, rel=1e-3)


def test_end_of_mio():
    """MIO ends at its anchor where a response is unseen, and at the drift's zero where none is."""
    eps, betas = (1e-3, 1e-5), (0.5, 1.0)
    for count, tolerance in ((2, 1e-4), (5, 1e-2)):
        measured, closed = escape.mio_lift(MioLift(count, eps, betas), 0)
        for row, expected in zip(measured["lift"], closed["lift"], strict=True):
            assert row == pytest.approx(expected, rel=tolerance)


def test_time_to_half():
    """The time to one half is theirs for every objective."""
    assert set(escape.TIMES) == set(OBJECTIVES)
    assert escape.TIMES["mio"](1e-6, 1.0, 0.5) == math.inf
    assert escape.TIMES["rlhf"](0.1, 1.0, 0.5) == theory.escape_time_rlhf(0.1)


@pytest.mark.parametrize("mix", [0.9, None])
def test_another_mix(mix):
    """Escape times at another mix meet the closed form."""
    measured, closed = escape.escape_flow(EscapeFlow("mio", (0.2, 1e-2), (1.0,), mix), 0)
    assert measured["time"][0] == pytest.approx(closed["time"][0], rel=1e-3)


def test_thresholds():
    """A fixed mix has its threshold, and the recommended one has none.

    β = 1, two arms: α ≥ ½ escapes iff (1 − ε)² + (1 − α)² < 1 (theorem escape_times).
    """
    threshold = 1 - math.sqrt(1 - 0.1**2)
    assert math.isfinite(theory.escape_time_mio(threshold * 1.01, 1.0, 0.9))
    assert theory.escape_time_mio(threshold * 0.99, 1.0, 0.9) == math.inf

    for beta in (0.5, 1.0):
        slow, fast = (escape.TIMES["mio"](eps, beta, None) for eps in (1e-14, 1e-12))
        assert math.log(slow / fast, 100) == pytest.approx(beta / (1 + beta), abs=0.01)


def test_seed():
    """A sampled escape repeats with its seed."""
    spec = EscapeSampled((0.1, 1e-4), 8, replicas=4)
    first, again, other = (escape.escape_sampled(spec, seed)[0]["steps"] for seed in (3, 3, 4))
    assert first == again
    assert first != other
