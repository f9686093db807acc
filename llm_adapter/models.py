"""Models and tokenizers by one name: the small built-in one, a directory, a GGUF file, or a hub name.

Weights are float32: pure bf16 weights do not move at preference learning rates. Use `--bf16` for bf16 arithmetic.
"""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, ByT5Tokenizer, LlamaConfig, LlamaForCausalLM

BUILTIN = "builtin"


def check_model_name(name: str) -> str:
    """Return `name` if it can name a model; touch no network.

    Raises:
        ValueError: a path that does not exist, or a directory without a config.json.
    """
    path = Path(name)
    if name == BUILTIN or (path.is_file() and path.suffix == ".gguf") or (path / "config.json").is_file():
        return name
    if path.is_dir():
        raise ValueError(f"model: expected a model directory, got {name} without a config.json")
    if path.is_file():
        raise ValueError(f"model: expected a directory or a .gguf file, got the file {name}")
    if path.suffix == ".gguf" or name.startswith((".", "/", "~")) or not name or name.count("/") > 1:
        raise ValueError(
            f"model: expected {BUILTIN!r}, a directory, a .gguf file or a hub name, got no such path: {name}"
        )
    return name


def load_tokenizer(name: str):
    """Return the tokenizer of the named model; the built-in one reads bytes and needs no file."""
    if name == BUILTIN:
        return ByT5Tokenizer()
    return _load(AutoTokenizer, name)


def load_model(name: str, attn_implementation: str | None = None) -> nn.Module:
    """Return the named causal LM in float32. The built-in one has random weights from torch's global seed.

    Raises:
        ValueError: a name that is no path here and that the hub does not give.
    """
    if name == BUILTIN:
        return _builtin()
    return _load(AutoModelForCausalLM, name, dtype=torch.float32, attn_implementation=attn_implementation)


def disable_dropout(model: nn.Module) -> None:
    """Set every dropout rate of the model to 0, so that policy and reference agree where their weights agree."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "dropout", "activation_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def _builtin() -> nn.Module:
    tokenizer = ByT5Tokenizer()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=192,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=1024,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            tie_word_embeddings=True,
        )
    )


def _load(auto, name: str, **options):
    check_model_name(name)
    path = Path(name)
    if path.is_file():
        options["gguf_file"] = path.name
        name = str(path.parent)
        if auto is AutoModelForCausalLM and hasattr(transformers, "GgufConfig"):
            # without `dequantize` the model is flagged quantised and can be neither trained nor saved
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    try:
        return auto.from_pretrained(name, **options)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"model: expected {BUILTIN!r}, a path or a reachable hub name, got {name} ({reason})"
        ) from error
