"""The reference's log-probabilities: once, before training, and kept on disk; or at each step, from frozen weights.

Kept values are named by all that they depend on: the content of the weights and tokens, the precision, the code.
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

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import broadcast_object_list, gather_object
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm
from transformers.utils.hub import TRANSFORMERS_DYNAMIC_MODULE_NAME

from mi_estimators.display import whole_file

from ..data.cache import cache_folder
from ..data.collate import sum_responses
from ..data.tokens import TokenizedExample
from ..models import CausalLM, cast_parameters

FORMAT = 1
"""Raise it when the same model and tokens give other log-probabilities: older files are then not read."""

Values = list[tuple[float, ...]]  # of each example: its chosen response's, its rejected ones'
LogProbs = Callable[[Sequence[TokenizedExample]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Cache:
    """A folder of reference values, and the hash of the model that they are of: `model_digest`."""

    folder: Path
    model: str

    def path(self, examples: Sequence[TokenizedExample]) -> Path:
        """Return the file of these examples' values."""
        tokens = hashlib.sha256(self.model.encode())
        for example in examples:
            tokens.update(json.dumps([example.prompt, example.completions]).encode())
        return self.folder / f"{tokens.hexdigest()}.safetensors"

    def load(self, examples: Sequence[TokenizedExample]) -> Values | None:
        """Return the kept values; None if there are none, or none whole, which is said in one line."""
        path = self.path(examples)
        if not path.exists():
            return None
        try:
            with safe_open(path, "pt") as file:
                values, digest = file.get_tensor("values"), file.metadata()["sha256"]
            if digest != _digest(values):
                raise ValueError("values that do not have their checksum")
        except Exception as error:  # whatever a damaged file makes safetensors say
            reason = " ".join(str(error).split())
            print(
                f"reference cache: expected {path} to be whole, got: {reason}; computed anew",
                file=sys.stderr,
            )
            return None
        return [
            tuple(part.tolist())
            for part in values.split([len(example.completions) for example in examples])
        ]

    def save(self, examples: Sequence[TokenizedExample], values: Values) -> None:
        """Keep values; a folder that cannot be written is said in one line and left alone."""
        flat = torch.tensor([value for example in values for value in example], dtype=torch.float64)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path(examples)) as file:
                file.write(save({"values": flat}, {"sha256": _digest(flat)}))
        except OSError as error:
            said = f"expected a folder to write to, got {self.folder} ({error.strerror}); not kept"
            print(f"reference cache: {said}", file=sys.stderr)


class Reference:
    """π_ref: the model as given. Made before an engine shards the model, or a step moves it.

    With LoRA it is the model with the adapters off; else, where its values are not precomputed, a frozen second copy.
    """

    def __init__(self, model: CausalLM, args, accelerator: Accelerator) -> None:
        live = not args.precompute_ref_log_probs and not args.lora_rank
        self._accelerator = accelerator
        self._frozen = (
            sharded(copy.deepcopy(model).requires_grad_(False), accelerator) if live else None
        )
        folder = (
            cache_folder(args.reference_cache, "references")
            if args.precompute_ref_log_probs
            else None
        )
        if folder and args.process_index == 0:
            names = ("weights", "bf16", "fp16", "tf32", "row_layout")
            settings = {name: getattr(args, name) for name in names} | {"device": args.device.type}
            settings["attention"] = getattr(model.config, "_attn_implementation", None)
            settings["engine"] = (
                accelerator.distributed_type if _has_own_precision(accelerator) else None
            )
            self.cache = Cache(folder, model_digest(model, settings))
        else:
            self.cache = None

    @torch.no_grad()
    def log_probs(self, model: nn.Module, batch: Mapping[str, Tensor], token_log_probs) -> Tensor:
        """Return ln π_ref of a batch's responses, shape (R,), nats, from `model` unless there is a frozen copy."""
        model = self._frozen or model
        inner, was_training = self._accelerator.unwrap_model(model), model.training
        off = inner.disable_adapter() if hasattr(inner, "disable_adapter") else nullcontext()
        cast = (
            nullcontext() if _has_own_precision(self._accelerator) else self._accelerator.autocast()
        )
        model.eval()
        try:
            with off, cast:
                return sum_responses(token_log_probs(model, batch), batch["lengths"])
        finally:
            model.train(was_training)


def _has_own_precision(accelerator: Accelerator) -> bool:
    """Return whether the engine rounds weights its own way; under the others a model is autocast."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def sharded(model: CausalLM, accelerator: Accelerator) -> nn.Module:
    """Return the model as the engine will run it, before it is prepared for training.

    FSDP2 shards it here. DeepSpeed will, later, and rounds its weights to bf16, as is done here; until then every GPU
    holds them all.

    Raises:
        ValueError: FSDP of version 1, or a model that DeepSpeed took apart while it was read.
    """
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        if any(hasattr(parameter, "ds_id") for parameter in model.parameters()):
            raise ValueError(
                "zero3_init_flag: expected false (the reference runs before the engine), got true"
            )
        rounded = torch.bfloat16 if accelerator.mixed_precision == "bf16" else model.dtype
        return cast_parameters(model.to(accelerator.device), rounded)
    if accelerator.distributed_type != DistributedType.FSDP:
        return model
    plugin = accelerator.state.fsdp_plugin
    assert plugin is not None  # as FSDP is on
    if plugin.fsdp_version != 2:
        raise ValueError("fsdp_version: expected 2, got 1")
    return fsdp2_prepare_model(accelerator, model)


@torch.no_grad()
def with_reference(
    examples: Sequence[TokenizedExample], log_probs: LogProbs, args, cache: Cache | None = None
) -> list[TokenizedExample]:
    """Return the examples with the reference's log-probabilities; the processes share the work.

    Args:
        examples: tokenised examples.
        log_probs: gives the summed log-probabilities of a batch's responses, (B,) and (B, K), nats.
        args: the run's arguments (batch size, processes, progress bar).
        cache: where the first process looks for the values, and keeps them.
    """
    values = cache.load(examples) if cache and args.process_index == 0 else None
    if args.world_size > 1:
        (values,) = broadcast_object_list([values])
    if values is None:
        values = _computed(examples, log_probs, args)
        if cache and args.process_index == 0:
            cache.save(examples, values)
    return [
        replace(example, reference=each) for example, each in zip(examples, values, strict=True)
    ]


def _computed(examples: Sequence[TokenizedExample], log_probs: LogProbs, args) -> Values:
    longest_first = sorted(
        range(len(examples)), key=lambda i: -max(map(len, examples[i].completions))
    )
    size, processes = args.per_device_eval_batch_size, args.world_size
    batches = [longest_first[start : start + size] for start in range(0, len(examples), size)]
    found = []
    rounds = range(
        0, len(batches), processes
    )  # all processes go through all: sharded models meet in each
    for start in tqdm(rounds, "reference", disable=args.disable_tqdm, leave=False):
        mine = start + args.process_index
        indices = batches[min(mine, len(batches) - 1)]
        chosen, rejected = log_probs([examples[i] for i in indices])
        if mine < len(batches):
            for i, first, rest in zip(indices, chosen.tolist(), rejected.tolist(), strict=True):
                found.append((i, (first, *rest[: len(examples[i].completions) - 1])))
    values = dict(gather_object(found))
    return [values[i] for i in range(len(examples))]


def model_digest(model: CausalLM, settings: dict) -> str:
    """Return the hash of a model's content, without LoRA adapters, and of the settings it computes under."""
    config = {
        name: value
        for name, value in model.config.to_dict().items()
        if name not in ("_name_or_path", "dtype")
    }
    code = [
        FORMAT,
        *(hashlib.sha256(path.read_bytes()).hexdigest() for path in _remote_code(model)),
    ]
    versions = [metadata.version(name) for name in ("torch", "transformers")]
    digest = hashlib.sha256(
        json.dumps([config, settings, code, versions], sort_keys=True, default=str).encode()
    )
    for name, tensor in sorted(model.state_dict().items()):
        if "lora_" not in name:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(_bytes(tensor))
    return digest.hexdigest()


def _remote_code(model: nn.Module) -> list[Path]:
    """Return the files of code that the model brought along (`trust_remote_code`), by name."""
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
