"""The report's section on the staircase, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Page, Table, number

from ..rows import Row, of
from . import figures
from .run import readout_of


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    for row in of(rows, "Staircase")[:1]:
        _section(page, row)


def _section(page: Page, row: Row) -> None:
    spec, theory = row["spec"], row["theory"]
    width = figures.width(row)
    late = figures.count(row) - int((1 - spec["late"]) * figures.count(row))
    page.heading("The staircase: every estimator as the information climbs")
    page.figure(
        "staircase",
        figures.stairs_figure(row),
        f"""{spec["dim"]} pairs of normals whose information climbs through {", ".join(f"{v:g}" for v in spec["nats"])}
        nats (stairs), {spec["steps"]} steps of Adam each on fresh batches of {spec["batch"]}; separable critics,
        {spec["replicas"]} for each objective and map, with batches of their own, trained on from level to level.
        Coloured: what each row of mi.ESTIMATORS reads from the batch it is about to be trained on, y as it is or
        mapped (asinh or cube of every coordinate; a random rotation of all; the cube, rotated), which leaves I;
        running medians of {width} readings, median of the replicas; the band spans the replicas of plain y.
        Grey: what T = ln dP/dQ itself reads from the same batches, the same under every map. Dashed for InfoNCE:
        its ceiling ln {spec["batch"]} = {theory["ceiling"]:.2f}. Values below −1 are cut off. To see: where grey leaves
        the stairs, the read-out errs; where colour leaves grey, the critic does. DV and SMILE overstate at high
        information even with the ideal critic (so does NWJ's median; its mean is exact, because of rare deep drops).
        InfoNCE and the certificate understate; the bridge (js, relative) and the plug-in keep to I. The critics are
        small and take few steps: all fall short from 2 nats on, most where y is cubed. Those trained by NWJ or MINE
        fall behind for good from 6 nats; those trained by JS or the α-relative DV follow. JS's critic read by NWJ
        shows what the critic gets wrong on rare pairs of large score.""",
    )

    page.figure(
        "staircase_control",
        figures.control_figure(row),
        f"""What an ideal critic, T = ln dP/dQ, reads from one batch of {spec["batch"]}: bias (left) and variance
        (right) of every read-out, over the {late} last readings of a level and {spec["replicas"]} replicas; open
        points, the critic trained for it, plain y (for a read-out with several objectives the first of mi.ESTIMATORS),
        bars two standard errors of its bias over the replicas. Dashed: NWJ's and the plug-in's exact variance; their
        exact bias is 0 (axis linear within 0.1). To see: NWJ's sampled variance falls short of the exact one from 4
        nats on, for the pairs that would carry it are not met in so many batches. DV and SMILE overstate more and more,
        InfoNCE tends to its ceiling, and the bridge and the plug-in of the ideal critic stay right. A trained critic's
        small variance says nothing of its bias.""",
    )

    page.table(
        "Plain y: trained critics, and the ideal one on the same batches", summaries(row, "none")
    )
    page.text("""Variance: of single readings, all replicas pooled.""", soft=True)

    for name in spec["maps"]:
        if name != "none":
            page.table(f"y mapped by {name}", summaries(row, name), folded=True)


def summaries(row: Row, kind: str) -> Table:
    """Estimate, bias, variance and mean squared error of every row of `mi.ESTIMATORS` at every level."""
    body, measured = [], row["measured"]
    for name, maps in measured["summary"].items():
        ideal = measured["control_summary"][readout_of(name)]
        for nats, *moments in zip(row["spec"]["nats"], maps.get(kind, ()), ideal, strict=False):
            bias, _, _, error = moments[0]
            spread = "" if error is None else f" ± {error:.2f}"
            estimate = "none" if bias is None else f"{nats + bias:.2f}{spread}"
            cells = [
                "none" if value is None else number(value, 3)
                for values in moments
                for value in values[:3]
            ]
            body.append((name, f"{nats:g}", estimate, *cells))

    three = ("bias", "variance", "MSE")
    head = ("estimator", "I", f"estimate ± s.e. of {row['spec']['replicas']} replicas", *three)
    return Table((*head, *(f"ideal: {text}" for text in three)), body)
