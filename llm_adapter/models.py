"""Load models and tokenizers by one name: the small built-in one, a folder, a GGUF file, or a hub name.

Weights come from safetensors or GGUF, never from a pickle. The code of a model runs only with `trust_remote_code`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
import transformers
from accelerate.utils import patch_environment
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    ByT5Tokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    modeling_gguf_pytorch_utils,
)
from transformers.utils import logging

from .arguments.command import complain
from .arguments.names import ADAPTER, ADAPTER_WEIGHTS, BUILTIN, check_model_name

CausalLM = Any
"""A causal LM of transformers, with peft's adapters or without; no class of theirs has both `config` and `generate`."""


RATES = ("drop", "jitter")  # parts of the names of what is random in training

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""The plainest chat template; its marks need no tokens of their own."""


def load_tokenizer(name: str, trust_remote_code: bool = False, chat_template: str | None = None):
    """Return the tokenizer of the named model; that of the built-in model reads bytes and needs no file.

    BPE dropout, which draws the tokens of a text at random, is switched off.

    Raises:
        ValueError: no such tokenizer; a `chat_template` that is no file, no name of the tokenizer's own and not chatml.
    """
    code = {"trust_remote_code": trust_remote_code}
    tokenizer: Any = ByT5Tokenizer() if name == BUILTIN else _load(AutoTokenizer, name, **code)
    if chat_template:
        tokenizer.chat_template = _template(chat_template, tokenizer.chat_template)

    pairs: Any = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    if dropout := getattr(pairs, "dropout", None):
        pairs.dropout = None
        line = f"BPE dropout {dropout:g} is switched off: with it a text has other tokens each time"
        complain("tokenizer", line, "warning")

    return tokenizer


def _template(name: str, own: str | dict[str, str] | None) -> str:
    """Return the text of a chat template: a file's, one of the tokenizer's own, or CHATML."""
    named = {"chatml": CHATML} | (own if isinstance(own, dict) else {})
    if name in named:
        return named[name]

    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"chat_template: expected a readable file, or one of {', '.join(named)}, got {name} "
            f"({getattr(error, 'strerror', None) or error})"
        ) from None


def load_model(
    name: str,
    attn_implementation: str | None = None,
    dtype: torch.dtype = torch.float32,
    trust_remote_code: bool = False,
    received: bool = False,
) -> CausalLM:
    """Return the named causal LM; the built-in one has random weights from torch's global seed.

    A folder with a LoRA adapter gives its base model with the adapter merged into the weights.

    With `received` the weights come from another process: they are left on the meta device, unless the model is the
    built-in one, a GGUF file, an adapter's, or one that `can_be_sent` excludes.

    Raises:
        ValueError: the name is no path and the hub does not have it; the weights are damaged or pickled, or are not
            those that the config asks for; an adapter does not fit its base model, or needs peft, which is not there.
    """
    options = {
        "dtype": dtype,
        "attn_implementation": attn_implementation,
        "trust_remote_code": trust_remote_code,
    }

    if name == BUILTIN:
        return cast_parameters(_builtin(attn_implementation), dtype)
    if (Path(name) / ADAPTER).is_file():
        return _merged(name, options)

    if received and not Path(name).is_file():
        model = _load(AutoModelForCausalLM, name, **options, device_map="meta")
        if can_be_sent(model):
            return model

    # or transformers leaves out what other processes would send
    with patch_environment(fsdp_cpu_ram_efficient_loading="false"):
        loaded: Any = _load(  # whose annotation leaves the report out
            AutoModelForCausalLM,
            name,
            **options,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
        )

    model, report = loaded
    _check_weights(name, model, report)
    return model


def _check_weights(name: str, model: CausalLM, report: Mapping[str, Any]) -> None:
    """Refuse weights that are missing, of another size or of layers that the config does not count; name the others."""
    advice = "take a complete checkpoint of a causal LM, or correct its config.json"
    if missing := report["missing_keys"]:
        raise ValueError(
            f"model: expected all weights in {name}, got none for {_first(missing)}; {advice}"
        )

    if mismatched := sorted(report["mismatched_keys"]):
        key, saved, wanted = mismatched[0]
        raise ValueError(
            f"model: expected weights of the sizes in the config.json of {name}, got "
            f"{tuple(saved)} instead of {tuple(wanted)} for {key} ({len(mismatched)} in all); "
            f"{advice}"
        )

    unexpected = report["unexpected_keys"]
    kinds = {_without_numbers(key) for key in model.state_dict()}
    if layers := [key for key in unexpected if _without_numbers(key) in kinds]:
        raise ValueError(
            f"model: expected as many layers as the config.json of {name} counts, got more: "
            f"{_first(layers)}; {advice}"
        )
    if unexpected:
        line = f"{name} has weights that the model does not use: {_first(unexpected)}"
        complain("model", line, "warning")


def _without_numbers(key: str) -> str:
    """Return the name of a weight without the number of its layer."""
    return re.sub(r"\b\d+\b", "N", key)


def _first(keys: Sequence[str] | set[str], count: int = 3) -> str:
    """Return the first names of weights, and how many there are."""
    names = ", ".join(sorted(keys)[:count])
    return names if len(keys) <= count else f"{names}, … ({len(keys)} in all)"


def _merged(name: str, options: Mapping[str, Any]) -> CausalLM:
    """Return the base model of a folder's adapter, with the adapter merged and all weights free to train."""
    try:
        config = json.loads((Path(name) / ADAPTER).read_text(encoding="utf-8"))
        base, kind = config["base_model_name_or_path"], config["peft_type"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"model: expected an {ADAPTER} as peft writes it, got {name} ({_text(error)})"
        ) from error

    if not isinstance(base, str):
        raise ValueError(
            f"model: expected a base model in {Path(name) / ADAPTER}, got {json.dumps(base)}; "
            "write its folder or hub name there, as base_model_name_or_path"
        )
    if not (Path(name) / ADAPTER_WEIGHTS).is_file():
        raise ValueError(f"model: expected {ADAPTER_WEIGHTS} in {name}, got none")

    peft = _peft()
    model = load_model(base, **options)
    try:
        adapted = peft.PeftModel.from_pretrained(model, name)
        merges = hasattr(adapted, "merge_and_unload")
        report = adapted.load_adapter(name, "default") if merges else None  # again: for its report
    except Exception as error:  # sizes, types and names that peft does not take
        raise ValueError(
            f"model: expected an adapter of {base}, got {name} ({_text(error)}); train it again, "
            "or correct its base model"
        ) from error

    if report is None:
        raise ValueError(
            f"model: expected an adapter that merges into its base model, such as LoRA, got {kind} "
            f"in {name}"
        )
    if strangers := [*report.missing_keys, *report.unexpected_keys]:
        raise ValueError(
            f"model: expected in {name} the adapters of {base} that its {ADAPTER} names, got others: "
            f"{_first(strangers)}"
        )

    return adapted.merge_and_unload().requires_grad_(True)  # peft had frozen them


def _text(error: BaseException) -> str:
    """Return an error on one line, with its kind where the text alone says little."""
    text = shorten(str(error), 1000, placeholder=" …")  # and joins the lines
    return text if isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {text}"


def can_be_sent(model: CausalLM) -> bool:
    """Return whether all that a model's file holds are weights, which accelerate sends to other processes.

    It sends no buffers; it sends integers of quantised weights as numbers of another kind.
    """
    saved, weights = model.state_dict().keys(), dict(model.named_parameters(remove_duplicate=False))
    return saved <= weights.keys() and all(map(torch.is_floating_point, weights.values()))


def load_config(name: str, trust_remote_code: bool = False) -> Any:
    """Return the config of the named causal LM, without its weights.

    Raises:
        ValueError: the name is no path and the hub does not have it.
    """
    if name == BUILTIN:
        with torch.device("meta"):
            return _builtin(None).config
    return _load(AutoConfig, name, trust_remote_code=trust_remote_code)


def with_lora(model: CausalLM, name: str, rank: int, alpha: float, targets: str) -> CausalLM:
    """Return the model with trainable low-rank adapters W + (alpha/rank) B A, B = 0, and all else frozen.

    Args:
        model: a causal LM.
        name: its name for `load_model`, kept in the adapter's config.
        rank: rows of A.
        alpha: scale of the adapters.
        targets: names of the adapted layers, separated by commas, "all-linear", or "default": peft's for this model.

    Raises:
        ValueError: peft is not installed, or no layer has one of these names.
    """
    peft = _peft()
    names = {"all-linear": "all-linear", "default": None}.get(targets, targets.split(","))
    scale: Any = alpha  # peft's annotation says int; it multiplies by alpha/rank
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=scale, target_modules=names)

    try:
        model = peft.get_peft_model(model, config)
    except ValueError as error:
        raise ValueError(
            f"lora_targets: expected names of layers, got {targets} ({error})"
        ) from None

    # of a folder the whole path: the adapter is loaded from other places, too
    config.base_model_name_or_path = str(Path(name).resolve()) if Path(name).exists() else name
    return model


def _peft():
    try:
        import peft
    except ImportError as error:
        raise ValueError(
            f"lora_rank: expected the package peft for adapters, got {error} (pip install peft)"
        ) from None

    return peft


def disable_dropout(model: nn.Module) -> None:
    """Set every rate of dropout, of dropped layers and of jitter to 0, in the modules and in their configs.

    Equal weights then give equal log-probabilities. A rate is a float whose name has one of `RATES` in it, or the `p`
    of a module of such a name. Some models read their config at each pass; it is saved with these rates.
    """
    modules = list(model.modules())
    configs = [module.config for module in modules if hasattr(module, "config")]
    for owner in (*modules, *configs):
        if not isinstance(owner, nn.Module | PreTrainedConfig):
            continue

        names = [name for name, value in vars(owner).items() if isinstance(value, float)]
        for name in names:
            if _is_rate(name) or (name == "p" and _is_rate(type(owner).__name__)):
                setattr(owner, name, 0.0)


def _is_rate(name: str) -> bool:
    return any(part in name.lower() for part in RATES)


def cast_parameters(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return the model with its parameters in `dtype`; buffers, such as the angles of positions, stay exact."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def _builtin(attn_implementation: str | None) -> nn.Module:
    tokenizer: Any = ByT5Tokenizer()  # whose ids are annotated as numbers or texts
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
            attn_implementation=attn_implementation,  # type: ignore  # every config takes it, none declares it
        )
    )


def _load(auto, name: str, **options):
    path = Path(check_model_name(name))
    if auto is AutoModelForCausalLM and not path.is_file():
        options["use_safetensors"] = True

    if path.is_file():
        # transformers then decides about this bar, too
        modeling_gguf_pytorch_utils.tqdm = logging.tqdm  # type: ignore  # a name that the module imports
        options["gguf_file"] = path.name
        if auto is AutoModelForCausalLM:
            # without `dequantize` the model counts as quantised and can be neither trained nor saved
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)

    try:
        with gguf_read_once() if path.is_file() else nullcontext():
            return auto.from_pretrained(str(path.parent) if path.is_file() else name, **options)
    except ImportError as error:
        package = f" (pip install {error.name.split('.')[0]})" if error.name else ""
        raise ValueError(
            f"model: expected the packages that {name} needs, got: {_text(error)}{package}"
        ) from error
    except Exception as error:  # a config that does not fit, damaged files, a model's own code
        hint = "; check its config.json and its other files" if path.is_dir() else ""
        raise ValueError(
            f"model: expected {BUILTIN!r}, a path or a reachable hub name, got {name} "
            f"({_text(error)}){hint}"
        ) from error


@contextmanager
def gguf_read_once():
    """Cache two functions of gguf: transformers reads a file's header for each part and the names for each module."""
    import gguf

    functions = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    try:
        for name, function in functions.items():
            setattr(gguf, name, cache(function))
        yield
    finally:
        for name, function in functions.items():
            setattr(gguf, name, function)
