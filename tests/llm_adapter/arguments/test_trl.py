"""TRL's flags are read as our own, echoed, or refused with what to use."""

import importlib.util
from dataclasses import fields

import pytest

from llm_adapter.arguments.training import _parser, read_values
from llm_adapter.arguments.trl import (
    LOSS_TYPES,
    NAMES,
    REMEDIES,
    SPECIAL,
    _is_trls,
    own_names,
)

MODEL = "--model builtin"


@pytest.mark.parametrize("name", LOSS_TYPES)
def test_loss_types(name, capsys):
    """Each loss type of TRL is fields of ours."""
    smoothing = " --label_smoothing 0.1" if name == "robust" else ""
    values = read_values(f"{MODEL} --loss_type {name}{smoothing}".split())

    assert LOSS_TYPES[name].items() <= values.items()

    error = capsys.readouterr().err
    assert error.startswith(f"llm_adapter.train: from TRL: --loss_type {name} is --")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--model_name_or_path builtin --dataset_name here/pairs", {"model": "builtin", "train_data": "here/pairs"}),
        ("--use_peft --model gpt2", {"lora_rank": 16}),
        ("--use_peft true --lora_r 8 --model gpt2", {"lora_rank": 8}),
        ("--use_peft false --model gpt2", {}),
        ("--lora-target-modules q_proj v_proj --model gpt2", {"lora_targets": "q_proj,v_proj"}),
        ("--torch_dtype bfloat16 --model gpt2", {"weights": "bf16"}),
        ("--truncation_mode keep_end --model gpt2", {"truncation": "left_prompt"}),
        ("--model gpt2 --loss_type sigmoid bco_pair --loss_weights 0.8 0.2", {"loss": "0.8*dv@0.5 + 0.2*js@1"}),
        ("--model gpt2 --loss_type simpo --simpo_gamma 0.5", {"reference_free": True, "target_margin": 0.5}),
        ("--model gpt2 --loss_type=ipo --beta=0.2 --max_length=99", {"loss": "ipo", "beta": 0.2, "max_length": 99}),
        ("--model gpt2 --loss_type nca_pair --mix 0.9", {"bound": "js", "mix": 0.9}),
    ],
)  # fmt: skip
def test_known_command(flags, expected):
    values = read_values(flags.split())
    assert expected.items() <= values.items()
    assert ("lora_rank" in values) == ("lora_rank" in expected)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        *((f"--{name} 2", rf"^{name}: expected ") for name in REMEDIES),
        ("--loss_type hinge", r"^loss_type: expected one of sigmoid, .*, got hinge"),
        ("--loss_type sigmoid robust", r"^loss_type: expected one of sigmoid, .*, got robust"),
        ("--loss_type sft", r"^loss_type: .* got sft \(TRL's averages over tokens"),
        (
            "--loss_type sigmoid nca_pair --loss_weights 1",
            r"^loss_weights: expected 2 weights, got 1",
        ),
        ("--dtype float16", r"^dtype: expected one of float32, bfloat16, auto, got float16"),
        ("--loss_type", r"^loss_type: expected a value, got none"),
        ("--los_type sigmoid", r"los_type: expected a known flag"),
        ("--loss_type robust", r"^robust: expected false, or label_smoothing above 0"),
        ("--bound infonce --mix 0.5", r"^mix: expected none with bound infonce"),
        ("--bound js --reference_free", r"^reference_free: expected false without bound dv"),
        ("--bound js --target_margin 1", r"^target_margin: expected 0 without bound dv"),
        ("--mix auto --negatives batch", r"^mix: expected a number with negatives batch"),
        ("--mix 1.5", r"^mix: expected a number in \(0, 1\] or auto"),
        ("--mix own", r"^mix: expected a number or auto, got own"),
        ("--chat_template_kwargs [1]", r"^chat_template_kwargs: expected a JSON object"),
    ],
)
def test_no_counterpart(flags, message):
    """What has no counterpart says what to use."""
    with pytest.raises(ValueError, match=message):
        read_values(f"{MODEL} {flags}".split())


def test_own_names():
    """Our own names are not taken over."""
    from llm_adapter.arguments.training import _parser

    known = {*_parser(explained=False).names}
    assert not known & {*SPECIAL, *REMEDIES}
    assert {*NAMES.values()} <= known


def test_config_mix(tmp_path):
    """A config's mix gives way to InfoNCE on the command line."""
    path = tmp_path / "run.yaml"
    path.write_text("bound: js\nmix: 0.9\nmodel: builtin\n")

    assert read_values(f"--config {path} --bound infonce".split())["bound"] == "infonce"

    path.write_text("bound: infonce\nmix: 0.9\nmodel: builtin\n")
    with pytest.raises(ValueError, match=r"^mix: expected none with bound infonce"):
        read_values(["--config", str(path)])


@pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="needs trl (pip install --no-deps trl)"
)
@pytest.mark.parametrize("config", ["DPOConfig", "KTOConfig", "ModelConfig", "ScriptArguments"])
def test_every_flag(config):
    """Every flag of TRL is read, translated, or refused with what to use."""
    import trl

    known = _parser(explained=False).names
    objects = {"liger_kernel_config", "parallelism_config"}  # no text can stand for them
    names = {entry.name for entry in fields(getattr(trl, config)) if entry.init} - objects

    assert {name for name in names if name not in known and not _is_trls(name)} == set()


@pytest.mark.parametrize("name", ["desirable_weight", "undesirable_weight"])
def test_unit_weights(name):
    """Weights of one ask for nothing."""
    assert own_names([f"--{name}", "1.0", f"--{name}=1"], []) == ([], [])
    with pytest.raises(ValueError, match=f"^{name}: expected nothing: the rows of the rarer"):
        own_names([f"--{name}", "1.33"], [])
