"""Objectives of softmax policies: their gradients at the start."""

import pytest
import torch

from toy.models.flows import ascent
from toy.models.policies import OBJECTIVES, arms


def test_first_gradients():
    """The gradients at the start are those of theory."""
    base = arms(torch.tensor([0.1], dtype=torch.float64))
    one = torch.ones(1, dtype=torch.float64)
    # ∂J/∂θ_w; opposite for the other arm
    expected = {"rlhf": 0.1 * 0.9, "sft": 0.9, "dpo": 0.5, "mio": 0.25}

    for name, slope in expected.items():
        gradient = ascent(OBJECTIVES[name](base, one, 0.5))(base)[0].tolist()
        assert gradient == pytest.approx([slope, -slope])
