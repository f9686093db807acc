"""Digits of a column: a measurement, which is never equal by chance, or a code of few digits."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

COLUMNS = 64
"""Columns whose digits are counted at a time."""
_DIGITS = 6  # significant digits from which on two equal numbers are one measurement, not two
_SIMPLE = 100  # the largest denominator of a share, such as 3/7


def is_measured(rows: Float[Tensor, "n d"]) -> bool:
    """Tell whether most values of a column need more than six significant digits and are no codes.

    >>> counts = torch.arange(50.0, dtype=torch.float64)[:, None]
    >>> is_measured(counts.sin()), is_measured(counts), is_measured((counts - counts.mean()) / counts.std())
    (True, False, False)
    """
    for part in rows.split(COLUMNS, 1):
        fine = is_fine(part).double().mean(0) > 0.5
        if any(not is_coded(part[:, k].unique()) for k in fine.nonzero().flatten().tolist()):
            return True
    return False


def have_limits(rows: Float[Tensor, "n d"]) -> bool:
    """Tell whether rows are measurements, many of them at a limit, rather than labels.

    Few of the values of labels stand in one row alone.

    >>> draws = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> have_limits(draws.clamp(min=1.5)), have_limits(draws.clamp(min=1.5).round(decimals=1))
    (True, False)
    """
    values, counts = rows.unique(dim=0, return_counts=True)
    return bool((counts == 1).double().mean() > 0.5) and is_measured(values)


def is_fine(rows: Float[Tensor, "n d"]) -> Bool[Tensor, "n d"]:
    """Tell which values need more than six significant digits."""
    unit = 10 ** (rows.abs().clamp(min=1e-300).log10().floor() - _DIGITS + 1)
    rounded = (rows / unit).round() * unit
    return (rows - rounded).abs() > 1e-9 * rows.abs()


def is_coded(values: Tensor) -> bool:
    """Tell whether sorted different values are evenly spaced, but for gaps, or are shares of small whole numbers."""
    steps = values.diff()
    steps = steps / steps.min()
    if bool(((steps - steps.round()).abs() < 1e-4 * steps).all()):
        return True

    denominators = torch.arange(1, _SIMPLE + 1, dtype=values.dtype)
    products = values[:, None] * denominators
    return bool(((products - products.round()).abs() < 1e-6).any(1).double().mean() > 0.5)
