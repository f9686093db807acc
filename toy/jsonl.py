"""A file of rows: one JSON object a line, appended as it comes, so that an interruption loses no row but the last."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import TextIO

Row = dict


def read(path: Path, keys: Collection[str]) -> list[Row]:
    """Return the rows of a file, none of a file that is not there; a last line cut short is left out.

    Args:
        path: the file.
        keys: what every row must have.

    Raises:
        ValueError: a line that is not a row.
    """
    rows = []
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or not set(keys) <= row.keys():
            raise ValueError(
                f"{path}: expected a row of results in line {number}, got {line[:60]!r}"
            )
        rows.append(row)
    return rows


def appending(path: Path) -> TextIO:
    """Open a file to append rows, without a last line cut short, so that the next row starts on its own line."""
    if path.exists():
        text = path.read_bytes()
        path.write_bytes(text[: text.rfind(b"\n") + 1])
    return path.open("a", encoding="utf-8")


def append(file: TextIO, row: Row) -> None:
    """Write a row, at once."""
    file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    file.flush()
