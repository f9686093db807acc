"""Build the kernel's proofs and compare them with what is recorded: `python -m proofs.kernel --help`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from ..ledger import load as load_theorems
from .build import Broken, Found, everything, version
from .record import CHECKED, RECORD
from .record import load as load_record

VOLATILE = ("coq",)
"""What may differ between two machines without a change in what was proved."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m proofs.kernel",
        description="Compile the Coq proofs, hold them against the theorem objects, prove the goals.",
        epilog="exit code: 0 if Coq proves what is recorded, 1 if not, 2 if there is no coqc",
    )

    parser.add_argument(
        "--record", action="store_true", help=f"write what was proved to {RECORD.name}"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="with --record: also try the goals that did not close the last time (slow)",
    )

    parser.add_argument("--jobs", type=int, default=2, help="files that are compiled at a time")
    return parser.parse_args(argv)


def differences(found: dict[str, Any], recorded: dict[str, Any]) -> list[str]:
    """Return where a run and the record differ, one line each."""
    lines = []
    for field in found.keys() - set(VOLATILE):
        ours, theirs = found[field], recorded.get(field)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            keys = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
            lines.append(f"{field}: {', '.join(keys)}")
        else:
            lines.append(f"{field}: found {ours}, recorded {theirs}")

    return sorted(lines)


def write(found: Found) -> None:
    """Write the record."""
    text = json.dumps(asdict(found), indent=1, ensure_ascii=False, sort_keys=True)
    RECORD.write_text(f"{text}\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0 if Coq proves what is recorded."""
    arguments = parse(argv)
    if not version():
        print(
            "coqc: not found; install coq, libcoq-coquelicot and libcoq-interval", file=sys.stderr
        )
        return 2

    loaded = load_theorems()
    broken = {slug: reason for slug, reason in loaded.items() if isinstance(reason, str)}
    if broken:
        print(f"theorems that do not load: {broken}", file=sys.stderr)
        return 1

    theorems = {slug: theorem for slug, theorem in loaded.items() if not isinstance(theorem, str)}
    recorded = load_record()
    try:
        if arguments.record:
            found = asdict(everything(theorems, recorded, arguments.again, arguments.jobs, write))
        else:
            found = asdict(everything(theorems, recorded, jobs=arguments.jobs))
    except Broken as error:
        print(f"kernel: {error}", file=sys.stderr)
        return 1

    whole = sum(
        set(found["parts"].get(s, ())) == {p.label for p in t.parts} for s, t in theorems.items()
    )
    counted = ", ".join(f"{kind}: {done} of {of}" for kind, (done, of) in found["counts"].items())
    print(
        f"{whole} theorems whole by hand; by machine {counted}; axioms: {', '.join(found['axioms'])}"
    )

    if arguments.record:
        print(f"wrote {RECORD}")
    elif lines := differences(found, recorded):
        print("\n".join(["not what is recorded:", *lines]), file=sys.stderr)
        return 1

    CHECKED.write_text(RECORD.read_text(encoding="utf-8"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
