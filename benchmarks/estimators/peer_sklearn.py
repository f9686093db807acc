"""One fit of scikit-learn's nearest-neighbour estimator (KSG) with its defaults: one-dimensional x and y alone."""

from __future__ import annotations

import numpy as np
import sklearn
from protocol import answer
from sklearn.feature_selection import mutual_info_regression


def fit(
    estimator: str, x: np.ndarray, y: np.ndarray, seed: int, steps: int | None
) -> tuple[dict, None]:
    """Read the nearest-neighbour estimate; there is no critic to read fresh rows with."""
    if x.shape[1] > 1 or y.shape[1] > 1:
        raise SystemExit(
            f"{estimator}: expected one-dimensional x and y, got {x.shape[1]} and {y.shape[1]} columns"
        )
    return {"reported": float(mutual_info_regression(x, y[:, 0], random_state=seed)[0])}, None


if __name__ == "__main__":
    answer(fit, f"scikit-learn {sklearn.__version__}")
