"""The page of runs, from their files: each curve of metrics.jsonl beside what theory says of it in run.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mi_estimators.display import GREY, PALETTE, Page, Table, theme
from mi_estimators.display.runs import Run, read_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panel(NamedTuple):
    """A figure: at most two metrics against steps, and the fields of run.json that are theory's lines in it."""

    title: str
    metrics: tuple[str, ...]
    theory: tuple[str, ...]
    caption: str


PANELS = (
    Panel(
        "Loss",
        ("loss",),
        ("loss_start", "loss_floor"),
        "Dotted: theory's start (policy = reference) and floor.",
    ),
    Panel(
        "Rewards βz, nats",
        ("rewards/chosen", "rewards/rejected"),
        ("anchor", "no_collapse_interval"),
        "Of a response; with log_ratio: mean, of its average token. Dotted, where within 3 nats: the anchor "
        "−ln(1 − mix), the no-collapse interval's ends; DPO has neither.",
    ),
    Panel(
        "Log-probability, nats",
        ("logps/chosen", "logps/rejected"),
        (),
        "ln π(y|x), summed over the tokens.",
    ),
    Panel(
        "Movement, nats",
        ("movement/common", "movement/margin"),
        (),
        "z_w + z_l, which DPO's loss does not see, and z_w − z_l, which it drives.",
    ),
    Panel(
        "Accuracy",
        ("rewards/accuracies",),
        (),
        "Share of rejected responses that the policy has lowered more.",
    ),
    Panel(
        "Bound, nats",
        ("mi/bound",),
        (),
        "Its start minus the loss; run.json's `bounds` says what it bounds.",
    ),
    Panel(
        "Gradient coefficients",
        ("gradient/chosen", "gradient/rejected"),
        (),
        "−∂L/∂(βz_w), and Σ ∂L/∂(βz_l) over K.",
    ),
    Panel(
        "Starved share",
        ("gradient/chosen_starved", "gradient/rejected_starved"),
        (),
        "Share of responses whose coefficient is below a tenth of its first value.",
    ),
    Panel(
        "Effective share of negatives",
        ("ess/fraction",),
        (),
        "(Σw)²/Σw² of the negatives' weights, by their number.",
    ),
    Panel(
        "Gradient signal to noise",
        ("gradient_noise/snr",),
        (),
        "Of one step's mean gradient at the head's input.",
    ),
    Panel(
        "Updates that survive",
        ("updates/surviving_fraction",),
        (),
        "Share of watched weights that the steps since the last line changed.",
    ),
)


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
                fontsize=7,
                color=GREY,
            )
    axes.set_xlabel("step")
    axes.set_title(panel.title, loc="left", fontsize=10)
    if drawn and (len(runs) > 1 or len(panel.metrics) > 1):
        axes.legend(loc="best")
    return drawn


def _numbers(value: float | list[float | None] | None) -> list[float]:
    return [float(v) for v in (value if isinstance(value, list) else [value]) if v is not None]


def write_report(folders: Sequence[str | Path], out: str | Path) -> Path:
    """Write the page of the runs in `folders` to `out`, whole or not at all; return its path."""
    runs = [read_run(folder) for folder in folders]
    page = Page(f"Run {runs[0].name}" if len(runs) == 1 else f"{len(runs)} runs")
    page.table("Settings and theory", settings(runs), folded=True)

    alerts = first_alerts(runs)
    for text in alerts:
        page.alert(text)
    if not alerts:
        page.text("No alert was raised.", soft=True)

    with theme(font_size=9, legend_fontsize=8):
        page.panels(figures(runs))
    page.write(Path(out))
    return Path(out)


def figures(runs: Sequence[Run]) -> Iterator[tuple[Figure, str]]:
    """Yield the panels that have a point, with their captions."""
    from matplotlib.figure import Figure

    for panel in PANELS:
        figure = Figure(figsize=(5.6, 3.1))
        axes = figure.add_axes(
            (0.14, 0.15, 0.84, 0.75)
        )  # to find margins takes as long as the rest
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
