"""The report's section on reach: figures, tables and text, from rows alone."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators.display.page import Page
from mi_estimators.display.style import BLUE, GREEN, INK, ORANGE, PINK, RED
from mi_estimators.display.table import Table, number

from ..rows import Row, of

_LOOK = {
    "base": (INK, "-", "x", "base"),
    "rlhf": (RED, "-", "s", "RLHF"),
    "dpo": (BLUE, "-", "o", "DPO"),
    "mio": (PINK, "-", "^", "MIO"),
    "alpha": (ORANGE, "--", "D", "α-MIO"),
    "sft": (GREEN, ":", "v", "SFT"),
}
"""Colour, dash, marker and name of a method."""


def _panels(rows: list[Row], height: float) -> tuple[Figure, list[Axes]]:
    across = min(2, len(rows))
    figure = Figure(figsize=(9.5, height * math.ceil(len(rows) / 2) + 0.5), layout="constrained")
    return figure, list(figure.subplots(math.ceil(len(rows) / across), across, squeeze=False).flat)


def success_figure(rows: list[Row]) -> Figure:
    """Success after training against base success, a panel for each β."""
    figure, panels = _panels(rows, 3.5)
    for axes, row in zip(panels, rows, strict=False):
        spec = row["spec"]
        p = np.array([*spec["far"], *spec["bank"]])
        for method, (colour, dash, marker, name) in _LOOK.items():
            axes.plot(p, row["theory"]["success"][method], dash, color=colour)
            hollow = "none" if method in ("alpha", "sft", "rlhf") else colour
            axes.plot(
                p,
                row["measured"]["success"][method],
                marker,
                color=colour,
                ms=4.5,
                mfc=hollow,
                label=name,
            )
        axes.axvline(min(spec["bank"]), color=INK, lw=0.8, ls=":")
        axes.set(
            xscale="log", yscale="log", xlabel="base success p", ylabel="success after training"
        )
        axes.set_title(f"β = {spec['beta']:g}, α = {row['theory']['mix']:.4f}")
        axes.set_ylim(p.min() / 2, 3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def pass_figure(rows: list[Row]) -> Figure:
    """pass@k, mean over the bank, against k, a panel for each β."""
    figure, panels = _panels(rows, 3.3)
    for axes, row in zip(panels, rows, strict=False):
        k = np.array(row["theory"]["k"])
        for method, (colour, dash, marker, name) in _LOOK.items():
            found = row["measured"]["pass_at_k"][method]
            low, high = np.array(found["range"]).T
            mean = np.array(found["mean"])
            axes.plot(k, row["theory"]["pass_at_k"][method], dash, color=colour, lw=1.3)
            bars = [np.maximum(mean - low, 0), np.maximum(high - mean, 0)]
            hollow = "none" if method in ("alpha", "sft", "rlhf") else colour
            axes.errorbar(
                k, mean, yerr=bars, fmt=marker, color=colour, ms=4, mfc=hollow, lw=1, label=name
            )
        level = row["measured"]["pass_at_k"]["rlhf"]["mean"][0]
        axes.axhline(level, color=RED, lw=0.9, ls=":")
        limit = row["theory"]["overtaking_at_most"]
        if limit <= k[-1]:
            axes.axvline(limit, color=INK, lw=0.9, ls=":")
            axes.text(limit, 0.02, " $e^{1/β}$", transform=axes.get_xaxis_transform(), va="bottom")
        axes.set(
            xscale="log",
            xlabel="k, answers drawn",
            ylabel="pass@k, mean over the bank",
            ylim=(0, 1.04),
        )
        axes.set_xticks(k[::2], [f"{value:g}" for value in k[::2]])
        axes.set_title(f"β = {row['spec']['beta']:g}")
        axes.minorticks_off()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def overtaking_figure(rows: list[Row]) -> Figure:
    """How many base answers equal one RLHF answer, against base success."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for n, row in enumerate(rows):
        spec, colour = row["spec"], (RED, ORANGE, GREEN, BLUE)[n % 4]
        line = np.geomspace(min(spec["bank"]), max(spec["bank"]), 200)
        after = line / (line + (1 - line) * math.exp(-1 / spec["beta"]))
        axes.plot(line, np.log1p(-after) / np.log1p(-line), color=colour)
        axes.axhline(row["theory"]["overtaking_at_most"], color=colour, lw=0.9, ls=":")
        found = np.array(
            [np.nan if v is None else v for v in row["measured"]["overtaking"]], dtype=float
        )
        axes.plot(
            spec["bank"],
            found,
            "o",
            color=colour,
            ms=4.5,
            mfc="none",
            label=f"β = {spec['beta']:g}",
        )
    axes.set(
        xscale="log", yscale="log", xlabel="base success p", ylabel="k: base pass@k ≥ RLHF pass@1"
    )
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    return figure


def passes(rows: list[Row]) -> Table:
    """pass@1 and pass@k of every method and β: theory, exact at the flow's end, sampled; the plug-in's bias."""
    body = []
    for row in rows:
        k, found = row["theory"]["k"], row["measured"]["pass_at_k"]
        for method, (*_, name) in _LOOK.items():
            for at in sorted({0, len(k) // 2, len(k) - 1}):
                exact = row["measured"]["exact"][method][at]
                body.append(
                    (
                        f"{row['spec']['beta']:g}",
                        name,
                        f"{k[at]:g}",
                        f"{row['theory']['pass_at_k'][method][at]:.4f}",
                        f"{exact:.4f}",
                        f"{found[method]['mean'][at]:.4f} ± {1.96 * found[method]['stderr'][at]:.4f}",
                        f"{found[method]['plug_in'][at] - exact:+.4f}",
                    )
                )
    head = (
        "β",
        "policy",
        "k",
        "theory",
        "flow's end, exact",
        "estimator, mean [95 %]",
        "plug-in's bias",
    )
    return Table(head, body)


def successes(rows: list[Row]) -> Table:
    """Success at the flow's end beside theory, for some p."""
    body = []
    for row in rows:
        p = [*row["spec"]["far"], *row["spec"]["bank"]]
        for at in range(0, len(p), 3):
            cells = []
            for method in list(_LOOK)[1:]:
                found, said = (row[part]["success"][method][at] for part in ("measured", "theory"))
                cells.append(f"{number(found, 3)} ({number(said, 3)})")
            body.append((f"{row['spec']['beta']:g}", f"{p[at]:.2g}", *cells))
    return Table(("β", "p", *(f"{name} (theory)" for *_, name in list(_LOOK.values())[1:])), body)


def _beyond(rows: list[Row]) -> str:
    """Say where MIO's flow ended above its ceiling."""
    beyond = []
    for row in rows:
        for found, said in zip(
            row["measured"]["success"]["mio"], row["theory"]["success"]["mio"], strict=True
        ):
            if said < 0.97 and found > 1.05 * said:
                beyond.append(f"{said:.2f} (β = {row['spec']['beta']:g})")
    if not beyond:
        return "Here no prompt does."
    return f"Here {len(beyond)} do, whose ceilings are {', '.join(beyond)}."


def section(page: Page, rows: list[Row]) -> None:
    """Add what training does to pass@1 and pass@k."""
    found = of(rows, "Reach")
    if not found:
        return
    spec = found[0]["spec"]
    bank = f"{len(spec['bank'])} prompts with p from {min(spec['bank']):g} to {max(spec['bank']):g}"
    page.heading("Reach: does training go beyond the base model?")
    page.text(
        f"""Each prompt has {spec["responses"]} responses: one correct, of base probability p, the others wrong and
        equally likely. RLHF (reward 1 for the correct one, penalty β KL) draws its own answers; the other losses are
        handed the correct answer and one wrong one of the same prompt, so this is about fitting these prompts, not
        about new ones. Every policy has a free logit for each response and follows the exact flow of the library's
        loss. RLHF's flow has the exact expectation; from 16 answers a step it would wait 1/(16 p) steps for a first
        signal, 6e10 at p = 1e-12. α-MIO has the one α that theory recommends for the hardest prompt of the bank: 1 − α
        = p^β at p = {min(spec["bank"]):g}."""
    )
    page.figure(
        "reach",
        success_figure(found),
        f"""Success after training against base success p, a panel for each β (MIO's first gradient at β is half of
        DPO's: compare MIO with DPO one panel earlier). Points: end of the exact flow, {spec["responses"]} responses.
        Lines, theory: base; RLHF's tilt p e^(1/β)/(1 − p + p e^(1/β)); MIO's ceiling min(1, 2^(1/β) p); α-MIO's,
        min(1, (1 − α)^(−1/β) p); DPO and SFT by their closed forms at the same finite time, {spec["time"]:g}/(β²(1 −
        α)), since their limit is 1 for every p. Dotted: the hardest prompt of the bank. To see: RLHF and MIO multiply
        a small p by a constant, e^(1/β) and 2^(1/β): what is out of reach stays out of reach, and p = 0 stays 0. DPO's
        gain in p is a constant, too, but one that grows with time, like t^(1/(2β)); SFT alone forgets p. α-MIO lifts
        the whole bank to 1, and what lies below the prompt that α was chosen for by the same constant. MIO's flow
        has two ends, the ceiling and 1, and which one it takes is proved only for β above ½ (theorem
        mio_tabular_limit). Below, prompts with a ceiling above about ½ end at 1, beyond it. {_beyond(found)}""",
    )
    page.figure(
        "pass_at_k",
        pass_figure(found),
        f"""pass@k, the chance that at least one of k answers is correct, mean over {bank}. Lines: 1 − (1 − p)^k at
        theory's success after training. Points: unbiased estimator 1 − C(n − c, k)/C(n, k) from n = {spec["draws"]}
        answers a prompt drawn from the trained policies, mean of {spec["evaluations"]} evaluations; bars hold 95 % of
        single evaluations. Red dotted: RLHF's pass@1; black dotted: k = e^(1/β), from
        which on the base model's pass@k is above it on every prompt. To see: the mean over the bank crosses earlier.
        At the same k RLHF's pass@k is never below the base model's: the exact optimum of a correct reward narrows
        nothing, it only draws sooner what the base model draws later, and the two meet as k grows. The losses that are
        handed the answer are at or near 1 from k = 1 where their lift suffices; MIO's does not for the hard
        prompts at large β. MIO's points lie above its line where a prompt's flow ends at 1 beyond its ceiling.""",
    )
    page.figure(
        "overtaking",
        overtaking_figure(found),
        f"""How many base answers are worth one RLHF answer: the least k at which the base model's pass@k reaches RLHF's
        pass@1. Lines: ln(1 − p')/ln(1 − p). Dotted: the bound e^(1/β), which is the limit of small p. Points: the same
        from {spec["evaluations"]} evaluations of {spec["draws"]} answers, whole k up to {2 ** spec["powers"]}; no
        point where that many do not suffice. A point is rounded up, and at the smallest p it shows the noise of both
        estimates. To see: what RLHF adds is a factor e^(1/β) in draws on hard prompts and less on easy ones.""",
    )
    page.table("pass@k, mean over the bank", passes(found), folded=True)
    page.table("Success after training (theory)", successes(found), folded=True)
