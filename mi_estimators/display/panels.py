"""Figures of estimates, drawn by matplotlib: training, read-outs, scores, and a table of values as a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..extras import need
from .readings import window
from .style import BLUE, GREY, INK, PALETTE, RED, theme
from .svg import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Sequence[Mapping[str, float]]]
_BINS = 60  # of a histogram
_TAIL = 0.005  # share of the scores that a histogram may leave out at either end


def estimate_figure(
    history: History,
    values: Mapping[str, float],
    interval: tuple[float, float],
    reported: str,
    scores: tuple[ArrayLike, ArrayLike] | None,
) -> Figure:
    """Draw, side by side, what there is of: the training history, the read-outs, and the scores.

    Args:
        history: for each fold its evaluations, with `step`, `train` and `validation`.
        values: numbers by name, in nats.
        interval: of the reported one; an end that is not finite is open.
        reported: the name of that one.
        scores: of joint pairs and of product pairs.
    """
    trained = any(len(fold) > 1 for fold in history)
    panels = [
        *([partial(_history, history=history)] if trained else []),
        partial(_readings, values=values, interval=interval, reported=reported),
        *([partial(_scores, scores=scores)] if scores is not None else []),
    ]

    with theme():
        figure = shown(4 * len(panels), 3.4)
        for axes, draw in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            draw(axes)

    return figure


def heat_map(names: Sequence[str], values: ArrayLike, flagged: ArrayLike) -> Figure:
    """Draw a square table of values in nats; cells that are not finite stay empty, and flagged ones carry a mark.

    Args:
        names: of the k rows and columns.
        values, flagged: shape (k, k).
    """
    table, marks = np.asarray(values, dtype=float), np.asarray(flagged, dtype=bool)
    shownable = np.ma.masked_invalid(table)
    largest = float(shownable.max()) if shownable.count() else 1.0
    side = 2.2 + 0.62 * len(names)

    with theme(axes_grid=False):
        figure = shown(side + 1, side)
        axes = figure.subplots()
        image = axes.imshow(shownable, cmap="Blues", vmin=0, vmax=max(largest, 1e-3))
        figure.colorbar(image, label="nats", shrink=0.8)
        places = range(len(names))
        axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        axes.spines[:].set_visible(False)

        for i, j in zip(*np.nonzero(np.isfinite(table)), strict=True):
            mark = " !" if marks[i, j] else ""
            ink = "white" if table[i, j] > 0.6 * largest else INK
            axes.text(
                j, i, f"{table[i, j]:.2f}{mark}", ha="center", va="center", color=ink, fontsize=8
            )

        if marks.any():
            axes.set_title("! flagged: read its warning", fontsize=9, loc="left")

    return figure


def shown(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, which a notebook shows, whatever its backend."""
    need("plot")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    vars(figure)["_repr_png_"] = partial(png, figure)
    return figure


def _history(axes: Axes, history: History) -> None:
    for k, (fold, tint) in enumerate(zip(history, _cycled(len(history)), strict=True), 1):
        steps = [line["step"] for line in fold]
        axes.plot(steps, [line["train"] for line in fold], color=tint, alpha=0.35, linewidth=1)
        axes.plot(steps, [line["validation"] for line in fold], color=tint, label=f"fold {k}")

    axes.set(title="Training (pale: on the batch)", xlabel="step", ylabel="objective, nats")
    if len(history) <= 6:
        axes.legend()


def _cycled(count: int) -> list[str]:
    return [PALETTE[k % len(PALETTE)] for k in range(count)]


def _readings(
    axes: Axes,
    values: Mapping[str, float],
    interval: tuple[float, float],
    reported: str,
) -> None:
    low, high = window(values, interval, reported)
    start, stop = max(interval[0], low), min(interval[1], high)
    axes.axvspan(start, stop, color=BLUE, alpha=0.16, linewidth=0)
    names = list(values)

    for k, (name, value) in enumerate(values.items()):
        inside = low <= value <= high
        marker = "o" if inside else ("<" if value < low else ">")
        tint = BLUE if name == reported else INK
        axes.plot(min(max(value, low), high), k, marker, color=tint, clip_on=False)

    axes.set(title="Read-outs and 95 % interval", xlabel="nats", xlim=(low, high))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()

    for end, at, align in ((interval[0], low, "left"), (interval[1], high, "right")):
        if not math.isfinite(end):
            axes.text(at, len(names) - 0.6, " open ", ha=align, va="bottom", color=RED)


def _scores(axes: Axes, scores: tuple[ArrayLike, ArrayLike]) -> None:
    arrays = (np.asarray(part, dtype=float) for part in scores)
    joint, product = (part[np.isfinite(part)] for part in arrays)
    if not (joint.size and product.size):
        axes.set(title="Scores of held-out pairs: none is finite")
        return

    ends = [np.quantile(part, share) for part in (joint, product) for share in (_TAIL, 1 - _TAIL)]
    edges: Any = np.linspace(min(ends), max(max(ends), min(ends) + 1e-6), _BINS)
    for part, tint, name in ((product, GREY, "product pairs"), (joint, BLUE, "joint pairs")):
        axes.hist(part, edges, density=True, color=tint, alpha=0.6, label=name)

    axes.set(title="Scores of held-out pairs", xlabel="score T ≈ ln dP/dQ, nats", ylabel="density")
    axes.set_yscale("log")
    axes.legend()
