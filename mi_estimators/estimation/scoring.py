"""Scores of rows in groups: each row's positive, and its negatives from its own group."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..bounds.scores import Critic, joint_and_product

WORTH = 2.0  # nats over all validation rows that any change of a critic must gain (Akaike's two)
READ_GROUP = 256  # rows whose pairs are all negatives of one another when a critic is read: O(n) scores for n rows

Sides = tuple[Tensor, Tensor]
"""Transformed rows of x and of y."""


def grouped_scores(
    critic: Critic,
    x: Float[Tensor, "n dx"],
    y: Float[Tensor, "n dy"],
    group: int,
) -> tuple[Float[Tensor, " kept"], Float[Tensor, "kept k"]]:
    """Return the scores of the n positives and of k negatives to each, all from its own group of rows.

    Groups are equal and have about `group` rows; up to one row a group may be left over at the end. If `group` exceeds
    the number of rows there is one group, the full in-batch matrix.
    """
    # A single group stays a matrix, for any module.
    x, y = (values.squeeze(0) for values in groups_of((x, y), group))
    return split(critic(x, y))


def split(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positives (n,) and negatives (n, k) of score matrices (..., size, size)."""
    joint, product = joint_and_product(scores)
    return joint.flatten(), product.reshape(joint.numel(), -1)


def groups_of(rows: tuple[Tensor, ...], group: int) -> list[Tensor]:
    """Cut rows (n, ...) into equal groups (groups, size, ...)."""
    count = max(1, round(len(rows[0]) / group))
    size = len(rows[0]) // count
    return [values[: count * size].unflatten(0, (count, size)) for values in rows]


@torch.no_grad()
def held_out_scores(critic: Critic, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return `grouped_scores` of many rows in double precision, evaluated a group at a time."""
    groups = zip(*groups_of((x, y), READ_GROUP), strict=True)
    parts = [grouped_scores(critic, x, y, len(x)) for x, y in groups]
    joint, product = (torch.cat(part).double() for part in zip(*parts, strict=True))
    return joint, product
