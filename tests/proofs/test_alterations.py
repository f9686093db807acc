"""An altered statement fails, or its text follows: numbers and relations of every part."""

from dataclasses import replace

import pytest
import sympy as sp

from proofs.engine import Certified, Identity, Limit, Minimum, Sign, render, ties
from proofs.engine.theorem import Part, decide, judge
from proofs.ledger import load

PARTS = [
    pytest.param(part, id=f"{slug}-{part.label}")
    for slug, theorem in load().items()
    for part in theorem.parts
]
OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">"}


FRACTIONS, DIGITS, RAISED = "½⅓⅔¼¾⅕", "0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"


def other(written, step):
    """Another number of the same form: each digit is so much more, modulo 10; a fraction is another one."""
    for alphabet in (FRACTIONS, DIGITS, RAISED):
        turned = alphabet[step % len(alphabet) :] + alphabet[: step % len(alphabet)]
        written = written.translate(str.maketrans(alphabet, turned))
    return written


def unnoticed(text, claims):
    """The numbers but 0 and 1 in a text that each of three steps alters to another which stands in a check."""
    return [
        written
        for written, value in ties.numbers_of_text(text)
        if value not in (0, 1)
        and not any(
            ties.untied(text.replace(written, other(written, step)), claims) for step in (5, 3, 7)
        )
    ]


def altered(claim):
    """The claim with its relation, or a number, altered."""
    if isinstance(claim, Identity):
        yield replace(claim, right=sp.sympify(claim.right) + sp.Rational(1, 7))
    elif isinstance(claim, Sign | Certified):
        yield replace(claim, relation=OPPOSITE[claim.relation])
        yield replace(claim, than=sp.sympify(claim.expr) + (1 if claim.relation[0] == ">" else -1))
    elif isinstance(claim, Minimum):
        yield replace(claim, value=sp.sympify(claim.value) + sp.Rational(1, 7))
        yield replace(claim, f=-sp.sympify(claim.f), value=-sp.sympify(claim.value))
    elif isinstance(claim, Limit):
        yield replace(claim, value=sp.sympify(claim.value) + 1, bound=claim.bound)


@pytest.mark.parametrize(
    ("slug", "label", "right", "wrong"),
    [
        ("mio_barrier", "a", "κ̄ < 4", "κ̄ < 9"),
        ("mcallester_stratos", "a", "> ln N] ≤ 4δ", "> 0.01 ln N] ≤ 4δ"),
        ("rlhf_reach", "b", "multiplied by e^{1/β}", "multiplied by e^{−7/β}"),
    ],
)
def test_false_number(slug, label, right, wrong):
    """A false number in a statement takes its tier."""
    theorem = load()[slug]
    part = next(part for part in theorem.parts if part.label == label)

    assert right in part.statement

    false = replace(part, statement=part.statement.replace(right, wrong))
    verdict = judge(false)

    assert not verdict.ok
    assert verdict.tier == "none"


def test_unshown_words():
    """Words that show no check are marked."""
    claim = Identity("1 + 1 = 2", 1 + sp.Symbol("x", real=True) ** 0, 2)
    assert judge(Part("a", "P equals NP.", checks=(claim,))).earned == "symbolic, in words"
    assert judge(Part("a", ("It holds that ", claim, "."))).earned == "symbolic"


def test_expressions():
    """An expression in a statement stands in a check."""
    x = sp.Symbol("x", positive=True)
    claim = Sign("s", x**2 + 3 * x, ">")
    assert Part("a", ("The square is ", x**2, "."), checks=(claim,)).text == "The square is x^2."
    with pytest.raises(ValueError, match="expected a check with"):
        Part("a", ("The cube is ", x**3, "."), checks=(claim,))


@pytest.mark.parametrize("part", PARTS)
def test_other_numbers(part):
    """Another number in the words stands in no check."""
    assert unnoticed(part.words, part.claims) == []


@pytest.mark.parametrize("part", PARTS)
def test_altered_checks(part):
    """A check with another number or relation fails, and reads otherwise."""
    for claim in part.claims:
        for wrong in altered(claim):
            assert not decide(wrong).passed, claim.name
            assert render.claim(wrong.shown) != render.claim(claim.shown), claim.name
