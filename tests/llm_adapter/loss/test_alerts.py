"""Alerts: which values raise which, and what the sentences say."""

import pytest
import torch

import mi_estimators as mi
from llm_adapter.loss.alerts import (
    EXAMPLES,
    IID_FLOOR,
    IID_SPREAD,
    alerts,
    evaluation_alerts,
)
from llm_adapter.loss.objective import Objective


def line(**changes):
    return {
        "rewards/chosen": 0.0,
        "rewards/margins": 0.1,
        "movement/margin": 1.0,
        "gradient/chosen_starved": 0.0,
        "ess/fraction": 0.9,
        "ess/negatives": 90.0,
        "tokens/chosen": 20.0,
    } | {name.replace("__", "/"): value for name, value in changes.items()}


@pytest.mark.parametrize(
    ("objective", "values", "kinds"),
    [
        (Objective("dv"), line(), set()),
        (Objective("dv"), line(rewards__chosen=-0.5, movement__margin=4.0), {"collapse"}),
        (Objective("dv"), line(rewards__chosen=-0.5, movement__margin=0.5), set()),
        # −1.2
        (
            Objective("dv", log_ratio="mean"),
            line(rewards__chosen=-0.006, movement__margin=0.06),
            {"collapse"},
        ),
        # −0.8 nats
        (
            Objective("dv", log_ratio="mean"),
            line(rewards__chosen=-0.004, movement__margin=0.06),
            set(),
        ),
        (Objective(), line(rewards__chosen=-0.9, collapse__margin=-0.05), {"interval"}),
        (
            Objective(),
            line(rewards__chosen=0.69, anchor__gap=-0.003, gradient__chosen_starved=1.0),
            {"plateau"},
        ),
        (Objective("dv"), line(rewards__chosen=-0.01, gradient__chosen_starved=0.95), {"starved"}),
        (  # the demo's DPO: z_w rises to +73 nats with z_l, and falls back
            Objective("dv"),
            line(
                rewards__chosen=3.6,
                movement__common=140.0,
                movement__margin=5.0,
                movement__drift=0.97,
            ),
            {"drift"},
        ),
        (
            Objective("dv"),
            line(movement__common=9.0, movement__margin=0.1, movement__drift=0.99),
            set(),
        ),
        (
            Objective("dv"),
            line(movement__common=-40.0, movement__margin=30.0, movement__drift=4 / 7),
            set(),
        ),
        (
            Objective("dv", log_ratio="mean"),
            line(movement__common=1.0, movement__margin=0.1, movement__drift=0.9),
            {"drift"},
        ),
        (Objective("dv"), line(ess__fraction=0.05, ess__negatives=5.0), {"few_negatives"}),
    ],
)
def test_alerts(objective, values, kinds):
    assert alerts(objective, values).keys() == kinds


@pytest.mark.parametrize(
    ("objective", "margin", "words"),
    [
        (
            Objective("dv"),
            {},
            "nats: probability moves to responses outside the data. Use bound js",
        ),
        (Objective(), {"collapse__margin": 0.1}, "The no-collapse interval limits this loss"),
        (Objective(), {"collapse__margin": -0.1}, "Lower the learning rate or raise beta"),
        (Objective("dv", log_ratio="mean"), {}, "have lost 5.00 nats per token on average"),
    ],
)
def test_collapse_alert(objective, margin, words):
    """The alert of a collapse is true of its objective."""
    values = line(rewards__chosen=-0.5, movement__margin=4.0, **margin)
    alert = alerts(objective, values)["collapse"]
    assert words in alert
    assert ("bound js" in alert) == (objective.bound == "dv")


def test_drift_alert():
    """The alert of a drift says whether the loss sees it."""
    values = line(movement__common=140.0, movement__margin=5.0, movement__drift=0.97)
    assert "does not see this movement" in alerts(Objective("dv"), values)["drift"]
    assert "the loss resists this movement" in alerts(Objective("js"), values)["drift"]


@pytest.mark.parametrize(
    ("objective", "loss", "examples", "kinds"),
    [
        (Objective("js"), IID_FLOOR - 0.1, EXAMPLES, ["filtered"]),
        (Objective("js"), IID_FLOOR - 0.09, EXAMPLES, []),
        (Objective("js"), IID_FLOOR - 0.09, 2 * EXAMPLES, ["filtered"]),
        (Objective("js"), IID_FLOOR, 10**9, []),
        (Objective("js"), 1.0, EXAMPLES - 1, []),
        (Objective("js", mix=0.75), 1.0, EXAMPLES, []),
        (Objective("dv"), 0.5, EXAMPLES, []),
        (Objective("js", f_divergence="forward_kl"), 1.0, EXAMPLES, []),
    ],
)
def test_held_out_loss(objective, loss, examples, kinds):
    """A held-out loss below what independent pairs allow is an alert."""
    assert list(evaluation_alerts(objective, {"loss": loss}, examples)) == kinds


def test_independent_floor():
    """The floor of independent pairs, and how a pair's loss varies at it: the better of two uniform win rates."""
    win_rates = torch.rand(200_000, 2, generator=torch.Generator().manual_seed(0))
    scores = (2 * win_rates).log()
    losses = mi.preference_loss(scores.amax(-1), scores.amin(-1), "js", 0.5)
    assert losses.mean().item() == pytest.approx(IID_FLOOR, abs=0.002)
    assert losses.std().item() == pytest.approx(IID_SPREAD, abs=0.002)
    assert pytest.approx(1.27873047, abs=5e-9) == IID_FLOOR

    means = losses[:199_680].view(-1, EXAMPLES).mean(-1).tolist()
    raised = [bool(evaluation_alerts(Objective("js"), {"loss": m}, EXAMPLES)) for m in means]
    assert sum(raised) / len(raised) < 0.002
