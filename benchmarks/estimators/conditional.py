"""How well `conditional_mi` is calibrated: laws of known I(X; Y | Z), several draws each.

    python -m benchmarks.estimators.conditional

Rows are kept in published/conditional.jsonl; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

import mi_estimators as mi

from .repeats import print_table, remembered

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]

_FILE = Path(__file__).parent / "published" / "conditional.jsonl"
_ROWS = 3000


def pairs_given_z(rho: float, columns: int, rng: Generator) -> tuple[Rows, float]:
    """Return x = u + z and y = v − 2z with (u, v) of correlation rho."""
    z, u, noise = rng.normal(size=(3, _ROWS, columns))
    v = rho * u + math.sqrt(1 - rho**2) * noise
    return (u + z, v - 2 * z, z), -columns / 2 * math.log(1 - rho**2)


def waves(rho: float, rng: Generator) -> tuple[Rows, float]:
    """Return x = sin 3z + u/2 and y = z² + v/2 with (u, v) of correlation rho."""
    z, u, noise = rng.normal(size=(3, _ROWS))
    v = rho * u + math.sqrt(1 - rho**2) * noise
    return (np.sin(3 * z) + u / 2, z**2 + v / 2, z), -0.5 * math.log(1 - rho**2)


def mediator(rng: Generator) -> tuple[Rows, float]:
    """Return a strong chain x → z → y: nothing is left given z."""
    x, a, b = rng.normal(size=(3, _ROWS))
    z = x + 0.3 * a
    return (x, z + 0.3 * b, z), 0.0


def switched(rng: Generator) -> tuple[Rows, float]:
    """Return y = zx + noise for a sign z: little is seen without z, ½ ln 2 given it."""
    x, noise = rng.normal(size=(2, _ROWS))
    z = rng.choice([-1.0, 1.0], size=_ROWS)
    return (x, z * x + noise, z), 0.5 * math.log(2)


def table(rng: Generator) -> tuple[Rows, float]:
    """Return a law on a table of 3 × 3 × 4 cells."""
    p = np.random.default_rng(0).random((3, 3, 4)) ** 3
    p /= p.sum()
    ratio = p * p.sum((0, 1)) / (p.sum(1)[:, None] * p.sum(0))
    cells = rng.choice(p.size, _ROWS, p=p.ravel())
    x, y, z = np.unravel_index(cells, p.shape)
    return (x, y, z), float((p * np.log(ratio)).sum())


LAWS: dict[str, Callable[[Generator], tuple[Rows, float]]] = {
    "a pair": lambda rng: pairs_given_z(0.7, 1, rng),
    "three pairs": lambda rng: pairs_given_z(0.6, 3, rng),
    "independent given z": lambda rng: pairs_given_z(0.0, 1, rng),
    "waves": lambda rng: waves(0.7, rng),
    "waves, independent given z": lambda rng: waves(0.0, rng),
    "mediator": mediator,
    "switched by a sign": switched,
    "table": table,
}
"""Draws of rows x, y, z with their I(X; Y | Z) in nats."""


def main() -> None:
    """Fit what is not fitted yet, and print the table."""
    parser = argparse.ArgumentParser(description="Calibrate conditional_mi.")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--out", type=Path, default=_FILE)
    options = parser.parse_args()

    torch.set_num_threads(1)
    keys = [(name, draw) for name in LAWS for draw in range(options.draws)]
    print_table(
        ("mean", "worst error", "interval holds"), remembered(options.out, keys, _fitted), _cells
    )


def _fitted(name: str, draw: int) -> dict[str, Any]:
    rows, truth = LAWS[name](np.random.default_rng(draw))
    estimate = mi.conditional_mi(*rows)
    low, high = estimate.interval

    return {
        "truth": truth,
        "nats": estimate.nats,
        "holds": bool(low <= truth <= high),
        "verdict": estimate.verdict,
    }


def _cells(
    rows: list[dict[str, Any]],
    _verdicts: Counter[str],
) -> tuple[str, ...]:
    nats = [row["nats"] for row in rows]
    worst = max(abs(value - rows[0]["truth"]) for value in nats)
    held = sum(row["holds"] for row in rows)
    return f"{mean(nats):.3f}", f"{worst:.3f}", f"{held} of {len(rows)}"


if __name__ == "__main__":
    main()
