"""Flows: an overshoot, steps and horizons of their own, and a flow that does not end."""

import math

import pytest
import torch

from toy.models.flows import ascent, integrate
from toy.models.policies import OBJECTIVES


def test_overshoot():
    """MIO may overshoot its anchor on the way.

    Three arms, ε = 0.2, β = 1, most mass on the rejected one: p passes ½ and comes back to 2ε.
    """
    base = torch.tensor([[0.2, 0.75, 0.05]], dtype=torch.float64).log()
    field = ascent(OBJECTIVES["mio"](base, torch.ones(1, dtype=torch.float64), 0.5))
    path = []
    flow = integrate(
        field,
        base,
        500.0,
        observe=lambda time, state: path.append(float(state.softmax(-1)[0, 0])),
    )

    assert max(path) > 0.5
    assert float(flow.state.softmax(-1)[0, 0]) == pytest.approx(0.4, rel=1e-2)


def test_unfinished_flow():
    with pytest.raises(RuntimeError, match="within 3 steps"):
        integrate(
            lambda x: x,
            torch.ones(1, 1, dtype=torch.float64),
            10.0,
            max_steps=3,
        )


def test_own_steps():
    """Each system has its own step and horizon."""
    rate = torch.tensor([[1.0], [1e6]], dtype=torch.float64)
    horizon = torch.tensor([1.0, 1e-6], dtype=torch.float64)
    flow = integrate(
        lambda x: -rate * x,
        torch.ones(2, 1, dtype=torch.float64),
        horizon,
    )

    assert flow.time.tolist() == pytest.approx(horizon.tolist())
    assert flow.state[:, 0].tolist() == pytest.approx([math.exp(-1)] * 2, rel=1e-4)
    assert not flow.arrived.any()
