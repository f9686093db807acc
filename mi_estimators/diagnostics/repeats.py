"""Rows that repeat: exact copies, copies with a jitter, few values of what is measured, and labels' entropy."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .hashes import codes_of

_COLUMNS = 64  # of which digits are counted at a time
_DIGITS = 6  # significant digits from which on two equal numbers are one measurement, not two
_TOO_EVEN = 3.0  # standard errors by which triples of equal rows must fall short
_SEVERAL = 10  # values of a measured column, below which it is a code for a few labels
_LEVELS = 20  # values from which on the order of their counts tells
_UNEVEN = 3.0  # standard errors by which counts vary more than those of equally likely values
_SMOOTH = (
    2.5  # standard errors by which neighbouring values' counts are alike: a law of a few values
)
_SIMPLE = 100  # the largest denominator of a share, such as 3/7
_ASKED = 500  # rows whose neighbours are looked at
_NEAREST = 16  # of them
_BESIDE = 4  # that are nearer or farther than a gap
_DIP = 0.5  # of the dimension that nearer and farther neighbours tell: a smaller one is a gap around clusters
_FEWEST = 200  # rows; of fewer on a thin curve the lattice of ranks looks like gaps
_WIDE = 30  # columns of both sides, beyond which neighbours tell no dimension


def repeated_rows(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> int:
    """Return how many rows are exact copies of another; 0 where independent draws may be equal by chance.

    Two measurements are never equal by chance: that is where each side has a column most of whose values need more
    than six significant digits. Counts, labels and coarsely rounded numbers may be. They are not if the equal rows
    come in pairs more evenly than those of independent draws, as in a file that has every row twice.

    >>> x = torch.randn(100, 1, dtype=torch.float64)
    >>> repeated_rows(x, x), repeated_rows(torch.cat([x, x[:30]]), torch.cat([x, x[:30]]))
    (0, 30)
    >>> twice = torch.arange(100.0).repeat(2)[:, None]
    >>> repeated_rows(twice, twice)
    100
    """
    counts = codes_of(torch.cat([x, y], 1)).unique(return_counts=True)[1].double()
    if not (_is_measured(x) and _is_measured(y)) and not _is_too_even(counts):
        return 0
    return int((counts - 1).sum())


def _is_too_even(counts: Tensor) -> bool:
    """Tell whether equal rows form too few triples, given their pairs, to be independent draws.

    Of n independent draws with any probabilities p, E[triples] = n³/6 Σp³ ≥ n³/6 (Σp²)² ≈ ⅔ pairs²/n. At equality the
    difference has variance E (1 + λ/3), E the right-hand side and λ = 2 pairs/n.
    """
    n = float(counts.sum())
    pairs = float((counts * (counts - 1)).sum()) / 2
    triples = float((counts * (counts - 1) * (counts - 2)).sum()) / 6
    least = 2 / 3 * pairs**2 / n
    return least - triples > _TOO_EVEN * math.sqrt(least * (1 + 2 * pairs / n / 3))


def _is_measured(rows: Float[Tensor, "n d"]) -> bool:
    """Tell whether most values of a column need more than `_DIGITS` significant digits."""
    return any(
        bool((_is_fine(part).double().mean(0) > 0.5).any()) for part in rows.split(_COLUMNS, 1)
    )


def _is_fine(rows: Float[Tensor, "n d"]) -> Bool[Tensor, "n d"]:
    """Tell which values need more than `_DIGITS` significant digits."""
    unit = 10 ** (rows.abs().clamp(min=1e-300).log10().floor() - _DIGITS + 1)
    rounded = (rows / unit).round() * unit
    return (rows - rounded).abs() > 1e-9 * rows.abs()


def few_measurements(rows: Float[Tensor, "n d"]) -> int:
    """Return how many values a measured column has, if its rows look like those of as many subjects; else 0.

    Rows that share a measured number are of one subject: sixteen by sixteen, where draws from a law of a few values
    would be less even; or in groups whose sizes vary more than chance and have nothing to do with the number. Counts of
    a law such as a logarithm's of whole numbers change smoothly from one value to the next. Beyond 64 columns only rows
    that are equal in all of them count.

    >>> ages = 40 + 10 * torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> few_measurements(ages.repeat(16)[:, None]), few_measurements(ages.round().repeat(16)[:, None])
    (50, 0)
    """
    if rows.shape[1] > _COLUMNS:
        columns = [codes_of(rows)] if _is_measured(rows) else []
    else:
        fine = _is_fine(rows)
        often = (2 * fine.sum(0) > len(rows)).nonzero().flatten().tolist()
        columns = [rows[fine[:, k], k] for k in often]

    for column in columns:
        values, counts = column.unique(return_counts=True)
        several = _SEVERAL <= len(counts) <= len(column) / 2
        if several and (_is_too_even(counts.double()) or _is_of_subjects(values, counts.double())):
            return len(counts)
    return 0


def _is_of_subjects(values: Tensor, counts: Tensor) -> bool:
    """Tell whether sorted values have counts of very different sizes, in no order, and stand on no grid.

    Their order is read by the ratio of von Neumann of the counts' ranks, which is 2 ± 2/√K for K values in no order.

    Reference: Bartels 1982, J. American Statistical Association 77.
    """
    if len(values) < _LEVELS or _is_coded(values):
        return False

    mean, freedom = counts.mean(), len(counts) - 1
    excess = float(((counts - mean) ** 2).sum() / mean) - freedom
    ranks = counts.unique(return_inverse=True)[1].double()
    ratio = float(ranks.diff().square().sum() / (ranks - ranks.mean()).square().sum())
    ordered = (2 - ratio) * math.sqrt(len(counts)) / 2

    return excess > _UNEVEN * math.sqrt(2 * freedom) and ordered < _SMOOTH


def _is_coded(values: Tensor) -> bool:
    """Tell whether sorted values are evenly spaced, but for gaps, or are shares with small denominators."""
    steps = values.diff()
    steps = steps / steps.min()
    if bool(((steps - steps.round()).abs() < 1e-4 * steps).all()):
        return True

    denominators = torch.arange(1, _SIMPLE + 1, dtype=values.dtype)
    products = values[:, None] * denominators
    return bool(((products - products.round()).abs() < 1e-6).any(1).double().mean() > 0.5)


def near_copies(x: Float[Tensor, "n dx"], y: Float[Tensor, "n dy"]) -> int:
    """Return how many rows lie close together on average, where rows form small clusters with gaps around; else 0.

    In a smooth density of m dimensions k m ln(r_{k+1}/r_k) has the mean 1, r_k the distance to the k-th neighbour.
    Copies of a row with a jitter leave a gap, where m looks smaller than by nearer and by farther neighbours. Noise
    around a curve leaves none: there m only falls with the distance.

    Reference: Facco et al. 2017, Sci. Rep. 7 (the dimension from neighbours' distances).

    >>> rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    >>> jitter = 0.01 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    >>> copies = rows.repeat(5, 1) + jitter
    >>> near_copies(rows[:, :1], rows[:, 1:]), near_copies(copies[:, :1], copies[:, 1:])
    (0, 5)
    """
    columns = x.shape[1] + y.shape[1]
    if columns > _WIDE or len(x) < _FEWEST or not (_is_measured(x) and _is_measured(y)):
        return 0

    # Ranks: heavy tails, and columns that lie in clusters by themselves, leave no gap.
    rows = torch.cat([x, y], 1).argsort(0).argsort(0).double()
    asked = rows[:: max(1, len(rows) // _ASKED)]
    exact = "donot_use_mm_for_euclid_dist"  # the other way loses small distances
    distances = torch.cdist(asked, rows, compute_mode=exact)
    distances = distances.topk(_NEAREST + 1, largest=False).values[:, 1:]
    distances = distances[distances[:, 0] > 0]  # exact copies are counted by themselves
    if len(distances) < _NEAREST:
        return 0

    places = torch.arange(1, _NEAREST, dtype=rows.dtype)
    dimensions = 1 / (places * (distances[:, 1:] / distances[:, :-1]).log().mean(0))
    k = int(dimensions[:-1].argmin())
    nearer = float(dimensions[max(0, k - _BESIDE) : k].max()) if k else math.inf
    farther = float(dimensions[k + 1 : k + 1 + _BESIDE].max())

    return k + 2 if dimensions[k] < (1 - _DIP) * min(nearer, farther) else 0


def entropy(codes: Tensor) -> tuple[float, float]:
    """Return the entropy of labels, in nats, with its first-order bias taken off, and its standard error.

    Ĥ + (K − 1)/(2n) of the plug-in Ĥ over n labels of K kinds; the error is the delta method's.

    Args:
        codes: a number for each label, shape (n,).

    Reference: Miller 1955; Paninski 2003, Neural Computation 15.

    >>> value, error = entropy(torch.arange(1000) % 4)
    >>> round(value - math.log(4), 4), round(error, 4)  # (4 − 1)/2000
    (0.0015, 0.0)
    """
    counts = torch.bincount(codes).double()
    counts, n = counts[counts > 0], len(codes)
    surprise = math.log(n) - counts.log()

    value = float((counts / n) @ surprise)
    variance = float((counts / n) @ (surprise - value) ** 2) / n
    return value + (len(counts) - 1) / (2 * n), math.sqrt(variance)
