"""What is to be fitted, and the file of rows: one JSON object a fit, appended as it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mi_estimators.display import jsonl
from mi_estimators.display.jsonl import Row

from . import packages, tasks
from .suites import Task

FILE = "results.jsonl"


@dataclass(frozen=True)
class Fit:
    """One fit that is to be in the tables."""

    suite: str
    seed: int
    rows: int
    steps: int | None
    package: packages.Package
    estimator: str
    data: str
    task: Task = field(compare=False, repr=False)

    @property
    def identity(self) -> Row:
        """The part of a row that says what was fitted; two rows with the same one hold the same fit."""
        return {
            "suite": self.suite,
            "task": self.task.name,
            "seed": self.seed,
            "rows": self.rows,
            "steps": self.steps,
            "estimator": self.package.label(self.estimator),
            "data": self.data,
        }

    def run(self) -> Row:
        """Fit in the package's environment, and return the row."""
        answer = packages.fit(
            self.package, self.estimator, self.task, self.seed, self.rows, self.steps
        )
        return {**self.identity, "truth": self.task.truth, **answer}


def plan(
    suite: str,
    laws: Iterable[Task],
    chosen: Iterable[tuple[packages.Package, str]],
    seeds: int,
    rows: int | None,
    steps: int | None,
) -> list[Fit]:
    """Return the fits of a suite, seed by seed, so that an interrupted run leaves whole tables of fewer seeds.

    Args:
        suite: its name.
        laws: rows of the suite.
        chosen: packages, and the estimators of theirs that are run.
        seeds: number of draws of each law.
        rows: number of rows of a fit; None means that of the law.
        steps: most training steps; None means each package's own.
    """
    chosen, laws = list(chosen), list(laws)
    return [
        Fit(suite, seed, rows or task.rows, steps, package, estimator, digest, task)
        for seed in range(seeds)
        for task in laws
        for digest in [tasks.digest(task, seed)]
        for package, estimator in chosen
        if package.takes(estimator, task)
    ]


def read(path: Path) -> list[Row]:
    """Return the rows of a file, of fits of the same identity the last; a last line that was cut short is left out.

    Raises:
        ValueError: a line that is not a row.
    """
    rows = jsonl.read(path, ("suite", "task", "seed", "estimator", "truth"))
    return list({_key(row): row for row in rows}.values())


def _key(row: Row) -> tuple:
    return tuple(
        row.get(name) for name in ("suite", "task", "seed", "rows", "steps", "estimator", "data")
    )


def matching(fits: list[Fit], rows: list[Row]) -> list[Row]:
    """Return the rows of these fits, in the fits' order."""
    by_key = {_key(row): row for row in rows}
    return [by_key[_key(fit.identity)] for fit in fits if _key(fit.identity) in by_key]


def missing(fits: list[Fit], path: Path, again: Sequence[Fit] = ()) -> list[Fit]:
    """Return the fits that have no row in the file yet, or one with an error, or are run again."""
    done = {_key(row) for row in read(path) if "error" not in row}
    done -= {_key(fit.identity) for fit in again}
    return [fit for fit in fits if _key(fit.identity) not in done]


def drop(fits: list[Fit], path: Path) -> None:
    """Take the rows of these fits out of the file."""
    rows = read(path)
    old = matching(fits, rows)
    if old:
        jsonl.write(path, [row for row in rows if row not in old])


def run(fits: list[Fit], path: Path, jobs: int = 1) -> None:
    """Run the fits, `jobs` at a time, and append their rows to the file as they come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    executor, futures = ThreadPoolExecutor(jobs), []
    with jsonl.appending(path) as file, tqdm(total=len(fits), unit="fit") as progress:
        try:
            futures = [executor.submit(fit.run) for fit in fits]
            for future in as_completed(futures):
                row = future.result()
                progress.set_description(f"{row['task']}, seed {row['seed']}: {row['estimator']}")
                if "error" in row:
                    progress.write(
                        f"{row['estimator']}, {row['task']}, seed {row['seed']}: {row['error']}",
                        sys.stderr,
                    )

                jsonl.append(file, row)
                progress.update()
        finally:
            executor.shutdown(cancel_futures=True)
            packages.close()
