"""Plain numerics of the examples, in floats: a search, a root, a flow, a derivative; SciPy comes with a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def lowest(
    loss: Callable[[Any], float],
    start: Sequence[float],
    subject: Callable[[Any], float] | None = None,
    most: float = 30.0,
) -> tuple[float, list[float]]:
    """Return the least value of a function and where it is taken, by descent.

    Args:
        loss: of a vector.
        start: where the search begins.
        subject: keeps this function ≥ 0, and each coordinate within `most` of 0.

    >>> value, point = lowest(lambda x: (x[0] - 1) ** 2 + 3, [0.0])
    >>> round(value, 6), round(point[0], 4)
    (3.0, 1.0)
    """
    from scipy.optimize import minimize

    if subject is None:
        best = minimize(loss, start, tol=1e-12)
    else:
        best = minimize(
            loss,
            start,
            method="SLSQP",
            bounds=[(-most, most)] * len(start),
            constraints=[{"type": "ineq", "fun": subject}],
            options={"ftol": 1e-14, "maxiter": 1000},
        )

    return float(best.fun), [float(x) for x in best.x]


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function changes its sign between two points.

    >>> round(root(lambda x: x * x - 2, 0, 2), 9)
    1.414213562
    """
    from scipy.optimize import brentq

    zero: Any = brentq(lambda x: float(function(x)), low, high, xtol=1e-15)
    return zero


def flow(
    velocity: Callable[[Any], Sequence[float]], start: Sequence[float], time: float
) -> np.ndarray:
    """Return the states that ẋ = velocity(x) passes from its start to a time, one a row.

    >>> round(float(flow(lambda x: -x, [1.0], 1.0)[-1, 0]), 6)  # 1/e
    0.367879
    """
    from scipy.integrate import solve_ivp

    path = solve_ivp(
        lambda t, x: velocity(x), (0, time), list(start), "LSODA", rtol=1e-10, atol=1e-13
    )
    return path.y.T


def slope(function: Callable[[float], float], at: float, step: float = 1e-5) -> float:
    """Return a derivative by central differences.

    >>> round(slope(lambda x: x**3, 2.0), 6)
    12.0
    """
    return (function(at + step) - function(at - step)) / (2 * step)
