"""Rows of results: how one is identified, read and selected. Figures, tables and pages are made from rows alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mi_estimators.display import jsonl
from mi_estimators.display.jsonl import Row

FILE = "results.jsonl"

Spec = Any
"""A frozen dataclass: one thing to run, and one row of results."""


def identity(experiment: str, spec: Spec, suite: str, seed: int) -> Row:
    """Return the part of a row that says what was run; two rows with the same one hold the same experiment."""
    fields = json.loads(json.dumps(asdict(spec)))  # with lists for tuples, as they are read back
    return {
        "experiment": experiment,
        "kind": type(spec).__name__,
        "spec": fields,
        "suite": suite,
        "seed": seed,
    }


def read(path: Path) -> list[Row]:
    """Return the rows of a file; a last line cut short by an interruption is left out.

    Raises:
        ValueError: a line that is not a row.
    """
    return jsonl.read(path, ("kind", "spec", "seed", "measured", "theory"))


def latest(rows: list[Row]) -> list[Row]:
    """Return the rows of the last row's suite and seed; none of none."""
    return [
        row for row in rows if (row["suite"], row["seed"]) == (rows[-1]["suite"], rows[-1]["seed"])
    ]


def of(rows: Iterable[Row], kind: str, **fields: object) -> list[Row]:
    """Return the rows of one kind of spec whose spec has these fields."""
    return [row for row in rows if row["kind"] == kind and fields.items() <= row["spec"].items()]
