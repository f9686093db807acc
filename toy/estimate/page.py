"""The report's section on estimates, from rows alone."""

from __future__ import annotations

import math

from mi_estimators.display import Page, Table

from ..rows import Row, of


def section(page: Page, rows: list[Row]) -> None:
    """Put the estimates with their intervals on the page; nothing without their rows."""
    if not of(rows, "Estimate"):
        return

    page.heading("Estimates: easy, hard, refused")
    page.table("mi_estimators.estimate_mi on laws of known information", estimates(rows))
    page.text(
        """An easy law, a hard one, and rows that look informative and are not: neighbours of a random walk resemble one
        another, so a critic that learnt a row is tested on its neighbour. The value is wrong there, and the verdict
        says so and what to do."""
    )


def _with_interval(row: Row) -> str:
    low, high = (_end(end) for end in row["measured"]["interval"])
    return f"{row['measured']['nats']:.3f} [{low}, {high}]"


def _end(value: float | None) -> str:
    return "open" if value is None or math.isinf(value) else f"{value:.3f}"


def estimates(rows: list[Row]) -> Table:
    """Held-out estimates beside the truth."""
    body = []
    for row in of(rows, "Estimate"):
        spec, measured, truth = row["spec"], row["measured"], row["theory"]["nats"]
        low, high = measured["interval"]
        high = math.inf if high is None else high
        body.append(
            (
                f"{spec['law']}, n = {spec['rows']:,}",
                spec["estimator"],
                _with_interval(row),
                f"{truth:.3f}",
                "yes" if low <= truth <= high else "no",
                "; ".join((measured["verdict"], *measured["warnings"])),
            )
        )

    head = ("law", "estimator", "estimate [95 %], nats", "truth", "covered")
    return Table((*head, "verdict"), body)


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the lines of the report's head: each estimate beside the truth."""
    return [
        (
            f"information of {row['spec']['law']} ({row['measured']['verdict']})",
            f"{_with_interval(row)} nats",
            f"{row['theory']['nats']:.3f}",
        )
        for row in of(rows, "Estimate")
    ]
