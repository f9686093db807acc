"""Fits that a file remembers, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

Key = tuple[str, int]
"""A name and a number."""


def remembered(
    path: Path,
    keys: Iterable[Key],
    fit: Callable[[str, int], dict[str, Any]],
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


def print_table(
    head: Iterable[str],
    rows: list[dict[str, Any]],
    cells: Callable[[list[dict[str, Any]], Counter[str]], Iterable[str]],
) -> None:
    """Print a line for each name: its truth, what `cells` says of its rows and their verdicts, and these.

    Args:
        head: of the columns that `cells` gives.
        rows: with "name", "truth", "nats" and "verdict".
        cells: (the rows of a name, how often each verdict came) → a line's cells.
    """
    columns = list(head)
    print(f"| law | truth | {' | '.join(columns)} | verdicts |")
    print("|---|--:" + "|--:" * len(columns) + "|---|")

    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        verdicts = Counter(row["verdict"] for row in own)
        names = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.most_common())
        line = (name, f"{own[0]['truth']:.3f}", *cells(own, verdicts), names)
        print("|", " | ".join(line), "|")
