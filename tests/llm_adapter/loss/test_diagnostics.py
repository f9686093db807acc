"""Diagnostics: metrics against their definitions, gradient noise against a pass an example, alerts, report."""

import json
import math

import pytest
import torch
from matplotlib import rc_context
from transformers import LlamaForCausalLM

import mi_estimators as mi
from llm_adapter.loss.alerts import EXAMPLES, alerts
from llm_adapter.loss.logprobs import output_head
from llm_adapter.loss.metrics import last_windows, window_metrics, window_sums
from llm_adapter.loss.objective import Objective
from llm_adapter.report import main as report

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


@pytest.fixture
def trainer(make_trainer):
    return make_trainer("--beta 0.3", examples=6)


def test_gradient_noise_is_that_of_one_backward_pass_an_example(trainer):
    model, batch = trainer.model.train(), trainer.data_collator(trainer.train_dataset)
    (
        trainer.compute_loss(model, batch) / 4
    ).backward()  # as a trainer that accumulates four batches
    found = trainer._head_gradients.statistics(lambda rows: rows)

    trainer.args.diagnostics_steps = 0
    shift = torch.zeros(
        model.config.hidden_size, requires_grad=True
    )  # the parameter that docs/guides/metrics.md names
    handle = output_head(model).register_forward_pre_hook(lambda _, inputs: (inputs[0] + shift,))
    rows = []
    for example in trainer.train_dataset:
        loss = trainer.compute_loss(model, trainer.data_collator([example]))
        rows.append(torch.autograd.grad(loss, shift)[0])
    handle.remove()
    gradients = torch.stack(rows)
    assert found["gradient_noise/variance"] == pytest.approx(
        gradients.var(0).sum().item(), rel=1e-3
    )
    snr = gradients.mean(0).norm() / (gradients.var(0).sum() / len(gradients)).sqrt()
    assert found["gradient_noise/snr"] == pytest.approx(snr.item(), rel=1e-3)
    assert found["gradient_noise/scale"] > 0
    assert trainer._head_gradients.statistics(lambda rows: rows) == {}


def test_a_later_reading_takes_the_place_of_an_earlier_one(trainer):
    model, batch = trainer.model.train(), trainer.data_collator(trainer.train_dataset)
    trainer.args.diagnostics_steps = 1

    def read(step):
        trainer.state.global_step = step
        trainer.compute_loss(model, batch).backward()

    read(1)
    with torch.no_grad():
        output_head(model).weight.mul_(1.1)
    read(2)
    read(2)  # accumulated: one step
    n = len(trainer.train_dataset)
    assert len(trainer._head_gradients.state()["head_gradients"]) == 2 * n
    both = trainer._head_gradients.statistics(lambda rows: rows)
    read(3)
    assert len(trainer._head_gradients.state()["head_gradients"]) == n
    alone = trainer._head_gradients.statistics(lambda rows: rows)
    factor = (n - 1) * 2 / (2 * n - 1)  # every row twice: the variance has another divisor
    expected = factor * alone["gradient_noise/variance"]
    assert both["gradient_noise/variance"] == pytest.approx(expected, rel=1e-4)


def test_a_model_whose_head_is_not_known_trains_without_that_reading(make_trainer, monkeypatch):
    monkeypatch.setattr(LlamaForCausalLM, "get_output_embeddings", lambda model: None)
    trainer = make_trainer(examples=6)
    trainer.args.max_steps, trainer.args.diagnostics_steps = 1, 1
    trainer.train()
    first = trainer.state.log_history[0]
    assert first["loss"] == pytest.approx(2 * math.log(2), abs=1e-4)
    assert not any(name.startswith("gradient_noise") for name in first)


def line(**changes):
    return {
        "rewards/chosen": 0.0,
        "rewards/margins": 0.1,
        "movement/margin": 1.0,
        "gradient/chosen_starved": 0.0,
        "ess/fraction": 0.9,
        "ess/negatives": 90.0,
        "tokens/chosen": 20.0,
    } | {name.replace("__", "/"): value for name, value in changes.items()}


@pytest.mark.parametrize(
    ("objective", "values", "kinds"),
    [
        (Objective("dv"), line(), set()),
        (Objective("dv"), line(rewards__chosen=-0.5, movement__margin=4.0), {"collapse"}),
        (Objective("dv"), line(rewards__chosen=-0.5, movement__margin=0.5), set()),
        (
            Objective("dv", log_ratio="mean"),
            line(rewards__chosen=-0.006, movement__margin=0.06),
            {"collapse"},
        ),  # −1.2
        (
            Objective("dv", log_ratio="mean"),
            line(rewards__chosen=-0.004, movement__margin=0.06),
            set(),
        ),  # −0.8 nats
        (Objective(), line(rewards__chosen=-0.9, collapse__margin=-0.05), {"interval"}),
        (
            Objective(),
            line(rewards__chosen=0.69, anchor__gap=-0.003, gradient__chosen_starved=1.0),
            {"plateau"},
        ),
        (Objective("dv"), line(rewards__chosen=-0.01, gradient__chosen_starved=0.95), {"starved"}),
        (Objective("dv"), line(ess__fraction=0.05, ess__negatives=5.0), {"few_negatives"}),
    ],
)
def test_alerts(objective, values, kinds):
    assert alerts(objective, values).keys() == kinds


@pytest.mark.parametrize(
    ("objective", "margin", "said"),
    [
        (
            Objective("dv"),
            {},
            "nats: probability moves to responses outside the data. Use bound js",
        ),
        (Objective(), {"collapse__margin": 0.1}, "The no-collapse interval limits this loss"),
        (Objective(), {"collapse__margin": -0.1}, "Lower the learning rate or raise beta"),
        (Objective("dv", log_ratio="mean"), {}, "have lost 5.00 nats per token on average"),
    ],
)
def test_the_alert_of_a_collapse_is_true_of_its_objective(objective, margin, said):
    found = alerts(objective, line(rewards__chosen=-0.5, movement__margin=4.0, **margin))[
        "collapse"
    ]
    assert said.removeprefix("nats; ") in found
    assert ("bound js" in found) == (objective.bound == "dv")


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


def test_report_shows_theory_alerts_and_what_is_missing(tmp_path, capsys):
    run = tmp_path / "a<b"
    run.mkdir()
    facts = {
        "bound": "js",
        "loss_start": 1.386294,
        "loss_floor": 0.954771,
        "anchor": 0.6931,
        "versions": {},
    }
    (run / "run.json").write_text(json.dumps(facts))
    rows = [{"step": s, "loss": 1.3863 - s / 100, "gradient_noise/snr": None} for s in (1, 2)]
    rows[1]["alerts"] = {"collapse": "chosen < rejected"}
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "page.html"
    assert report([str(run), "--out", str(out)]) == 0
    page = out.read_text()
    assert page.count("<figure>") == 1  # the loss alone has points
    assert "a&lt;b, step 2, collapse: chosen &lt; rejected" in page
    assert "loss start 1.386" in page
    assert "<b, step" not in page
    with rc_context({"figure.constrained_layout.use": True, "axes.labelsize": 30}):
        assert report([str(run), "--out", str(out)]) == 0
    assert out.read_text() == page  # in whatever style the caller draws
    assert report([str(tmp_path)]) == 2
    assert "expected a run's run.json and metrics.jsonl" in capsys.readouterr().err
    assert report([str(run), "--out", str(tmp_path / "nowhere" / "page.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
