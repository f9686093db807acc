"""What opens the report: three sentences and one figure, from closed forms alone."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

from mi_estimators import theory
from mi_estimators.display import GREY, Page, colour, label

A, C, D = 1.0, 3.0, 10.0
"""Overlap of a chosen and a rejected answer, as gradients: [[A, C], [C, D]], where training on one moves the other."""
BETA = 0.1
"""DPO's β in the right panel; MIO has twice as much, so that their first gradients are equal, as in the left one."""


def section(page: Page) -> None:
    """Put the sentences and the figure first."""
    page.text(
        """A preference loss sees a chosen and a rejected answer and moves a policy π away from its reference π_ref. DPO
        looks at the margin between the two log-ratios ln π/π_ref alone: where the answers overlap enough, pushing the
        rejected one down takes the chosen one along. MIO looks at each: it pins the chosen answer's reward β ln
        π/π_ref at ln 2, so that it neither sinks nor rises far. Both are handed the correct answer; a policy
        that must draw it, as in RLHF, starves: the wait grows like 1/ε with the answer's first probability ε, and MIO
        has a threshold of its own, below which it stops short of ½."""
    )

    page.figure(
        "lead",
        figure(),
        f"""Left: the chosen answer's log-ratio under a frozen kernel [[{A:g}, {C:g}], [{C:g}, {D:g}]], where the two
        answers overlap; DPO at β = 1 and MIO at β = 2, which have the same first gradient. Right: time, learning rate ×
        step, from p(correct) = ε to ½ where there are two answers, exact gradient flow: RLHF at β = 0, DPO at β =
        {BETA:g} and MIO at β = {2 * BETA:g}, whose line ends at its threshold. With a third answer DPO is slower. All
        lines are closed forms, or one integral of them. To see: DPO sinks the chosen answer for ever, MIO bends back
        to its anchor; on its own samples a policy waits like 1/ε, handed answers it does not.""",
    )
    page.end_opening()


def figure() -> Figure:
    """Draw what DPO and MIO do to a chosen answer, and when each starves."""
    drawing = Figure(figsize=(9.2, 3.5), layout="constrained")
    left, right = drawing.subplots(1, 2)
    _paths(left)
    _escapes(right)
    return drawing


def _paths(axes) -> None:
    times = np.logspace(-2, 4, 200)
    slope = (A - C) / (A - 2 * C + D)
    margins = [theory.dpo_margin(t, 1.0, A - 2 * C + D) for t in times]
    axes.plot(
        times,
        slope * np.array(margins),
        color=colour("dpo"),
        label="DPO, β = 1",
    )

    def flow(_, z):
        up = 2 * theory.chosen_pull(2 * z[0], 0.5)
        down = 2 * theory.rejected_push(2 * z[1], 0.5)
        return [A * up - C * down, C * up - D * down]

    path = solve_ivp(
        flow,
        (0, times[-1]),
        [0.0, 0.0],
        "LSODA",
        times,
        rtol=1e-8,
        atol=1e-10,
    )

    axes.plot(times, path.y[0], color=colour("mio"), label="MIO, β = 2")
    axes.axhline(
        theory.preference_anchor(0.5) / 2,
        color=GREY,
        ls="-.",
        lw=1,
        label="MIO's anchor",
    )

    axes.set(xscale="log", xlabel="time t", ylabel="chosen ln π/π_ref, nats")
    axes.set_title("What happens to the chosen answer")
    axes.legend()


def _escapes(axes) -> None:
    starts = np.logspace(-6, -0.5, 80)
    times = {
        "rlhf": [theory.escape_time_rlhf(e) for e in starts],
        "dpo": [theory.escape_time_dpo(e, BETA) for e in starts],
        "sft": [theory.escape_time_sft(e) for e in starts],
        "mio": [theory.escape_time_mio(e, 2 * BETA) for e in starts],
    }

    names = {
        "rlhf": "RLHF: the policy draws",
        "sft": "likelihood",
        "dpo": f"{label('dpo')}, β = {BETA:g}",
        "mio": f"{label('mio')}, β = {2 * BETA:g}",
    }
    for name, values in times.items():
        finite = np.where(np.isfinite(values), values, np.nan)
        axes.plot(starts, finite, color=colour(name), label=names[name])

    axes.set(xscale="log", yscale="log", xlabel="ε, first probability of the correct answer")
    axes.set(ylabel="time to ½")
    axes.invert_xaxis()
    axes.set_title("When each starves")
    axes.legend()
