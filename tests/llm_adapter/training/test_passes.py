"""Passes: bounded in tokens, the same step, the same evaluation, dealt out evenly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_adapter.data.tokens import TokenizedExample
from llm_adapter.training.passes import Balanced, passes

SHAPES = st.tuples(st.integers(1, 30), st.lists(st.integers(1, 30), min_size=2, max_size=5))
ROWS = st.lists(SHAPES, min_size=1, max_size=12).map(
    lambda shapes: [
        TokenizedExample(line, [1] * prompt, tuple([2] * size for size in sizes))
        for line, (prompt, sizes) in enumerate(shapes)
    ]
)


@given(
    rows=ROWS,
    tokens=st.integers(1, 400),
    layout=st.sampled_from(["shared", "padded"]),
    least=st.integers(1, 12),
)
@settings(max_examples=100, deadline=None)
def test_pass_tokens(rows, tokens, layout, least):
    """Passes have every example once, and no more tokens than allowed."""
    groups = passes(rows, tokens, layout, least)
    assert sorted(index for group in groups for index in group) == list(range(len(rows)))
    assert len(groups) >= min(least, len(rows))

    for group in groups:
        members = [rows[i] for i in group]
        positions = sum(row.size for row in members)
        if layout == "padded":
            count = sum(len(row.completions) for row in members)
            positions = count * max(row.length for row in members)
        assert len(group) == 1 or positions <= tokens


@given(
    sizes=st.lists(st.integers(1, 99), min_size=1, max_size=40),
    batch=st.integers(1, 4),
    processes=st.integers(1, 4),
)
@settings(max_examples=50, deadline=None)
def test_round_examples(sizes, batch, processes):
    """A round keeps its examples."""
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(0)).tolist()
    dealt = list(Balanced(order, sizes, batch, processes))
    size = batch * processes
    for start in range(0, len(order), size):
        assert sorted(dealt[start : start + size]) == sorted(order[start : start + size])


def test_balanced_processes():
    """Processes get like numbers of tokens."""
    sizes = [100, 1, 90, 2, 80, 3, 70, 4]
    dealt = list(Balanced(range(8), sizes, batch=4, processes=2))
    loads = [sum(sizes[i] for i in dealt[start : start + 4]) for start in (0, 4)]
    assert sum(sizes[i] for i in range(4)) == 193  # as they come: 193 and 157
    assert abs(loads[0] - loads[1]) <= 2


@pytest.mark.parametrize("layout", ["shared", "padded"])
def test_one_pass(make_trainer, layout):
    """The step and the evaluation are those of one pass."""
    flags = "--max_steps 3 --learning_rate 1e-3 --warmup_steps 0 --logging_steps 1 --bound infonce"
    flags += " --per_device_train_batch_size 6 --diagnostics_steps 1 --reference_cache none"
    flags += f" --save_strategy no --row_layout {layout}"

    logs, counts = {}, {}
    for tokens in (None, 700):
        limit = f"--max_tokens_per_batch {tokens}" if tokens else ""
        trainer = make_trainer(f"{flags} {limit}", examples=20)
        calls = []
        inner = trainer.log_probs
        trainer.log_probs = lambda *a, inner=inner, calls=calls: (
            calls.append(a[1]["input_ids"].numel()) or inner(*a)
        )
        trainer.train()
        trainer.evaluate(trainer.train_dataset)
        logs[tokens], counts[tokens] = trainer.state.log_history, calls

    assert max(counts[700]) <= 700 < max(counts[None])

    names = ["loss", "rewards/margins", "logps/rejected", "gradient_noise/variance", "grad_norm"]
    names += ["eval_loss", "eval_rewards/margins", "eval_logps/chosen"]
    for one, other in zip(logs[None], logs[700], strict=True):
        expected = {name: one[name] for name in names if name in one}
        measured = {name: other[name] for name in names if name in other}
        assert measured == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_too_long(make_trainer):
    """An example that is too long is refused by line."""
    with pytest.raises(
        ValueError, match=r"max_tokens_per_batch: expected at least \d+, .* line \d"
    ):
        make_trainer("--max_tokens_per_batch 20")


def test_whole_batch_losses(make_trainer):
    """Losses of a whole batch are refused."""
    for flags in ("--loss bco", "--negatives batch --bound dv"):
        with pytest.raises(ValueError, match="max_tokens_per_batch: expected none with"):
            make_trainer(f"--max_tokens_per_batch 900 {flags}")
