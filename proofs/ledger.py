"""The ledger: every theorem of the package, in the order of what rests on what, with the tier that it earned."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module

from .engine import render
from .engine.points import positive_logarithms
from .engine.theorem import PartVerdict, Result, Theorem, Verdict, run, weakest
from .kernel import record
from .kernel.record import NOT_HERE
from .theorems import modules


@dataclass(frozen=True)
class Entry:
    """A row of the ledger.

    Attributes:
        slug: name of the theorem.
        theorem: the theorem, or None if its module does not give one.
        verdict: results of its claims, or None if they were not run.
        rests_on: slugs of all theorems that it uses, directly or through others.
        tier: the weakest tier of its own parts and of what it rests on; "none" if it is not ok. What Coq proved rests
            on nothing else.
        here: the same without what Coq proved elsewhere.
        hand: whether one of its parts, or what it rests on, grants a step other than a sum over atoms.
        error: why it is not ok although no claim of its own failed, or "".
    """

    slug: str
    theorem: Theorem | None = None
    verdict: Verdict | None = None
    rests_on: tuple[str, ...] = ()
    tier: str = "none"
    here: str = "none"
    hand: bool = False
    hand_here: bool = False
    error: str = ""

    @property
    def earned(self) -> str:
        """The tier, and whether a step is granted or a statement is in words."""
        hand = " + hand" if self.hand else ""
        words = ", in words" if self.verdict and self.verdict.prose else ""
        return f"{self.tier}{hand}{words}" if self.ok else self.tier

    @property
    def note(self) -> str:
        """That its tier is a recorded one, which was not checked in this clone."""
        return f", {NOT_HERE}" if self.tier != self.here else ""

    @property
    def ok(self) -> bool:
        """Every claim had its due verdict, and so for all theorems that this one rests on."""
        return self.tier != "none"

    @property
    def seconds(self) -> float:
        """Time spent on its own claims."""
        return self.verdict.seconds if self.verdict else 0.0

    @property
    def problems(self) -> list[str]:
        """What failed, one line each."""
        verdict = self.verdict or Verdict((), ())
        failed = list(verdict.untied)
        failed += [f"check failed: {r}" for r in verdict.checks if not r.passed]
        accepted = [r for r in verdict.false_neighbours if not r.refused]
        failed += [f"false neighbour not refuted: {r}" for r in accepted]
        return [self.error, *failed] if self.error else failed

    def as_json(self) -> dict[str, object]:
        """Return the row as plain data."""
        verdict = self.verdict or Verdict((), ())
        texts = ("statement", "title", "proof", "reference")
        lists = ("assumptions", "by_hand", "uses", "about")
        return {
            "slug": self.slug,
            "tier": self.here,
            "hand": self.hand_here,
            "recorded": self.tier,
            "prose": bool(self.verdict and self.verdict.prose),
            "ok": self.ok,
            "parts": list(map(_part, verdict.parts)),
            "seconds": round(self.seconds, 3),
            **{name: " ".join(getattr(self.theorem, name, "").split()) for name in texts},
            **{name: list(getattr(self.theorem, name, ())) for name in lists},
            "rests_on": list(self.rests_on),
            "checks": list(map(_as_json, verdict.checks)),
            "false_neighbours": list(map(_as_json, verdict.false_neighbours)),
            "problems": self.problems,
        }


def _part(verdict: PartVerdict) -> dict[str, object]:
    part, here = verdict.part, verdict.here
    return {
        "name": part.label,
        "tier": here.tier,
        "hand": here.hand,
        "ok": verdict.ok,
        "kernel": {"checked": "checked here", "recorded": f"recorded, {NOT_HERE}"}.get(
            verdict.kernel, ""
        ),
        "statement": part.text,
        "prose": part.prose,
        "by_hand": list(here.granted),
        "coq": " ".join(part.kernel.split()),
        "checks": [claim.name for claim in part.claims],
    }


def _as_json(result: Result) -> dict[str, object]:
    claim = {name: getattr(result.claim, name) for name in ("name", "tier", "cross_check")}
    shown = render.claim(result.claim.shown)
    return {
        **claim,
        "shown": shown,
        **vars(result.outcome),
        "seconds": round(result.seconds, 3),
    }


def load(package: str = "proofs.theorems") -> dict[str, Theorem | str]:
    """Import every module of the package; return each slug's theorem, or the reason why there is none."""
    theorems: dict[str, Theorem | str] = {}
    for slug, module in sorted(modules(package).items()):
        try:
            with positive_logarithms():
                theorem = import_module(module).THEOREM
            right = theorem.slug == slug
            theorems[slug] = theorem if right else f"slug: expected {slug!r}, got {theorem.slug!r}"
        except Exception as error:  # a module that does not import is a row that does not hold
            theorems[slug] = f"{type(error).__name__}: {error}"

    return theorems


def rests_on(
    slug: str, uses: Mapping[str, Iterable[str]], path: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return all that a theorem rests on, directly or through others, sorted.

    Raises:
        ValueError: a slug that does not exist, or a cycle.

    >>> rests_on("c", {"a": (), "b": ("a",), "c": ("b",)})
    ('a', 'b')
    """
    if slug in path:
        raise ValueError(f"uses: cycle {' → '.join([*path[path.index(slug) :], slug])}")
    if slug not in uses:
        raise ValueError(f"uses: {path[-1] if path else ''} uses {slug!r}, which does not exist")
    below = {name for used in uses[slug] for name in (used, *rests_on(used, uses, (*path, slug)))}
    return tuple(sorted(below))


def ledger(
    theorems: Mapping[str, Theorem | str],
    slugs: Iterable[str] | None = None,
    progress: Callable[[list[str]], Iterable[str]] = iter,
) -> list[Entry]:
    """Run the theorems with these slugs (all by default) and what they rest on; what is rested on comes first.

    Args:
        theorems: slug → theorem or the reason why there is none, as from `load`.
        slugs: which ones to run.
        progress: wraps the list of slugs while they are run, as tqdm does.
    """
    below, broken = _rested_on(theorems)
    wanted = set(theorems if slugs is None else slugs)
    wanted |= {name for slug in wanted for name in below[slug]}
    entries: dict[str, Entry] = {}
    for slug in progress(sorted(wanted, key=lambda s: (len(below[s]), s))):
        item = theorems[slug]
        theorem = None if isinstance(item, str) else item
        if theorem is None or slug in broken:
            entries[slug] = Entry(slug, theorem, error=broken[slug])
            continue

        beneath = [entries[name] for name in below[slug]]
        entries[slug] = _entry(slug, theorem, run(theorem, record.status(theorem)), beneath)

    return list(entries.values())


def _rested_on(
    theorems: Mapping[str, Theorem | str],
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return what each theorem rests on, and why some cannot be run."""
    uses = {slug: () if isinstance(t, str) else t.uses for slug, t in theorems.items()}
    below: dict[str, tuple[str, ...]] = {}
    broken = {slug: reason for slug, reason in theorems.items() if isinstance(reason, str)}
    for slug in theorems:
        try:
            below[slug] = rests_on(slug, uses)
        except ValueError as error:
            below[slug], broken[slug] = (), str(error)

    return below, broken


def _entry(slug: str, theorem: Theorem, verdict: Verdict, below: list[Entry]) -> Entry:
    """Return the entry of a theorem that was run; `below` are those it rests on."""
    fallen = [entry.slug for entry in below if not entry.ok]
    error = f"rests on {', '.join(fallen)}, which failed" if fallen else ""

    tiers: list[str] = []
    hands: list[bool] = []
    for seen, tier, hand in ((verdict, "tier", "hand"), (verdict.here, "here", "hand_here")):
        beneath = [] if seen.tier == "kernel" else below  # what Coq proved rests on nothing else
        tiers.append(weakest([seen.tier, *(getattr(entry, tier) for entry in beneath)]))
        hands.append(seen.hand or any(getattr(entry, hand) for entry in beneath))

    if fallen:
        tiers = ["none", "none"]
    names = tuple(entry.slug for entry in below)
    return Entry(slug, theorem, verdict, names, tiers[0], tiers[1], hands[0], hands[1], error=error)
