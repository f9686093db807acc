"""Every theorem would notice a library that is wrong in one thing: a cross-check of it refutes."""

from importlib import import_module, reload

import pytest
import sympy as sp

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.theory.arithmetic import is_symbolic
from proofs.engine.mutants import loss_at, off
from proofs.engine.theorem import decide, noticed
from proofs.ledger import load, modules

MUTANTS = [  # one a theorem, and the others in the broad run
    pytest.param(
        theorem,
        mutant,
        id=f"{slug}-{mutant.name}-{mutant.label}",
        marks=[pytest.mark.broad] if number else [],
    )
    for slug, theorem in load().items()
    for number, mutant in enumerate(theorem.mutants)
]


@pytest.mark.parametrize(("theorem", "mutant"), MUTANTS)
def test_wrong_library(theorem, mutant):
    """A wrong library fails the theorem."""
    wrong = f"{theorem.slug}: no cross-check fails where mi.{mutant.name} is {mutant.label}"
    assert noticed(theorem, mutant), wrong


def test_right_library():
    theorem, *_ = MUTANTS[0].values
    assert not noticed(theorem, loss_at("the right one"))


def test_right_again():
    right = mi.laws.embedding
    with off("laws.embedding").installed():
        assert mi.laws.embedding is not right
    assert mi.laws.embedding is right


CLOSED_FORMS = [
    (slug, name.removeprefix("theory."))
    for slug, theorem in load().items()
    for name in theorem.about
    if name.startswith("theory.")
]


@pytest.mark.broad
@pytest.mark.parametrize(("slug", "name"), CLOSED_FORMS)
def test_wrong_closed_form(slug, name, monkeypatch):
    """The theorem calls the library's function with symbols: one per cent too much is refuted."""
    right, module = getattr(theory, name), import_module(modules()[slug])

    def larger(value):
        return value * (sp.Rational(101, 100) if is_symbolic(value) else 1.01)

    def wrong(*arguments, **named):
        value = right(*arguments, **named)
        if isinstance(value, bool):
            return not value
        if isinstance(value, tuple):
            return tuple(map(larger, value))
        return larger(value)

    monkeypatch.setattr(theory, name, wrong)
    try:
        assert any(not decide(claim).passed for claim in reload(module).THEOREM.checks)
    finally:
        monkeypatch.undo()
        reload(module)
