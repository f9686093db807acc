"""Steps rounded at random: AdamW's own in float32, right on average in bf16, and no copy of a weight."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm_adapter.training import stochastic
from llm_adapter.training.stochastic import StochasticAdamW, rounded_at_random

OPTIONS = {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-6}
SHAPES = {
    "one number": (),
    "a vector": (1000,),
    "a matrix": (37, 29),
    "a row longer than a slice": (3, 700),
    "a cube": (5, 4, 3),
}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_float32_steps(shape, decay, monkeypatch):
    """Float32 steps are those of AdamW."""
    monkeypatch.setitem(stochastic.SLICE, "cpu", 512)
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(shape)) for _ in range(2)]
    weights[1].data.copy_(weights[0].data)
    ours = StochasticAdamW(weights[:1], **OPTIONS, weight_decay=decay)
    plain = torch.optim.AdamW(weights[1:], **OPTIONS, weight_decay=decay)

    for _ in range(5):
        gradient = torch.randn(shape)
        for weight, optimizer in zip(weights, (ours, plain), strict=True):
            weight.grad = gradient.clone()
            optimizer.step()

    torch.testing.assert_close(weights[0], weights[1], rtol=1e-6, atol=1e-6)
    assert all(not weight.equal(torch.zeros(shape)) for weight in weights)


def test_transposed_weight():
    """A transposed weight is stepped."""
    weight = torch.nn.Parameter(torch.ones(6, 4).t())
    weight.grad = torch.ones(4, 6)
    StochasticAdamW([weight], lr=0.5).step()
    assert torch.allclose(weight, torch.full((4, 6), 0.5))


@given(st.floats(-(2.0**100), 2.0**100, width=32))
def test_neighbours(value):
    """A value goes to one of its neighbours."""
    wide = torch.full((257,), value)
    rounded = rounded_at_random(wide.clone()).double().unique()
    down, up = torch.tensor(value).view(torch.int32) & -(2**16), 2**16
    neighbours = {(down + step).view(torch.float32).double().item() for step in (0, up)}

    assert {*rounded.tolist()} <= neighbours

    if wide.bfloat16().float().equal(wide):  # a bf16 number stays
        assert rounded.tolist() == [float(value)]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_share_up(share):
    """The share that goes up is the distance."""
    torch.manual_seed(1)
    spacing, count = 2**-7, 40_000  # above 1
    rounded = rounded_at_random(torch.full((count,), 1 + share * spacing))
    up = (rounded > 1).double().mean().item()
    assert up == pytest.approx(share, abs=4 * (share * (1 - share) / count) ** 0.5)


def test_no_copy():
    """A step makes no copy of a weight.

    The largest tensor that a step makes is a slice, beside the states of the first one.
    """
    weight = torch.nn.Parameter(torch.zeros(2**12, 2**9, dtype=torch.bfloat16))
    weight.grad = torch.ones_like(weight)
    optimizer = StochasticAdamW([weight], lr=1e-3)
    optimizer.step()

    with torch.profiler.profile(profile_memory=True, record_shapes=True) as profile:
        optimizer.step()
    largest = max(event.self_cpu_memory_usage for event in profile.events())

    assert 0 < largest <= 8 * stochastic.SLICE["cpu"] < 2 * weight.numel()
