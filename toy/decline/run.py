"""One pair, one feature a response, an exact softmax: the chosen log-ratio under the flow of the library's losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

import mi_estimators as mi
from mi_estimators import theory

from ..models.flows import ascent, integrate

LOSSES = {"dpo": ("dv", 1.0), "mio_gradient": ("js", 2.0), "mio_optimum": ("js", 0.5)}
"""DPO at β; MIO at 2β, with the same first gradient, and at β/2, with the same optimum for weak preferences."""


@dataclass(frozen=True)
class Decline:
    """A log-linear policy π ∝ π_ref e^{θφ}, trained on one pair until `turns` times DPO's turning time.

    Attributes:
        beta: inverse temperature of DPO.
        reference: π_ref; the first response is chosen, the second rejected, the others are in no pair.
        features: φ of each response.
        turns: horizon, in units of DPO's t*.
        points: of each curve.
    """

    beta: float
    reference: tuple[float, ...] = (0.3, 0.6, 0.1)
    features: tuple[float, ...] = (1.0, 0.0, 2.0)
    turns: float = 4.0
    points: int = 60


FULL = tuple(Decline(beta) for beta in (0.1, 0.5, 1.0))
QUICK = (Decline(1.0, points=25),)


def decline(spec: Decline, seed: int) -> tuple[dict, dict]:
    """Follow both losses' flows; in theory DPO's z_w turns at t*, where E_{π_s} h = h_w (theorem late_decline).

    >>> measured, expected = decline(Decline(1.0), seed=0)
    >>> round(expected["turn"], 4), round(measured["dpo"]["turn"], 2)
    (2.3454, 2.35)
    """
    reference = torch.tensor(spec.reference, dtype=torch.float64)
    features = torch.tensor(spec.features, dtype=torch.float64)
    step = float(features[0] - features[1])
    alignment = [step * value for value in spec.features]
    turning_point = theory.turning_point(spec.reference, alignment)
    turn = theory.dpo_time(step**2 * turning_point, spec.beta, step**2)
    times = torch.linspace(0, spec.turns * turn, spec.points + 1, dtype=torch.float64)[1:]

    def log_ratios(theta: Tensor) -> Tensor:
        logits = reference.log() + theta * features
        return logits.log_softmax(-1) - reference.log()

    measured = {}
    for name, (bound, factor) in LOSSES.items():

        def objective(theta: Tensor, bound: str = bound, factor: float = factor) -> Tensor:
            z = factor * spec.beta * log_ratios(theta)
            return -mi.preference_loss(z[:, 0], z[:, 1], bound)

        # Each horizon is a system of its own, so that a curve has its points exactly at these times.
        start = torch.zeros(len(times), 1, dtype=torch.float64)
        flow = integrate(ascent(objective), start, times, tolerance=1e-9)
        chosen = log_ratios(flow.state)[:, 0]
        measured[name] = {
            "z_chosen": chosen.tolist(),
            "turn": _vertex(times, chosen),
            "highest": float(chosen.max()),
        }

    return measured, {
        "time": times.tolist(),
        "turn": turn,
        "z_chosen": _on_path(spec, step, alignment, times),
        "highest": _log_ratio(spec, alignment, turning_point),
    }


def _vertex(times: Tensor, values: Tensor) -> float:
    """Return where the parabola through the largest value and its neighbours is highest; the end for a rising curve."""
    k = int(values.argmax())
    if k in (0, len(values) - 1):
        return float(times[k])
    before, here, after = (float(values[i]) for i in (k - 1, k, k + 1))
    width = float(times[1] - times[0])
    return float(times[k]) + width * (before - after) / (2 * (before - 2 * here + after))


def _log_ratio(spec: Decline, alignment: list[float], s: float) -> float:
    """Return ln π_s(w)/π_ref(w) on the path π_s ∝ π_ref e^{sh}."""
    powers = s * np.asarray(alignment)
    return float(powers[0] - np.log(np.asarray(spec.reference) @ np.exp(powers)))


def _on_path(
    spec: Decline,
    step: float,
    alignment: list[float],
    times: Tensor,
) -> list[float]:
    """Return DPO's z_w in closed form: its margin at each time, and with it its place on the path."""
    margins = theory.dpo_margin(times.numpy(), spec.beta, step**2)
    return [_log_ratio(spec, alignment, float(m) / step**2) for m in margins]


RUNS = {Decline: decline}
