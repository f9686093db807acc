"""The row of anchor."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=4,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
)
