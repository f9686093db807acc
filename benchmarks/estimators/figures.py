"""The figures: errors and cost of each estimator, and the staircase."""

from __future__ import annotations

import math
from statistics import fmean, stdev

from matplotlib.figure import Figure

from mi_estimators.display.style import BLUE, INK, RED
from mi_estimators.display.table import number

from .plan import Row
from .tables import grouped, summary, value

EDGE = 1.5  # nats: errors beyond are drawn at the edge, as arrows
OURS = "mi-estimators"


def accuracy(rows: list[Row]) -> Figure:
    """Return the error of every fit, an estimator a line, and its CPU-seconds."""
    found = summary(rows)
    figure = Figure(figsize=(9, 1.4 + 0.3 * len(found)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    fits = grouped(rows, "estimator")
    for place, (estimator, numbers) in enumerate(found.items()):
        colour = RED if estimator.startswith(OURS) else BLUE
        errors = [value(row) - row["truth"] for row in fits[estimator,]]
        for marker, drawn in (
            ("o", [e for e in errors if abs(e) <= EDGE]),
            ("<", [-EDGE for e in errors if e < -EDGE]),
            (">", [EDGE for e in errors if e > EDGE]),
        ):
            left.plot(
                drawn,
                [place] * len(drawn),
                marker,
                color=colour,
                alpha=0.45,
                ms=5,
                mew=0,
                clip_on=False,
            )
        seconds = numbers["cpu_seconds"]
        right.plot([seconds], [place], "o", color=colour, ms=6)
        right.text(
            seconds * 1.7, place, number(seconds, 1 if seconds > 1 else 2), va="center", fontsize=8
        )
    left.axvline(0, color=INK, lw=1)
    most = max(of["tasks"] for of in found.values())
    partial = {
        name: f" ({of['tasks']} tasks)" if of["tasks"] < most else "" for name, of in found.items()
    }
    left.set_yticks(
        range(len(found)),
        [f"{name}{partial[name]}   {number(of['mae'], 3)}" for name, of in found.items()],
    )
    left.set(xlim=(-EDGE, EDGE), xlabel="estimate − truth, nats, a dot a fit")
    left.set_title("← estimator and mean absolute error", loc="left")
    right.set(xlabel="CPU-seconds a fit", xscale="log")
    right.set_xlim(right=8 * max(of["cpu_seconds"] for of in found.values()))
    left.invert_yaxis()
    return figure


def staircase(rows: list[Row]) -> Figure:
    """Return the estimates of each level with their standard deviation over seeds."""
    figure = Figure(figsize=(5.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    truths = sorted({row["truth"] for row in rows})
    axes.plot(truths, truths, "--", color=INK, lw=1, label="truth")
    groups = grouped(rows, "estimator", "rows")
    for colour, ((estimator, n), fits) in zip(
        (RED, BLUE, *["0.5"] * len(groups)), groups.items(), strict=False
    ):
        levels = {
            truth: [value(row) for row in of]
            for (truth,), of in sorted(grouped(fits, "truth").items())
        }
        shown = {
            truth: values for truth, values in levels.items() if not any(map(math.isinf, values))
        }
        spread = [stdev(values) if len(values) > 1 else 0 for values in shown.values()]
        means = [fmean(values) for values in shown.values()]
        axes.errorbar(
            list(shown),
            means,
            spread,
            fmt="o-",
            color=colour,
            capsize=3,
            label=f"{estimator}, {n} rows",
        )
    axes.set(
        xlabel="truth, nats",
        ylabel="estimate, nats, ± standard deviation over seeds",
        xticks=truths,
    )
    axes.legend()
    return figure
