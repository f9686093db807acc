"""Subjects: a measured number that several rows share is one subject's."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from .digits import COLUMNS, is_coded, is_fine, is_measured
from .hashes import codes_of

_TOO_EVEN = 3.0  # standard errors by which triples of equal rows must fall short
_SEVERAL = 10  # values of a measured column, below which it is a code for a few labels
_LEVELS = 20  # values from which on the order of their counts tells
_UNEVEN = 3.0  # standard errors by which counts vary more than those of equally likely values
# Standard errors by which neighbouring values' counts are alike: a law of a few values
_SMOOTH = 2.5


def few_measurements(rows: Float[Tensor, "n d"]) -> int:
    """Return how many values a measured column has, if its rows look like those of as many subjects; else 0.

    Rows that share a measured number are of one subject: sixteen by sixteen, where draws from a law of a few values
    would be less even; or in groups whose sizes vary more than chance and have nothing to do with the number. Counts of
    a law such as a logarithm's of whole numbers change smoothly from one value to the next. Beyond 64 columns only rows
    that are equal in all of them count.

    >>> import torch
    >>> ages = 40 + 10 * torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> few_measurements(ages.repeat(16)[:, None]), few_measurements(ages.round().repeat(16)[:, None])
    (50, 0)
    """
    if rows.shape[1] > COLUMNS:
        columns = [codes_of(rows)] if is_measured(rows) else []
    else:
        fine = is_fine(rows)
        often = (2 * fine.sum(0) > len(rows)).nonzero().flatten().tolist()
        columns = [rows[fine[:, k], k] for k in often]

    for column in columns:
        values, counts = column.unique(return_counts=True)
        several = _SEVERAL <= len(counts) <= len(column) / 2
        if several and (is_too_even(counts.double()) or _is_of_subjects(values, counts.double())):
            return len(counts)
    return 0


def is_too_even(counts: Tensor) -> bool:
    """Tell whether equal rows form too few triples, given their pairs, to be independent draws.

    Of n independent draws with any probabilities p, E[triples] = n³/6 Σp³ ≥ n³/6 (Σp²)² ≈ ⅔ pairs²/n. At equality the
    difference has variance E (1 + λ/3), E the right-hand side and λ = 2 pairs/n.
    """
    n = float(counts.sum())
    pairs = float((counts * (counts - 1)).sum()) / 2
    triples = float((counts * (counts - 1) * (counts - 2)).sum()) / 6
    least = 2 / 3 * pairs**2 / n
    return least - triples > _TOO_EVEN * math.sqrt(least * (1 + 2 * pairs / n / 3))


def _is_of_subjects(values: Tensor, counts: Tensor) -> bool:
    """Tell whether sorted values have counts of very different sizes, in no order, and stand on no grid.

    Their order is read by the ratio of von Neumann of the counts' ranks, which is 2 ± 2/√K for K values in no order.

    Reference: Bartels 1982, J. American Statistical Association 77.
    """
    if len(values) < _LEVELS or is_coded(values):
        return False

    mean, freedom = counts.mean(), len(counts) - 1
    excess = float(((counts - mean) ** 2).sum() / mean) - freedom
    ranks = counts.unique(return_inverse=True)[1].double()
    ratio = float(ranks.diff().square().sum() / (ranks - ranks.mean()).square().sum())
    ordered = (2 - ratio) * math.sqrt(len(counts)) / 2

    return excess > _UNEVEN * math.sqrt(2 * freedom) and ordered < _SMOOTH
