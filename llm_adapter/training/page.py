"""The page of runs, from their files: each curve of metrics.jsonl beside what theory says of it in run.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mi_estimators.display import GREY, PALETTE, Page, Table, jsonl, theme
from mi_estimators.display.runs import Run, read_run

from ..loss.alerts import SWING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panel(NamedTuple):
    """A figure: at most two metrics against steps, and the fields of run.json that are theory's lines in it.

    `least` is the smallest height of the axis, so that noise does not fill it; a share has the axis from 0 to 1.
    """

    title: str
    metrics: tuple[str, ...]
    theory: tuple[str, ...]
    caption: str
    least: float = 0.0


COMPLETIONS = "completions.jsonl"  # in a run's folder
SHARE = -1.0  # in place of `least`
MAIN = (
    Panel(
        "Loss",
        ("loss",),
        ("loss_start", "loss_floor"),
        "Dotted: theory's start (policy = reference) and floor.",
        0.1,
    ),
    Panel(
        "Rewards βz, nats",
        ("rewards/chosen", "rewards/rejected"),
        ("anchor", "no_collapse_interval"),
        "Of a response; with log_ratio: mean, of its average token. Dotted, where within 3 nats: the anchor "
        "−ln(1 − mix), the no-collapse interval's ends; DPO has neither.",
        0.5,
    ),
    Panel(
        "Movement, nats",
        ("movement/common", "movement/margin"),
        (),
        "z_w + z_l, which DPO's loss does not see, and z_w − z_l, which it drives. Where the first is "
        "much larger, both responses drift together.",
        2.0,
    ),
    Panel(
        "Accuracy",
        ("rewards/accuracies",),
        (),
        "Share of rejected responses that the policy has lowered more.",
        SHARE,
    ),
)
MORE = (
    Panel(
        "Log-probability, nats",
        ("logps/chosen", "logps/rejected"),
        (),
        "ln π(y|x), summed over the tokens.",
        5.0,
    ),
    Panel(
        "Drift",
        ("movement/drift",),
        (),
        "|z_w + z_l| over 1 + |z_w + z_l| + |z_w − z_l|: near 1, nearly all movement is common.",
        SHARE,
    ),
    Panel(
        "Bound, nats",
        ("mi/bound",),
        (),
        "Its start minus the loss; run.json's `bounds` says what it bounds.",
        0.1,
    ),
    Panel(
        "Lost share, at most",
        ("collapse/share",),
        (),
        "Certified by the loss: at most this share of the chosen responses has βz_w ≤ −5 nats.",
        SHARE,
    ),
    Panel(
        "Gradient coefficients",
        ("gradient/chosen", "gradient/rejected"),
        (),
        "−∂L/∂(βz_w), and Σ ∂L/∂(βz_l) over K.",
        0.2,
    ),
    Panel(
        "Starved share",
        ("gradient/chosen_starved", "gradient/rejected_starved"),
        (),
        "Share of responses whose coefficient is below a tenth of its first value.",
        SHARE,
    ),
    Panel(
        "Effective share of negatives",
        ("ess/fraction",),
        (),
        "(Σw)²/Σw² of the negatives' weights, by their number.",
        SHARE,
    ),
    Panel(
        "Gradient signal to noise",
        ("gradient_noise/snr",),
        (),
        "Of one step's mean gradient at the head's input.",
        1.0,
    ),
    Panel(
        "Updates that survive",
        ("updates/surviving_fraction",),
        (),
        "Share of watched weights that the steps since the last line changed.",
        SHARE,
    ),
)
NUMBERS = {  # of the table: metric → name
    "loss": "loss",
    "rewards/chosen": "chosen reward βz_w, nats",
    "rewards/rejected": "rejected reward βz_l, nats",
    "rewards/margins": "margin, nats",
    "rewards/accuracies": "accuracy",
    "movement/drift": "drift",
    "logps/chosen": "ln π of the chosen response, nats (of other pairs in each line)",
}
UNSTABLE = ("collapse", "interval")
ADVICE = {  # alert → what to try
    "drift": "a lower learning rate, or bound js, whose loss sees the common movement",
    "collapse": "bound js, which has an anchor, or a larger beta",
    "interval": "a lower learning rate",
    "starved": "a larger mix, or a larger beta",
    "plateau": "a larger mix, if the chosen responses should rise further",
    "few_negatives": "other or fewer rejected responses",
    "filtered": "pairs of independent samples, if the theorems on them should apply",
}


def draw(panel: Panel, runs: Sequence[Run], axes: Axes) -> bool:
    """Draw a panel; return whether any run has a point in it. One run: a colour a metric; several: a colour a run."""
    drawn = False
    for r, run in enumerate(runs):
        for m, metric in enumerate(panel.metrics):
            colour = PALETTE[(r if len(runs) > 1 else m) % len(PALETTE)]
            short = metric.split("/")[-1].replace("_", " ")
            label = run.name if len(panel.metrics) == 1 else f"{run.name}, {short}"
            label = short if len(runs) == 1 else label
            steps, values = run.curve(metric)

            if values:
                line = "." if len(values) == 1 else "-" if m == 0 else "--"
                axes.plot(steps, values, line, color=colour, label=label, linewidth=1.4)
                drawn = True

            evaluated = run.curve(f"eval_{metric}")
            axes.plot(
                *evaluated,
                "o",
                color=colour,
                markersize=4,
                label=f"{label}, held out" if evaluated[0] else None,
            )

    low, high = axes.dataLim.intervaly
    for name in panel.theory:
        for value in sorted(
            {v for run in runs for v in _numbers(run.facts.get(name)) if low - 3 <= v <= high + 3}
        ):
            axes.axhline(value, color=GREY, linestyle=":", linewidth=1.2)
            axes.annotate(
                f"{name.replace('_', ' ')} {value:.3f}",
                (1, value),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                fontsize=9,
                color=GREY,
            )

    axes.set_xlabel("step")
    axes.set_title(panel.title, loc="left", fontsize=12)
    if drawn:
        _widen(axes, panel.least)
        axes.legend(loc="best")

    return drawn


def _widen(axes: Axes, least: float) -> None:
    """Give the axis at least its smallest height, around the middle of what is drawn; a share goes from 0 to 1."""
    if least == SHARE:
        axes.set_ylim(-0.03, 1.03)
        return

    low, high = axes.get_ylim()
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)


def _numbers(value: float | list[float | None] | None) -> list[float]:
    return [float(v) for v in (value if isinstance(value, list) else [value]) if v is not None]


def write_report(folders: Sequence[str | Path], out: str | Path) -> Path:
    """Write the page of the runs in `folders` to `out`, whole or not at all; return its path."""
    runs = named_apart([read_run(folder) for folder in folders], folders)
    page = Page(f"Run {runs[0].name}" if len(runs) == 1 else f"{len(runs)} runs")
    for run in runs:
        page.text(verdict(run))

    alerts = first_alerts(runs)
    for text in alerts:
        page.alert(text)
    if not alerts:
        page.text("No alert was raised.", soft=True)

    page.table("Numbers", numbers(runs))

    with theme(font_size=11, legend_fontsize=10):  # on a telephone they are a third smaller
        page.panels(figures(runs, MAIN))
        for folder, run in zip(folders, runs, strict=True):
            page.table(f"Completions of {run.name}", completions(Path(folder)))
        page.html("<details><summary>More charts</summary>")
        page.panels(figures(runs, MORE))
        page.html("</details>")

    page.table("Settings and theory", settings(runs), folded=True)
    page.write(Path(out))
    return Path(out)


def named_apart(runs: Sequence[Run], folders: Sequence[str | Path]) -> list[Run]:
    """Return the runs with names that differ: those of one name get as much of their path as tells them apart."""
    names = [run.name for run in runs]
    paths = [Path(folder).resolve().parts for folder in folders]
    for depth in range(2, max(map(len, paths)) + 1):
        longer = ["/".join(parts[-depth:]) for parts in paths]
        names = [b if names.count(a) > 1 else a for a, b in zip(names, longer, strict=True)]
    return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]


def verdict(run: Run) -> str:
    """Return a run in one line of words: where it ended, when it was unstable, and what to try."""
    logs = [line for line in run.lines if "loss" in line]
    if not logs:
        return f"{run.name}: no step was logged."

    last = logs[-1]
    numbers = [
        f"{word} {last[name]:{form}}"
        for word, name, form in (
            ("chosen", "rewards/chosen", "+z.2f"),
            ("margin", "rewards/margins", "z.2f"),
            ("accuracy", "rewards/accuracies", ".2f"),
            ("loss", "loss", ".4f"),
        )
        if last.get(name) is not None
    ]

    kinds = [kind for line in run.lines for kind in line.get("alerts", {})]
    spans = unstable(logs)
    text = f"{run.name}, after {last['step']} steps: {', '.join(numbers)}"

    if spans:
        text += "; unstable at " + " and ".join(
            f"step {first}" if first == end else f"steps {first}–{end}" for first, end in spans
        )

    if evaluations := [line for line in run.lines if "eval_loss" in line]:
        held_out = evaluations[-1]
        text += f"; held out: loss {held_out['eval_loss']:.4f}"
        if (accuracy := held_out.get("eval_rewards/accuracies")) is not None:
            text += f", accuracy {accuracy:.2f}"

    kinds += ["drift"] if spans else []
    advice = list(dict.fromkeys(ADVICE[kind] for kind in ADVICE if kind in kinds))
    return f"{text}. " + (f"To try: {'; '.join(advice)}." if advice else _reading(last))


def unstable(logs: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Return the spans of steps in which the common movement turns back, or an alert says that the run diverges.

    >>> logs = [{"step": 8 * k, "movement/common": z} for k, z in enumerate((0, 60, 141, 20, 24))]
    >>> unstable(logs)
    [(16, 24)]
    """
    spans: list[tuple[int, int]] = []
    direction = 0.0
    for before, after in pairwise(logs):
        change = after.get("movement/common", 0.0) - before.get("movement/common", 0.0)
        swings = abs(change) > SWING
        if swings and change * direction < 0:
            spans.append((before["step"], after["step"]))
        direction = change if swings else direction

    for line in logs:
        if any(kind in UNSTABLE for kind in line.get("alerts", {})):
            spans.append((line["step"], line["step"]))

    joined: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))

    return joined


def _reading(last: Mapping[str, Any]) -> str:
    """Return what the last numbers of a run without alerts mean, in words."""
    chosen, margin = last.get("movement/common"), last.get("movement/margin")
    if chosen is None or margin is None:
        return ""

    moved = (chosen + margin) / 2  # z_w
    direction = "more" if moved >= 0 else "less"
    return (
        f"The chosen responses have become {direction} likely ({moved:+.2f} nats on average), "
        f"{abs(margin):.2f} nats {'more' if margin >= 0 else 'less'} than the rejected ones."
    )


def numbers(runs: Sequence[Run]) -> Table:
    """Return the first, the last and the last held-out value of the main metrics."""
    heads, columns = [""], []
    for run in runs:
        logs = [line for line in run.lines if "loss" in line]
        evaluations = [line for line in run.lines if "eval_loss" in line]
        prefix = f"{run.name}, " if len(runs) > 1 else ""

        for head, lines, stem in (
            ("first", logs[:1], ""),
            ("last", logs[-1:], ""),
            ("held out", evaluations[-1:], "eval_"),
        ):
            if lines:
                heads.append(f"{prefix}{head}")
                columns.append([lines[0].get(f"{stem}{name}") for name in NUMBERS])

    rows = zip(NUMBERS.values(), *columns, strict=True)
    body = [[name, *map(_rounded, values)] for name, *values in rows]
    return Table(heads, [row for row in body if set(row[1:]) != {"–"}])


def _rounded(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def completions(folder: Path) -> Table:
    """Return what the model said before and after training, from the run's completions.jsonl."""
    path = folder / COMPLETIONS
    rows = jsonl.read(path, ["prompt", "before", "after"]) if path.is_file() else []
    body = [[row["prompt"], row["before"], row["after"]] for row in rows]
    return Table(["prompt (its end)", "before", "after"], body)


def figures(
    runs: Sequence[Run], panels: Sequence[Panel] = (*MAIN, *MORE)
) -> Iterator[tuple[Figure, str]]:
    """Yield the panels that have a point, with their captions."""
    from matplotlib.figure import Figure

    for panel in panels:
        figure = Figure(figsize=(5.6, 3.1))
        # To find margins takes as long as the rest
        axes = figure.add_axes((0.14, 0.17, 0.84, 0.72))
        if draw(panel, runs, axes):
            yield figure, panel.caption


def settings(runs: Sequence[Run]) -> Table:
    """Return what the runs are: fields as rows, runs as columns."""
    names = [name for name in runs[0].facts if name not in ("versions", "command")]
    body = [[name, *(_shown(run.facts.get(name)) for run in runs)] for name in names]
    return Table(["", *(run.name for run in runs)], body)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def first_alerts(runs: Sequence[Run]) -> list[str]:
    """Return each kind of alert once, with the step of its first line."""
    alerts: dict[tuple[str, str], str] = {}
    for run in runs:
        for line in run.lines:
            for kind, text in line.get("alerts", {}).items():
                sentence = f"{run.name}, step {line['step']}, {kind}: {text}"
                alerts.setdefault((run.name, kind), sentence)

    return list(alerts.values())
