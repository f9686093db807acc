"""A critic that starves: the threshold of DV, and training on its theory."""

import math

import pytest
import torch

from toy.models.flows import integrate
from toy.models.two_level import TwoLevel
from toy.starvation.critic import run as critic_starvation
from toy.starvation.critic.run import CriticStarvation

SMALL = CriticStarvation(
    symbols=(4, 64),
    replicas=16,
    steps=200,
    batch=16,
    learning_rate=0.2,
    every=100,
    shown=64,
)


@pytest.fixture(scope="module")
def small():
    return critic_starvation.critic_starvation(SMALL, 0)


@pytest.mark.parametrize("name", ["mine", "nwj", "js", "infonce"])
@pytest.mark.parametrize("symbols", [4, 64, 1024])
def test_zero_at_the_log_ratio(name, symbols):
    """The log-ratio is a zero of the mean gradient."""
    law = TwoLevel(symbols, 0.5)
    field = critic_starvation.mean_gradient(name, [law], SMALL)
    assert field(law.log_ratio[None]).abs().max() < 1e-12


def test_zero_of_dv():
    """DV has a zero only where a batch misses the region rarely enough.

    The softmax's mass in A is at most 1 where the batch has a negative in A: its mean stays below 1 − (1 − ε)^M.
    """
    for symbols in (8, 16, 32, 64):
        law = TwoLevel(symbols, 0.5)
        field = critic_starvation.mean_gradient("dv", [law], SMALL)
        far = field(torch.tensor([[300.0, 0.0]], dtype=torch.float64))[0, 0]
        assert float(far) == pytest.approx(law.hit - 1 + (1 - law.region) ** SMALL.batch, abs=1e-9)


def test_shift():
    """A shift does not move DV and InfoNCE."""
    law = TwoLevel(16, 0.5)
    for name in ("dv", "infonce"):
        field = critic_starvation.mean_gradient(name, [law], SMALL)
        one, other = (field(torch.tensor([[2.0 + c, c]], dtype=torch.float64)) for c in (0.0, 5.0))
        assert torch.allclose(one, other)
        assert float(one.sum()) == pytest.approx(0, abs=1e-12)


def test_mean_gradient_flow(small):
    """Training follows the flow of the mean gradient."""
    measured, theory = small
    for name in ("js", "relative"):  # bounded weights: little noise
        for (_, middle, _), line in zip(
            measured[name]["difference"], theory[name]["difference"], strict=True
        ):
            assert middle == pytest.approx(line, abs=0.25)

    runaway = measured["dv"]["gap"][-1][1]
    line = theory["dv"]["gap"][-1]
    assert line > 5
    assert runaway == pytest.approx(line, rel=0.2)


def test_other_objectives(small):
    """NWJ, MINE and InfoNCE stay near the log-ratio where DV runs off."""
    measured, _ = small
    for name in ("mine", "nwj", "infonce", "js"):
        assert measured[name]["gap"][-1][1] < 0.2 < measured["dv"]["gap"][-1][1]


def test_missed_batches(small):
    measured, theory = small
    for share, missed in zip(measured["dv"]["missed"], theory["missed"], strict=True):
        assert share == pytest.approx(
            missed, abs=4 * math.sqrt(missed * (1 - missed) / measured["dv"]["batches"]) + 1e-6
        )


def test_relative_critic():
    """The relative critic comes to rest."""
    law = TwoLevel(64, 0.5)
    field = critic_starvation.mean_gradient("relative", [law], SMALL)
    ends = [
        integrate(field, torch.zeros(1, 2, dtype=torch.float64), time).state[0]
        for time in (200, 300)
    ]

    assert torch.allclose(*ends, atol=1e-2)
    assert float(ends[0][0] - ends[0][1]) < float(law.log_ratio[0] - law.log_ratio[1]) - 1
