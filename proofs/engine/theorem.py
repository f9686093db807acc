"""A theorem as a value: what it says, the checks that earn its tier, and the false neighbours it must refuse.

A claim is anything with a name, a tier and `decide() -> Outcome`. The tier belongs to the kind of claim and not to
its author: `symbolic.Identity` and `symbolic.Sign` are symbolic, `certify.Certified` is certified, `tested.Tested` is
tested. A theorem has the tier of its weakest check; cross-checks, which compare the library with the theorem, do not
count towards it but can fail it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from .mutants import Mutant

TIERS = ("symbolic", "certified", "tested")
"""Strongest first."""

PASSED = {"symbolic": "proved", "certified": "proved", "tested": "survived"}
"""The one verdict that earns each tier; the others are "refuted", "undecided" and "raised"."""


@dataclass(frozen=True)
class Outcome:
    """What a claim's machinery found: a verdict, how it was reached, and for a refutation where the claim fails."""

    verdict: str
    detail: str
    witness: str = ""


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

    def decide(self) -> Outcome:
        """Prove, refute, or leave undecided."""
        ...


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


@dataclass(frozen=True, kw_only=True)
class Theorem:
    """A theorem in the fixed shape of this project.

    Attributes:
        slug: permanent name, equal to the module's.
        title: one line.
        statement: the claim, with every symbol it uses explained.
        formula: its centre as LaTeX, one displayed line.
        assumptions: what it needs, one by one.
        proof: the idea, step by step.
        by_hand: steps that no check covers and the reader must grant (textbook facts, passages to general n).
        checks: claims that together establish the statement; the weakest of them gives the tier.
        false_neighbours: claims one change away from the theorem, which the same machinery must refute.
        mutants: wrong libraries, each of which a cross-check must refute.
        uses: slugs of theorems that it rests on.
        about: public names of `mi_estimators` that it is a theorem about.
        reference: where it comes from.
    """

    slug: str
    title: str
    statement: str
    formula: str
    assumptions: tuple[str, ...]
    proof: str
    by_hand: tuple[str, ...] = ()
    checks: tuple[Claim, ...]
    false_neighbours: tuple[Claim, ...]
    mutants: tuple[Mutant, ...]
    uses: tuple[str, ...] = ()
    about: tuple[str, ...]
    reference: str

    def __post_init__(self) -> None:
        optional = {"by_hand", "uses"}
        for name in (field.name for field in fields(self) if field.name not in optional):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected something, got {getattr(self, name)!r}")
        if all(claim.cross_check for claim in self.checks):
            raise ValueError(
                "checks: expected at least one that is not a cross-check of the library"
            )
        for name in ("checks", "false_neighbours"):
            names = [claim.name for claim in getattr(self, name)]
            if len(set(names)) < len(names):
                raise ValueError(f"{name}: expected distinct names, got {sorted(names)}")


@dataclass(frozen=True)
class Verdict:
    """The results of one theorem's checks and false neighbours."""

    checks: tuple[Result, ...]
    false_neighbours: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Every check passed and every false neighbour was refused."""
        return all(r.passed for r in self.checks) and all(r.refused for r in self.false_neighbours)

    @property
    def tier(self) -> str:
        """The weakest tier among the checks that count, or "none" if the theorem is not ok."""
        return (
            weakest(r.claim.tier for r in self.checks if not r.claim.cross_check)
            if self.ok
            else "none"
        )

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


def run(theorem: Theorem) -> Verdict:
    """Decide every check and every false neighbour of a theorem."""
    return Verdict(tuple(map(decide, theorem.checks)), tuple(map(decide, theorem.false_neighbours)))


def noticed(theorem: Theorem, mutant: Mutant) -> bool:
    """Tell whether a cross-check of the theorem refutes the wrong library, rather than raise."""
    with mutant.installed():
        return any(
            decide(claim).outcome.verdict == "refuted"
            for claim in theorem.checks
            if claim.cross_check
        )
