"""One fit of this library's `MIEstimator` with its defaults: `estimate_mi`, kept so that it can read fresh rows too.

What it reports is read on rows that its critics were not trained on, so it needs no correction by fresh ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from protocol import Read, answer, sources

import mi_estimators as mi

EFFORTS = ("fast", "thorough")


def fit(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    steps: int | None,
    options: dict[str, Any],
) -> tuple[dict, Read]:
    """Fit one of our estimators; return what it reports and a function that reads fresh rows."""
    settings: dict[str, Any] = {"seed": seed, "discrete": options.get("discrete")}
    if name in EFFORTS:
        settings["effort"] = name
    elif name != "default":
        settings["estimator"] = name

    if steps is not None:
        settings["steps"] = steps

    fitted = mi.MIEstimator(**settings).fit(
        x,
        y,
        groups=options.get("groups"),
    )
    estimate = fitted.estimate_
    fields = {
        "reported": float(estimate.nats),
        "stderr": float(estimate.stderr),
        "interval": [float(end) for end in estimate.interval],
        "bound": estimate.estimator.name,
        "verdict": estimate.verdict,
        "warnings": list(estimate.warnings),
        "readouts": _numbers(estimate.readouts),
        "diagnostics": _numbers(estimate.diagnostics),
    }

    return fields, lambda fresh_x, fresh_y: float(fitted.estimate(fresh_x, fresh_y).nats)


def _numbers(values: dict[str, Any]) -> dict[str, Any]:
    """Return what can be written as JSON, numbers to six digits."""
    kept = {name: value for name, value in values.items() if isinstance(value, str | int | float)}
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in kept.items()
    }


if __name__ == "__main__":
    answer(fit, f"mi-estimators {mi.__version__}+{sources(Path(mi.__file__).parent)}", labels=True)
