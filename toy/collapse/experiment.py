"""The row of collapse."""

from ..experiment import Experiment
from . import page, run, tables
from .sweep import page as sweep_page
from .sweep import run as sweep
from .sweep import tables as sweep_tables

EXPERIMENT = Experiment(
    order=2,
    full=(*run.FULL, *sweep.FULL),
    quick=(*run.QUICK, *sweep.QUICK),
    runs={**run.RUNS, **sweep.RUNS},
    sections=(page.section, sweep_page.section),
    summary=lambda rows: [*tables.summary(rows), *sweep_tables.summary(rows)],
    demo=run.FULL,
)
