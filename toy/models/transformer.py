"""A small causal transformer as plain functions of stacked parameters; their first dimension is the replica."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mi_estimators import _validate

LAYERS, HEADS = 2, 2


def transformer(
    replicas: int, vocabulary: int, length: int, width: int, generator: torch.Generator
) -> list[Tensor]:
    """Return parameters: embeddings of tokens and positions, four matrices a layer, and the read-out.

    Weights are N(0, 1/fan-in); those that write to the residual stream are scaled by 1/√(2 · layers). There are no
    biases and no gains.
    """
    _validate.count("width", width // HEADS)

    def normal(rows: int, columns: int, scale: float) -> Tensor:
        return scale * torch.randn(replicas, rows, columns, generator=generator)

    depth = math.sqrt(2 * LAYERS)
    parameters = [normal(vocabulary, width, 1.0), normal(length, width, 0.3)]

    for _ in range(LAYERS):
        parameters += [
            normal(width, 3 * width, width**-0.5),
            normal(width, width, width**-0.5 / depth),
        ]
        parameters += [
            normal(width, 2 * width, width**-0.5),
            normal(2 * width, width, (2 * width) ** -0.5 / depth),
        ]

    return [*parameters, normal(width, vocabulary, width**-0.5)]


def _normalised(hidden: Tensor) -> Tensor:
    return hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + 1e-6)


def next_token_log_probs(parameters: list[Tensor], tokens: Tensor) -> Tensor:
    """Return ln p(next token) after every prefix of sequences (R, N, L), shape (R, N, L, vocabulary)."""
    replicas, count, length = tokens.shape
    embedding, position, *layers, readout = parameters
    width = embedding.shape[-1]
    index = tokens.reshape(replicas, -1, 1).expand(-1, -1, width)
    hidden = embedding.gather(1, index) + position[:, :length].repeat(1, count, 1)

    for k in range(0, len(layers), 4):
        qkv = torch.bmm(_normalised(hidden), layers[k])
        q, key, value = qkv.view(replicas * count, length, 3, HEADS, -1).permute(
            2,
            0,
            3,
            1,
            4,
        )

        mixed = torch.nn.functional.scaled_dot_product_attention(q, key, value, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(replicas, count * length, width)
        hidden = hidden + torch.bmm(mixed, layers[k + 1])
        hidden = hidden + torch.bmm(
            torch.relu(torch.bmm(_normalised(hidden), layers[k + 2])), layers[k + 3]
        )

    logits = torch.bmm(_normalised(hidden), readout)
    return logits.log_softmax(-1).view(replicas, count, length, -1)


def log_likelihood(parameters: list[Tensor], sequences: Tensor, prompt: int) -> Tensor:
    """Return ln π(response | prompt) (R, N) of sequences (R, N, L); their first `prompt` tokens are the prompt."""
    log_probs = next_token_log_probs(parameters, sequences[..., :-1])
    return log_probs.gather(-1, sequences[..., 1:, None]).squeeze(-1)[..., prompt - 1 :].sum(-1)


@torch.no_grad()
def sample(
    parameters: list[Tensor], prompts: Tensor, length: int, generator: torch.Generator
) -> Tensor:
    """Continue prompts (R, N, P) to sequences (R, N, length) by draws from the policy.

    All replicas get the same noise: differences between them come from their policies.
    """
    sequences = prompts
    while sequences.shape[-1] < length:
        log_probs = next_token_log_probs(parameters, sequences)[..., -1, :]
        gumbel = -torch.rand(log_probs.shape[1:], generator=generator).log().neg().log()
        sequences = torch.cat([sequences, (log_probs + gumbel).argmax(-1, keepdim=True)], -1)

    return sequences
