"""Every theorem holds, refuses its false neighbours, has the fixed shape, and is cited by the names it is about."""

import dataclasses
import inspect
import re
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest
import sympy as sp

import mi_estimators as mi
import proofs
from proofs import book
from proofs.__main__ import PAGE
from proofs.engine import Identity, Part, Sign, render
from proofs.engine.theorem import Theorem, weakest
from proofs.ledger import ledger, load, modules

pytestmark = pytest.mark.xdist_group("ledger")  # one process runs the ledger, once
THEOREMS = load()
SLUGS = sorted(THEOREMS)


@cache
def entries():
    return {entry.slug: entry for entry in ledger(THEOREMS)}


def test_first_eleven():
    assert set(SLUGS) >= {
        "log_ratio_optimality", "dv_representation", "dv_shift_nwj", "infonce_ceiling", "gibbs_dv_duality",
        "dpo_is_half_mixed_dv", "mio_is_half_mixed_js", "mio_anchor", "mio_no_collapse", "dpo_flat_direction",
        "starvation_on_policy",
    }  # fmt: skip


@pytest.mark.parametrize("slug", SLUGS)
def test_it_holds(slug):
    entry = entries()[slug]
    assert entry.ok, entry.problems

    rested_on = [entries()[below] for below in entry.rests_on]
    without_coq = [part.next_tier for e in (entry, *rested_on) for part in e.verdict.parts]

    assert weakest(without_coq) == THEOREMS[slug].tier, "earned, and declared in its module"

    if entry.verdict.tier == "kernel":  # what Coq proved rests on nothing else
        rested_on = []

    assert entry.tier == weakest([entry.verdict.tier, *(below.tier for below in rested_on)])
    assert entry.hand == any([entry.verdict.hand, *(below.hand for below in rested_on)])


@pytest.mark.parametrize("slug", SLUGS)
def test_fixed_shape(slug):
    """Its module has the fixed shape."""
    theorem = THEOREMS[slug]
    source = inspect.getsource(import_module(modules()[slug]))

    assert source.startswith('"""')
    assert any(claim.cross_check for claim in theorem.checks), "no check of the shipped code"

    order = [field.name for field in dataclasses.fields(Theorem)]
    written = re.findall(r"^    (\w+)=", source.split("THEOREM = Theorem(")[1], re.MULTILINE)

    assert written == [name for name in order if name in written]


def test_current_page():
    text = (Path(proofs.__file__).parents[1] / PAGE).read_text(encoding="utf-8")
    assert text == book.page(list(entries().values())), "run python -m proofs --write"
    assert book.sections(text) == {slug: book.section(entries()[slug]) for slug in entries()}


def cited(docstring):
    """The slugs after "Theorem:" in a docstring."""
    lists = re.findall(r"Theorem: (.*?)(?=\n\s*\n|\n\s*Reference:|$)", docstring, re.DOTALL)
    return {slug for text in lists for slug in re.findall(r"[a-z][a-z0-9_]{4,}", text)}


@pytest.mark.parametrize("slug", SLUGS)
def test_public_names(slug):
    """It is about public names that cite a theorem about them."""
    for name in THEOREMS[slug].about:
        about = {other for other in SLUGS if name in THEOREMS[other].about}
        assert cited(attrgetter(name)(mi).__doc__) & about, f"mi.{name} cites none of {about}"


def varied(example):
    """The example with each parameter that is a number a little smaller, or one larger if it counts."""
    for name, number in example.at.items():
        if type(number) in (int, float):
            other = number + 1 if isinstance(number, int) else 0.9 * number
            yield dataclasses.replace(example, at={**example.at, name: other})


@pytest.mark.parametrize("slug", SLUGS)
def test_example(slug):
    """Its example agrees with what it says."""
    example = THEOREMS[slug].example
    for case in (example, *varied(example)):
        assert case.agrees, (case.at, case.numbers)


@pytest.mark.parametrize("slug", SLUGS)
def test_displays(slug):
    """What it displays is short, and has two sides."""
    for part in THEOREMS[slug].parts:
        for claim in (*part.formula, *(p for p in part.pieces if hasattr(p, "shown"))):
            assert not render.trivial(claim.shown), claim.name
            assert len(render.display(claim.shown)) <= 2 * book.LONGEST, claim.name


def test_ranges_of_letters():
    """Letters that no word names have a range."""
    x = sp.Symbol("x", positive=True)
    k = sp.Symbol("k", positive=True, integer=True)
    t, u = sp.symbols("t u", real=True)
    claims = (Identity("a", x + t, t + x, at={t: u}), Sign("b", k * x, ">"))
    part = Part("a", "For the score u:", checks=claims)
    assert book.letters(part, part.words) == "any positive $x$, any positive integer $k$"


def test_values():
    """A value is for the reader's parameters."""
    computed, theory = proofs.value("late_decline", beta=0.1)
    assert theory == pytest.approx(18.331152, abs=1e-6)
    assert computed == pytest.approx(theory, rel=1e-5)


@pytest.mark.parametrize(
    ("slug", "parameters", "message"),
    [
        ("late_declin", {}, "slug: expected a theorem such as"),
        ("late_decline", {"alpha": 1}, "alpha: expected one of reference, features, beta"),
    ],
)
def test_wrong_arguments(slug, parameters, message):
    """A value names what is wrong."""
    with pytest.raises(ValueError, match=re.escape(message)):
        proofs.value(slug, **parameters)


def test_first_to_read():
    assert set(book.START) <= set(SLUGS)
