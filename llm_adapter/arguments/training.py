"""The values that a user gives `python -m llm_adapter.train`, on the command line and in a YAML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from .command import complain
from .fields import RECIPES, RunFields
from .flags import Flag, Parser, groups_of
from .names import bounds, generated
from .trl import as_flags, own_names

COMMAND = "llm_adapter.train"
HERE = Path(__file__).parents[1]
DEMO = HERE / "configs" / "demo-mio.yaml"
CONFIG = Flag(
    "config", help="YAML file with values for any of these flags. The command line overrides it."
)
DESCRIPTION = "Fine-tune a causal language model with a preference loss."
EXAMPLES = """\
examples:
  python -m llm_adapter.train
      Train the small built-in model on the shipped pairs, on a CPU, in less than a minute.
  python -m llm_adapter.train --model DIR --train_data pairs.jsonl --bf16 true --output_dir tuned
      Train all weights of your own model on your own preferences.

Each field of transformers.TrainingArguments is a flag: --help_all lists them all.
"""


def read_values(argv: Sequence[str]) -> dict[str, Any]:
    """Return the values of `--config FILE.yaml`, overridden by the other flags; defaults are left out.

    With neither `--config` nor `--model` the config is the shipped demo-mio.yaml, for the built-in model.

    Raises:
        ValueError: an unreadable config, an unknown key or flag, a value of the wrong type or outside its range.
    """
    parser = _parser(explained="--help_all" in argv)
    line = own_names(argv, parser.names)
    own, given, implied = (
        parser.read(flags) for flags in (line.own, as_flags(line.given), as_flags(line.implied))
    )
    line.refuse_two(own, given)

    path = own.pop("config", None if "model" in given | own else DEMO)
    config = _config_values(path, parser) if path else {}
    flags = given | own
    _refuse_idle(config, flags)
    # the recipe of the command line overrides a config, that of a config its defaults only
    chosen = RECIPES.get(own.get("memory", ""), {})
    values = implied | RECIPES.get(config.get("memory", ""), {}) | config | chosen | flags

    ours = {entry.name for entry in fields(RunFields)}
    RunFields(**{name: value for name, value in values.items() if name in ours}).check()
    if "lora_rank" in implied and not values["lora_rank"]:
        raise ValueError("lora_rank: expected one above 0 with --use_peft, got 0")

    for text in line.words(own, config):
        complain(COMMAND, text, "from TRL")
    return values


def _refuse_idle(config: dict[str, Any], flags: dict[str, Any]) -> None:
    """Raise if a bound or a mix is given that the loss does not read, in one place or on top of it."""
    for place, name in (
        *(("bound", name) for name in ("mix",)),
        *(("loss", name) for name in ("bound", "mix")),
    ):
        value = flags.get(place, config.get(place))
        beside = name in config and place not in flags
        if _idle(name, place, value) and (name in flags or beside):
            reason = "whose mix is always K/(K + 1)" if place == "bound" else "which has none"
            got = flags.get(name, config.get(name))
            raise ValueError(f"{name}: expected none with {place} {value}, {reason}, got {got}")


def _idle(name: str, place: str, value: Any) -> bool:
    """Return whether a field is not read beside this bound or loss."""
    if place == "bound":
        return value == "infonce"
    if value is None:
        return False
    terms = [term.rpartition("*")[2].strip() for term in str(value).split("+")]

    return name == "bound" or not any(term in bounds() for term in terms)


def _parser(explained: bool) -> Parser:
    """Return the parser; transformers' fields without a row of ours are explained only on demand."""
    ours = {entry.name for entry in fields(RunFields)}
    others = [
        Flag(name, **(row if explained else row | {"help": ""}))
        for name, row in generated()["fields"].items()
        if name not in ours
    ]

    parser = Parser(
        COMMAND,
        {"": [CONFIG], **groups_of(RunFields), "other fields of transformers": others},
        usage=f"python -m {COMMAND} [--config FILE.yaml] [--FLAG VALUE ...]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )

    parser.add_argument("--help_all", action="help", help="Also show the flags of transformers.")
    return parser


def _config_values(path: str | Path, parser: Parser) -> dict[str, Any]:
    """Return the values in a YAML file, read by the rules of the flags; null leaves the default."""
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        config, node = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"config: expected a readable YAML file, got {path} ({reason})") from None

    if not isinstance(config, dict):
        raise ValueError(
            f"{path}: expected YAML of 'field: value' lines, got {type(config).__name__}"
        )

    lines = _lines(path, node, parser)
    values: dict[str, Any] = {}
    for key, value in config.items():
        if value is None:
            continue
        try:
            values |= parser.read(_as_flag(key, value))
        except ValueError as error:
            raise ValueError(f"{path}:{lines[key]}: {error}") from None

    return values


def _lines(path: str | Path, node: Any, parser: Parser) -> dict[str, int]:
    """Return the line of each key.

    Raises:
        ValueError: an unknown key, or one that comes twice.
    """
    lines: dict[str, int] = {}
    for key, line in ((entry.value, entry.start_mark.line + 1) for entry, _ in node.value):
        if key not in parser.names or key == CONFIG.name:
            raise ValueError(
                f"{path}:{line}: expected known fields, got {key}{parser.nearest(key)}"
            )

        if key in lines:
            raise ValueError(
                f"{path}:{line}: {key}: expected it once, got it again (first in line {lines[key]})"
            )

        lines[key] = line

    return lines


def _as_flag(key: str, value: Any) -> list[str]:
    """Return a field of a YAML file as it stands on a command line."""
    if value is False and key.endswith("_strategy"):
        return [f"--{key}=no"]  # YAML 1.1 reads a bare no as false
    if isinstance(value, list):
        return [f"--{key}", *map(str, value)]
    return [f"--{key}={json.dumps(value) if isinstance(value, dict | bool) else value}"]
