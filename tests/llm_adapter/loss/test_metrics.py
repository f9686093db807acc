"""Metrics of a ragged batch by hand; windows pool to the metrics of all their examples."""

import pytest
import torch

import mi_estimators as mi
from llm_adapter.loss.alerts import EXAMPLES
from llm_adapter.loss.metrics import last_windows, window_metrics, window_sums
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


def test_metrics_of_a_ragged_batch_by_hand():
    found = measured(Objective(beta=0.2))
    assert found["rewards/chosen"] == pytest.approx(0.2 * -0.25)
    assert found["rewards/rejected"] == pytest.approx(0.2 * (-1 - 2) / 2)
    assert found["rewards/accuracies"] == pytest.approx((0.5 + 1) / 2)
    assert found["tokens/chosen"] == pytest.approx((2 + 5) / 2)
    assert found["logps/chosen_per_token"] == pytest.approx((-2 - 1) / 2)
    assert found["logps/rejected_per_token"] == pytest.approx(((-3 - 2) / 2 - 2) / 2)
    assert found["movement/common"] == pytest.approx((0.5 - 1 - 1 - 2) / 2)
    assert found["movement/margin"] == pytest.approx((0.5 + 1 - 1 + 2) / 2)
    assert found["mi/bound"] == pytest.approx(
        Objective().theory([1])["loss_start"]
        - Objective(beta=0.2).losses(*Z, BATCH["negatives"]).mean().item()
    )
    chosen, (low, high) = found["rewards/chosen"], mi.no_collapse_interval(0.5)
    assert found["collapse/margin"] == pytest.approx(min(chosen - low, high - chosen))
    assert found["rewards/margins"] == pytest.approx(chosen - found["rewards/rejected"])
    assert found == pytest.approx(
        measured(Objective(beta=0.2), times=3) | {"ess/negatives": found["ess/negatives"]}
    )


def test_effective_negatives_are_those_of_the_weights():
    """With one DV bound of all negatives the weights are a softmax, and ESS is the library's."""
    objective = Objective("dv", mix=1.0, beta=2.0, negatives="batch")
    found = measured(objective)
    flat = 2 * Z[1][BATCH["negatives"]]
    assert found["ess/negatives"] == pytest.approx(float(mi.effective_sample_size(flat)), rel=1e-5)
    assert found["ess/fraction"] == pytest.approx(found["ess/negatives"] / 3)


def test_starved_shares():
    zeros = torch.zeros(2), torch.zeros(2, 2)
    start, mixed = measured(Objective("dv"), zeros), measured(Objective(mix=0.75), zeros)
    for side in ("gradient/chosen", "gradient/rejected"):
        assert start[side] == pytest.approx(0.5)
        assert mixed[side] == pytest.approx(0.75 / 2)
    assert start["gradient/chosen_starved"] == start["gradient/rejected_starved"] == 0
    late = measured(
        Objective("dv", beta=1.0),
        (torch.tensor([9.0, 0.0]), torch.tensor([[0.0, -9.0], [0.0, 0.0]])),
    )
    assert late["gradient/chosen_starved"] == 0.5
    assert late["gradient/rejected_starved"] == 0.5
    anchored = measured(
        Objective(beta=1.0), (torch.full((2,), mi.preference_anchor(0.5)), torch.zeros(2, 2))
    )
    assert anchored["gradient/chosen_starved"] == 1
    assert anchored["anchor/gap"] == pytest.approx(0, abs=1e-6)


def test_windows_pool_to_the_metrics_of_all_their_examples():
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
def test_alerts_look_at_the_fewest_last_windows_that_hold_enough_examples(sizes, kept):
    assert [
        window["examples"]
        for window in last_windows([{"examples": size} for size in sizes], EXAMPLES)
    ] == kept
