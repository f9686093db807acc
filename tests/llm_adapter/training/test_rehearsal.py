"""What a run needs later is tried before it starts, and trained weights are not lost to its end."""

import errno
import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import GenerationConfig, LlamaForCausalLM

from llm_adapter.loss.objective import Objective
from llm_adapter.training import checkpoints
from llm_adapter.training.rehearsal import logged_names, mend_generation_config
from llm_adapter.training.trainer import PreferenceTrainer

VICUNA = {"temperature": 0.9, "top_p": 0.6, "do_sample": False}


@pytest.fixture
def vicuna(changed, folder, tmp_path):
    """A model whose generation config can be read and not written, as Vicuna's."""
    copy = changed(folder, tmp_path / "vicuna")
    path = copy / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | VICUNA))
    return copy


def test_mended_config(run, folder, vicuna, tmp_path, capsys):
    """A generation config that cannot be saved is mended, in one line."""
    model = LlamaForCausalLM.from_pretrained(vicuna)
    model.generation_config.pad_token_id = 0  # as a trainer does
    with pytest.raises(ValueError, match="do_sample"):
        model.save_pretrained(tmp_path / "refused")

    assert run(folder, tmp_path / "out", model=vicuna)[0] == 0
    assert "generation_config: expected one that can be saved, got: " in capsys.readouterr().err

    saved = GenerationConfig.from_pretrained(tmp_path / "out")
    assert (saved.do_sample, saved.temperature) == (True, 0.9)
    assert load_file(tmp_path / "out" / "model.safetensors")


def test_new_config(folder):
    """A config that no setting mends is made anew."""
    model = LlamaForCausalLM.from_pretrained(folder)
    assert mend_generation_config(model) == ""
    model.generation_config.max_new_tokens = 0
    assert "got: " in mend_generation_config(model)
    assert mend_generation_config(model) == ""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--metric_for_best_model reward/margin", "metric_for_best_model: expected one of loss, "),
        ("--metric_for_best_model reward/margin", "(did you mean rewards/margins?)"),
        (
            '--lr_scheduler_kwargs {"cycles":2}',
            "lr_scheduler_kwargs: expected one that works, got ",
        ),
        (
            "--use_liger_kernel true",
            "use_liger_kernel: expected the package liger-kernel, got none",
        ),
        ("--optim adamw_bnb_8bit", "optim: expected one that works, got "),
        (
            "--attn_implementation flex_attention",
            "attn_implementation: expected another one, such as",
        ),
        ("--label_smoothing_factor 0.1", "label_smoothing_factor: expected 0 (it smooths a cross-"),
    ],
)
def test_later_failure(run, folder, tmp_path, capsys, monkeypatch, flags, message):
    """What would fail later is one line before the reference pass."""

    def refused(*_):
        raise AssertionError("the reference ran")

    monkeypatch.setattr("llm_adapter.training.trainer.with_reference", refused)
    assert run(folder, tmp_path / "out", flags)[0] == 2

    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["loss", "eval_rewards/margins"])
def test_logged_metric(run, folder, tmp_path, name):
    """A metric that evaluations log is taken."""
    flags = f"--eval_data {folder / 'few.jsonl'} --eval_strategy steps --eval_steps 1"
    flags += " --save_strategy steps --save_steps 1 --load_best_model_at_end true"
    status, lines = run(folder, tmp_path / "out", f"{flags} --metric_for_best_model {name}")

    assert status == 0

    evaluation = [line for line in lines if "eval_loss" in line][-1]
    names = {key.removeprefix("eval_") for key in evaluation if key.startswith("eval_")}

    assert {*logged_names(Objective())} <= names


def full(count):
    """Return a writer that finds the disk full the first times."""
    written = []

    def save(self, *args, **kwargs):
        written.append(args)
        if len(written) <= count:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, *args, **kwargs)

    original = PreferenceTrainer.save_model
    return save, written


def test_full_disk_at_the_end(run, folder, tmp_path, capsys, monkeypatch):
    """A full disk at the last save is waited for."""
    save, written = full(2)
    pauses = []
    monkeypatch.setattr(PreferenceTrainer, "save_model", save)
    monkeypatch.setattr(checkpoints.time, "sleep", pauses.append)

    assert run(folder, tmp_path / "out", "--save_strategy no")[0] == 0
    assert len(written) == 3
    assert pauses == [checkpoints.PAUSE] * 2

    error = capsys.readouterr().err
    assert error.count("No space left on device. The weights are kept in memory; make room") == 2
    assert load_file(tmp_path / "out" / "model.safetensors")


def test_full_disk(run, folder, tmp_path, capsys, monkeypatch):
    """A full disk costs a checkpoint and not the run."""
    save, _ = full(1)
    monkeypatch.setattr(PreferenceTrainer, "save_model", save)

    assert run(folder, tmp_path / "out", "--save_strategy steps --save_steps 1")[0] == 0
    assert "checkpoint: warning: none at step 1, training goes on" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").glob("checkpoint-*")) == ["checkpoint-2"]
    assert not (tmp_path / "out" / checkpoints.INCOMPLETE).exists()


def test_failed_evaluation(run, folder, tmp_path, monkeypatch, capsys):
    """An evaluation that fails leaves the weights."""

    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PreferenceTrainer, "evaluate", fail)
    assert run(folder, tmp_path / "out", f"--eval_data {folder / 'few.jsonl'}")[0] == 1
    assert "stopped: out of memory" in capsys.readouterr().err
    assert load_file(tmp_path / "out" / "model.safetensors")


def test_compiled_model(run, folder, tmp_path, capsys):
    """A compiled model trains with the default diagnostics."""
    status, lines = run(
        folder, tmp_path / "out", "--torch_compile true --torch_compile_backend eager"
    )

    assert status == 0

    _, plain = run(folder, tmp_path / "plain")
    printed = capsys.readouterr().out

    assert "diagnostics_steps: gradient_noise/… is not read from a compiled model" in printed

    for one, other in zip(lines, plain, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-5)


def test_ragged_last_batch(run, folder, tmp_path):
    """A ragged last batch weighs as its examples.

    Seven examples in batches of 4 and 3, or in one of 7: the same step.
    """
    data = tmp_path / "seven.jsonl"
    data.write_text("".join((folder / "few.jsonl").read_text().splitlines(keepends=True)[:7]))

    weights = []
    for name, flags in (("whole", "7"), ("parts", "4 --gradient_accumulation_steps 2")):
        flags = (
            f"--train_data {data} --max_steps 1 --optim sgd --per_device_train_batch_size {flags}"
        )
        status, lines = run(folder, tmp_path / name, f"{flags} --max_grad_norm 0 --learning_rate 1")
        assert status == 0
        weights.append((lines[0]["grad_norm"], load_file(tmp_path / name / "model.safetensors")))

    (norm, one), (other_norm, other) = weights
    assert other_norm == pytest.approx(norm, rel=1e-4)

    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6)


def test_uncounted_padding(make_trainer):
    """Padding of the last batches is not counted.

    Ten examples in batches of two over two processes: the second one's last batch is the first examples again.
    """
    trainer = make_trainer("--per_device_eval_batch_size 2", examples=10)
    trainer.eval_dataset = trainer.train_dataset

    counted = []
    for rank in (0, 1):
        trainer._evaluated = 0
        trainer.args = Shared(trainer.args, rank)
        counted.append([trainer.first_seen(2).tolist() for _ in range(3)])

    assert counted == [[[True, True]] * 3, [[True, True], [True, True], [False, False]]]


class Shared:
    """The arguments of one of two processes."""

    def __init__(self, args, rank):
        self.eval_batch_size, self.world_size, self.process_index = args.eval_batch_size, 2, rank
