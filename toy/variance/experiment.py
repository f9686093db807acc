"""The row of variance."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=6,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
)
