"""The training loop: plain descent, its end, and Adam."""

import pytest
import torch

from toy.models.training import descend


def test_plain_descent():
    """Two parabolas of different curvature: θ ← (1 − ηk)θ each."""
    curvature = torch.tensor([1.0, 3.0])
    (end,) = descend(
        lambda p: (curvature * p[0] ** 2 / 2, None),
        [torch.ones(2)],
        4,
        0.1,
    )

    assert end.tolist() == pytest.approx([0.9**4, 0.7**4])


def test_early_stop():
    """`descend` stops when asked and leaves its input."""
    start, steps = torch.ones(1), []

    def observe(step, losses, details):
        steps.append((step, float(losses), details))
        return step == 2

    descend(
        lambda p: (p[0].sum(0, keepdim=True), "details"),
        [start],
        100,
        0.5,
        observe,
    )

    assert steps == [(0, 1.0, "details"), (1, 0.5, "details"), (2, 0.0, "details")]
    assert float(start) == 1
