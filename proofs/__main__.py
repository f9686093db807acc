"""Run the theorems and print the ledger: `python -m proofs [SLUG] [--json] [--write [FILE]]`."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = {"sympy": "sympy", "flint": "python-flint", "hypothesis": "hypothesis", "tqdm": "tqdm"}
PAGE = Path("docs/THEOREMS.md")


def table(entries: list) -> str:
    """Return the ledger: a row for each theorem, and beneath it what went wrong."""
    width = max((len(e.slug) for e in entries), default=7)
    lines = [
        f"{'theorem':{width}}  {'tier':9}  {'needs':>5}  {'seconds':>7}  ok   title ← rests on"
    ]
    for e in entries:
        needs = len(e.theorem.assumptions) if e.theorem else 0
        title = e.theorem.title if e.theorem else ""
        rests = f" ← {', '.join(e.rests_on)}" if e.rests_on else ""
        lines.append(
            f"{e.slug:{width}}  {e.tier:9}  {needs:5d}  {e.seconds:7.2f}  {'yes' if e.ok else 'NO':3}  {title}{rests}"
        )
        lines += [f"  ! {problem}" for problem in e.problems]
    return "\n".join(lines)


def summary(entries: list, seconds: float) -> str:
    """Return the last line: how many theorems have which tier."""
    tiers = Counter(e.tier for e in entries)
    failed = f", {tiers['none']} NOT OK" if tiers["none"] else ""
    counted = (
        f"{tiers['symbolic']} symbolic, {tiers['certified']} certified, {tiers['tested']} tested"
    )
    return f"{len(entries)} theorems: {counted}{failed}; {seconds:.1f} s"


def page(entry) -> str:
    """Return one theorem in full: statement, assumptions, proof, claims with their outcomes, reference."""
    t, v = entry.theorem, entry.verdict
    lines = [f"{entry.slug} [{entry.tier}]" + (f": {t.title}" if t else "")]

    def section(head: str, *paragraphs: str, bullet: str = "") -> None:
        lines.extend(["", head] if paragraphs else [])
        for text in paragraphs:
            lines.append(
                textwrap.fill(
                    " ".join(text.split()),
                    118,
                    initial_indent=f"  {bullet}",
                    subsequent_indent="    ",
                )
            )

    def told(result, due: bool) -> str:
        c, o = result.claim, result.outcome
        head = f"{'ok' if due else 'NOT OK'} [{'cross-check' if c.cross_check else c.tier}] {c.name}: {o.verdict}"
        witness = f", witness: {o.witness}" if o.witness else ""
        return f"{head}{witness} ({o.detail}; {result.seconds:.2f} s)"

    if t:
        section("Statement", t.statement)
        section("Assumptions", *t.assumptions, bullet="· ")
        section("Proof", t.proof)
        section("Granted by hand", *t.by_hand, bullet="· ")
    if v:
        section("Checks", *(told(r, r.passed) for r in v.checks), bullet="· ")
        section(
            "False neighbours, to be refused",
            *(told(r, r.refused) for r in v.false_neighbours),
            bullet="· ",
        )
    if t:
        section("Uses", *([", ".join(t.uses)] if t.uses else []))
        section("Rests on", *([", ".join(entry.rests_on)] if entry.rests_on else []))
        section("Reference", t.reference)
    section("Not ok", *entry.problems, bullet="! ")
    return "\n".join(lines)


def progress(slugs: list[str]) -> Iterator[str]:
    """Yield the slugs behind a progress bar on stderr."""
    from tqdm import tqdm

    with tqdm(slugs, file=sys.stderr, leave=False, unit="theorem") as bar:
        for slug in bar:
            bar.set_postfix_str(slug)
            yield slug


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0 if all is ok, 1 if a theorem is not, 2 if the command makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs", description="Run the theorems and print the ledger."
    )
    parser.add_argument(
        "slug", nargs="?", help="show one theorem in full (and run what it rests on)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a JSON list, one object for each theorem"
    )
    parser.add_argument(
        "--write",
        nargs="?",
        const=PAGE,
        type=Path,
        metavar="FILE",
        help=f"write all theorems as a page of Markdown (default {PAGE})",
    )
    arguments = parser.parse_args(argv)
    if arguments.write is not None and arguments.slug is not None:
        parser.error("--write: expected no SLUG beside it, since the page holds all theorems")
    if arguments.write is not None and not arguments.write.parent.is_dir():
        parser.error(f"--write: expected a folder that is there, got {arguments.write.parent}")
    start = time.perf_counter()
    missing = [package for module, package in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        print(
            f"proofs: {', '.join(missing)} not installed; pip install --group proofs",
            file=sys.stderr,
        )
        return 2
    with contextlib.redirect_stdout(sys.stderr):  # nothing but the ledger goes to stdout
        from hypothesis.configuration import set_hypothesis_home_dir

        from .ledger import ledger, load

        set_hypothesis_home_dir(os.devnull)  # it writes nothing to disk
        theorems = load()
        if arguments.slug is not None and arguments.slug not in theorems:
            print(
                f"proofs: no theorem {arguments.slug!r}; there are: {', '.join(theorems)}",
                file=sys.stderr,
            )
            return 2
        entries = ledger(theorems, None if arguments.slug is None else [arguments.slug], progress)
    shown = [e for e in entries if arguments.slug in (None, e.slug)]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="replace"
        )  # a terminal without Greek letters is no reason to fail
    if arguments.json:
        print(json.dumps([e.as_json() for e in shown], allow_nan=False, indent=1))
    elif arguments.slug is not None:
        print(page(shown[0]))
    else:
        print(table(entries), summary(entries, time.perf_counter() - start), sep="\n")
    ok = bool(shown) and all(e.ok for e in shown)
    if arguments.write is not None and ok:
        from . import book

        arguments.write.write_text(book.page(entries), encoding="utf-8")
        print(f"wrote {arguments.write}", file=sys.stderr)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
