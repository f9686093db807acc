"""Where scores come from: the two parts of a matrix, and derangements."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi
from mi_estimators.bounds.scores import derangement
from tests.mi_estimators.shared import seeded


@given(n=st.integers(2, 30), seed=st.integers(0, 10**6))
def test_derangement(n, seed):
    """A derangement is a permutation without fixed points."""
    order = derangement(n, seeded(seed))
    assert sorted(order.tolist()) == list(range(n))
    assert not (order == torch.arange(n)).any()


def test_uniform_derangements():
    """All derangements are equally likely."""
    generator, draws = seeded(), 9000
    draw = [tuple(derangement(4, generator).tolist()) for _ in range(draws)]
    counts = Counter(draw)
    assert len(counts) == 9  # !4
    expected = draws / 9
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi2 < 20.1  # 99 % of the law with 8 degrees of freedom


def test_single_row():
    """A single row has no derangement."""
    with pytest.raises(ValueError, match="n: expected an integer of at least 2"):
        derangement(1)


def test_square_matrix():
    """`joint_and_product` refuses a matrix that is not square."""
    for matrix in (torch.zeros(2, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match="matrix: expected square"):
            mi.joint_and_product(matrix)
