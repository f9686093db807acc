"""The row of estimate."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=8,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
    summary=page.summary,
    demo=run.FULL,
)
