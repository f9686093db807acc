"""Running a suite of experiments: every spec once, its row appended as it comes."""

from __future__ import annotations

import time
from pathlib import Path

from tqdm import tqdm

from mi_estimators import _validate
from mi_estimators.display import jsonl
from mi_estimators.display.files import strict, versions

from .experiments import RUNS
from .rows import FILE, Row, Spec, identity, read


def run(
    experiments: dict[str, tuple[Spec, ...]],
    suite: str,
    seed: int,
    folder: Path,
    *,
    bar: bool = True,
) -> list[Row]:
    """Run every spec that has no row yet, append its row, and return the rows of this suite and seed.

    Args:
        experiments: specs by experiment, such as `experiments.DEMO`.
        suite: name that keeps the rows of one set of specs apart.
        seed: base seed of every spec.
        folder: where results.jsonl lies; it must exist.
        bar: whether to show a progress bar on standard error.

    Raises:
        ValueError: a negative seed, or a results.jsonl that holds something else than rows.
        OSError: a folder that cannot be written.
    """
    _validate.count("seed", seed, low=0)
    path = folder / FILE
    done = read(path)
    found = []
    todo = [(name, spec) for name, group in experiments.items() for spec in group]
    with jsonl.appending(path) as file, tqdm(todo, unit="spec", disable=not bar) as progress:
        for name, spec in progress:
            progress.set_description(f"{name}: {type(spec).__name__}")
            row = identity(name, spec, suite, seed)
            same = [old for old in done if row.items() <= old.items()]
            if not same:
                started = time.perf_counter()
                measured, theory = RUNS[type(spec)](spec, seed)
                row |= {
                    "measured": strict(measured),
                    "theory": strict(theory),
                    "seconds": round(time.perf_counter() - started, 3),
                    "versions": versions(),
                }
                jsonl.append(file, row)
                same = [row]
            found.append(same[-1])
    return found
