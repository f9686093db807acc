"""The figures: errors and cost of each estimator, each law, cost against rows and columns, and the staircase."""

from __future__ import annotations

import math
from statistics import fmean, stdev

from matplotlib.figure import Figure

from mi_estimators.display.style import BLUE, INK, RED
from mi_estimators.display.table import number

from .plan import Row
from .suites import TASKS
from .tables import OURS, grouped, summary, value

EDGE = 1.5  # nats: errors beyond are drawn at the edge, as arrows


def accuracy(rows: list[Row]) -> Figure:
    """Return the error of every fit, an estimator a line, and its CPU-seconds."""
    estimators = summary(rows)
    figure = Figure(figsize=(9, 1.4 + 0.3 * len(estimators)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    fits = grouped(rows, "estimator")

    for place, (estimator, numbers) in enumerate(estimators.items()):
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
        text = f"{seconds:.0f}" if seconds >= 1 else number(seconds, 2)
        right.text(seconds * 1.7, place, text, va="center", fontsize=8)

    left.axvline(0, color=INK, lw=1)
    most = max(of["tasks"] for of in estimators.values())
    partial = {
        name: f" ({of['tasks']} tasks)" if of["tasks"] < most else ""
        for name, of in estimators.items()
    }
    left.set_yticks(
        range(len(estimators)),
        [f"{name}{partial[name]}   {_error(of['mae'])}" for name, of in estimators.items()],
    )
    left.set(xlim=(-EDGE, EDGE), xlabel="estimate − truth, nats, a dot a fit")
    left.set_title("← estimator and mean absolute error", loc="left")
    right.set(xlabel="CPU-seconds a fit", xscale="log")
    right.set_xlim(right=8 * max(of["cpu_seconds"] for of in estimators.values()))
    left.invert_yaxis()

    return figure


def _error(mean: float) -> str:
    return number(mean, 3) if math.isfinite(mean) else "∞"


def laws(rows: list[Row]) -> Figure:
    """Return the error of every fit, a law a line: ours with its interval, hollow if flagged, and the peers."""
    groups = grouped(rows, "task", "rows")
    figure = Figure(figsize=(9, 1.2 + 0.19 * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    names = summary(rows)
    peers = [name for name in names if not name.startswith(OURS)]
    ours = sorted({*names} - {*peers})  # the default first
    own = dict(zip(ours, "oDs^v<>p" * len(ours), strict=False))
    markers = dict(zip(peers, "sDv^<>pXP*" * len(peers), strict=False))

    for place, fits in enumerate(groups.values()):
        for row in fits:
            off = value(row) - row["truth"]
            drawn = min(EDGE, max(-EDGE, off))
            if row["estimator"] in markers:
                axes.plot(
                    drawn,
                    place,
                    markers[row["estimator"]],
                    color=BLUE,
                    alpha=0.5,
                    ms=4,
                    mew=0,
                )
                continue

            low, high = row["interval"] or (None, None)
            start = -EDGE if low is None else max(-EDGE, low - row["truth"])
            end = EDGE if high is None else min(EDGE, high - row["truth"])
            face = RED if row.get("verdict") == "ok" else "white"
            axes.plot(
                [start, max(start, end)],
                [place, place],
                color=RED,
                alpha=0.35,
                lw=1,
            )
            axes.plot(
                drawn,
                place,
                own[row["estimator"]],
                color=RED,
                mfc=face,
                ms=4,
                clip_on=False,
            )

    for name, marker in markers.items():
        axes.plot(
            [],
            [],
            marker,
            color=BLUE,
            alpha=0.5,
            ms=4,
            mew=0,
            label=name,
        )
    for name, marker in own.items():
        for verdict, face in (("ok", RED), ("flagged", "white")):
            axes.plot([], [], marker, color=RED, mfc=face, ms=4, label=f"{name}, {verdict}")

    axes.axvline(0, color=INK, lw=1)
    labels = [f"{name}   {number(fits[0]['truth'], 3)}" for (name, _), fits in groups.items()]
    axes.set_yticks(range(len(groups)), labels, fontsize=7)
    axes.set(xlim=(-EDGE, EDGE), ylim=(len(groups) - 0.5, -0.5))
    axes.set_xlabel(f"estimate − truth, nats, a mark a fit; the edge stands for {EDGE:g} and more")
    axes.set_title("← law and its information in nats", loc="left", fontsize=9)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))

    return figure


def cost(rows: list[Row]) -> Figure:
    """Return CPU-seconds against rows, and against columns of a side, a line an estimator and law."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2, sharey=True), ("rows", "columns"), strict=True):
        for (estimator,), fits in grouped(rows, "estimator").items():
            for kind, style in (("pairs", "o-"), ("signs", "s--")):
                points = _cost(fits, kind)
                other = 1 - ("rows", "columns").index(name)
                others = [key[other] for key in points]
                common = max(set(others), key=others.count)
                kept = sorted(
                    (key[1 - other], t) for key, t in points.items() if key[other] == common
                )
                colour = RED if estimator.startswith(OURS) else None
                label = f"{estimator}, {kind}"
                axes.plot(*zip(*kept, strict=True), style, color=colour, ms=4, lw=1, label=label)

        axes.set(xscale="log", yscale="log", xlabel=f"{name}, the other fixed")

    figure.axes[0].set_ylabel("CPU-seconds a fit")
    figure.axes[1].legend(
        fontsize=7,
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )
    return figure


def _cost(
    fits: list[Row],
    kind: str,
) -> dict[tuple[int, int], float]:
    """Return the mean CPU-seconds by (rows, columns) for the laws of a kind."""
    groups = grouped(
        [row for row in fits if row["task"].startswith(kind)],
        "task",
        "rows",
    )
    return {
        (n, TASKS[name].columns[0]): fmean(row["cpu_seconds"] for row in group)
        for (name, n), group in groups.items()
    }


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
