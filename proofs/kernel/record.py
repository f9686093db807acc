"""What Coq was seen to prove: the recorded result, and whether it still belongs to the sources. No Coq is needed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.theorem import Part, Theorem

COQ = Path(__file__).parent / "coq"
RECORD = Path(__file__).parent / "record.json"
BUILD = Path("build") / "kernel"
CHECKED = BUILD / "checked.json"
"""Written by a full run in this clone; a part counts as checked here if it says what the record says."""

NOT_HERE = "not re-checked here"
"""What is said of a part that Coq proved, but not in this clone."""

_REQUIRE = re.compile(r"^From MI Require (?:Import|Export) ([\w. ]+)\.$", re.MULTILINE)


def digest(text: str) -> str:
    """Return the first 16 digits of the SHA-256 of a text, blanks reduced.

    >>> digest("a  b") == digest("a b"), digest("a b") == digest("a c")
    (True, False)
    """
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


@cache
def _files(root: Path) -> dict[str, tuple[Path, str, list[str]]]:
    """Return each Coq file by its logical name, after those that it needs: path, hash, and the names of these."""
    read: dict[str, tuple[Path, str, list[str]]] = {}
    for path in sorted(root.rglob("*.v")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        read[name] = path, digest(path.read_text("utf-8")), needs(path)

    ordered: dict[str, tuple[Path, str, list[str]]] = {}

    def visit(name: str) -> None:
        if name not in ordered:
            for needed in read[name][2]:
                visit(needed)
            ordered[name] = read[name]

    for name in read:
        visit(name)
    return ordered


def sources() -> dict[str, Path]:
    """Return the Coq files by their logical name, "bounds.nwj_gap", each after those that it needs."""
    return {name: path for name, (path, _, _) in _files(COQ).items()}


def needs(path: Path) -> list[str]:
    """Return the names of the files of ours that a Coq file requires."""
    return [name for line in _REQUIRE.findall(path.read_text("utf-8")) for name in line.split()]


def below(name: str) -> list[str]:
    """Return a file's name and the names of all that it rests on."""
    names = [name]
    for current in names:
        names += [needed for needed in _files(COQ)[current][2] if needed not in names]
    return names


def file_of(theorem: Theorem) -> str:
    """Return the logical name of a theorem's Coq file, or "" if it has none."""
    return next((name for name in sources() if name.rpartition(".")[2] == theorem.slug), "")


def words_of(theorem: Theorem, part: Part) -> str:
    """Return the words that a Coq statement was read against: setting, assumptions, the part."""
    return digest(" ".join([theorem.setting, *theorem.assumptions, part.text]))


@cache
def load(path: Path = RECORD) -> dict[str, Any]:
    """Return the recorded result; empty if there is none."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


@cache
def checked_here() -> bool:
    """Whether a full run in this clone found what is recorded."""
    return CHECKED.exists() and json.loads(CHECKED.read_text("utf-8")) == load()


def stale(name: str, record: Mapping[str, Any]) -> list[str]:
    """Return the files that a Coq file rests on and whose text is not the recorded one."""
    recorded = record.get("sources", {})
    return [file for file in below(name) if recorded.get(file) != _files(COQ)[file][1]]


def status(theorem: Theorem) -> dict[str, str]:
    """Return, for each part that Coq proved, "checked" if it was in this clone and else "recorded".

    A part counts if its Coq statement, its words and every file that its proof rests on are those of the record. A part
    without a Coq statement counts if it grants nothing, is rendered from its claims, and each of them is a recorded
    goal.
    """
    record = load()
    seen = "checked" if checked_here() else "recorded"
    name = file_of(theorem)
    proved = record.get("parts", {}).get(theorem.slug, {})
    fresh = bool(name) and not stale(name, record)

    found = {}
    for part in theorem.parts:
        if part.kernel:
            due = {"statement": digest(part.kernel), "words": words_of(theorem, part)}
            if fresh and proved.get(part.label) == due:
                found[part.label] = seen
        elif by_goals(theorem, part, record):
            found[part.label] = seen

    return found


def by_goals(theorem: Theorem, part: Part, record: Mapping[str, Any]) -> bool:
    """Whether a part says no more than its claims, and each of them is a goal that Coq closed."""
    claims = [claim for claim in part.claims if not claim.cross_check]
    goals = record.get("goals", {}).get(theorem.slug, {})
    if part.prose or part.by_hand or not all(claim.name in goals for claim in claims):
        return False
    from .goals import statement

    return all(goals[claim.name] == digest(statement(claim)) for claim in claims)
