"""The frame: what a verdict needs; what the ledger does with theorems that fail, raise, or rest on others that do."""

import dataclasses
import json
import sys

import pytest

from proofs.engine.theorem import Outcome, Part, run
from proofs.ledger import ledger, load
from proofs.theorems.bounds.dv_shift_nwj import THEOREM


@dataclasses.dataclass(frozen=True)
class Fake:
    """A claim whose outcome is given."""

    name: str
    outcome: Outcome | None = None
    tier: str = "symbolic"
    cross_check: bool = False
    shown: tuple = ()

    def decide(self):
        if self.outcome is None:
            raise ZeroDivisionError("no outcome")
        return self.outcome


PROVED = Outcome("proved", "by decree")
SURVIVED = Outcome("survived", "3 examples")
REFUTED = Outcome("refuted", "by decree", "x = 1")
UNDECIDED = Outcome("undecided", "too hard")
CROSS = Fake("cross", SURVIVED, tier="tested", cross_check=True)


def theorem(
    slug="a",
    checks=(Fake("check", PROVED),),
    false_neighbours=(Fake("neighbour", REFUTED),),
    uses=(),
):
    return dataclasses.replace(
        THEOREM,
        slug=slug,
        setting="a setting",
        parts=(Part("a", "a statement", checks=checks),),
        false_neighbours=false_neighbours,
        uses=uses,
    )


def entries(*theorems, slugs=None):
    return {e.slug: e for e in ledger({t.slug: t for t in theorems}, slugs)}


def test_due_outcomes():
    """A theorem with due outcomes is ok."""
    assert run(theorem()).ok
    assert run(theorem()).tier == "symbolic"


@pytest.mark.parametrize(
    "claim",
    [
        Fake("c", REFUTED),
        Fake("c", UNDECIDED),
        Fake("c", None),
        Fake("c", SURVIVED),  # an example-based outcome earns no symbolic tier
        Fake("c", SURVIVED, tier="certified"),
        Fake("c", PROVED, tier="tested"),
        Fake("c", REFUTED, cross_check=True),
    ],
    ids=lambda claim: f"{claim.tier}-{claim.outcome.verdict if claim.outcome else 'raises'}",
)
def test_failed_check(claim):
    """A check without its due outcome fails the theorem."""
    verdict = run(theorem(checks=(Fake("good", PROVED), claim)))
    assert not verdict.ok
    assert verdict.tier == "none"

    (entry,) = entries(theorem(checks=(Fake("good", PROVED), claim))).values()
    assert not entry.ok
    assert any("check failed: c" in problem for problem in entry.problems)


@pytest.mark.parametrize(
    "outcome", [PROVED, UNDECIDED, None, Outcome("refuted", "without a witness")]
)
def test_false_neighbour(outcome):
    """A false neighbour that is not refuted with a witness fails the theorem."""
    (entry,) = entries(theorem(false_neighbours=(Fake("n", outcome),))).values()
    assert not entry.ok
    assert any("not refuted: n" in problem for problem in entry.problems)


def test_weakest_tier():
    """The weakest check gives the tier, and cross-checks do not."""
    tested = Fake("tested", SURVIVED, tier="tested")
    certified = Fake("certified", PROVED, tier="certified")
    assert run(theorem(checks=(Fake("s", PROVED), CROSS))).tier == "symbolic"
    assert run(theorem(checks=(Fake("s", PROVED), certified, CROSS))).tier == "certified"
    assert run(theorem(checks=(tested, certified))).tier == "tested"


SOMETHING = (
    "slug title setting formula assumptions parts proof false_neighbours mutants about reference"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            ({name: type(getattr(THEOREM, name))()}, f"{name}: expected something")
            for name in SOMETHING.split()
        ),
        (
            {"parts": (Part("a", "a", checks=(CROSS,)),)},
            "checks: expected at least one that is not a cross-check",
        ),
        (
            {"parts": tuple(Part(x, "a", checks=(Fake("same", PROVED),)) for x in "ab")},
            "checks: expected distinct names",
        ),
        (
            {"parts": tuple(Part("a", "a", checks=(Fake(x, PROVED),)) for x in "ab")},
            "parts: expected distinct names",
        ),
    ],
)
def test_complete_theorem(changes, message):
    """A theorem says everything and proves something."""
    with pytest.raises(ValueError, match=f"^{message}"):
        dataclasses.replace(theorem(), **changes)


def test_order_and_tier():
    """What is rested on runs first, and its tier passes on."""
    tested = theorem("base", checks=(Fake("c", SURVIVED, tier="tested"),))
    rows = entries(theorem("a", uses=("base",)), tested)
    assert list(rows) == ["base", "a"]
    assert rows["a"].tier == "tested"
    assert rows["a"].rests_on == ("base",)


def test_one_slug():
    """Asking for one theorem runs what it rests on and no more."""
    rows = entries(
        theorem("a", uses=("b",)),
        theorem("b"),
        theorem("other"),
        slugs=["a"],
    )

    assert list(rows) == ["b", "a"]


def test_fallen_theorem():
    """A theorem that rests on a fallen one falls."""
    rows = entries(
        theorem("a", uses=("b",)),
        theorem("b", checks=(Fake("c", None),)),
        theorem("free"),
    )

    assert [rows[slug].ok for slug in ("a", "b", "free")] == [False, False, True]
    assert rows["a"].problems == ["rests on b, which failed"]
    assert rows["b"].problems == ["check failed: c: raised (ZeroDivisionError: no outcome)"]


def test_cycle():
    """A cycle is named and does not stop the rest."""
    rows = entries(
        theorem("a", uses=("b",)),
        theorem("b", uses=("a",)),
        theorem("c", uses=("a",)),
        theorem("free"),
    )

    assert [rows[slug].ok for slug in ("a", "b", "c", "free")] == [False, False, False, True]
    assert rows["a"].problems == ["uses: cycle a → b → a"]
    assert "cycle" in rows["c"].problems[0]


def test_bad_uses():
    """A theorem may not use itself or what does not exist."""
    assert entries(theorem("a", uses=("a",)))["a"].problems == ["uses: cycle a → a"]
    assert entries(theorem("a", uses=("nowhere",)))["a"].problems == [
        "uses: a uses 'nowhere', which does not exist"
    ]


def test_plain_row():
    row = entries(dataclasses.replace(theorem(), setting="a setting\n    on two lines"))[
        "a"
    ].as_json()

    assert json.loads(json.dumps(row, allow_nan=False)) == row

    names = (
        "slug statement tier hand parts ok seconds title assumptions uses rests_on checks reference"
    )

    assert row.keys() >= set(names.split())
    assert row["statement"] == "a setting on two lines (a) a statement"

    (part,) = row["parts"]
    assert [part[name] for name in ("name", "tier", "hand", "ok")] == ["a", "symbolic", False, True]

    check = row["checks"][0]
    names = "name tier cross_check shown verdict detail witness seconds"

    assert list(check) == names.split()
    assert (check["name"], check["tier"], check["verdict"]) == ("check", "symbolic", "proved")


def test_broken_modules(tmp_path, monkeypatch):
    """Modules that do not give a theorem are rows that are not ok."""
    package = tmp_path / "broken_theorems"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "raises.py").write_text("1 / 0\n")
    (package / "empty.py").touch()
    (package / "misnamed.py").write_text("class THEOREM:\n    slug = 'other'\n")
    monkeypatch.syspath_prepend(tmp_path)
    modules = load("broken_theorems")

    assert modules["raises"] == "ZeroDivisionError: division by zero"
    assert "THEOREM" in modules["empty"]
    assert modules["misnamed"] == "slug: expected 'misnamed', got 'other'"

    rows = ledger(modules)
    assert not any(row.ok for row in rows)
    assert all(json.dumps(row.as_json()) for row in rows)

    for name in [name for name in sys.modules if name.startswith("broken_theorems")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("statement", [("so that", Fake("c")), (Fake("c"), "and so on")])
def test_touching_words(statement):
    """Words do not touch a formula."""
    with pytest.raises(ValueError, match=r"^part 'a': expected a blank"):
        Part("a", statement)
