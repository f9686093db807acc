"""Compute again in the backward pass what is cheap: keep matrix products and attention, and drop the results between.

A decoder layer keeps about half of its activations. Products take most of its time, and none is repeated.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from ..loss import head
from ..loss.thrift import Thrift

_ATEN = torch.ops.aten
KEPT_OPERATIONS = {
    _ATEN.mm.default,
    _ATEN.addmm.default,
    _ATEN.bmm.default,
    _ATEN.baddbmm.default,
    _ATEN._scaled_dot_product_flash_attention_for_cpu.default,
    _ATEN._scaled_dot_product_flash_attention.default,
    _ATEN._scaled_dot_product_efficient_attention.default,
    _ATEN._scaled_dot_product_cudnn_attention.default,
    torch.ops.higher_order.flex_attention,
}


class Recomputed(Protocol):
    """What says whether activations are computed again."""

    @property
    def gradient_checkpointing(self) -> bool | None:
        """Of whole layers."""
        ...

    @property
    def selective_checkpointing(self) -> bool | None:
        """Of what lies between products."""
        ...


def logits_kept(setting: Recomputed) -> int:
    """Return how many logits a pass may keep: none, where memory is worth more than time."""
    again = setting.gradient_checkpointing or setting.selective_checkpointing
    return 0 if again else head.KEPT_LOGITS


def is_thrifty(setting: Recomputed, device: str, long: bool) -> bool:
    """Return whether a pass leaves out cheap results: a long one, on a CPU, unless whole layers are computed again."""
    wanted = long or bool(setting.selective_checkpointing)
    return device == "cpu" and wanted and not setting.gradient_checkpointing


def thrift_of(model: nn.Module, setting: Recomputed, device: str) -> Thrift:
    """Return what leaves cheap results out of a pass, of no modules where they are kept.

    On a CPU it does what `selective_checkpointing` does, in less time, for models whose gates it knows.
    """
    thrift = Thrift(model, always=bool(setting.selective_checkpointing))
    known = thrift.gated or not setting.selective_checkpointing
    return thrift if known and is_thrifty(setting, device, long=True) else Thrift(nn.Module())


def save_activations(model: Any, args: Any, shared: bool) -> Thrift:
    """Let the passes of a run keep less, as its flags say, and return what leaves cheap results out.

    Args:
        model: it is changed where its layers keep products alone.
        args: of the run.
        shared: whether an engine shares the weights out, which may be away when the backward pass makes a result.

    Raises:
        ValueError: the model's layers cannot be computed again.
    """
    away = shared or args.torch_compile
    thrift = thrift_of(model, args, "" if away else args.device.type)
    if args.selective_checkpointing and not (args.gradient_checkpointing or thrift.cheap):
        recompute_between_products(model)
    return thrift


def _policy(context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    if operation in KEPT_OPERATIONS:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE


def recompute_between_products(model: Any) -> None:
    """Let a model's layers keep products and attention alone.

    Raises:
        ValueError: the model's layers cannot be computed again.

    Reference: selective activation checkpointing, `torch.utils.checkpoint.create_selective_checkpoint_contexts`.
    """
    contexts = partial(create_selective_checkpoint_contexts, _policy)
    # transformers renames its method: the old name warns where the new one exists
    enable = getattr(model, "activation_checkpointing_enable", None)
    enable = enable or model.gradient_checkpointing_enable

    try:
        enable({"use_reentrant": False, "context_fn": contexts})
    except ValueError as error:
        raise ValueError(
            f"selective_checkpointing: expected false with this model, got true ({error})"
        ) from None
