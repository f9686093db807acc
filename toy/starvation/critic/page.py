"""The report's section on a critic that starves in training, from rows alone."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mi_estimators.display.page import Page
from mi_estimators.display.style import COLOURS, GREEN, INK, NAMES, RED
from mi_estimators.display.table import Table, number

from ...rows import Row, of

_MARKERS = {"dv": "o", "mine": "s", "nwj": "^", "js": "D", "infonce": "v", "relative": "P"}
_FLOOR = 1e-5  # nats, below which a gap is not drawn


def section(page: Page, rows: list[Row]) -> None:
    """Write the section; nothing without its rows."""
    found = of(rows, "CriticStarvation")
    if not found:
        return
    row = found[0]
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
        not drawn lies below {_FLOOR:g}: that objective is right on average, and its points show the noise of the steps
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
        exact mean gradient, where it is above {_FLOOR:g}. Middle: share of the negatives' weights on ∇T that lies in A,
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


def _expected(row: Row) -> np.ndarray:
    return row["spec"]["batch"] / np.array(row["spec"]["symbols"], dtype=float)


def error_figure(row: Row) -> Figure:
    """Gap, reported value, and missed mass with ESS/M, against Mε."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    spec, measured, theory = row["spec"], row["measured"], row["theory"]
    x, nats = _expected(row), np.array(theory["nats"])
    for k, name in enumerate(spec["objectives"]):
        colour, at = COLOURS[name], x * 1.04 ** (k - 2.5)  # side by side
        line = np.array(theory[name]["gap"])
        panels[0].plot(x, np.where(line > _FLOOR, line, np.nan), color=colour, lw=1.2)
        panels[1].plot(x, np.array(theory[name]["value"]) - nats, color=colour, lw=1.2)
        for axes, key, less in ((panels[0], "gap", 0), (panels[1], "value", nats)):
            low, middle, high = np.array(measured[name][key]).T - less
            style = {"color": colour, "fmt": _MARKERS[name], "ms": 4, "capsize": 2, "lw": 1}
            axes.errorbar(
                at, middle, yerr=[middle - low, high - middle], label=NAMES[name], **style
            )
    panels[0].set(
        yscale="log",
        ylim=(_FLOOR, None),
        ylabel="I − DV(T) on the law, nats",
        title="Error of the critic",
    )
    panels[1].set_yscale("symlog", linthresh=0.1)
    panels[1].set(ylabel="reported − I, nats", title="Error of the reported value")
    first = spec["objectives"][0]
    panels[2].plot(x, theory["missed"], color=RED, label="no negative in A: $(1 − ε)^M$")
    panels[2].plot(x, measured[first]["missed"], "o", color=RED, ms=4, label="share of the batches")
    panels[2].plot(x, theory["ess"], color=GREEN, label="ESS/M at ln dP/dQ, exact mean")
    steady = "js" if "js" in spec["objectives"] else first
    panels[2].plot(x, measured[steady]["ess"], "D", color=GREEN, ms=4, label="JS's critic")
    panels[2].plot(x, theory["ess_limit"], ":", color=GREEN, label="ESS/M, population")
    panels[2].set(ylim=(0, 1.02), title="What a batch misses, and its ESS")
    for axes in panels:
        axes.set(xscale="log", xlabel="Mε, expected negatives in A")
        axes.invert_xaxis()
        limit = crossing(row)
        if limit is not None:
            axes.axvline(limit, color=INK, alpha=0.45, lw=1, ls="-.")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower left", ncols=6, columnspacing=1, handletextpad=0.3
    )
    panels[2].legend(loc="upper left", fontsize=7.5)
    return figure


def crossing(row: Row) -> float | None:
    """Return the Mε at which (1 − ε)^M = 1 − P(A), between the laws of the row; None if it is not among them."""
    x, excess = (
        _expected(row),
        np.array(row["theory"]["missed"]) + np.array(row["theory"]["hit"]) - 1,
    )
    if excess[0] >= 0 or excess[-1] <= 0:
        return None
    return float(np.exp(np.interp(0, excess, np.log(x))))


def training_figure(row: Row) -> Figure:
    """Gap, share of the negatives' weight in A and ESS/M over the steps, at one law."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 3)
    spec, theory = row["spec"], row["theory"]
    at = spec["symbols"].index(spec["shown"])
    for name in spec["objectives"]:
        measured, colour = row["measured"][name], COLOURS[name]
        width = min(5, len(measured["step"]))
        low, middle, high = np.array(measured["gap_curve"]).T
        panels[0].plot(measured["step"], middle, color=colour, label=NAMES[name], lw=1.2)
        panels[0].fill_between(measured["step"], low, high, color=colour, alpha=0.15, lw=0)
        line = np.array(theory[name]["gap_curve"])
        time = np.array(theory[name]["time"]) / spec["learning_rate"]
        panels[0].plot(time, np.where(line > _FLOOR, line, np.nan), "--", color=colour, lw=1)
        panels[1].axhline(theory[name]["inside"][at], color=colour, ls=":", lw=1.2)
        for axes, key in ((panels[1], "inside_curve"), (panels[2], "ess_curve")):
            smooth = np.convolve(measured[key], np.full(width, 1 / width), "valid")
            axes.plot(
                measured["step"][width // 2 : width // 2 + len(smooth)], smooth, color=colour, lw=1
            )
    panels[2].axhline(theory["ess"][at], color=INK, ls=":", lw=1.2)
    panels[0].set(
        yscale="log",
        ylim=(_FLOOR, None),
        ylabel="I − DV(T) on the law, nats",
        title="Error of the critic",
    )
    panels[1].set(ylim=(0, None), title="Negatives' weight in A")
    panels[2].set(ylim=(0, 1.02), title="ESS/M")
    for axes in panels:
        axes.set_xlabel("step")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def gaps(row: Row) -> Table:
    """One line for each law and objective."""
    spec, body = row["spec"], []
    for k, count in enumerate(spec["symbols"]):
        for name in spec["objectives"]:
            measured, theory = row["measured"][name], row["theory"][name]
            body.append(
                (
                    f"{count}",
                    f"{spec['batch'] / count:.3g}",
                    number(row["theory"]["nats"][k]),
                    NAMES[name],
                    *(
                        f"{number(measured[key][k][1], 3)} ({number(theory[key][k], 3)})"
                        for key in ("gap", "difference", "value")
                    ),
                    *(f"{measured[key][k]:.3f} ({theory[key][k]:.3f})" for key in ("inside",)),
                )
            )
    head = (
        "K",
        "Mε",
        "I",
        "objective",
        "I − DV(T)",
        "T(A) − T(off A)",
        "reported",
        "weight in A, at ln dP/dQ",
    )
    return Table((*head[:4], *(f"{text} (theory)" for text in head[4:])), body)
