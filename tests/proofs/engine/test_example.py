"""An example holds its relation, refuses another number, and takes the reader's parameters."""

import pytest

from proofs.engine import Example
from proofs.engine.example import WORDS


def example(theory, relation="=", tolerance=1e-6):
    return Example("x²", lambda x: x * x, lambda x: theory(x), {"x": 3.0}, relation, tolerance)


@pytest.mark.parametrize(
    ("relation", "off", "agrees"),
    [
        ("=", 0, True), ("=", 1, False), ("=", -1, False),
        ("≤", 0, True), ("≤", 1, True), ("≤", -1, False),
        ("≥", 0, True), ("≥", 1, False), ("≥", -1, True),
        ("≈", 0, True), ("≈", 1, False), ("≈", -1, False),
    ],
)  # fmt: skip
def test_its_relation_holds_or_is_refused(relation, off, agrees):
    assert example(lambda x: x * x + off, relation).agrees is agrees


@pytest.mark.parametrize("relation", WORDS)
def test_no_number_agrees_with_one_that_is_not(relation):
    assert not example(lambda x: float("nan"), relation).agrees


def test_a_leading_term_is_off_by_its_tolerance_at_most():
    assert example(lambda x: x * x + 0.5, "≈", tolerance=0.1).agrees
    assert not example(lambda x: x * x + 2.0, "≈", tolerance=0.1).agrees


def test_an_unknown_relation_is_refused():
    with pytest.raises(ValueError, match="relation: expected one of =, ≤, ≥, ≈, got '<'"):
        example(lambda x: x, "<")


@pytest.mark.parametrize("relation", WORDS)
def test_its_sentence_holds_both_numbers(relation):
    assert example(lambda x: 9.0, relation).sentence == f"x²: computed 9, {WORDS[relation]} 9"
