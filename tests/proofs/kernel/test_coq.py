"""Coq itself: it proves the statements and the words, and refuses mutants of them. Skipped where there is no coqc."""

import shutil
from dataclasses import replace

import pytest

from proofs.engine import Identity, Sign, positives, sigmoid, softplus
from proofs.kernel import build, vocabulary
from proofs.kernel.goals import goal
from proofs.kernel.record import sources
from proofs.theorems.bounds.dv_shift_nwj import THEOREM

pytestmark = [
    pytest.mark.skipif(shutil.which("coqc") is None, reason="there is no coqc"),
    pytest.mark.broad,
]
a, b = positives("a b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A build folder with the shared files and one theorem."""
    right, build.BUILD = build.BUILD, tmp_path_factory.mktemp("kernel")
    made = build.Folder()
    for name in ("words", "lemmas", "numbers", "generated", "bounds.dv_shift_nwj"):
        made.compiled(name, sources()[name].read_text())
    yield made
    build.BUILD = right


def test_gate(folder):
    names = build.axioms(folder.compiled("gate.right", build.gate(THEOREM)))
    build.refuse("dv_shift_nwj", names)
    assert names


@pytest.mark.parametrize(
    ("right", "wrong"), [("= - ln (mgf l q T)", "= ln (mgf l q T)"), ("0 < z ->", "")]
)
def test_refused_mutant(folder, right, wrong):
    part = THEOREM.parts[0]
    mutant = replace(THEOREM, parts=(replace(part, kernel=part.kernel.replace(right, wrong)),))
    with pytest.raises(build.Broken, match="gate/mutant"):
        folder.compiled("gate.mutant", build.gate(mutant))


def test_another_axiom(folder):
    text = "From MI Require Import lemmas.\nAxiom magic : 1 = 0.\nPrint Assumptions magic.\n"
    with pytest.raises(build.Broken, match="magic"):
        build.refuse("magic", build.axioms(folder.compiled("magic", text)))


def test_words(folder, monkeypatch):
    folder.compiled("gate.vocabulary", vocabulary.text())
    right = vocabulary.words.kl
    monkeypatch.setattr(vocabulary.words, "kl", lambda p, q: right(q, p))
    with pytest.raises(build.Broken, match="gate/vocabulary"):
        folder.compiled("gate.vocabulary", vocabulary.text())


TRUE = [
    Identity("softplus", softplus(a) - softplus(-a), a),
    Identity("chance", sigmoid(a) + sigmoid(-a), 1),
    Sign("convex", sigmoid(a) * sigmoid(-a), ">"),
]


def test_goals(folder):
    """Goals close, and false ones do not."""
    false = [
        Identity("false softplus", softplus(a) - softplus(-a), 2 * a),
        Sign("false sign", a - b, ">"),
    ]
    goals = [goal("sample", claim) for claim in (*TRUE, *false)]

    assert set(build.open_goals(goals)) == {"false softplus", "false sign"}
