"""Arguments that contradict one another, optional packages, and folders with checkpoints."""

import sys

import pytest

from llm_adapter.arguments.fields import RANGES
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


NUMBERS = [  # flag, a value outside its range, the nearest value within
    ("adam_beta1", "1", "0.999"),
    ("adam_beta2", "-0.1", "0"),
    ("adam_epsilon", "-1e-8", "0"),
    ("adam_epsilon", "nan", "1e-9"),
    ("weight_decay", "-0.1", "0"),
    ("neftune_noise_alpha", "-1", "0"),
    ("torch_empty_cache_steps", "0", "1"),
    ("dataloader_num_workers", "-1", "0"),
    ("dataloader_prefetch_factor", "0", "1 --dataloader_num_workers 1"),
    ("data_seed", str(2**63), str(2**63 - 1)),
    ("seed", str(2**32), str(2**32 - 1)),
    ("warmup_steps", "-1", "0"),
    ("warmup_steps", "nan", "0.5"),
    ("logging_steps", "0", "1"),
]


@pytest.mark.parametrize(("name", "outside", "within"), NUMBERS)
def test_ranges(tmp_path, capsys, name, outside, within):
    """A number outside its range is named, one at its end is not."""
    flags = f"--model builtin --use_cpu true --output_dir {tmp_path / 'out'} --{name} "
    assert main(f"{flags}{outside}".split()) == 2

    error = capsys.readouterr().err
    assert error.startswith(f"llm_adapter.train: error: {name}: expected a")
    assert error.count("\n") == 1
    assert parse_arguments(f"{flags}{within}".split()).output_dir
    assert {*RANGES} <= {row[0] for row in NUMBERS}


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
