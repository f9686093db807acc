"""A suite: rows of laws, how many draws of each, and who is measured on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .task import Task

OURS = ("mi-estimators",)
BESIDE = (*OURS, "torch-mist/smile", "torch-mist/smile-all-steps", "plain/*", "scikit-learn/*")
"""Ours and the strongest peers."""

ALL = (
    *OURS,
    *("torch-mist/mine", "torch-mist/smile", "torch-mist/js"),
    *("benchmark-mi/infonce", "benchmark-mi/mine", "benchmark-mi/ksg", "benchmark-mi/cca"),
    "scikit-learn/ksg",
)
"""Ours and what the peers' own pages show first."""


@dataclass(frozen=True)
class Suite:
    """Laws that are measured together.

    Attributes:
        title: as pages print it.
        tasks: its laws.
        seeds: number of draws of each law, unless others are asked for.
        estimators: patterns of who is measured, unless others are asked for.
    """

    title: str
    tasks: tuple[Task, ...]
    seeds: int = 3
    estimators: tuple[str, ...] = BESIDE

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)
