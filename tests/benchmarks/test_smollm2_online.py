"""The on-policy experiment: its plan, its readings, and a run of every arm at a tiny size."""

import json
from itertools import product
from math import comb, log

import pytest
import torch
from torch.nn.functional import logsigmoid

from benchmarks.smollm2_online import __main__ as runner
from benchmarks.smollm2_online import plan, tables
from llm_adapter.arguments.online import OnlineArguments
from llm_adapter.arguments.rollouts import parse
from llm_adapter.evaluation.rates import pass_at_k
from llm_adapter.evaluation.rounds import group_objective


@pytest.mark.parametrize("size", plan.SIZES.values(), ids=lambda size: size.name)
def test_plan(size, tmp_path):
    """The plan has every arm of its own at every level, and its flags are legal."""
    runs = list(plan.runs(size))
    assert len({run.name for run in runs}) == len(runs)
    for arm in plan.ARMS:
        for level in plan.LEVELS:
            own = [run for run in runs if (run.arm, run.level, run.group) == (arm, level, 2)]
            seeds = size.seeds if plan.pairs_differ(arm, size) else 0
            assert {run.seed for run in own} == set(range(seeds))
    for run in runs:
        flags = run.flags(size, "builtin", plan.SMALL_TASK, tmp_path / "x.json")
        arguments = parse(OnlineArguments, flags, "", "", "")
        assert arguments.samples == run.group


@pytest.mark.parametrize(
    "name", ["GRPO", "GRPO, normalised", "offline MIO", "SFT, answer supplied"]
)
def test_escape(name):
    """On-policy times grow like 1/ε; those with a supplied answer do not."""
    arm = plan.ARMS[name]
    near, far = arm.time(1e-2, 2), arm.time(1e-4, 2)
    assert near is not None
    assert far is not None
    assert (far / near > 80) == arm.on_policy


def mean_gradient(arm, n, epsilon):
    """An arm's mean gradient on the log-odds of two responses, all groups enumerated, over ∇ε."""
    flags = ["--model", "m", "--task", "products", "--out", "x.json", *plan.ARMS[arm].flags]
    objective = group_objective(parse(OnlineArguments, flags, "", "", ""))
    total = 0.0
    for answers in product((True, False), repeat=n):
        right, hits = torch.tensor(answers), sum(answers)
        if hits in (0, n):
            continue  # no gradient

        u = torch.tensor(log(epsilon / (1 - epsilon)), dtype=torch.float64, requires_grad=True)
        objective.loss(torch.where(right, logsigmoid(u), logsigmoid(-u)), right).backward()
        total -= epsilon**hits * (1 - epsilon) ** (n - hits) * float(u.grad or 0)

    return total / (epsilon * (1 - epsilon))


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("arm", ["GRPO", "GRPO, normalised"])
def test_predicted_time(arm, n):
    """The time predicted is that of the loss trained.

    d time/dε is −1 over the speed of ε: twice the gradient on the log-odds, times ε(1 − ε).
    """
    epsilon, step = 0.07, 1e-4
    near, far = (plan.ARMS[arm].time(epsilon + sign * step, n) for sign in (1, -1))
    speed = 2 * mean_gradient(arm, n, epsilon) * (epsilon * (1 - epsilon)) ** 2

    assert (far - near) / (2 * step) == pytest.approx(1 / speed, rel=1e-4)


@pytest.mark.parametrize("n", [2, 8])
def test_division(n):
    """Division by the deviation speeds a rare answer."""
    plain, normalised = (plan.ARMS[arm].time(1e-6, n) for arm in ("GRPO", "GRPO, normalised"))
    assert plain / normalised == pytest.approx(n / (n - 1) ** 0.5, rel=1e-3)


def test_dead_groups():
    """Mean over Binomial(n, ε) of the estimate is (1 − ε)² + ε²."""
    epsilon, n = 0.3, 5
    law = [comb(n, c) * epsilon**c * (1 - epsilon) ** (n - c) for c in range(n + 1)]
    mean = sum(p * runner.zero_share([c], n, 2) for c, p in enumerate(law))
    assert mean == pytest.approx((1 - epsilon) ** 2 + epsilon**2)


def test_gain():
    """A gain in pass@k is the mean over questions."""
    rows = [{"before": [0, 1], "after": [2, 1], "samples": 4}]
    expected = (pass_at_k(2, 4, 2) - 0 + 0) / 2
    assert tables.gain(rows, 2).startswith(f"{expected:+.3f} [+0.000, ")


def test_success():
    """Success until ½ is a mean over 64 questions."""

    def line(success, number):
        return {"questions": 16, "success": success, "zero_gradient": 0.5, "samples": 32 * number,
                "finished": 1.0, "tokens": 2.0}  # fmt: skip

    rates = [0.0, 1.0, 0.0, 0.5, 0.5, 1.0]
    journal = [line(rate, k) for k, rate in enumerate(rates, 1)]
    result = runner.summary(journal)
    assert result["until_half"] == 5  # 1, 0, ½, ½
    assert result["first"] == [64, 32]
    assert runner.summary(journal[:4])["until_half"] is None


def test_rows(tmp_path, monkeypatch):
    """Every arm leaves a row that names its command."""
    monkeypatch.setattr(runner, "BUILD", tmp_path)
    (tmp_path / "tiny").mkdir()
    level = runner.level_row(plan.TINY, plan.LEVELS[0], [])
    rows = [level]
    for arm in plan.ARMS:
        rows.append(runner.train(plan.TINY, plan.Run(arm, plan.LEVELS[0]), level))
        assert rows[-1]["command"].startswith("python -m llm_adapter.online --model ")
        assert len(rows[-1]["after"]) == plan.TINY.eval_count
        assert rows[-1]["rounds"] == plan.TINY.rounds
    text = tables.tables(json.loads(json.dumps(rows)), plan.TINY)
    assert all(f"| {arm} |" in text for arm in plan.ARMS)
    dead = {row["arm"]: row["first"][1] for row in rows[1:]}
    assert dead["SFT, answer supplied"] == 0 < dead["GRPO"]
