"""The row of reach."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=5,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
)
