"""Tables of the report: measured numbers beside the theory's, from rows alone."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from mi_estimators.display.style import NAMES
from mi_estimators.display.table import Table, number

from .rows import Row, of

# Two-sided 95 % points of Student's law by degrees of freedom.
_STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31}


def fit_exponent(eps: ArrayLike, times: ArrayLike) -> tuple[float, float]:
    """Return the slope of ln t on ln 1/ε by least squares and the half-width of its 95 % interval; NaN of two points.

    >>> [abs(round(number, 6)) for number in fit_exponent([0.1, 0.01, 0.001], [3e1, 3e2, 3e3])]  # t = 3/ε
    [1.0, 0.0]
    """
    x, y = -np.log(eps), np.log(times)
    slope, intercept = np.polyfit(x, y, 1)
    freedom = len(x) - 2
    if freedom < 1:
        return float(slope), math.nan
    spread = math.sqrt(
        ((y - slope * x - intercept) ** 2).sum() / freedom / ((x - x.mean()) ** 2).sum()
    )
    return float(slope), _STUDENT.get(freedom, 1.96) * spread


def interval(slope: float, half: float) -> str:
    """Return a slope and its interval as text."""
    return (
        f"{slope:.3f}"
        if math.isnan(half)
        else f"{slope:.3f} [{slope - half:.3f}, {slope + half:.3f}]"
    )


def variant(row: Row) -> str:
    """Return what tells this collapse experiment from the others, in words."""
    spec = row["spec"]
    if spec["policy"] == "tabular":
        return "tabular softmax"
    return f"network, {spec['activation']}" + (
        ", exclusive pairs" if spec["pairs"] == "exclusive" else ""
    )


def collapses(rows: list[Row]) -> Table:
    """End of training of every variant, loss and β: medians over replicas."""
    body = []
    for row in of(rows, "Collapse"):
        for b, beta in enumerate(row["spec"]["betas"]):
            for name, factor in (("dpo", 1), ("mio", 2)):
                curve = row["measured"][name][b]
                start, end = (
                    {q: curve[q][k][1] for q in ("chosen", "rejected", "unseen")} for k in (0, -1)
                )
                low, middle, high = curve["z_chosen"][-1]
                fallen = sum(z < 0 for z in curve["final_z_chosen"])
                body.append(
                    (
                        variant(row),
                        f"{NAMES[name]} {factor * beta:g}",
                        *(
                            f"{start[q]:.2f} → {end[q]:.2f}"
                            for q in ("chosen", "rejected", "unseen")
                        ),
                        f"{middle:+.2f} [{low:+.2f}, {high:+.2f}]",
                        f"{min(curve['lowest_z_chosen']):+.2f}",
                        f"{fallen} of {len(curve['final_z_chosen'])}",
                        f"{100 * curve['fallen'][-1][1]:.0f} %",
                    )
                )
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
    return Table(head, body)


def intervals(rows: list[Row]) -> Table:
    """How often the mean chosen reward was outside the no-collapse interval while the loss was at most its start."""
    body = []
    for row in of(rows, "Collapse"):
        for b, beta in enumerate(row["spec"]["betas"]):
            for name, factor, said in (("mio", 2, "0"), ("dpo", 1, "no bound")):
                curve = row["measured"][name][b]
                seen = curve["steps_seen"] - curve["steps_above_start"]
                what = f"{NAMES[name]} {factor * beta:g}"
                body.append(
                    (variant(row), what, f"{seen:,}", f"{curve['outside_interval']:,}", said)
                )
    return Table(
        ("policy", "loss, β", "steps with loss ≤ 2 ln 2", "of these outside", "theory"), body
    )


def lazies(rows: list[Row]) -> Table:
    """The frozen-kernel flow beside theory."""
    body = []
    for row in of(rows, "Lazy"):
        measured, said = row["measured"], row["theory"]["final"]
        law = (
            "(a − c)/(a − 2c + d) of the margin"
            if row["spec"]["bound"] == "dv"
            else "ln 2/β, as t → ∞"
        )
        name = {"dv": "DPO", "js": "MIO"}[row["spec"]["bound"]]
        body.append(
            (
                name,
                f"{row['spec']['horizon']:g}",
                f"{measured['final']:+.4f}",
                f"{said:+.4f}",
                law,
                f"{measured['lowest']:+.4f}",
            )
        )
    return Table(("loss", "time", "z_w", "theory", "which is", "lowest z_w"), body)


def sample_sizes(rows: list[Row]) -> Table:
    """ESS/M beside e^{−2I}."""
    body = []
    for row in of(rows, "EffectiveSampleSize"):
        spec = row["spec"]
        for nats, (low, middle, high), said in zip(
            spec["nats"],
            row["measured"]["fraction_quartiles"],
            row["theory"]["fraction"],
            strict=True,
        ):
            cell = f"{number(middle, 3)} [{number(low, 3)}, {number(high, 3)}]"
            count = number(middle * spec["negatives"], 3)
            factor = f"×{number(middle / said, 3)}"
            body.append(
                (
                    str(spec["dim"]),
                    f"{spec['negatives']:,}",
                    f"{nats:g}",
                    cell,
                    number(said, 3),
                    factor,
                    count,
                )
            )
    return Table(
        ("d", "M", "I, nats", "ESS/M, median [quartiles]", "e^(−2I)", "overstated", "ESS"), body
    )


def variances(rows: list[Row]) -> Table:
    """Gradient and value variance beside theory's lines."""
    body = []
    for row in of(rows, "GradientVariance"):
        spec, measured, said = row["spec"], row["measured"], row["theory"]
        for k, nats in enumerate(spec["nats"]):
            cells = [
                c
                for name in ("nwj", "dv", "js")
                for c in (measured["trace"][name][k], said["trace"][name][k])
            ]
            cells += [measured["nwj_value_variance"][k], said["nwj_value_variance"][k]]
            body.append((f"{nats:g}", *(number(c, 3) for c in cells)))
    head = ("I, nats", "NWJ ∇", "exact", "DV ∇", "large-N", "JS ∇", "at most", "NWJ value", "exact")
    return Table(head, body)


def estimates(rows: list[Row]) -> Table:
    """Held-out estimates beside the truth."""
    body = []
    for row in of(rows, "Estimate"):
        spec, measured = row["spec"], row["measured"]
        low, high = measured["interval"]
        truth = row["theory"]["nats"]
        body.append(
            (
                f"Gaussian, d = {spec['dim']}, n = {spec['rows']:,}",
                spec["transform"],
                spec["estimator"],
                f"{measured['nats']:.3f} [{low:.3f}, {high:.3f}]",
                f"{truth:.3f}",
                "yes" if low <= truth <= high else "no",
                "; ".join((measured["verdict"], *measured["warnings"])),
            )
        )
    return Table(
        (
            "law",
            "seen through",
            "estimator",
            "estimate [95 %], nats",
            "truth",
            "covered",
            "verdict",
        ),
        body,
    )
