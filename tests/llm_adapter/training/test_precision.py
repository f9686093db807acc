"""Weights in bf16: what rounding loses, and what keeps it."""

import math

import pytest
import torch

from llm_adapter.training import precision
from llm_adapter.training.arguments import parse_arguments
from tests.llm_adapter.shared import needs


def test_lost_share():
    """The lost share is what rounding does."""
    torch.manual_seed(0)
    weights = (0.02 * torch.randn(20_000)).bfloat16()
    for step in (5e-7, 1e-5, 1e-4):
        stays = ((weights.float() + step).bfloat16() == weights) & (
            (weights.float() - step).bfloat16() == weights
        )
        share = precision.lost_share(weights, step)
        assert share == pytest.approx(stays.double().mean().item(), abs=0.01)

    assert precision.lost_share(weights, 5e-7) > 0.98
    assert precision.lost_share(torch.zeros(3), 1e-9) == 0


def test_small_rate(run, folder, tmp_path, capsys):
    """Weights in bf16 at a small rate are warned and counted."""
    flags = "--learning_rate 5e-7 --save_final_model false"
    _, rounded = run(folder, tmp_path / "bf16", f"--weights bf16 {flags}")
    errors = capsys.readouterr().err

    assert "warning: weights: at learning_rate 5e-07, rounding to bf16 loses the steps" in errors
    assert "warning: adam_beta2: with bf16 weights" in errors

    _, exact = run(folder, tmp_path / "fp32", f"--bf16 true {flags}")
    assert "warning: weights" not in capsys.readouterr().err
    assert rounded[0]["updates/surviving_fraction"] < 0.1
    assert exact[0]["updates/surviving_fraction"] > 0.9

    for lines in (rounded, exact):
        assert abs(lines[0]["loss"] - 2 * math.log(2)) < 1e-3


@pytest.mark.parametrize("rounding", [pytest.param("kahan", marks=needs("optimi")), "stochastic"])
def test_kept_updates(rounding):
    """200 steps of 5e-7, each below half a spacing: with compensation the weights go where fp32 weights go."""
    torch.manual_seed(0)
    start = (0.02 * torch.randn(8192)).bfloat16()
    flags = f"--weights bf16 --rounding {rounding} --learning_rate 5e-7 --adam_beta2 0.99"
    kind, options = precision.optimizer(parse_arguments(["--model", "builtin", *flags.split()]))
    weight, exact = (
        torch.nn.Parameter(start.to(dtype, copy=True)) for dtype in (torch.bfloat16, torch.float32)
    )
    kept = kind([{"params": [weight], "weight_decay": 0.0}], **options)
    plain = torch.optim.AdamW([exact], lr=5e-7, betas=(0.9, 0.99), weight_decay=0.0)

    for _ in range(200):
        gradient = torch.ones(8192).bfloat16()
        weight.grad, exact.grad = gradient, gradient.float()
        kept.step()
        plain.step()

    moved = (weight.detach().float() - start.float()).mean().item()
    true = (exact.detach() - start.float()).mean().item()

    assert moved == pytest.approx(true, rel=0.1)
    assert moved == pytest.approx(-1e-4, rel=0.1)
