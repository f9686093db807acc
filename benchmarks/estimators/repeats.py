"""Fits that a file remembers, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

Key = tuple[str, int]
"""A name and a number."""


def remembered(
    path: Path, keys: Iterable[Key], fit: Callable[[str, int], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row for each key: read from the file, or fitted and written to it at once."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = {(row["name"], row["number"]): row for row in map(json.loads, lines)}
    wanted = list(keys)
    for name, number in tqdm([key for key in wanted if key not in rows], unit="fit"):
        row = {"name": name, "number": number} | fit(name, number)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        rows[name, number] = row
    return [rows[key] for key in wanted]
