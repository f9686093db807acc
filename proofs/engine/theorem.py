"""A theorem as a value: what it says, the checks that earn its tier, and the false neighbours it must refuse.

A theorem consists of parts. A part holds words, the claims that are checked, and the steps that its reader must
grant. Its formulas are rendered from the claims, so that statement and check are one object; its words are prose, and
each number in them must stand in one of its checks.

A claim is anything with a name, a tier and `decide() -> Outcome`. The tier belongs to the kind of claim and not to
its author: `symbolic.Identity` and `symbolic.Sign` are symbolic, `certify.Certified` is certified, `tested.Tested` is
tested. A part has the tier of its weakest check, a theorem that of its weakest part; cross-checks, which compare the
library with the theorem, do not count towards it but can fail it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from . import render, ties
from .example import Example
from .vocabulary import Term

if TYPE_CHECKING:
    from .mutants import Mutant

TIERS = ("kernel", "symbolic", "certified", "tested")
"""Strongest first."""

PASSED = {"kernel": "proved", "symbolic": "proved", "certified": "proved", "tested": "survived"}
"""The one verdict that earns each tier; the others are "refuted", "undecided" and "raised"."""


@dataclass(frozen=True)
class Outcome:
    """What a claim's machinery found: a verdict, how it was reached, and for a refutation where the claim fails."""

    verdict: str
    detail: str
    witness: str = ""


@runtime_checkable
class Claim(Protocol):
    """A statement with the machinery that decides it. A cross-check compares the shipped code and earns no tier."""

    tier: ClassVar[str]  # what its kind of machinery earns, one of `TIERS`

    @property
    def name(self) -> str:
        """One line, distinct within its theorem."""
        ...

    @property
    def cross_check(self) -> bool:
        """Whether it compares the shipped code with the theorem."""
        ...

    @property
    def shown(self) -> tuple[Term | str, ...]:
        """What it claims, as expressions with words between them; empty where only its name says it."""
        ...

    def decide(self) -> Outcome:
        """Prove, refute, or leave undecided."""
        ...


Piece = str | Claim | Term
"""What a statement is made of: words, claims, expressions."""


@dataclass(frozen=True)
class Result:
    """A claim, what became of it, and the seconds that took."""

    claim: Claim
    outcome: Outcome
    seconds: float

    def __str__(self) -> str:
        outcome = self.outcome
        witness = f" at {outcome.witness}" if outcome.witness else ""
        return f"{self.claim.name}: {outcome.verdict}{witness} ({outcome.detail})"

    @property
    def kind(self) -> str:
        """The claim's tier, or that it is a cross-check, which earns none."""
        return "cross-check" if self.claim.cross_check else self.claim.tier

    @property
    def passed(self) -> bool:
        """Whether the claim got the verdict that its tier demands."""
        return self.outcome.verdict == PASSED[self.claim.tier]

    @property
    def refused(self) -> bool:
        """Whether the claim was refuted with a witness, as a false neighbour must be; "undecided" is not enough."""
        return self.outcome.verdict == "refuted" and bool(self.outcome.witness)


class Sum(str):
    """A granted step that only adds up, over atoms, what a check holds of each one; it does not make a part `hand`."""


@dataclass(frozen=True)
class Part:
    """One lettered claim of a theorem, with the checks that earn its tier.

    Attributes:
        label: its letter.
        statement: words, or words with claims and expressions between them. A claim that stands in the statement is
            rendered from what is checked; so is an expression, which must stand in one of the checks.
        formula: claims that are displayed, each rendered from what is checked, and checked.
        checks: further claims; together with those above they establish the statement.
        by_hand: steps that no check covers and the reader must grant; a `Sum` only adds up over atoms. Where the kernel
            proves the part, nothing is granted.
        kernel: the whole part as a statement of Coq, which `proofs.kernel` proves; "" if there is none.

    Raises:
        ValueError: no check at all, names that are not distinct, an expression that no check contains, or words that
            touch a formula.
    """

    label: str
    statement: str | tuple[Piece, ...]
    formula: tuple[Claim, ...] = ()
    checks: tuple[Claim, ...] = ()
    by_hand: tuple[str, ...] = ()
    kernel: str = ""

    def __post_init__(self) -> None:
        if not self.label or not self.statement or not self.claims:
            raise ValueError(f"part {self.label!r}: expected a label, a statement and a check")

        names = [claim.name for claim in self.claims]
        if len(set(names)) < len(names):
            raise ValueError(f"checks: expected distinct names, got {sorted(names)}")

        for piece in self.pieces:
            if not isinstance(piece, str | Claim) and not ties.contains(self.claims, piece):
                raise ValueError(f"part {self.label!r}: expected a check with {piece}, got none")

        for before, after in pairwise(self.pieces):
            if touching(before, after):
                raise ValueError(
                    f"part {self.label!r}: expected a blank, got {before!r}, {after!r}"
                )

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The statement, piece by piece."""
        return (self.statement,) if isinstance(self.statement, str) else self.statement

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims: those in the statement, those displayed, and the other checks."""
        stated = [piece for piece in self.pieces if isinstance(piece, Claim)]
        others = [c for c in (*self.formula, *self.checks) if all(c is not s for s in stated)]
        return (*stated, *others)

    @property
    def words(self) -> str:
        """What is not rendered from a check."""
        return " ".join(piece for piece in self.pieces if isinstance(piece, str))

    @property
    def text(self) -> str:
        """The statement on one line, its claims and expressions rendered."""
        return render.sentence(self.pieces)

    @property
    def hand(self) -> bool:
        """Whether a step other than a sum over atoms is granted."""
        return any(not isinstance(step, Sum) for step in self.by_hand)

    @property
    def prose(self) -> bool:
        """Whether nothing but the reader ties its words to the checks: it shows none, or has formulas of its own."""
        rendered = self.formula or any(not isinstance(piece, str) for piece in self.pieces)
        return not rendered or ties.has_formula(self.words)


def touching(before: Piece, after: Piece) -> bool:
    """Tell whether words and a formula stand side by side without a blank or a punctuation mark between them.

    >>> touching("it rises, with", 1), touching("it rises, with ", 1), touching(1, ", which")
    (True, False, False)
    """
    ends = isinstance(before, str) and before[-1:].isalnum()
    starts = isinstance(after, str) and after[:1].isalnum()
    return (ends and not isinstance(after, str)) or (starts and not isinstance(before, str))


_OPTIONAL = {"tier", "uses"}


@dataclass(frozen=True, kw_only=True)
class Theorem:
    """A theorem in the fixed shape of this project.

    Attributes:
        slug: permanent name, equal to the module's.
        tier: the weakest tier of its checks and of those it rests on, without Coq: a promise that the tests keep.
        title: one line.
        purpose: what a reader uses it for, one line.
        setting: the symbols and what they are, before the first part.
        formula: its centre as LaTeX, one displayed line, for the eye; it is prose.
        assumptions: what it needs, one by one.
        parts: what it claims.
        proof: the idea, step by step.
        example: a number of it by computation and by what it says, for parameters of the reader.
        false_neighbours: claims one change away from the theorem, which the same machinery must refute.
        mutants: wrong libraries, each of which a cross-check must refute.
        uses: slugs of theorems that it rests on.
        about: public names of `mi_estimators` that it is a theorem about.
        reference: where it comes from.
    """

    slug: str
    tier: str = "symbolic"
    title: str
    purpose: str
    setting: str
    formula: str
    assumptions: tuple[str, ...]
    parts: tuple[Part, ...]
    proof: str
    example: Example
    false_neighbours: tuple[Claim, ...]
    mutants: tuple[Mutant, ...]
    uses: tuple[str, ...] = ()
    about: tuple[str, ...]
    reference: str

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name not in _OPTIONAL):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected something, got {getattr(self, name)!r}")

        if all(claim.cross_check for claim in self.checks):
            raise ValueError(
                "checks: expected at least one that is not a cross-check of the library"
            )

        lists = {
            "parts": [part.label for part in self.parts],
            "checks": [claim.name for claim in self.checks],
            "false_neighbours": [claim.name for claim in self.false_neighbours],
        }

        for name, names in lists.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{name}: expected distinct names, got {sorted(names)}")

    @property
    def checks(self) -> tuple[Claim, ...]:
        """The claims of all parts."""
        return tuple(claim for part in self.parts for claim in part.claims)

    @property
    def by_hand(self) -> tuple[str, ...]:
        """The steps that the reader must grant, in all parts."""
        return tuple(dict.fromkeys(step for part in self.parts for step in part.by_hand))

    @property
    def statement(self) -> str:
        """The setting and the parts, on one line."""
        parts = (f"({part.label}) {part.text}" for part in self.parts)
        return " ".join([*self.setting.split(), *parts])


@dataclass(frozen=True)
class PartVerdict:
    """The results of one part's checks, and the numbers of its words that stand in none of them.

    `kernel` is "checked" if Coq proved the part in this clone, "recorded" if it did elsewhere, and else "".
    """

    part: Part
    results: tuple[Result, ...]
    untied: tuple[str, ...] = ()
    kernel: str = ""

    @property
    def ok(self) -> bool:
        """Every check passed, and every number of the words stands in a check."""
        return all(result.passed for result in self.results) and not self.untied

    @property
    def tier(self) -> str:
        """ "kernel" if Coq proved the part, here or elsewhere; else the next tier; "none" if it is not ok."""
        return "kernel" if self.ok and self.kernel else self.next_tier

    @property
    def next_tier(self) -> str:
        """The weakest tier among the checks; "tested" if all are cross-checks, "none" if it is not ok."""
        earned = [r.claim.tier for r in self.results if not r.claim.cross_check]
        return weakest(earned or ["tested"]) if self.ok else "none"

    @property
    def hand(self) -> bool:
        """Whether a step other than a sum over atoms is granted; Coq grants none."""
        return self.part.hand and not self.kernel

    @property
    def granted(self) -> tuple[str, ...]:
        """The steps that the reader must grant."""
        return () if self.kernel else self.part.by_hand

    @property
    def earned(self) -> str:
        """The tier, and whether a step is granted or the statement is in words."""
        hand = " + hand" if self.hand else ""
        return f"{self.tier}{hand}{', in words' if self.part.prose else ''}"

    @property
    def here(self) -> PartVerdict:
        """The same without what Coq proved elsewhere."""
        return self if self.kernel == "checked" else replace(self, kernel="")


@dataclass(frozen=True)
class Verdict:
    """The results of one theorem's parts and false neighbours."""

    parts: tuple[PartVerdict, ...]
    false_neighbours: tuple[Result, ...]
    setting: tuple[str, ...] = ()

    @property
    def untied(self) -> list[str]:
        """Numbers of the words that stand in no check, and where."""
        places = [("setting", self.setting)]
        places += [(f"({part.part.label})", part.untied) for part in self.parts]
        return [
            f"{place}: {number} stands in no check"
            for place, numbers in places
            for number in numbers
        ]

    @property
    def checks(self) -> tuple[Result, ...]:
        """The results of all parts."""
        return tuple(result for part in self.parts for result in part.results)

    @property
    def ok(self) -> bool:
        """Every check passed, every false neighbour was refused, and every number stands in a check."""
        refused = all(result.refused for result in self.false_neighbours)
        return refused and not self.untied and all(part.ok for part in self.parts)

    @property
    def tier(self) -> str:
        """The weakest tier of a part, or "none" if the theorem is not ok."""
        return weakest(part.tier for part in self.parts) if self.ok else "none"

    @property
    def hand(self) -> bool:
        """Whether a part grants a step other than a sum over atoms."""
        return any(part.hand for part in self.parts)

    @property
    def here(self) -> Verdict:
        """The same without what Coq proved elsewhere."""
        return replace(self, parts=tuple(part.here for part in self.parts))

    @property
    def prose(self) -> bool:
        """Whether a part is in words that nothing but the reader ties to its checks."""
        return any(part.part.prose for part in self.parts)

    @property
    def seconds(self) -> float:
        """Time spent on all claims."""
        return sum(r.seconds for r in (*self.checks, *self.false_neighbours))


def weakest(tiers: Iterable[str]) -> str:
    """Return the weakest of the tiers ("none" is weaker than all).

    >>> weakest(["symbolic", "tested", "certified"])
    'tested'
    """
    return max(tiers, key=(*TIERS, "none").index)


def decide(claim: Claim) -> Result:
    """Decide one claim; a claim that raises has the verdict "raised"."""
    start = time.perf_counter()
    try:
        outcome = claim.decide()
    except Exception as error:  # whatever a check does, the ledger goes on and says so
        outcome = Outcome("raised", f"{type(error).__name__}: {error}")
    return Result(claim, outcome, time.perf_counter() - start)


def judge(part: Part, kernel: str = "") -> PartVerdict:
    """Decide every check of a part, and look for each number of its words in them."""
    untied = ties.untied(part.words, part.claims)
    return PartVerdict(part, tuple(map(decide, part.claims)), tuple(untied), kernel)


def run(theorem: Theorem, kernel: Mapping[str, str] | None = None) -> Verdict:
    """Decide every check of every part, and every false neighbour.

    Args:
        theorem: the theorem.
        kernel: label of a part that Coq proved → "checked" or "recorded"; none by default.
    """
    neighbours = map(decide, theorem.false_neighbours)
    setting = ties.untied(theorem.setting, theorem.checks)
    parts = tuple(judge(part, (kernel or {}).get(part.label, "")) for part in theorem.parts)
    return Verdict(parts, tuple(neighbours), tuple(setting))


def noticed(theorem: Theorem, mutant: Mutant) -> bool:
    """Tell whether a cross-check of the theorem refutes the wrong library, rather than raise."""
    with mutant.installed():
        return any(
            decide(claim).outcome.verdict == "refuted"
            for claim in theorem.checks
            if claim.cross_check
        )
