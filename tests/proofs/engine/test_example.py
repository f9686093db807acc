"""An example holds its relation, refuses another number, and takes the reader's parameters."""

import pytest

from proofs.engine import Example
from proofs.engine.example import WORDS


def example(theory, relation="=", tolerance=1e-6):
    return Example(
        "x²",
        lambda x: x * x,
        lambda x: theory(x),
        {"x": 3.0},
        relation,
        tolerance,
    )


@pytest.mark.parametrize(
    ("relation", "off", "agrees"),
    [
        ("=", 0, True), ("=", 1, False), ("=", -1, False),
        ("≤", 0, True), ("≤", 1, True), ("≤", -1, False),
        ("≥", 0, True), ("≥", 1, False), ("≥", -1, True),
        ("≈", 0, True), ("≈", 1, False), ("≈", -1, False),
    ],
)  # fmt: skip
def test_relation(relation, off, agrees):
    """Its relation holds, or is refused."""
    assert example(lambda x: x * x + off, relation).agrees is agrees


@pytest.mark.parametrize("relation", WORDS)
def test_infinite_numbers(relation):
    """No number agrees with one that is not."""
    assert not example(lambda x: float("nan"), relation).agrees


def test_leading_term():
    """A leading term is off by its tolerance at most."""
    assert example(lambda x: x * x + 0.5, "≈", tolerance=0.1).agrees
    assert not example(lambda x: x * x + 2.0, "≈", tolerance=0.1).agrees


def test_unknown_relation():
    with pytest.raises(ValueError, match="relation: expected one of =, ≤, ≥, ≈, got '<'"):
        example(lambda x: x, "<")


@pytest.mark.parametrize("relation", WORDS)
def test_sentence(relation):
    """Its sentence holds both numbers."""
    assert example(lambda x: 9.0, relation).sentence == f"x²: computed 9, {WORDS[relation]} 9"
