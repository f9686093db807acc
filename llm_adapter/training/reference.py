"""Compute the reference's log-probabilities: once, before training, or at each step from frozen weights.

Values on disk are named by a hash of all that they depend on: weights, tokens, precision, code.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import gather_object
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm
from transformers.utils.hub import TRANSFORMERS_DYNAMIC_MODULE_NAME

from ..data.cache import cache_folder, fetch, keep
from ..data.corpus import Corpus
from ..data.tokens import TokenizedExample
from ..loss.logprobs import sum_responses
from ..models import CausalLM
from .passes import passes
from .sharding import of_first_process, sharded

FORMAT = 3
"""Raise it when the same model and tokens give other log-probabilities: older files are then ignored."""

LogProbs = Callable[[Sequence[TokenizedExample]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Cache:
    """A folder of reference values, and the hash of the model that gave them (`model_digest`)."""

    folder: Path
    model: str

    def path(self, examples: Sequence[TokenizedExample]) -> Path:
        """Return the file for the values of these examples."""
        tokens = hashlib.sha256(self.model.encode())
        for example in examples:
            tokens.update(json.dumps(example.content).encode())
        return self.folder / f"{tokens.hexdigest()}.safetensors"

    def load(self, examples: Sequence[TokenizedExample]) -> Tensor | None:
        """Return the values on disk, or None."""

        def read(path: Path) -> Tensor:
            with safe_open(path, "pt") as file:
                values, digest = file.get_tensor("values"), file.metadata()["sha256"]
            if digest != _digest(values):
                raise ValueError("values that do not have their checksum")
            return values

        return fetch(self.path(examples), read)

    def save(self, examples: Sequence[TokenizedExample], values: Tensor) -> None:
        """Keep values on disk."""
        content = save({"values": values}, {"sha256": _digest(values)})
        keep(self.path(examples), lambda file: file.write(content))


class Reference:
    """π_ref, the model as given; create it before an engine shards the model or a step moves it.

    With LoRA it is the model without its adapters. Otherwise, unless its values are precomputed, it is a frozen copy.
    """

    def __init__(self, model: CausalLM, args, accelerator: Accelerator) -> None:
        stored = args.precompute_ref_log_probs or args.reference_free  # or not needed
        live = not stored and not args.lora_rank
        self._accelerator = accelerator
        self.frozen: Any = copy.deepcopy(model).requires_grad_(False) if live else None
        self._frozen = sharded(self.frozen, accelerator) if live else None
        self.cache = None

        folder = cache_folder(args.reference_cache, "references")
        if args.precompute_ref_log_probs and folder and args.process_index == 0:
            names = ("weights", "bf16", "fp16", "tf32", "row_layout")
            engine = accelerator.distributed_type if _has_own_precision(accelerator) else None
            settings = {name: getattr(args, name) for name in names} | {
                "device": args.device.type,
                "attention": getattr(model.config, "_attn_implementation", None),
                "engine": engine,
            }
            self.cache = Cache(folder, model_digest(model, settings))

    @torch.no_grad()
    def log_probs(self, model: nn.Module, batch: Mapping[str, Tensor], token_log_probs) -> Tensor:
        """Return ln π_ref of a batch's responses, shape (R,), in nats; a frozen copy takes the place of `model`."""
        model = self._frozen or model
        inner, was_training = self._accelerator.unwrap_model(model), model.training
        off = inner.disable_adapter() if hasattr(inner, "disable_adapter") else nullcontext()
        own = _has_own_precision(self._accelerator)
        cast = nullcontext() if own else self._accelerator.autocast()
        model.eval()

        try:
            with off, cast:
                return sum_responses(token_log_probs(model, batch), batch["lengths"])
        finally:
            model.train(was_training)


def _has_own_precision(accelerator: Accelerator) -> bool:
    """Return whether the engine rounds weights itself; other engines need autocast."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


@torch.no_grad()
def with_reference(
    examples: Corpus,
    log_probs: LogProbs,
    args,
    cache: Cache | None = None,
    layout: str = "shared",
) -> Corpus:
    """Return the examples with the reference's log-probabilities; the processes share the work.

    Args:
        examples: tokenised examples.
        log_probs: gives the summed log-probabilities of a batch's responses, (B,) and (B, K), in nats.
        args: the run's arguments (batch size, processes, progress bar).
        cache: where the first process finds and keeps the values.
        layout: of the rows, which decides how many tokens they take.
    """
    if examples.mismatched:
        others = with_reference(examples.mismatched, log_probs, args, cache, layout)
        examples = replace(examples, mismatched=others)

    values = of_first_process(lambda: cache.load(examples) if cache else None, args)
    if values is None:
        values = _computed(examples, log_probs, args, layout)
        if cache and args.process_index == 0:
            cache.save(examples, values)

    return examples.with_reference(values.numpy())


def _computed(examples: Corpus, log_probs: LogProbs, args, layout: str) -> Tensor:
    """Return the log-probabilities of all responses, example by example: chosen, then rejected."""
    size, processes = args.per_device_eval_batch_size, args.world_size
    if args.max_tokens_per_batch:
        batches = passes(examples, args.max_tokens_per_batch, layout)
    else:  # of like length
        order = np.argsort(-examples.shapes.sizes, kind="stable").tolist()
        batches = [order[start : start + size] for start in range(0, len(examples), size)]

    counts = examples.negatives
    rounds = range(0, len(batches), processes)  # the same in all processes: sharded models need all

    own = []
    for start in tqdm(rounds, "reference", disable=args.disable_tqdm, leave=False):
        mine = start + args.process_index
        indices = batches[min(mine, len(batches) - 1)]
        chosen, rejected = log_probs([examples[i] for i in indices])
        if mine < len(batches):
            for i, first, others in zip(indices, chosen.tolist(), rejected.tolist(), strict=True):
                own.append((i, (first, *others[: counts[i]])))

    values = dict(gather_object(own))
    flat = [value for i in range(len(examples)) for value in values[i]]
    return torch.tensor(flat, dtype=torch.float64)


def model_digest(model: CausalLM, settings: dict) -> str:
    """Return a hash of a model's weights, without LoRA adapters, and of the settings it computes under."""
    config = model.config.to_dict()
    for name in ("_name_or_path", "dtype"):
        config.pop(name, None)

    code = [hashlib.sha256(path.read_bytes()).hexdigest() for path in _remote_code(model)]
    versions = [metadata.version(name) for name in ("torch", "transformers")]
    parts = [config, settings, FORMAT, code, versions]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())

    for name, tensor in sorted(model.state_dict().items()):
        if "lora_" not in name:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(_bytes(tensor))

    return digest.hexdigest()


def _remote_code(model: nn.Module) -> list[Path]:
    """Return the Python files that came with the model (`trust_remote_code`), by name."""
    packages = {f"{type(part).__module__.rpartition('.')[0]}." for part in model.modules()}
    brought = tuple(
        name for name in packages if name.startswith(f"{TRANSFORMERS_DYNAMIC_MODULE_NAME}.")
    )
    files = {
        getattr(module, "__file__", None)
        for name, module in sys.modules.items()
        if name.startswith(brought)
    }

    return sorted(Path(file) for file in files if file)


def _digest(values: Tensor) -> str:
    return hashlib.sha256(_bytes(values)).hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
