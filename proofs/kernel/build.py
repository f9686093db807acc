"""Compile the Coq proofs, hold them against the theorem objects, and collect what was proved.

Everything is compiled in build/kernel, file by file; a file whose text and whose needs have not changed is not compiled
again. Three ties stop drift: the gate (a part's Coq statement, as text, is proved by the theorem of its name), the
words (sympy's vocabulary equals Coq's), and the goals (claims, printed from the Python objects, with `Qed`).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from ..engine.theorem import Theorem
from . import vocabulary
from .goals import KINDS, Goal, claims, goal
from .record import BUILD, digest, file_of, needs, sources, words_of

AXIOMS = ("sig_not_dec", "sig_forall_dec", "functional_extensionality_dep", "classic")
"""The axioms of the classical reals; a theorem that rests on another one fails."""

_AXIOM = re.compile(r"^([\w.']+)\s*$|^([\w.']+) :", re.MULTILINE)


class Broken(Exception):
    """A proof does not compile, or does not prove what the theorem object says."""


@dataclass
class Found:
    """What a run proved: hashes of sources, parts by slug, goals by slug, what did not transfer, and axioms."""

    sources: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    goals: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, dict[str, str]] = field(default_factory=dict)
    counts: dict[str, list[int]] = field(default_factory=dict)
    axioms: list[str] = field(default_factory=list)
    coq: str = ""


def version() -> str:
    """Return Coq's version, or "" if there is no coqc."""
    if shutil.which("coqc") is None:
        return ""
    shown = subprocess.run(["coqc", "--print-version"], capture_output=True, text=True, check=True)
    return shown.stdout.split()[0]


def coqc(name: str, seconds: int = 300) -> str:
    """Compile one file of the build folder and return what it printed.

    Raises:
        Broken: it does not compile.
    """
    path = f"{name.replace('.', '/')}.v"
    command = ["coqc", "-q", "-w", "none", "-R", ".", "MI", path]
    try:
        run = subprocess.run(
            command, cwd=BUILD, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{path}: not done after {seconds} s") from error

    if run.returncode:
        raise Broken(f"{path}: {run.stderr.strip()}")

    return run.stdout


class Folder:
    """The build folder: writes a file and compiles it unless the same text on the same needs is compiled already."""

    def __init__(self) -> None:
        self.lock = Lock()
        BUILD.mkdir(parents=True, exist_ok=True)
        self.stamps = BUILD / "stamps.json"
        self.done: dict[str, dict[str, str]] = (
            json.loads(self.stamps.read_text()) if self.stamps.exists() else {}
        )

    def compiled(self, name: str, text: str, seconds: int = 300) -> str:
        """Return what compiling the file prints."""
        path = BUILD / f"{name.replace('.', '/')}.v"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        key = digest(" ".join([text, *(self.done.get(n, {}).get("key", "") for n in needs(path))]))
        if self.done.get(name, {}).get("key") != key or not path.with_suffix(".vo").exists():
            self.keep(name, key, coqc(name, seconds))
        return self.done[name]["printed"]

    def keep(self, name: str, key: str, printed: str) -> None:
        """Remember what came of a text."""
        with self.lock:
            self.done[name] = {"key": key, "printed": printed}
            self.stamps.write_text(json.dumps(self.done), encoding="utf-8")

    def tried(self, slug: str, goals: list[Goal]) -> dict[str, str]:
        """Return the goals that do not close, with Coq's reasons; what was tried before is not tried again."""
        name, key = (
            f"tried.{slug}",
            digest(
                " ".join([g.statement + g.script for g in goals] + [self.done["generated"]["key"]])
            ),
        )
        if self.done.get(name, {}).get("key") != key:
            self.keep(name, key, json.dumps(open_goals(goals)))

        return json.loads(self.done[name]["printed"])


def gate(theorem: Theorem) -> str:
    """Return the Coq file that proves each part's statement, as the object has it, by the theorem of its name."""
    name = file_of(theorem)
    lines = [line for line in sources()[name].read_text("utf-8").splitlines() if "Require" in line]
    lines.append(f"From MI Require Import {name}.")
    for part in theorem.parts:
        if part.kernel:
            proof = f"{theorem.slug}_{part.label}"
            lines += [
                f"Definition stated_{proof} : Prop := {part.kernel}.",
                f"Goal stated_{proof}. exact @{proof}. Qed.",
                f"Print Assumptions {proof}.",
            ]

    return "\n".join(lines) + "\n"


def axioms(printed: str) -> set[str]:
    """Return the axioms that `Print Assumptions` printed.

    >>> sorted(axioms("Axioms:\\nR.sig_not_dec : forall P, P\\nfoo\\n  : nat\\n"))
    ['R.sig_not_dec', 'foo']
    """
    names = {a or b for a, b in _AXIOM.findall(printed)}
    return names - {"Axioms", "Axioms:"}


def refuse(slug: str, names: Iterable[str]) -> None:
    """Raise if one of the axioms is not allowed."""
    others = sorted(n for n in names if n.rpartition(".")[2] not in AXIOMS)
    if others:
        raise Broken(f"{slug}: rests on {', '.join(others)}")


def by_hand(folder: Folder, theorems: Mapping[str, Theorem], found: Found, jobs: int) -> None:
    """Compile the proofs by hand, then the gate of every theorem that has one."""
    for name, path in sources().items():
        text = path.read_text("utf-8")
        folder.compiled(name, text)
        found.sources[name] = digest(text)
        print(f"compiled {name}", flush=True)

    stated = {
        slug: [part for part in theorem.parts if part.kernel] for slug, theorem in theorems.items()
    }
    slugs = [slug for slug, parts in stated.items() if parts]

    for slug in slugs:
        if not file_of(theorems[slug]):
            raise Broken(f"{slug}: a Coq statement, and no file {slug}.v")

    def gated(slug: str) -> str:
        return folder.compiled(f"gate.{slug}", gate(theorems[slug]))

    with ThreadPoolExecutor(jobs) as pool:
        for slug, printed in zip(slugs, pool.map(gated, slugs), strict=True):
            names = axioms(printed)
            refuse(slug, names)
            found.axioms = sorted({*found.axioms, *(n.rpartition(".")[2] for n in names)})
            found.parts[slug] = {
                part.label: {
                    "statement": digest(part.kernel),
                    "words": words_of(theorems[slug], part),
                }
                for part in stated[slug]
            }
            print(f"gate {slug}: {', '.join(f'({p.label})' for p in stated[slug])}", flush=True)


def proofs_of(goals: list[Goal]) -> str:
    """Return a Coq file that proves goals, and prints the axioms that they rest on."""
    lemmas = [
        f"Lemma goal_{i} : {g.statement}.\nProof.\n  {g.script}\nQed.\n"
        for i, g in enumerate(goals)
    ]
    together = ", ".join(f"goal_{i}" for i in range(len(goals)))
    last = f"Definition goals := (0, {together}).\nPrint Assumptions goals.\n"
    return "\n".join(["From MI Require Import generated.", *lemmas, last])


def open_goals(goals: list[Goal], seconds: int = 30) -> dict[str, str]:
    """Return the names of the goals that do not close, with the first words of Coq's reason.

    Coq's toplevel goes on after an error, so one pass finds them all.
    """
    blocks = ["Set Silent.", "From MI Require Import generated.", f"Set Default Timeout {seconds}."]
    for number, g in enumerate(goals):
        blocks += [
            f'Goal True. idtac "BEGIN {number}". exact I. Qed.',
            f"Goal {g.statement}.\nProof.\n  {g.script}\nQed.",
            "Abort All.",
        ]

    run = subprocess.run(
        ["coqtop", "-q", "-w", "none", "-R", ".", "MI"],
        cwd=BUILD,
        input="\n".join(blocks),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    pieces = iter(re.split(r"BEGIN (\d+)", run.stdout)[1:])
    reasons: dict[str, str] = {}
    for number, printed in zip(pieces, pieces, strict=True):
        if failure := re.search(r"Error:\s*(.{1,80})", printed.replace("\n", " ")):
            reasons[goals[int(number)].name] = " ".join(failure[1].split())

    return reasons


@dataclass
class Transfer:
    """The goals of one theorem, the claims that are none and why, and the axioms that the goals rest on."""

    goals: list[Goal] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


def transfer(
    folder: Folder, slug: str, theorem: Theorem, known: Mapping[str, str], again: bool
) -> Transfer:
    """Prove the goals of one theorem, those apart that are known not to close."""
    found = Transfer()
    for claim in claims(theorem):
        if claim.name in known:
            found.missing[claim.name] = known[claim.name]
            continue
        try:
            found.goals.append(goal(slug, claim))
        except Exception as error:  # it is not transferred, and the record says why
            found.missing[claim.name] = f"no certificate: {type(error).__name__}: {error}"[:100]

    if again:  # the toplevel checks each `Qed`, and goes on after one that does not close
        failed = folder.tried(slug, found.goals)
        found.missing |= failed
        found.goals = [g for g in found.goals if g.name not in failed]
    elif found.goals:
        found.names = axioms(folder.compiled(f"goals.{slug}", proofs_of(found.goals), 900))

    return found


def transferred(
    folder: Folder,
    theorems: Mapping[str, Theorem],
    found: Found,
    recorded: Mapping[str, Any],
    again: bool,
    jobs: int,
    save: Callable[[Found], None],
) -> None:
    """Prove the goals of all theorems: every one with `again`, else those that the record says close."""
    counts: Counter[tuple[str, bool]] = Counter()

    def prove(slug: str) -> Transfer:
        known = {} if again else recorded.get("missing", {}).get(slug, {})
        return transfer(folder, slug, theorems[slug], known, again)

    with ThreadPoolExecutor(jobs) as pool:
        for slug, done in zip(theorems, pool.map(prove, theorems), strict=True):
            refuse(slug, done.names)
            found.axioms = sorted({*found.axioms, *(n.rpartition(".")[2] for n in done.names)})
            if done.goals:
                found.goals[slug] = {g.name: g.digest for g in done.goals}
            if done.missing:
                found.missing[slug] = done.missing

            for claim in claims(theorems[slug]):
                counts[KINDS[type(claim)], claim.name not in done.missing] += 1
            found.counts = {
                kind: [counts[kind, True], counts[kind, True] + counts[kind, False]]
                for kind in KINDS.values()
            }
            print(f"goals {slug}: {len(done.goals)} of {len(claims(theorems[slug]))}", flush=True)
            save(found)


def everything(
    theorems: Mapping[str, Theorem],
    recorded: Mapping[str, Any],
    again: bool = False,
    jobs: int = 1,
    save: Callable[[Found], None] = lambda found: None,
) -> Found:
    """Compile, gate, compare the words, prove the goals; what is found is saved as it grows.

    Raises:
        Broken: something does not compile, or rests on an axiom that is not allowed.
    """
    folder, found = Folder(), Found(coq=version())
    by_hand(folder, theorems, found, jobs)
    refuse("words", axioms(folder.compiled("gate.vocabulary", vocabulary.text())))
    print("words: sympy's vocabulary is Coq's", flush=True)
    save(found)
    transferred(folder, theorems, found, recorded, again, jobs, save)
    return found
