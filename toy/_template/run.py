"""DV and NWJ at the critic ln dP/dQ + c, on a law that is known exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

import mi_estimators as mi

from ..models.two_level import TwoLevel

# Import `..models`, the library and the frame (`..rows`, `..experiment`), never another experiment.


@dataclass(frozen=True)  # its fields are plain data: they go into the row as they are
class Shift:
    """Both bounds at T = ln dP/dQ + c, for every c of `shifts`, on a `TwoLevel` law.

    Attributes:
        shifts: c, in nats.
        symbols, copy: the law, as `TwoLevel` has them.
    """

    shifts: tuple[float, ...] = tuple(k / 8 for k in range(-16, 17))
    symbols: int = 16
    copy: float = 0.9


FULL = (Shift(),)
QUICK = (Shift(shifts=(-1.0, 0.0, 1.0)),)  # seconds at most, but every line of code


def shift(spec: Shift, seed: int) -> tuple[dict, dict]:
    """Evaluate both bounds on the law itself; nothing is drawn. In theory NWJ loses eᶜ − 1 − c (theorem nwj_gap).

    >>> measured, theory = shift(Shift(shifts=(1.0,)), seed=0)
    >>> round(theory["nats"] - measured["nwj"][0], 6)  # e − 2
    0.718282
    >>> abs(measured["nwj"][0] - theory["nwj"][0]) < 1e-12  # every experiment is held against its theory
    True
    """
    law = TwoLevel(spec.symbols, spec.copy)
    constants = torch.tensor(spec.shifts, dtype=torch.float64)
    critics = law.log_ratio + constants[:, None]

    # Measured numbers come from the library's own functions, never from a formula written again.
    measured = {
        name: mi.BOUNDS[name](critics, critics, law.log_p, law.log_q).tolist()
        for name in ("dv", "nwj")
    }
    nats = law.mutual_information

    return measured, {"nats": nats, "nwj": [nats - (math.expm1(c) - c) for c in spec.shifts]}


RUNS = {Shift: shift}
