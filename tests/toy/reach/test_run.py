"""Reach: flows against their closed forms, the unbiased estimator of pass@k, and who overtakes whom."""

import pytest
import torch

from toy.reach import run as reach

SPEC = reach.Reach(
    0.8,
    bank=(1e-2, 0.1, 0.5),
    far=(1e-6,),
    time=60.0,
)


@pytest.fixture(scope="module")
def quick():
    return reach.reach(reach.QUICK[0], 0)


@pytest.mark.parametrize(
    ("method", "tolerance"), [("rlhf", 1e-4), ("dpo", 1e-4), ("sft", 1e-6), ("mio", 0.05)]
)
def test_ends_of_flows(method, tolerance):
    """Flows end where theory says."""
    p = torch.tensor((*SPEC.far, *SPEC.bank), dtype=torch.float64)
    end = reach.train(SPEC, method, p)
    theory = reach.closed_form(SPEC, method, p)
    assert end.tolist() == pytest.approx(theory.tolist(), rel=tolerance)


def test_alpha_mio():
    """α-MIO lifts the bank to one, and nothing else."""
    p = torch.tensor((*SPEC.far, *SPEC.bank), dtype=torch.float64)
    end = reach.train(SPEC, "alpha", p)
    assert 1 - SPEC.mix == pytest.approx(min(SPEC.bank) ** SPEC.beta)
    assert end[1:].min() > 0.9
    assert float(end[0]) == pytest.approx(SPEC.far[0] / min(SPEC.bank), rel=0.05)


def test_dpo():
    """DPO moves the chosen by half of its margin where a response is unseen.

    Small p: ln π_w/π_ref is u/(2β) and u → ln 2β²t, so success grows like t^{1/(2β)}, not t^{1/β}.
    """
    p = torch.tensor([1e-30], dtype=torch.float64)
    ends = [reach.closed_form(reach.Reach(0.5, bank=(1e-3,), time=t), "dpo", p) for t in (1e6, 1e8)]
    assert float(ends[1] / ends[0]) == pytest.approx(100 ** (1 / (2 * 0.5)), rel=1e-3)


def test_sft():
    """SFT alone forgets the base success."""
    p = torch.tensor([1e-12, 1e-2], dtype=torch.float64)
    assert reach.train(SPEC, "sft", p).min() > 0.99
    assert all(
        float(reach.closed_form(SPEC, method, p)[0]) < 1e-3
        for method in ("rlhf", "dpo", "mio", "alpha")
    )


@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 2), (5, 3), (6, 6), (40, 7)])
def test_pass_at_k_bias(n, k):
    """The estimator is unbiased, and the plug-in is too low.

    Exact means over the binomial law of c.
    """
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


def test_extreme_success():
    p, k = (
        torch.tensor([0.0, 1e-18, 1.0], dtype=torch.float64),
        torch.tensor([1.0, 1024.0], dtype=torch.float64),
    )
    chances = reach.pass_at_k(p, k)

    assert chances[0].tolist() == [0, 0]
    assert chances[1].tolist() == pytest.approx([1e-18, 1024e-18])
    assert chances[2].tolist() == pytest.approx([1, 1])


def test_sampled_end(quick):
    """Sampling agrees with the flow's end."""
    measured, _ = quick
    for method, sampled in measured["pass_at_k"].items():
        lines = (sampled["mean"], sampled["stderr"], measured["exact"][method])
        for mean, error, exact in zip(*lines, strict=True):
            assert abs(mean - exact) <= 4 * error + 1e-3


def test_rlhf_and_base(
    quick,
):
    """The base's answers overtake one of RLHF by e^(1/β), and RLHF stays ahead at equal k."""
    _, expected = quick
    assert max(expected["overtaking"]) <= expected["overtaking_at_most"]
    pairs = zip(expected["pass_at_k"]["base"], expected["pass_at_k"]["rlhf"], strict=True)
    assert all(base <= rlhf for base, rlhf in pairs)
