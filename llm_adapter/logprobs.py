"""Log-probabilities of responses, accurate to float32 and without a float32 (N, T, V) array.

The model runs through its own `forward`, so the hooks of DDP, FSDP and DeepSpeed fire. Within that call the output head
is replaced: it sees the hidden states, keeps the positions that predict a response token, and returns their
log-probabilities chunk by chunk, from float32 logits even where the weights or the autocast are bf16 (logits rounded to
bf16 make a summed log-ratio noisy by more than half a nat over 100 tokens). A head that is no plain linear map, or
whose logits the model scales or caps afterwards, keeps the model's own logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

CHUNK = 2**26  # logits computed at a time: 256 MiB in float32

LogProbs = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]


def log_probs_from_head(model: nn.Module, input_ids: Tensor, attention_mask: Tensor, completion_mask: Tensor) -> Tensor:
    """Return ln π(token | its past) on response tokens and 0 elsewhere, shape (N, T), float32, in nats.

    Args:
        model: a causal LM, wrapped or not.
        input_ids, attention_mask, completion_mask: shape (N, T), the last bool and never True at position 0.
    """
    mask, targets = _targets(input_ids, completion_mask)

    def forward(head: nn.Linear, hidden: Tensor) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            weight, bias = head.weight.float(), None if head.bias is None else head.bias.float()
            return _chunked(
                hidden[:, :-1][mask].float(), targets, lambda rows: F.linear(rows, weight, bias), len(weight)
            )

    with _replaced_head(model, forward):
        output = model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
    return _placed(output.logits, completion_mask)


def log_probs_from_logits(
    model: nn.Module, input_ids: Tensor, attention_mask: Tensor, completion_mask: Tensor
) -> Tensor:
    """Return the same as `log_probs_from_head` from the model's own logits: any head, more memory."""
    mask, targets = _targets(input_ids, completion_mask)
    logits = model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits[:, :-1][mask]
    return _placed(_chunked(logits, targets, lambda rows: rows, logits.shape[-1]), completion_mask)


@torch.no_grad()
def choose_log_probs(model: nn.Module, input_ids: Tensor) -> LogProbs:
    """Return `log_probs_from_head` if it agrees with the model's logits on a probe, shape (1, T), else the other."""
    if not isinstance(_unwrapped(model).get_output_embeddings(), nn.Linear):
        return log_probs_from_logits
    mask = torch.ones_like(input_ids)
    rows = (input_ids, mask, mask.bool() & (torch.arange(input_ids.shape[1], device=input_ids.device) > 0))
    was_training = model.training
    model.eval()
    try:
        head, logits = log_probs_from_head(model, *rows), log_probs_from_logits(model, *rows)
    except RuntimeError:  # what the model does to its logits does not fit a vector of log-probabilities
        return log_probs_from_logits
    finally:
        model.train(was_training)
    # bf16 logits carry 8 bits; scaled or capped ones are off by far more than this
    return log_probs_from_head if torch.allclose(head, logits, rtol=0.02, atol=0.02) else log_probs_from_logits


def _targets(input_ids: Tensor, completion_mask: Tensor) -> tuple[Tensor, Tensor]:
    mask = completion_mask[:, 1:]  # position t − 1 predicts token t
    return mask, input_ids[:, 1:][mask]


def _placed(log_probs: Tensor, completion_mask: Tensor) -> Tensor:
    return log_probs.new_zeros(completion_mask.shape).masked_scatter(completion_mask, log_probs)


def _chunked(rows: Tensor, targets: Tensor, to_logits: Callable[[Tensor], Tensor], vocabulary: int) -> Tensor:
    def of_chunk(chunk: Tensor, target: Tensor) -> Tensor:
        return -F.cross_entropy(to_logits(chunk).float(), target, reduction="none")

    size = max(1, CHUNK // vocabulary)
    chunks = list(zip(rows.split(size), targets.split(size), strict=True))
    if len(chunks) == 1:  # small enough to keep for the backward pass
        return of_chunk(*chunks[0])
    return torch.cat([checkpoint(of_chunk, *chunk, use_reentrant=False) for chunk in chunks])


def _unwrapped(model: nn.Module) -> nn.Module:
    return _unwrapped(model.module) if isinstance(getattr(model, "module", None), nn.Module) else model


@contextmanager
def _replaced_head(model: nn.Module, forward: Callable[[nn.Linear, Tensor], Tensor]) -> Iterator[None]:
    """Let the output head compute `forward(head, hidden)` within this context; its parameters and hooks stay."""
    head = _unwrapped(model).get_output_embeddings()
    head.forward = lambda hidden: forward(head, hidden)
    try:
        yield
    finally:
        del head.forward
