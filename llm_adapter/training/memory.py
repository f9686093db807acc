"""Count the bytes of a training step before it is taken: weights, gradients, optimiser, activations.

Nothing is guessed from formulas of an architecture. Weights are counted on the meta device. What a pass keeps for its
backward pass is counted by running our own forward pass on fake tensors, which have sizes and no numbers, for models
of one and of two layers: their difference is a layer.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

from ..data.collate import collate_shared
from ..data.tokens import TokenizedExample
from ..loss.attention import segments, use_way
from ..loss.head import TILE, WORDS
from ..loss.logprobs import log_probs_from_head, sum_responses
from ..loss.thrift import Thrift, pack, unpack
from .heap import is_long
from .recompute import KEPT_OPERATIONS, is_thrifty, logits_kept

BLOCK_STATE = 1 + 4 / 256  # bytes of a number in 8 bits, with the scale of its block
TILES = 3  # that the head holds at once


@dataclass(frozen=True)
class Setting:
    """What decides the memory of a step; the names are those of the flags of `llm_adapter.train`."""

    weights: str = "fp32"
    rounding: str = "nearest"
    adam_states: str = "weights"
    release_gradients: bool = False
    gradient_checkpointing: bool = False
    selective_checkpointing: bool = False
    bf16: bool = False  # arithmetic
    live_reference: bool = False
    several_passes: bool = False  # gradients of earlier passes wait for the step
    gpus: int = 1


@dataclass(frozen=True)
class Sizes:
    """Weights of a model: all of them, those of its largest layer, the largest weight, and the layers."""

    total: int
    layer: int
    largest: int
    layers: int
    width: int


def sizes_of(config: Any) -> Sizes:
    """Return the sizes of the model that a config describes."""
    text = config.get_text_config()
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)

    layers = text.num_hidden_layers
    stacks = [part for part in model.modules() if isinstance(part, nn.ModuleList)]
    blocks = [block for stack in stacks if len(stack) == layers for block in stack]
    layer = max(map(_count, blocks), default=_count(model) // layers)
    largest = max(weight.numel() for weight in model.parameters())

    return Sizes(_count(model), layer, largest, layers, text.hidden_size)


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _shallow(config: Any, depth: int) -> Any:
    """Return a config of the same model with fewer layers."""
    config = copy.deepcopy(config)
    text = config.get_text_config()
    text.num_hidden_layers = depth
    kinds = getattr(text, "layer_types", None)
    if kinds:
        with suppress(AttributeError):  # some count them from the number of layers
            text.layer_types = kinds[:depth]
    return config


@dataclass(frozen=True)
class Pass:
    """Bytes that a forward pass keeps: for a layer, those of its products and attention, and around the layers."""

    layer: int
    products: int
    around: int


def activations(
    config: Any, setting: Setting, tokens: int, responses: int = 2, device: str = "cuda"
) -> Pass:
    """Return the bytes that a pass of so many tokens keeps for its backward pass.

    Args:
        config: of the model.
        setting: its weights' precision and that of its arithmetic.
        tokens: of the pass, in shared rows: a third prompts, the remaining ones responses.
        responses: of an example.
        device: on a CPU a long pass leaves cheap results out.

    Raises:
        ValueError: the model has operations that cannot be counted, such as routed experts; the message has what is
            known.
    """
    dtype = torch.bfloat16 if setting.weights == "bf16" else torch.float32
    text = config.to_json_string(use_diff=False)
    thrifty = is_thrifty(setting, device, is_long(tokens, config))
    counts = tokens, responses, logits_kept(setting), thrifty
    try:
        with _no_logs():
            kept = [
                _kept(Hidden(text, config), depth, dtype, setting.bf16, *counts) for depth in (1, 2)
            ]
    except Exception as error:  # of operations that do not run on tensors without numbers
        total = sizes_of(config).total
        raise ValueError(
            f"model: the activations of {config.model_type} cannot be counted without a run ({error}). Known are its "
            f"{total:,} weights, {total * (2 * weight_bytes(setting) + state_bytes(setting)) / 2**30:.1f} GiB with "
            "gradients and Adam's states. Measure the rest by a run of --max_steps 2"
        ) from error

    layer = kept[1].saved - kept[0].saved
    products = kept[1].products - kept[0].products

    return Pass(layer, products, kept[0].saved - layer)


@dataclass(frozen=True)
class Hidden:
    """A config that is compared by its text."""

    text: str
    config: Any = field(compare=False)


@dataclass(frozen=True)
class Kept:
    """Bytes that the forward pass of a whole network saves, and those of its products and attention."""

    saved: int
    products: int


class Products(TorchDispatchMode):
    """Count the bytes of what `selective_checkpointing` keeps of the operations within."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operation and count its outputs."""
        result = func(*args, **(kwargs or {}))
        if func in KEPT_OPERATIONS:
            outputs = result if isinstance(result, tuple | list) else (result,)
            self.bytes += sum(part.nbytes for part in outputs if isinstance(part, Tensor))
        return result


@lru_cache(maxsize=64)
def _kept(
    hidden: Hidden,
    depth: int,
    dtype: torch.dtype,
    bf16: bool,
    tokens: int,
    responses: int,
    logits: int,
    thrifty: bool,
) -> Kept:
    """Return the bytes of the tensors that a forward pass of so many layers saves, without the weights."""
    batch = _batch(tokens, responses)
    plan = segments(batch["branches"])
    config = _shallow(hidden.config, depth)

    with FakeTensorMode(allow_non_fake_inputs=True) as mode, _one_tile():
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).train()
        use_way([model.config], "segments")
        own = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}
        inputs = {name: mode.from_tensor(value) for name, value in batch.items()}
        inputs["branches"].made = {"segments": plan}  # type: ignore  # read from numbers, which a fake has not
        saved: dict[int, int] = {}

        def count(tensor: Tensor) -> Any:
            kept = pack(tensor)
            if kept is tensor:
                saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
            return kept

        hooks = torch.autograd.graph.saved_tensors_hooks(count, unpack)
        products = Products()
        saving = Thrift(model, checked=True).applied() if thrifty else nullcontext()
        with saving, hooks, products, torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            log_probs = log_probs_from_head(model, inputs, logits)
            keep = sum_responses(log_probs, inputs["lengths"])

        del keep

    whole = sum(size for storage, size in saved.items() if storage not in own)
    of_head = 4 * len(batch["targets"]) * model.get_output_embeddings().weight.shape[0]
    return Kept(whole + (of_head if of_head <= 4 * logits else 0), products.bytes)


@contextmanager
def _no_logs() -> Iterator[None]:
    """Let torch not log an operation that it cannot count: the error says it."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _one_tile() -> Iterator[None]:
    """Let the head work in one piece: fakes take no room, and each operation takes time."""
    before = TILE["cpu"], WORDS["cpu"]
    TILE["cpu"] = WORDS["cpu"] = 2**60
    try:
        yield
    finally:
        TILE["cpu"], WORDS["cpu"] = before


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _batch(tokens: int, responses: int) -> dict[str, Tensor]:
    """Return a batch of examples with so many tokens in all."""
    count = max(1, tokens // 3072)  # examples of about 3000 tokens
    rows = []
    for size in (tokens // count for _ in range(count)):
        response = max(1, 2 * size // (3 * responses))
        prompt = max(1, size - responses * response)
        rows.append(
            TokenizedExample(1, [1] * prompt, tuple([1] * response for _ in range(responses)))
        )

    return collate_shared(rows, row_length=math.inf)


def state_bytes(setting: Setting) -> float:
    """Return the bytes that the optimiser keeps for a weight.

    >>> state_bytes(Setting()), state_bytes(Setting("bf16", "kahan")), state_bytes(Setting("bf16", "stochastic"))
    (8, 6, 4)
    """
    size = weight_bytes(setting)
    if setting.adam_states == "8bit":
        return 2 * BLOCK_STATE
    return 2 * size + (size if setting.rounding == "kahan" else 0)


def weight_bytes(setting: Setting) -> int:
    """Return the bytes of a weight, and of its gradient."""
    return 2 if setting.weights == "bf16" else 4


def parts(
    config: Any, setting: Setting, tokens: int, responses: int = 2, device: str = "cuda"
) -> dict[str, int]:
    """Return the bytes of each part on one device at the peak of a step, and their sum under `peak`.

    Gradients come as activations go: the peak is at the beginning of the backward pass, where all activations exist,
    or at its end, where all gradients do.
    """
    sizes, width = sizes_of(config), weight_bytes(setting)
    share = 1 / setting.gpus
    one = activations(config, setting, tokens, responses, device)
    layer, kept = one.layer, sizes.layers * one.layer + one.around
    thrifty = is_thrifty(setting, device, is_long(tokens, config))
    if not logits_kept(setting) and not thrifty:
        computed = 2 if setting.bf16 or setting.weights == "bf16" else 4
        of_layer = tokens * sizes.width * computed  # its input
        if not setting.gradient_checkpointing:
            of_layer += one.products
        kept = sizes.layers * of_layer + layer + one.around  # and one layer computed again

    whole = round(sizes.total * width * share)
    first = sizes.largest * width  # the head's, which comes first
    last = first + sizes.layer * width if setting.release_gradients else whole
    begins, ends = kept + (whole if setting.several_passes else first), last + layer
    gathered = 2 * sizes.layer * width + first if setting.gpus > 1 else 0
    result = {
        "weights": whole,
        "optimiser": round(sizes.total * state_bytes(setting) * share),
        "reference": whole if setting.live_reference else 0,
        "gradients": whole if setting.several_passes or begins < ends else first,
        "activations": kept if begins >= ends else layer,
        "gathered": gathered,
        "head": TILES * 4 * TILE.get(device, TILE["cuda"]),
    }

    if setting.release_gradients and begins < ends:
        result["gradients"] = last
    return result | {"peak": sum(result.values())}
