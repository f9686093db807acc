"""The same two laws at more rows and at more columns: one needs no network, one does."""

from __future__ import annotations

from mi_estimators.laws import Gaussian

from .shapes import Regimes
from .task import Task

ROWS = (1000, 5000, 20_000, 100_000)
COLUMNS = (1, 5, 25, 100)
_AT_COLUMNS, _AT_ROWS = 5, 5000


def _tasks(rows: int, columns: int) -> tuple[Task, Task]:
    ending = f"{columns}-columns-{rows}-rows"
    return (
        Task(
            f"pairs-{ending}",
            Gaussian.with_information(1.0, columns),
            "gaussian",
            rows=rows,
        ),
        Task(f"signs-{ending}", Regimes(0.6, columns), rows=rows),
    )


TASKS = tuple(
    task
    for rows, columns in dict.fromkeys(
        [
            *((rows, _AT_COLUMNS) for rows in ROWS),
            *((_AT_ROWS, columns) for columns in COLUMNS),
        ]
    )
    for task in _tasks(rows, columns)
)
"""Normal pairs and pairs of one common sign, at several numbers of rows and columns."""
