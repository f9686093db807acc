"""The on-policy experiment: its plan, its readings, and a run of every arm at a tiny size."""

import json
from math import comb

import pytest

from benchmarks.smollm2_online import __main__ as runner
from benchmarks.smollm2_online import plan, tables
from llm_adapter.arguments.online import OnlineArguments
from llm_adapter.arguments.rollouts import parse
from llm_adapter.evaluation.rates import pass_at_k


@pytest.mark.parametrize("size", plan.SIZES.values(), ids=lambda size: size.name)
def test_the_plan_has_every_arm_at_every_level_and_its_flags_are_legal(size, tmp_path):
    runs = list(plan.runs(size))
    assert len({run.name for run in runs}) == len(runs)
    for arm in plan.ARMS:
        for level in plan.LEVELS:
            own = [run for run in runs if (run.arm, run.level, run.group) == (arm, level, 2)]
            assert {run.seed for run in own} == set(range(size.seeds))
    for run in runs:
        flags = run.flags(size, "builtin", plan.SMALL_TASK, tmp_path / "x.json")
        arguments = parse(OnlineArguments, flags, "", "", "")
        assert arguments.samples == run.group


@pytest.mark.parametrize(
    "name", ["GRPO", "GRPO, normalised", "offline MIO", "SFT, answer supplied"]
)
def test_escape_slows_as_the_base_success_falls(name):
    """On-policy times grow like 1/ε; those with a supplied answer do not."""
    arm = plan.ARMS[name]
    near, far = arm.time(1e-2, 2), arm.time(1e-4, 2)
    assert near is not None
    assert far is not None
    assert (far / near > 80) == arm.on_policy


def test_groups_without_a_gradient_are_counted_without_bias():
    """Mean over Binomial(n, ε) of the estimate is (1 − ε)² + ε²."""
    epsilon, n = 0.3, 5
    law = [comb(n, c) * epsilon**c * (1 - epsilon) ** (n - c) for c in range(n + 1)]
    mean = sum(p * runner.zero_share([c], n, 2) for c, p in enumerate(law))
    assert mean == pytest.approx((1 - epsilon) ** 2 + epsilon**2)


def test_a_gain_in_pass_at_k_is_the_mean_over_questions():
    rows = [{"before": [0, 1], "after": [2, 1]}]
    expected = (pass_at_k(2, 4, 2) - 0 + 0) / 2
    assert tables.gain(rows, 4, 2).startswith(f"{expected:+.3f} [+0.000, ")


def test_success_until_half_is_a_mean_over_64_questions():
    def line(success, number):
        return {"questions": 16, "success": success, "zero_gradient": 0.5, "samples": 32 * number,
                "finished": 1.0, "tokens": 2.0}  # fmt: skip

    rates = [0.0, 1.0, 0.0, 0.5, 0.5, 1.0]
    journal = [line(rate, k) for k, rate in enumerate(rates, 1)]
    result = runner.summary(journal)
    assert result["until_half"] == 5  # 1, 0, ½, ½
    assert result["first"] == [64, 32]
    assert runner.summary(journal[:4])["until_half"] is None


def test_every_arm_leaves_a_row_that_names_its_command(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "BUILD", tmp_path)
    (tmp_path / "tiny").mkdir()
    level = runner.level_row(plan.TINY, plan.LEVELS[0], [])
    rows = [level]
    for arm in plan.ARMS:
        rows.append(runner.train(plan.TINY, plan.Run(arm, plan.LEVELS[0]), level))
        assert rows[-1]["command"].startswith("python -m llm_adapter.online --model ")
        assert len(rows[-1]["after"]) == plan.TINY.eval_count
        assert rows[-1]["rounds"] == plan.TINY.rounds
    text = tables.tables(json.loads(json.dumps(rows)))
    assert all(f"| {arm} |" in text for arm in plan.ARMS)
    dead = {row["arm"]: row["first"][1] for row in rows[1:]}
    assert dead["SFT, answer supplied"] == 0 < dead["GRPO"]
