"""What is to be fitted, and the file of rows: one JSON object a fit, appended as it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from mi_estimators.display import jsonl
from mi_estimators.display.jsonl import Row

from . import packages, tasks

FILE = "results.jsonl"


@dataclass(frozen=True)
class Fit:
    """One fit that is to be in the tables."""

    suite: str
    task: str
    seed: int
    rows: int
    steps: int | None
    package: packages.Package
    estimator: str
    data: str
    law: tasks.Law = field(compare=False, repr=False)

    @property
    def identity(self) -> Row:
        """The part of a row that says what was fitted; two rows with the same one hold the same fit."""
        return {
            "suite": self.suite,
            "task": self.task,
            "seed": self.seed,
            "rows": self.rows,
            "steps": self.steps,
            "estimator": self.package.label(self.estimator),
            "data": self.data,
        }

    def run(self) -> Row:
        """Fit in the package's environment, and return the row."""
        found = packages.fit(
            self.package, self.estimator, self.law, self.task, self.seed, self.rows, self.steps
        )
        return {**self.identity, "truth": self.law.mutual_information, **found}


def plan(
    suite: str,
    laws: dict[str, tasks.Law],
    chosen: Iterable[tuple[packages.Package, str]],
    seeds: int,
    rows: int,
    steps: int | None,
) -> list[Fit]:
    """Return the fits of a suite, seed by seed, so that an interrupted run leaves whole tables of fewer seeds."""
    chosen, fits = list(chosen), []
    for seed in range(seeds):
        for task, law in laws.items():
            arrays = tasks.draw(law, task, seed, rows)
            data, flat = tasks.digest(arrays), arrays["x"].shape[1] == arrays["y"].shape[1] == 1
            for package, estimator in chosen:
                if flat or not package.flat:
                    fits.append(Fit(suite, task, seed, rows, steps, package, estimator, data, law))
    return fits


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


def missing(fits: list[Fit], path: Path) -> list[Fit]:
    """Return the fits that have no row in the file yet, or one with an error."""
    done = {_key(row) for row in read(path) if "error" not in row}
    return [fit for fit in fits if _key(fit.identity) not in done]


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
