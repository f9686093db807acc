"""Compute log-probabilities of responses, accurate to float32, without a float32 (N, T, V) array.

The model runs through its own `forward`, so the hooks of DDP, FSDP and DeepSpeed fire. Within that call the output head
is replaced: it takes the positions that predict a response token and returns their log-probabilities (`head`), from
float32 logits even if weights or autocast are bf16 (bf16 logits would add more than half a nat of noise to a log-ratio
summed over 100 tokens). The model's own logits are used where the head is no plain linear map, or where the model
changes its logits in a way that `head` does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from . import probes
from .attention import as_mask
from .head import KEPT_LOGITS, Shape, config_of, output_head, replaced_head, token_log_probs

LARGE = 100.0  # logits at which a cap shows
CHUNK = 2**26  # of the model's own logits, read at a time: 256 MiB in float32

Batch = Mapping[str, Tensor]
LogProbs = Callable[[nn.Module, Batch], Tensor]


def log_probs_from_head(model: nn.Module, batch: Batch, kept: int = KEPT_LOGITS) -> Tensor:
    """Return ln π(token | its past) of each response token, shape (S,), float32, in nats.

    Args:
        model: a causal LM, wrapped or not.
        batch: what `collate` returns.
        kept: as for `token_log_probs`.
    """

    def forward(head: nn.Linear, hidden: Tensor, shape: Shape) -> Tensor:
        rows = hidden.flatten(0, 1)[batch["sources"]]
        return token_log_probs(rows, head.weight, head.bias, batch["targets"], shape, kept)

    with replaced_head(model, forward):
        return _logits(model, batch)


def log_probs_from_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Return the same from the model's own logits: for any head, with more memory."""
    return _chunked(response_logits(model, batch), batch["targets"])


def response_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Return the model's own logits of each response token, shape (S, V)."""
    return _logits(model, batch).flatten(0, 1)[batch["sources"]]


def sum_responses(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Sum the token log-probabilities of each response, (S,) → (R,), in a fixed order of addition."""
    return torch.segment_reduce(log_probs, "sum", lengths=lengths)


def split_rows(values: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
    """Split values of the responses, shape (N,), into chosen, (B,), and rejected, (B, K), with 0 for absent ones.

    >>> chosen, rejected = split_rows(torch.arange(5.0), torch.tensor([[True, True], [True, False]]))
    >>> chosen.tolist(), rejected.tolist()
    ([0.0, 1.0], [[2.0, 3.0], [4.0, 0.0]])
    """
    size = len(negatives)
    rejected = values.new_zeros(negatives.shape).masked_scatter(negatives, values[size:])
    return values[:size], rejected


@torch.no_grad()
def choose_log_probs(model: nn.Module, batch: Batch, kept: int = KEPT_LOGITS) -> LogProbs:
    """Return `log_probs_from_head` if it agrees with the model's logits on a row, else `log_probs_from_logits`.

    Raises:
        ValueError: the model does not read the row, or its tokens see later ones.
    """
    was_training, row = model.training, probes.short_row(batch)
    model.eval()
    try:
        probes.refuse_lookahead(model, row)
        agrees = isinstance(output_head(model), nn.Linear) and _head_agrees(model, row)
    finally:
        model.train(was_training)

    if not agrees:
        return log_probs_from_logits
    return log_probs_from_head if kept == KEPT_LOGITS else partial(log_probs_from_head, kept=kept)


def _head_agrees(model: nn.Module, row: Tensor) -> bool:
    """Return whether `head` computes the model's logits of a row of tokens.

    They are compared as they are, and with the head's input enlarged: a cap leaves small logits almost as they are. The
    words compared are the least likely ones, which a cap moves most.
    """
    length = row.shape[1]
    sources = torch.arange(length, device=row.device)
    batch = {"input_ids": row, "attention_mask": torch.ones_like(row), "sources": sources}

    try:
        logits = response_logits(model, batch)
        batch["targets"] = logits.argmin(-1)
        largest = max(logits.abs().max().item(), 1 / LARGE)

        for factor in (1.0, LARGE / largest):
            with _enlarged(output_head(model), factor):
                measured = log_probs_from_head(model, batch)
                expected = log_probs_from_logits(model, batch)
            # bf16 logits carry 8 bits; scaled or capped ones are off by far more than this
            if measured.shape != expected.shape:
                return False
            if not torch.allclose(measured, expected, rtol=0.02, atol=0.02):
                return False
    except Exception:  # of a model whose logits `head` does not know how to make
        return False

    return True


@contextmanager
def _enlarged(head: Any, factor: float) -> Iterator[None]:
    """Let the output head see its input times a factor."""
    hook = head.register_forward_pre_hook(lambda module, inputs: (inputs[0] * factor, *inputs[1:]))
    try:
        yield
    finally:
        hook.remove()


def _logits(model: nn.Module, batch: Batch) -> Tensor:
    names = ("input_ids", "attention_mask", "position_ids")
    inputs = {name: batch[name] for name in names if name in batch}
    if "branches" in batch:  # of shared rows
        inputs["attention_mask"] = as_mask(batch["branches"], config_of(model))
    return model(**inputs, use_cache=False).logits


def _chunked(logits: Tensor, targets: Tensor) -> Tensor:
    def of_chunk(chunk: Tensor, target: Tensor) -> Tensor:
        return -F.cross_entropy(chunk.float(), target, reduction="none")

    size = max(1, CHUNK // logits.shape[-1])
    chunks = list(zip(logits.split(size), targets.split(size), strict=True))
    if len(chunks) == 1:  # small enough to keep for the backward pass
        return of_chunk(*chunks[0])

    return torch.cat([checkpoint(of_chunk, *chunk, use_reentrant=False) for chunk in chunks])
