"""The rows as markdown tables, and the numbers that the figures draw."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from statistics import fmean, median, stdev, variance

from mi_estimators.display import Table

from .plan import Row
from .suites import TASKS, TEN, Task

OURS = "mi-estimators"
LEVEL = 0.02  # nats behind another estimator that count as level
DASH = "–"

_FAR, _FAR_SHARE = 0.3, 0.2  # nats and share of the truth: an error beyond both is wrong
# An error is small below 5 %, below 0.02 nats where the truth is < 0.1.
_NEAR_SHARE, _NEAR, _LITTLE = (
    0.05,
    0.02,
    0.1,
)


def value(row: Row, name: str = "estimate") -> float:
    """Return a number of a row; one that was not finite is stored as null and counts as infinitely wrong."""
    return math.inf if row[name] is None else row[name]


def error(row: Row) -> float:
    """Return |estimate − truth| in nats."""
    return abs(value(row) - row["truth"])


def is_wrong(row: Row) -> bool:
    """Return whether the error is above 0.3 nats and above 20 % of the truth."""
    return error(row) > max(_FAR, _FAR_SHARE * row["truth"])


def is_right(row: Row) -> bool:
    """Return whether the error is below 5 % of the truth, or below 0.02 nats for a truth below 0.1."""
    return error(row) < (_NEAR if row["truth"] < _LITTLE else _NEAR_SHARE * row["truth"])


def is_beyond(row: Row) -> bool:
    """Return whether the truth is above ln n, which no estimate from n rows can certify."""
    return row["truth"] > math.log(row["rows"])


def expected(row: Row) -> tuple[str, ...]:
    """Return the verdicts that are right for the law whatever the number; none where the error decides."""
    task: Task | None = TASKS.get(row["task"])
    return () if task is None else task.expects


def covers(row: Row) -> bool:
    """Return whether the interval holds the truth; an end that was not finite is stored as null and is open."""
    low, high = row["interval"]
    above = low is None or low <= row["truth"]
    below = high is None or row["truth"] <= high
    return above and below


def grouped(rows: list[Row], *names: str) -> dict[tuple, list[Row]]:
    """Return the rows that hold a fit, by the values of these fields, in their order."""
    groups = defaultdict(list)
    for row in rows:
        if "error" not in row:
            groups[tuple(row[name] for name in names)].append(row)
    return dict(groups)


def summary(rows: list[Row]) -> dict[str, dict]:
    """Return the summary of each estimator, those of all tasks first, then by mean absolute error.

    Keys: fits, tasks (numbers of them), mae, worst, relative (median relative error where the truth is above 0),
    reported_mae, optimism, covered, intervals, cpu_seconds, spread, fresh (whether the estimate was read on fresh
    rows), versions; None where it does not apply.
    """
    table = {}
    for (estimator,), fits in grouped(rows, "estimator").items():
        reported = [abs(value(row, "reported") - row["truth"]) for row in fits]
        relative = [error(row) / row["truth"] for row in fits if row["truth"] > 0]
        read_again = [
            row for row in fits if row["held_out"] is not None and row["reported"] is not None
        ]
        intervals = [row for row in fits if row["interval"] is not None]

        table[estimator] = {
            "fits": len(fits),
            "tasks": len({row["task"] for row in fits}),
            "mae": fmean(map(error, fits)),
            "worst": max(map(error, fits)),
            "relative": median(relative) if relative else None,
            "reported_mae": fmean(reported),
            "optimism": fmean(row["reported"] - row["held_out"] for row in read_again)
            if read_again
            else None,
            "covered": sum(map(covers, intervals)),
            "intervals": len(intervals),
            "cpu_seconds": fmean(row["cpu_seconds"] for row in fits),
            "spread": _spread(fits),
            "fresh": any(row["fresh"] for row in fits),
            "versions": sorted({row["version"] for row in fits}),
        }

    order = sorted(table.items(), key=lambda item: (-item[1]["tasks"], item[1]["mae"]))
    return dict(order)


def _spread(fits: list[Row]) -> float | None:
    """Return the mean standard deviation over the seeds of a task; None where no task has several estimates."""
    spreads = [
        stdev(row["estimate"] for row in group)
        for group in grouped(fits, "task").values()
        if len(group) > 1 and all(row["estimate"] is not None for row in group)
    ]
    return fmean(spreads) if spreads else None


def number(x: float | None, digits: int = 2) -> str:
    """Return a number as text, to `digits` decimals below 100; a dash for None."""
    if x is None:
        return DASH
    if math.isinf(x):
        return "∞"
    return f"{x:.{digits}f}" if abs(x) < 100 else f"{x:.0f}"


def share(part: int, whole: int) -> str:
    """Return "3 of 4 (75 %)"."""
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")


def estimates(rows: list[Row]) -> str:
    """Return the mean estimate over seeds, a row an estimator, a column a task."""
    truths: dict[str, float] = {row["task"]: row["truth"] for row in rows}
    cells = grouped(rows, "estimator", "task")
    body = [["**truth**", *(f"**{number(truth)}**" for truth in truths.values())]]

    for estimator in summary(rows):
        means = [cells.get((estimator, task)) for task in truths]
        numbers = (number(fmean(map(value, fits)) if fits else None) for fits in means)
        body.append([estimator, *numbers])

    head = ["nats", *(TEN.get(task, task) for task in truths)]
    return Table(head, body).markdown(left=1)


def laws(rows: list[Row]) -> str:
    """Return a row a law: what it is, the mean estimate of each estimator, and how those with verdicts came out."""
    estimators = list(summary(rows))
    with_verdict = [row for row in rows if row.get("verdict")]
    shown = list(grouped(with_verdict, "estimator"))[:1]
    judged = grouped(
        [row for row in with_verdict if (row["estimator"],) in shown],
        "task",
        "rows",
    )
    cells = grouped(rows, "task", "rows", "estimator")

    head = ["law", "columns", "n", "copula", "truth", *estimators]
    head += ["worst", "interval covers", "CPU s", "verdicts"] if judged else []

    body = []
    for (name, n), fits in grouped(rows, "task", "rows").items():
        task = TASKS.get(name)
        columns = "{} + {}".format(*task.columns) if task else DASH
        means = [cells.get((name, n, estimator)) for estimator in estimators]
        line = [name, columns, str(n), (task and task.copula) or DASH, number(fits[0]["truth"], 3)]
        line += [number(fmean(map(value, of)), 3) if of else DASH for of in means]
        ours = judged.get((name, n), [])

        if ours:
            line += [
                number(max(map(error, ours))),
                f"{sum(map(covers, ours))} of {len(ours)}",
                number(fmean(row["cpu_seconds"] for row in ours), 1),
                _counted(ours),
            ]

        body.append([*line, *[DASH] * (len(head) - len(line))])

    return Table(head, body).markdown(left=1)


def beside(rows: list[Row]) -> str:
    """Return a row a law: our mean absolute error and that of the best other estimator, and how often we are level."""
    cells = grouped(rows, "task", "rows", "estimator")
    body, level, first = [], 0, 0
    for name, n in grouped(rows, "task", "rows"):
        errors = {
            key[2]: fmean(map(error, of)) for key, of in cells.items() if key[:2] == (name, n)
        }
        others = {key: off for key, off in errors.items() if not key.startswith(OURS)}
        if OURS not in errors or not others:
            continue

        best = min(others, key=others.__getitem__)
        ahead = others[best] - errors[OURS]
        level, first = level + (ahead >= -LEVEL), first + (ahead >= 0)
        truth = cells[name, n, OURS][0]["truth"]
        numbers = (number(v, 3) for v in (truth, errors[OURS], others[best], ahead))
        body.append([name, best, *numbers])

    head = ["law", "best other", "truth", "our error", "its error", "ahead by"]
    behind = f"Level with the best other, or at most {LEVEL} nats behind"
    counts = f"{behind}: {share(level, len(body))} laws. First: {share(first, len(body))}."

    return f"{Table(head, body).markdown(left=2)}\n\n{counts}" if body else ""


def levels(rows: list[Row]) -> str:
    """Return the mean absolute error at each information, a row an estimator and kind of law, then all kinds."""
    nats = sorted({round(row["truth"]) for row in rows})
    body = []
    for (estimator,), fits in grouped(rows, "estimator").items():
        kind_of = {row["task"]: row["task"].rsplit("-", 2)[0] for row in fits}
        for kind in [*dict.fromkeys(kind_of.values()), "all"]:
            chosen = [row for row in fits if kind in ("all", kind_of[row["task"]])]
            at = {
                level: [error(row) for row in chosen if round(row["truth"]) == level]
                for level in nats
            }
            means = (number(fmean(errors) if errors else None) for errors in at.values())
            body.append([estimator, kind, *means])

    return Table(["estimator", "law", *map(str, nats)], body).markdown(left=2)


def _counted(fits: list[Row]) -> str:
    verdicts = Counter(row["verdict"] for row in fits)
    return ", ".join(f"{verdict} {n}" for verdict, n in sorted(verdicts.items()))


def accuracy(rows: list[Row]) -> str:
    """Return the summary as a table."""
    head = ["estimator", "read on", "fits", "MAE", "worst", "median relative error"]
    head += ["MAE as reported", "optimism", "95 % interval covers", "CPU s a fit"]
    head += ["spread over seeds"]

    body = []
    for estimator, numbers in summary(rows).items():
        relative = numbers["relative"]
        body.append(
            [
                estimator,
                "fresh rows" if numbers["fresh"] else "as reported",
                str(numbers["fits"]),
                number(numbers["mae"], 3),
                number(numbers["worst"]),
                DASH if relative is None else f"{number(100 * relative, 1)} %",
                number(numbers["reported_mae"], 3),
                number(numbers["optimism"]),
                f"{numbers['covered']} of {numbers['intervals']}" if numbers["intervals"] else DASH,
                number(numbers["cpu_seconds"], 1 if numbers["cpu_seconds"] > 1 else 2),
                number(numbers["spread"], 3),
            ]
        )

    return Table(head, body).markdown(left=2)


def trust(rows: list[Row]) -> dict[str, list[Row]]:
    """Return the fits of one estimator that are asked about, by question.

    Laws whose information exceeds ln n are counted apart, because a closed form alone can carry such a reading, and
    laws whose verdict is known beforehand, too.
    """
    beyond = [row for row in rows if is_beyond(row)]
    known = [row for row in rows if expected(row)]
    within = [row for row in rows if not is_beyond(row) and not expected(row)]
    ok = [row for row in _ok(rows) if not is_beyond(row)]
    wrong = [row for row in rows if is_wrong(row)]
    right = [row for row in within if is_right(row) and row["verdict"] != "nothing_found"]

    return {
        "fits": rows,
        "ok": ok,
        "ok and covered": list(filter(covers, ok)),
        "wrong": wrong,
        "wrong and ok": _ok(wrong),
        "right": right,
        "right and flagged": [row for row in right if row["verdict"] != "ok"],
        "beyond ln n": beyond,
        "beyond ln n and ok": _ok(beyond),
        "known": known,
        "known and met": [row for row in known if row["verdict"] in expected(row)],
    }


def _ok(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["verdict"] == "ok"]


def verdicts(rows: list[Row]) -> str:
    """Return what the verdicts of each estimator were worth, as tables and lists of the fits that break a promise."""
    parts = []
    for (estimator,), fits in grouped(
        [row for row in rows if row.get("verdict")], "estimator"
    ).items():
        of = trust(fits)
        pairs: list[tuple[str, str, str]] = [
            ("wrong (above 0.3 nats and 20 %) and `ok`", "wrong and ok", "wrong"),
            ("interval of an `ok` fit holds the truth", "ok and covered", "ok"),
            ("right (within 5 %) but flagged, `nothing_found` aside", "right and flagged", "right"),
            ("`ok` beyond ln n", "beyond ln n and ok", "beyond ln n"),
            ("verdict known beforehand, and given", "known and met", "known"),
        ]

        wanted = ["none", "90–98 %", "≤ 5 %", DASH, "all"]
        body = [
            [text, share(len(of[part]), len(of[whole])), bar]
            for (text, part, whole), bar in zip(pairs, wanted, strict=True)
        ]
        parts.append(f"### {estimator}")
        parts.append(Table(["", "fits", "wanted"], body).markdown(left=1))

        by_verdict = [
            [
                name,
                str(len(group)),
                number(fmean(map(error, group)), 3),
                number(max(map(error, group))),
            ]
            for (name,), group in sorted(grouped(fits, "verdict").items())
        ]

        parts.append(Table(["verdict", "fits", "MAE", "worst"], by_verdict).markdown(left=1))

        missed = [row for row in of["ok"] if not covers(row)]
        unmet = [row for row in of["known"] if row["verdict"] not in expected(row)]
        for title, group in (
            ("Wrong and `ok`", of["wrong and ok"]),
            ("`ok`, but the interval misses the truth", missed),
            ("Right but flagged", of["right and flagged"]),
            ("Not the verdict that was known beforehand", unmet),
        ):
            if group:
                parts.append(f"{title}:\n\n" + "\n".join(map(_fit, group)))

    return "\n\n".join(parts)


def _fit(row: Row) -> str:
    low, high = row["interval"] or (None, None)
    ends = f"[{number(low, 3)}, {'∞' if high is None else number(high, 3)}]"
    text = f"* {row['task']}, seed {row['seed']}, n = {row['rows']}: {number(value(row), 3)} {ends}"
    return f"{text} of {number(row['truth'], 3)}, {row['verdict']}"


def staircase(rows: list[Row]) -> str:
    """Return estimate, bias, variance and mean squared error of each level."""
    head = ["truth", "estimator", "rows", "seeds", "estimate", "bias", "variance", "MSE"]
    head += ["95 % interval covers", "CPU s a fit", "verdicts"]

    body = []
    for (truth, estimator, n), fits in grouped(rows, "truth", "estimator", "rows").items():
        values = [value(row) for row in fits]
        finite, mean = not any(map(math.isinf, values)), fmean(values)
        intervals = [row for row in fits if row["interval"] is not None]
        judged = [row for row in fits if row.get("verdict")]
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
                f"{sum(map(covers, intervals))} of {len(intervals)}" if intervals else DASH,
                number(fmean(row["cpu_seconds"] for row in fits), 1),
                _counted(judged) or DASH,
            ]
        )

    return Table(head, body).markdown(left=1)


def page(
    title: str,
    rows: list[Row],
    stairs: list[Row],
    fits: int,
    command: str,
) -> str:
    """Return the tables with what is needed to read them.

    Args:
        title: of the page.
        rows: of the suite.
        stairs: of the staircase.
        fits: how many there are when all are done.
        command: that prints this page.
    """
    parts = [f"# {title}\n\nWritten by `{command}`."]
    failed = [
        f"* {row['estimator']}, {row['task']}, seed {row['seed']}: {row['error']}"
        for row in [*rows, *stairs]
        if "error" in row
    ]

    parts += [_settings(settled) for settled in [rows or stairs] if settled]
    if len(rows) + len(stairs) < fits:
        parts.append(f"**Not finished: {len(rows) + len(stairs)} of {fits} fits.**")
    if failed:
        parts.append("Fits that failed and are left out:\n\n" + "\n".join(failed))

    if any("error" not in row for row in rows):
        parts += _of_suite(rows)
    if any("error" not in row for row in stairs):
        parts.append(
            f"## Staircase: 20 pairs of correlated normals (Poole et al. 2019)\n\n{staircase(stairs)}\n\n{_STAIRS}"
        )

    return "\n\n".join(parts) + "\n"


def _of_suite(rows: list[Row]) -> Iterator[str]:
    """Yield the sections on a suite: the small one has few enough laws for a table of estimates."""
    small = {row["task"] for row in rows} <= set(TEN)
    if small:
        yield f"## Estimates, mean over seeds\n\n{estimates(rows)}"

    yield f"## Accuracy and cost\n\n{accuracy(rows)}"
    yield "\n".join([*_legend(rows), *_versions(rows)])
    if any(row.get("verdict") for row in rows):
        yield f"## Verdicts\n\n{verdicts(rows)}"
    if comparison := "" if small else beside(rows):
        yield f"## Beside the best other\n\n{comparison}"
    if {row["suite"] for row in rows} == {"grid"}:
        yield f"## Mean absolute error by nats\n\n{levels(rows)}"
    if not small:
        yield f"## Each law, mean over draws\n\n{laws(rows)}"


_NOTES: list[tuple[Callable[[Row], bool], str]] = [
    (
        lambda row: row["fresh"],
        '* read on: "as reported", what the call returned; "fresh rows", what the package trained, read again on 2500\n'
        "  rows that it never saw, because what it reports was read on rows that it was trained or selected on.\n"
        "  mi-estimators reads each row by a critic that was not trained on it, and reports that. KSG, CCA and\n"
        "  classifiers have no critic to read again.",
    ),
    (
        lambda row: True,
        "* MAE, worst: mean and largest |estimate − truth| over fits, in nats. MAE as reported: the same of what the\n"
        "  call returned. Median relative error: over fits of laws with information.",
    ),
    (
        lambda row: row["fresh"],
        "* optimism: mean of the reported value less the value on fresh rows, in nats.",
    ),
    (
        lambda row: row["interval"] is not None,
        "* 95 % interval covers: fits whose interval holds the truth; – where the package offers no interval.",
    ),
    (
        lambda row: True,
        "* CPU s a fit: of the process, one thread, after a short fit that is not counted.",
    ),
    (
        lambda row: row["estimator"].startswith("benchmark-mi"),
        "* benchmark-mi compiles its training step anew in each fit, which is counted.",
    ),
    (
        lambda row: row["seed"] > 0,
        "* spread over seeds: standard deviation over seeds, of new data and a new start each, averaged over tasks.",
    ),
    (
        lambda row: row["estimator"].startswith("scikit-learn"),
        "* scikit-learn's KSG takes one column a side and its classifiers take a label as y, so they have fewer fits;\n"
        "  they stand last whatever their error.",
    ),
]


def _legend(rows: list[Row]) -> list[str]:
    kept = [row for row in rows if "error" not in row]
    return [text for applies, text in _NOTES if any(map(applies, kept))]


_STAIRS = (
    "Each fit has only the rows of its line; the published staircases draw fresh ones at each step."
)


def _settings(rows: list[Row]) -> str:
    """Return what the fits had."""
    counts = sorted({row["rows"] for row in rows})
    steps = rows[0]["steps"]
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    kept = (
        "each package's defaults" if steps is None else f"at most {steps} steps: not to be quoted"
    )

    return f"{n} rows a file, {len({row['seed'] for row in rows})} seed(s) a task, {kept}."


def _versions(rows: list[Row]) -> list[str]:
    lines = []
    for estimator, numbers in summary(rows).items():
        if len(numbers["versions"]) > 1:
            lines.append(
                f"* **{estimator}: rows of {len(numbers['versions'])} versions of its code, run it with --redo.**"
            )

    return [
        *lines,
        "* "
        + ", ".join(
            sorted({name for numbers in summary(rows).values() for name in numbers["versions"]})
        ),
    ]
