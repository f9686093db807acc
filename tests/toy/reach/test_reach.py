"""Reach: flows against their closed forms, the unbiased estimator of pass@k, and who overtakes whom."""

import json
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators import theory
from mi_estimators.display.files import strict
from mi_estimators.display.page import Page
from toy.collapse.run import Collapse
from toy.reach import page as reach_page
from toy.reach import run as reach
from toy.rows import Row

SPEC = reach.Reach(0.8, bank=(1e-2, 0.1, 0.5), far=(1e-6,), time=60.0)


@pytest.fixture(scope="module")
def quick():
    """The quick suite as rows would hold it."""
    rows: list[Row] = []
    for spec in reach.QUICK:
        measured, expected = reach.RUNS[type(spec)](spec, 0)
        row = {
            "kind": "Reach",
            "spec": spec.__dict__,
            "measured": strict(measured),
            "theory": strict(expected),
        }
        rows.append(json.loads(json.dumps(row)))
    return rows


@pytest.mark.parametrize(
    ("method", "tolerance"), [("rlhf", 1e-4), ("dpo", 1e-4), ("sft", 1e-6), ("mio", 0.05)]
)
def test_flows_end_where_theory_says(method, tolerance):
    p = torch.tensor((*SPEC.far, *SPEC.bank), dtype=torch.float64)
    end, said = reach.train(SPEC, method, p), reach.closed_form(SPEC, method, p)
    assert end.tolist() == pytest.approx(said.tolist(), rel=tolerance)


def test_alpha_mio_lifts_the_bank_to_one_and_nothing_else():
    p = torch.tensor((*SPEC.far, *SPEC.bank), dtype=torch.float64)
    end = reach.train(SPEC, "alpha", p)
    assert 1 - SPEC.mix == pytest.approx(min(SPEC.bank) ** SPEC.beta)
    assert end[1:].min() > 0.9
    assert float(end[0]) == pytest.approx(SPEC.far[0] / min(SPEC.bank), rel=0.05)


def test_the_optimum_is_the_slope_of_the_librarys_log_mean_and_keeps_zero():
    beta = 0.3
    p = torch.tensor([0.0, 1e-4, 0.5, 1.0], dtype=torch.float64)
    inverse = torch.full_like(p, 1 / beta).requires_grad_()
    log_law = torch.stack([p, 1 - p], -1).log()
    reward = torch.tensor([1.0, 0.0], dtype=torch.float64)
    total = mi.log_mean_exp(inverse[:, None] * reward, log_law).sum()
    (slope,) = torch.autograd.grad(total, inverse)
    assert theory.rlhf_success(p, beta).tolist() == pytest.approx(slope.tolist(), rel=1e-12)
    assert float(theory.rlhf_success(p, beta)[0]) == 0


def test_rlhf_multiplies_the_odds():
    p = torch.tensor([1e-6, 1e-2, 0.5], dtype=torch.float64)
    after = theory.rlhf_success(p, 0.5)
    assert (after / (1 - after) * (1 - p) / p).tolist() == pytest.approx([math.e**2] * 3)


def test_dpo_moves_the_chosen_by_half_of_its_margin_where_a_response_is_unseen():
    """Small p: ln π_w/π_ref is u/(2β) and u → ln 2β²t, so success grows like t^{1/(2β)}, not t^{1/β}."""
    p = torch.tensor([1e-30], dtype=torch.float64)
    ends = [reach.closed_form(reach.Reach(0.5, bank=(1e-3,), time=t), "dpo", p) for t in (1e6, 1e8)]
    assert float(ends[1] / ends[0]) == pytest.approx(100 ** (1 / (2 * 0.5)), rel=1e-3)


def test_sft_alone_forgets_the_base_success():
    p = torch.tensor([1e-12, 1e-2], dtype=torch.float64)
    assert reach.train(SPEC, "sft", p).min() > 0.99
    assert all(
        float(reach.closed_form(SPEC, method, p)[0]) < 1e-3
        for method in ("rlhf", "dpo", "mio", "alpha")
    )


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 2), (5, 3), (6, 6), (40, 7)])
def test_the_estimator_is_unbiased_and_the_plug_in_is_too_low(n, k):
    """Exact means over the binomial law of c."""
    p, size = 0.3, torch.tensor([float(k)], dtype=torch.float64)
    correct = torch.arange(n + 1, dtype=torch.float64)
    law = (
        torch.distributions.Binomial(n, torch.tensor(p, dtype=torch.float64))
        .log_prob(correct)
        .exp()
    )
    exact = 1 - (1 - p) ** k
    assert float(law @ reach.estimate_pass_at_k(correct, n, size)[:, 0]) == pytest.approx(
        exact, abs=1e-12
    )
    plug_in = float(law @ reach.pass_at_k(correct / n, size)[:, 0])
    assert plug_in < exact or k == 1


def test_pass_at_k_for_tiny_and_certain_success():
    p, k = (
        torch.tensor([0.0, 1e-18, 1.0], dtype=torch.float64),
        torch.tensor([1.0, 1024.0], dtype=torch.float64),
    )
    found = reach.pass_at_k(p, k)
    assert found[0].tolist() == [0, 0]
    assert found[1].tolist() == pytest.approx([1e-18, 1024e-18])
    assert found[2].tolist() == pytest.approx([1, 1])


def test_sampling_agrees_with_the_flows_end(quick):
    for row in quick:
        for method, found in row["measured"]["pass_at_k"].items():
            for mean, error, exact in zip(
                found["mean"], found["stderr"], row["measured"]["exact"][method], strict=True
            ):
                assert abs(mean - exact) <= 4 * error + 1e-3


def test_base_answers_overtake_one_of_rlhf_by_e_to_one_over_beta_and_rlhf_stays_ahead_at_equal_k(
    quick,
):
    for row in quick:
        said = row["theory"]
        assert max(said["overtaking"]) <= said["overtaking_at_most"]
        pairs = zip(said["pass_at_k"]["base"], said["pass_at_k"]["rlhf"], strict=True)
        assert all(base <= rlhf for base, rlhf in pairs)


def test_the_section_draws_every_figure_with_a_caption(quick, tmp_path):
    page = Page("reach")
    reach_page.section(page, quick)
    assert list(page.figures) == ["reach", "pass_at_k", "overtaking"]
    text = "".join(page.parts)
    assert text.count("<figcaption>") == 3
    assert "flow&#x27;s end, exact" in text
    page.write(tmp_path / "report.html")
    assert (tmp_path / "pass_at_k.png").read_bytes().startswith(b"\x89PNG")


def test_the_section_is_silent_without_rows():
    page = Page("empty")
    reach_page.section(page, [{"kind": Collapse.__name__, "spec": {}}])
    assert not page.parts
