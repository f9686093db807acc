"""Gradients that the policy's own answers carry: against answers one by one, the exact law, and renewal theory."""

import doctest
import math

import numpy as np
import pytest
import torch

from mi_estimators.display.files import strict
from toy.escape import renewal
from toy.escape import run as escape
from toy.escape.run import EscapeFlow, EscapeSampled
from toy.escape.tables import exponents, sampled_label
from toy.escape.who_samples import WhoSamples, who_samples
from toy.models import sampling
from toy.models.two_level import log_shares
from toy.rows import identity

LOGITS = torch.tensor([[-2.0, 0.5], [0.3, -0.1]], dtype=torch.float64)


def gradient(objective, logits, hits, samples):
    logits = logits.clone().requires_grad_()
    shares = log_shares(torch.full((len(logits),), float(hits)), samples)
    surrogate = sampling.DRAWN[objective](logits.log_softmax(-1), shares, samples)
    return torch.autograd.grad(surrogate.sum(), logits)[0]


@pytest.mark.parametrize("hits", [0, 1, 3, 5])
def test_group_relative_is_the_sum_over_answers(hits):
    answers, reward = (
        torch.tensor([0] * hits + [1] * (5 - hits)),
        torch.zeros(5, dtype=torch.float64),
    )
    reward[:hits] = 1
    logits = LOGITS.clone().requires_grad_()
    advantage = (reward - reward.mean()) / 4
    (expected,) = torch.autograd.grad(
        (logits.log_softmax(-1)[:, answers] * advantage).sum(), logits
    )
    torch.testing.assert_close(gradient("rlhf", LOGITS, hits, 5), expected)
    assert (
        bool((expected == 0).all())
        == (hits in (0, 5))
        == (hits not in sampling.hits_that_move("rlhf", 5))
    )


@pytest.mark.parametrize("objective", ["rlhf", "dv", "js"])
@pytest.mark.parametrize("hits", [1, 4, 7])
def test_rises_are_one_step_of_the_library_gradient(objective, hits):
    moved = gradient(objective, LOGITS, hits, 8) @ torch.tensor([1.0, -1.0]).double()
    p = LOGITS.softmax(-1)[:, 0].numpy()
    assert 0.3 * moved.numpy() == pytest.approx(
        renewal.rises(objective, p, np.array([hits]), 8, 0.3)[:, 0]
    )


def test_the_mean_over_all_groups_is_the_exact_gradient_of_rlhf():
    p = LOGITS.softmax(-1)[:, 0]
    groups = [math.comb(4, k) * p**k * (1 - p) ** (4 - k) for k in range(5)]
    mean = sum(w[:, None] * gradient("rlhf", LOGITS, k, 4) for k, w in enumerate(groups))
    assert mean[:, 0].tolist() == pytest.approx((p * (1 - p)).tolist())


@pytest.mark.parametrize("every_step", [True, False])
@pytest.mark.parametrize(
    ("objective", "samples", "rate"), [("rlhf", 8, 0.5), ("rlhf", 8, 16.0), ("js", 16, 0.5)]
)
def test_mean_steps_are_those_of_the_renewal_equation(every_step, objective, samples, rate):
    """Real draws at every step, and steps without a signal drawn at once: one law."""
    spec = EscapeSampled((0.1, 0.02), samples, objective, rate, 1500, every_step)
    measured, said = escape.escape_sampled(spec, 0)
    for key in ("steps_mean", "first_signal"):
        errors = measured[key.replace("_mean", "") + "_stderr"]
        for mean, error, expected in zip(measured[key], errors, said[key], strict=True):
            assert abs(mean - expected) < 4 * error, key


def test_renewal_tends_to_the_wait_for_successes_and_to_the_flow():
    assert doctest.testmod(renewal).failed == 0
    for rate in (0.5, 16.0):
        limit = 1 / (8e-8 * -math.expm1(-2 * rate / 8))
        assert renewal.escape_steps("rlhf", 1e-8, 8, rate) == pytest.approx(limit, rel=2e-3)
    slow = 0.02 * renewal.escape_steps("rlhf", 1e-2, 64, 0.02)
    assert slow == pytest.approx(escape.TIMES["rlhf"](1e-2, 1, None), rel=0.01)


def test_who_samples_meets_theory_and_a_supplied_answer_does_not_starve():
    measured, said = who_samples(WhoSamples((0.1, 1e-3, 1e-6), groups=20_000), 0)
    for name, expected in said["exact"].items():
        assert measured["exact"][name] == pytest.approx(expected), name
    for name, expected in said["sampled"].items():
        for mean, error, value in zip(
            measured["sampled"][name][:2], measured["stderr"][name], expected, strict=False
        ):
            assert abs(mean - value) < 4 * error, name
        for share, value in zip(measured["missed"][name], said["missed"][name], strict=True):
            assert abs(share - value) < 4 * (value * (1 - value) / 20_000) ** 0.5 + 1e-9, name
    js, dpo = measured["exact"]["js"], measured["exact"]["dpo"]
    assert js[2] == pytest.approx(1.4e-5, rel=0.02)
    assert dpo[0] == dpo[2]


def test_a_sampled_escape_repeats_with_its_seed():
    spec = EscapeSampled((0.1, 1e-4), 8, replicas=4)
    first, again, other = (escape.escape_sampled(spec, seed)[0]["steps"] for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_exponents_of_samples_and_flows_and_none_for_what_stops():
    eps = (1e-2, 1e-3, 1e-4)
    found = []
    for spec, run in (
        (EscapeSampled(eps, 8, replicas=200), escape.escape_sampled),
        (EscapeFlow("mio", eps, (1.0,)), escape.escape_flow),
    ):
        measured, said = run(spec, 0)
        found.append(
            identity("escape", spec, "x", 0) | strict({"measured": measured, "theory": said})
        )
    ((name, _, fitted, theory, limit),) = exponents(found).body
    assert name == sampled_label(found[0]["spec"]) == "RLHF, n = 8, η = 0.5"
    low, high = (float(end) for end in fitted.split("[")[1].rstrip("]").split(", "))
    assert low < float(theory) < high
    assert high - low < 0.1
    assert limit == "1"
