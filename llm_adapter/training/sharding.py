"""Load a model once for all processes, and cut it as an engine asks for.

Under FSDP with `fsdp_cpu_ram_efficient_loading` one process of a machine reads the weights. The others make the model
on the meta device, which has shapes and no numbers, and receive their shards when the model is cut.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import broadcast_object_list, gather_object
from accelerate.utils.fsdp_utils import fsdp2_prepare_model
from torch import nn
from torch.distributed.fsdp import FSDPModule
from transformers.integrations import is_fsdp_enabled  # type: ignore  # exported by their lazy module

from ..models import CausalLM, can_be_sent, cast_parameters

Made = TypeVar("Made")
ONCE = "fsdp_cpu_ram_efficient_loading"


def shard_on_cpus(args) -> None:
    """Let FSDP run on CPUs, too: accelerate leaves it out there, and each process would hold the whole model."""
    state = args.distributed_state
    asked = args.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and state is not None and state.distributed_type == DistributedType.MULTI_CPU:
        state.distributed_type = DistributedType.MULTI_GPU  # its devices stay CPUs


def receives_weights(args) -> bool:
    """Return whether this process leaves the reading of weights to another one of its machine."""
    return is_fsdp_enabled() and args.local_process_index != 0 and args.process_index != 0


def of_first_process(make: Callable[[], Made], args) -> Made:
    """Return what the first process makes, in all processes."""
    made: Any = make() if args.process_index == 0 else None
    if args.world_size > 1:
        (made,) = broadcast_object_list([made])
    return made


def together(make: Callable[[], Made], args) -> Made:
    """Return what `make` gives in this process; if it fails in one of them, raise in all: they would wait for it.

    Raises:
        ValueError: `make` failed in another process.
    """
    made: Any = None
    failure: Exception | None = None
    try:
        made = make()
    except Exception as error:  # a model's own code may raise anything
        failure = error

    failures = [failure and str(failure)]
    if args.world_size > 1:
        failures = gather_object(failures)
    if failure:
        raise failure
    if reasons := list(filter(None, failures)):
        raise ValueError(reasons[0])

    return made


def sharded(model: CausalLM, accelerator: Accelerator) -> nn.Module:
    """Return the model as the engine will run it, before it is prepared for training.

    FSDP2 shards it here. DeepSpeed shards it later and rounds its weights to bf16, as is done here; until then every
    GPU holds all of it.

    Raises:
        ValueError: FSDP version 1, a model that DeepSpeed sharded when it was read, or weights that did not arrive.
    """
    if accelerator.distributed_type == DistributedType.DEEPSPEED:
        if any(hasattr(parameter, "ds_id") for parameter in model.parameters()):
            raise ValueError(
                "zero3_init_flag: expected false (the reference runs before DeepSpeed), got true"
            )
        rounded = torch.bfloat16 if accelerator.mixed_precision == "bf16" else model.dtype
        return cast_parameters(model.to(accelerator.device), rounded)

    if accelerator.distributed_type != DistributedType.FSDP:
        return model

    plugin = accelerator.state.fsdp_plugin
    assert plugin is not None  # as FSDP is on
    if plugin.fsdp_version != 2:
        raise ValueError("fsdp_version: expected 2, got 1")

    if plugin.mixed_precision_policy is not None:
        # as under DDP: bf16 log-probabilities would carry 8 bits, as would sums of gradients
        plugin.mixed_precision_policy = replace(
            plugin.mixed_precision_policy, reduce_dtype=torch.float32, output_dtype=None
        )

    plugin.cpu_ram_efficient_loading &= can_be_sent(model)
    model = fsdp2_prepare_model(accelerator, model)
    if plugin.cpu_ram_efficient_loading:
        for buffer in model.buffers():  # accelerate sends weights alone
            torch.distributed.broadcast(buffer, src=0)

    refuse_missing(model)
    return model


def reshard(model: nn.Module) -> None:
    """Cut again what FSDP left whole after a forward pass: an optimiser takes the weights as they lie."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def refuse_missing(model: nn.Module) -> None:
    """Refuse a model with tensors that have no numbers.

    Raises:
        ValueError: such a tensor, by name.
    """
    tensors = chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    empty = [name for name, tensor in tensors if tensor.device.type == "meta"]
    if empty:
        raise ValueError(
            f"{ONCE}: expected false with this model, got true ({len(empty)} of its tensors did not "
            f"arrive, such as {empty[0]})"
        )
