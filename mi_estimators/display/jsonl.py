"""A file of rows: one JSON object a line, appended as it comes, so that an interruption loses the last row at most."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TextIO

from .files import strict, whole_file

Row = dict[str, Any]


def read(path: Path, keys: Collection[str] = ()) -> list[Row]:
    """Return the rows of a file, none of a file that is not there. A last line that was cut short is left out.

    Args:
        path: the file.
        keys: what every row must have.

    Raises:
        ValueError: a line that is not a row, or text that is not UTF-8.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8, got another byte at {error.start}") from None

    whole = [line for line in lines if line.endswith("\n")]
    return [_row(path, k, line, keys) for k, line in enumerate(whole, 1)]


def _row(
    path: Path,
    number: int,
    line: str,
    keys: Collection[str],
) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        row = None

    if not isinstance(row, dict) or not set(keys) <= row.keys():
        raise ValueError(
            f"{path}: expected a row of results in line {number}, got {line[:60].rstrip()!r}"
        )

    return row


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a file of these rows alone, whole or not at all; null for a number that is not finite."""
    with whole_file(path) as file:
        file.writelines(_line(row).encode() for row in rows)


def appending(path: Path) -> TextIO:
    """Open a file to append rows. A last line that was cut short is removed: the next row starts a line."""
    if path.exists():
        text = path.read_bytes()
        path.write_bytes(text[: text.rfind(b"\n") + 1])
    return path.open("a", encoding="utf-8")


def append(file: TextIO, row: Row) -> None:
    """Write a row, at once; null for a number that is not finite."""
    file.write(_line(row))
    file.flush()


def _line(row: Row) -> str:
    return json.dumps(strict(row), ensure_ascii=False, allow_nan=False) + "\n"
