"""Check the theorems and print the ledger: `python -m proofs --help`."""

from __future__ import annotations

import argparse
import contextlib
import difflib
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

from .kernel.record import NOT_HERE
from .theorems import modules

_PACKAGES = ("sympy", "flint", "hypothesis")
PAGE = Path("docs/THEOREMS.md")
NOTATION = "notation.md"  # beside it

_MORE = """\
tiers of a part, strongest first; a theorem has that of its weakest part and of what it rests on:
  kernel      a proof that Coq checked: in this clone, by make kernel, or as recorded ("not re-checked here")
  symbolic    identities and signs, for all values of the symbols
  certified   inequalities, by ball arithmetic on a box
  tested      a search found no counterexample
  + hand      a step other than a sum over atoms is granted to the reader
  in words    that a part's words say what its checks check is left to the reader

exit code: 0 if every theorem holds, 1 if one does not, 2 if the command line is invalid

examples:
  python -m proofs              check all theorems, in about a minute
  python -m proofs mio_anchor   show one theorem and the outcome of each check
"""


def table(entries: list) -> str:
    """Return the ledger: a row for each theorem, and beneath it what failed."""
    width = max((len(e.slug) for e in entries), default=7)
    lines = [f"{'theorem':{width}}  {'tier':27}  parts  seconds  holds  what it says"]
    for e in entries:
        count = len(e.theorem.parts) if e.theorem else 0
        title = e.theorem.title if e.theorem else ""
        rests = f" (rests on {', '.join(e.rests_on)})" if e.rests_on else ""
        holds = "yes" if e.ok else "NO"
        lines.append(
            f"{e.slug:{width}}  {e.earned + e.note:27}  {count:5d}  {e.seconds:7.2f}  {holds:5}  {title}{rests}"
        )
        lines += [f"  ! {problem}" for problem in e.problems]

    return "\n".join(lines)


def summary(entries: list, seconds: float) -> str:
    """Return the last line: how many theorems have which tier."""
    tiers = Counter(e.tier for e in entries)
    noted = NOT_HERE if any(e.tier == "kernel" and e.note for e in entries) else ""
    kernel = (
        [f"{tiers['kernel']} kernel" + (f" ({noted})" if noted else "")] if tiers["kernel"] else []
    )
    counts = [*kernel, *(f"{tiers[tier]} {tier}" for tier in ("symbolic", "certified", "tested"))]
    failed = [f"{tiers['none']} FAILED"] if tiers["none"] else []
    hand = f"{sum(e.hand and e.ok for e in entries)} with a step by hand"

    return f"{len(entries)} theorems: {', '.join([*counts, *failed, hand])}; {seconds:.1f} s"


def page(entry) -> str:
    """Return one theorem in full: what it says, and the outcome of each check."""
    theorem, verdict = entry.theorem, entry.verdict
    lines = [f"{entry.slug} [{entry.earned}]" + (f": {theorem.title}" if theorem else "")]

    def section(head: str, paragraphs, bullet: str = "") -> None:
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

    def line(result, due: bool) -> str:
        head = "ok" if due else "FAILED"
        return f"{head} [{result.kind}] {result}; {result.seconds:.2f} s"

    if theorem:
        section("What it is for", [theorem.purpose])
        section("Setting", [theorem.setting])
        section("Assumptions", theorem.assumptions, "· ")

    for part in verdict.parts if verdict else ():
        note = f", {NOT_HERE}" if part.tier != part.here.tier else ""
        section(f"Part ({part.part.label}) [{part.earned}{note}]", [part.part.text])
        section("  In Coq", [part.part.kernel] if part.part.kernel else [])
        section("  Checks", [line(r, r.passed) for r in part.results], "· ")
        section("  Granted to the reader", part.granted, "· ")

    if theorem:
        section("Proof", [theorem.proof])
        numbers = theorem.example
        section("Example", [numbers.sentence, numbers.call(theorem.slug)])

    if verdict:
        neighbours = [line(r, r.refused) for r in verdict.false_neighbours]
        section("False neighbours: each must be refuted", neighbours, "· ")

    section("Rests on", [", ".join(entry.rests_on)] if entry.rests_on else [])
    if theorem:
        section("About", [", ".join(f"mi.{name}" for name in theorem.about)])
        section("Reference", [theorem.reference])

    section("What failed", entry.problems, "! ")
    return "\n".join(lines)


def progress(slugs: list[str]) -> Iterator[str]:
    """Yield the slugs behind a progress bar on stderr."""
    from tqdm import tqdm

    with tqdm(slugs, "checking", file=sys.stderr, leave=False, unit="theorem") as bar:
        for slug in bar:
            bar.set_postfix_str(slug)
            yield slug


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments; stop with exit code 2 and a message where they make no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs",
        description="Check every theorem by machine and print one line for each.",
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    parser.add_argument(
        "slugs",
        nargs="*",
        metavar="SLUG",
        help="check these theorems and those they depend on, and show them in full",
    )

    parser.add_argument(
        "--json", action="store_true", help="print a JSON list with one object per theorem"
    )
    parser.add_argument(
        "--write",
        nargs="?",
        const=PAGE,
        type=Path,
        metavar="FILE",
        help=f"write all theorems to a page of Markdown (default: {PAGE}), and the notation beside it",
    )

    arguments = parser.parse_args(argv)

    slugs, file = arguments.slugs, arguments.write
    if file is not None and slugs:
        parser.error(f"--write: expected no SLUG, since it holds all theorems, got {slugs[0]}")
    if file is not None and not file.parent.is_dir():
        parser.error(f"--write: expected a folder that exists, got {file.parent}")

    for slug in set(slugs) - set(modules()):
        near = difflib.get_close_matches(slug, modules(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`python -m proofs` lists all"
        parser.error(f"SLUG: expected the name of a theorem, got {slug!r}; {hint}")

    missing = [module for module in _PACKAGES if find_spec(module) is None]
    if missing:
        parser.error(f"{', '.join(missing)}: not installed; run pip install --group proofs")

    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0 if every theorem holds and 1 if one does not."""
    arguments = parse(argv)
    start = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):  # nothing but the ledger goes to stdout
        from hypothesis.configuration import set_hypothesis_home_dir

        from .ledger import ledger, load

        set_hypothesis_home_dir(os.devnull)  # it writes nothing to disk
        entries = ledger(load(), arguments.slugs or None, progress)

    shown = [e for e in entries if e.slug in (arguments.slugs or [e.slug])]

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without Greek letters is no reason to fail.
        sys.stdout.reconfigure(errors="replace")

    if arguments.json:
        print(json.dumps([e.as_json() for e in shown], allow_nan=False, indent=1))
    elif arguments.slugs:
        print(*map(page, shown), sep="\n\n")
    else:
        print(table(entries), summary(entries, time.perf_counter() - start), sep="\n")

    ok = bool(shown) and all(e.ok for e in shown)
    if arguments.write is not None and ok:
        from . import book, notation

        arguments.write.write_text(book.page(entries), encoding="utf-8")
        (arguments.write.parent / NOTATION).write_text(notation.page(), encoding="utf-8")
        print(f"wrote {arguments.write}", file=sys.stderr)

    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
