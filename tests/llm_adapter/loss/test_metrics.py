"""Metrics of a ragged batch by hand; windows pool to the metrics of all their examples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mi_estimators as mi
from llm_adapter.loss.alerts import EXAMPLES
from llm_adapter.loss.metrics import last_windows, lost_share_bound, window_metrics, window_sums
from llm_adapter.loss.objective import Objective

BATCH = {
    "negatives": torch.tensor([[True, True], [True, False]]),
    "lengths": torch.tensor([2, 5, 2, 4, 10]),
}


LOG_PROBS = torch.tensor([-4.0, -5.0, -6.0, -8.0, -20.0])


Z = torch.tensor([0.5, -1.0]), torch.tensor([[-3.0, 1.0], [-2.0, 0.0]])


def measured(objective, z=Z, times=1):
    sums = window_sums(objective, LOG_PROBS, z, BATCH)
    return window_metrics(objective, {name: times * total.item() for name, total in sums.items()})


def test_ragged_batch():
    """Metrics of a ragged batch are those by hand."""
    metrics = measured(Objective(beta=0.2))
    assert metrics["rewards/chosen"] == pytest.approx(0.2 * -0.25)
    assert metrics["rewards/rejected"] == pytest.approx(0.2 * (-1 - 2) / 2)
    assert metrics["rewards/accuracies"] == pytest.approx((0.5 + 1) / 2)
    assert metrics["tokens/chosen"] == pytest.approx((2 + 5) / 2)
    assert metrics["logps/chosen_per_token"] == pytest.approx((-2 - 1) / 2)
    assert metrics["logps/rejected_per_token"] == pytest.approx(((-3 - 2) / 2 - 2) / 2)
    assert metrics["movement/common"] == pytest.approx((0.5 - 1 - 1 - 2) / 2)
    assert metrics["movement/margin"] == pytest.approx((0.5 + 1 - 1 + 2) / 2)
    assert metrics["mi/bound"] == pytest.approx(
        Objective().theory([1])["loss_start"]
        - Objective(beta=0.2).losses(*Z, BATCH["negatives"]).mean().item()
    )

    chosen, (low, high) = metrics["rewards/chosen"], mi.no_collapse_interval(0.5)
    assert metrics["collapse/margin"] == pytest.approx(min(chosen - low, high - chosen))
    assert metrics["rewards/margins"] == pytest.approx(chosen - metrics["rewards/rejected"])
    assert metrics == pytest.approx(
        measured(Objective(beta=0.2), times=3) | {"ess/negatives": metrics["ess/negatives"]}
    )


def test_effective_negatives():
    """Effective negatives are those of the weights.

    With one DV bound of all negatives the weights are a softmax, and ESS is the library's.
    """
    objective = Objective("dv", mix=1.0, beta=2.0, negatives="batch")
    metrics = measured(objective)
    flat = 2 * Z[1][BATCH["negatives"]]
    assert metrics["ess/negatives"] == pytest.approx(
        float(mi.effective_sample_size(flat)), rel=1e-5
    )
    assert metrics["ess/fraction"] == pytest.approx(metrics["ess/negatives"] / 3)


def test_starved_shares():
    zeros = torch.zeros(2), torch.zeros(2, 2)
    start, mixed = measured(Objective("dv"), zeros), measured(Objective(mix=0.75), zeros)
    for side in ("gradient/chosen", "gradient/rejected"):
        assert start[side] == pytest.approx(0.5)
        assert mixed[side] == pytest.approx(0.75 / 2)

    assert start["gradient/chosen_starved"] == start["gradient/rejected_starved"] == 0

    far = torch.tensor([9.0, 0.0]), torch.tensor([[0.0, -9.0], [0.0, 0.0]])
    late = measured(Objective("dv", beta=1.0), far)

    assert late["gradient/chosen_starved"] == 0.5
    assert late["gradient/rejected_starved"] == 0.5

    at_anchor = torch.full((2,), mi.preference_anchor(0.5)), torch.zeros(2, 2)
    anchored = measured(Objective(beta=1.0), at_anchor)

    assert anchored["gradient/chosen_starved"] == 1
    assert anchored["anchor/gap"] == pytest.approx(0, abs=1e-6)


def test_windows():
    """Windows pool to the metrics of all their examples."""
    objective, windows = Objective(beta=0.2), []
    for i, rows in enumerate(([0, 2, 3], [1, 4])):
        one = slice(i, i + 1)
        half = {"negatives": BATCH["negatives"][one], "lengths": BATCH["lengths"][rows]}
        sums = window_sums(objective, LOG_PROBS[rows], (Z[0][one], Z[1][one]), half)
        windows.append({name: total.item() for name, total in sums.items()})

    assert window_metrics(objective, *windows) == pytest.approx(measured(objective), rel=1e-6)


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [([4, 64], [64]), ([30, 1, 1], [30, 1, 1])],
)
def test_recent_windows(sizes, kept):
    """Alerts look at the fewest last windows that hold enough examples."""
    assert [
        window["examples"]
        for window in last_windows([{"examples": size} for size in sizes], EXAMPLES)
    ] == kept


@pytest.mark.parametrize(
    ("z", "drift"),
    [((1.0, 1.0), 2 / 3), ((1.0, -1.0), 0.0), ((3.0, 1.0), 4 / 7), ((1e-7, 1e-7), 2e-7)],
)
def test_drift(z, drift):
    """Drift is the share of the movement that is common."""
    batch = {"negatives": torch.ones(1, 1, dtype=torch.bool), "lengths": torch.ones(2)}
    values = torch.tensor(z[:1]), torch.tensor([z[1:]])
    sums = window_sums(Objective("dv"), torch.zeros(2), values, batch)
    metrics = window_metrics(Objective("dv"), {name: float(total) for name, total in sums.items()})
    assert metrics["movement/drift"] == pytest.approx(drift)


@given(
    rewards=st.lists(st.floats(-30, 30), min_size=1, max_size=20),
    mix=st.sampled_from([0.25, 0.5, 0.9, 1.0]),
    lost=st.floats(0, 20),
)
def test_allowed_loss(rewards, mix, lost):
    """No more is lost than the loss allows.

    Whatever the scores: the rejected responses' terms only add to the loss.
    """
    z = torch.tensor(rewards, dtype=torch.float64)
    objective = Objective("js", mix=mix, beta=1.0)
    mask = torch.ones(len(z), 1, dtype=torch.bool)
    loss = objective.losses(z, torch.full((len(z), 1), -1e3, dtype=torch.float64), mask).mean()
    share = (z <= -lost).double().mean()

    assert share <= lost_share_bound(float(loss), mix, lost) + 1e-9


def test_uncounted_examples():
    """Examples that do not count add nothing.

    Padding of an evaluation: the sums are those of the first example alone.
    """
    objective, rows = Objective(beta=0.2), [0, 2, 3]
    counted = torch.tensor([True, False])
    sums = window_sums(objective, LOG_PROBS, Z, BATCH, counted)
    one = {"negatives": BATCH["negatives"][:1], "lengths": BATCH["lengths"][rows]}
    alone = window_sums(objective, LOG_PROBS[rows], (Z[0][:1], Z[1][:1]), one)

    assert sums.keys() == alone.keys()

    for name, total in sums.items():
        assert total.item() == pytest.approx(alone[name].item()), name


def test_mean_anchor():
    """The anchor of a ragged automatic mix is the mean."""
    metrics = measured(Objective("js", mix="auto", beta=0.2))
    anchors = [mi.preference_anchor(mix) for mix in (2 / 3, 1 / 2)]
    assert metrics["anchor/gap"] == pytest.approx(metrics["rewards/chosen"] - sum(anchors) / 2)
    assert "collapse/margin" not in metrics
