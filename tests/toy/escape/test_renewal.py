"""Renewal theory of sampled gradients, against the library's gradient and against draws."""

import math

import numpy as np
import pytest
import torch

from toy.escape import renewal
from toy.escape.run import TIMES, EscapeSampled, escape_sampled
from toy.models.sampling import DRAWN
from toy.models.two_level import log_shares


@pytest.mark.parametrize("objective", ["rlhf", "dv", "js"])
@pytest.mark.parametrize("hits", [1, 4, 7])
def test_rises(objective, hits):
    """Rises are one step of the library's gradient."""
    logits = torch.tensor(
        [[-2.0, 0.5], [0.3, -0.1]],
        dtype=torch.float64,
        requires_grad=True,
    )
    shares = log_shares(torch.full((2,), float(hits)), 8)
    surrogate = DRAWN[objective](logits.log_softmax(-1), shares, 8)
    (gradient,) = torch.autograd.grad(surrogate.sum(), logits)
    rises = renewal.rises(
        objective,
        logits.detach().softmax(-1)[:, 0].numpy(),
        np.array([hits]),
        8,
        0.3,
    )

    assert (0.3 * (gradient[:, 0] - gradient[:, 1])).numpy() == pytest.approx(rises[:, 0])


@pytest.mark.parametrize("every_step", [True, False])
@pytest.mark.parametrize(
    ("objective", "samples", "rate"), [("rlhf", 8, 0.5), ("rlhf", 8, 16.0), ("js", 16, 0.5)]
)
def test_mean_steps(every_step, objective, samples, rate):
    """Mean steps are those of the renewal equation.

    Real draws at every step, and steps without a signal drawn at once: one law.
    """
    spec = EscapeSampled((0.1, 0.02), samples, objective, rate, 1500, every_step)
    measured, theory = escape_sampled(spec, 0)
    for key in ("steps_mean", "first_signal"):
        errors = measured[key.replace("_mean", "") + "_stderr"]
        for mean, error, expected in zip(measured[key], errors, theory[key], strict=True):
            assert abs(mean - expected) < 4 * error, key


def test_limits():
    """Renewal tends to the wait for successes, and to the flow."""
    for rate in (0.5, 16.0):
        limit = 1 / (8e-8 * -math.expm1(-2 * rate / 8))
        assert renewal.escape_steps("rlhf", 1e-8, 8, rate) == pytest.approx(limit, rel=2e-3)
    slow = 0.02 * renewal.escape_steps("rlhf", 1e-2, 64, 0.02)
    assert slow == pytest.approx(TIMES["rlhf"](1e-2, 1, None), rel=0.01)
