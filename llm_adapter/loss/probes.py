"""Probes of a model on a short row of tokens, at the start: is it causal, and is it the same twice?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .head import config_of

READ = 32  # tokens of the row
LIMITS = {True: 1e-4, False: 0.05}
"""Of noise, over the spread of the logits: in float32 and in lower precision."""


def short_row(batch: Mapping[str, Tensor]) -> Tensor:
    """Return the first tokens of a batch's first text, shape (1, T), in either layout of `data.collate`."""
    if "branches" in batch:  # a shared row: the prompt of its first example, and the first response
        example, branch = batch["branches"][0, 0, :2]
        text = (example == example[0]) & (branch <= 1)
    else:
        text = batch["attention_mask"][0].bool()

    return batch["input_ids"][:1, text][:, :READ]


@torch.no_grad()
def refuse_lookahead(model: nn.Module, row: Tensor) -> None:
    """Refuse a model whose logits depend on later tokens; it is in evaluation mode.

    Both rows of one batch begin alike. The logits of the beginning are those of one row, to rounding, if the model is
    causal.

    Args:
        model: a causal LM, wrapped or not.
        row: token ids, shape (1, T).

    Raises:
        ValueError: the logits of the beginning differ, or the model does not read the row.
    """
    same = row.shape[1] - max(1, row.shape[1] // 3)
    other = row.clone()
    other[:, same:] = (row[:, same:] - 1).abs()
    first, second = read(model, torch.cat([row, other]))[:, :same]
    moved, limit = difference(model, first, second)

    if moved > limit:
        raise ValueError(
            f"model: expected a causal LM, got {describe(model)}, whose logits depend on later "
            f"tokens (they move by {moved:.1g} of their spread). Take a decoder, or correct "
            "is_decoder or use_bidirectional_attention in its config.json"
        )


@torch.no_grad()
def refuse_random(model: nn.Module, row: Tensor) -> None:
    """Refuse a model that gives other logits at each pass in training mode.

    Args:
        model: a causal LM, wrapped or not.
        row: token ids, shape (1, T).

    Raises:
        ValueError: two passes differ, or the model does not read the row.
    """
    was_training = model.training
    model.train()
    try:
        moved, limit = difference(model, read(model, row), read(model, row))
    finally:
        model.train(was_training)

    if moved > limit:
        raise ValueError(
            f"disable_dropout: expected equal logits of equal tokens, got {describe(model)}, which "
            f"is random in training (they move by {moved:.1g} of their spread). Set the rate of its "
            "random layers to 0 in its config.json, or take another model"
        )


def read(model: nn.Module, rows: Tensor) -> Tensor:
    """Return the model's logits of rows of tokens, shape (R, T, V).

    Raises:
        ValueError: the model does not read them; the message names it.
    """
    try:
        return model(input_ids=rows, attention_mask=torch.ones_like(rows), use_cache=False).logits
    except Exception as error:  # a model's own code may raise anything
        text = " ".join(str(error).split())[:200]
        raise ValueError(
            f"model: expected a causal LM that reads a row of {rows.shape[1]} tokens, got "
            f"{describe(model)} ({type(error).__name__}: {text})"
        ) from error


def difference(model: nn.Module, first: Tensor, second: Tensor) -> tuple[float, float]:
    """Return the root mean square difference of logits over their spread, and its limit in their precision."""
    types = {first.dtype, *(weight.dtype for weight in model.parameters())}
    exact = types <= {torch.float32, torch.float64} and not torch.is_autocast_enabled(
        first.device.type
    )
    first, second = first.float(), second.float()
    spread = first.std(-1).mean()

    return ((first - second).square().mean().sqrt() / spread).item(), LIMITS[exact]


def describe(model: Any) -> str:
    """Return the class of a model and where it comes from."""
    inner = getattr(model, "module", None)
    if isinstance(inner, nn.Module):
        return describe(inner)
    if hasattr(model, "get_base_model"):
        return describe(model.get_base_model())

    name = getattr(config_of(model), "_name_or_path", "")
    return f"{type(model).__name__} in {name}" if name else type(model).__name__
