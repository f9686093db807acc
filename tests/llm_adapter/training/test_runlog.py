"""The headline of a run."""

from dataclasses import asdict

import pytest

from llm_adapter.loss.objective import Objective
from llm_adapter.training.runlog import headline


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            {},
            "rewards in nats\ntheory: ln π/π_ref of a chosen response, summed over its tokens, tends to",
        ),
        (
            {"log_ratio": "mean"},
            "rewards in nats per token\ntheory: ln π/π_ref of a chosen response, averaged over its tok",
        ),
        ({"mix": 1.0}, "= +inf nats\n"),
        ({"bound": "dv"}, "loss dv, mix 0.5; beta 0.2; rewards in nats\n"),
    ],
)
def test_headline(flags, said):
    """The headline says what the anchor means."""
    objective = Objective(beta=0.2, **flags)
    line = headline({"model": "builtin", **asdict(objective), **objective.theory([1])})
    assert said in line
    assert ("anchor" in line) == (objective.bound == "js")
    assert ("= +3.466 nats" in line) == (objective.bound == "js" and objective.mix == 0.5)
