"""Names of TRL's DPO command, read as our own and echoed, so that a known command line runs here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

NAMES = {  # TRL's name → ours, where the value stays as it is
    "model_name_or_path": "model",
    "dataset_name": "train_data",
    "dataset_num_proc": "tokenize_workers",
    "lora_r": "lora_rank",
    "f_divergence_type": "f_divergence",
    "simpo_gamma": "target_margin",
    "chat_template_path": "chat_template",
    "warmup_ratio": "warmup_steps",
    "precompute_ref_batch_size": "per_device_eval_batch_size",
}
LOSS_TYPES: dict[str, dict[str, Any]] = {  # TRL's loss → our fields
    "sigmoid": {"bound": "dv", "mix": 0.5},
    "sigmoid_norm": {"bound": "dv", "mix": 0.5, "log_ratio": "mean"},
    "nca_pair": {"bound": "js", "mix": 0.5},
    "bco_pair": {"bound": "js", "mix": 1.0},
    "ipo": {"loss": "ipo", "log_ratio": "mean"},
    "kto": {"loss": "kto"},
    "robust": {"bound": "dv", "mix": 0.5, "robust": True},
    "simpo": {"bound": "dv", "mix": 0.5, "log_ratio": "mean", "reference_free": True},
}
TERMS = {"sigmoid": "dv@0.5", "nca_pair": "js@0.5", "bco_pair": "js@1"}  # of a sum
WEIGHTS = {"float32": "fp32", "bfloat16": "bf16", "auto": "fp32"}
TRUNCATION = {"keep_start": "right", "keep_end": "left_prompt"}
SFT = " (TRL's averages over tokens; ours is a sum: --loss 'dv + 0.01*sft')"
RANK = 16  # TRL's default rank under use_peft
REMEDIES = {  # fields of TRL that have no counterpart → what to use
    "max_prompt_length": "max_length and truncation",
    "max_completion_length": "max_length and truncation",
    "rpo_alpha": "loss, for example 'dv + 0.1*sft'",
    "desirable_weight": "nothing: the rows of the rarer label are repeated",
    "undesirable_weight": "nothing: the rows of the rarer label are repeated",
    "load_in_4bit": "weights bf16 and lora_rank",
    "load_in_8bit": "weights bf16 and lora_rank",
    "lora_dropout": "lora_rank alone: adapters have no dropout here",
    "ref_model_name_or_path": "model: it is the reference, too",
    "sync_ref_model": "model: the reference stays as it is",
    "padding_free": "row_layout shared",
    "use_logits_to_keep": "nothing: only responses are scored",
    "pad_token": "nothing: masks follow positions",
    "pad_to_multiple_of": "row_layout shared, whose rows are packed",
    "model_init_kwargs": "attn_implementation, weights or trust_remote_code",
    "model_revision": "model, a folder with that revision",
    "activation_offloading": "gradient_checkpointing",
    "ld_alpha": "log_ratio mean, against the length of responses",
    "use_weighting": "nothing: WPO has no counterpart",
    "f_alpha_divergence_coef": "f_divergence, without α",
    "discopop_tau": "bound or loss",
    "router_aux_loss_coef": "nothing: the loss of a router is left out",
    "ref_model_mixup_alpha": "model: the reference stays as it is",
    "ref_model_sync_steps": "model: the reference stays as it is",
    "dataset_streaming": "train_data: data are read whole",
    "ignore_bias_buffers": "nothing: buffers are not synchronised",
    **dict.fromkeys(
        (
            "lora_target_parameters",
            "lora_modules_to_save",
            "lora_task_type",
            "use_rslora",
            "use_dora",
        ),
        "lora_rank, lora_alpha and lora_targets",
    ),
    **dict.fromkeys(
        ("bnb_4bit_quant_type", "use_bnb_nested_quant", "bnb_4bit_quant_storage"),
        "weights bf16 and lora_rank",
    ),
}


NEUTRAL = {  # values of such fields that ask for nothing
    "desirable_weight": 1.0,
    "undesirable_weight": 1.0,
}


def _is(text: str, number: float) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False


def own_names(argv: Sequence[str], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the command line in our names, and a line of words for each flag that was read as another.

    Flags that are known here keep their meaning. Later flags win, as on any command line.

    Raises:
        ValueError: a flag of TRL without a counterpart, or a value that has none.

    >>> own_names(["--loss_type", "nca_pair", "--beta=0.2"], ["beta"])
    (['--bound=js', '--mix=0.5', '--beta=0.2'], ['--loss_type nca_pair is --bound js --mix 0.5'])
    """
    flags: list[str] = []
    words: list[str] = []
    weights = _values(argv, "loss_weights")

    place = 0
    while place < len(argv):
        name, equals, value = _parts(argv[place])
        place += 1
        if not name or name in known or not _is_trls(name):
            flags.append(argv[place - 1])
            continue

        values = [value] if equals else []
        while not equals and place < len(argv) and not argv[place].startswith("--"):
            values.append(argv[place])
            place += 1

        own = _translated(name, values, weights)
        flags += [f"--{key}={part}" for key, part in own.items()]
        if own:
            readings = " ".join(f"--{key} {part}" for key, part in own.items())
            words.append(f"{' '.join([f'--{name}', *values])} is {readings}")

    return flags, words


def _parts(text: str) -> tuple[str, str, str]:
    """Return the name of a flag, its "=" and its value; the name is empty where the text is no flag."""
    if not text.startswith("--"):
        return "", "", ""
    name, equals, value = text[2:].partition("=")
    return name.replace("-", "_"), equals, value


def _is_trls(name: str) -> bool:
    return name in NAMES or name in REMEDIES or name in SPECIAL


def _values(argv: Sequence[str], name: str) -> list[str]:
    """Return the values of a flag that takes several."""
    values: list[str] = []
    inside = False
    for text in argv:
        if text.startswith("--"):
            own, equals, value = _parts(text)
            inside = own == name
            values += [value] if inside and equals else []
        elif inside:
            values.append(text)

    return [part for value in values for part in value.split()]


def _translated(name: str, values: list[str], weights: list[str]) -> dict[str, str]:
    if name in NEUTRAL and values and _is(values[0], NEUTRAL[name]):
        return {}
    if name in REMEDIES:
        raise ValueError(
            f"{name}: expected {REMEDIES[name]}, got a flag of TRL's without counterpart"
        )

    if not values and name != "use_peft":
        raise ValueError(f"{name}: expected a value, got none")

    own = SPECIAL[name](values, weights) if name in SPECIAL else {NAMES[name]: values[0]}
    return {key: str(value) for key, value in own.items()}


def _loss(values: list[str], weights: list[str]) -> dict[str, Any]:
    """Return the fields of one loss, or the sum of several."""
    names = [name.strip("[]'\",") for value in values for name in value.split()]
    table = LOSS_TYPES if len(names) == 1 else TERMS
    for name in names:
        if name not in table:
            hint = SFT if name == "sft" else ""
            raise ValueError(f"loss_type: expected one of {', '.join(table)}, got {name}{hint}")

    if len(names) == 1:
        return LOSS_TYPES[names[0]]
    if weights and len(weights) != len(names):
        raise ValueError(f"loss_weights: expected {len(names)} weights, got {len(weights)}")

    terms = zip(weights or ["1"] * len(names), names, strict=True)
    return {"loss": " + ".join(f"{weight}*{TERMS[name]}" for weight, name in terms)}


def _one_of(field: str, name: str, table: dict[str, str]) -> Callable[..., dict[str, str]]:
    def read(values: list[str], _: list[str]) -> dict[str, str]:
        if values[0] not in table:
            raise ValueError(f"{name}: expected one of {', '.join(table)}, got {values[0]}")
        return {field: table[values[0]]}

    return read


SPECIAL: dict[str, Callable[..., dict[str, Any]]] = {
    "loss_type": _loss,
    "loss_weights": lambda values, weights: {},  # read with loss_type
    "use_peft": lambda values, _: {"lora_rank": RANK} if values in ([], ["true"], ["True"]) else {},
    "lora_target_modules": lambda values, _: {"lora_targets": ",".join(values)},
    "dtype": _one_of("weights", "dtype", WEIGHTS),
    "torch_dtype": _one_of("weights", "torch_dtype", WEIGHTS),
    "truncation_mode": _one_of("truncation", "truncation_mode", TRUNCATION),
}
