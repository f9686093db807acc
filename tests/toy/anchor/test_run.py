"""The anchor: the two ends of the flow, and the times to ½."""

import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators import theory
from toy.anchor import run as anchor
from toy.anchor.run import AnchorChoice, AnchorFlow
from toy.models.flows import ascent, integrate
from toy.models.policies import arms, log_odds


@pytest.mark.parametrize("mix", [0.25, 0.75])
def test_end_of_the_flow(mix):
    """The flow ends at the target, and the lift does not depend on ε."""
    spec = AnchorFlow(mix, (0.5, 2.0), (1e-4, 1e-2), time=100.0)
    measured, closed = anchor.anchor_flow(spec, 0)
    for beta, end, expected in zip(spec.betas, measured["end"], closed["end"], strict=True):
        assert end == pytest.approx(expected, rel=1e-2)
        assert end[1] / end[0] == pytest.approx(100, rel=5e-3)
        assert end[0] / 1e-4 == pytest.approx((1 - mix) ** (-1 / beta), rel=1e-2)


def test_small_beta():
    """A target above one half may end at one at small β.

    β = 0.25, α = ½, even wrong mass: target 0.49 ends at 1, target 0.33 does not.
    """
    measured, closed = anchor.anchor_flow(AnchorFlow(0.5, (0.25,), (0.0209, 0.0306)), 0)
    assert closed["end"][0] == pytest.approx([0.3344, 0.4896], rel=1e-3)
    assert measured["end"][0] == pytest.approx([0.336, 0.999], abs=5e-3)


def test_late_return():
    """Above one half the flow comes back from one, if late.

    β = 1, ε = 0.2, 0.95 of the rest on the rejected response: far above the target 0.4 first, at it in the end.
    """
    early, late = (
        AnchorFlow(0.5, (1.0,), (0.2,), rejected=0.95, time=time) for time in (30.0, 600.0)
    )
    assert anchor.anchor_flow(early, 0)[0]["end"][0][0] > 0.9
    assert anchor.anchor_flow(late, 0)[0]["end"][0][0] == pytest.approx(0.4, rel=5e-3)


def test_time_to_half():
    """The time to one half is exact for the chosen term alone.

    The library's loss with the rejected score held where it pushes nothing; all wrong responses stay equal.
    """
    eps, beta, count = 1e-3, 0.5, 10
    mix = 1 - eps**beta
    base = arms(torch.tensor([eps], dtype=torch.float64), count)
    reference = base.log_softmax(-1)

    def objective(logits):
        chosen = beta * (logits.log_softmax(-1) - reference)[:, 0]
        return -mi.preference_loss(chosen, torch.full_like(chosen, -60.0), mix=mix)

    flow = integrate(ascent(objective), base, 1e9, log_odds)
    assert float(flow.time) == pytest.approx(
        anchor.time_to_half(eps, beta, mix, count - 1), rel=1e-3
    )


def test_choice_and_dpo():
    """The choice frees the anchor, and DPO needs ε^(−2β)."""
    measured, closed = anchor.anchor_choice(AnchorChoice(0.5, (1e-2,), time=30.0), 0)
    assert measured["end"]["mio"][0] == pytest.approx(0.04, rel=0.03)
    assert measured["end"]["alpha"][0] > 0.95
    assert measured["time"]["mio"][0] == closed["time"]["mio"][0] == math.inf
    assert measured["time"]["dpo"][0] == pytest.approx(closed["time"]["dpo"][0], rel=1e-3)
    assert 0.5 < measured["time"]["alpha"][0] / closed["time"]["alpha"][0] < 1

    for beta in (0.2, 1.0):
        slow, fast = (
            theory.escape_time_dpo(eps, beta, rejected=(1 - eps) / 9) for eps in (1e-30, 1e-28)
        )
        assert math.log(slow / fast, 100) == pytest.approx(2 * beta, rel=1e-2)
        slow, fast = (anchor.time_to_half(eps, beta, 1 - eps**beta, 8) for eps in (1e-14, 1e-12))
        assert math.log(slow / fast, 100) == pytest.approx(beta, rel=0.1)
