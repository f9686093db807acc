"""Arguments that contradict one another, optional packages, and folders with checkpoints."""

import sys

import pytest

from llm_adapter.train import main
from llm_adapter.training.arguments import parse_arguments


def test_optional_packages(run, folder, tmp_path, monkeypatch, capsys):
    """Optional packages are named."""
    for package, flags in {
        "peft": "--lora_rank 4",
        "torch-optimi": "--weights bf16 --rounding kahan",
        "torchao": "--weights bf16 --rounding stochastic --adam_states 8bit",
    }.items():
        for name in ("peft", "optimi", "torchao", "torchao.optim"):
            monkeypatch.setitem(sys.modules, name, None)
        assert run(folder, tmp_path / package, flags)[0] == 2
        assert f"pip install {package})" in capsys.readouterr().err
        assert not (tmp_path / package / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--weights fp16", "weights: expected one of fp32, bf16, got fp16"),
        ("--rounding up", "rounding: expected one of nearest, kahan, stochastic, got up"),
        ("--rounding kahan", "rounding: expected nearest with fp32 weights, got kahan"),
        ("--weights bf16 --bf16 true", "bf16: expected false with bf16 weights, got True"),
        (
            "--weights bf16 --rounding kahan --optim sgd",
            "optim: expected the default, adamw_torch…, with rounding",
        ),
        (
            "--loss 0.5*kto --max_tokens_per_batch 512",
            "max_tokens_per_batch: expected none with loss 0.5*kto, whose threshold",
        ),
        ("--lora_rank -1", "lora_rank: expected an integer ≥ 0, got -1"),
        ("--lora_rank 2", "lora_rank: expected 0 with the model builtin, got 2"),
        ("--lora_alpha 0", "lora_alpha: expected a finite number > 0, got 0.0"),
        (
            "--enable_jit_checkpoint true",
            "enable_jit_checkpoint: expected false (SIGTERM saves a checkpoint in any case)",
        ),
    ],
)
def test_contradictions(flags, message):
    with pytest.raises(ValueError, match=r"^.+$") as caught:
        parse_arguments(["--model", "builtin", *flags.split()])
    assert str(caught.value).startswith(message)


def test_existing_checkpoints(tmp_path, capsys):
    """A folder with checkpoints is gone on with or refused."""
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")

    assert main(["--output_dir", str(tmp_path)]) == 2

    expected = (
        f"output_dir: expected a folder without checkpoints of another run, got {checkpoint} ("
    )
    output = capsys.readouterr()

    assert output.err.startswith(f"llm_adapter.train: error: {expected}")
    assert output.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]

    flags = ["--output_dir", str(tmp_path), "--resume_from_checkpoint", "true"]
    assert parse_arguments(flags).resume_from_checkpoint == str(checkpoint)
