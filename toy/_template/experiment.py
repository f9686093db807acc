"""The row of shift."""

from ..experiment import Experiment
from . import page, run

EXPERIMENT = Experiment(
    order=9,  # its place on the report
    full=run.FULL,
    quick=run.QUICK,
    runs=run.RUNS,
    sections=(page.section,),
    # summary=…: its lines of the table at the report's head; demo=run.FULL: a part of `python -m toy demo`.
)
