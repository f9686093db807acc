"""Tables of the on-policy experiment: one a question, few columns."""

from __future__ import annotations

from statistics import fmean
from typing import NamedTuple

from llm_adapter.evaluation.rates import bootstrap, pass_at_k, powers, wilson
from mi_estimators.display import Table, number

from . import plan

Rows = list[dict]
NONE = "not measured"
WITNESS = "GRPO"
"""Whose groups are counted: the arms of one seed draw the same first groups, which count once."""


def levels_of(rows: Rows) -> dict[float, dict]:
    """Return the rows of the levels of base success that were measured."""
    return {row["level"]: row for row in rows if row["arm"] == "level"}


def runs_of(rows: Rows, arm: str, level: float, group: int = 2) -> Rows:
    """Return an arm's runs from a level, by seed."""
    own = [
        row
        for row in rows
        if (row["arm"], row.get("level"), row.get("group")) == (arm, level, group)
    ]

    return sorted(own, key=lambda row: row["seed"])


def planned(size: plan.Size) -> dict[tuple[str, int], list[float]]:
    """Return the levels at which each arm is planned, by the size of its groups."""
    levels: dict[tuple[str, int], list[float]] = {}
    for run in plan.runs(size):
        own = levels.setdefault((run.arm, run.group), [])
        if run.level not in own:
            own.append(run.level)

    return levels


def rounds_to_half(row: dict) -> str:
    """Return the round after which a run stood at ½; "> n" for one that ended before."""
    return str(row["until_half"]) if row["until_half"] else f"> {row['rounds']}"


def escapes(rows: Rows, size: plan.Size) -> str:
    """Return the rounds until success ½ at each level, seed by seed."""
    body = []
    for (arm, group), wanted in planned(size).items():
        cells = []
        for level in plan.LEVELS:
            own = map(rounds_to_half, runs_of(rows, arm, level, group))
            cells.append(", ".join(own) or (NONE if level in wanted else "–"))

        body.append([arm, str(group), *cells])

    levels = levels_of(rows)
    heads = [
        f"ε = {levels[level]['success']:.3f}" if level in levels else f"ε near {level:g}"
        for level in plan.LEVELS
    ]

    return Table(["arm", "group", *heads], body).markdown()


class Stretch(NamedTuple):
    """How much longer escapes take from a lower level than on average from the highest: a number a run.

    `ended` is whether some run from the lower level ended before ½, whose number is then a lower end. `theorem` is
    the theorem's ratio at the measured levels, None where there is no theorem.
    """

    ratios: list[float]
    ended: bool
    theorem: float | None


def stretch(rows: Rows, name: str, level: float) -> Stretch | None:
    """Return how much longer an arm's escapes take from a level; None without runs or escapes from the highest."""
    levels, first = levels_of(rows), plan.LEVELS[0]
    near, far = runs_of(rows, name, first), runs_of(rows, name, level)
    rounds = [row["until_half"] for row in near]
    if not far or not near or not all(rounds) or not {first, level} <= levels.keys():
        return None

    unit = fmean(rounds)
    times = [plan.ARMS[name].time(levels[x]["success"], 2) for x in (first, level)]
    return Stretch(
        [(row["until_half"] or row["rounds"]) / unit for row in far],
        not all(row["until_half"] for row in far),
        times[1] / times[0] if times[0] and times[1] else None,
    )


def ratios(rows: Rows, size: plan.Size) -> str:
    """Return how much longer an escape takes from a lower level, measured and by the theorems.

    The mean over seeds of the rounds until ½, over that at the highest level; the lowest and the highest seed stand
    behind it. The theorem's ratio is at the measured levels; its unit of time cancels.
    """
    levels, body = levels_of(rows), []
    for name in (arm for arm, group in planned(size) if group == 2):
        for level in plan.LEVELS[1:]:
            if not {plan.LEVELS[0], level} <= levels.keys():
                continue

            epsilons = [levels[x]["success"] for x in (plan.LEVELS[0], level)]
            measured = stretch(rows, name, level)
            cell, theory = NONE, "–"
            if measured:
                values = measured.ratios
                over = "> " if measured.ended else ""
                cell = f"{over}{fmean(values):.1f} ({min(values):.1f} to {max(values):.1f})"
                theory = number(measured.theorem, 3) if measured.theorem else "none"

            body.append(
                [name, f"{epsilons[1]:.3f}", cell, theory, number(epsilons[0] / epsilons[1], 3)]
            )

    head = ["arm", "ε", "times as many rounds as from the highest ε", "theorem", "ratio of the 1/ε"]
    return Table(head, body).markdown() if body else NONE


def without_gradient(own: Rows) -> tuple[float, float, float]:
    """Return the share of the first groups of runs that have no gradient, with Wilson's interval."""
    total, dead = (sum(row["first"][k] for row in own) for k in (0, 1))
    return dead / total, *wilson(dead, total)


def dead_groups(rows: Rows) -> str:
    """Return the share of the plain runs' first groups that have no gradient, beside the theorem's."""
    body = []
    for level, measured in levels_of(rows).items():
        for group in sorted({row["group"] for row in rows if "first" in row}):
            own = runs_of(rows, WITNESS, level, group)
            if not own:
                continue

            share, low, high = without_gradient(own)
            body.append(
                [f"{measured['success']:.3f}", str(group), str(len(own)),
                 f"{share:.3f} [{low:.3f}, {high:.3f}]",
                 f"{measured['zero_gradient'][str(group)]:.3f}"]
            )  # fmt: skip

    head = ["ε", "group", "runs", "measured", "(1 − ε)ⁿ + εⁿ, mean over questions"]
    return Table(head, body).markdown() if body else NONE


def sharpening(rows: Rows, size: plan.Size) -> str:
    """Return what training adds to pass@1 and to pass@k, with a bootstrap over questions."""
    body = []
    for (arm, group), levels in planned(size).items():
        for level in levels:
            own = runs_of(rows, arm, level, group)
            if not own:
                continue
            cells = [gain(own, k) for k in (1, powers(own[0]["samples"])[-1])]
            body.append([arm, str(group), f"{level:g}", str(len(own)), *cells])

    k = powers(size.eval_samples)[-1]
    head = ["arm", "group", "ε near", "seeds", "pass@1 after − before", f"pass@{k} after − before"]
    return Table(head, body).markdown() if body else NONE


def gains(own: Rows, k: int) -> list[float]:
    """Return the gain of pass@k of each question, the mean over seeds."""
    samples, count = own[0]["samples"], min(len(row["after"]) for row in own)
    return [
        fmean(
            pass_at_k(row["after"][q], samples, k) - pass_at_k(row["before"][q], samples, k)
            for row in own
        )
        for q in range(count)
    ]


def gain(own: Rows, k: int) -> str:
    """Return the mean gain of pass@k over questions with its bootstrap interval."""
    values = gains(own, k)
    low, high = bootstrap(values)
    return f"{fmean(values):+.3f} [{low:+.3f}, {high:+.3f}]"


def tables(rows: Rows, size: plan.Size) -> str:
    """Return all tables as Markdown."""
    parts = {
        "Rounds of 16 questions until success ½, a number a seed": escapes(rows, size),
        "How escape grows as base success falls": ratios(rows, size),
        "Groups without a gradient": dead_groups(rows),
        "Who reaches, who sharpens": sharpening(rows, size),
    }

    return "\n\n".join(f"**{title}**\n\n{table}" for title, table in parts.items())
