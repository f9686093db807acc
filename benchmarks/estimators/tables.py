"""The rows as markdown tables, and the numbers that the figures draw."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from statistics import fmean, stdev, variance

from mi_estimators.display import Table

from .plan import Row
from .tasks import TEN

DASH = "–"
_WIDEST = 20  # columns of tasks
_FAR, _NEAR = 0.3, 0.1  # nats: an error that the verdict must flag, and one that it should not


def value(row: Row, name: str = "estimate") -> float:
    """Return a number of a row; one that was not finite is stored as null and counts as infinitely wrong."""
    return math.inf if row[name] is None else row[name]


def grouped(rows: list[Row], *names: str) -> dict[tuple, list[Row]]:
    """Return the rows that hold a fit, by the values of these fields, in their order."""
    groups = defaultdict(list)
    for row in rows:
        if "error" not in row:
            groups[tuple(row[name] for name in names)].append(row)
    return dict(groups)


def summary(rows: list[Row]) -> dict[str, dict]:
    """Return the summary of each estimator, those of all tasks first, then by mean absolute error.

    Keys: fits, tasks (numbers of them), mae, worst, reported_mae, optimism, covered, intervals, cpu_seconds, spread,
    fresh (whether the estimate was read on fresh rows), versions; None where it does not apply.
    """
    found = {}
    for (estimator,), fits in grouped(rows, "estimator").items():
        errors = [abs(value(row) - row["truth"]) for row in fits]
        reported = [abs(value(row, "reported") - row["truth"]) for row in fits]
        read_again = [
            row for row in fits if row["held_out"] is not None and row["reported"] is not None
        ]
        intervals = [row for row in fits if row["interval"] is not None]
        covered = [row for row in intervals if _inside(row)]
        spreads = [
            stdev(row["estimate"] for row in group)
            for group in grouped(fits, "task").values()
            if len(group) > 1 and all(row["estimate"] is not None for row in group)
        ]
        found[estimator] = {
            "fits": len(fits),
            "tasks": len({row["task"] for row in fits}),
            "mae": fmean(errors),
            "worst": max(errors),
            "reported_mae": fmean(reported),
            "optimism": fmean(row["reported"] - row["held_out"] for row in read_again)
            if read_again
            else None,
            "covered": len(covered),
            "intervals": len(intervals),
            "cpu_seconds": fmean(row["cpu_seconds"] for row in fits),
            "spread": fmean(spreads) if spreads else None,
            "fresh": any(row["fresh"] for row in fits),
            "versions": sorted({row["version"] for row in fits}),
        }
    return dict(sorted(found.items(), key=lambda item: (-item[1]["tasks"], item[1]["mae"])))


def _inside(row: Row) -> bool:
    low, high = row["interval"]
    return low is not None and high is not None and low <= row["truth"] <= high


def number(x: float | None, digits: int = 2) -> str:
    """Return a number as text, to `digits` decimals below 100; a dash for None."""
    if x is None:
        return DASH
    if math.isinf(x):
        return "∞"
    return f"{x:.{digits}f}" if abs(x) < 100 else f"{x:.0f}"


def estimates(rows: list[Row]) -> str:
    """Return the mean estimate over seeds, a row an estimator, a column a task."""
    truths: dict[str, float] = {row["task"]: row["truth"] for row in rows}
    cells = grouped(rows, "estimator", "task")
    body = [["**truth**", *(f"**{number(truth)}**" for truth in truths.values())]]
    for estimator in summary(rows):
        means = [cells.get((estimator, task)) for task in truths]
        body.append(
            [estimator, *(number(fmean(map(value, fits)) if fits else None) for fits in means)]
        )
    head = ["nats", *(TEN.get(task, task) for task in truths)]
    return Table(head, body).markdown(left=1)


def each_fit(rows: list[Row]) -> str:
    """Return a row a fit of the estimator that gives intervals: for many laws and one estimator."""
    head = ["law", "seed", "truth", "estimate", "95 % interval", "", "verdict"]
    body = []
    for row in (row for row in rows if row.get("interval") is not None):
        low, high = row["interval"]
        missed = "" if _inside(row) else "missed"
        cells = [row["task"], str(row["seed"]), number(row["truth"], 3), number(value(row), 3)]
        body.append(
            [*cells, f"{number(low, 3)} to {number(high, 3)}", missed, row.get("verdict") or DASH]
        )
    return Table(head, body).markdown(left=1)


def accuracy(rows: list[Row]) -> str:
    """Return the summary as a table."""
    head = ["estimator", "read on", "fits", "MAE", "worst", "MAE as reported", "optimism"]
    head += ["95 % interval covers", "CPU s a fit", "spread over seeds"]
    body = []
    for estimator, found in summary(rows).items():
        body.append(
            [
                estimator,
                "fresh rows" if found["fresh"] else "as reported",
                str(found["fits"]),
                number(found["mae"], 3),
                number(found["worst"]),
                number(found["reported_mae"], 3),
                number(found["optimism"]),
                f"{found['covered']} of {found['intervals']}" if found["intervals"] else DASH,
                number(found["cpu_seconds"], 1 if found["cpu_seconds"] > 1 else 2),
                number(found["spread"], 3),
            ]
        )
    return Table(head, body).markdown(left=2)


def staircase(rows: list[Row]) -> str:
    """Return estimate, bias, variance and mean squared error of each level."""
    head = [
        "truth",
        "estimator",
        "rows",
        "seeds",
        "estimate",
        "bias",
        "variance",
        "MSE",
        "95 % interval covers",
    ]
    head += ["CPU s a fit", "verdicts"]
    body = []
    for (truth, estimator, n), fits in grouped(rows, "truth", "estimator", "rows").items():
        values = [value(row) for row in fits]
        finite, mean = not any(map(math.isinf, values)), fmean(values)
        intervals = [row for row in fits if row["interval"] is not None]
        verdicts = Counter(row["verdict"] for row in fits if row.get("verdict"))
        body.append(
            [
                number(truth, 0),
                estimator,
                str(n),
                str(len(fits)),
                number(mean),
                number(mean - truth),
                number(variance(values) if finite and len(values) > 1 else None, 4),
                number(fmean((v - truth) ** 2 for v in values), 4),
                f"{sum(map(_inside, intervals))} of {len(intervals)}" if intervals else DASH,
                number(fmean(row["cpu_seconds"] for row in fits), 1),
                ", ".join(f"{verdict} {n}" for verdict, n in sorted(verdicts.items())) or DASH,
            ]
        )
    return Table(head, body).markdown(left=1)


def page(rows: list[Row], stairs: list[Row], expected: int, command: str) -> str:
    """Return the tables with what is needed to read them.

    Args:
        rows: of the tasks.
        stairs: of the staircase.
        expected: how many fits there are when all are done.
        command: that prints this page.
    """
    parts = [f"# Estimators on the same files\n\nWritten by `{command}`."]
    lines = [
        f"{row['estimator']}, {row['task']}, seed {row['seed']}: {row['error']}"
        for row in [*rows, *stairs]
        if "error" in row
    ]
    parts += [_settings(found) for found in [rows or stairs] if found]
    if len(rows) + len(stairs) < expected:
        parts.append(f"**Not finished: {len(rows) + len(stairs)} of {expected} fits.**")
    if lines:
        parts.append(
            "Fits that failed and are left out:\n\n" + "\n".join(f"* {line}" for line in lines)
        )
    if any("error" not in row for row in rows):
        wide = len({row["task"] for row in rows}) > _WIDEST
        parts.append(
            f"## Each fit\n\n{each_fit(rows)}"
            if wide
            else f"## Estimates, mean over seeds\n\n{estimates(rows)}"
        )
        parts.append(f"## Accuracy and cost\n\n{accuracy(rows)}")
        parts.append("\n".join([_LEGEND, *_verdicts(rows), *_versions(rows)]))
    if any("error" not in row for row in stairs):
        parts.append(
            f"## Staircase: 20 pairs of correlated normals (Poole et al. 2019)\n\n{staircase(stairs)}\n\n{_STAIRS}"
        )
    return "\n\n".join(parts) + "\n"


_LEGEND = """\
* read on: "as reported", what the call returned; "fresh rows", what the package trained, read again on 2500 rows that
  it never saw, because what it reports was read on rows that it was trained or selected on. mi-estimators reads each
  row by a critic that was not trained on it, and reports that. KSG and CCA train no critic.
* MAE, worst: mean and largest |estimate − truth| over fits, in nats. MAE as reported: the same of what the call
  returned.
* optimism: mean of the reported value less the value on fresh rows, in nats.
* 95 % interval covers: fits whose interval holds the truth; – where the package offers no interval.
* CPU s a fit: of the process, one thread, after a short fit that is not counted. benchmark-mi compiles its training
  step anew in each fit, which is counted.
* spread over seeds: standard deviation over seeds, of new data and a new start each, averaged over tasks.
* scikit-learn's KSG takes one-dimensional x and y alone, so it has fewer fits; it stands last whatever its error."""

_STAIRS = (
    "Each fit has only the rows of its line; the published staircases draw fresh ones at each step."
)


def _settings(rows: list[Row]) -> str:
    """Return what the fits had."""
    n, steps = rows[0]["rows"], rows[0]["steps"]
    kept = (
        "each package's defaults" if steps is None else f"at most {steps} steps: not to be quoted"
    )
    return f"{n} rows a file, {len({row['seed'] for row in rows})} seed(s) a task, {kept}."


def _verdicts(rows: list[Row]) -> list[str]:
    """Return how often an estimator doubted itself, and how far off it was then."""
    lines = []
    for (estimator,), fits in grouped(rows, "estimator").items():
        by_verdict = grouped([row for row in fits if row.get("verdict")], "verdict")
        said = [
            f"{verdict}: {len(group)} (MAE {number(fmean(abs(value(row) - row['truth']) for row in group), 3)})"
            for (verdict,), group in sorted(by_verdict.items())
        ]
        if not said:
            continue
        lines.append(f"* verdicts of {estimator}, with the error of those fits: {', '.join(said)}")
        counts = {
            True: Counter(),
            False: Counter(),
        }  # by whether the error is large: fits, and those that are flagged
        for row in fits:
            error = abs(value(row) - row["truth"])
            if error > _FAR or error < _NEAR:
                counts[error > _FAR].update(["fits"] + ["flagged"] * (row.get("verdict") != "ok"))
        far, near = counts[True], counts[False]
        lines.append(
            f"* flagged, that is not `ok`: {far['flagged']} of {far['fits']} fits with an error above {_FAR},"
            f" {near['flagged']} of {near['fits']} with one below {_NEAR}"
        )
    return lines


def _versions(rows: list[Row]) -> list[str]:
    lines = []
    for estimator, found in summary(rows).items():
        if len(found["versions"]) > 1:
            lines.append(
                f"* **{estimator}: rows of {len(found['versions'])} versions of its code, run it with --redo.**"
            )
    return [
        *lines,
        "* "
        + ", ".join(
            sorted({name for found in summary(rows).values() for name in found["versions"]})
        ),
    ]
