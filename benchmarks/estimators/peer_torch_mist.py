"""One fit of torch-mist: `estimate_mi` with its defaults, read again on fresh rows by its own `evaluate_mi`."""

from __future__ import annotations

import random
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from protocol import Read, answer
from torch_mist.utils import estimate_mi, evaluate_mi

BATCH = 128  # the default batch of its evaluation
ALL_STEPS = "-all-steps"
"""Ending of an estimator's name that turns early stopping off. It counts from 0 nats on: a bound that starts below, as
InfoNCE does with the default critic, is stopped after two epochs."""


def fit(
    estimator: str,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    steps: int | None,
    options: dict[str, Any],
) -> tuple[dict, Read]:
    """Fit one of torch-mist's estimators; return what it reports and a function that reads fresh rows."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the package draws from the global state
    torch.manual_seed(seed)
    settings = {} if steps is None else {"max_iterations": steps}
    if estimator.endswith(ALL_STEPS):
        settings["early_stopping"] = False

    estimator = estimator.removesuffix(ALL_STEPS)
    nats, trained, _ = estimate_mi(
        data=(x, y), estimator=estimator, verbose=False, return_estimator=True, **settings
    )

    def read(fresh_x: np.ndarray, fresh_y: np.ndarray) -> float:
        return float(evaluate_mi(trained, data=(fresh_x, fresh_y), batch_size=BATCH))

    return {"reported": float(nats)}, read


if __name__ == "__main__":
    answer(fit, f"torch-mist {version('torch-mist')}")
