"""Figures of reach, from rows alone."""

from __future__ import annotations

import math
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_estimators import theory
from mi_estimators.display import INK, PALETTE, colour, label
from mi_estimators.display.style import ORANGE, RED

from ..rows import Row

# Dash, marker, and whether the points are open.
_LOOK = {
    "base": ("-", "x", False),
    "rlhf": ("-", "s", True),
    "dpo": ("-", "o", False),
    "mio": ("-", "^", False),
    "alpha": ("--", "D", True),
    "sft": (":", "v", True),
}


def name_of(method: str) -> str:
    """Return a method as text."""
    return {"base": "base", "alpha": label("alpha_mio")}.get(method) or label(method)


def _looks() -> list[tuple[str, str, dict]]:
    """Return of every method its name, its dash, and how its points look; α-MIO is told from MIO by its colour."""
    looks = []
    for method, (dash, marker, hollow) in _LOOK.items():
        tint = {"base": INK, "alpha": ORANGE}.get(method) or colour(method)
        face = "none" if hollow else tint
        points = {"marker": marker, "ls": "none", "mfc": face, "label": name_of(method)}
        looks.append((method, dash, {"color": tint, **points}))
    return looks


def _panels(
    rows: list[Row],
    height: float,
) -> tuple[Figure, list[Axes]]:
    across = min(2, len(rows))
    figure = Figure(figsize=(9.5, height * math.ceil(len(rows) / 2) + 0.5), layout="constrained")
    return figure, list(figure.subplots(math.ceil(len(rows) / across), across, squeeze=False).flat)


def success_figure(rows: list[Row]) -> Figure:
    """Success after training against base success, a panel for each β."""
    figure, panels = _panels(rows, 3.5)
    for axes, row in zip(panels, rows, strict=False):
        spec, expected = row["spec"], row["theory"]
        p = np.array([*spec["far"], *spec["bank"]])
        for method, dash, points in _looks():
            axes.plot(p, expected["success"][method], dash, color=points["color"])
            axes.plot(p, row["measured"]["success"][method], ms=4.5, **points)

        axes.axvline(min(spec["bank"]), color=INK, lw=0.8, ls=":")
        axes.set(
            xscale="log",
            yscale="log",
            ylim=(p.min() / 2, 3),
        )

        axes.set(xlabel="base success p", ylabel="success after training")
        axes.set_title(f"β = {spec['beta']:g}, α = {expected['mix']:.4f}")

    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def pass_figure(rows: list[Row]) -> Figure:
    """pass@k, mean over the bank, against k, a panel for each β."""
    figure, panels = _panels(rows, 3.3)
    for axes, row in zip(panels, rows, strict=False):
        measured, expected = row["measured"]["pass_at_k"], row["theory"]
        k = np.array(expected["k"])
        for method, dash, points in _looks():
            line = expected["pass_at_k"][method]
            axes.plot(k, line, dash, color=points["color"], lw=1.3)
            mean, ends = (np.array(measured[method][key]) for key in ("mean", "range"))
            bars = np.maximum([mean - ends[:, 0], ends[:, 1] - mean], 0)
            axes.errorbar(k, mean, yerr=bars, ms=4, lw=1, **points)

        axes.axhline(
            measured["rlhf"]["mean"][0],
            color=RED,
            lw=0.9,
            ls=":",
        )

        limit = expected["overtaking_at_most"]
        if limit <= k[-1]:
            axes.axvline(limit, color=INK, lw=0.9, ls=":")
            axes.text(limit, 0.02, " $e^{1/β}$", transform=axes.get_xaxis_transform(), va="bottom")

        axes.set(xscale="log", xlabel="k, answers drawn", ylim=(0, 1.04))
        axes.set_ylabel("pass@k, mean over the bank")
        axes.set_xticks(k[::2], [f"{value:g}" for value in k[::2]])
        axes.set_title(f"β = {row['spec']['beta']:g}")
        axes.minorticks_off()

    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=6)
    return figure


def overtaking_figure(rows: list[Row]) -> Figure:
    """How many base answers equal one RLHF answer, against base success."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()

    for row, tint in zip(rows, cycle(PALETTE), strict=False):
        spec, measured = row["spec"], row["measured"]["overtaking"]
        p = np.geomspace(min(spec["bank"]), max(spec["bank"]), 200)
        answers = np.log1p(-theory.rlhf_success(p, spec["beta"])) / np.log1p(-p)
        axes.plot(p, answers, color=tint)
        axes.axhline(row["theory"]["overtaking_at_most"], color=tint, lw=0.9, ls=":")
        points = {"color": tint, "ms": 4.5, "mfc": "none", "label": f"β = {spec['beta']:g}"}
        axes.plot(
            spec["bank"],
            np.array(measured, dtype=float),
            "o",
            **points,
        )

    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="base success p", ylabel="k: base pass@k ≥ RLHF pass@1")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    return figure
