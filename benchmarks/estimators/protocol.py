"""What every fit script does: read one data file, fit once, print one JSON line. Imports nothing but numpy."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Read = Callable[[np.ndarray, np.ndarray], float | None]
Fit = Callable[[str, np.ndarray, np.ndarray, int, int | None], tuple[dict, Read | None]]
"""(estimator, x, y, seed, most steps or None for the package's default) → (fields of the row with "reported" among
them, the value of what was trained on other rows or None where nothing is trained)."""

WARM_UP_ROWS, WARM_UP_STEPS = 600, 2


def answer(fit: Fit, version: str) -> None:
    """Fit the data file named on the command line and print the result.

    A short fit comes first, so that first-call costs are not counted. CPU-seconds are of the process, all threads, from
    the call with the data to its return: imports and the reading of fresh rows are left out.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("estimator")
    parser.add_argument("data", help=".npz file with x, y, fresh_x, fresh_y")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--steps", type=int, help="the most training steps (default: the package's)"
    )
    options = parser.parse_args()
    data = np.load(options.data)
    x, y = data["x"], data["y"]
    started = time.process_time()
    fit(options.estimator, x[:WARM_UP_ROWS], y[:WARM_UP_ROWS], options.seed, WARM_UP_STEPS)
    warm = time.process_time()
    fields, read = fit(options.estimator, x, y, options.seed, options.steps)
    done = time.process_time()
    held_out = None if read is None else read(data["fresh_x"], data["fresh_y"])
    row = {"reported": None, "held_out": held_out, "interval": None, **fields}
    row |= {
        "cpu_seconds": round(done - warm, 4),
        "warm_up_seconds": round(warm - started, 4),
        "version": version,
    }
    print(json.dumps(_strict(row)), flush=True)


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
