"""The information between columns of a file: `python -m mi_estimators FILE.csv --x A,B --y C`."""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from . import _validate
from .estimation.labels import is_number, text_of_numbers
from .estimation.tables import refuse_twins

Columns = dict[str, list[str]]

_DECIMAL_COMMA = re.compile(r"\s*[+-]?(\d+|\d*,\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", ".", "-", "?"))
"""What stands for a missing number. Among labels only an empty entry does: "none" may be one."""

NEXT = {
    "ok": "Report the value with its interval.",
    "nothing_found": "Report the upper end of the interval, or test for independence: mi.permutation_test(x, y).",
    "dependent_rows": "Name the rows that belong together: --groups COLUMN, or --groups 50 for blocks of 50 rows.",
    "repeated_rows": "Remove the copies, or name the rows that belong together: --groups COLUMN.",
    "low_ess": "Take more rows, or report the value as a rough one.",
    "ceiling": "Take more rows: these are too few to show so much information. Report the value as a lower bound.",
    "drift": "Train longer: --effort thorough.",
    "overfit": "Take more rows or fewer columns. The interval says how much may be missing.",
    "anchor_misfit": "Train longer: --effort thorough. Report the value as a lower bound.",
    "unfinished": "Train longer: --effort thorough.",
    "disagreement": "Train longer: --effort thorough. Read docs/guides/diagnostics.md on the read-outs.",
}
"""What to do next, by verdict."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; return 0 if the verdict is "ok", 1 if it is another, 2 if the file cannot be read."""
    options = _parser().parse_args(argv)
    try:
        table = read(options.file, _flagged(options))
        for side in sorted({"x", "y"} - set(options.discrete or "")):
            for name in vars(options)[side].split(","):
                _warn_of_text(name, table.get(name, []))
        if options.skip_missing:
            table = complete(table, _named(options, table))
        x, y = (_pick(table, names, flag) for names, flag in ((options.x, "x"), (options.y, "y")))
        groups = _groups(table, options.groups)

        from . import estimate_mi

        estimate = estimate_mi(
            x,
            y,
            groups=groups,
            discrete=options.discrete,
            max_rows=_most_rows(options.max_rows),
            effort=options.effort,
            seed=options.seed,
        )
    except (OSError, UnicodeDecodeError, ValueError) as error:
        print(f"mi_estimators: {error}", file=sys.stderr)
        return 2

    print(estimate)
    print(f"next: {NEXT[estimate.verdict]}")
    return int(estimate.verdict != "ok")


def read(file: Path, named: Collection[str] = ()) -> Columns:
    """Return the columns of a table by the names in its first line; commas, semicolons or tabs separate the fields.

    Where semicolons or tabs do, a column among those named that has decimal commas throughout is returned with points,
    and a line says so.

    Raises:
        ValueError: a file without rows, two columns of one name, or a row with too few or too many fields.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        head = lines.readline()
        delimiter = max(",;\t", key=head.count)
        lines.seek(0)
        names, *rows = [row for row in csv.reader(lines, delimiter=delimiter) if row] or [[]]

    refuse_twins(str(file), filter(None, names))
    for number, row in enumerate(rows, 2):
        if len(row) != len(names):
            raise ValueError(
                f"{file}: expected {len(names)} fields in row {number}, got {len(row)}"
            )

    if not rows:
        raise ValueError(f"{file}: expected a line of column names and rows below, got none")

    table = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    if delimiter != ",":
        table |= {name: _pointed(name, table[name]) for name in named if name in table}
    return table


def _pointed(name: str, texts: list[str]) -> list[str]:
    """Return a column with points for decimal commas, if it has them throughout."""
    present = [text for text in texts if text.strip().lower() not in MISSING]
    commas = [text.strip() for text in present if "," in text]
    if not commas or not all(map(_DECIMAL_COMMA.fullmatch, present)):
        return texts

    number = commas[0].replace(",", ".")
    print(f"mi_estimators: {name}: {commas[0]} was read as {number}, and so on", file=sys.stderr)
    return [text.replace(",", ".") for text in texts]


def _warn_of_text(name: str, texts: list[str]) -> None:
    """Warn of a column that is mostly numbers but is read as labels."""
    present = [row for row, text in enumerate(texts) if text.strip().lower() not in MISSING]
    spelt = text_of_numbers(np.array([texts[row] for row in present], str)) if present else None
    count, stray = spelt or (0, None)
    if stray is None:
        return

    row = present[stray]
    print(
        f"mi_estimators: {name}: read as labels, since {texts[row]!r} in row {row + 2} is no number, though {count} of"
        f" {len(present)} entries look like numbers. Write it as one, with a decimal point, or leave it empty and pass"
        " --skip_missing",
        file=sys.stderr,
    )


def complete(table: Columns, names: list[str]) -> Columns:
    """Return the rows with a value in each of these columns, and print how many are left out."""
    gaps = {name: _gaps(table[name]) for name in names}
    lost = set().union(*gaps.values())
    total = len(next(iter(table.values())))
    lacking = [f"{name} ({len(rows)})" for name, rows in gaps.items() if rows]

    print(
        f"left out: {len(lost)} of {total} rows" + (f", without {', '.join(lacking)}" * bool(lost))
    )
    return {
        name: [text for row, text in enumerate(texts) if row not in lost]
        for name, texts in table.items()
    }


def _named(options: argparse.Namespace, table: Columns) -> list[str]:
    """Return the columns of the table that the flags name, each once."""
    return [name for name in _flagged(options) if name in table]


def _flagged(options: argparse.Namespace) -> list[str]:
    names = ",".join(filter(None, (options.x, options.y, options.groups))).split(",")
    return list(dict.fromkeys(names))


def _gaps(texts: list[str]) -> set[int]:
    """Return the rows of a column that have no value."""
    missing = {row for row, text in enumerate(texts) if text.strip().lower() in MISSING}
    others = [text for row, text in enumerate(texts) if row not in missing]
    if others and all(map(is_number, others)):
        return missing

    return {row for row, text in enumerate(texts) if not text.strip()}


def _pick(table: Columns, names: str, flag: str) -> list[Any]:
    """Return the named columns as rows: numbers where all are numbers, else labels."""
    picked = []
    for name in names.split(","):
        if name not in table:
            raise ValueError(f"{flag}: expected one of {', '.join(table)}, got {name!r}")
        picked.append(_values(table[name], name))

    return picked[0] if len(picked) == 1 else list(zip(*picked, strict=True))


def _values(texts: list[str], name: str) -> list[Any]:
    if gaps := _gaps(texts):
        raise ValueError(
            f"{name}: expected a value in every row, got {len(gaps)} empty, the first in row {min(gaps) + 2}; "
            "leave such rows out: --skip_missing"
        )

    return [float(text) for text in texts] if all(map(is_number, texts)) else texts


def _groups(table: Columns, name: str | None) -> int | list[Any] | None:
    if name is None:
        return None
    return int(name) if name.isdecimal() and name not in table else _pick(table, name, "groups")


def _most_rows(text: str) -> int | None:
    """Return the number of rows to read at most; None for all."""
    if text == "all":
        return None
    rows: Any = int(text) if text.isdecimal() else text
    return _validate.count("max_rows", rows, low=64)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mi_estimators",
        description="Estimate the mutual information between columns of a file, in nats, with a verdict.",
        epilog="Exit status: 0 if the verdict is ok, 1 if it is another, 2 if the file cannot be read.",
    )

    parser.add_argument(
        "file", type=Path, help="a table, column names first; fields separated by , ; or tab"
    )
    parser.add_argument(
        "--x", required=True, help="a column by name, or several: A,B; numbers or labels"
    )
    parser.add_argument("--y", required=True, help="likewise")
    parser.add_argument(
        "--discrete",
        choices=("x", "y", "xy"),
        help="which side is labels, whatever its entries are (default: columns that are not numbers)",
    )
    parser.add_argument(
        "--max_rows",
        default="20000",
        help="number of rows to read at most, drawn at random, or all (default: %(default)s)",
    )
    parser.add_argument(
        "--groups",
        help="a column whose equal entries mark rows that may depend on one another, or the length of blocks",
    )
    parser.add_argument(
        "--skip_missing",
        action="store_true",
        help="leave out rows without a value in a named column; their number is printed",
    )
    parser.add_argument(
        "--effort",
        choices=("fast", "default", "thorough"),
        default="default",
        help="how long to train (default: %(default)s)",
    )

    parser.add_argument(
        "--seed", type=int, default=0, help="of folds and critics (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
