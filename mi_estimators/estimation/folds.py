"""Cross-fitting: which rows each critic is trained on, selected on, and read on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from .grouping import rows_of_groups

FEWEST = 6  # rows of a fold: 30 pairs, so that a tail has a shape
_VALIDATION_SHARE = 0.2  # of the rows outside the fold


@dataclass(frozen=True)
class Fold:
    """Numbers of rows.

    Attributes:
        train, valid: rows that the fold's critic is trained on, and selected on.
        test: the rows of the fold, on which the critic is read.
        half: half of the training rows.
    """

    train: Int[Tensor, " train"]
    valid: Int[Tensor, " valid"]
    test: Int[Tensor, " test"]
    half: Int[Tensor, " half"]

    def halved(self) -> Fold:
        """Return the fold with half of its training rows."""
        return replace(self, train=self.half)


def cut(
    labels: Int[Tensor, " n"],
    folds: int,
    generator: torch.Generator,
) -> list[Fold]:
    """Cut groups of rows into folds at random; each group stays whole.

    Args:
        labels: the number of each row's group.
        folds: number of folds.
        generator: draws the cut.

    Raises:
        ValueError: too few groups for the folds, or too few rows to train and validate on in a fold.
    """
    count = int(labels.max()) + 1
    if count // folds < FEWEST:
        if count == len(labels):
            raise ValueError(
                f"folds: expected at least {FEWEST} rows a fold, got {count} in {folds} folds; pass fewer folds"
            )
        raise ValueError(
            f"groups: expected at least {FEWEST} groups in each of {folds} folds, got {count} in all; pass shorter"
            " blocks, labels of smaller groups, or fewer folds"
        )

    parts = torch.randperm(count, generator=generator).tensor_split(folds)
    return [_fold(labels, parts, k, generator) for k in range(folds)]


def _fold(
    labels: Tensor,
    parts: tuple[Tensor, ...],
    k: int,
    generator: torch.Generator,
) -> Fold:
    others = torch.cat([*parts[:k], *parts[k + 1 :]])
    others = others[torch.randperm(len(others), generator=generator)]
    few, most = others.tensor_split([round(_VALIDATION_SHARE * len(others))])
    half = most[: len(most) // 2]
    train, valid, test, less = (rows_of_groups(labels, g) for g in (most, few, parts[k], half))

    if min(len(train), len(valid)) < FEWEST:
        raise ValueError(
            f"groups: expected at least {FEWEST} rows to train on and {FEWEST} to validate on in a fold,"
            f" got {len(train)} and {len(valid)}"
        )

    return Fold(train, valid, test, less)
