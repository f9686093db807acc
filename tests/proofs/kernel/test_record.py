"""What Coq proved, and that a change in a statement, its words or a source takes the tier away. No Coq is needed."""

import shutil
from dataclasses import replace
from functools import cache

import pytest

from proofs.kernel import build, record
from proofs.kernel.goals import KINDS, claims, statement
from proofs.ledger import ledger, load
from proofs.theorems import modules

RECORD = record.load()
STATED = sorted(RECORD["parts"])


@cache
def theorems():
    return load()


def test_sources():
    """The record is of these sources."""
    ours = {name: record.digest(path.read_text()) for name, path in record.sources().items()}
    assert ours == RECORD["sources"]


def test_bar():
    whole = [
        s
        for s, t in theorems().items()
        if set(RECORD["parts"].get(s, ())) == {p.label for p in t.parts}
    ]

    assert len(whole) >= 30

    for kind, share in {"identity": 0.95, "sign": 0.85}.items():
        done, of = RECORD["counts"][kind]
        assert done >= share * of, kind

    assert RECORD["counts"]["box"][0] >= 50
    assert set(RECORD["axioms"]) <= set(build.AXIOMS)


@pytest.mark.parametrize("slug", STATED)
def test_statements(slug):
    """Every statement is the recorded one."""
    theorem = theorems()[slug]
    stated = {part.label for part in theorem.parts if part.kernel}
    assert stated == set(RECORD["parts"][slug])
    assert stated <= set(record.status(theorem))


def test_whole_record():
    """No statement is left out."""
    stated = {s for s, t in theorems().items() if any(part.kernel for part in t.parts)}
    assert stated == set(STATED)


def test_counted_claims():
    """Each identity, sign and box is a recorded goal or is listed with the reason why it is none."""
    counted = 0
    for slug, theorem in theorems().items():
        goals = RECORD["goals"].get(slug, {})
        missing = RECORD["missing"].get(slug, {})
        names = {claim.name for claim in claims(theorem)}
        assert goals.keys() | missing.keys() == names, slug
        assert not goals.keys() & missing.keys()
        counted += len(names)

    assert counted == sum(of for _, of in RECORD["counts"].values())


def goals_of(slug):
    printed = {
        claim.name: statement(claim)
        for claim in claims(theorems()[slug])
        if claim.name in RECORD["goals"].get(slug, {})
    }

    return {name: record.digest(text) for name, text in printed.items()}


SAMPLE = ["dv_representation", "mio_no_collapse", "escape_times"]


@pytest.mark.parametrize(
    "slug",
    [pytest.param(s, marks=[pytest.mark.broad] * (s not in SAMPLE)) for s in sorted(modules())],
)
def test_goals(slug):
    """The goals are printed from the claims."""
    assert goals_of(slug) == RECORD["goals"].get(slug, {})


PART = theorems()["dv_shift_nwj"].parts[0]


def altered(**change):
    theorem = theorems()["dv_shift_nwj"]
    return replace(theorem, parts=(replace(PART, **change), *theorem.parts[1:]))


@pytest.mark.parametrize(
    "change",
    [
        {"kernel": PART.kernel.replace("<=", "<")},
        {"kernel": PART.kernel.replace("0 < z", "0 <= z")},
        {"statement": "Then DV(T) = min over real c of NWJ(T + c), attained at c = −ln Z only."},
    ],
    ids=["relation", "premise", "words"],
)
def test_altered_statement(change):
    """An altered statement loses its tier."""
    assert "a" in record.status(theorems()["dv_shift_nwj"])
    assert "a" not in record.status(altered(**change))


def test_other_assumptions():
    theorem = theorems()["dv_shift_nwj"]
    assert record.status(replace(theorem, assumptions=("none",))) == {}


def test_changed_source(tmp_path, monkeypatch):
    """A changed source takes the tier from all that rest on it."""
    shutil.copytree(record.COQ, tmp_path / "coq")
    words = tmp_path / "coq/words.v"
    words.write_text(words.read_text().replace("ln (p x / q x)", "ln (q x / p x)"))
    monkeypatch.setattr(record, "COQ", tmp_path / "coq")
    assert record.status(theorems()["dv_representation"]) == {}


@pytest.mark.parametrize("seen", ["recorded", "checked"])
def test_next_tier(seen, monkeypatch):
    """JSON gives the next tier to what was not proved here."""
    monkeypatch.setattr(record, "checked_here", lambda: seen == "checked")
    (entry,) = ledger({"nwj_gap": replace(theorems()["nwj_gap"], uses=())})
    row = entry.as_json()

    assert (entry.tier, entry.hand, row["recorded"]) == ("kernel", False, "kernel")
    assert row["tier"] == ("kernel" if seen == "checked" else "symbolic")
    assert row["hand"] == (seen == "recorded")
    assert {part["tier"] for part in row["parts"]} == {row["tier"]}

    says = "checked here" if seen == "checked" else f"recorded, {record.NOT_HERE}"
    assert {part["kernel"] for part in row["parts"]} == {says}
    assert any(part["by_hand"] for part in row["parts"]) == (seen == "recorded")
    assert (record.NOT_HERE in entry.note) == (seen == "recorded")


def test_kinds_of_claim():
    """Every kind of claim has a name."""
    assert set(KINDS.values()) == set(RECORD["counts"])
