"""The report's section on a critic that starves in training, from rows alone."""

from __future__ import annotations

from mi_estimators.display import Page, Table, label, number

from ...rows import Row, of
from .figures import FLOOR, error_figure, training_figure


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    for row in of(rows, "CriticStarvation")[:1]:
        _section(page, row)


def _section(page: Page, row: Row) -> None:
    spec, theory = row["spec"], row["theory"]
    page.heading("Starvation of a critic: few negatives carry the information")
    page.text(
        f"""y is x with probability {spec["copy"]:g}, else drawn anew, of K equally likely symbols. All the information
        is in the region A = (x = y), whose mass under the product law is ε = 1/K and under the joint law about
        {spec["copy"]:g}. A critic with one value in A and one off it starts at 0 and ascends each objective on fresh
        batches of {spec["batch"]} positives and M = {spec["batch"]} independent negatives, {spec["steps"]} steps of
        plain gradient ascent at rate {spec["learning_rate"]:g}, {spec["replicas"]} replicas; the α-relative law has α =
        {spec["mix"]:g}. A batch is two counts, so that the mean gradient over all batches is known exactly: theory is
        the flow along it for the same time."""
    )

    page.figure(
        "critic_starvation",
        error_figure(row),
        f"""Against the expected number Mε of negatives in A (rarer to the right). Left: I − DV(T) = KL(P‖Q_T) of the
        trained critic on the law itself, the same yardstick for all; points and bars are the median and quartiles of
        the replicas, lines the flow along the exact mean gradient (MINE: along DV's on the law itself). A line that is
        not drawn lies below {FLOOR:g}: that objective is right on average, and its points show the noise of the steps
        alone. Middle: what the batches report late in training, less I (DV for DV, MINE, JS and the α-relative law),
        on the same lines; the axis is linear between −0.1 and 0.1. Right: share of batches without a negative in A, on
        (1 − ε)^M, and ESS/M of e^T: mean over batches at T = ln dP/dQ (line), of JS's critic late in training (points),
        and the population value (dotted). To see: where (1 − ε)^M passes 1 − P(A) (grey line) DV's mean gradient has no
        zero left, and its critic and its reported value run off; MINE, NWJ, JS and InfoNCE keep ln dP/dQ as their zero
        and differ in noise and speed: JS is late where A is rare, its weights being at most 1. The α-relative critic
        never runs off but stops short. ESS/M looks healthy exactly where the negatives in A are missed.""",
    )

    page.figure(
        "critic_starvation_training",
        training_figure(row),
        f"""Over the steps, at K = {spec["shown"]}. Left: I − DV(T), median and quartiles; dashed, the flow along the
        exact mean gradient, where it is above {FLOOR:g}. Middle: share of the negatives' weights on ∇T that lies in A,
        mean over replicas, a running mean of five points; dotted, its exact mean at T = ln dP/dQ. Right: ESS/M of e^T,
        mean over replicas likewise; dotted, its exact mean at T = ln dP/dQ. To see: in a batch that holds a
        negative in A, that one negative takes all of the runaway DV's weight and most of MINE's, NWJ's and InfoNCE's,
        and in the other batches there is none; JS spreads its weight, for no sample can weigh more than 1/M, and so is
        the slowest. The α-relative critic is at rest away from ln dP/dQ, so that its weights are not the dotted
        ones: in a batch without a negative in A its denominator holds A's positives alone.""",
    )

    page.table("End of training: medians over replicas", gaps(row))
    page.text(
        f"""T(A) − T(off A) is to be {", ".join(number(d, 3) for d in theory["difference"])} for K =
        {", ".join(map(str, spec["symbols"]))}. DV's has no limit where (1 − ε)^M ≥ 1 − P(A): it grows as long as one
        trains."""
    )


def gaps(row: Row) -> Table:
    """One line for each law and objective."""
    spec, body = row["spec"], []
    for k, count in enumerate(spec["symbols"]):
        law = (f"{count}", f"{spec['batch'] / count:.3g}", number(row["theory"]["nats"][k]))
        for name in spec["objectives"]:
            measured, theory = row["measured"][name], row["theory"][name]
            cells = [
                f"{number(measured[key][k][1], 3)} ({number(theory[key][k], 3)})"
                for key in ("gap", "difference", "value")
            ]
            share = f"{measured['inside'][k]:.3f} ({theory['inside'][k]:.3f})"
            body.append((*law, label(name), *cells, share))

    head = ("I − DV(T)", "T(A) − T(off A)", "reported", "weight in A, at ln dP/dQ")
    return Table(("K", "Mε", "I", "objective", *(f"{text} (theory)" for text in head)), body)
