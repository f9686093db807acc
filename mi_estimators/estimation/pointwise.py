"""Scores of the n pairs that rows form, in O(n) memory and time: critics score groups, so n pairs are small groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..bounds.scores import Critic
from .pairs import Pairs

_GROUP = 8  # rows: a group of them is scored whole, and its diagonal kept
_ROWS = 2048  # scored at a time
_SAMPLE = 2000  # scores that an estimate keeps, of joint and of product pairs

Maps = Sequence[Callable[[Tensor], Tensor]]


def held_out_sample(
    folds: Sequence[tuple[Maps, Critic, Int[Tensor, ...]]],
    pairs: Pairs,
    device: torch.device,
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Return scores of some joint pairs and of as many product pairs, in nats, at most 2000 in all of each.

    Args:
        folds: for each its transforms, its critic, and the positions in the input of rows which that has not seen.
        pairs: the rows.
        device: where the critics are.
    """
    order, places = pairs.order.sort()
    joint, product = [], []
    for maps, critic, index in folds:
        rows = places[torch.searchsorted(order, index[: _SAMPLE // len(folds)])]
        x, y = pairs.x[rows], pairs.y[rows]
        joint.append(pair_scores(critic, maps, x, y, device))
        product.append(pair_scores(critic, maps, x, y.roll(1, 0), device))

    return torch.cat(joint), torch.cat(product)


@torch.no_grad()
def pair_scores(
    critic: Critic,
    maps: Maps,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    device: torch.device,
) -> Float[Tensor, " n"]:
    """Return T(x_i, y_i) of rows that are transformed by `maps` first, in nats, on the CPU."""
    map_x, map_y = maps
    scores = []
    for part_x, part_y in zip(x.split(_ROWS), y.split(_ROWS), strict=True):
        rows = map_x(part_x.to(device)), map_y(part_y.to(device))
        scores.append(_diagonal(critic, *rows))
    return torch.cat(scores).cpu()


def _diagonal(critic: Critic, x: Tensor, y: Tensor) -> Float[Tensor, " n"]:
    lacking = -len(x) % _GROUP

    def grouped(rows: Tensor) -> Tensor:
        copies = rows[-1:].expand(lacking, *rows.shape[1:])
        return torch.cat([rows, copies]).unflatten(0, (-1, _GROUP))

    matrices = critic(grouped(x), grouped(y))
    scores = matrices.diagonal(dim1=-2, dim2=-1).flatten()
    return scores[: len(scores) - lacking]
