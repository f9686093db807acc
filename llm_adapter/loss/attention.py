"""Attend within shared rows: each response sees its prompt and itself, and nothing of its siblings.

A shared row travels as three integers a position: example, branch (0: the prompt) and position in the text
(`collate_shared`). The mask is made of them on the device, in one of three ways:

segments  calls of SDPA on the pieces that see one another, without a mask for prompt and first response: CPUs
flex      FlexAttention with a BlockMask, made once a batch by arithmetic on blocks: CUDA
dense     a Boolean (T, T) mask for the model's own SDPA: anywhere

`training.layouts` holds the first way that a device offers against padded rows before it is used. Grouped keys are not
repeated, windows and caps of the model are obeyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.flex_attention import flex_attention_forward
from transformers.masking_utils import sdpa_mask

from .thrift import offer

BLOCK = 128  # positions of a block of FlexAttention
WAYS = {"cpu": ("segments", "dense"), "cuda": ("flex", "dense")}  # of a device, best first
PREFIX = "branches_"  # of the names that transformers knows our ways by
UNKNOWN = ("s_aux", "position_bias", "cache")  # arguments of attention that we do not compute


def dense_mask(branches: Tensor, window: int | None = None) -> Tensor:
    """Return True where a position sees another one, shape (R, 1, T, T).

    Args:
        branches: example, branch and position, shape (R, 1, 3, T).
        window: the number of positions that a layer sees, itself included; by default all.

    >>> branches = torch.tensor([[0, 0, 0], [0, 1, 2], [0, 1, 1]]).view(1, 1, 3, 3)  # a prompt, two responses
    >>> dense_mask(branches)[0, 0].int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    example, branch, position = branches[:, 0].unbind(1)
    seen = example.unsqueeze(2) == example.unsqueeze(1)
    seen &= (branch.unsqueeze(1) == 0) | (branch.unsqueeze(2) == branch.unsqueeze(1))
    if window:
        seen &= position.unsqueeze(2) - position.unsqueeze(1) < window
    return seen.tril_().unsqueeze(1)


def block_mask(branches: Tensor, window: int | None = None) -> BlockMask:
    """Return the mask for FlexAttention; T is a multiple of BLOCK. No (T, T) array is made.

    A pair of blocks is left out if no position of one can see one of the other, by the ranges of their examples,
    branches and positions; it is full if all see all; the others ask position by position.
    """
    example, branch, position = branches[:, 0].unbind(1)

    def seen(b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
        same = (q >= k) & (example[b, q] == example[b, k])
        same = same & ((branch[b, k] == 0) | (branch[b, k] == branch[b, q]))
        return same & (position[b, q] - position[b, k] < window) if window else same

    ranges = [_ranges(values) for values in (example, branch, position)]
    (low_e, high_e), (low_b, high_b), (low_p, high_p) = ranges
    pure = (low_e == high_e) & (low_b == high_b)  # one branch of one example
    first, last = (lambda x: x.unsqueeze(2)), (lambda x: x.unsqueeze(1))  # of queries, of keys

    blocks = torch.arange(low_e.shape[1], device=branches.device)
    earlier = blocks.unsqueeze(1) > blocks
    reached = (earlier | (blocks.unsqueeze(1) == blocks)) & (last(low_e) <= first(high_e))
    reached = reached & (last(high_e) >= first(low_e))
    apart = first(pure) & last(pure) & (last(low_b) > 0) & (first(low_b) != last(low_b))
    reached = reached & ~(apart & (first(low_e) == last(low_e)))

    one = first(low_e == high_e) & last(low_e == high_e) & (first(low_e) == last(low_e))
    clear = (last(high_b) == 0) | (first(pure) & last(pure) & (first(low_b) == last(low_b)))
    full = earlier & one & clear
    if window:
        reached = reached & (first(low_p) - last(high_p) < window)
        full = full & (first(high_p) - last(low_p) < window)

    partial, full = (reached & ~full).unsqueeze(1), (reached & full).unsqueeze(1)
    length = branches.shape[-1]
    return BlockMask.from_kv_blocks(
        *_ordered(partial),
        *_ordered(full),
        BLOCK_SIZE=BLOCK,
        mask_mod=seen,
        seq_lengths=(length, length),
    )


def _ranges(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the largest value of each block, (R, T) → two of (R, T / BLOCK)."""
    return tuple(values.unflatten(1, (-1, BLOCK)).aminmax(dim=2))  # type: ignore


def _ordered(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many blocks of keys each block of queries has, and which, the others after them."""
    counts = blocks.sum(-1).int()
    return counts, blocks.int().argsort(dim=-1, descending=True, stable=True).int()


@dataclass(frozen=True)
class Segments:
    """The pieces of a flat row: the lengths of its prompts and responses, and how they belong together.

    `pieces` are lengths in the row's order. `examples` are tuples of indices: the prompt, then its responses. Pieces
    of no example are padding.
    """

    pieces: tuple[int, ...]
    examples: tuple[tuple[int, ...], ...]


def segments(branches: Tensor) -> Segments:
    """Return the pieces of the rows, one row after another.

    >>> segments(torch.tensor([[0, 0, 0, -1], [0, 1, 2, 0], [0, 1, 1, 0]]).view(1, 1, 3, 4))
    Segments(pieces=(1, 1, 1, 1), examples=((0, 1, 2),))
    """
    marks = branches[:, 0, :2].transpose(0, 1).flatten(1)  # (2, R·T)
    marks, lengths = torch.unique_consecutive(marks, dim=1, return_counts=True)

    of_examples: dict[int, list[int]] = {}
    for piece, (example, _) in enumerate(marks.T.tolist()):
        if example >= 0:
            of_examples.setdefault(example, []).append(piece)
    return Segments(tuple(lengths.tolist()), tuple(map(tuple, of_examples.values())))


def _attend_segments(query: Tensor, key: Tensor, value: Tensor, branches: Tensor, options: dict):
    """Return the attention's output, (R, T, H, D), piece by piece."""
    rows, length = len(query), query.shape[2]
    plan: Segments = _kept(branches, "segments", lambda: segments(branches))
    flat = [_in_one_row(tensor).split(plan.pieces, dim=2) for tensor in (query, key, value)]
    queries, keys, values = flat

    outputs = [torch.zeros_like(part) for part in queries]  # padding stays zero
    for prompt, *responses in plan.examples:
        pieces = [prompt, *responses[:1]]  # as one causal text
        q, k, v = (torch.cat([part[i] for i in pieces], 2) for part in flat)
        output = _causal(q, k, v, 0, options).split([plan.pieces[i] for i in pieces], 2)
        for piece, part in zip(pieces, output, strict=True):
            outputs[piece] = part
        for piece in responses[1:]:
            k, v = (torch.cat([part[prompt], part[piece]], 2) for part in (keys, values))
            query = queries[piece].contiguous()  # a part would keep the whole for the backward pass
            outputs[piece] = _causal(query, k, v, plan.pieces[prompt], options)

    parts = [part.detach() for part in outputs]
    output = _joined(outputs, rows, length)
    offer(output, lambda: _joined(parts, rows, length))
    return output


def _joined(parts: list[Tensor], rows: int, length: int) -> Tensor:
    """Return the outputs of all pieces as they are handed on, (R, T, H, D)."""
    output = torch.cat(parts, 2)
    output = output if rows == 1 else output.unflatten(2, (rows, length))[0].transpose(0, 1)
    return output.transpose(1, 2).contiguous()


def _in_one_row(tensor: Tensor) -> Tensor:
    """Return the rows one after another, (R, H, T, D) → (1, H, R·T, D)."""
    return tensor if len(tensor) == 1 else tensor.transpose(0, 1).flatten(1, 2).unsqueeze(0)


def _causal(query: Tensor, key: Tensor, value: Tensor, past: int, options: dict) -> Tensor:
    """Return causal attention of queries that follow `past` keys."""
    length, window = query.shape[2], options["window"]
    if past == 0 and not (window and window < length):
        return _attend(query, key, value, None, options)
    mask = torch.ones(length, past + length, dtype=torch.bool, device=query.device).tril_(past)
    return _attend(query, key, value, mask.triu_(past - window + 1) if window else mask, options)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, options: dict):
    """Return attention under a mask, or causal attention without one: the last query sees all keys."""
    softcap, scale, dropout = (options[name] for name in ("softcap", "scale", "dropout"))
    length, seen = query.shape[2], key.shape[2]
    if mask is None and length != seen:  # keys of a cache; SDPA would align the first ones
        mask = torch.ones(length, seen, dtype=torch.bool, device=query.device).tril_(seen - length)

    if softcap is None:
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            mask,
            dropout_p=dropout,
            is_causal=mask is None,
            scale=scale,
            enable_gqa=key.shape[1] != query.shape[1],
        )

    if mask is None:
        mask = torch.ones(length, seen, dtype=torch.bool, device=query.device).tril_()
    groups = query.unflatten(1, (key.shape[1], -1))  # (1, Hkv, G, T, D)
    scores = groups @ key.unsqueeze(2).transpose(-1, -2)
    scores = scores * (query.shape[-1] ** -0.5 if scale is None else scale)
    scores = softcap * torch.tanh(scores / softcap)
    if mask.ndim == 4:
        mask = mask.unsqueeze(2)

    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).float().softmax(-1)
    weights = F.dropout(weights.to(value.dtype), dropout)
    return (weights @ value.unsqueeze(2)).flatten(1, 2)


def _kept(branches: Tensor, name: str, make: Any) -> Any:
    """Return what was made of a batch's integers under this name, for its other layers; they keep it themselves."""
    made = getattr(branches, "made", None)
    if made is None:
        made = branches.made = {}  # type: ignore  # a field of our own
    if name not in made:
        made[name] = make()
    return made[name]


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    sliding_window: int | None = None,
    way: str = "segments",
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend as transformers' attention functions do; an integer mask is a batch's branches.

    Args:
        module, query, key, value, attention_mask, scaling, dropout, softcap, sliding_window: as transformers calls it.
        way: segments or flex.

    Returns:
        The output, (R, T, H, D), and None for the weights.

    Raises:
        ValueError: an argument that is not computed here, such as attention sinks.
    """
    unknown = [name for name in UNKNOWN if kwargs.get(name) is not None]
    if unknown:
        raise ValueError(f"attention: expected no {unknown[0]}, got one")

    options = {"softcap": softcap, "scale": scaling, "dropout": dropout, "window": sliding_window}
    if attention_mask is None or not _is_branches(attention_mask):  # padded rows
        output = _attend(query, key, value, attention_mask, options).transpose(1, 2).contiguous()
    elif way == "flex":
        name = f"blocks {sliding_window}"
        blocks = _kept(attention_mask, name, lambda: block_mask(attention_mask, sliding_window))
        settings = {"scaling": scaling, "softcap": softcap, "dropout": dropout}
        return flex_attention_forward(module, query, key, value, blocks, **settings)
    else:
        output = _attend_segments(query, key, value, attention_mask, options)

    return output, None


def _is_branches(mask: Tensor) -> bool:
    return not (mask.dtype == torch.bool or mask.is_floating_point())


def _flex(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    return attend(*args, **kwargs, way="flex")


for _name, _function in (("segments", attend), ("flex", _flex)):
    AttentionInterface.register(PREFIX + _name, _function)
    AttentionMaskInterface.register(PREFIX + _name, sdpa_mask)


def use_way(configs: Sequence[Any], way: str) -> None:
    """Let models with these configs attend in one of `WAYS`; `dense` is the models' own attention."""
    for config in configs:
        own = config.__dict__.setdefault("_own_attention", config._attn_implementation)
        config._attn_implementation = own if way == "dense" else PREFIX + way


def way_of(config: Any) -> str:
    """Return the way in which a model with this config attends."""
    name = str(getattr(config, "_attn_implementation", None))
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else "dense"


def as_mask(branches: Tensor, config: Any) -> Tensor:
    """Return what a model with this config takes as the attention mask of shared rows."""
    return dense_mask(branches) if way_of(config) == "dense" else branches
