"""Names that a run may ask for: models, rows of the library's tables, and the fields of transformers."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

BUILTIN = "builtin"
ADAPTER = "adapter_config.json"  # a folder with it holds a LoRA adapter, as peft writes it
ADAPTER_WEIGHTS = "adapter_model.safetensors"
LOADED = (  # what a folder is loaded from as a model, as a save writes it: config, weights, adapter, tokenizer
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    ADAPTER,
    ADAPTER_WEIGHTS,
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "chat_template.jinja",
    "chat_template.json",
)
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")  # of files of rows, read from a folder
LIBRARY = Path(__file__).parents[2] / "mi_estimators"  # installed beside the adapter
GENERATED = Path(__file__).with_name("generated.json")
REGENERATE = "python -m llm_adapter.arguments.generate"


@cache
def generated() -> dict:
    """Return the generated file: `transformers`, its version, and `fields`, a row for each."""
    return json.loads(GENERATED.read_text(encoding="utf-8"))


def rows(module: str) -> tuple[str, ...]:
    """Return the names of a table's rows, read from the library's source: importing it would load torch."""
    text = (LIBRARY / module).read_text(encoding="utf-8")
    return tuple(re.findall(r'^ +name="(\w+)",$', text, re.MULTILINE))


def bounds() -> tuple[str, ...]:
    """Return the names of the bounds that a loss can be made of."""
    return ("dv", *rows("bounds/divergences.py"), "infonce")


def losses() -> tuple[str, ...]:
    """Return the names of the losses to compare with."""
    return rows("preference/comparisons.py")


def check_model_name(name: str) -> str:
    """Return `name` if it can name a model; touch no network.

    Raises:
        ValueError: a path that does not exist, or a directory without a config.json.
    """
    path = Path(name)
    if name == BUILTIN or (path.is_file() and path.suffix == ".gguf"):
        return name

    if (path / "config.json").is_file() or (path / ADAPTER).is_file():
        return name

    if path.is_dir():
        raise ValueError(f"model: expected a model directory, got {name} without a config.json")
    if path.is_file():
        raise ValueError(f"model: expected a directory or a .gguf file, got the file {name}")

    looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if not name or looks_like_a_path or path.suffix == ".gguf":
        raise ValueError(
            f"model: expected {BUILTIN!r}, a directory, a .gguf file or a hub name, "
            f"got no such path: {name}"
        )

    return name
