"""The losses at matched first gradients, the verdicts, and tuning."""

import math

import pytest
import torch

from toy.collapse.sweep.losses import LOSSES, matched_scale, train, tuned, verdict


@pytest.mark.parametrize("name", LOSSES)
def test_first_gradients(name):
    """First gradients have one length."""
    beta = torch.tensor([[0.05], [0.3], [2.0]], dtype=torch.float64)
    z = torch.zeros(2, 3, 1, dtype=torch.float64, requires_grad=True)
    loss = matched_scale(name, beta) * LOSSES[name](z[0], z[1], beta)
    (gradient,) = torch.autograd.grad(loss.sum(), z)

    assert gradient.square().sum(0).flatten().tolist() == pytest.approx([0.5] * 3)

    if name != "dpo_sft":  # all others share DPO's direction
        assert (-gradient[0]).flatten().tolist() == pytest.approx(gradient[1].flatten().tolist())


@pytest.mark.parametrize(
    ("curve", "theory"),
    [
        ([0.0, 0.5, 1.0], "holds"),
        ([0.0, -0.04, -0.04], "holds"),
        ([0.0, -1.0, -0.4], "reverses"),
        ([0.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.01], "sinks"),
        ([0.0, -1.0, -2.0, -3.0], "drifts"),
        ([0.0, math.nan], "diverges"),
    ],
)
def test_verdicts(curve, theory):
    assert verdict(curve) == theory


def test_tuning():
    """Tuning chooses on even replicas and reports odd ones."""
    common = {"rate": 0.1, "verdict": "holds", "z_chosen": [0.0, 1.0]}
    settings = [
        {"beta": 1.0, "gain": [3.0, 1.0, 3.0, 2.0], **common},
        {"beta": 2.0, "gain": [2.0, 9.0, 2.0, 9.0], **common},
        {"beta": 3.0, "gain": [9.0, 9.0, math.nan, 9.0], **common},
    ]
    best = tuned(settings)

    assert (best["beta"], best["gain"], best["held_out"]) == (1.0, 1.5, [1.0, 2.0])


def test_overflow():
    """An overflow stays with its replica.

    z = (θ, −θ): one replica starts where the log-ratio is infinite.
    """
    start = torch.tensor([[0.0], [torch.inf], [0.0], [0.0]])
    summaries, last = train(
        "dpo",
        lambda p: (p[0], -p[0]),
        [start],
        [(0.5, 0.1), (0.5, 0.2)],
        8,
    )

    assert [setting["rate"] for setting in summaries] == [0.1, 0.2]
    assert last[0].isfinite().flatten().tolist() == [True, False, True, True]
    assert summaries[1]["final"][0] == summaries[1]["final"][1] > summaries[0]["final"][0] > 0
