"""Alerts: which values raise which, and what the sentences say."""

import pytest

from llm_adapter.loss.alerts import alerts
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
        (
            Objective("dv", log_ratio="mean"),
            line(rewards__chosen=-0.006, movement__margin=0.06),
            {"collapse"},
        ),  # −1.2
        (
            Objective("dv", log_ratio="mean"),
            line(rewards__chosen=-0.004, movement__margin=0.06),
            set(),
        ),  # −0.8 nats
        (Objective(), line(rewards__chosen=-0.9, collapse__margin=-0.05), {"interval"}),
        (
            Objective(),
            line(rewards__chosen=0.69, anchor__gap=-0.003, gradient__chosen_starved=1.0),
            {"plateau"},
        ),
        (Objective("dv"), line(rewards__chosen=-0.01, gradient__chosen_starved=0.95), {"starved"}),
        (Objective("dv"), line(ess__fraction=0.05, ess__negatives=5.0), {"few_negatives"}),
    ],
)
def test_alerts(objective, values, kinds):
    assert alerts(objective, values).keys() == kinds


@pytest.mark.parametrize(
    ("objective", "margin", "said"),
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
def test_the_alert_of_a_collapse_is_true_of_its_objective(objective, margin, said):
    found = alerts(objective, line(rewards__chosen=-0.5, movement__margin=4.0, **margin))[
        "collapse"
    ]
    assert said.removeprefix("nats; ") in found
    assert ("bound js" in found) == (objective.bound == "dv")
