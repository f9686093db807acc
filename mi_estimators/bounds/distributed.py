"""Negatives from all processes of a data-parallel run, with the single-process value and gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Shaped
from torch import Tensor

from .. import _validate


class _Gather(torch.autograd.Function):
    """all_gather along the first dimension; the gradient of a row is the sum of what all processes send back to it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Any) -> Tensor:
        ctx.group, ctx.rows, ctx.rank = group, len(tensor), dist.get_rank(group)
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, tensor, group=group)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.group)
        return total[ctx.rank * ctx.rows : (ctx.rank + 1) * ctx.rows], None


def gather(
    tensor: Shaped[Tensor, "n ..."],
    group: Any = None,
) -> Shaped[Tensor, "total ..."]:
    """Concatenate the rows of all processes, in the order of their ranks; the gradient flows back to every process.

    The backward pass *sums* over processes. Suppose each of R processes computes the same value L of gathered rows.
    Then each process gets R times its own rows' share of ∇L, and the *average* that data-parallel wrappers take over
    processes is ∇L exactly: nothing needs rescaling. (A gather whose backward pass keeps only the local share makes
    gradients R times too small.)

    The score matrix of all rows, of which each process evaluates its own, is `gather(critic(x, gather(y)))`. A mean
    over rows (`infonce`) needs no second gather: use `critic(x, gather(y))`, with the positives in columns rank·n + i.

    Args:
        tensor: shape (n, …), as many rows on every process.
        group: process group; None means all processes.

    Returns:
        Shape (R·n, …); `tensor` itself where torch.distributed is not initialised or R = 1.

    Raises:
        ValueError: a tensor without dimensions, or different numbers of rows on the processes.

    >>> gather(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    if tensor.dim() == 0:
        raise ValueError("tensor: expected at least 1 dimension(s), got shape ()")
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size(group) == 1:
        return tensor

    own = torch.tensor([len(tensor)], device=tensor.device)
    rows = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(rows, own, group=group)

    if not _validate.all_true(torch.cat(rows) == own):
        raise ValueError(
            f"tensor: expected as many rows on every process, got {torch.cat(rows).tolist()}"
        )

    return _Gather.apply(tensor.contiguous(), group)  # pyright: ignore[reportReturnType]
