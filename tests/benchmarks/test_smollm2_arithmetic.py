"""The experiment on SmolLM2: arms at equal first gradients, and tables that are those of the runs' files."""

import pytest
import torch

from benchmarks.smollm2_arithmetic import plan, records
from benchmarks.smollm2_arithmetic.tables import FINDINGS, tables, write_between_marks


@pytest.mark.parametrize("arm", [arm for arm in plan.ARMS if arm != "SFT"])
def test_first_gradients(arm):
    """First gradients on the chosen response are DPO's."""
    objective = plan.ARMS[arm]
    beta = plan.matched(objective, plan.BETA)
    z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    negatives = torch.zeros(1, plan.NEGATIVES, dtype=torch.float64)
    here = type(objective)(bound=objective.bound, mix=objective.mix, beta=beta)
    (slope,) = torch.autograd.grad(
        here.losses(z, negatives, torch.ones_like(negatives, dtype=torch.bool)).sum(), z
    )
    assert -slope.item() == pytest.approx(plan.BETA / 2)


def test_page():
    """The page holds the tables of the runs."""
    runs = records.finished()
    assert len(runs) == len(records.read()) - 1  # and the base model
    assert tables(runs) in FINDINGS.read_text(encoding="utf-8")


def test_marks(tmp_path):
    """What stands around the marks is kept."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- tables: begin -->\nold\n<!-- tables: end -->\nafter\n")
    write_between_marks(page, "new")
    assert (
        page.read_text() == "before\n<!-- tables: begin -->\n\nnew\n<!-- tables: end -->\nafter\n"
    )


def test_no_run_is_twice_in_the_plan():
    runs = list(plan.runs())
    assert len({run.folder for run in runs}) == len(runs)
