"""Running a suite of experiments: every spec once, its row appended as it comes."""

from __future__ import annotations

import time
from pathlib import Path

from tqdm import tqdm

from mi_estimators import _validate
from mi_estimators.display import jsonl, strict, versions

from . import experiment
from .rows import FILE, Row, Spec, identity, read


def run(
    specs: dict[str, tuple[Spec, ...]],
    suite: str,
    seed: int,
    folder: Path,
    *,
    bar: bool = True,
) -> list[Row]:
    """Run every spec that has no row yet, append its row, and return the rows of these specs.

    Args:
        specs: specs by experiment.
        suite: name that keeps the rows of one set of specs apart.
        seed: base seed of every spec.
        folder: where results.jsonl lies; it must exist.
        bar: whether to show a progress bar on standard error.

    Raises:
        ValueError: a negative seed, or a results.jsonl that holds something else than rows.
        OSError: a folder that cannot be written.
    """
    _validate.count("seed", seed, low=0)
    path, experiments = folder / FILE, experiment.experiments()
    finished, rows = read(path), []

    todo = [(name, spec) for name, group in specs.items() for spec in group]
    with jsonl.appending(path) as file, tqdm(todo, unit="run", disable=not bar) as progress:
        for name, spec in progress:
            progress.set_description(f"{name}: {type(spec).__name__}")
            row = identity(name, spec, suite, seed)
            earlier = [old for old in finished if row.items() <= old.items()]

            if not earlier:
                started = time.perf_counter()
                measured, theory = experiments[name].runs[type(spec)](spec, seed)
                row |= {
                    "measured": strict(measured),
                    "theory": strict(theory),
                    "seconds": round(time.perf_counter() - started, 3),
                    "versions": versions(),
                }
                jsonl.append(file, row)

            rows.append(earlier[-1] if earlier else row)

    return rows
