"""The row of starvation."""

from ..experiment import Experiment
from . import page, run, tables
from .critic import page as critic_page
from .critic import run as critic

EXPERIMENT = Experiment(
    order=3,
    full=(*run.FULL, *critic.FULL),
    quick=(*run.QUICK, *critic.QUICK),
    runs={**run.RUNS, **critic.RUNS},
    sections=(page.section, critic_page.section),
    summary=tables.summary,
    demo=run.FULL,
)
