"""The collapse sweep: kernels against closed forms, matched losses, the small transformer, and the page."""

import itertools
import math

import pytest
import torch

import mi_estimators as mi
from mi_estimators.display.files import strict
from mi_estimators.display.page import Page
from mi_estimators.theory import mio_barrier as barrier
from mi_estimators.theory import mio_deepest_dip as dip
from toy import rows
from toy.collapse.sweep import page as collapse_sweep_page
from toy.collapse.sweep.kernel import Kernel, Plane, kernel, plane
from toy.collapse.sweep.losses import LOSSES, grid, matched_scale, train, tuned, verdict
from toy.collapse.sweep.run import FULL, QUICK, RUNS
from toy.collapse.sweep.sequences import Sequences, overlapping_pairs
from toy.models.transformer import log_likelihood, next_token_log_probs, sample, transformer

KAPPAS, BETAS = (0.0, 0.9, 1.0, 1.1, 2.0, 3.5, 6.0), (0.5, 1.0)


@pytest.mark.parametrize("name", LOSSES)
def test_first_gradients_have_one_length(name):
    beta = torch.tensor([[0.05], [0.3], [2.0]], dtype=torch.float64)
    z = torch.zeros(2, 3, 1, dtype=torch.float64, requires_grad=True)
    loss = matched_scale(name, beta) * LOSSES[name](z[0], z[1], beta)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    assert gradient.square().sum(0).flatten().tolist() == pytest.approx([0.5] * 3)
    if name != "dpo_sft":  # all others share DPO's direction
        assert (-gradient[0]).flatten().tolist() == pytest.approx(gradient[1].flatten().tolist())


def test_dpo_meets_its_closed_form_and_turns_at_c_equal_a():
    measured, said = kernel(Kernel("dv", KAPPAS, BETAS, horizon=100.0), 0)
    for kappa, row, expected in zip(KAPPAS, measured["final"], said["final"], strict=True):
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-12)
        assert all(math.copysign(1, 1 - kappa) * end > 0 or kappa == 1 for end in row)


@pytest.mark.parametrize("excess", [0.01, 1.0])
def test_mio_dips_no_deeper_than_theory_at_any_beta(excess):
    measured, said = kernel(Kernel("js", KAPPAS, BETAS, excess, horizon=100.0), 0)
    for kappa, row, deepest in zip(KAPPAS, measured["lowest"], said["dip"], strict=True):
        depths = [low * beta for low, beta in zip(row, BETAS, strict=True)]
        assert min(depths) >= deepest - 1e-4
        assert depths[0] == pytest.approx(depths[1], abs=3e-3)  # βz_w does not depend on β
        if excess == 0.01:
            assert min(depths) == pytest.approx(deepest, abs=0.01)
        if kappa <= 1:
            assert depths == [0, 0]
    assert measured["highest_rejected"] <= 0


def test_the_dip_lies_between_the_barrier_and_zero_and_inside_the_interval():
    for kappa in (1.0, 1.5, 2.2, 3.0, 3.9, 10.0, 100.0):
        assert (barrier(kappa) if kappa < 4 else -math.inf) <= dip(kappa) <= 0
        assert dip(kappa) > mi.no_collapse_interval(0.5)[0]
    assert barrier(1.0) == pytest.approx(0)
    assert barrier(2.21) < mi.no_collapse_interval(0.5)[0] < barrier(2.20)


def test_curvature_of_the_common_mode_and_directions():
    measured, said = plane(Plane(points=5, steps=60, rate=0.05), 0)
    for name, curvature in said["common_curvature"].items():
        assert measured["fields"][name]["common_curvature"] == pytest.approx(curvature, abs=1e-12)
    up, down = torch.tensor(measured["fields"]["dpo"]["descent"])
    torch.testing.assert_close(up, -down)
    assert measured["fields"]["mio"]["lowest"] == pytest.approx(
        -0.280, abs=3e-3
    )  # a, c, d = 1, 3, 10
    assert measured["fields"]["dpop"]["lowest"] > -0.1


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ([0.0, 0.5, 1.0], "holds"),
        ([0.0, -0.04, -0.04], "holds"),
        ([0.0, -1.0, -0.4], "reverses"),
        ([0.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.01], "sinks"),
        ([0.0, -1.0, -2.0, -3.0], "drifts"),
        ([0.0, math.nan], "diverges"),
    ],
)
def test_verdicts(curve, said):
    assert verdict(curve) == said


def test_tuning_chooses_on_even_replicas_and_reports_odd_ones():
    rest = {"rate": 0.1, "verdict": "holds", "z_chosen": [0.0, 1.0]}
    settings = [
        {"beta": 1.0, "gain": [3.0, 1.0, 3.0, 2.0], **rest},
        {"beta": 2.0, "gain": [2.0, 9.0, 2.0, 9.0], **rest},
        {"beta": 3.0, "gain": [9.0, 9.0, math.nan, 9.0], **rest},
    ]
    best = tuned(settings)
    assert (best["beta"], best["gain"], best["held_out"]) == (1.0, 1.5, [1.0, 2.0])


def test_an_overflow_stays_with_its_replica():
    """z = (θ, −θ): one replica starts where the log-ratio is infinite."""
    start = torch.tensor([[0.0], [torch.inf], [0.0], [0.0]])
    out, last = train("dpo", lambda p: (p[0], -p[0]), [start], grid((0.5,), (0.1, 0.2)), 8)
    assert [setting["rate"] for setting in out] == [0.1, 0.2]
    assert last[0].isfinite().flatten().tolist() == [True, False, True, True]
    assert out[1]["final"][0] == out[1]["final"][1] > out[0]["final"][0] > 0


def _policy(replicas=2, vocabulary=3, length=4):
    generator = torch.Generator().manual_seed(0)
    return [p.double() for p in transformer(replicas, vocabulary, length, 8, generator)]


def test_the_transformer_is_a_law_of_responses():
    every = torch.tensor([[0, 2, *pair] for pair in itertools.product(range(3), repeat=2)])
    total = log_likelihood(_policy(), every.expand(2, -1, -1), 2).exp().sum(-1)
    assert total.tolist() == pytest.approx([1, 1])


def test_the_transformer_is_causal_and_its_replicas_are_apart():
    tokens = torch.tensor([[0, 1, 2, 0], [0, 1, 0, 1]]).expand(2, 2, 4)
    log_probs = next_token_log_probs(_policy(), tokens)
    torch.testing.assert_close(log_probs[:, 0, :2], log_probs[:, 1, :2])
    assert not torch.allclose(log_probs[:, 0, 2], log_probs[:, 1, 2])
    changed = _policy()
    changed[0][1] += 1
    torch.testing.assert_close(next_token_log_probs(changed, tokens)[0], log_probs[0])


def test_samples_follow_the_law():
    policy = _policy(replicas=1, length=3)
    prompts = torch.tensor([0, 1]).expand(1, 20_000, 2)
    drawn = sample(policy, prompts, 3, torch.Generator().manual_seed(1))
    share = torch.bincount(drawn[0, :, 2], minlength=3) / 20_000
    said = next_token_log_probs(policy, prompts[:, :1])[0, 0, 1].exp()
    assert share.tolist() == pytest.approx(said.tolist(), abs=0.015)


@pytest.mark.parametrize("shared", [0, 3, 5])
def test_pairs_agree_exactly_where_they_must(shared):
    generator = torch.Generator().manual_seed(0)
    chain = torch.rand(3, 12, 12, generator=generator).add(0.01)
    one, two = overlapping_pairs(
        Sequences(shared), chain / chain.sum(-1, keepdim=True), 20, generator
    )
    assert (one == two)[..., :2].all()
    assert ((one == two).sum(-1) == 2 + shared).all()


def test_dpo_collapses_where_the_base_knows_the_pairs_and_an_anchor_holds():
    """The sign only, at the smallest β: DPO's mean chosen log-ratio falls, MIO's does not."""
    spec = Sequences(
        5,
        losses=("dpo", "mio"),
        betas=(0.05,),
        rates=(0.01,),
        replicas=3,
        evaluated=8,
        sft_steps=200,
        steps=25,
    )
    measured, _ = RUNS[Sequences](spec, 0)
    dpo, mio = (measured["losses"][name]["settings"][0]["z_chosen"][-1] for name in spec.losses)
    bound = mi.no_collapse_interval(0.5)[0] / 0.05
    assert min(measured["losses"]["mio"]["settings"][0]["lowest_below_start"]) >= bound
    assert dpo < -1
    assert mio > dpo + 1


@pytest.fixture(scope="module")
def quick():
    found = []
    for spec in QUICK:
        measured, said = RUNS[type(spec)](spec, 0)
        found.append(
            rows.identity("collapse_sweep", spec, "quick", 0)
            | strict({"measured": measured, "theory": said})
        )
    return found


def test_every_figure_of_the_quick_suite_has_a_caption(quick):
    page = Page("test")
    collapse_sweep_page.section(page, quick)
    figures = [part for part in page.parts if part.startswith("<figure")]
    assert set(page.figures) == {
        f"collapse_{name}" for name in ("kernel", "plane", "verdicts", "curves", "tuned")
    }
    assert len(figures) == len(page.figures)
    assert all(len(part.split("<figcaption>")[1]) > 300 for part in figures)


def test_the_section_is_silent_without_its_rows():
    page = Page("test")
    collapse_sweep_page.section(page, [])
    assert page.parts == []


def test_every_spec_of_the_suites_has_a_run():
    assert {type(spec) for spec in FULL + QUICK} == set(RUNS)
