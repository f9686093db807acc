"""One fit of this library's `MIEstimator` with its defaults: `estimate_mi`, kept so that it can read fresh rows too.

What it reports is read on rows that its critics were not trained on, so it needs no correction by fresh ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from protocol import Read, answer, sources

import mi_estimators as mi


def fit(
    estimator: str, x: np.ndarray, y: np.ndarray, seed: int, steps: int | None
) -> tuple[dict, Read]:
    """Fit one of our estimators; return what it reports and a function that reads fresh rows."""
    options: dict[str, Any] = {} if estimator == "default" else {"estimator": estimator}
    if steps is not None:
        options["steps"] = steps
    fitted = mi.MIEstimator(seed=seed, **options).fit(x, y)
    found = fitted.estimate_
    fields = {
        "reported": float(found.nats),
        "interval": [float(end) for end in found.interval],
        "bound": found.estimator.name,
        "verdict": found.verdict,
        "warnings": list(found.warnings),
    }
    return fields, lambda fresh_x, fresh_y: float(fitted.estimate(fresh_x, fresh_y).nats)


if __name__ == "__main__":
    answer(fit, f"mi-estimators {mi.__version__}+{sources(Path(mi.__file__).parent)}")
