"""The row of escape."""

from ..experiment import Experiment
from . import page, run, tables

EXPERIMENT = Experiment(
    order=1,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
    summary=tables.summary,
    demo=run.FULL,
)
