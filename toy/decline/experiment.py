"""The row of decline."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=10,
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
)
