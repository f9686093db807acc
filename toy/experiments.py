"""The experiments: what each runs, in full and in a quick suite, and what it puts on the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mi_estimators.display.page import Page

from . import specs
from .anchor import page as anchor_page
from .anchor import run as anchor
from .collapse import page as collapse_page
from .collapse import run as collapse
from .collapse.sweep import page as collapse_sweep_page
from .collapse.sweep import run as collapse_sweep
from .escape import page as escape_page
from .escape import run as escape
from .escape import who_samples
from .reach import page as reach_page
from .reach import run as reach
from .rows import Row, Spec
from .staircase import page as staircase_page
from .staircase import run as staircase
from .starvation import page as gaussian_page
from .starvation import run as gaussian
from .starvation.critic import page as critic_starvation_page
from .starvation.critic import run as critic_starvation
from .variance import page as variance_page
from .variance import run as variance

Run = Callable[..., tuple[dict, dict]]
"""(spec, seed) → (measured, theory), as plain data."""


@dataclass(frozen=True)
class Experiment:
    """One phenomenon.

    Attributes:
        about: what it shows, in a line.
        full, quick: its specs; the quick ones take seconds, reach every line of code, and their numbers are rough.
        runs: kind of spec → the function that runs it.
        sections: put its rows on the page, and nothing where there are none.
    """

    about: str
    full: tuple[Spec, ...]
    quick: tuple[Spec, ...]
    runs: dict[type, Run]
    sections: tuple[Callable[[Page, list[Row]], None], ...]


EXPERIMENTS: dict[str, Experiment] = {
    "escape": Experiment(
        "how long a policy takes from p(correct) = ε to ½",
        specs.ESCAPE,
        specs.QUICK["escape"],
        {
            specs.EscapeFlow: escape.escape_flow,
            specs.MioLift: escape.mio_lift,
            specs.EscapeSampled: escape.escape_sampled,
            specs.WhoSamples: who_samples.who_samples,
        },
        (escape_page.section,),
    ),
    "collapse": Experiment(
        "when the chosen response sinks, and what holds it",
        (*specs.COLLAPSE, *collapse_sweep.FULL),
        (*specs.QUICK["collapse"], *collapse_sweep.QUICK),
        {specs.Collapse: collapse.collapse, specs.Lazy: collapse.lazy, **collapse_sweep.RUNS},
        (collapse_page.section, collapse_sweep_page.section),
    ),
    "starvation": Experiment(
        "which samples carry an estimator's gradient",
        (*specs.STARVATION, *critic_starvation.FULL),
        (*specs.QUICK["starvation"], *critic_starvation.QUICK),
        {
            specs.EffectiveSampleSize: gaussian.effective_sample_size,
            specs.GradientVariance: gaussian.gradient_variance,
            **critic_starvation.RUNS,
        },
        (gaussian_page.starvation, critic_starvation_page.section),
    ),
    "anchor": Experiment(
        "where the JS family holds the chosen response",
        anchor.FULL,
        anchor.QUICK,
        anchor.RUNS,
        (anchor_page.section,),
    ),
    "reach": Experiment(
        "what a policy can do after training that its base could not",
        reach.FULL,
        reach.QUICK,
        reach.RUNS,
        (reach_page.section,),
    ),
    "variance": Experiment(
        "the noise of values and gradients against the information",
        variance.FULL,
        variance.QUICK,
        variance.RUNS,
        (variance_page.section,),
    ),
    "staircase": Experiment(
        "every estimator on 2 to 10 nats in 20 dimensions, beside the exact critic",
        staircase.FULL,
        staircase.QUICK,
        staircase.RUNS,
        (staircase_page.section,),
    ),
    "estimate": Experiment(
        "one estimate with its interval",
        specs.ESTIMATE,
        specs.QUICK["estimate"],
        {specs.Estimate: gaussian.estimate},
        (gaussian_page.estimate,),
    ),
}
"""Experiments by name, in the report's order."""

RUNS: dict[type, Run] = {
    kind: run for one in EXPERIMENTS.values() for kind, run in one.runs.items()
}

FULL = {name: one.full for name, one in EXPERIMENTS.items()}
QUICK = {name: one.quick for name, one in EXPERIMENTS.items()}
DEMO = {
    "escape": specs.ESCAPE,
    "collapse": specs.COLLAPSE,
    "starvation": specs.STARVATION,
    "estimate": specs.ESTIMATE,
}
"""A part of the full suite that takes less than a minute."""
