"""Advice: it comes where answers show no contrast, and only there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_adapter.evaluation.advice import MIXED, uniform, without_pair


@given(total=st.integers(1, 500), data=st.data())
def test_contrast(total, data):
    """A line comes exactly where all samples are wrong, or all right; a group without a pair always has one."""
    right = data.draw(st.sampled_from([0, total, data.draw(st.integers(0, total))]))
    finished = data.draw(st.floats(right / total, 1))
    line = uniform(right, total, finished, "or more --samples")

    assert (line is None) == (0 < right < total)
    assert without_pair(right, total, finished, "or more --samples") == (line or MIXED)


@pytest.mark.parametrize(
    ("right", "finished", "flag", "other"),
    [
        (0, 0.0, "--max_new_tokens", "--digits"),
        (0, 0.1, "--max_new_tokens", None),
        (0, 1.0, "--digits", "--max_new_tokens"),
        (8, 1.0, "--digits", "--samples"),
    ],
)
def test_next_step(right, finished, flag, other):
    """The flag named is the one that helps."""
    line = uniform(right, 8, finished, "or more --samples")

    assert f"{right if right == 0 else f'all {right}'}" in line
    assert flag in line
    assert other is None or other not in line
