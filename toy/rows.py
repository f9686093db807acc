"""Rows of results: one JSON object a line, written as they come, read by everything that plots or prints."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

import mi_estimators as mi
from mi_estimators import _checks

from . import collapse, escape, gaussian, jsonl, specs
from .jsonl import Row

FILE = "results.jsonl"

RUNS: dict[type, Callable[..., tuple[dict, dict]]] = {
    specs.EscapeFlow: escape.escape_flow,
    specs.MioLift: escape.mio_lift,
    specs.EscapeSampled: escape.escape_sampled,
    specs.Collapse: collapse.collapse,
    specs.Lazy: collapse.lazy,
    specs.EffectiveSampleSize: gaussian.effective_sample_size,
    specs.GradientVariance: gaussian.gradient_variance,
    specs.Estimate: gaussian.estimate,
}
"""Spec → the function (spec, seed) → (measured, theory) that runs it."""


def identity(experiment: str, spec: specs.Spec, suite: str, seed: int) -> Row:
    """Return the part of a row that says what was run; two rows with the same one hold the same experiment."""
    fields = json.loads(json.dumps(asdict(spec)))  # tuples as JSON has them, so that it equals what is read back
    return {"experiment": experiment, "kind": type(spec).__name__, "spec": fields, "suite": suite, "seed": seed}


def strict(value: object) -> object:
    """Return `value` with null for every number that is not finite: "never" among escape times."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(path: Path) -> list[Row]:
    """Return the rows of a file; a last line cut short by an interruption is left out.

    Raises:
        ValueError: a line that is not a row.
    """
    return jsonl.read(path, ("kind", "spec", "seed", "measured", "theory"))


def run(
    experiments: dict[str, tuple[specs.Spec, ...]], suite: str, seed: int, folder: Path, *, bar: bool = True
) -> list[Row]:
    """Run every spec that has no row yet, append its row, and return the rows of this suite and seed.

    Args:
        experiments: specs by experiment, such as `specs.EXPERIMENTS`.
        suite: name that keeps the rows of one set of specs apart.
        seed: base seed of every spec.
        folder: where results.jsonl lies; it must exist.
        bar: whether to show a progress bar on standard error.

    Raises:
        ValueError: a negative seed, or a results.jsonl that holds something else than rows.
        OSError: a folder that cannot be written.
    """
    _checks.count("seed", seed, low=0)
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


def versions() -> dict[str, str]:
    """Return the versions of python, torch and mi-estimators."""
    return {"python": platform.python_version(), "torch": torch.__version__, "mi-estimators": mi.__version__}


def latest(rows: list[Row]) -> list[Row]:
    """Return the rows of the last row's suite and seed; none of none."""
    return [row for row in rows if (row["suite"], row["seed"]) == (rows[-1]["suite"], rows[-1]["seed"])]


def of(rows: Iterable[Row], kind: str, **fields: object) -> list[Row]:
    """Return the rows of one kind of spec whose spec has these fields."""
    return [row for row in rows if row["kind"] == kind and fields.items() <= row["spec"].items()]
