"""The row of rounds."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=11,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
)
