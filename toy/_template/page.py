"""The report's section on a critic off by a constant, from rows alone."""

from __future__ import annotations

from matplotlib.figure import Figure

from mi_estimators.display import Page, colour, label

from ..rows import Row, of


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    for row in of(rows, "Shift")[:1]:
        page.heading("A critic off by a constant")
        page.figure(
            "shift",  # the name of its PNG and SVG
            shift_figure(row),
            # A caption stands alone: what is drawn, what theory says, what to see.
            f"""DV and NWJ at the critic ln dP/dQ + c on a law of {row["theory"]["nats"]:.2f} nats (horizontal line).
            Points: the library on the exact law. Curve: I − (eᶜ − 1 − c). To see: DV does not notice c, and NWJ loses
            c²/2 near 0.""",
        )


def shift_figure(row: Row) -> Figure:
    """Both bounds against the constant; theory as lines, measured as points."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    shifts, theory = row["spec"]["shifts"], row["theory"]
    for name in ("dv", "nwj"):
        points = row["measured"][name]
        axes.plot(
            shifts,
            points,
            "o",
            ms=3,
            color=colour(name),
            label=label(name),
        )

    axes.plot(shifts, theory["nwj"], color=colour("nwj"), lw=1)
    axes.axhline(theory["nats"], color=colour("dv"), lw=1)
    axes.set(xlabel="constant c added to ln dP/dQ, nats", ylabel="value, nats")
    axes.legend()

    return figure
