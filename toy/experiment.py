"""Experiments: what the row of one holds, and how the folders that have a row are found."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mi_estimators.display import Page

    from .rows import Row, Spec

Run = Callable[[Any, int], tuple[dict, dict]]
"""(spec, seed) → (measured, theory), as plain data."""


def _no_lines(rows: list[Row]) -> list[tuple[str, str, str]]:
    return []


@dataclass(frozen=True)
class Experiment:
    """One phenomenon. What it shows is the first line of its folder's `__init__.py`.

    Attributes:
        order: its place on the report.
        full: its specs.
        quick: specs that take seconds and reach every line of code; their numbers are rough.
        runs: kind of spec → the function that runs it.
        sections: put its rows on the page, and nothing where there are none.
        summary: rows → its lines of "The main numbers": quantity, measured, theory.
        demo: the full specs that the demo runs; without any, the demo leaves it out.
    """

    order: int
    full: tuple[Spec, ...]
    quick: tuple[Spec, ...]
    runs: dict[type, Run]
    sections: tuple[Callable[[Page, list[Row]], None], ...]
    summary: Callable[[list[Row]], list[tuple[str, str, str]]] = _no_lines
    demo: tuple[Spec, ...] = ()


def abouts() -> dict[str, str]:
    """Return what each experiment shows, by name, without importing any."""
    folders = sorted(path.parent for path in Path(__file__).parent.glob("*/experiment.py"))
    return {folder.name: _about(folder) for folder in folders if not folder.name.startswith("_")}


def _about(folder: Path) -> str:
    module = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(module) or "").partition("\n")[0]


def experiments() -> dict[str, Experiment]:
    """Import every experiment; return their rows by name, in the report's order."""
    rows = {name: import_module(f".{name}.experiment", __package__).EXPERIMENT for name in abouts()}
    return dict(sorted(rows.items(), key=lambda item: item[1].order))
