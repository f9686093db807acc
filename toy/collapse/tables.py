"""Tables of the network of ten responses and of the frozen kernel, from rows alone."""

from __future__ import annotations

import numpy as np

from mi_estimators.display import Table, label

from ..rows import Row, of
from .run import LOSSES

_FACTORS = {name: factor for name, (_, factor) in LOSSES.items()}


def variant(row: Row) -> str:
    """Return what tells this row from the other `Collapse` rows, in words."""
    spec = row["spec"]
    if spec["policy"] == "tabular":
        return "tabular softmax"
    pairs = ", exclusive pairs" if spec["pairs"] == "exclusive" else ""
    return f"network, {spec['activation']}{pairs}"


def collapses(rows: list[Row]) -> Table:
    """End of training of every variant, loss and β: medians over replicas."""
    head = (
        "policy",
        "loss, β",
        "chosen",
        "rejected",
        "unseen",
        "z_w [quartiles]",
        "lowest",
        "replicas below",
        "pairs below",
    )

    return Table(
        head,
        [
            (variant(row), f"{label(name)} {factor * beta:g}", *_end(row["measured"][name][b]))
            for row in of(rows, "Collapse")
            for b, beta in enumerate(row["spec"]["betas"])
            for name, factor in _FACTORS.items()
        ],
    )


def _end(curve: dict) -> list[str]:
    """Return the cells of one loss: probability masses from start to end, and the chosen log-ratio."""
    masses = [
        f"{curve[response][0][1]:.2f} → {curve[response][-1][1]:.2f}"
        for response in ("chosen", "rejected", "unseen")
    ]
    low, middle, high = curve["z_chosen"][-1]

    return [
        *masses,
        f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]",
        f"{min(curve['lowest_z_chosen']):+.2f}",
        f"{sum(z < 0 for z in curve['final_z_chosen'])} of {len(curve['final_z_chosen'])}",
        f"{100 * curve['fallen'][-1][1]:.0f} %",
    ]


def _below_start(curve: dict) -> int:
    """Return the number of steps whose loss was at most its start."""
    return curve["steps_seen"] - curve["steps_above_start"]


def intervals(rows: list[Row]) -> Table:
    """How often the mean chosen reward was outside the no-collapse interval while the loss was at most its start."""
    body = []
    for row in of(rows, "Collapse"):
        for b, beta in enumerate(row["spec"]["betas"]):
            for name, theory in (("mio", "0"), ("dpo", "no bound")):
                curve = row["measured"][name][b]
                loss = f"{label(name)} {_FACTORS[name] * beta:g}"
                counts = (f"{_below_start(curve):,}", f"{curve['outside_interval']:,}")
                body.append((variant(row), loss, *counts, theory))

    return Table(
        ("policy", "loss, β", "steps with loss ≤ 2 ln 2", "of these outside", "theory"), body
    )


def lazies(rows: list[Row]) -> Table:
    """The frozen-kernel flow beside theory."""
    laws = {
        "dv": ("DPO", "(a − c)/(a − 2c + d) of the margin"),
        "js": ("MIO", "ln 2/β, as t → ∞"),
    }

    body = []
    for row in of(rows, "Lazy"):
        name, law = laws[row["spec"]["bound"]]
        measured, theory = row["measured"], row["theory"]
        ends = (f"{measured['final']:+.4f}", f"{theory['final']:+.4f}")
        body.append((name, f"{row['spec']['horizon']:g}", *ends, law, f"{measured['lowest']:+.4f}"))

    return Table(("loss", "time", "z_w", "theory", "which is", "lowest z_w"), body)


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the lines of the report's head: networks that sink, steps outside the interval, the frozen kernel."""
    networks = of(rows, "Collapse")
    lines = []
    for row in networks[:1]:
        for b, beta in enumerate(row["spec"]["betas"]):
            for name, factor in _FACTORS.items():
                final = row["measured"][name][b]["final_z_chosen"]
                least = row["theory"]["interval"][0] / (2 * beta)
                lines.append(
                    (
                        "collapse: networks that end with mean chosen z_w < 0, "
                        f"{label(name)} β = {factor * beta:g}",
                        f"{sum(z < 0 for z in final)} of {len(final)} (mean z_w {np.mean(final):+.2f})",
                        "no bound" if name == "dpo" else f"z_w ≥ {least:.2f}",
                    )
                )

    if networks:
        curves = [curve for row in networks for curve in row["measured"]["mio"]]
        outside = sum(curve["outside_interval"] for curve in curves)
        steps = sum(map(_below_start, curves))
        lines.append(
            (
                "MIO: steps outside the no-collapse interval, loss at most 2 ln 2",
                f"{outside} of {steps:,}",
                "0",
            )
        )

    for name, _, final, theory, law, lowest in lazies(rows).body:
        lines.append(
            (f"frozen kernel, c > a: z_w of {name} (lowest {lowest})", final, f"{theory} ({law})")
        )

    return lines
