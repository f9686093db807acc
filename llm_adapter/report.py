"""One HTML page of runs, from their files alone: python -m llm_adapter.report RUN [RUN …] [--out FILE.html].

Each curve of metrics.jsonl is drawn beside what theory says of it in run.json. Training writes the page of its own run.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .arguments.command import run_command
from .arguments.flags import Flag, Parser
from .data.cache import whole_file

COMMAND = "llm_adapter.report"
EXAMPLES = """\
examples:
  python -m llm_adapter.report runs/builtin-js
      Write report.html for one run.
  python -m llm_adapter.report runs/dpo runs/mio --out both.html
      Compare two runs on one page.
"""
INK, GREY = "#24292f", "#8c959f"
COLOURS = ("#1f87c9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#666666")
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "run",
    **dict.fromkeys(
        ["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], INK
    ),
}


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


@dataclass(frozen=True)
class Run:
    """The files of one run."""

    name: str
    facts: dict
    lines: tuple[dict, ...]

    def curve(self, metric: str) -> tuple[list[int], list[float]]:
        """Return the steps and values of a metric's lines that have one."""
        rows = [(line["step"], line[metric]) for line in self.lines if line.get(metric) is not None]
        return [step for step, _ in rows], [value for _, value in rows]


def read_run(folder: str | Path) -> Run:
    """Read a run's files.

    Raises:
        ValueError: a folder without run.json or metrics.jsonl, or with lines that are no JSON.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
        return Run(folder.name, facts, tuple(json.loads(line) for line in text.splitlines()))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{folder}: expected a run's run.json and metrics.jsonl, got {error}"
        ) from None


def draw(panel: Panel, runs: Sequence[Run], axes: Axes) -> bool:
    """Draw a panel; return whether any run has a point in it. One run: a colour a metric; several: a colour a run."""
    drawn = False
    for r, run in enumerate(runs):
        for m, metric in enumerate(panel.metrics):
            colour = COLOURS[(r if len(runs) > 1 else m) % len(COLOURS)]
            short = metric.split("/")[-1].replace("_", " ")
            label = (
                short
                if len(runs) == 1
                else f"{run.name}, {short}"
                if len(panel.metrics) > 1
                else run.name
            )
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


def svg(figure: Figure) -> str:
    """Return the figure as an <svg> element without background, its ink that of the page around it."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")


CSS = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #fff; --soft: #59636e; --rule: #d1d9e0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #12161c; --soft: #a0a8b1; --rule: #3d444d; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif;
  margin: 0 auto; max-width: 72rem; padding: 1.5rem; }
section { display: grid; gap: 1rem 1.6rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
figure { margin: 0; }
figure svg { width: 100%; height: auto; }
figcaption, .soft { color: var(--soft); font-size: .87rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
td, th { border-bottom: 1px solid var(--rule); padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; }
.alert { border-left: 4px solid #d55e00; margin: .4rem 0; padding: .1rem .7rem; }
"""


def write_report(folders: Sequence[str | Path], out: str | Path) -> Path:
    """Write the page of the runs in `folders` to `out`, whole or not at all; return its path."""
    runs = [read_run(folder) for folder in folders]
    with style.context(STYLE, after_reset=True):  # whatever style the caller draws in
        figures = []
        for panel in PANELS:
            figure = Figure(
                figsize=(5.6, 3.1)
            )  # fixed margins: finding them would take as long as all the rest
            if draw(panel, runs, figure.add_axes((0.14, 0.15, 0.84, 0.75))):
                figures.append(
                    f"<figure>{svg(figure)}<figcaption>{escape(panel.caption)}</figcaption></figure>"
                )
    title = "Run " + ", ".join(run.name for run in runs) if len(runs) == 1 else f"{len(runs)} runs"
    page = (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{CSS}</style></head><body><h1>{escape(title)}</h1>\n"
        f"{_facts(runs)}\n{_alerts(runs)}\n<section>{''.join(figures)}</section></body></html>\n"
    )
    with whole_file(out := Path(out)) as file:
        file.write(page.encode())
    return out


def _facts(runs: Sequence[Run]) -> str:
    """Return a table of what the runs are: fields as rows, runs as columns."""
    names = [name for name in runs[0].facts if name not in ("versions", "command")]
    rows = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(_shown(run.facts.get(name)))}</td>' for run in runs)}</tr>"
        for name in names
    )
    head = "".join(f"<th>{escape(run.name)}</th>" for run in runs)
    table = f"<div class=scroll><table><tr><th></th>{head}</tr>{rows}</table></div>"
    return f"<details><summary>Settings and theory</summary>{table}</details>"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return (
        ", ".join(map(_shown, value))
        if isinstance(value, list)
        else "–"
        if value is None
        else str(value)
    )


def _alerts(runs: Sequence[Run]) -> str:
    """Return each kind of alert once, with the step of its first line."""
    found = {}
    for run in runs:
        for line in run.lines:
            for kind, text in line.get("alerts", {}).items():
                found.setdefault(
                    (run.name, kind), f"{run.name}, step {line['step']}, {kind}: {text}"
                )
    said = "".join(f"<p class=alert>{escape(text)}</p>" for text in found.values())
    return said or "<p class=soft>No alert was raised.</p>"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_command(COMMAND, make, argv)


def make(argv: Sequence[str]) -> None:
    """Write the page of the runs that the command line names."""
    parser = Parser(
        COMMAND,
        {"": [Flag("out", default="report.html", help="Page to write.")]},
        usage=f"python -m {COMMAND} RUN [RUN ...] [--out FILE.html]",
        description="Draw the curves of training runs beside what theory says of them.",
        epilog=EXAMPLES,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="Folder of a run (its output_dir).")
    values = parser.read(argv)
    print(write_report(values["runs"], values.get("out", "report.html")))


if __name__ == "__main__":
    sys.exit(main())
