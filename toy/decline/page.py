"""The report's section on the late decline, from rows alone."""

from __future__ import annotations

from matplotlib.figure import Figure

from mi_estimators.display import INK, Page, Table, colour, number
from mi_estimators.display.style import GREEN, PINK

from ..rows import Row, of

LOSSES = (
    ("dpo", "DPO at β", colour("dpo")),
    ("mio_gradient", "MIO at 2β", PINK),
    ("mio_optimum", "MIO at β/2", GREEN),
)


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    rows = of(rows, "Decline")
    if not rows:
        return

    page.heading("The late decline: the chosen response rises, turns and falls")
    page.figure(
        "decline",
        decline_figure(rows),
        """ln π/π_ref of the chosen response under the exact flow of DPO at β and of MIO, a panel for each β; one
        feature a response, φ = 1 (chosen), 0 (rejected) and 2 (in no pair), π_ref = (0.3, 0.6, 0.1). MIO at 2β has
        DPO's first gradient, MIO at β/2 DPO's optimum for weak preferences. Points: the flow of the library's loss.
        Curve: DPO's closed form. Dotted: t*, where the mean of h_y = ⟨φ_y, φ_w − φ_l⟩ under the policy is h_w (theorem
        late_decline). To see: DPO lifts the chosen response at first, as its margin has to grow; then the third
        response, whose feature points further in the same direction, takes the mass. β changes the clock and not the
        path, so the turn is equally high in every panel. MIO moves on the same path, as one feature leaves no other;
        but it comes to rest (at 2β = 2 at 0.145, at small β only far below 0), where DPO falls for ever.""",
    )
    page.table("The turn", turns(rows))


def decline_figure(rows: list[Row]) -> Figure:
    """The chosen log-ratio over time, a panel a β."""
    figure = Figure(figsize=(3.6 * len(rows) + 1.2, 3.6), layout="constrained")
    for axes, row in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        times, expected = row["theory"]["time"], row["theory"]
        axes.plot(times, expected["z_chosen"], color=colour("dpo"), lw=1)
        for name, text, tint in LOSSES:
            values = row["measured"][name]["z_chosen"]
            axes.plot(times, values, "o", ms=2.5, color=tint, label=text)
        axes.axvline(expected["turn"], color=INK, lw=1, ls=":")
        axes.axhline(0, color=INK, lw=0.5)
        axes.set(xlabel="time", title=f"β = {row['spec']['beta']:g}")

    figure.axes[0].set_ylabel("$\\ln π/π_{ref}$ of the chosen")
    figure.axes[0].legend()
    return figure


def turns(rows: list[Row]) -> Table:
    """When DPO's chosen response turns and how high it gets: measured and in theory."""
    body = [
        (
            f"{row['spec']['beta']:g}",
            number(row["measured"]["dpo"]["turn"]),
            number(row["theory"]["turn"]),
            number(row["measured"]["dpo"]["highest"]),
            number(row["theory"]["highest"]),
        )
        for row in rows
    ]

    return Table(("β", "time of the turn", "t*", "highest z_w", "in theory"), body)
