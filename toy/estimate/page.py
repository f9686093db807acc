"""The report's section on estimates, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Page, Table

from ..rows import Row, of


def section(page: Page, rows: list[Row]) -> None:
    """Put the estimates with their intervals on the page; nothing without their rows."""
    if not of(rows, "Estimate"):
        return
    page.heading("One estimate with its interval")
    page.table("mi_estimators.estimate_mi on laws of known information", estimates(rows))
    page.text(
        """Invertible maps of x alone and of y alone leave the information as it is. The interval covers the bound at
        the trained critic; for a lower bound it is one for I only as far as the critic is right."""
    )


def _with_interval(row: Row) -> str:
    low, high = row["measured"]["interval"]
    return f"{row['measured']['nats']:.3f} [{low:.3f}, {high:.3f}]"


def estimates(rows: list[Row]) -> Table:
    """Held-out estimates beside the truth."""
    body = []
    for row in of(rows, "Estimate"):
        spec, measured, truth = row["spec"], row["measured"], row["theory"]["nats"]
        low, high = measured["interval"]
        body.append(
            (
                f"Gaussian, d = {spec['dim']}, n = {spec['rows']:,}",
                spec["transform"],
                spec["estimator"],
                _with_interval(row),
                f"{truth:.3f}",
                "yes" if low <= truth <= high else "no",
                "; ".join((measured["verdict"], *measured["warnings"])),
            )
        )

    head = ("law", "seen through", "estimator", "estimate [95 %], nats", "truth", "covered")
    return Table((*head, "verdict"), body)


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the lines of the report's head: each estimate beside the truth."""
    return [
        (
            f"information of a Gaussian law seen through: {row['spec']['transform']}",
            f"{_with_interval(row)} nats",
            f"{row['theory']['nats']:.3f}",
        )
        for row in of(rows, "Estimate")
    ]
