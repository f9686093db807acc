"""The offline experiment: its plan, its readings at equal displacement, and the kernel behind T1's prediction."""

import json
import math

import pytest
import torch
from transformers import set_seed

from benchmarks.smollm2_offline import __main__ as runner
from benchmarks.smollm2_offline import compare, plan
from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.models import load_model
from mi_estimators.theory import freeing_mix, win_rate_score


@pytest.mark.parametrize("size", [plan.QUICK, plan.FULL], ids=lambda size: size.name)
def test_the_plan_has_every_arm_once_and_the_main_ones_at_all_seeds(size):
    runs = list(plan.runs(size))
    keys = [json.dumps(run.key(size)) for run in runs]
    assert len({*keys}) == len(keys)
    assert {run.arm for run in runs} == set(plan.ARMS)
    for arm in plan.MAIN:
        seeds = [run.seed for run in runs if run.arm == arm and run.matching == "gradient"]
        assert {*seeds} == set(range(size.seeds))
    betas = {run.beta for run in runs if run.arm == "DPO"}
    assert betas == {plan.BETA, *size.grid}


def test_betas_are_matched():
    """First gradients are DPO's at β = 0.1; at the matched optimum b = αβ: near w = ½ the score is 4α(w − ½)."""
    zero, mask = torch.zeros(1, 3, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool)
    for arm, objective in plan.ARMS.items():
        if objective.loss:
            continue
        beta = plan.Run(arm).own_beta(3)
        here = type(objective)(objective.bound, objective.mix, beta)
        pull, _ = here.coefficients(zero[:, 0], zero, mask)
        assert beta * pull.item() == pytest.approx(plan.BETA / 2, rel=1e-4)
        if objective.bound == "js":
            other = plan.Run(arm, "optimum").own_beta(3)
            assert other == pytest.approx(plan.BETA * objective.mix, rel=1e-4)
            slope = (
                win_rate_score(0.5 + 1e-6, objective.mix) - win_rate_score(0.5, objective.mix)
            ) / 1e-6
            assert slope / other == pytest.approx(4 / plan.BETA, rel=1e-4)  # DPO's: logit w over β
    assert plan.ARMS["α-MIO, 1 − ε^β"].mix == pytest.approx(
        float(freeing_mix(plan.EPSILON, plan.BETA)), abs=1e-3
    )


def test_readings_at_equal_displacement():
    chosen, rejected = [0.0, 1.0, 3.0, 2.0], [0.0, -1.0, -3.0, -2.0]
    assert compare.at_depth(chosen, rejected, 2.0) == pytest.approx(2.0)
    assert compare.at_depth(chosen, rejected, 3.0) == pytest.approx(3.0)
    assert compare.at_depth(chosen, rejected, 3.5) is None
    assert compare.turn([0, 5, 10, 15], chosen, rejected) == (10, 3.0, 6.0, 1.0)
    mean, low, high = compare.paired([1.0, 2.0, 3.0])
    assert (mean, high - mean) == pytest.approx((2.0, 4.302653 / math.sqrt(3)))
    assert low == pytest.approx(4.0 - high)


def test_a_difference_needs_both_runs():
    def row(seed, scale):
        return {"seed": seed, "z_chosen": [0.0, scale], "z_rejected": [0.0, -2.0]}

    dpo = {seed: row(seed, 1.0) for seed in (0, 1)}
    assert runner.difference([row(0, 3.0), row(1, 3.0), row(2, 9.0)], dpo, 2.0) == (
        "+2.00 [+2.00, +2.00] (2)"
    )
    assert runner.difference([row(0, 3.0)], dpo, 4.0) == "–"


def test_the_format_is_kept_and_its_numbers_are_not():
    import random

    line = {"prompt": "12 + 30 =", "chosen": "It is 42.", "rejected": ["It is 43."]}
    made = runner.format_only(line, random.Random(0))
    assert made["prompt"] == line["prompt"]
    assert made["chosen"] != made["rejected"]
    assert len(made["chosen"]) == len(line["chosen"])
    assert made["chosen"].startswith("It is ")


def test_the_kernel_is_the_slope_of_a_step(monkeypatch):
    """h_y = ⟨∇ln π(y), δ⟩ is how ln π(y) changes along δ = ∇ln π(w) − ∇ln π(l)."""
    set_seed(0)
    model = load_model("builtin").double().eval()
    example = TokenizedExample(1, [5, 6, 7], ([8, 9], [10], [11, 12]))
    asked = []
    monkeypatch.setattr(compare, "turning_point", lambda law, h: asked.append((law, h)) or 0.5)
    star, margin = compare.predicted_turn(model, example, [[20, 21], [30]])
    ((law, h),) = asked
    assert sum(law) == pytest.approx(1, abs=1e-6)
    assert margin == pytest.approx(star * (h[0] - h[1]))
    assert h[0] - h[1] > 0

    def log_prob(response):
        ids = torch.tensor([example.prompt + response])
        values = model(input_ids=ids).logits.log_softmax(-1)[0, 2:-1]
        return values.gather(-1, torch.tensor(response)[:, None]).sum()

    weights = list(model.parameters())
    both = [torch.autograd.grad(log_prob(ids), weights) for ids in example.completions[:2]]
    rate = 1e-6
    before = [log_prob(ids).item() for ids in ([8, 9], [10], [20, 21], [30])]
    with torch.no_grad():
        for weight, one, two in zip(weights, *both, strict=True):
            weight.add_(rate * (one - two))
    after = [log_prob(ids).item() for ids in ([8, 9], [10], [20, 21], [30])]
    slopes = [(b - a) / rate for a, b in zip(before, after, strict=True)]
    assert h == pytest.approx(slopes, rel=1e-3, abs=1e-3)
