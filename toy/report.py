"""The report: what each experiment measured, and what theory says, from rows alone."""

from __future__ import annotations

from pathlib import Path

from mi_estimators.display import Page, Table, theme

from . import experiment, explorer, lead, logs
from .rows import Row

FILE = "report.html"


def build(rows: list[Row], folder: Path) -> Page:
    """Write report.html and the figures of these rows, and of what other rooms left in the folder; return the page.

    Raises:
        ValueError: a folder with nothing to report.
    """
    page = Page("What mutual-information bounds and preference losses do")
    with theme():
        lead.section(page)
        if rows:
            _lab(page, rows)
        _other_rooms(page, folder)

    if len(page.parts) == page.opening:
        raise ValueError(
            f"out: expected results or runs in {folder}, got none; run `python -m toy demo` first"
        )

    page.write(folder / FILE)
    return page


def summary(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return the main numbers of all experiments: quantity, measured, theory."""
    return [line for row in experiment.experiments().values() for line in row.summary(rows)]


def _lab(page: Page, rows: list[Row]) -> None:
    versions = sorted({", ".join(f"{k} {v}" for k, v in row["versions"].items()) for row in rows})
    seconds = sum(row["seconds"] for row in rows)
    page.text(
        """Small exact experiments, every number beside the theory's. Information in nats; time in units of learning
        rate × step."""
    )
    page.text(
        f"""{len(rows)} experiments of the {rows[0]["suite"]} suite, seed {rows[0]["seed"]}, {seconds:.0f} s of
        computing; {"; ".join(versions)}.""",
        soft=True,
    )

    if rows[0]["suite"] == "quick":
        page.text(
            "A quick run: its numbers are rough, and the captions say what the full suite shows."
        )

    page.table("The main numbers", Table(("what", "measured", "theory"), summary(rows)))
    for row in experiment.experiments().values():
        for section in row.sections:
            section(page, rows)

    explorer.section(page)


def _other_rooms(page: Page, folder: Path) -> None:
    ledger, runs = logs.read_ledger(folder), logs.read_runs(folder)
    if runs:
        page.heading("The same losses on a language model")
        page.figure(
            "language_model",
            logs.runs_figure(runs),
            """Left panels, one a run: mean rewards β ln π/π_ref of the chosen (solid) and rejected (dashed) responses
            over training steps, with the anchor and the no-collapse interval where theory has them. Right: training
            losses, their start at zero scores (dotted) and their floor (dash-dotted). Values are minibatch means as
            logged; the interval is a statement about means over the whole training set. To see: whether chosen and
            rejected rewards move together (DPO's loss does not see it) or the chosen one keeps to its anchor.""",
        )

        for words in map(logs.in_words, runs):
            page.text(words)
        page.table("Runs", logs.runs_table(runs))

    if ledger:
        page.heading("The theorems")
        page.text(
            """Each was checked by machine for this page. A line is a theorem; open it for the statement. Tiers:
            symbolic, for all values of the symbols; certified, inequalities by ball arithmetic; tested, a search
            found no counterexample; + hand, a step is left to the reader.""",
            soft=True,
        )
        page.html(logs.ledger_lines(ledger))
