"""Every theorem would notice a library that is wrong in one thing: a cross-check of it refutes."""

import pytest

import mi_estimators as mi
from proofs.engine.mutants import loss_at, noticed, off
from proofs.ledger import load

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
def test_a_wrong_library_fails_the_theorem(theorem, mutant):
    assert noticed(theorem, mutant)


def test_a_right_library_is_not_noticed():
    theorem, *_ = MUTANTS[0].values
    assert not noticed(theorem, loss_at("the right one"))


def test_the_library_is_right_again_afterwards():
    right = mi.laws.embedding
    with off("laws.embedding").installed():
        assert mi.laws.embedding is not right
    assert mi.laws.embedding is right
