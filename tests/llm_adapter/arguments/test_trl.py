"""TRL's flags are read as our own, echoed, or refused with what to use."""

import importlib.util
import json
from dataclasses import fields
from itertools import permutations

import pytest

from llm_adapter.arguments.training import _parser, read_values
from llm_adapter.arguments.trl import (
    LOSS_TYPES,
    NAMES,
    NEUTRAL,
    REMEDIES,
    SPECIAL,
    TABLES,
    YIELDING,
    Translation,
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
        ("--use_peft --model gpt2", {"lora_rank": 16, "lora_alpha": 32, "lora_targets": "default"}),
        ("--use_peft true --lora_r 8 --model gpt2", {"lora_rank": 8, "lora_alpha": 32}),
        ("--use_peft false --model gpt2", {"lora_rank": 0}),
        ("--lora_r 8 --model gpt2", {}),
        ("--lora-target-modules q_proj v_proj --model gpt2", {"lora_targets": "q_proj,v_proj"}),
        ("--torch_dtype bfloat16 --model gpt2", {"weights": "bf16"}),
        ("--truncation_mode keep_end --model gpt2", {"truncation": "left_prompt"}),
        ("--model gpt2 --loss_type sigmoid bco_pair --loss_weights 0.8 0.2", {"loss": "0.8*dv@0.5 + 0.2*js@1"}),
        ("--model gpt2 --loss_type simpo --simpo_gamma 0.3", {"reference_free": True, "target_margin": 0.3}),
        ("--model gpt2 --loss_type simpo --cpo_alpha 0", {"reference_free": True, "target_margin": 0.5}),
        ("--model gpt2 --loss_type sigmoid --loss_weights 2", {"loss": "2*dv@0.5"}),
        ("--model gpt2 --loss_type sigmoid --loss_weights 1.0", {"bound": "dv", "mix": 0.5}),
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
        ("--dataset_name a b", r"^dataset_name: expected one value, got a b"),
        ("--dtype float32 bfloat16", r"^dtype: expected one value, got float32 bfloat16"),
        ("--dtype float32 --torch_dtype bfloat16", r"^weights: expected one value, got --dtype"),
        ("--use_peft maybe", r"^use_peft: expected true or false, got maybe"),
        ("--loss_weights 1", r"^loss_weights: expected 0 weights, got 1"),
        ("--loss_type sigmoid --loss_weights much", r"^loss_weights: expected numbers, got much"),
        ("--loss_type ipo --loss_weights 2", r"^loss_type: expected one of sigmoid, .*, got ipo"),
        (
            "--model_name_or_path gpt2",
            r"^model: expected one value, got --model builtin and --model_n",
        ),
        (
            "--use_peft false --lora_rank 8",
            r"^lora_rank: expected one value, got --lora_rank 8 and --u",
        ),
        ("--use_peft --lora_rank 0", r"^lora_rank: expected one above 0 with --use_peft, got 0"),
        (
            "--loss_type sigmoid --bound js",
            r"^bound: expected one value, got --bound js and --loss_t",
        ),
        (
            "--loss_type ipo --log_ratio sum",
            r"^log_ratio: expected one value, got --log_ratio sum and",
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
    known = {*_parser(explained=False).names}
    assert not known & {*NAMES, *SPECIAL, *TABLES, *REMEDIES}
    assert {*NAMES.values(), *(ours for ours, _ in TABLES.values()), *YIELDING} <= known


def test_config_mix(tmp_path):
    """A config's mix gives way to InfoNCE on the command line."""
    path = tmp_path / "run.yaml"
    path.write_text("bound: js\nmix: 0.9\nmodel: builtin\n")

    assert read_values(f"--config {path} --bound infonce".split())["bound"] == "infonce"

    path.write_text("bound: infonce\nmix: 0.9\nmodel: builtin\n")
    with pytest.raises(ValueError, match=r"^mix: expected none with bound infonce"):
        read_values(["--config", str(path)])


TRL = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="needs trl (pip install --no-deps trl)"
)


@TRL
@pytest.mark.parametrize("config", ["DPOConfig", "KTOConfig", "ModelConfig", "ScriptArguments"])
def test_every_flag(config):
    """Every flag of TRL is read, translated, or refused with what to use."""
    import trl

    known = _parser(explained=False).names
    objects = {"liger_kernel_config", "parallelism_config"}  # no text can stand for them
    names = {entry.name for entry in fields(getattr(trl, config)) if entry.init} - objects

    assert {name for name in names if name not in known and not _is_trls(name)} == set()


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_values(name):
    """Values that ask for nothing are read, and others have no counterpart."""
    line = own_names([f"--{name}", str(NEUTRAL[name]), f"--{name}={NEUTRAL[name]:g}"], [])
    assert line == Translation()
    with pytest.raises(ValueError, match=f"^{name}: expected {REMEDIES[name][:9]}"):
        own_names([f"--{name}", "1.33"], [])


LINES = [  # flags of a command line, in any order → what is in force
    ("--lora_r 32; --use_peft; --model gpt2", {"lora_rank": 32, "lora_alpha": 32}),
    ("--lora_r 32; --use_peft false; --model gpt2", {"lora_rank": 0}),
    ("--lora_r 32; --use_peft; --lora_alpha 64; --model gpt2", {"lora_rank": 32, "lora_alpha": 64}),
    ("--lora_rank 8; --use_peft; --model gpt2", {"lora_rank": 8, "lora_alpha": 32}),
    ("--use_peft; --lora_targets q_proj; --model gpt2", {"lora_targets": "q_proj"}),
    ("--use_peft; --lora_target_modules a b; --model gpt2", {"lora_rank": 16, "lora_targets": "a,b"}),
    ("--loss_type nca_pair; --mix 0.9; --model gpt2", {"bound": "js", "mix": 0.9}),
    ("--loss_type simpo; --simpo_gamma 0.3; --model gpt2", {"target_margin": 0.3, "bound": "dv"}),
    ("--loss_type simpo; --target_margin 0.3; --model gpt2", {"target_margin": 0.3}),
    ("--loss_weights 0.8 0.2; --loss_type sigmoid bco_pair; --model gpt2", {"loss": "0.8*dv@0.5 + 0.2*js@1"}),
    ("--precompute_ref_batch_size 4; --per_device_eval_batch_size 2; --model gpt2", {"per_device_eval_batch_size": 2}),
    ("--model gpt2; --model_name_or_path gpt2; --dataset_name a/b", {"model": "gpt2", "train_data": "a/b"}),
    ("--loss_type robust; --label_smoothing 0.1; --config CONFIG", {"robust": True, "lora_rank": 64, "beta": 0.3}),
    ("--use_peft; --lora_alpha 8; --config CONFIG", {"lora_rank": 64, "lora_alpha": 8}),
    ("--use_peft false; --lora_r 4; --config CONFIG", {"lora_rank": 0}),
    ("--loss_type sigmoid; --config CONFIG", {"bound": "dv", "mix": 0.5}),
]  # fmt: skip


@pytest.mark.parametrize(("flags", "expected"), LINES)
def test_any_order(tmp_path, capsys, flags, expected):
    """The order of the flags means nothing, and every flag of TRL is in force or has a line."""
    config = tmp_path / "run.yaml"
    config.write_text("model: gpt2\nlora_rank: 64\nbeta: 0.3\nmix: 0.9\n")
    groups = [part.replace("CONFIG", str(config)).split() for part in flags.split("; ")]

    readings = set()
    for order in permutations(groups):
        values = read_values([text for group in order for text in group])
        assert expected.items() <= values.items()
        echo = capsys.readouterr().err
        readings.add((json.dumps(values, sort_keys=True), "".join(sorted(echo.splitlines()))))
        trls = [name for (name, *_) in groups if _is_trls(name[2:])]
        assert all(name in echo for name in trls if name != "--use_peft")

    assert len(readings) == 1


@TRL
@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--use_peft",
        "--lora_r 32",
        "--lora_r 32 --use_peft false",
        "--lora_r 32 --use_peft --lora_alpha 8",
        "--use_peft yes --lora_target_modules q_proj v_proj",
        "--lora_r 4 --lora_r 8 --use_peft",
    ],
)
def test_same_adapter(flags):
    """A command line means the adapter that it means in TRL."""
    import trl
    from transformers import HfArgumentParser

    (config,) = HfArgumentParser(trl.ModelConfig).parse_args_into_dataclasses(flags.split())
    theirs = trl.get_peft_config(config)
    values = read_values(f"--model gpt2 {flags}".split())
    assert bool(values.get("lora_rank")) == (theirs is not None)

    if theirs is not None:
        assert (values["lora_rank"], values["lora_alpha"]) == (theirs.r, theirs.lora_alpha)
        targets = {"default": None}.get(
            values["lora_targets"], {*values["lora_targets"].split(",")}
        )
        assert targets == theirs.target_modules
