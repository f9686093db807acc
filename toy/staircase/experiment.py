"""The row of staircase."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=7,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
)
