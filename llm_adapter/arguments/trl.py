"""Names of TRL's DPO command, read as our own and echoed, so that a known command line runs here.

A command line is read as a whole, so the order of its flags means nothing: TRL's defaults beside a flag hold where
nobody gives another value, and whatever is given is in force, echoed or refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .flags import KINDS

NAMES = {  # TRL's name → ours, where the value stays as it is
    "model_name_or_path": "model",
    "dataset_name": "train_data",
    "dataset_num_proc": "tokenize_workers",
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
ADAPTER = {  # TRL's defaults under use_peft
    "lora_rank": 16,
    "lora_alpha": 32,
    "lora_targets": "default",
}
GAMMA = 0.5  # TRL's default margin of simpo
YIELDING = ("mix", "per_device_eval_batch_size")
"""Fields of ours in which a flag of ours says more than TRL's does: it is no contradiction to give both."""
REMEDIES = {  # fields of TRL that have no counterpart → what to use
    "max_prompt_length": "max_length and truncation",
    "max_completion_length": "max_length and truncation",
    "rpo_alpha": "loss, for example 'dv + 0.1*sft'",
    "cpo_alpha": "0, the loss without its likelihood term (it averages over tokens, and --loss sft sums)",
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
    "cpo_alpha": 0.0,
    "desirable_weight": 1.0,
    "undesirable_weight": 1.0,
}


@dataclass(frozen=True)
class Translation:
    """A command line in our names.

    Attributes:
        own: the flags that are ours, as they stand.
        given: field of ours → its value and the flag of TRL's that says it.
        implied: the same of TRL's defaults beside its flags, which yield to every other value.
        idle: lines of words on flags that say nothing, in TRL either.
    """

    own: list[str] = field(default_factory=list)
    given: dict[str, tuple[str, str]] = field(default_factory=dict)
    implied: dict[str, tuple[str, str]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)

    def refuse_two(self, own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Refuse a field that our flags and TRL's give different values, as they were read."""
        for name in given:
            if name in own and name not in YIELDING and own[name] != given[name]:
                raise ValueError(
                    f"{name}: expected one value, got --{name} {own[name]} and {self.given[name][1]}, "
                    f"which is --{name} {given[name]} (leave one out)"
                )

    def words(self, own: Collection[str], config: Collection[str]) -> list[str]:
        """Return a line for each flag of TRL's: what it is here, given the names of our own flags and of a config."""
        readings: dict[str, list[str]] = {}
        for name, (value, flag) in self.given.items():
            readings.setdefault(flag, [])
            if name not in own:
                readings[flag].append(f"--{name} {value}")

        for name, (value, flag) in self.implied.items():
            if name not in {*own, *config, *self.given}:
                readings.setdefault(flag, []).append(f"--{name} {value}")

        lines = [
            f"{flag} is {' '.join(parts)}" if parts else f"{flag} gives way to our own flag"
            for flag, parts in readings.items()
        ]
        return lines + self.idle


def as_flags(fields: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return fields of a translation as they stand on a command line."""
    return [f"--{name}={value}" for name, (value, _) in fields.items()]


def own_names(argv: Sequence[str], known: Collection[str]) -> Translation:
    """Return the command line in our names; flags that are known here keep their meaning.

    Of a flag that is repeated the last one counts, as on any command line.

    Raises:
        ValueError: a flag of TRL without a counterpart, a value that has none, or a value too many.

    >>> line = own_names(["--loss_type", "nca_pair", "--beta=0.2"], ["beta"])
    >>> line.own, as_flags(line.given), line.words(["beta"], [])
    (['--beta=0.2'], ['--bound=js', '--mix=0.5'], ['--loss_type nca_pair is --bound js --mix 0.5'])
    """
    own, trls = _split(argv, known)
    line = Translation(own)
    for name, values in trls.items():
        if name in NEUTRAL and len(values) == 1 and _is(values[0], NEUTRAL[name]):
            continue
        if name in REMEDIES:
            raise ValueError(
                f"{name}: expected {REMEDIES[name]}, got a flag of TRL's without counterpart"
            )

        if not values and name != "use_peft":
            raise ValueError(f"{name}: expected a value, got none")
        if len(values) > 1 and name not in SEVERAL:
            raise ValueError(f"{name}: expected one value, got {' '.join(values)}")

        flag = " ".join([f"--{name}", *values])
        if name in NAMES:
            _give(line, flag, {NAMES[name]: values[0]})
        elif name in TABLES:
            ours, table = TABLES[name]
            if values[0] not in table:
                raise ValueError(f"{name}: expected one of {', '.join(table)}, got {values[0]}")
            _give(line, flag, {ours: table[values[0]]})

    _read_loss(line, trls)
    _read_adapter(line, trls)

    return line


def _split(argv: Sequence[str], known: Collection[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the flags that are not TRL's as they stand, and TRL's with their values."""
    own: list[str] = []
    trls: dict[str, list[str]] = {}
    values = own
    for text in argv:
        name, equals, value = _parts(text)
        if name and name not in known and _is_trls(name):
            values = trls[name] = [value] if equals else []
        else:
            values = own if name else values
            values.append(text)

    return own, trls


def _parts(text: str) -> tuple[str, str, str]:
    """Return the name of a flag, its "=" and its value; the name is empty where the text is no flag."""
    if not text.startswith("--"):
        return "", "", ""
    name, equals, value = text[2:].partition("=")
    return name.replace("-", "_"), equals, value


def _is_trls(name: str) -> bool:
    return name in NAMES or name in REMEDIES or name in TABLES or name in SPECIAL


def _give(line: Translation, flag: str, values: Mapping[str, Any]) -> None:
    """Note what a flag of TRL's gives; refuse another value that another one gave."""
    for name, value in values.items():
        before, other = line.given.setdefault(name, (str(value), flag))
        if before != str(value):
            raise ValueError(f"{name}: expected one value, got {other} and {flag} (leave one out)")


def _read_loss(line: Translation, trls: Mapping[str, list[str]]) -> None:
    """Read a loss, or the sum of several with their weights."""
    names, weights = (
        [part.strip("[]'\",") for value in trls.get(name, ()) for part in value.split()]
        for name in ("loss_type", "loss_weights")
    )

    for weight in weights:
        if not _is_number(weight):
            raise ValueError(f"loss_weights: expected numbers, got {weight}")
    if weights and len(weights) != len(names):
        raise ValueError(f"loss_weights: expected {len(names)} weights, got {len(weights)}")

    alone = len(names) == 1 and all(_is(weight, 1) for weight in weights)
    table = LOSS_TYPES if alone else TERMS
    for name in names:
        if name not in table:
            hint = SFT if name == "sft" else ""
            raise ValueError(f"loss_type: expected one of {', '.join(table)}, got {name}{hint}")

    flag = " ".join(
        " ".join([f"--{name}", *trls[name]])
        for name in ("loss_type", "loss_weights")
        if name in trls
    )
    if alone:
        _give(line, flag, LOSS_TYPES[names[0]])
    elif names:
        terms = zip(weights or ["1"] * len(names), names, strict=True)
        _give(line, flag, {"loss": " + ".join(f"{weight}*{TERMS[name]}" for weight, name in terms)})
    if names == ["simpo"]:
        line.implied["target_margin"] = str(GAMMA), flag


def _read_adapter(line: Translation, trls: Mapping[str, list[str]]) -> None:
    """Read the flags of an adapter: use_peft alone turns it on, whatever else is said of it."""
    asked, rank = trls.get("use_peft"), trls.get("lora_r")
    try:
        on = asked is not None and (KINDS["bool"][0](asked[0]) if asked else True)
    except ValueError:
        raise ValueError(
            f"use_peft: expected true or false, got {asked[0] if asked else ''}"
        ) from None

    flag = " ".join(["--use_peft", *(asked or ())])
    if on:
        line.implied.update({name: (str(value), flag) for name, value in ADAPTER.items()})
    elif asked is not None:
        _give(line, flag, {"lora_rank": 0})

    if rank and on:
        _give(line, f"--lora_r {rank[0]}", {"lora_rank": rank[0]})
    elif rank:
        line.idle.append(
            f"--lora_r {rank[0]} is no adapter without --use_peft, as in TRL (--lora_rank "
            f"{rank[0]} trains one here)"
        )

    if targets := trls.get("lora_target_modules"):
        flag = " ".join(["--lora_target_modules", *targets])
        _give(line, flag, {"lora_targets": ",".join(targets)})


def _is(text: str, number: float) -> bool:
    return _is_number(text) and float(text) == number


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False

    return True


TABLES = {  # TRL's name → ours, and its values in our words
    "dtype": ("weights", WEIGHTS),
    "torch_dtype": ("weights", WEIGHTS),
    "truncation_mode": ("truncation", TRUNCATION),
}
SPECIAL = ("loss_type", "loss_weights", "use_peft", "lora_r", "lora_target_modules")
"""Fields that are read together with others."""
SEVERAL = ("loss_type", "loss_weights", "lora_target_modules")
