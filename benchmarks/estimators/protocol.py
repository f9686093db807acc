"""What every fit script does: read requests, fit, print one JSON line for each. Imports nothing but numpy."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Read = Callable[[np.ndarray, np.ndarray], float | None]
Fit = Callable[
    [str, np.ndarray, np.ndarray, int, int | None, dict[str, Any]], tuple[dict, Read | None]
]
"""(estimator, x, y, seed, most steps or None for the package's default, what is known of the rows: `discrete`,
`groups`) → (fields of the row with "reported" among them, the value of what was trained on other rows or None where
nothing is trained)."""

WARM_UP_ROWS, WARM_UP_STEPS = 600, 2


def answer(fit: Fit, version: str, labels: bool = False) -> None:
    """Answer requests until the input ends: one JSON object a line in, one out.

    A request names the `estimator`, a .npz file with x, y, fresh_x and fresh_y as `data`, the `seed`, the `steps` and
    the `options`. A short fit comes before the first one, so that first-call costs are not counted. CPU-seconds are of
    the process, all threads, from the call with the data to its return: imports and the reading of fresh rows are left
    out.

    Args:
        fit: fits once.
        version: of the package.
        labels: whether the package takes whole numbers as such; otherwise it is given floating-point numbers.
    """
    warm = False
    for line in sys.stdin:
        try:
            row = _row(fit, json.loads(line), labels, warm)
        except Exception as error:  # whatever a package raises is the answer
            row = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        warm = True
        print(json.dumps(_strict({**row, "version": version})), flush=True)


def _row(
    fit: Fit,
    request: dict[str, Any],
    labels: bool,
    warm: bool,
) -> dict[str, Any]:
    data = np.load(request["data"])
    x, y, fresh_x, fresh_y = (
        data[name] if labels else data[name].astype(float)
        for name in ("x", "y", "fresh_x", "fresh_y")
    )
    estimator, seed, options = request["estimator"], request["seed"], request["options"]
    before = time.process_time()

    if not warm:
        every = max(1, len(x) // WARM_UP_ROWS)  # spread, because rows may be sorted
        with contextlib.suppress(Exception):
            fit(
                estimator,
                x[::every],
                y[::every],
                seed,
                WARM_UP_STEPS,
                {**options, "groups": None},
            )

    start = time.process_time()
    fields, read = fit(estimator, x, y, seed, request["steps"], options)
    end = time.process_time()

    return {
        "reported": None,
        "held_out": read(fresh_x, fresh_y) if read is not None and len(fresh_x) else None,
        "interval": None,
        **fields,
        "cpu_seconds": round(end - start, 4),
        "warm_up_seconds": round(start - before, 4),
    }


def sources(folder: Path) -> str:
    """Return a digest of the Python files below a folder, so that rows of two versions do not mix unseen."""
    files = sorted(folder.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _strict(value: object) -> object:
    """Return `value` with null for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
