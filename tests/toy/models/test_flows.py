"""Flows: steps and horizons of their own, and a flow that does not end."""

import math

import pytest
import torch

from toy.models.flows import integrate


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
