"""The table at the head of the report."""

from __future__ import annotations

import numpy as np

from mi_estimators.display.style import NAMES
from mi_estimators.display.table import Table, number

from .collapse.sweep.figures import task
from .collapse.sweep.tables import plus_minus
from .escape.tables import exponents
from .rows import Row, of
from .tables import lazies


def summary(rows: list[Row]) -> Table:
    """The main numbers of all experiments, one a line."""
    body = []
    gaps = [
        abs(t / s - 1)
        for row in of(rows, "EscapeFlow")
        for times, said in zip(row["measured"]["time"], row["theory"]["time"], strict=True)
        for t, s in zip(times, said, strict=True)
        if t is not None and s is not None
    ]
    if gaps:
        body.append(
            ("escape times, exact flow: largest relative gap to theory", f"{max(gaps):.0e}", "0")
        )
    for name, _, fitted, same, limit in exponents(rows).body:
        if "drawn" in name or "every" in name:
            continue  # in their own table
        body.append((f"escape exponent, {name}", fitted, f"{same} at these ε; limit: {limit}"))
    for row in of(rows, "Collapse")[:1]:
        for b, beta in enumerate(row["spec"]["betas"]):
            for name, factor in (("dpo", 1), ("mio", 2)):
                final = row["measured"][name][b]["final_z_chosen"]
                what = f"collapse: networks that end with mean chosen z_w < 0, {NAMES[name]} β = {factor * beta:g}"
                said = (
                    "no bound"
                    if name == "dpo"
                    else f"z_w ≥ {row['theory']['interval'][0] / (2 * beta):.2f}"
                )
                body.append(
                    (
                        what,
                        f"{sum(z < 0 for z in final)} of {len(final)} (mean z_w {np.mean(final):+.2f})",
                        said,
                    )
                )
    found = of(rows, "Collapse")
    if found:
        outside = sum(
            curve["outside_interval"] for row in found for curve in row["measured"]["mio"]
        )
        seen = sum(
            c["steps_seen"] - c["steps_above_start"]
            for row in found
            for c in row["measured"]["mio"]
        )
        body.append(
            (
                "MIO: steps outside the no-collapse interval, loss at most 2 ln 2",
                f"{outside} of {seen:,}",
                "0",
            )
        )
    for name, _, final, said, law, lowest in lazies(rows).body:
        body.append(
            (f"frozen kernel, c > a: z_w of {name} (lowest {lowest})", final, f"{said} ({law})")
        )
    for row in of(rows, "Responses") + of(rows, "Sequences"):
        gains = {
            name: np.array(part["tuned"]["held_out"], dtype=float)
            for name, part in row["measured"]["losses"].items()
        }
        if {"dpo", "mio"} <= set(gains):
            what = f"gain of MIO less DPO's, each tuned, {task(row)}"
            body.append((what, plus_minus(gains["mio"] - gains["dpo"]), "none"))
    for row in of(rows, "EffectiveSampleSize")[-1:]:
        spec = row["spec"]
        what = f"ESS/M at {spec['nats'][-1]:g} nats, d = {spec['dim']}, M = {spec['negatives']:,}"
        middle, said = row["measured"]["fraction_quartiles"][-1][1], row["theory"]["fraction"][-1]
        body.append((what, number(middle, 2), f"{number(said, 2)} in the population"))
    for row in of(rows, "Estimate"):
        low, high = row["measured"]["interval"]
        what = f"information of a Gaussian law seen through: {row['spec']['transform']}"
        body.append(
            (
                what,
                f"{row['measured']['nats']:.3f} [{low:.3f}, {high:.3f}] nats",
                f"{row['theory']['nats']:.3f}",
            )
        )
    return Table(("what", "measured", "theory"), body)
